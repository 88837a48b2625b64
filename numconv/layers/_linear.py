"""What layers with a kernel, a bias and an activation have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from .. import grad as gradients
from .._types import choice
from ..cpu import maps
from ._activations import Function, function
from ._initializers import draw, initializer
from ._layer import DATA_FORMATS, Layer
from ._sizes import Shape


class Linear(Layer):
    """y = activation(x * kernel + bias), whatever `*` is."""

    WEIGHTS: ClassVar[tuple[str, ...]] = ("kernel", "bias")

    def __init__(self, activation: Any, use_bias: bool, kernel: Any, bias: Any, **keywords: Any) -> None:
        super().__init__(**keywords)
        kind = type(self).__name__
        self._function: Function = function(kind, activation)
        self.activation, self.use_bias = self._function.name, bool(use_bias)
        self.kernel_initializer = initializer(kind, "kernel_initializer", kernel)
        self.bias_initializer = initializer(kind, "bias_initializer", bias)
        self.data_format = DATA_FORMATS[0]

    # ---- what the kinds define

    @abstractmethod
    def kernel_shape(self, shape: Shape) -> tuple[int, ...]:
        """In Keras's order: inputs and outputs last."""

    @abstractmethod
    def count_filters(self, shape: Shape) -> int:
        """Length of the bias."""

    @abstractmethod
    def _apply(self, x: np.ndarray, activation: str | None) -> np.ndarray:
        """activation(x * kernel + bias)."""

    @abstractmethod
    def _input_gradient(self, shape: tuple[int, ...], grad: np.ndarray) -> np.ndarray:
        """dL/dx of inputs of that shape, from dL/d(x * kernel)."""

    @abstractmethod
    def _kernel_gradient(self, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """dL/dkernel."""

    # ---- what they have in common

    def make_weights(self, shape: Shape, dtype: np.dtype, generator: np.random.Generator) -> list[np.ndarray]:
        """Kernel and bias."""
        if dtype.kind == "c" and self.activation != "linear":
            raise ValueError(
                f"{self.label}: activation is {self.activation!r}, but {dtype} has no order; expected None"
            )
        weights = [draw(self.kernel_initializer, self.kernel_shape(shape), dtype, generator)]
        if self.use_bias:
            weights.append(draw(self.bias_initializer, (self.count_filters(shape),), dtype, generator))
        return weights

    @property
    def _bias(self) -> np.ndarray | None:
        return self.weights[1] if self.use_bias else None

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Outputs of a batch."""
        f, inner = self._function, None
        if f.fused and not (training and f.looks_at_input):
            y = self._apply(x, f.name)
        else:
            inner = self._apply(x, None)
            y = f.forward(inner)
        if training:
            self._kept = x, inner, y
        return y

    def backward(self, grad: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
        """From dL/dy to dL/dx."""
        x, inner, y = self._take_kept()
        sums = None
        if self.activation == "relu" and self.data_format == "channels_last":
            sums = maps.rectify_back(grad, y)  # one pass for the activation and the bias
        if sums is None:
            grad = self._function.backward(grad, inner, y)
        return self._inwards(x, grad, needs_input, sums)

    def backward_inside(self, grad: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
        """From the gradient before the activation, where a loss knows it."""
        x, _, _ = self._take_kept()
        return self._inwards(x, grad, needs_input)

    def _inwards(
        self, x: np.ndarray, grad: np.ndarray, needs_input: bool, sums: np.ndarray | None = None
    ) -> np.ndarray | None:
        """Gradients of kernel and bias (`sums`, where they are known), and of the input."""
        if self.trainable:
            self.gradients = [self._kernel_gradient(x, grad)]
            if self.use_bias:
                self.gradients.append(gradients.bias(grad, data_format=self.data_format) if sums is None else sums)
        return self._input_gradient(x.shape, grad) if needs_input else None


def data_format_of(kind: str, given: str | None) -> str:
    """None is channels_last, as in Keras."""
    return choice(kind, "data_format", DATA_FORMATS[0] if given is None else given, DATA_FORMATS)
