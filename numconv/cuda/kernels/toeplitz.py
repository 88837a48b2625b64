"""What `..toeplitz` does around products of matrices: samples and weights in blocks, and results out of them.

Products with zeros must not spread what is not finite: such samples are zeros here, what may see them is marked, and
summed up as `generic` does it. So are numbers that rounding could make infinite.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from . import generic
from .borders import sampling
from .finish import activating, adding, converting
from .kernel import Kernel, storage_of

EACH = 4
"""Samples, or results, of a thread: so many loads at once."""
FINITE = 2.0**126
"""Below, no precision rounds to infinity."""


def gather(x: str, storage: str, borders: bool, threads: int) -> Kernel:
    """Signals with their padding, one after the other, zeros behind; a flag for each block of the grid."""
    load, sample, store = ops.reader(x, "float32"), sampling(borders), ops.writer(storage, "float32")
    mark, THREADS, int32, int64, float32 = ops.writer("int32", "int64"), threads, np.int32, np.int64, np.float32
    most, nothing = float32(FINITE), float32(0)

    def gathering(x: Any, samples: Any, flags: Any, table: Any, numbers: Any, reals: Any) -> None:
        N, LENGTH, PADDED, W, LO = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
        strange, values = cuda.shared.array(1, int32), cuda.local.array(EACH, float32)
        t, n = int64(cuda.threadIdx.x), int64(cuda.blockIdx.y)
        first = int64(cuda.blockIdx.x) * (THREADS * EACH) + t
        while n < N:
            if t == 0:
                strange[0] = 0
            cuda.syncthreads()
            for i in range(EACH):
                at = first + i * THREADS
                value = nothing
                if at < PADDED:
                    at = sample(at - LO, W, LO, table, int64(0))
                    value = load(x, n * numbers[5] + at * numbers[6]) if at >= 0 else float32(reals[0])
                values[i] = value
            for i in range(EACH):
                value = values[i]
                if not abs(value) < most:
                    strange[0] = 1
                    value = nothing
                if first + i * THREADS < LENGTH:
                    store(samples, n * LENGTH + first + i * THREADS, value)
            cuda.syncthreads()
            if t == 0:
                mark(flags, n * int64(cuda.gridDim.x) + int64(cuda.blockIdx.x), int64(strange[0]))
            n += int64(cuda.gridDim.y)

    pointers = ((x, 0), (storage, 0), ("int32", 0), ("int64", 0))
    return Kernel(gathering, (*pointers, ("int64", 7), ("float64", 3)), threads)


def weigh(w: str, threads: int) -> Kernel:
    """A flag for each filter, which is a block's."""
    load, mark, THREADS = ops.reader(w, "float32"), ops.writer("int32", "int64"), threads
    int32, int64, most = np.int32, np.int64, np.float32(FINITE)

    def weighing(w: Any, flags: Any, numbers: Any) -> None:
        strange = cuda.shared.array(1, int32)
        k, f = int64(cuda.threadIdx.x), int64(cuda.blockIdx.x)
        if k == 0:
            strange[0] = 0
        cuda.syncthreads()
        while k < numbers[0]:
            if not abs(load(w, k * numbers[1] + f * numbers[2])) < most:
                strange[0] = 1
            k += THREADS
        cuda.syncthreads()
        if int32(cuda.threadIdx.x) == 0:
            mark(flags, f, int64(strange[0]))

    return Kernel(weighing, ((w, 0), ("int32", 0), ("int64", 3)), threads)


def pack(w: str, storage: str, pixels: bool, threads: int) -> Kernel:
    """Weights as (blocks, samples of a block, columns): weight i - j of filter f for sample i and place j of a result.

    Columns are (f, j) where results of neighbouring `pixels` are to be neighbours, otherwise (j, f).
    """
    load, store = ops.reader(w, "float32"), ops.writer(storage, "float32")
    THREADS, PIXELS, divide, int32, int64, float32 = threads, pixels, ops.divide, np.int32, np.int64, np.float32

    def packing(w: Any, packed: Any, numbers: Any) -> None:
        at = int64(cuda.blockIdx.x) * THREADS + int64(cuda.threadIdx.x)
        if at >= numbers[0]:
            return
        row = divide(int32(at), int32(numbers[1]))
        column = int32(int32(at) - row * int32(numbers[1]))
        slow = divide(column, int32(numbers[2]))
        fast = int32(column - slow * int32(numbers[2]))
        f, j = (slow, fast) if PIXELS else (fast, slow)
        k = int64(row) - int64(j)
        value = load(w, k * numbers[4] + int64(f) * numbers[5]) if 0 <= k < numbers[3] else float32(0)
        store(packed, at, value)

    return Kernel(packing, ((w, 0), (storage, 0), ("int64", 6)), threads)


def finish(
    x: str, w: str, bias: str, result: str, activation: str, overflow: str, borders: bool, lanes: int, threads: int
) -> Kernel:  # fmt: skip
    """Sums with bias, activated and converted; those that may see what is marked are summed up anew, one by one.

    `lanes` as in `generic`, whose `numbers` these are; `more` are of sums and flags.
    """
    storage = storage_of(result)
    element = generic.summing(generic.products(x, w, "float32", "float32"), "float32", borders)
    add, activate = adding(bias, "float32", "float32"), activating("float32", activation)
    convert, whole = converting("float32", storage, overflow)
    load, look, store = ops.reader("float32", "float32"), ops.reader("int32", "int64"), ops.writer(storage, whole)
    THREADS, LANES, PIXELS, int32, int64, float32 = threads, lanes, threads // lanes, np.int32, np.int64, np.float32
    divide, nothing = ops.divide, float32(0)

    def finishing(
        x: Any, w: Any, bias: Any, out: Any, table: Any, sums: Any, flags: Any, filters: Any, numbers: Any, more: Any,
        reals: Any,
    ) -> None:  # fmt: skip
        N, F, OW, oN, oW, oF = numbers[0], numbers[1], numbers[5], numbers[6], numbers[9], numbers[10]
        strange, values = cuda.shared.array(1, int32), cuda.local.array(EACH, float32)
        t, n = int32(cuda.threadIdx.x), int64(cuda.blockIdx.z)
        begin = int64(cuda.blockIdx.x) * (PIXELS * EACH)
        first, last = begin + int64(divide(t, int32(LANES))), min(begin + PIXELS * EACH, OW) - 1
        while n < N:
            if t == 0:
                strange[0] = 0
            cuda.syncthreads()
            flag = (begin >> more[0]) + int64(t)
            while flag <= (last + numbers[17] - 1) >> more[0]:
                if look(flags, n * more[1] + flag) != 0:
                    strange[0] = 1
                flag += THREADS
            cuda.syncthreads()
            f = int64(cuda.blockIdx.y) * LANES + int64(t) % LANES
            while f < F:
                anew = strange[0] != 0 or look(filters, f) != 0
                for i in range(EACH):
                    ow = first + i * PIXELS
                    value = nothing
                    if ow < OW and not anew:
                        value = load(sums, n * more[2] + (ow >> more[3]) * more[4] + ow * more[5] + f * more[6])
                    values[i] = value
                for i in range(EACH):
                    ow = first + i * PIXELS
                    if ow < OW:
                        total = values[i]
                        if anew:
                            total, _ = element(
                                x, w, table, numbers, reals, n, f, int64(0), int64(0), int64(0), ow
                            )  # fmt: skip
                        total, _ = add(total, nothing, bias, f * numbers[11])
                        store(out, n * oN + ow * oW + f * oF, convert(activate(total, reals[2])))
                f += int64(cuda.gridDim.y) * LANES
            cuda.syncthreads()
            n += int64(cuda.gridDim.z)

    given = ((x, 0), (w, 0), (storage_of(bias or "float32"), 0), (storage, 0), ("int64", 0))
    own = (("float32", 0), ("int32", 0), ("int32", 0))
    return Kernel(
        finishing, (*given, *own, ("int64", generic.NUMBERS), ("int64", 7), ("float64", 3)), threads, generic.BLOCKS
    )  # fmt: skip
