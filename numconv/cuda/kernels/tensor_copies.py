"""What `tensor` reads: weights in the order of its steps, and x where it does not lie in chunks of 16 bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .borders import sampling
from .kernel import Kernel, storage_of

PACK_NUMBERS, GATHER_NUMBERS = 7, 21


def pack(w: str, kind: str, storage: str, chunk: int, threads: int, pairs: int) -> Kernel:
    """Weights as [group][step][filter][8 chunks], a thread a chunk; zeros where there is no channel or filter.

    `chunks`: (the place of the first weight, how many there are) of each chunk of a filter. Complex filters are two
    each: what the real part is made of, then the imaginary one; `pairs`: of so many real numbers for a channel.
    """
    load, look, store = (
        ops.reader(storage_of(w), "float32"),
        ops.reader("int64", "int64"),
        ops.storing_as(kind, storage, chunk),
    )
    CH, THREADS, divide, int32, int64, float32 = chunk, threads, ops.divide, np.int32, np.int64, np.float32

    CHANNEL, FILTER = int(pairs == 2), int(pairs > 0)

    def packing(w: Any, packed: Any, chunks: Any, numbers: Any) -> None:
        i = int32(int32(cuda.blockIdx.x) * THREADS + cuda.threadIdx.x)
        values = cuda.local.array(CH, float32)
        if i < numbers[0]:
            row = int32(i >> 3)
            step = divide(row, numbers[1])
            f = int32(row - step * numbers[1])
            g = divide(step, numbers[2])
            of = int64(int32(int32(step - g * numbers[2]) * 8 + (i & 7)) * 2)
            at, count = look(chunks, of), look(chunks, of + 1)
            at += int64(int32(g * numbers[3] + f) >> FILTER) * numbers[4]
            for e in range(CH):
                part = (e & CHANNEL) ^ (f & FILTER)
                there = f < numbers[3] and e < count
                value = load(w, at + (e >> CHANNEL) * int64(numbers[5]) + part) if there else float32(0)
                values[e] = -value if CHANNEL and e & 1 and not f & 1 else value
            store(packed, int64(i) * CH, values)

    return Kernel(packing, ((storage_of(w), 0), (storage, 0), ("int64", 0), ("int32", PACK_NUMBERS)), threads)


def gather(
    x: str, kind: str, storage: str, chunk: int, borders: bool, grouped: bool, threads: int, pairs: bool
) -> Kernel:  # fmt: skip
    """Of x, with its padding, as [n][d][h][w][group][channels], in whole chunks.

    A warp has eight neighbouring pixels, and four chunks of them at a time, four times: whatever lies side by side in
    x, reads and writes are of 32 bytes at least. `pairs`: of complex numbers, whose parts are two channels.
    """
    load, store, sample = ops.reader(storage_of(x), "float32"), ops.storing_as(kind, storage, chunk), sampling(borders)
    CH, PIXELS, GROUPED, PAIR = chunk, threads // 4, grouped, int(pairs)
    divide, int32, int64, float32 = ops.divide, np.int32, np.int64, np.float32

    def position(at: Any, lo: Any, size: Any, table: Any, first: Any) -> Any:
        return sample(int64(int32(at - lo)), int64(size), int64(lo), table, int64(first))

    position = ops.device(position)

    def gathering(x: Any, scratch: Any, table: Any, numbers: Any, reals: Any) -> None:
        t = int32(cuda.threadIdx.x)
        pixel = int32(int32(cuda.blockIdx.x) * PIXELS + (t >> 5) * 8 + (t & 7))
        values = cuda.local.array(CH, float32)
        if pixel < numbers[0]:
            row = divide(pixel, numbers[4])
            plane = divide(row, numbers[3])
            n = divide(plane, numbers[2])
            d = position(int32(plane - n * numbers[2]), numbers[5], numbers[8], table, 0)
            h = position(int32(row - plane * numbers[3]), numbers[6], numbers[9], table, numbers[11])
            v = position(int32(pixel - row * numbers[4]), numbers[7], numbers[10], table, numbers[12])
            inside = d >= 0 and h >= 0 and v >= 0
            base = int64(n) * numbers[13] + d * numbers[14] + h * numbers[15] + v * numbers[16]
            for i in range(4):
                q = int32(int32(cuda.blockIdx.y) * 16 + i * 4 + ((t & 31) >> 3))
                g = divide(q, numbers[18]) if GROUPED else int32(0)
                c = int32(int32(q - g * numbers[18]) * CH)
                at = base + int64(int32(g * numbers[19] + c) >> PAIR) * numbers[17]
                if q < numbers[1]:
                    for e in range(CH):
                        value = float32(reals[0]) if c + e < numbers[19] else float32(0)
                        if inside and c + e < numbers[19]:
                            value = load(x, at + (e >> PAIR) * int64(numbers[17]) + (e & PAIR))
                        values[e] = value
                    store(scratch, int64(pixel) * numbers[20] + int64(q) * CH, values)

    arguments = ((storage_of(x), 0), (storage, 0), ("int64", 0), ("int32", GATHER_NUMBERS), ("float64", 3))
    return Kernel(gathering, arguments, threads)
