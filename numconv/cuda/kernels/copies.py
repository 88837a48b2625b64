"""Weights copied into one block of memory: those of groups, or conjugated ones, which no strides can show."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .kernel import Kernel, scalar_of, storage_of

AXES = 6


def make(dtype: str, conjugate: bool, threads: int = 256) -> Kernel:
    """`AXES` axes with any strides, of which the last one is fastest in the copy; `sizes`: their sizes, and all."""
    storage, scalar = storage_of(dtype), scalar_of(dtype)
    load, store, divide = ops.reader(storage, scalar), ops.writer(storage, scalar), ops.divide
    COMPLEX, CONJUGATE, THREADS, int32, int64 = dtype[0] == "c", conjugate, threads, np.int32, np.int64

    def split(rest: Any, at: Any, size: Any, step: Any) -> Any:
        whole = divide(rest, int32(size))
        return whole, at + int64(rest - whole * int32(size)) * step

    split = ops.device(split)

    def copy(given: Any, out: Any, sizes: Any, steps: Any) -> None:
        i = int64(cuda.blockIdx.x) * THREADS + int64(cuda.threadIdx.x)
        if i < sizes[6]:
            rest, at = split(int32(i), int64(0), sizes[5], steps[5])
            rest, at = split(rest, at, sizes[4], steps[4])
            rest, at = split(rest, at, sizes[3], steps[3])
            rest, at = split(rest, at, sizes[2], steps[2])
            rest, at = split(rest, at, sizes[1], steps[1])
            at += int64(rest) * steps[0]
            if COMPLEX:
                store(out, 2 * i, load(given, at))
                value = load(given, at + 1)
                store(out, 2 * i + 1, -value if CONJUGATE else value)
            else:
                store(out, i, load(given, at))

    return Kernel(copy, ((storage, 0), (storage, 0), ("int64", AXES + 1), ("int64", AXES)), threads)
