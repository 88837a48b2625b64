"""How a caller's arrays lie on the canonical axes: batches of channels, or a bank over some axes of a bare array."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ._problem import Problem
from ._views import data_axes

Axes = tuple[int, ...]
Run = tuple[np.ndarray, Axes, np.ndarray, Axes]
"""x, where its canonical axes lie, out, where its lie."""


class ConvFrame(NamedTuple):
    """x with channels, with or without N; the result has no spatial axes where maps are reduced."""

    batched: bool
    axes: Axes
    x_sample: tuple[int, ...]
    out_sample: tuple[int, ...]

    @classmethod
    def of(cls, p: Problem, batched: bool) -> ConvFrame:
        """The frame of a problem."""
        sizes, out = p.spatial[3 - p.ndim :], () if p.reduce else p.out_spatial[3 - p.ndim :]
        axes = data_axes(p.ndim, p.channels_last, batched)
        if p.channels_last:
            return cls(batched, axes, (*sizes, p.channels), (*out, p.filters))
        return cls(batched, axes, (p.channels, *sizes), (p.filters, *out))

    def out_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the result."""
        return (x_shape[0], *self.out_sample) if self.batched else self.out_sample

    def accepts(self, x_shape: tuple[int, ...]) -> bool:
        """Whether an x of this shape is one of the frame."""
        return x_shape[1:] == self.x_sample if self.batched else x_shape == self.x_sample

    def expected(self) -> tuple:
        """Shape of x and of the result, None for N."""
        batch = (None,) if self.batched else ()
        return (*batch, *self.x_sample), (*batch, *self.out_sample)


class BankFrame(NamedTuple):
    """A bare array of `ndim` axes, filtered along `axes`; `bank`: the result has an axis of filters."""

    ndim: int
    axes: Axes
    sizes: tuple[int, ...]
    filters: int
    out_sizes: tuple[int, ...]
    bank: bool

    @property
    def batch_axes(self) -> Axes:
        """All other axes, in their order."""
        return tuple(axis for axis in range(self.ndim) if axis not in self.axes)

    def out_shape(self, x_shape: tuple) -> tuple:
        """``(*batch, F, *out)`` of a bank; of one kernel, that of x with new sizes along `axes`."""
        if self.bank:
            return (*(x_shape[axis] for axis in self.batch_axes), self.filters, *self.out_sizes)
        sizes = dict(zip(self.axes, self.out_sizes, strict=True))
        return tuple(sizes.get(axis, size) for axis, size in enumerate(x_shape))

    def accepts(self, x_shape: tuple[int, ...]) -> bool:
        """Whether an x of this shape is one of the frame."""
        return len(x_shape) == self.ndim and tuple(x_shape[axis] for axis in self.axes) == self.sizes

    def expected(self) -> tuple:
        """Shape of x and of the result, None along batch axes."""
        sizes = dict(zip(self.axes, self.sizes, strict=True))
        x_shape = tuple(sizes.get(axis) for axis in range(self.ndim))
        return x_shape, self.out_shape(x_shape)

    def runs(self, x: np.ndarray, out: np.ndarray) -> Iterator[Run]:
        """As few runs as the strides of the batch axes allow: one, if they nest in x and in out."""
        x = x.transpose(*self.batch_axes, *self.axes)
        if not self.bank:
            out = out.transpose(*self.batch_axes, *self.axes)
            out = np.expand_dims(out, len(self.batch_axes))
        n, sizes = len(self.batch_axes), len(self.axes)
        x_axes = (0, *[-1] * (3 - sizes), *range(1, sizes + 1), -1)
        o_axes = (0, *[-1] * (3 - sizes), *range(2, sizes + 2), 1)
        if n == 0:
            x, out, n = x[None], out[None], 1
        outer = 0 if _nested(x, n) and _nested(out, n) else n - 1
        for index in np.ndindex(x.shape[:outer]):
            yield _flat(x[index], n - outer), x_axes, _flat(out[index], n - outer), o_axes


def _nested(array: np.ndarray, axes: int) -> bool:
    """Whether the first axes can be one axis without a copy."""
    sizes = [(n, stride) for n, stride in zip(array.shape[:axes], array.strides[:axes], strict=True) if n > 1]
    return all(outer == inner * size for (_, outer), (size, inner) in pairwise(sizes))


def _flat(array: np.ndarray, axes: int) -> np.ndarray:
    """The first axes, which nest, as one: a view."""
    return array.reshape(-1, *array.shape[axes:])
