"""Gradients of few weights of each filter: depthwise layers, first layers, banks of filters, biases.

A thread adds up a chain for all taps of a plane at once, in registers; x and g are read once for all of them. Where
channels or filters lie next to each other they are in lanes (`channels`). Where pixels do (`pixels`), a warp has 32
chains of a filter and a channel, and 32 neighbouring pixels of each at a time go through shared memory:

    xs, gs    [kh][chain][X_PITCH], [chain][G_PITCH]    as they are computed with, padded; pitches are odd
    places    [kh + 1][chain]                            where the rows lie in x, and in g
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .borders import sampling
from .kernel import Kernel
from .shapes import Window

NUMBERS = 40
"""As of `weight_gradients`, for threads in place of weights."""


def channels(x: str, g: str, compute: str, border: str, blocks: int, threads: int, *window: int) -> Kernel:
    """`x` is "" for ones; `border`: "zeros", "value" or "table"."""
    s = Window(*window)
    runs, single = (_run(s, x, g, compute, border, columns) for columns in (s.RUN, 1))
    clear, deposit = ops.filling(compute, 0, s.taps, 0.0), ops.delivering(compute, tuple(range(s.taps)), (0,), 1)
    find, locate, kind, int32, int64 = (
        _finding(),
        _locating(border == "table", s.KH),
        getattr(np, compute),
        np.int32,
        np.int64,
    )
    THREADS, TAPS, RUN, KH, divide = threads, s.taps, s.RUN, s.KH, ops.divide

    def channels(x: Any, g: Any, sums: Any, table: Any, numbers: Any, reals: Any) -> None:
        item = int64(cuda.blockIdx.x) * THREADS + int64(cuda.threadIdx.x)
        if item >= numbers[0]:
            return
        acc, lines = cuda.local.array(TAPS, kind), cuda.local.array(KH, int64)
        rest = divide(int32(item), int32(numbers[3]))
        f = int32(int32(item) - rest * int32(numbers[3]))
        plane = divide(rest, int32(numbers[5]))
        c = int32(rest - plane * int32(numbers[5]))
        chain = divide(plane, int32(numbers[6]))
        kd = int32(plane - chain * int32(numbers[6]))
        row, last, first, end = find(int32(chain + int32(numbers[2])), numbers)
        clear(acc)
        while row < last:
            at = locate(lines, table, numbers, row, kd, f, c)
            column = first
            while column + RUN <= end:
                runs(acc, x, g, table, lines, at, column, numbers, reals)
                column += RUN
            while column < end:
                single(acc, x, g, table, lines, at, column, numbers, reals)
                column += 1
            row += 1
        pitch = numbers[5] * numbers[3]
        deposit(sums, int64(plane) * TAPS * pitch + int64(c) * numbers[3] + f, pitch, int32(TAPS), int32(1), acc)

    arguments = ((x or compute, 0), (g, 0), (compute, 0), ("int64", 0), ("int64", NUMBERS), ("float64", 3))
    return Kernel(channels, arguments, threads, blocks)


def pixels(x: str, g: str, compute: str, border: str, blocks: int, whole: bool, *window: int) -> Kernel:
    """A block is a warp; `whole`: chains are whole rows."""
    s = Window(*window)
    runs, single = (ops.unrolled(_products(s, columns, s.x_plane), compute, s.taps) for columns in (s.RUN, 1))
    clear, deposit = ops.filling(compute, 0, s.taps, 0.0), ops.delivering(compute, tuple(range(s.taps)), (0,), 1)
    find, locate, stage, kind = (
        _finding(),
        _locating(border == "table", s.KH),
        _staging(s, x, g, compute, border, whole),
        getattr(np, compute),
    )
    new_xs, new_gs = ops.shared(compute, s.KH * s.x_plane), ops.shared(compute, s.g_plane)
    new_places, new_widths = ops.shared("int64", 32 * (s.KH + 1)), ops.shared("int32", 64)
    place, place_width, place_x = ops.placing("int64"), ops.placing("int32"), ops.placing(compute)
    TAPS, RUN, KH, COLUMNS, X_PITCH, G_PITCH, STRIDE, X_PLANE, ONES = (
        s.taps, s.RUN, s.KH, s.columns, s.x_pitch, s.g_pitch, s.stride, s.x_plane, not x,
    )  # fmt: skip
    divide, sync, int32, int64 = ops.divide, ops.sync_warp, np.int32, np.int64

    def pixels(x: Any, g: Any, sums: Any, table: Any, numbers: Any, reals: Any) -> None:
        xs, gs, places, widths = new_xs(), new_gs(), new_places(), new_widths()
        acc, lines = cuda.local.array(TAPS, kind), cuda.local.array(KH, int64)
        t, f = int32(cuda.threadIdx.x), int32(cuda.blockIdx.x)
        rest = divide(int32(cuda.blockIdx.y), int32(numbers[5]))
        c = int32(int32(cuda.blockIdx.y) - rest * int32(numbers[5]))
        kd, chain = rest, int32(int32(cuda.blockIdx.z) * 32 + t)
        there = chain < numbers[1]
        row, last, first, end = find(int32(numbers[2] + (chain if there else 0)), numbers)
        place_width(widths, int32(t + 32), int32(first))
        if ONES:
            for i in range(t, X_PLANE, 32):
                place_x(xs, int32(i), kind(1))
        clear(acc)
        top, _last, _first, _end = find(int32(numbers[2] + int32(cuda.blockIdx.z) * 32), numbers)
        for _ in range(min(numbers[10], numbers[12] - top)):
            going = there and row < last
            if going:
                at = locate(lines, table, numbers, row, kd, f, c)
                for kh in range(KH):
                    place(places, int32(kh * 32 + t), lines[kh])
                place(places, int32(KH * 32 + t), at + first * numbers[24])
            else:
                for kh in range(KH + 1):
                    place(places, int32(kh * 32 + t), int64(ABSENT))
            width = int32(end - first) if going else int32(0)
            place_width(widths, t, width)
            row += 1
            for start in range(0, int32(numbers[11]), COLUMNS):
                sync()
                stage(xs, gs, places, widths, x, g, table, t, int32(start), numbers, reals)
                sync()
                count, a, b = min(int32(width - start), int32(COLUMNS)), int32(t * X_PITCH), int32(t * G_PITCH)
                while count >= RUN:
                    runs(acc, xs, a, gs, b)
                    count, a, b = int32(count - RUN), int32(a + RUN * STRIDE), int32(b + RUN)
                while count > 0:
                    single(acc, xs, a, gs, b)
                    count, a, b = int32(count - 1), int32(a + STRIDE), int32(b + 1)
        if there:
            pitch = numbers[5] * numbers[3]
            plane = int64(chain) * numbers[6] + kd
            deposit(sums, plane * TAPS * pitch + int64(c) * numbers[3] + f, pitch, int32(TAPS), int32(1), acc)

    arguments = ((x or compute, 0), (g, 0), (compute, 0), ("int64", 0), ("int64", NUMBERS), ("float64", 3))
    return Kernel(pixels, arguments, 32, blocks)


def _products(s: Window, columns: int, plane: int) -> Any:
    """All taps of so many neighbouring columns, in the order of columns; `plane`: from one row of x to the next."""

    def body(acc: list, xs: Any, gs: Any, fma: Any) -> None:
        g = [gs(j, 1)[0] for j in range(columns)]
        for kh in range(s.KH):
            places = sorted({j * s.stride + kw * s.dilation for j in range(columns) for kw in range(s.KW)})
            x = {place: xs(kh * plane + place, 1)[0] for place in places}
            for j in range(columns):
                for kw in range(s.KW):
                    tap = kh * s.KW + kw
                    acc[tap] = fma(x[j * s.stride + kw * s.dilation], g[j], acc[tap])

    return body


def _finding() -> Any:
    """(first row, last + 1, first column, last + 1) of a chain."""
    divide, int32, int64 = ops.divide, np.int32, np.int64

    def find(number: Any, numbers: Any) -> Any:
        line = divide(number, int32(numbers[9]))
        first = int64(int32(number - line * int32(numbers[9]))) * numbers[11]
        row = int64(line) * numbers[10]
        return row, min(row + numbers[10], numbers[12]), first, min(first + numbers[11], numbers[15])

    return ops.device(find)


def _locating(borders: bool, KH: int) -> Any:
    """Where a row lies in g; in `lines`, where those that its taps see lie in x, ABSENT beyond it."""
    sample, divide, int32, int64, ROWS = sampling(borders), ops.divide, np.int32, np.int64, KH

    def locate(lines: Any, table: Any, numbers: Any, row: Any, kd: Any, f: Any, c: Any) -> Any:
        plane = divide(int32(row), int32(numbers[14]))
        n = divide(plane, int32(numbers[13]))
        oh, od = row - int64(plane) * numbers[14], int64(int32(plane - n * int32(numbers[13])))
        channel = int64(divide(f, int32(numbers[4]))) * numbers[5] + c
        d = sample(od * numbers[26] + kd * numbers[29] - numbers[32], numbers[35], numbers[32], table, int64(0))
        base = n * numbers[16] + d * numbers[17] + channel * numbers[20]
        for kh in range(ROWS):
            h = oh * numbers[27] + kh * numbers[30] - numbers[33]
            h = sample(h, numbers[36], numbers[33], table, numbers[38])
            lines[kh] = base + h * numbers[18] if d >= 0 and h >= 0 else ABSENT
        return n * numbers[21] + od * numbers[22] + oh * numbers[23] + int64(f) * numbers[25]

    return ops.device(locate)


ABSENT = -(1 << 62)
"""The place of rows beyond x: strides may be negative."""


def _run(s: Window, x: str, g: str, compute: str, border: str, columns: int) -> Any:
    """All taps of so many columns from memory."""
    WIDE, COLUMNS, ONES, STRIDE = (columns - 1) * s.stride + s.span, columns, not x, s.stride
    SEEN, kind, int32, int64 = WIDE * s.KH, *_kinds(compute)
    micro, load_g = ops.unrolled(_products(s, columns, WIDE), compute, s.taps), ops.reader(g, compute)
    rows, ones = _window(s, x, compute, WIDE, border == "value"), ops.filling(compute, 0, SEEN, 1.0)
    look = ops.locating(tuple(range(WIDE)), 1, border == "table")

    def run(
        acc: Any, x: Any, g: Any, table: Any, lines: Any, at: Any, column: Any, numbers: Any, reals: Any
    ) -> None:  # fmt: skip
        window, values = cuda.local.array(SEEN, kind), cuda.local.array(COLUMNS, kind)
        places = cuda.local.array(WIDE, int32)
        for j in range(COLUMNS):
            values[j] = load_g(g, at + int64(int32(column + j)) * int64(int32(numbers[24])))
        if ONES:
            ones(window)
        else:
            W, step, first = int32(numbers[37]), int32(numbers[19]), int32(column * STRIDE - numbers[34])
            look(places, first, int32(1), int32(1 << 30), W, step, table, int32(numbers[39] + numbers[34]))
            rows(window, x, lines, places, kind(reals[0]))
        micro(acc, window, int32(0), values, int32(0))

    return ops.device(run)


def _kinds(compute: str) -> tuple[Any, Any, Any]:
    return getattr(np, compute), np.int32, np.int64


def _window(s: Window, x: str, compute: str, wide: int, padded: bool, kh: int = 0) -> Any:
    """Rows from `kh` on: one function for each, so that their places are constant."""
    load, KH = ops.windowing(x or compute, compute, kh * wide, wide, 1, 1, padded), kh
    rest = _window(s, x, compute, wide, padded, kh + 1) if kh + 1 < s.KH else ops.device(_nothing)

    def rows(window: Any, x: Any, lines: Any, places: Any, pad: Any) -> None:
        load(window, x, lines[KH], places, lines[KH] != ABSENT, pad)
        rest(window, x, lines, places, pad)

    return ops.device(rows)


def _nothing(window: Any, x: Any, lines: Any, places: Any, pad: Any) -> None:
    """After the last row."""


def _staging(s: Window, x: str, g: str, compute: str, border: str, whole: bool) -> Any:
    """Read columns of 32 chains, some at a time, neighbouring columns in lanes.

    Where chains are `whole` rows, all begin at the same column.
    """
    load_x = ops.windowing(x or compute, compute, 0, s.passes, 1, 1, border == "value")
    load_g, place, take = ops.windowing(g, compute, 0, 1, 1, 1, False), ops.placing(compute), ops.taking("int64")
    take_width, look = ops.taking("int32"), _looking(s, border == "table")
    EACH, COUNT = 4 if s.KH * s.passes <= 4 else 2, s.KH * s.passes
    ALL, PASSES, COLUMNS, KH, ONES, WHOLE = EACH * COUNT, s.passes, s.columns, s.KH, not x, whole
    X_PITCH, G_PITCH, X_PLANE, WIDE, kind, int32, _ = s.x_pitch, s.g_pitch, s.x_plane, s.wide, *_kinds(compute)

    def stage(
        xs: Any, gs: Any, places: Any, widths: Any, x: Any, g: Any, table: Any, t: Any, start: Any, numbers: Any,
        reals: Any,
    ) -> None:  # fmt: skip
        at, own, pad = cuda.local.array(PASSES, int32), cuda.local.array(1, int32), kind(reals[0])
        row, one = cuda.local.array(PASSES, kind), cuda.local.array(1, kind)
        values, window = cuda.local.array(EACH, kind), cuda.local.array(ALL, kind)
        left = int32(numbers[15] - start)
        place_of_it = int32((start + t) * int32(numbers[24]))
        own[0] = place_of_it if t < left and t < COLUMNS else int32(NOWHERE)
        if WHOLE and not ONES:
            look(at, table, t, start, left, numbers)
        for chain in range(0, 32, EACH):
            for e in range(EACH):
                if not WHOLE:
                    left = int32(take_width(widths, int32(chain + e)) - start)
                    own[0] = place_of_it if t < left and t < COLUMNS else int32(NOWHERE)
                    if not ONES:
                        begin = int32(take_width(widths, int32(chain + e + 32)) + start)
                        look(at, table, t, begin, left, numbers)
                source = take(places, int32(KH * 32 + chain + e))
                load_g(one, g, source, own, source != ABSENT, kind(0))
                values[e] = one[0]
                if not ONES:
                    for kh in range(KH):
                        line = take(places, int32(kh * 32 + chain + e))
                        load_x(row, x, line, at, line != ABSENT, pad)
                        for i in range(PASSES):
                            window[e * COUNT + kh * PASSES + i] = row[i]
            for e in range(EACH):
                if t < COLUMNS:
                    place(gs, int32((chain + e) * G_PITCH + t), values[e])
                if not ONES:
                    for i in range(PASSES):
                        if PASSES * 32 <= WIDE or t + 32 * i < WIDE:
                            for kh in range(KH):
                                to = int32(kh * X_PLANE + (chain + e) * X_PITCH + t + 32 * i)
                                place(xs, to, window[e * COUNT + kh * PASSES + i])

    return ops.device(stage)


NOWHERE = -(1 << 31)
"""The place of columns beyond x."""


def _looking(s: Window, borders: bool) -> Any:
    """Where the columns of a lane lie in a row of x, for results from column `first` on, `left` of them at most."""
    sample, int32, STRIDE, SPAN, COLUMNS, PASSES = sampling(borders), np.int32, s.stride, s.span, s.columns, s.passes

    def look(at: Any, table: Any, t: Any, first: Any, left: Any, numbers: Any) -> None:
        seen = int32((min(left, int32(COLUMNS)) - 1) * STRIDE + SPAN)  # what is behind them, padding may not have
        for i in range(PASSES):
            column, place = int32(t + 32 * i), int32(NOWHERE)
            if column < seen:
                v = sample(first * STRIDE + column - numbers[34], numbers[37], numbers[34], table, numbers[39])
                place = int32(v * numbers[19]) if v >= 0 else int32(NOWHERE)
            at[i] = place

    return ops.device(look)
