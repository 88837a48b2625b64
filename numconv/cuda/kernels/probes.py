"""Kernels of one block that do one thing which only a GPU can get wrong: `..probes` compares what they write."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .kernel import Kernel

THREADS = 32


def copies() -> Kernel:
    """Of 4, 8 and 16 bytes, from 224 numbers to 224: two groups, of which the first is waited for alone.

    Each thread leaves out what it does not find "there": zeros, over sevens. Another thread's are read.
    """
    one, two, four = (ops.copying("float32", n) for n in (1, 2, 4))
    memory, place, take = ops.shared("float32", 7 * THREADS), ops.placing("float32"), ops.taking("float32")
    first, last, commit, store = ops.waiting(1), ops.waiting(0), ops.commit, ops.writer("float32", "float32")
    int32, int64, float32, ALL = np.int32, np.int64, np.float32, THREADS

    def copies(x: Any, out: Any) -> None:
        t = int32(cuda.threadIdx.x)
        array = memory()
        for i in range(7):
            place(array, int32(int32(i) * ALL + t), float32(7))
        cuda.syncthreads()
        there = (t & 3) != 1
        one(array, t, x, int64(t), there)
        commit()
        two(array, int32(ALL + 2 * t), x, int64(ALL + 2 * t), not there)
        four(array, int32(3 * ALL + 4 * t), x, int64(3 * ALL + 4 * t), there)
        commit()
        first()
        cuda.syncthreads()
        store(out, int64(t), take(array, int32(t ^ 1)))
        last()
        cuda.syncthreads()
        for i in range(1, 7):
            at = int32(int32(i) * ALL + t)
            store(out, int64(at), take(array, int32(at ^ 8)))

    return Kernel(copies, (("float32", 0), ("float32", 0)), THREADS)
