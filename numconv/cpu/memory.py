"""Memory for packed weights and workspaces: aligned, and used again."""

from __future__ import annotations

import ctypes
from collections import deque
from math import prod
from mmap import ACCESS_COPY, mmap

import numpy as np

ALIGNMENT = 64
"""A cache line, and the widest vector: a vector load that crosses a line costs two."""
PIECE_BYTES = 16 << 20
"""What is copied in one go."""

_SPARE: deque[tuple[np.ndarray, int]] = deque(maxlen=4)  # used again: fresh pages cost 0.25 us for every 4 KiB


def address_of(a: np.ndarray) -> int:
    """Address of an array's first element; the buffer protocol is the fast way (0.4 us instead of 1.1)."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(a))  # type: ignore[arg-type]
    except (TypeError, ValueError, BufferError):
        return a.ctypes.data


def aligned_empty(shape: tuple[int, ...], dtype: np.dtype | str) -> np.ndarray:
    """An uninitialised array that begins at a cache line."""
    dtype = np.dtype(dtype)
    space = np.empty(prod(shape) * dtype.itemsize + ALIGNMENT, np.uint8)
    return np.ndarray(shape, dtype, space, -address_of(space) % ALIGNMENT)


def aligned_zeros(shape: tuple[int, ...], dtype: np.dtype | str) -> np.ndarray:
    """An array of zeros that begins at a cache line."""
    array = aligned_empty(shape, dtype)
    array.fill(0)
    return array


def cast(a: np.ndarray, dtype: np.dtype | str) -> np.ndarray:
    """Convert as kernels do: a value out of range becomes infinite, without a warning."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(a, dtype)


def fill(target: np.ndarray, source: np.ndarray) -> None:
    """``target[...] = source`` in pieces: NumPy looks at the keyboard between them, and takes 0.4 s for 400 MB."""
    if target.nbytes <= PIECE_BYTES:
        target[...] = source
    elif len(target) == 1:
        fill(target[0], source[0])
    else:
        count = max(1, len(target) * PIECE_BYTES // target.nbytes)
        for i in range(0, len(target), count):
            fill(target[i : i + count], source[i : i + count])


def ask_for(size: int, what: str) -> None:
    """Have room for `size` bytes, or MemoryError: LLVM, the loader and OpenMP end the process where they find none."""
    try:
        mmap(-1, size, access=ACCESS_COPY).close()  # untouched, 3 us; freed by `malloc`, 32 MiB would change its ways
    except OSError:
        raise MemoryError(f"no {size >> 20} MiB of address space {what}") from None


def borrow_workspace(size: int) -> tuple[np.ndarray, int]:
    """At least `size` aligned bytes that nobody else uses until they are given back, and their address."""
    try:
        space, address = _SPARE.pop()
        if space.size >= size:
            return space, address
    except IndexError:
        pass
    space = aligned_empty((size,), "u1")
    return space, address_of(space)


def give_back(space: np.ndarray, address: int) -> None:
    """Let the next call use a workspace."""
    _SPARE.append((space, address))
