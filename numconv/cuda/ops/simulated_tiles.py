"""The same for the simulator, with alignment and bounds checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .simulated import Pointer


def pointing(storage: str) -> Callable:
    """Also beyond the memory: what is read is checked."""

    def move(pointer: Pointer, offset: int) -> Pointer:
        return Pointer(pointer.memory, pointer.origin + int(offset))

    return move


def looking(storage: str, n: int) -> Callable:
    """Checked."""

    def read(pointer: Pointer, offset: int) -> tuple:
        return tuple(_aligned(pointer, offset, n))

    return read


def saving(storage: str, n: int) -> Callable:
    """A tuple of n."""

    def store(pointer: Pointer, offset: int, values: tuple) -> None:
        _aligned(pointer, offset, n)[:] = values

    return store


def outer(acc: list, slow: list, fast: list, fma: Callable) -> None:
    """All at once where float64 proves how float32 rounds, as `simulated` does one by one: twenty times as fast."""
    if slow[0].dtype == np.float32:
        sums = np.array(slow, float)[:, None] * np.array(fast, float) + np.array(acc, float).reshape(len(slow), -1)
        low, high = ((sums * (1 + way)).astype(np.float32).ravel() for way in (-(2.0**-52), 2.0**-52))
        doubtful = np.flatnonzero(low != high)
        before = [acc[k] for k in doubtful]
        acc[:] = list(high)
    else:
        doubtful, before = np.arange(len(acc)), list(acc)
    for k, value in zip(doubtful, before, strict=True):
        i, j = divmod(k, len(fast))
        acc[k] = fma(slow[i], fast[j], value)


def laying(scalar: str, n: int, pitch: int) -> Callable:
    """Each 16 bytes aligned."""

    def lay(array: np.ndarray, at: int, acc: np.ndarray) -> None:
        for place, values in _pieces(array, at, acc[:n], pitch):
            place[:] = values

    return lay


def heaping(scalar: str, n: int, pitch: int) -> Callable:
    """Each 16 bytes aligned."""

    def add(array: np.ndarray, at: int, acc: np.ndarray) -> None:
        for place, values in _pieces(array, at, acc[:n], pitch):
            place += values

    return add


def collecting(scalar: str, n: int, pitch: int) -> Callable:
    """Aligned where they are neighbours."""

    def take(array: np.ndarray, at: int) -> tuple:
        if at < 0 or at + (n - 1) * pitch >= len(array) or (pitch == 1 and at % n):
            raise IndexError(at)
        return tuple(array[at : at + n * pitch : pitch])

    return take


def _pieces(array: np.ndarray, at: int, acc: np.ndarray, pitch: int) -> list[tuple[Any, Any]]:
    lanes = 16 // acc.itemsize
    if at % lanes or pitch % lanes or at < 0 or at + (len(acc) // lanes - 1) * pitch + lanes > len(array):
        raise IndexError(at)
    return [
        (array[at + i * pitch : at + i * pitch + lanes], acc[i * lanes : (i + 1) * lanes])
        for i in range(len(acc) // lanes)
    ]


def _aligned(pointer: Pointer, offset: int, n: int) -> np.ndarray:
    first = pointer.at(offset)
    found = pointer.memory[first : pointer.at(offset + n - 1) + 1]
    if found.__array_interface__["data"][0] % (n * found.itemsize):
        raise IndexError(f"offset {offset} is not aligned to {n} elements")
    return found
