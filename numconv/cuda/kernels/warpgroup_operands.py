"""Operands of `warpgroup` made ready: both in pieces of 16 bytes, channels of one tap that lie side by side.

    x   [N][D][H][W][G][part][piece]               all samples that windows see, with what lies beyond the border
    w   [G][block][stage][part][filter][piece]     of a block's filters; zeros where there is no channel or filter

A piece holds 8 values of 16 bits or 4 of tf32; channels of a group are filled up with zeros to whole pieces. `parts` is
2 for 3xtf32, where a value is the sum of two: what tf32 holds of it, and what tf32 holds of the rest.

Both kernels read any strides. A thread makes one piece; neighbouring threads have neighbouring pieces where channels
are the fastest axis of x, else neighbouring columns, of which each reads one channel after the other: coalesced reads,
and stores of 16 bytes that meet in the L2 cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .borders import sampling
from .kernel import Kernel

THREADS = 256
X_NUMBERS = 23


def pieces_of(kind: str) -> int:
    """Values of a piece."""
    return 4 if kind == "tf32" else 8


def lay(
    kind: str, x: str, borders: bool, channels_fast: bool, vector: bool, parts: int, threads: int = THREADS
) -> Kernel:
    """Samples, rounded; `vector`: channels are neighbours, in whole pieces that are aligned."""
    PIECE, T = pieces_of(kind), threads
    locate, read = _locating(channels_fast), _reading(x, PIECE, vector)
    high, low, PARTS = ops.pouring(kind, 0), ops.pouring("tf32", parts - 1), parts
    sample, int32, int64, kind_of = sampling(borders), np.int32, np.int64, np.float32
    divide = ops.divide

    def lay(x: Any, room: Any, table: Any, numbers: Any, reals: Any) -> None:
        values = cuda.local.array(PIECE, kind_of)
        number = int32(cuda.blockIdx.x) * T + int32(cuda.threadIdx.x)
        n, d, h, v, piece = locate(int32(number), numbers)
        pixel = ((int64(n) * numbers[1] + d) * numbers[2] + h) * numbers[3] + v
        if number < numbers[0] and pixel < numbers[22]:
            g = divide(piece, int32(numbers[5]))
            c = int32((piece - g * int32(numbers[5])) * PIECE)
            line = sample(int64(d) - numbers[7], numbers[10], numbers[7], table, int64(0))
            row = sample(int64(h) - numbers[8], numbers[11], numbers[8], table, numbers[13])
            column = sample(int64(v) - numbers[9], numbers[12], numbers[9], table, numbers[14])
            inside = line >= 0 and row >= 0 and column >= 0
            at = int64(n) * numbers[15] + line * numbers[16] + row * numbers[17] + column * numbers[18]
            at += (int64(g) * numbers[6] + c) * numbers[19] + numbers[20]
            read(values, x, at, inside, int32(int32(numbers[6]) - c), numbers[19], kind_of(reals[0]))
            place = (pixel * numbers[4] + piece + g * numbers[5] * (PARTS - 1)) * 16
            high(room, place, values)
            if PARTS == 2:
                low(room, place + numbers[5] * 16, values)

    pointers = ((x, 0), ("uint8", 0), ("int64", 0))
    return Kernel(lay, (*pointers, ("int64", X_NUMBERS), ("float64", 3)), T)


def _locating(channels_fast: bool) -> Any:
    """(sample, plane, row, column, piece of the pixel) of a number."""
    CHANNELS_FAST, divide, int32 = channels_fast, ops.divide, np.int32

    def locate(number: Any, numbers: Any) -> Any:
        D, H, W, per = int32(numbers[1]), int32(numbers[2]), int32(numbers[3]), int32(numbers[21])
        inner, outer = (per, W) if CHANNELS_FAST else (W, per)
        rest = divide(number, inner)
        fast = int32(number - rest * inner)
        row = divide(rest, outer)
        slow = int32(rest - row * outer)
        plane = divide(row, H)
        h = int32(row - plane * H)
        n = divide(plane, D)
        d = int32(plane - n * D)
        return n, d, h, slow if CHANNELS_FAST else fast, fast if CHANNELS_FAST else slow

    return ops.device(locate)


def _reading(x: str, PIECE: int, vector: bool) -> Any:
    """Channels of a piece: those that are not there are zeros, those of a sample beyond the border the pad value."""
    load, zero = ops.reader(x, "float32"), np.float32(0)

    def each(values: Any, x: Any, at: Any, inside: Any, left: Any, step: Any, pad: Any) -> None:
        for e in range(PIECE):
            value = pad
            if inside and e < left:
                value = load(x, at + e * step)
            values[e] = value if e < left else zero

    if not vector:
        return ops.device(each)
    n = min(16 // np.dtype(x).itemsize, PIECE)
    first, second, TWICE = ops.fetching(x, 0, n), ops.fetching(x, n % PIECE, n), n < PIECE

    def together(values: Any, x: Any, at: Any, inside: Any, left: Any, step: Any, pad: Any) -> None:
        for e in range(PIECE):
            values[e] = pad
        if inside:
            first(values, x, at)
            if TWICE:
                second(values, x, at + n)

    return ops.device(together)


def pack(kind: str, w: str, filters: int, parts: int, threads: int = THREADS) -> Kernel:
    """Weights, `filters` of a block. A row of `places`: where filter 0 has the piece, and how many channels it has."""
    PIECE, FILTERS, T, PARTS, ROWS = pieces_of(kind), filters, threads, parts, filters * 128
    load, look, divide = ops.reader(w, "float32"), ops.reader("int64", "int64"), ops.divide
    high, low = ops.pouring(kind, 0), ops.pouring("tf32", parts - 1)
    int32, int64, kind_of = np.int32, np.int64, np.float32

    def pack(w: Any, packed: Any, places: Any, numbers: Any) -> None:
        values = cuda.local.array(PIECE, kind_of)
        number = int32(cuda.blockIdx.x) * T + int32(cuda.threadIdx.x)
        if number < numbers[0]:
            line = int32(number >> 3)
            rest = divide(line, int32(FILTERS))
            row = int32(line - rest * FILTERS)
            block = divide(rest, int32(numbers[1]))
            stage = int32(rest - block * int32(numbers[1]))
            g = divide(block, int32(numbers[2]))
            f = int32((block - g * int32(numbers[2])) * FILTERS + row)
            entry = int64(stage * 8 + (number & 7)) * 2
            count = look(places, entry + 1) if f < numbers[3] else int64(0)
            at = (int64(g) * numbers[3] + f) * numbers[5] + look(places, entry)
            for e in range(PIECE):
                value = kind_of(0)
                if e < count:
                    value = load(w, at + e * numbers[4])
                values[e] = value
            place = int64(rest) * (ROWS * PARTS) + (row * 8 + (number & 7)) * 16
            high(packed, place, values)
            if PARTS == 2:
                low(packed, place + ROWS, values)

    return Kernel(pack, ((w, 0), ("uint8", 0), ("int64", 0), ("int64", 6)), T)
