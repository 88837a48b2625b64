"""`Activation`, `ReLU`, `Softmax`, `Dropout`: layers without weights that keep the shape."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .._types import integer
from ._activations import function, softmax, softmax_back
from ._layer import Layer
from ._random import generator as new_generator
from ._sizes import Shape


class _Ordered(Layer):
    """For real numbers only."""

    def make_weights(self, shape: Shape, dtype: np.dtype, generator: np.random.Generator) -> list[np.ndarray]:
        """None."""
        if dtype.kind == "c":
            raise ValueError(f"{self.label}: {dtype} has no order; expected float32 or float64")
        return []


class Activation(_Ordered):
    """An activation as a layer of its own.

    Parameters
    ----------
    activation : str
        "relu", "leaky_relu", "sigmoid", "tanh", "silu", "gelu", "softmax" or "linear".
    **keywords
        As of `Layer`.

    Examples
    --------
    >>> from numconv.layers import Activation, Sequential
    >>> Sequential([Activation("relu", input_shape=(2,))]).predict([[-1, 3]])
    array([[0., 3.]], dtype=float32)
    """

    OPTIONS: ClassVar = ("activation",)

    def __init__(self, activation: str, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._function = function("Activation", activation)
        self.activation = self._function.name

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Element by element."""
        y = self._function.forward(x)
        if training:
            self._kept = (x if self._function.looks_at_input else None), y
        return y

    def backward(self, grad: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
        """By the derivative."""
        return self._function.backward(grad, *self._take_kept())

    def backward_inside(self, grad: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
        """From the gradient before the activation, where a loss knows it."""
        self._take_kept()
        return grad


class Softmax(_Ordered):
    """Exponentials that add up to 1 along an axis.

    Parameters
    ----------
    axis : int, default -1
        The axis.
    **keywords
        As of `Layer`.
    """

    OPTIONS: ClassVar = ("axis",)

    def __init__(self, axis: int = -1, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.axis = integer(axis, -64, f"Softmax: axis is {axis!r}, expected an int")
        self.activation = "softmax" if axis == -1 else None

    def output_shape(self, shape: Shape) -> Shape:
        """The same; the axis has to be there."""
        if self.axis == 0 or not -len(shape) <= self.axis <= len(shape):
            raise self.refuse(shape, f"with an axis {self.axis} that is not that of samples")
        return shape

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Along the axis."""
        y = softmax(x, self.axis)
        if training:
            self._kept = (y,)
        return y

    def backward(self, grad: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
        """By the derivative."""
        (y,) = self._take_kept()
        return softmax_back(grad, None, y, self.axis)

    def backward_inside(self, grad: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
        """From the gradient before, where a loss knows it."""
        self._take_kept()
        return grad


class ReLU(_Ordered):
    """Negative values become 0, and what else Keras's `ReLU` can do.

    Parameters
    ----------
    max_value : float, optional
        Larger values become it.
    negative_slope : float, default 0
        What values below the threshold, less the threshold, are multiplied by.
    threshold : float, default 0
        Where values begin to count.
    **keywords
        As of `Layer`.
    """

    OPTIONS: ClassVar = ("max_value", "negative_slope", "threshold")

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **keywords: Any
    ) -> None:
        super().__init__(**keywords)
        given = {"max_value": max_value, "negative_slope": negative_slope, "threshold": threshold}
        for option, value in given.items():
            optional = option == "max_value" and value is None
            if not optional and not (isinstance(value, int | float) and 0 <= value < float("inf")):
                raise ValueError(f"ReLU: {option} is {value!r}, expected a number >= 0")
        self.max_value, self.negative_slope, self.threshold = max_value, float(negative_slope), float(threshold)

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Element by element."""
        kind = x.dtype.type
        y = np.where(x < self.threshold, kind(self.negative_slope) * (x - kind(self.threshold)), x)
        if self.max_value is not None:
            np.minimum(y, kind(self.max_value), out=y)
        if training:
            self._kept = (x,)
        return y

    def backward(self, grad: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
        """By the derivative; 0 at a corner where it was 0 below."""
        (x,) = self._take_kept()
        low = x <= self.threshold if self.negative_slope == 0 else x < self.threshold
        out = np.where(low, grad * grad.dtype.type(self.negative_slope), grad)
        if self.max_value is not None:
            out[x >= self.max_value] = 0
        return out


class Dropout(Layer):
    """In training, numbers are left out at random, and the others grow, so that their mean stays.

    Parameters
    ----------
    rate : float
        The share that is left out, from 0 up to but not 1.
    seed : int, optional
        By default the order of the model's own random numbers.
    **keywords
        As of `Layer`.
    """

    OPTIONS: ClassVar = ("rate", "seed")

    def __init__(self, rate: float, noise_shape: None = None, seed: int | None = None, **keywords: Any) -> None:
        super().__init__(**keywords)
        if noise_shape is not None:
            raise NotImplementedError("Dropout: noise_shape is not here; expected None")
        if not isinstance(rate, int | float) or not 0 <= rate < 1:
            raise ValueError(f"Dropout: rate is {rate!r}, expected a number >= 0 and < 1")
        self.rate, self.seed = float(rate), seed
        self._generator: np.random.Generator | None = None

    def make_weights(self, shape: Shape, dtype: np.dtype, generator: np.random.Generator) -> list[np.ndarray]:
        """None, but random numbers to come."""
        self._generator = generator if self.seed is None else new_generator(self.seed)
        return []

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """As it is, or with some numbers left out."""
        if not training:
            return x
        assert self._generator is not None
        kind = x.real.dtype.type
        factors = (self._generator.random(x.shape, kind) >= self.rate) * kind(1 / (1 - self.rate))
        self._kept = (factors,)
        return x * factors

    def backward(self, grad: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
        """To the numbers that stayed."""
        (factors,) = self._take_kept()
        return grad * factors
