"""`Dense` and `Flatten`."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

import numpy as np

from .. import grad as gradients
from .._conv import conv1d
from .._types import integer
from ._layer import Layer
from ._linear import Linear, data_format_of
from ._sizes import Shape


class Dense(Linear):
    """Each output from all inputs: ``activation(x @ kernel + bias)`` along the last axis.

    Parameters
    ----------
    units : int
        F, the outputs.
    activation : str, optional
        "relu", "leaky_relu", "sigmoid", "tanh", "silu", "gelu" or "softmax".
    use_bias : bool, default True
        Whether there is a bias.
    kernel_initializer, bias_initializer : str or callable ``f(shape, dtype)``
        First weights: "glorot_uniform", "he_normal", "zeros" and others of Keras's names.
    **keywords
        As of `Layer`.

    Notes
    -----
    The weights are ``[kernel (C, F), bias (F,)]``, as Keras's. A dense layer is a convolution of one tap over a row of
    samples; computed by `numconv.conv1d`, and its gradients by `numconv.grad`, it has the same bits for any number of
    threads, which no library of matrices promises.

    Examples
    --------
    >>> import numpy as np
    >>> from numconv.layers import Dense, Sequential
    >>> model = Sequential([Dense(1, input_shape=(2,))])
    >>> model.set_weights([[[2.0], [3.0]], [1.0]])
    >>> model.predict(np.array([[1, 1], [0, 10]]))
    array([[ 6.],
           [31.]], dtype=float32)
    """

    OPTIONS: ClassVar = ("units", "activation", "use_bias", "kernel_initializer", "bias_initializer")

    def __init__(
        self,
        units: int,
        activation: str | None = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **keywords: Any,
    ) -> None:
        super().__init__(activation, use_bias, kernel_initializer, bias_initializer, **keywords)
        self.units = integer(units, 1, f"Dense: units is {units!r}, expected an int >= 1")

    def output_shape(self, shape: Shape) -> Shape:
        """(..., F)."""
        if not shape or shape[-1] is None:
            raise self.refuse(shape, "(N, C) whose C is known")
        return (*shape[:-1], self.units)

    def kernel_shape(self, shape: Shape) -> tuple[int, ...]:
        """(C, F)."""
        return int(shape[-1] or 0), self.units

    def count_filters(self, shape: Shape) -> int:
        """F."""
        return self.units

    def _apply(self, x: np.ndarray, activation: str | None) -> np.ndarray:
        rows = x.reshape(1, -1, x.shape[-1])
        y = conv1d(rows, self.weights[0][None], self._bias, activation=activation, method="direct")
        return y.reshape(*x.shape[:-1], self.units)

    def _input_gradient(self, shape: tuple[int, ...], grad: np.ndarray) -> np.ndarray:
        rows = grad.reshape(1, -1, self.units)
        return gradients.conv1d_input((1, rows.shape[1], shape[-1]), self.weights[0][None], rows).reshape(shape)

    def _kernel_gradient(self, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
        rows = x.reshape(1, -1, x.shape[-1])
        return gradients.conv1d_weight(rows, (1, *self.weights[0].shape), grad.reshape(1, -1, self.units))[0]


class Flatten(Layer):
    """Each sample as one row of numbers.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        With "channels_first", channels come last in the row too, as in Keras.
    **keywords
        As of `Layer`.
    """

    OPTIONS: ClassVar = ("data_format",)

    def __init__(self, data_format: str | None = None, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.data_format = data_format_of("Flatten", data_format)

    def output_shape(self, shape: Shape) -> Shape:
        """(product of all sizes,)."""
        return (None,) if None in shape else (prod(size for size in shape if size is not None),)

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """(N, all)."""
        if self.data_format == "channels_first":
            x = np.moveaxis(x, 1, -1)
        if training:
            self._kept = x.shape
        return x.reshape(len(x), prod(x.shape[1:]))

    def backward(self, grad: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
        """Back in shape."""
        grad = grad.reshape(self._take_kept())
        return np.moveaxis(grad, -1, 1) if self.data_format == "channels_first" else grad
