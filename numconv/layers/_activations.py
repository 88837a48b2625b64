"""Activations by name, with their derivatives from the output, or from input and output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import pi, sqrt
from typing import Any

import numpy as np

from .._conv import conv1d
from .._types import choice
from ..cpu import maps

Pass = Callable[[np.ndarray, Any, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Function:
    """An activation.

    Attributes
    ----------
    name : Keras's.
    forward : x to y.
    backward : (dL/dy, x, y) to dL/dx, which may take the place of dL/dy; x may be None unless `looks_at_input`.
    looks_at_input : the derivative does not follow from the output alone.
    fused : numconv's convolutions apply it as they store their results.
    """

    name: str
    forward: Callable[[np.ndarray], np.ndarray]
    backward: Pass
    looks_at_input: bool = False
    fused: bool = False


def _alone(name: Any, x: np.ndarray) -> np.ndarray:
    """By the compiled activation of a convolution that multiplies by 1."""
    return conv1d(x.reshape(1, -1, 1), np.ones((1, 1, 1), x.dtype), activation=name).reshape(x.shape)


def _softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    y = x - x.max(axis=axis, keepdims=True)
    np.exp(y, out=y)
    y /= y.sum(axis=axis, keepdims=True)
    return y


def _softmax_back(grad: np.ndarray, x: Any, y: np.ndarray, axis: int = -1) -> np.ndarray:
    return y * (grad - (grad * y).sum(axis=axis, keepdims=True))


def _relu_back(grad: np.ndarray, x: Any, y: np.ndarray) -> np.ndarray:
    return np.where(y <= 0, grad.dtype.type(0), grad) if maps.rectify_back(grad, y) is None else grad


def _leaky_relu_back(grad: np.ndarray, x: Any, y: np.ndarray) -> np.ndarray:
    return np.where(y < 0, grad * grad.dtype.type(0.2), grad)


def _share(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Y / x, and one half where both are 0: the factor that silu and gelu multiply by."""
    return np.divide(y, x, out=np.full_like(x, 0.5), where=x != 0)


def _silu_back(grad: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    sigmoid = _share(x, y)
    return grad * (sigmoid + y * (1 - sigmoid))


def _gelu_back(grad: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    density = np.exp(x * x * -0.5) * x.dtype.type(1 / sqrt(2 * pi))
    return grad * (_share(x, y) + x * density)


def _fused(name: str, backward: Pass, looks_at_input: bool = False) -> Function:
    return Function(name, partial(_alone, name), backward, looks_at_input, fused=True)


FUNCTIONS = {
    function.name: function
    for function in (
        Function("linear", lambda x: x, lambda grad, x, y: grad),
        _fused("relu", _relu_back),
        _fused("leaky_relu", _leaky_relu_back),
        _fused("sigmoid", lambda grad, x, y: grad * (y * (1 - y))),
        _fused("tanh", lambda grad, x, y: grad * (1 - y * y)),
        _fused("silu", _silu_back, looks_at_input=True),
        _fused("gelu", _gelu_back, looks_at_input=True),
        Function("softmax", _softmax, _softmax_back),
    )
}
LINEAR = FUNCTIONS["linear"]
softmax, softmax_back = _softmax, _softmax_back


def function(name: str, given: Any) -> Function:
    """The activation of that name; None is linear."""
    if given is None:
        return LINEAR
    return FUNCTIONS["silu" if given == "swish" else choice(name, "activation", given, tuple(FUNCTIONS), "None or ")]
