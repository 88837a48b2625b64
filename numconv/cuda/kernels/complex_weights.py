"""Complex weights and biases as those of the real problem that `..complex_view` makes of a complex one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .kernel import Kernel, storage_of

THREADS = 256


def make(w: str, parts: str) -> Kernel:
    """To (KD, KH, KW, channels, filters) of real numbers; `parts`: whether x and w are complex.

    "cc": blocks [[re, im], [-im, re]] of two channels and two filters; "fc": (re, im) of two filters; "cf": twice the
    same, for the real and for the imaginary parts of one channel.
    """
    scalar = storage_of(w)
    load, store, divide = ops.reader(scalar, scalar), ops.writer(scalar, scalar), ops.divide
    int32, int64, TWICE, BLOCKS = np.int32, np.int64, parts == "cf", parts == "cc"

    def weights(w: Any, packed: Any, numbers: Any) -> None:
        at = int64(cuda.blockIdx.x) * THREADS + int64(cuda.threadIdx.x)
        if at >= numbers[0]:
            return
        row = divide(int32(at), int32(numbers[4]))
        f = int32(int32(at) - row * int32(numbers[4]))
        tap = divide(row, int32(numbers[3]))
        c = int32(row - tap * int32(numbers[3]))
        line = divide(tap, int32(numbers[2]))
        kw = int32(tap - line * int32(numbers[2]))
        kd = divide(line, int32(numbers[1]))
        kh = int32(line - kd * int32(numbers[1]))
        place = kd * numbers[5] + kh * numbers[6] + kw * numbers[7] + int64(f >> 1) * numbers[9]
        if TWICE:
            store(packed, at, load(w, place + int64(c) * numbers[8]))
        elif BLOCKS:
            value = load(w, place + int64(c >> 1) * numbers[8] + ((c ^ f) & 1))
            store(packed, at, -value if c & 1 and not f & 1 else value)
        else:
            store(packed, at, load(w, place + int64(c) * numbers[8] + (f & 1)))

    return Kernel(weights, ((scalar, 0), (scalar, 0), ("int64", 10)), THREADS)


def bias(kind: str, scalar: str) -> Kernel:
    """A bias as pairs, imaginary parts of a real one being zeros, which are added too."""
    load, store, zero = ops.reader(storage_of(kind), scalar), ops.writer(scalar, scalar), getattr(np, scalar)(0)
    int64, COMPLEX = np.int64, kind[0] == "c"

    def pairs(bias: Any, packed: Any, numbers: Any) -> None:
        at = int64(cuda.blockIdx.x) * THREADS + int64(cuda.threadIdx.x)
        if at >= numbers[0]:
            return
        place = (at >> 1) * numbers[1]
        if COMPLEX:
            store(packed, at, load(bias, place + (at & 1)))
        else:
            store(packed, at, load(bias, place) if at & 1 == 0 else zero)

    return Kernel(pairs, ((storage_of(kind), 0), (scalar, 0), ("int64", 2)), THREADS)
