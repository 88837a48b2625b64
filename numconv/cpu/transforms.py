"""Lengths of Fourier transforms, their passes and factors: what `kernels.fft_passes` reads."""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np


@lru_cache(maxsize=1024)
def radices(length: int) -> tuple[int, ...] | None:
    """The passes of a length, first to last; None where there are none.

    The last needs no factors, so it is one of radix 8 where there is one.
    """
    odd, rest = [], length
    for radix in (5, 3):
        while rest % radix == 0:
            odd.append(radix)
            rest //= radix
    twos = rest.bit_length() - 1
    if rest != 1 << twos or twos == 1:
        return None
    fours = (0, 2, 1)[twos % 3]
    return (*odd, *[4] * fours, *[8] * ((twos - 2 * fours) // 3))


@lru_cache(maxsize=64)
def lengths(multiple: int, most: int) -> tuple[int, ...]:
    """Those that are multiples of a number of lanes, ascending; at most two passes in five are of an odd radix."""
    found = []
    for length in range(multiple, most + 1, multiple):
        passes = radices(length)
        if passes is not None and length % 9 and length % 25:
            found.append(length)
    return tuple(found)


@lru_cache(maxsize=256)
def passes(length: int, scalar: str) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """The table of a length, and the factors that it points to."""
    rows, factors, blocks = [], [], 1
    steps = radices(length)
    assert steps is not None
    for radix in steps:
        gap = length // (blocks * radix)
        angles = -2 * np.pi / (gap * radix) * np.outer(np.arange(gap), np.arange(1, radix))
        turns = np.stack([np.cos(angles), np.sin(angles)], axis=-1).astype(scalar)
        factors.append(turns)
        rows += [radix, gap, blocks, turns.ctypes.data]
        blocks *= radix
    return np.array([len(steps), *rows], np.int64), tuple(factors)


@lru_cache(maxsize=256)
def order(length: int) -> np.ndarray:
    """The frequency that each element of a spectrum belongs to."""
    steps = radices(length)
    assert steps is not None
    index, weight, place = np.zeros(length, np.int64), 1, length
    for radix in steps:
        place //= radix
        index += np.arange(length) // place % radix * weight
        weight *= radix
    assert weight == prod(steps) == length
    return index


@lru_cache(maxsize=32)
def turns(rows: int, columns: int, lanes: int, scalar: str) -> np.ndarray:
    """exp(-2 pi i k n / (rows * columns)) of frequency k of a column and of sample n of a row, as tiles lie.

    Between the transforms of columns and those of rows they make one of rows * columns samples (D. H. Bailey, FFTs in
    external or hierarchical memory, J. Supercomputing 4, 1990).
    """
    numbers = np.outer(order(rows), np.arange(columns)) % (rows * columns)
    angles = (-2 * np.pi / (rows * columns) * numbers).reshape(rows, columns // lanes, 1, lanes)
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=2).astype(scalar)
