"""Gradients of weights: the sums of chains, one thread for each, and their totals, in the order of the reference.

    sums    [chain][kd][kh][kw][c][f]     as the first kernel leaves them; complex ones are pairs

A chain is a run of output pixels of which nothing but the sum is kept, so that all chains of all weights are made at
once, and the order in which the second kernel adds them up does not depend on how many are. This first kernel reads
everything where it lies: it is the anchor that others are compared with, and takes what they leave.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .borders import sampling
from .finish import converting
from .generic import products
from .kernel import Kernel, storage_of
from .shapes import SEGMENT

BLOCKS = 2
"""Of 256 threads on a multiprocessor: three leave too few registers for all that a chain is told."""
NUMBERS, TOTALS = 40, 16


def make(x: str, g: str, compute: str, borders: bool, conjugate: str, threads: int = 256) -> Kernel:
    """Of samples x and gradients g; `conjugate`: "x" or "w", which is g."""
    scalar = storage_of(compute)
    add_up, store = _chain(products(x, g, compute, scalar, conjugate), scalar, borders), ops.writer(scalar, scalar)
    THREADS, COMPLEX, divide, int32, int64 = threads, compute[0] == "c", ops.divide, np.int32, np.int64
    PARTS = 2 if COMPLEX else 1

    def chains(x: Any, g: Any, sums: Any, table: Any, numbers: Any, reals: Any) -> None:
        item = int64(cuda.blockIdx.x) * THREADS + int64(cuda.threadIdx.x)
        if item >= numbers[0]:
            return
        chain = divide(int32(item), int32(numbers[1]))
        tap = int32(int32(item) - chain * int32(numbers[1]))
        rest = divide(tap, int32(numbers[3]))
        f = int32(tap - rest * int32(numbers[3]))
        column = divide(rest, int32(numbers[5]))
        c = int32(rest - column * int32(numbers[5]))
        line = divide(column, int32(numbers[8]))
        kw = int32(column - line * int32(numbers[8]))
        kd = divide(line, int32(numbers[7]))
        kh = int32(line - kd * int32(numbers[7]))
        re, im = add_up(x, g, table, numbers, reals, int32(chain + int32(numbers[2])), f, c, kd, kh, kw)
        store(sums, item * PARTS, re)
        if COMPLEX:
            store(sums, item * PARTS + 1, im)

    pointers = ((storage_of(x), 0), (storage_of(g), 0), (scalar, 0), ("int64", 0))
    return Kernel(chains, (*pointers, ("int64", NUMBERS), ("float64", 3)), threads, BLOCKS)


def _chain(product: Any, scalar: str, borders: bool) -> Any:
    """The sum of one chain: (real, imaginary)."""
    sample, kind, divide, int32, int64 = sampling(borders), getattr(np, scalar), ops.divide, np.int32, np.int64

    def chain(
        x: Any, g: Any, table: Any, numbers: Any, reals: Any, number: Any, f: Any, c: Any, kd: Any, kh: Any, kw: Any
    ) -> Any:
        OD, OH, OW, D, H, W = numbers[13], numbers[14], numbers[15], numbers[35], numbers[36], numbers[37]
        loD, loH, loW, atH, atW = numbers[32], numbers[33], numbers[34], numbers[38], numbers[39]
        across = divide(number, int32(numbers[9]))
        first = int64(int32(number - across * int32(numbers[9]))) * numbers[11]
        row = int64(across) * numbers[10]
        end, last = min(first + numbers[11], OW), min(row + numbers[10], numbers[12])
        channel = int64(divide(f, int32(numbers[4]))) * numbers[5] + c
        re, im = kind(0), kind(0)
        while row < last:
            plane = divide(int32(row), int32(OH))
            n = divide(plane, int32(OD))
            oh, od = row - int64(plane) * OH, int64(int32(plane - n * int32(OD)))
            d = sample(od * numbers[26] + kd * numbers[29] - loD, D, loD, table, int64(0))
            h = sample(oh * numbers[27] + kh * numbers[30] - loH, H, loH, table, atH)
            from_x = n * numbers[16] + d * numbers[17] + h * numbers[18] + channel * numbers[20]
            from_g = n * numbers[21] + od * numbers[22] + oh * numbers[23] + f * numbers[25]
            for ow in range(first, end):
                v = sample(ow * numbers[28] + kw * numbers[31] - loW, W, loW, table, atW)
                inside = d >= 0 and h >= 0 and v >= 0
                re, im = product(
                    x, from_x + v * numbers[19], inside, reals, int64(0), g, from_g + ow * numbers[24], re, im
                )
            row += int64(1)
        return re, im

    return ops.device(chain)


def totals(compute: str, result: str, lanes: int, threads: int = 256) -> Kernel:
    """Adds up the chains of a pass, and what passes before it left behind them: `lanes` weights of a block at a time.

    The other threads take other segments.
    """
    scalar, storage = storage_of(compute), storage_of(result)
    load, keep = ops.reader(scalar, scalar), ops.writer(scalar, scalar)
    convert, whole = converting(scalar, storage, "raise")
    store, place, take = ops.writer(storage, whole), ops.placing(scalar), ops.taking(scalar)
    new_stage, add_up, locate = ops.shared(scalar, threads), _adding(load), _locating(compute[0] == "c")
    LANES, WARPS, kind, int32, int64 = lanes, threads // lanes, getattr(np, scalar), np.int32, np.int64
    divide = ops.divide

    def totals(sums: Any, out: Any, numbers: Any) -> None:
        stage = new_stage()
        ITEMS, CHAINS = numbers[0], numbers[1]
        t = int32(cuda.threadIdx.x)
        warp = divide(t, int32(LANES))
        lane = int32(t - warp * LANES)
        item = int64(cuda.blockIdx.x) * LANES + lane
        there, kept = item < ITEMS, numbers[15] + item  # totals, and behind them segments that go on
        total, segment = kind(-0.0), kind(-0.0)  # to which any sum can be added
        if there and numbers[2] == 0:
            total = load(sums, kept)
        if there and numbers[3] == 0:
            segment = load(sums, kept + ITEMS)
        for first in range(0, CHAINS, WARPS * SEGMENT):
            begin = int64(first) + int64(warp) * SEGMENT
            if there and begin < CHAINS:
                segment = add_up(sums, begin * ITEMS + item, min(int64(SEGMENT), CHAINS - begin), ITEMS, segment)
                place(stage, t, segment)
            cuda.syncthreads()
            if warp == 0 and there and numbers[4] != 0:
                for other in range(WARPS):
                    if int64(first) + int64(other) * SEGMENT < CHAINS:
                        total = total + take(stage, int32(other * LANES + lane))
                segment = kind(-0.0)
            cuda.syncthreads()
            if warp != 0:
                segment = kind(-0.0)
        if warp == 0 and there:
            if numbers[5] != 0:
                store(out, locate(int32(item), numbers), convert(total if CHAINS > 0 else kind(0)))
            else:
                keep(sums, kept, total)
                keep(sums, kept + ITEMS, segment)

    return Kernel(totals, ((scalar, 0), (storage, 0), ("int64", TOTALS)), threads, 4)


def _adding(load: Any) -> Any:
    """`total` and then the sums of chains, one after the other; eight are read at once."""

    def add_up(sums: Any, at: Any, count: Any, step: Any, total: Any) -> Any:
        left = count
        while left >= 8:
            s0, s1, s2, s3 = load(sums, at), load(sums, at + step), load(sums, at + 2 * step), load(sums, at + 3 * step)
            at += 4 * step
            s4, s5, s6, s7 = load(sums, at), load(sums, at + step), load(sums, at + 2 * step), load(sums, at + 3 * step)
            at += 4 * step
            total = total + s0
            total = total + s1
            total = total + s2
            total = total + s3
            total = total + s4
            total = total + s5
            total = total + s6
            total = total + s7
            left -= 8
        while left > 0:
            total = total + load(sums, at)
            at += step
            left -= 1
        return total

    return ops.device(add_up)


def _locating(pairs: bool) -> Any:
    """Where an item of the sums lies in the result."""
    divide, int32, int64, PAIRS = ops.divide, np.int32, np.int64, pairs

    def locate(item: Any, numbers: Any) -> Any:
        weight = int32(item >> 1) if PAIRS else item
        rest = divide(weight, int32(numbers[7]))
        column = divide(rest, int32(numbers[6]))
        line = divide(column, int32(numbers[9]))
        kd = divide(line, int32(numbers[8]))
        at = int64(kd) * numbers[10] + int64(int32(line - kd * int32(numbers[8]))) * numbers[11]
        at += int64(int32(column - line * int32(numbers[9]))) * numbers[12]
        at += int64(int32(rest - column * int32(numbers[6]))) * numbers[13]
        at += int64(int32(weight - rest * int32(numbers[7]))) * numbers[14]
        return at + (item & 1) if PAIRS else at

    return ops.device(locate)
