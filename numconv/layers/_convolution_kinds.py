"""`DepthwiseConv2D` and `Conv2DTranspose`: convolutions whose kernels are laid out otherwise."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

import numconv

from .. import grad as gradients
from .._types import integer
from ._convolution import Convolution
from ._sizes import Shape, per_axis


class DepthwiseConv2D(Convolution):
    """Each channel by itself through filters of its own: (N, H, W, C) to (N, OH, OW, C * depth_multiplier).

    Parameters
    ----------
    kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias : optional
        As of `Conv2D`.
    depth_multiplier : int, default 1
        M, filters of a channel.
    depthwise_initializer, bias_initializer : str or callable
        First weights.
    **keywords
        As of `Layer`.

    Notes
    -----
    The weights are ``[kernel (KH, KW, C, M), bias (C * M,)]``, as Keras's; output ``c * M + m`` comes from channel c.
    """

    ndim = 2
    OPTIONS: ClassVar = (
        "kernel_size", "strides", "padding", "depth_multiplier", "data_format", "dilation_rate", "activation",
        "use_bias", "depthwise_initializer", "bias_initializer",
    )  # fmt: skip

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: str | None = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **keywords: Any,
    ) -> None:
        super().__init__(
            1, kernel_size, strides, padding, data_format, dilation_rate, 1, activation, use_bias,
            depthwise_initializer, bias_initializer, **keywords,
        )  # fmt: skip
        said = f"DepthwiseConv2D: depth_multiplier is {depth_multiplier!r}, expected an int >= 1"
        self.depth_multiplier = integer(depth_multiplier, 1, said)
        self.depthwise_initializer = self.kernel_initializer

    def _count(self, channels: int) -> int:
        return channels * self.depth_multiplier

    def kernel_shape(self, shape: Shape) -> tuple[int, ...]:
        """(KH, KW, C, M)."""
        return (*self.kernel_size, self._apart(shape)[1], self.depth_multiplier)

    def _w(self) -> np.ndarray:
        kernel = self.weights[0]
        return self._turned(kernel.reshape(*self.kernel_size, 1, -1))

    def _options(self) -> dict[str, Any]:
        return super()._options() | {"groups": self.weights[0].shape[2]}

    def _kernel_gradient(self, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
        return super()._kernel_gradient(x, grad).reshape(self.weights[0].shape)


class Conv2DTranspose(Convolution):
    """The transpose of a convolution, which makes images larger: (N, H, W, C) to (N, OH, OW, F).

    Parameters
    ----------
    filters, kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias : optional
        As of `Conv2D`.
    output_padding : int or one per axis, optional
        Samples added to one side of the outputs, below the stride.
    **keywords
        As of `Layer`.

    Notes
    -----
    The weights are ``[kernel (KH, KW, F, C), bias (F,)]``, as Keras's. An axis has ``L * stride`` outputs with padding
    "same" and ``(L - 1) * stride + max(dilation_rate * (k - 1) + 1, stride)`` with "valid".

    Examples
    --------
    >>> from numconv.layers import Conv2DTranspose, Sequential
    >>> Sequential([Conv2DTranspose(8, 3, strides=2, padding="same", input_shape=(14, 14, 16))]).output_shape
    (None, 28, 28, 8)
    """

    ndim = 2
    OPTIONS: ClassVar = (
        "filters", "kernel_size", "strides", "padding", "output_padding", "data_format", "dilation_rate", "activation",
        "use_bias", "kernel_initializer", "bias_initializer",
    )  # fmt: skip

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: str | None = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **keywords: Any,
    ) -> None:
        super().__init__(
            filters, kernel_size, strides, padding, data_format, dilation_rate, 1, activation, use_bias,
            kernel_initializer, bias_initializer, **keywords,
        )  # fmt: skip
        given = output_padding is not None
        self.output_padding = per_axis("Conv2DTranspose", "output_padding", output_padding, 2, 0) if given else None

    def _out_sizes(self, spatial: Shape) -> Shape:
        more = self.output_padding or (0, 0)
        each = zip(spatial, self.kernel_size, self.strides, self.dilation_rate, more, strict=True)
        return tuple(None if L is None else self._out_size(L, *sizes) for L, *sizes in each)

    def _out_size(self, length: int, k: int, stride: int, dilation: int, more: int) -> int:
        if self.output_padding is not None:
            return (length - 1) * stride + dilation * (k - 1) + 1 + more - 2 * (k // 2 if self.padding == "same" else 0)
        if self.padding == "same":
            return length * stride
        return (length - 1) * stride + max(dilation * (k - 1) + 1, stride)

    def kernel_shape(self, shape: Shape) -> tuple[int, ...]:
        """(KH, KW, F, C)."""
        return (*self.kernel_size, self.filters, self._apart(shape)[1])

    def _options(self) -> dict[str, Any]:
        more = {} if self.output_padding is None else {"output_padding": self.output_padding}
        return super()._options() | more

    def _apply(self, x: np.ndarray, activation: str | None) -> np.ndarray:
        return numconv.conv_transpose2d(x, self._w(), self._bias, activation=activation, **self._options())

    def _input_gradient(self, shape: tuple[int, ...], grad: np.ndarray) -> np.ndarray:
        return gradients.conv_transpose2d_input(shape, self._w(), grad, **self._options())

    def _kernel_gradient(self, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
        made = gradients.conv_transpose2d_weight(x, self._w().shape, grad, **self._options())
        return self._turned_back(made)
