"""One product of matrices of float64 by tensor cores, as `double` takes it apart: for `..probes`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .kernel import Kernel

THREADS = 32


def product() -> Kernel:
    """From the rows of 16 x 16 numbers and, behind them, the columns of 16 x 8, to the rows of 16 x 8."""

    def body(acc: list, own: list, rows: Any, columns: Any, mma: Any) -> None:
        left = [rows(i % 2 * 128 + i // 2 * 4, 1)[0] for i in range(8)]
        acc[:4] = mma(acc[:4], left, [columns(i * 4, 1)[0] for i in range(4)])

    micro, new_memory, new_sums = (
        ops.multiplying_doubles(body, 4, 1),
        ops.shared("float64", 384),
        ops.shared("float64", 128),
    )
    place, take, clear = ops.placing("float64"), ops.taking("float64"), ops.filling("float64", 0, 4, 0.0)
    put, load, store = (
        ops.scattering("float64", 0, 2, (0, 64)),
        ops.reader("float64", "float64"),
        ops.writer("float64", "float64"),
    )
    int32, int64 = np.int32, np.int64

    def product(x: Any, out: Any) -> None:
        memory, sums = new_memory(), new_sums()
        acc, own = cuda.local.array(4, np.float64), cuda.local.array(1, np.float64)
        t = int32(cuda.threadIdx.x)
        for i in range(12):
            place(memory, int32(i * 32 + t), load(x, int64(i * 32 + t)))
        cuda.syncthreads()
        clear(acc)
        at = int32((t >> 2) * 16 + (t & 3))
        micro(acc, own, memory, at, memory, int32(256 + at))
        put(sums, int32((t >> 2) * 8 + (t & 3) * 2), acc)
        cuda.syncthreads()
        for i in range(4):
            store(out, int64(i * 32 + t), take(sums, int32(i * 32 + t)))

    return Kernel(product, (("float64", 0), ("float64", 0)), THREADS)
