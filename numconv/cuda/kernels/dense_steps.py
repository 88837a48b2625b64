"""The kernels around `dense`: weights in the order in which it reads them, and sums of chains that blocks shared."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .coordinates import unravelling
from .dense_tile import NOWHERE, WEIGHTS
from .finish import activating, adding, converting
from .kernel import Kernel


def pack(w: str, compute: str, BF: int, threads: int) -> Kernel:
    """[group][tile of filters][row][BF]: -0.0 for filters that do not exist, and in rows that fill chains.

    `places`: where the weights of each row lie, or NOWHERE.
    """
    load, look, store = ops.reader(w, compute), ops.looking("int64", 1), ops.writer(compute, compute)
    divide, kind, int32, THREADS, EMPTY = ops.divide, getattr(np, compute), np.int32, threads, NOWHERE

    def pack(w: Any, packed: Any, places: Any, numbers: Any) -> None:
        tile, t = int32(cuda.blockIdx.y), int32(cuda.threadIdx.x)
        g = divide(tile, int32(numbers[1]))
        f0 = int32((tile - g * int32(numbers[1])) * BF)
        for i in range(WEIGHTS):
            at = int32((int32(cuda.blockIdx.x) * WEIGHTS + i) * THREADS + t)
            row = divide(at, int32(BF))
            if row < numbers[0]:
                f = int32(f0 + at - row * BF)
                place = look(places, row)[0]
                there = f < numbers[2] and place != EMPTY
                value = load(w, place + (g * numbers[2] + f) * numbers[3]) if there else kind(-0.0)
                store(packed, (tile * numbers[0] + row) * BF + f - f0, value)

    arguments = ((w, 0), (compute, 0), ("int64", 0), ("int64", 4))
    return Kernel(pack, arguments, threads)


def add(
    bias: str, compute: str, result: str, activation: str, overflow: str, pixels_fast: bool, threads: int
) -> Kernel:
    """The sums of all chains, in order, as `dense` left them: one result of a thread."""
    load, store_as = ops.reader(compute, compute), converting(compute, result, overflow)
    activate, biased, kind = activating(compute, activation), adding(bias, compute, compute), getattr(np, compute)
    convert, store = store_as[0], ops.writer(result, store_as[1])
    PIXELS_FAST, divide, int32, int64, THREADS = pixels_fast, ops.divide, np.int32, np.int64, threads
    unravel = unravelling()

    def add(sums: Any, bias: Any, out: Any, numbers: Any, reals: Any) -> None:
        at = int32(int32(cuda.blockIdx.x) * THREADS + int32(cuda.threadIdx.x))
        line = divide(at, int32(numbers[2] if PIXELS_FAST else numbers[1]))
        rest = int32(at - line * (numbers[2] if PIXELS_FAST else numbers[1]))
        pixel, f = (rest, line) if PIXELS_FAST else (line, rest)
        if pixel < numbers[2] and f < numbers[1]:
            place = pixel * numbers[3] + f * numbers[4]
            total = load(sums, place)
            for chain in range(1, numbers[0]):
                total += load(sums, place + chain * numbers[5])
            n, od, oh, ow = unravel(pixel, numbers[6], numbers[7], numbers[8])
            to = int64(n) * numbers[10] + int64(od) * numbers[11] + int64(oh) * numbers[12] + int64(ow) * numbers[13]
            total, _ = biased(total, kind(0), bias, f * numbers[9])
            store(out, to + f * numbers[14], convert(activate(total, reals[2])))

    arguments = ((compute, 0), (bias or compute, 0), (result, 0), ("int64", 15), ("float64", 3))
    return Kernel(add, arguments, threads)
