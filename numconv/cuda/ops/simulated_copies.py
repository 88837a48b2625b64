"""The same for the simulator: what a copy overwrites is spoiled when it begins, and there when it was waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from .simulated import Pointer, shared


def dynamic(scalar: str, size: int, first: int) -> Callable:
    """An array of its own: none of them overlap."""
    if first % 16:
        raise ValueError(first)
    return shared(scalar, size)


def copying(storage: str, n: int, near: bool = False) -> Callable:
    """Checked: alignment on both sides, and bounds."""
    kind = np.dtype(storage)
    size = n * kind.itemsize
    if size not in (4, 8, 16):
        raise ValueError(size)

    def copy(array: np.ndarray, at: int, pointer: Pointer, offset: int, there: bool) -> None:
        if not 0 <= at <= len(array) - n or at * array.itemsize % size or array.itemsize != kind.itemsize:
            raise IndexError(at)
        values = np.zeros(n, kind)
        if there:
            first = pointer.at(offset)
            if pointer.memory[first:].__array_interface__["data"][0] % size:
                raise IndexError(f"offset {offset} is not aligned to {size} bytes")
            values[:] = pointer.memory[first : pointer.at(offset + n - 1) + 1]
        place = array[at : at + n].view(np.uint8)
        place[:] = 0xFF  # NaN, or -1
        _copies().append((place, values.view(np.uint8)))

    return copy


def copying_each(storage: str, n: int, shifts: tuple[tuple[int, int], ...]) -> Callable:
    """One by one."""
    copy = copying(storage, n)

    def spread(array: np.ndarray, at: int, pointer: Pointer, offset: int, there: bool) -> None:
        for to, source in shifts:
            copy(array, at + to, pointer, offset + source, there)

    return spread


def commit() -> None:
    """A group ends."""
    _copies().append(None)


def waiting(groups: int) -> Callable:
    """Of this thread alone: others see the copies behind a barrier."""

    def wait() -> None:
        copies = _copies()
        ends = [i for i, copy in enumerate(copies) if copy is None]
        count = ends[-groups - 1] + 1 if len(ends) > groups else 0
        for copy in copies[:count]:
            if copy is not None:
                copy[0][:] = copy[1]
        del copies[:count]

    return wait


def _copies() -> list[Any]:
    """Those that this thread has begun, None behind each group."""
    return threading.current_thread().__dict__.setdefault("copies", [])
