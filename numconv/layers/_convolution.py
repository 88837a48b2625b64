"""`Conv1D`, `Conv2D`, `Conv3D`."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .. import _conv
from .. import grad as gradients
from .._types import choice, integer
from ._linear import Linear, data_format_of
from ._sizes import Shape, output_size, per_axis, shown


class Convolution(Linear):
    """What all convolutions have in common; weights ``[kernel (*kernel, C // groups, F), bias (F,)]`` as Keras's."""

    ndim: ClassVar[int]
    OPTIONS: ClassVar[tuple[str, ...]] = (
        "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups", "activation",
        "use_bias", "kernel_initializer", "bias_initializer",
    )  # fmt: skip

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: str | None = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **keywords: Any,
    ) -> None:
        super().__init__(activation, use_bias, kernel_initializer, bias_initializer, **keywords)
        kind, n = type(self).__name__, self.ndim
        self.filters = integer(filters, 1, f"{kind}: filters is {filters!r}, expected an int >= 1")
        self.groups = integer(groups, 1, f"{kind}: groups is {groups!r}, expected an int >= 1 that divides C and F")
        self.kernel_size = per_axis(kind, "kernel_size", kernel_size, n)
        self.strides = per_axis(kind, "strides", strides, n)
        self.dilation_rate = per_axis(kind, "dilation_rate", dilation_rate, n)
        self.padding = choice(kind, "padding", padding, ("valid", "same", "causal")[: 3 if n == 1 else 2])
        self.data_format = data_format_of(kind, data_format)

    # ---- shapes

    def _apart(self, shape: Shape) -> tuple[Shape, int]:
        """Spatial sizes and C of a sample, which has to have both."""
        last = self.data_format == "channels_last"
        axes = ("D", "H", "W")[3 - self.ndim :]
        wanted = ", ".join(("N", *axes, "C") if last else ("N", "C", *axes))
        if len(shape) != self.ndim + 1:
            raise self.refuse(shape, f"({wanted}), {self.ndim + 2} axes")
        channels = shape[-1] if last else shape[0]
        if channels is None:
            raise self.refuse(shape, f"({wanted}) whose C is known")
        return (shape[:-1] if last else shape[1:]), channels

    def _joined(self, spatial: Shape, channels: int) -> Shape:
        return (*spatial, channels) if self.data_format == "channels_last" else (channels, *spatial)

    def output_shape(self, shape: Shape) -> Shape:
        """(*out, F) or (F, *out)."""
        spatial, channels = self._apart(shape)
        self._check_channels(shape, channels)
        out = self._out_sizes(spatial)
        if any(size is not None and size < 1 for size in out):
            raise ValueError(
                f"{self.label}: the outputs of inputs {shown(shape)} are empty: kernel_size={self.kernel_size}, "
                f"dilation_rate={self.dilation_rate}, padding={self.padding!r}"
            )
        return self._joined(out, self._count(channels))

    def _out_sizes(self, spatial: Shape) -> Shape:
        each = zip(spatial, self.kernel_size, self.strides, self.dilation_rate, strict=True)
        return tuple(output_size(*sizes, self.padding) for sizes in each)

    def _check_channels(self, shape: Shape, channels: int) -> None:
        if channels % self.groups or self.filters % self.groups:
            raise ValueError(
                f"{self.label}: groups = {self.groups} has to divide C = {channels} of inputs {shown(shape)} "
                f"and filters = {self.filters}"
            )

    def _count(self, channels: int) -> int:
        """F."""
        return self.filters

    def count_filters(self, shape: Shape) -> int:
        """F."""
        return self._count(self._apart(shape)[1])

    def kernel_shape(self, shape: Shape) -> tuple[int, ...]:
        """(*kernel, C // groups, F)."""
        return (*self.kernel_size, self._apart(shape)[1] // self.groups, self.filters)

    # ---- arithmetic

    def _w(self) -> np.ndarray:
        """The kernel in numconv's order for the data format: a view."""
        return self._turned(self.weights[0])

    def _turned(self, kernel: np.ndarray) -> np.ndarray:
        return kernel if self.data_format == "channels_last" else np.moveaxis(kernel, (-1, -2), (0, 1))

    def _turned_back(self, kernel: np.ndarray) -> np.ndarray:
        return kernel if self.data_format == "channels_last" else np.moveaxis(kernel, (0, 1), (-1, -2))

    def _options(self) -> dict[str, Any]:
        return {
            "stride": self.strides,
            "padding": self.padding,
            "dilation": self.dilation_rate,
            "groups": self.groups,
            "data_format": self.data_format,
        }

    def _apply(self, x: np.ndarray, activation: str | None) -> np.ndarray:
        return getattr(_conv, f"conv{self.ndim}d")(x, self._w(), self._bias, activation=activation, **self._options())

    def _input_gradient(self, shape: tuple[int, ...], grad: np.ndarray) -> np.ndarray:
        return getattr(gradients, f"conv{self.ndim}d_input")(shape, self._w(), grad, **self._options())

    def _kernel_gradient(self, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
        of = getattr(gradients, f"conv{self.ndim}d_weight")
        return self._turned_back(of(x, self._w().shape, grad, **self._options()))


class Conv1D(Convolution):
    """Filters over signals (N, W, C): outputs (N, OW, F).

    Parameters
    ----------
    filters, kernel_size, strides, padding, ... : optional
        As of `Conv2D`; `padding` may also be "causal": outputs see no later sample.

    Examples
    --------
    >>> import numpy as np
    >>> from numconv.layers import Conv1D, Sequential
    >>> model = Sequential()
    >>> model.add(Conv1D(1, 3, input_shape=(8, 1)))
    >>> model.set_weights([[[[0]], [[1]], [[0]]], [0.0]])
    >>> model.predict(np.array([0, 0, 0, 1, 1, 0, 0, 0]).reshape(1, 8, 1)).ravel()
    array([0., 0., 1., 1., 0., 0.], dtype=float32)
    """

    ndim = 1


class Conv2D(Convolution):
    """Filters over images (N, H, W, C): outputs (N, OH, OW, F).

    Parameters
    ----------
    filters : int
        F.
    kernel_size : int or one per axis
        Taps.
    strides, dilation_rate : int or one per axis, default 1
        Samples between neighbouring outputs; samples between neighbouring taps.
    padding : {"valid", "same"}
        "same" pads with zeros for ``ceil(L / stride)`` outputs along an axis; an odd one on the right.
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels of inputs and outputs lie.
    groups : int, default 1
        Blocks of channels and filters that are convolved apart.
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
    The weights are ``[kernel (KH, KW, C // groups, F), bias (F,)]`` in both data formats, as Keras's. An axis has
    ``(L - dilation_rate * (k - 1) - 1) // stride + 1`` outputs with "valid" padding.

    Examples
    --------
    >>> from numconv.layers import Conv2D, Sequential
    >>> model = Sequential([Conv2D(32, (3, 3), activation="relu", input_shape=(28, 28, 1))])
    >>> model.output_shape
    (None, 26, 26, 32)
    >>> [w.shape for w in model.get_weights()]
    [(3, 3, 1, 32), (32,)]
    """

    ndim = 2


class Conv3D(Convolution):
    """Filters over volumes (N, D, H, W, C): outputs (N, OD, OH, OW, F).

    Parameters
    ----------
    filters, kernel_size, strides, padding, ... : optional
        As of `Conv2D`.
    """

    ndim = 3
