"""Feature maps reduced as `_reductions` says: each row from left to right, then the rows from first to last."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .finish import converting
from .kernel import Kernel, scalar_of

NUMBERS = 10
PITCH = 33
"""Elements from row to row in shared memory: neighbouring threads' rows are in different banks."""


def rows(result: str, reduction: str, kept: str, last: bool, threads: int = 256) -> Kernel:
    """A thread for each row of a map, of which neighbouring ones are filters (`last`) or rows.

    `kept`: the type of what a row comes to, its largest value, its sum, or the number of positive values.
    """
    scalar = kept if reduction == "max" else "float64"
    load, store, divide, add = ops.reader(result, scalar), ops.writer(kept, kept), ops.divide, _adding(reduction)
    LAST, THREADS, int32, int64 = last, threads, np.int32, np.int64
    FIRST, zero = reduction == "max", int64(0) if reduction == "ppv" else 0.0

    def reduce_rows(maps: Any, rows: Any, numbers: Any) -> None:
        N, F, OH, OW = numbers[0], numbers[1], numbers[2], numbers[3]
        mD, mH, mW, mF, R = numbers[5], numbers[6], numbers[7], numbers[8], numbers[9]
        i = int64(cuda.blockIdx.x) * THREADS + int64(cuda.threadIdx.x)
        if i >= R * F:
            return
        slow = int64(divide(int32(i), int32(F if LAST else R)))
        fast = i - slow * (F if LAST else R)
        row, f = (slow, fast) if LAST else (fast, slow)
        d = int64(divide(int32(row), int32(OH)))
        n = int64(cuda.blockIdx.y)
        while n < N:
            at = n * numbers[4] + d * mD + (row - d * OH) * mH + f * mF
            total = load(maps, at) if FIRST else zero
            for _ in range(OW):
                total = add(total, load(maps, at))
                at += mW
            store(rows, n * R * F + i, total)
            n += int64(cuda.gridDim.y)

    return Kernel(reduce_rows, ((result, 0), (kept, 0), ("int64", NUMBERS)), threads)


def staged(result: str, reduction: str, kept: str, threads: int = 128) -> Kernel:
    """The same for rows that follow each other in memory, 32 a warp: their samples come by way of shared memory.

    A warp reads 32 neighbours of a row at once, all its rows in turn; then each thread adds those of its own row.
    """
    held = scalar_of(result)
    load, store, add, sync = ops.reader(result, held), ops.writer(kept, kept), _adding(reduction), ops.sync_warp
    array, place, take = ops.shared(held, threads * PITCH), ops.placing(held), ops.taking(held)
    FIRST, THREADS, int32, int64 = reduction == "max", threads, np.int32, np.int64
    kind, zero = getattr(np, kept if FIRST else "float64"), int64(0) if reduction == "ppv" else 0.0

    def reduce_staged(maps: Any, rows: Any, numbers: Any) -> None:
        ROWS, OW = numbers[0], numbers[1]
        t = int32(cuda.threadIdx.x)
        lane, tile = t & int32(31), array()
        own = t - lane
        first = int64(cuda.blockIdx.x) * THREADS + int64(own)
        mine = first + int64(lane)
        total = kind(load(maps, min(mine, ROWS - 1) * OW)) if FIRST else zero
        for w in range(0, OW, 32):
            count = int32(min(OW - w, int64(32)))
            for r in range(32):
                if first + r < ROWS and lane < count:
                    place(tile, (own + int32(r)) * int32(PITCH) + lane, load(maps, (first + r) * OW + w + int64(lane)))
            sync()
            if mine < ROWS:
                for i in range(count):
                    total = add(total, kind(take(tile, t * int32(PITCH) + int32(i))))
            sync()
        if mine < ROWS:
            store(rows, mine, total)

    return Kernel(reduce_staged, ((result, 0), (kept, 0), ("int64", 2)), threads)


def columns(kept: str, reduction: str, reduced: str, overflow: str, last: bool, threads: int = 256) -> Kernel:
    """A thread for each map: what its rows came to is put together, and stored as a `reduced`."""
    load, add, THREADS, LAST, int64 = ops.reader(kept, kept), _adding(reduction, False), threads, last, np.int64
    finish, scalar = _finishing(kept, reduction, reduced, overflow)
    store, float64 = ops.writer(reduced, scalar), np.float64

    def reduce_columns(rows: Any, out: Any, numbers: Any) -> None:
        N, F, R, oN, oF = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
        f = int64(cuda.blockIdx.x) * THREADS + int64(cuda.threadIdx.x)
        if f >= F:
            return
        n = int64(cuda.blockIdx.y)
        while n < N:
            at = n * R * F + (f if LAST else f * R)
            total = load(rows, at)
            for _ in range(R - 1):
                at += F if LAST else 1
                total = add(total, load(rows, at))
            store(out, n * oN + f * oF, finish(total, float64(numbers[5])))
            n += int64(cuda.gridDim.y)

    return Kernel(reduce_columns, ((kept, 0), (reduced, 0), ("int64", 6)), threads)


def _adding(reduction: str, elements: bool = True) -> Any:
    """add(total, value); `elements`: the value is one of a map, not what a row came to."""

    def largest(total: Any, value: Any) -> Any:
        if total == 0 and value == 0:
            return total + value  # of zeros, +0.0 is the larger one
        return value if value > total or value != value else total

    def positive(total: Any, value: Any) -> Any:
        return total + 1 if value > 0.0 else total

    def plus(total: Any, value: Any) -> Any:
        return total + value

    return ops.device(largest if reduction == "max" else positive if reduction == "ppv" and elements else plus)


def _finishing(kept: str, reduction: str, reduced: str, overflow: str) -> tuple[Any, str]:
    """(finish(total, count), the scalar that it returns and that a writer takes)."""
    convert, scalar = converting(kept, reduced, overflow)
    float64 = np.float64

    def largest(total: Any, count: Any) -> Any:
        return convert(total)

    def share(total: Any, count: Any) -> Any:
        return float64(total) / count

    return (ops.device(largest), scalar) if reduction == "max" else (ops.device(share), "float64")
