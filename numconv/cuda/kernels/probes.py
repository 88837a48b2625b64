"""Kernels of one warp that do one thing which only a GPU can get wrong: `..probes` compares what they write."""

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


def matrices(kind: str) -> Kernel:
    """A product of 16 rows by 16 columns, each 32 bytes of a kind: 16 rows, then 16 columns, to 16 x 16 float32.

    Rows of tf32 are rounded as they come. In shared memory rows are 48 bytes apart: eight of them are in all banks.
    """

    def body(acc: list, rows: Any, columns: Any, warp: Any) -> None:
        left, right = rows(0, 0), columns(0, 0)
        if kind == "tf32":
            left = [warp.rounded(word) for word in left]
        acc[:4] = warp.multiply(acc[:4], left, right[:2])
        acc[4:8] = warp.multiply(acc[4:8], left, right[2:])

    WORDS, PITCH = 256, 12
    new_memory, new_stage = ops.shared("float32", 32 * PITCH), ops.shared("float32", WORDS)
    step, clear, put = ops.matrices(body, kind, 8), ops.filling("float32", 0, 8, 0.0), ops.unloading(0, 2, 16)
    load, store = ops.reader("float32", "float32"), ops.writer("float32", "float32")
    place, take, int32, int64, ALL = ops.placing("float32"), ops.taking("float32"), np.int32, np.int64, THREADS

    def matrices(x: Any, out: Any) -> None:
        memory, stage, acc = new_memory(), new_stage(), cuda.local.array(8, np.float32)
        lane = int32(cuda.threadIdx.x)
        for i in range(lane, WORDS, ALL):
            place(memory, int32((i >> 3) * PITCH + (i & 7)), load(x, int64(i)))
        clear(acc)
        cuda.syncthreads()
        rows = int32((lane & 15) * PITCH + (lane >> 4) * 4)
        columns = int32((16 + (lane & 7) + ((lane >> 4) << 3)) * PITCH + ((lane >> 3) & 1) * 4)
        step(acc, memory, rows, columns)
        put(stage, int32((lane >> 2) * 16 + (lane & 3) * 2), acc)
        cuda.syncthreads()
        for i in range(lane, WORDS, ALL):
            store(out, int64(i), take(stage, int32(i)))

    return Kernel(matrices, (("float32", 0), ("float32", 0)), THREADS)
