"""Where arrays lie on a device: views that are never read, and the addresses that belong to them."""

from __future__ import annotations

from math import gcd
from typing import NamedTuple

import numpy as np

from .arrays import Given, contiguous
from .kernels.kernel import storage_of

WIDEST = 16
"""Bytes that a thread accesses at once, at most."""


class Place(NamedTuple):
    """`view` has the shape, strides and dtype of an array whose first element is at `address` on the device."""

    view: np.ndarray
    address: int

    @classmethod
    def of(cls, given: Given) -> Place:
        """The whole array."""
        return cls(given.shadow(), given.address)

    @classmethod
    def room(cls, shape: tuple[int, ...], dtype: str) -> Place:
        """A contiguous array in memory that a call is yet to be given."""
        kind = np.dtype(dtype)
        return cls.of(Given(shape, contiguous(shape, kind.itemsize), kind, 0, 0))

    def seen(self, view: np.ndarray) -> Place:
        """A view of this one."""
        return Place(view, self.address + _first(view) - _first(self.view))

    @property
    def steps(self) -> tuple[int, ...]:
        """Strides in elements as kernels see them: complex ones are pairs."""
        item_bytes = np.dtype(storage_of(self.view.dtype.name)).itemsize
        return tuple(stride // item_bytes for stride in self.view.strides)

    @property
    def extent(self) -> tuple[int, int]:
        """Bytes before and behind the address that belong to the view."""
        ends = [(n - 1) * stride for n, stride in zip(self.view.shape, self.view.strides, strict=True) if n > 1]
        return sum(end for end in ends if end < 0), sum(end for end in ends if end > 0) + self.view.itemsize

    @property
    def mask(self) -> int:
        """The bits that are not set in the address of an aligned element; -1 where strides leave such addresses."""
        item_bytes = np.dtype(storage_of(self.view.dtype.name)).itemsize
        strides = [stride for n, stride in zip(self.view.shape, self.view.strides, strict=True) if n > 1]
        return -1 if any(stride % item_bytes for stride in strides) else item_bytes - 1

    def together(self, axis: int) -> int:
        """How many neighbours along an axis, from multiples of this number on, can be accessed at once."""
        item_bytes = np.dtype(storage_of(self.view.dtype.name)).itemsize
        others = [step for i, step in enumerate(self.view.strides) if i != axis and self.view.shape[i] > 1]
        if self.view.strides[axis] != item_bytes and self.view.shape[axis] > 1:
            return 1
        return max(gcd(WIDEST, self.address, *others) // item_bytes, 1)


def _first(view: np.ndarray) -> int:
    return view.__array_interface__["data"][0]
