"""What is around transforms: tiles of x and filters with zeros behind them, products of spectra, results.

A sample that is not finite, or so large that a sum of products might leave its type, is zero in a tile, and the tile is
marked; so is one without any sample of some size, whose products might be too small. Marks are three int32: there is
such a sample, there is a small one, there is one of some size. Results of a marked tile, or filter, are sums of
`generic`, computed where they would be read: nobody has to look at the marks on the host.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .borders import sampling
from .finish import activating, adding, converting
from .generic import NUMBERS, products, summing
from .kernel import Kernel, storage_of
from .shapes import SPECTRA_MARKS as MARKS
from .shapes import SPECTRA_SAMPLES as SAMPLES

GATHER_NUMBERS, PACK_NUMBERS, STORE_NUMBERS = 26, 12, NUMBERS + 10
RANGE = {"float32": (36, 36), "float64": (400, 400)}
"""Exponents of two: the largest and, negative, the smallest size of what is transformed."""


def clear(threads: int) -> Kernel:
    """No marks."""
    store, THREADS, int64 = ops.writer("int32", "int64"), threads, np.int64

    def clearing(marks: Any, numbers: Any) -> None:
        i = int64(cuda.blockIdx.x) * THREADS + int64(cuda.threadIdx.x)
        if i < numbers[0]:
            store(marks, i, int64(0))

    return Kernel(clearing, (("int32", 0), ("int64", 1)), threads)


def gather(x: str, compute: str, borders: bool, threads: int) -> Kernel:
    """Tiles of x with its padding, as [tile][channel][sample]; a thread some samples, so that few find their tile."""
    load, store, sample = ops.reader(storage_of(x), compute), ops.writer(compute, compute), sampling(borders)
    judge, split, within, kind = _judging(compute), _splitting(), _within(), getattr(np, compute)
    THREADS, TURN, int32, int64 = threads, SAMPLES, *_INTS

    def gathering(x: Any, tiles: Any, marks: Any, table: Any, numbers: Any, reals: Any) -> None:
        c, tile = int64(cuda.blockIdx.y), int64(cuda.blockIdx.z)
        plane, th, tw = split(int32(numbers[9] + tile), numbers[7], numbers[8])
        n, zero, td = split(int32(plane), int64(1), numbers[6])
        td, th, tw = td * numbers[3], th * numbers[4], tw * numbers[5]
        base, to = n * numbers[21] + c * numbers[25], (tile * int64(cuda.gridDim.y) + c) * numbers[0]
        for i in range(TURN):
            p = int32((int32(cuda.blockIdx.x) * TURN + i) * THREADS + cuda.threadIdx.x)
            if p < numbers[0]:
                a, b, e = within(p, numbers[1], numbers[2])
                d, h, v, value = td + a, th + b, tw + e, kind(0)
                if d < numbers[16] and h < numbers[17] and v < numbers[18]:
                    d = sample(d - numbers[13], numbers[10], numbers[13], table, zero)
                    h = sample(h - numbers[14], numbers[11], numbers[14], table, numbers[19])
                    v = sample(v - numbers[15], numbers[12], numbers[15], table, numbers[20])
                    value = kind(reals[0])
                    if d >= 0 and h >= 0 and v >= 0:
                        value = load(x, base + d * numbers[22] + h * numbers[23] + v * numbers[24])
                    value = judge(value, marks, (numbers[9] + tile) * MARKS)
                store(tiles, to + int64(p), value)

    pointers = ((storage_of(x), 0), (compute, 0), ("int32", 0), ("int64", 0))
    return Kernel(gathering, (*pointers, ("int64", GATHER_NUMBERS), ("float64", 3)), threads)


def pack(w: str, compute: str, threads: int) -> Kernel:
    """Filters with zeros behind their taps, as [filter][channel][sample]."""
    load, store, within = ops.reader(storage_of(w), compute), ops.writer(compute, compute), _within()
    judge, kind, THREADS, int32, int64 = _judging(compute), getattr(np, compute), threads, *_INTS

    def packing(w: Any, filters: Any, marks: Any, numbers: Any) -> None:
        p = int32(int32(cuda.blockIdx.x) * THREADS + cuda.threadIdx.x)
        if p >= numbers[0]:
            return
        f, c = int64(cuda.blockIdx.y), int64(cuda.blockIdx.z)
        a, b, e = within(p, numbers[1], numbers[2])
        value = kind(0)
        if a < numbers[3] and b < numbers[4] and e < numbers[5]:
            at = a * numbers[6] + b * numbers[7] + e * numbers[8] + c * numbers[9] + f * numbers[10]
            value = judge(load(w, at), marks, f * MARKS)
        store(filters, (f * numbers[11] + c) * numbers[0] + int64(p), value)

    arguments = ((storage_of(w), 0), (compute, 0), ("int32", 0), ("int64", PACK_NUMBERS))
    return Kernel(packing, arguments, threads)


def multiply(compute: str, together: int, threads: int) -> Kernel:
    """Spectra of tiles by conjugate ones of filters, summed over channels; a thread a frequency of some filters."""
    load, store, fused = ops.reader(compute, compute), ops.writer(compute, compute), ops.multiply_add(compute)
    MANY, THREADS, divide, kind, int32, int64 = together, threads, ops.divide, getattr(np, compute), *_INTS

    def multiplying(spectra: Any, filters: Any, sums: Any, numbers: Any) -> None:
        BINS, C, F, FG, GC, BLOCKS = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
        k = int64(cuda.blockIdx.x) * THREADS + int64(cuda.threadIdx.x)
        if k >= BINS:
            return
        g = int64(divide(int32(cuda.blockIdx.y), int32(BLOCKS)))
        f, last, tile = g * FG + (int64(cuda.blockIdx.y) - g * BLOCKS) * MANY, g * FG + FG - 1, int64(cuda.blockIdx.z)
        re, im, places = cuda.local.array(MANY, kind), cuda.local.array(MANY, kind), cuda.local.array(MANY, int64)
        for i in range(MANY):
            re[i], im[i], places[i] = kind(0), kind(0), 2 * (min(f + i, last) * GC * BINS + k)
        at = 2 * ((tile * C + g * GC) * BINS + k)
        for _ in range(GC):
            x_re, x_im = load(spectra, at), load(spectra, at + 1)
            at += 2 * BINS
            for i in range(MANY):
                w_re, w_im = load(filters, places[i]), load(filters, places[i] + 1)
                places[i] += 2 * BINS
                re[i] = fused(x_im, w_im, fused(x_re, w_re, re[i]))
                im[i] = fused(-x_re, w_im, fused(x_im, w_re, im[i]))
        for i in range(MANY):
            if f + i <= last:
                at = 2 * ((tile * F + f + i) * BINS + k)
                store(sums, at, re[i])
                store(sums, at + 1, im[i])

    return Kernel(multiplying, ((compute, 0), (compute, 0), (compute, 0), ("int64", 6)), threads)


def store(
    x: str, w: str, bias: str, compute: str, result: str, activation: str, overflow: str, borders: bool, lanes: int,
    threads: int,
) -> Kernel:  # fmt: skip
    """Results: the first samples of each transformed tile, or sums of products where it or the filter is marked.

    `lanes`: as those of `generic`, whose numbers come first.
    """
    summed = summing(products(x, w, compute, compute), compute, borders)
    load, marked, add = ops.reader(compute, compute), _marked(), adding(bias, compute, compute)
    split, within = _splitting(), _within()
    activate, (convert, whole) = activating(compute, activation), converting(compute, storage_of(result), overflow)
    write, kind, divide = ops.writer(storage_of(result), whole), getattr(np, compute), ops.divide
    PIXELS, LANES, AT, int32, int64 = threads // lanes, lanes, NUMBERS, *_INTS

    def storing(
        x: Any, w: Any, bias: Any, out: Any, table: Any, sums: Any, marks: Any, w_marks: Any, numbers: Any, reals: Any
    ) -> None:
        F, OD, OH, OW = numbers[1], numbers[3], numbers[4], numbers[5]
        t = int32(cuda.threadIdx.x)
        pixel = int32(int32(cuda.blockIdx.x) * PIXELS + divide(t, int32(LANES)))
        f = int64(cuda.blockIdx.y) * LANES + int64(t) % LANES
        a, b, e = within(pixel, numbers[AT + 7], numbers[AT + 8])
        if a >= numbers[AT] or b >= numbers[AT + 1] or e >= numbers[AT + 2] or f >= F:
            return
        tile = numbers[AT + 6] + int64(cuda.blockIdx.z)
        plane, th, tw = split(int32(tile), numbers[AT + 4], numbers[AT + 5])
        n, _, td = split(int32(plane), int64(1), numbers[AT + 3])
        od, oh, ow = td * numbers[AT] + a, th * numbers[AT + 1] + b, tw * numbers[AT + 2] + e
        if od >= OD or oh >= OH or ow >= OW:
            return
        if marked(marks, tile * MARKS) or marked(w_marks, f * MARKS):
            g = int64(divide(int32(f), int32(numbers[2])))
            re, im = summed(x, w, table, numbers, reals, n, f, g, od, oh, ow)
        else:
            re, im = load(sums, (int64(cuda.blockIdx.z) * F + f) * numbers[AT + 9] + int64(pixel)), kind(-0.0)
        re, im = add(re, im, bias, f * numbers[11])
        at = n * numbers[6] + od * numbers[7] + oh * numbers[8] + ow * numbers[9] + f * numbers[10]
        write(out, at, convert(activate(re, reals[2])))

    pointers = ((storage_of(x), 0), (storage_of(w), 0), (bias or compute, 0), (storage_of(result), 0), ("int64", 0))
    more = ((compute, 0), ("int32", 0), ("int32", 0))
    blocks = 3 - (compute == "float64")  # with three, registers would be spilled
    return Kernel(storing, (*pointers, *more, ("int64", STORE_NUMBERS), ("float64", 3)), threads, blocks)


_INTS = (np.int32, np.int64)


def _splitting() -> Any:
    """split(i, m, n): (the rest, number of m, number of n), the last one fastest."""
    divide, int32, int64 = ops.divide, np.int32, np.int64

    def split(i: Any, m: Any, n: Any) -> Any:
        row = divide(i, int32(n))
        plane = divide(row, int32(m))
        return int64(plane), int64(row) - int64(plane) * m, int64(i) - int64(row) * n

    return ops.device(split)


def _within() -> Any:
    """within(p, bits of H, bits of W): where a sample of a tile is, whose sizes are powers of two."""
    int32, int64 = np.int32, np.int64

    def within(p: Any, high: Any, wide: Any) -> Any:
        row, one = int32(p >> int32(wide)), int32(1)
        e, b = p & int32((one << int32(wide)) - one), row & int32((one << int32(high)) - one)
        return int64(int32(row >> int32(high))), int64(b), int64(e)

    return ops.device(within)


def _judging(compute: str) -> Any:
    """judge(value, marks, at): the value, or zero for one that must not be transformed."""
    kind, store, int64 = getattr(np, compute), ops.writer("int32", "int64"), np.int64
    high, low = RANGE[compute]
    HIGH, LOW = kind(2.0**high), kind(2.0**-low)

    def judge(value: Any, marks: Any, at: Any) -> Any:
        size = abs(value)
        if not size <= HIGH:
            store(marks, at, int64(1))
            return kind(0)
        if size >= LOW:
            store(marks, at + 2, int64(1))
        elif size > kind(0):
            store(marks, at + 1, int64(1))
        return value

    return ops.device(judge)


def _marked() -> Any:
    """marked(marks, at): whether what is transformed is not enough."""
    look = ops.reader("int32", "int64")

    def marked(marks: Any, at: Any) -> Any:
        return look(marks, at) != 0 or (look(marks, at + 1) != 0 and look(marks, at + 2) == 0)

    return ops.device(marked)
