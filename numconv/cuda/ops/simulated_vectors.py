"""The same for the simulator: alignment and bounds are checked."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from .simulated import Pointer, reader, unrolled, writer

NOWHERE = -(2**31)


def windowing(storage: str, scalar: str, first: int, places: int, loads: int, n: int, padded: bool) -> Callable:
    """Checked loads."""

    def window(array: np.ndarray, pointer: Pointer, offset: int, at: np.ndarray, there: bool, pad: Any) -> None:
        for i, j in product(range(places), range(loads)):
            begin, start = first + (i * loads + j) * n, int(offset) + int(at[i]) + j * n
            _load(
                storage,
                scalar,
                array[begin : begin + n],
                pointer,
                start,
                there and at[i] != NOWHERE,
                pad if padded else 0,
            )

    return window


def locating(offsets: tuple[int, ...], n: int, table: bool) -> Callable:
    """As it is said."""
    look = reader("int64", "int64")

    def locate(
        at: np.ndarray, first: int, step: int, last: int, size: int, scale: int, pointer: Pointer, start: int
    ) -> None:
        for i, offset in enumerate(offsets):
            position = min(int(first) + int(step) * offset, int(last))
            outside = not 0 <= position <= size - n
            if outside and table:
                position = int(look(pointer, start + (position if position < 0 else position - size)))
            at[i] = NOWHERE if outside and not table else position * int(scale)

    return locate


def boxing(storage: str, scalar: str, sizes: tuple[int, ...]) -> Callable:
    """Checked loads."""
    load = reader(storage, scalar)

    def box(array: np.ndarray, pointer: Pointer, offset: int, steps: tuple) -> None:
        for slot, index in enumerate(product(*map(range, sizes))):
            array[slot] = load(pointer, offset + sum(i * int(step) for i, step in zip(index, steps, strict=True)))

    return box


def storing(storage: str, scalar: str, first: int, n: int) -> Callable:
    """Checked stores."""
    store = writer(storage, scalar)

    def put(pointer: Pointer, offset: int, array: np.ndarray) -> None:
        _check(pointer, offset, n)
        for i in range(n):
            store(pointer, offset + i, array[first + i])

    return put


def picking(scalar: str, i: int) -> Callable:
    """Element i."""

    def pick(array: np.ndarray) -> Any:
        return array[i]

    return pick


def keeping(scalar: str, i: int) -> Callable:
    """A value becomes element i."""

    def keep(array: np.ndarray, value: Any) -> None:
        array[i] = value

    return keep


def getting(scalar: str, first: int, n: int) -> Callable:
    """Loads where 16 bytes are aligned."""

    def get(array: np.ndarray, at: int, acc: np.ndarray) -> None:
        if at * array.itemsize % 16 or not 0 <= at <= len(array) - n:
            raise IndexError(at)
        acc[first : first + n] = array[at : at + n]

    return get


def moving(scalar: str, first: int, to: int, n: int) -> Callable:
    """A copy."""

    def move(source: np.ndarray, target: np.ndarray) -> None:
        target[to : to + n] = source[first : first + n]

    return move


def guarded(bodies: dict[int, Callable], scalar: str, size: int) -> Callable:
    """The bodies themselves."""
    steps = {number: unrolled(body, scalar, size) for number, body in bodies.items()}

    def micro(acc: np.ndarray, a: np.ndarray, b: np.ndarray, low: int, high: int) -> None:
        for number, step in steps.items():
            if low <= number <= high:
                step(acc, a, 0, b, 0)

    return micro


def _load(storage: str, scalar: str, slots: np.ndarray, pointer: Pointer, offset: int, there: bool, pad: Any) -> None:
    load, n = reader(storage, scalar), len(slots)
    if there:
        _check(pointer, offset, n)
    slots[:] = [load(pointer, offset + i) for i in range(n)] if there else pad


def _check(pointer: Pointer, offset: int, n: int) -> None:
    """IndexError where an access of n elements is not aligned to its size."""
    address = pointer.memory.__array_interface__["data"][0] + pointer.at(offset) * pointer.memory.itemsize
    if address % (n * pointer.memory.itemsize):
        raise IndexError(f"offset {offset} is not aligned to {n} elements")
