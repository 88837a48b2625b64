"""Poolings: the largest or the mean of each window, or of each map."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any, ClassVar

import numpy as np

from .._types import choice
from ..cpu import maps
from ._layer import Layer
from ._linear import data_format_of
from ._sizes import Shape, output_size, pads, per_axis, shown


class _Spatial(Layer):
    """Layers that work on each channel of maps by itself; inside, channels come last."""

    ndim: ClassVar[int]

    def __init__(self, data_format: str | None, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.data_format = data_format_of(type(self).__name__, data_format)

    @property
    def _last(self) -> bool:
        return self.data_format == "channels_last"

    def _spatial(self, shape: Shape) -> Shape:
        if len(shape) != self.ndim + 1:
            axes = ("H", "W")[2 - self.ndim :]
            wanted = ", ".join(("N", *axes, "C") if self._last else ("N", "C", *axes))
            raise self.refuse(shape, f"({wanted}), {self.ndim + 2} axes")
        return shape[:-1] if self._last else shape[1:]

    def _with_channels(self, spatial: Shape, shape: Shape) -> Shape:
        return (*spatial, shape[-1]) if self._last else (shape[0], *spatial)

    def _view(self, x: np.ndarray) -> np.ndarray:
        return x if self._last else np.moveaxis(x, 1, -1)

    def _unview(self, y: np.ndarray) -> np.ndarray:
        return y if self._last else np.moveaxis(y, -1, 1)


class Pooling(_Spatial):
    """What poolings of windows have in common."""

    OPTIONS: ClassVar = ("pool_size", "strides", "padding", "data_format")

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **keywords: Any,
    ) -> None:
        super().__init__(data_format, **keywords)
        kind = type(self).__name__
        self.pool_size = per_axis(kind, "pool_size", pool_size, self.ndim)
        self.strides = per_axis(kind, "strides", pool_size if strides is None else strides, self.ndim)
        self.padding = choice(kind, "padding", padding, ("valid", "same"))

    def output_shape(self, shape: Shape) -> Shape:
        """(*out, C) or (C, *out)."""
        spatial = self._spatial(shape)
        each = zip(spatial, self.pool_size, self.strides, strict=True)
        out = tuple(output_size(L, size, stride, 1, self.padding) for L, size, stride in each)
        if any(size is not None and size < 1 for size in out):
            raise ValueError(f"{self.label}: windows of {self.pool_size} do not fit into inputs {shown(shape)}")
        return self._with_channels(out, shape)

    def _geometry(self, x: np.ndarray) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
        """(output sizes, padding) of maps with channels last."""
        each = list(zip(x.shape[1:-1], self.pool_size, self.strides, strict=True))
        out = tuple(output_size(L, size, stride, 1, self.padding) or 0 for L, size, stride in each)
        return out, tuple(pads(*sizes, self.padding) for sizes in each)

    def _windows(self, padded: np.ndarray, out: tuple[int, ...]) -> Iterator[np.ndarray]:
        """For each place in a window a view of all samples there, (N, *out, C)."""
        for place in product(*map(range, self.pool_size)):
            each = zip(place, self.strides, out, strict=True)
            yield padded[(slice(None), *(slice(at, at + s * (size - 1) + 1, s) for at, s, size in each))]


def _padded(x: np.ndarray, widths: tuple[tuple[int, int], ...], value: float) -> np.ndarray:
    return np.pad(x, ((0, 0), *widths, (0, 0)), constant_values=value) if any(map(any, widths)) else x


def _cropped(x: np.ndarray, widths: tuple[tuple[int, int], ...]) -> np.ndarray:
    inside = (slice(lo, x.shape[axis] - hi) for axis, (lo, hi) in enumerate(widths, 1))
    return x[(slice(None), *inside)]


class MaxPooling(Pooling):
    """The largest of each window; its gradient goes to the first that is so large."""

    def make_weights(self, shape: Shape, dtype: np.dtype, generator: np.random.Generator) -> list[np.ndarray]:
        """None; complex numbers have no largest one."""
        if dtype.kind == "c":
            raise ValueError(f"{self.label}: {dtype} has no order; expected float32 or float64")
        return []

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """The largest of each window."""
        x = self._view(x)
        out, widths = self._geometry(x)
        y = np.empty((len(x), *out, x.shape[-1]), x.dtype)
        if not maps.largest(x, self._record(x, out, widths), y):
            first, *others = self._windows(_padded(x, widths, -np.inf), out)
            np.copyto(y, first)
            for values in others:
                np.maximum(y, values, out=y)
        if training:
            self._kept = x, widths, y
        return self._unview(y)

    def backward(self, grad: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
        """To the largest."""
        x, widths, y = self._take_kept()
        if not needs_input:
            return None
        grad, to = self._view(grad), np.empty(x.shape, x.dtype)
        if maps.largest_back(x, y, grad, self._record(x, y.shape[1:-1], widths), to):
            return to
        return self._unview(self._backward_by_numpy(x, widths, y, grad))

    def _record(self, x: np.ndarray, out: tuple[int, ...], widths: tuple[tuple[int, int], ...]) -> np.ndarray:
        before = tuple(lo for lo, _ in widths)
        return maps.windows_record(x.shape[1:-1], out, self.pool_size, self.strides, before, x.shape[-1])

    def _backward_by_numpy(
        self, x: np.ndarray, widths: tuple[tuple[int, int], ...], y: np.ndarray, grad: np.ndarray
    ) -> np.ndarray:
        """The same for arrays that lie otherwise."""
        padded, out = _padded(x, widths, -np.inf), y.shape[1:-1]
        to, missing = np.zeros(padded.shape, padded.dtype), np.ones(y.shape, bool)
        for values, place in zip(self._windows(padded, out), self._windows(to, out), strict=True):
            here = (values == y) & missing
            place += np.where(here, grad, 0)
            missing &= ~here
        return _cropped(to, widths)


class AveragePooling(Pooling):
    """The mean of each window, of the samples that are no padding."""

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """The mean of each window."""
        x = self._view(x)
        out, widths = self._geometry(x)
        padded = _padded(x, widths, 0)
        first, *others = self._windows(padded, out)
        y = first.copy()
        for values in others:
            y += values
        count = self._counts(x, out, widths)
        y /= count
        if training:
            self._kept = padded.shape, widths, count
        return self._unview(y)

    def _counts(self, x: np.ndarray, out: tuple[int, ...], widths: tuple[tuple[int, int], ...]) -> Any:
        """Samples in each window."""
        if not any(map(any, widths)):
            return x.real.dtype.type(prod(self.pool_size))
        ones = _padded(np.ones((1, *x.shape[1:-1], 1), x.real.dtype), widths, 0)
        return np.sum(list(self._windows(ones, out)), axis=0)

    def backward(self, grad: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
        """To all samples of a window alike."""
        shape, widths, count = self._take_kept()
        if not needs_input:
            return None
        share = self._view(grad) / count
        to = np.zeros(shape, grad.dtype)
        for place in self._windows(to, share.shape[1:-1]):
            place += share
        return self._unview(_cropped(to, widths))


class GlobalAveragePooling(_Spatial):
    """The mean of each map: (N, C)."""

    OPTIONS: ClassVar = ("data_format", "keepdims")

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **keywords: Any) -> None:
        super().__init__(data_format, **keywords)
        self.keepdims = bool(keepdims)

    @property
    def _axes(self) -> tuple[int, ...]:
        first = 1 if self._last else 2
        return tuple(range(first, first + self.ndim))

    def output_shape(self, shape: Shape) -> Shape:
        """(C,), or with axes of size 1."""
        spatial = self._spatial(shape)
        return self._with_channels(tuple(1 for _ in spatial) if self.keepdims else (), shape)

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Means."""
        if training:
            self._kept = x.shape
        return x.mean(axis=self._axes, keepdims=self.keepdims)

    def backward(self, grad: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
        """To all samples of a map alike."""
        shape = self._take_kept()
        if not self.keepdims:
            grad = np.expand_dims(grad, self._axes)
        count = prod(shape[axis] for axis in self._axes)
        return np.ascontiguousarray(np.broadcast_to(grad / grad.real.dtype.type(count), shape))


class MaxPooling1D(MaxPooling):
    """The largest of each window of signals (N, W, C).

    Parameters
    ----------
    pool_size : int, default 2
        Samples of a window.
    strides : int, optional
        Samples between neighbouring windows; by default those of a window.
    padding : {"valid", "same"}
        "same": ``ceil(W / strides)`` windows; padding is never the largest.
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels lie.
    **keywords
        As of `Layer`.
    """

    ndim = 1


class MaxPooling2D(MaxPooling):
    """The largest of each window of images (N, H, W, C).

    Parameters
    ----------
    pool_size : int or one per axis, default 2
        Samples of a window.
    strides : int or one per axis, optional
        Samples between neighbouring windows; by default those of a window.
    padding : {"valid", "same"}
        "same": ``ceil(L / strides)`` windows along an axis; padding is never the largest.
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels lie.
    **keywords
        As of `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> from numconv.layers import MaxPooling2D, Sequential
    >>> Sequential([MaxPooling2D(input_shape=(2, 4, 1))]).predict(np.arange(8).reshape(1, 2, 4, 1)).ravel()
    array([5., 7.], dtype=float32)
    """

    ndim = 2


class AveragePooling1D(AveragePooling):
    """The mean of each window of signals (N, W, C).

    Parameters
    ----------
    pool_size, strides, padding, data_format : optional
        As of `MaxPooling1D`; samples of padding do not count.
    **keywords
        As of `Layer`.
    """

    ndim = 1


class AveragePooling2D(AveragePooling):
    """The mean of each window of images (N, H, W, C).

    Parameters
    ----------
    pool_size, strides, padding, data_format : optional
        As of `MaxPooling2D`; samples of padding do not count.
    **keywords
        As of `Layer`.
    """

    ndim = 2


class GlobalAveragePooling1D(GlobalAveragePooling):
    """The mean of each channel of signals: (N, W, C) to (N, C).

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels lie.
    keepdims : bool, default False
        Keep an axis of size 1.
    **keywords
        As of `Layer`.
    """

    ndim = 1


class GlobalAveragePooling2D(GlobalAveragePooling):
    """The mean of each map of images: (N, H, W, C) to (N, C).

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels lie.
    keepdims : bool, default False
        Keep axes of size 1.
    **keywords
        As of `Layer`.
    """

    ndim = 2
