"""Few channels with filters in lanes: depthwise layers, and first layers, whose results are channels last.

A thread has VEC neighbouring filters of TW columns and walks down rows: it reads each row of the input once, a window
of it that all its columns share, one row ahead of the products, and adds it to all rows of results that it is part of.
These are so few (`Depthwise.rows`) that their sums stay in registers, and so do the weights. A row of results that has
had its last product is stored, and its registers go to the next one. Which registers these are repeats after PHASES
rows: the loop over rows has the code of so many.

    window    [column][channel]
    weights   [tap row][tap column][channel][filter]
    acc       [row of results, modulo `rows`][column][filter]

With a dilation and no stride, rows (columns) that are so far apart are neighbours of one another, and those between
belong to other threads: a thread sees no dilation. All products of a result are one chain: kh, kw, c, as in
`reference`.

Counted in the loop for sm_90, a result takes 18 instructions for 3x3 taps, 40 for 5x5 and 76 for 7x7; a large GPU
issues 55 in the time in which its memory moves the 8 bytes of one (see `stencil`): the first two are bound by bytes,
the last by 0.72 of copying. Estimates, not measured. Of 3x3, eight warps of a multiprocessor have 28 KB on their way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .borders import sampling
from .finish import converting
from .finish_rows import finishing
from .kernel import Kernel
from .shapes import Depthwise

NUMBERS = 32
_INTS = (np.int32, np.int64)


def make(
    x: str, w: str, bias: str, compute: str, result: str, activation: str, overflow: str, border: str, *shape: int
) -> Kernel:
    """`border`: what padding shows, "zeros", a "value" or by a "table"; `shape` is a `Depthwise`."""
    s = Depthwise(*shape)
    spot, locate, weigh, add = _spotting(s), _locating(s, border), _weighing(s, w, compute), _biasing(s, bias, compute)
    read = _reading(s, x, compute, border)
    walk = _walking(s, read, _finishing(s, bias, compute, result, activation, overflow), compute)
    LC, VEC, kind, divide, int32, int64 = s.LC, s.VEC, getattr(np, compute), ops.divide, *_INTS
    ACC, WINDOW, WEIGHTS, COLUMNS, TB = s.rows * s.sums, len(s.columns) * s.span, s.weights, len(s.columns), s.T // s.LC
    PHASES, sH, TALL = s.rows * s.sH, s.sH, (s.KH - 1) * s.dH + 1

    def depthwise(x: Any, w: Any, bias: Any, out: Any, table: Any, numbers: Any, reals: Any) -> None:
        acc, window, ahead = cuda.local.array(ACC, kind), cuda.local.array(WINDOW, kind), cuda.local.array(WINDOW, kind)
        weights, biases = cuda.local.array(WEIGHTS, kind), cuda.local.array(VEC, kind)
        columns = cuda.local.array(COLUMNS, int32)
        t = int32(cuda.threadIdx.x)
        which = divide(t, int32(LC))
        lane = int32(int32(cuda.blockIdx.y) * LC + t - which * LC)
        tile = int32(int32(cuda.blockIdx.x) * TB + which)
        if which >= TB or int64(lane) * VEC >= numbers[0] or tile >= numbers[1]:
            return
        weigh(weights, w, int64(lane) * VEC, numbers)
        add(biases, bias, int64(lane) * VEC, numbers)
        n, oh, ow = spot(tile, numbers)
        locate(columns, int32(ow), table, numbers)
        base, to, count, width = place(n, oh, ow, lane, numbers)
        last, row = int32((count - 1) * sH + TALL), int32(oh * sH - numbers[11])
        read(ahead, x, base, columns, row, table, int32(0), last, numbers, reals)
        start = int32(0)
        while start < last:
            walk(
                acc, window, ahead, weights, biases, x, out, base, columns, to, row, start, last, width, table,
                numbers, reals,
            )  # fmt: skip
            start = int32(start + PHASES)

    place = _placing(s)
    pointers = tuple((name, 0) for name in (x, w, bias or compute, result, "int64"))
    return Kernel(depthwise, (*pointers, ("int64", NUMBERS), ("float64", 3)), s.T, s.blocks(compute))


def _spotting(s: Depthwise) -> Any:
    """(sample, first row and column of results) of a tile.

    Tiles are numbered along columns, then by classes of columns (the distance of columns that a dilation leaves),
    then the strips of rows, their classes, the samples.
    """
    divide, TW, int32 = ops.divide, s.TW, np.int32

    def spot(tile: Any, numbers: Any) -> Any:
        across, down, wide, tall = int32(numbers[2]), int32(numbers[3]), int32(numbers[4]), int32(numbers[5])
        line = divide(tile, across)
        n = divide(line, down)
        ac, dn = int32(tile - line * across), int32(line - n * down)
        class_w, class_h = divide(ac, wide), divide(dn, tall)
        ow = int32(class_w + (ac - class_w * wide) * TW * int32(numbers[16]))
        return n, int32(class_h + (dn - class_h * tall) * int32(numbers[6]) * int32(numbers[15])), ow

    return ops.device(spot)


def _placing(s: Depthwise) -> Any:
    """(where the samples begin that a thread sees, where its results do, their rows, their columns)."""
    divide, VEC, SHARED, C, SPAN, int32, int64 = ops.divide, s.VEC, s.span == s.C, s.C, s.span, *_INTS

    def place(n: Any, oh: Any, ow: Any, lane: Any, numbers: Any) -> Any:
        # The channels of a group, or those of the groups of all filters of a thread.
        first = int64(divide(int32(lane * VEC), int32(numbers[29]))) * C if SHARED else int64(lane) * SPAN
        to = int64(n) * numbers[21] + int64(oh) * numbers[22] + int64(ow) * numbers[23]
        eH, eW = int32(numbers[15]), int32(numbers[16])
        count = min(int32(numbers[6]), divide(int32(int32(numbers[7]) - oh + eH - 1), eH))
        width = divide(int32(int32(numbers[8]) - ow + eW - 1), eW)
        return int64(n) * numbers[17] + first * numbers[20], to + int64(lane) * VEC * numbers[30], count, width

    return ops.device(place)


def _locating(s: Depthwise, border: str) -> Any:
    """Where the columns of the window lie."""
    locate_all, sW, int32 = ops.locating(tuple(s.columns), 1, border == "table"), s.sW, np.int32

    def locate(columns: Any, ow: Any, table: Any, numbers: Any) -> None:
        first, start = int32(ow * sW - numbers[12]), int32(numbers[14] + numbers[12])
        last, W = int32(numbers[31]), int32(numbers[10])
        locate_all(columns, first, int32(numbers[16]), last, W, int32(numbers[19]), table, start)

    return ops.device(locate)


def _weighing(s: Depthwise, w: str, compute: str) -> Any:
    """All weights of a thread."""
    box = ops.boxing(w, compute, (s.KH, s.KW, s.C, s.VEC))

    def weigh(weights: Any, w: Any, f: Any, numbers: Any) -> None:
        box(weights, w, f * numbers[27], (numbers[24], numbers[25], numbers[26], numbers[27]))

    return ops.device(weigh)


def _biasing(s: Depthwise, bias: str, compute: str) -> Any:
    """The biases of a thread, if there are any."""
    box = ops.boxing(bias or compute, compute, (s.VEC,))

    def none(biases: Any, bias: Any, f: Any, numbers: Any) -> None:
        return

    def add(biases: Any, bias: Any, f: Any, numbers: Any) -> None:
        box(biases, bias, f * numbers[28], (numbers[28],))

    return ops.device(add if bias else none)


def _reading(s: Depthwise, x: str, compute: str, border: str) -> Any:
    """A row of the window; nothing behind the `last`."""
    window = ops.windowing(x, compute, 0, len(s.columns), s.span // s.at_once, s.at_once, border == "value")
    sample, kind, int64 = sampling(border == "table"), getattr(np, compute), np.int64

    def read(
        values: Any, x: Any, base: Any, columns: Any, row: Any, table: Any, r: Any, last: Any, numbers: Any, reals: Any
    ) -> None:
        line = int64(-1)
        if r < last:
            line = sample(int64(row) + int64(r) * numbers[15], numbers[9], numbers[11], table, numbers[13])
        window(values, x, base + line * numbers[18], columns, line >= 0, kind(reals[0]))

    return ops.device(read)


def _walking(s: Depthwise, read: Any, finish: Any, compute: str) -> Any:
    """One row of the input after the other, as many as there are phases: each is a function, which calls the next."""

    def walk_from(phase: int) -> Any:
        taps, done = s.taps(phase)
        rest = walk_from(phase + 1) if phase + 1 < s.rows * s.sH else ops.device(_nothing)
        advance = ops.moving(compute, 0, 0, len(s.columns) * s.span)
        fresh = dict(taps).get(0, 0)
        clear = ops.filling(compute, fresh * s.sums, s.sums if 0 in dict(taps) else 0, 0.0)
        micro = ops.guarded({kh: _products(s, kh, slot) for kh, slot in taps}, compute, s.rows * s.sums)
        PHASE, KH, MANY, dH, divide, int32 = phase, s.KH, s.many, s.dH, ops.divide, np.int32
        end = finish(done) if done >= 0 else ops.device(_no_row)
        TALL = (s.KH - 1) * s.dH

        def walk(
            acc: Any, window: Any, ahead: Any, weights: Any, biases: Any, x: Any, out: Any, base: Any, columns: Any,
            to: Any, row: Any, start: Any, last: Any, width: Any, table: Any, numbers: Any, reals: Any,
        ) -> None:  # fmt: skip
            r = int32(start + PHASE)
            if r < last:
                advance(ahead, window)
                if MANY:
                    read(ahead, x, base, columns, row, table, int32(r + 1), last, numbers, reals)
                clear(acc)
                low, high = int32(KH - 1 - divide(int32(last - 1 - r), int32(dH))), divide(r, int32(dH))
                micro(acc, window, weights, low, high)
                if r >= TALL:
                    end(acc, biases, out, to, int32(r - TALL), width, numbers, reals)
                rest(
                    acc, window, ahead, weights, biases, x, out, base, columns, to, row, start, last, width, table,
                    numbers, reals,
                )  # fmt: skip

        return ops.device(walk)

    return walk_from(0)


def _products(s: Depthwise, kh: int, slot: int) -> Any:
    """Of one row of the input as this tap row, for the row of results that lies in this slot."""

    def body(acc: list, window: Any, weights: Any, fma: Any) -> None:
        for kw in range(s.KW):
            for c in range(s.C):
                for i in range(s.VEC):
                    (weight,) = weights(((kh * s.KW + kw) * s.C + c) * s.VEC + i, 1)
                    for j in range(s.TW):
                        column = s.columns.index(j * s.sW + kw * s.dW)
                        (value,) = window(column * s.span + s.channel(i, c), 1)
                        at = slot * s.sums + j * s.VEC + i
                        acc[at] = fma(value, weight, acc[at])

    return body


def _finishing(s: Depthwise, bias: str, compute: str, result: str, activation: str, overflow: str) -> Any:
    """finish(slot): what stores a row of results that lies in these registers, column by column."""
    convert, whole = converting(compute, result, overflow)
    element = finishing(s.VEC, bool(bias), compute, activation, convert, whole)
    kind, final, sums, divide, sH, int64 = getattr(np, compute), getattr(np, whole), s.sums, ops.divide, s.sH, np.int64
    store, VEC, int32 = ops.storing(result, whole, 0, s.VEC), s.VEC, np.int32

    def pixel_from(column: int) -> Any:
        take = ops.moving(compute, column * s.VEC, 0, s.VEC)
        rest, COLUMN = pixel_from(column + 1) if column + 1 < s.TW else ops.device(_no_pixel), column

        def pixel(line: Any, biases: Any, out: Any, at: Any, width: Any, numbers: Any, reals: Any) -> None:
            if width > COLUMN:
                sums, values = cuda.local.array(VEC, kind), cuda.local.array(VEC, final)
                take(line, sums)
                element(values, sums, biases, reals[2])
                store(out, at, values)
                rest(line, biases, out, at + numbers[16] * numbers[23], width, numbers, reals)

        return ops.device(pixel)

    pixels = pixel_from(0)

    def finish(slot: int) -> Any:
        take = ops.moving(compute, slot * s.sums, 0, s.sums)

        def end(acc: Any, biases: Any, out: Any, to: Any, r: Any, width: Any, numbers: Any, reals: Any) -> None:
            line = cuda.local.array(sums, kind)
            take(acc, line)
            at = to + int64(divide(r, int32(sH))) * numbers[15] * numbers[22]
            pixels(line, biases, out, at, width, numbers, reals)

        return ops.device(end)

    return finish


def _no_pixel(line: Any, biases: Any, out: Any, at: Any, width: Any, numbers: Any, reals: Any) -> None:
    """After the last column."""


def _no_row(acc: Any, biases: Any, out: Any, to: Any, r: Any, width: Any, numbers: Any, reals: Any) -> None:
    """Where a row of the input completes no row of results."""


def _nothing(
    acc: Any, window: Any, ahead: Any, weights: Any, biases: Any, x: Any, out: Any, base: Any, columns: Any, to: Any,
    row: Any, start: Any, last: Any, width: Any, table: Any, numbers: Any, reals: Any,
) -> None:  # fmt: skip
    """After the last phase."""
