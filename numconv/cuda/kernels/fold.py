"""Gradients of samples that padding shows once more: what lies beyond the borders is added inside, axis by axis.

A sample along an axis takes its own place of the padded gradient, and then those that show it, ascending; along D
first, then H, then W, as the CPU adds them. A thread makes one element of the result, or one part of a complex one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .kernel import Kernel, scalar_of, storage_of

BLOCKS = {"float32": 4, "float64": 2}
"""Of 256 threads on a multiprocessor."""
NUMBERS = 20


def make(compute: str, result: str, last: bool, threads: int = 256) -> Kernel:
    """`last`: neighbouring threads are channels, else columns.

    `table`: for each axis where the places of a sample begin, and those of the next; then these places.
    """
    scalar, PARTS = scalar_of(compute), 2 if compute[0] == "c" else 1
    store, divide = ops.writer(storage_of(result), scalar), ops.divide
    LAST, THREADS, int32, int64 = last, threads, np.int32, np.int64
    gathered = _gathered(scalar)

    def fold(maps: Any, out: Any, table: Any, numbers: Any) -> None:
        N, D, H, W, C = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
        oN, oD, oH, oW, oC = numbers[5], numbers[6], numbers[7], numbers[8], numbers[9]
        i, fast = int64(cuda.blockIdx.x) * THREADS + int64(cuda.threadIdx.x), (C if LAST else W) * PARTS
        if i >= (W if LAST else C) * fast:
            return
        slow = divide(int32(i), int32(fast))
        rest = int32(i) - slow * int32(fast)
        lane = divide(rest, int32(PARTS))
        part, w, c = int64(rest - lane * int32(PARTS)), int64(slow if LAST else lane), int64(lane if LAST else slow)
        n = int64(cuda.blockIdx.z)
        while n < N:
            row = int64(cuda.blockIdx.y)
            while row < D * H:
                d = int64(divide(int32(row), int32(H)))
                h = row - d * H
                value = gathered(maps, table, numbers, n * numbers[10] + c * numbers[14] + part, d, h, w)
                store(out, n * oN + d * oD + h * oH + w * oW + c * oC + part, value)
                row += int64(cuda.gridDim.y)
            n += int64(cuda.gridDim.z)

    pointers = ((scalar, 0), (storage_of(result), 0), ("int64", 0))
    return Kernel(fold, (*pointers, ("int64", NUMBERS)), threads, BLOCKS[scalar])


def _gathered(scalar: str) -> Any:
    """gathered(maps, table, numbers, at, d, h, w): the sum of a sample and all that shows it."""
    load, place = ops.reader(scalar, scalar), ops.reader("int64", "int64")

    def along_d(maps: Any, table: Any, numbers: Any, at: Any, d: Any) -> Any:
        value = load(maps, at + (d + numbers[15]) * numbers[11])
        for j in range(place(table, d), place(table, d + 1)):
            value += load(maps, at + place(table, j) * numbers[11])
        return value

    along_d = ops.device(along_d)

    def along_h(maps: Any, table: Any, numbers: Any, at: Any, d: Any, h: Any) -> Any:
        value = along_d(maps, table, numbers, at + (h + numbers[16]) * numbers[12], d)
        for j in range(place(table, numbers[18] + h), place(table, numbers[18] + h + 1)):
            value += along_d(maps, table, numbers, at + place(table, j) * numbers[12], d)
        return value

    along_h = ops.device(along_h)

    def along_w(maps: Any, table: Any, numbers: Any, at: Any, d: Any, h: Any, w: Any) -> Any:
        value = along_h(maps, table, numbers, at + (w + numbers[17]) * numbers[13], d, h)
        for j in range(place(table, numbers[19] + w), place(table, numbers[19] + w + 1)):
            value += along_h(maps, table, numbers, at + place(table, j) * numbers[13], d, h)
        return value

    return ops.device(along_w)
