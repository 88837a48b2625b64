"""Few channels, pixels in lanes: images, signals, depthwise layers, banks of filters.

A block computes a tile of pixels of some filters of one group; a thread RH rows of RUN neighbouring columns of RF
filters at a time. The input tile with its halo lies in shared memory, padded and converted as it was read, so that
borders and types cost nothing further on. RUN columns take up RUN words there and 16 bytes: threads whose columns are
neighbours read 16 bytes each without conflicts between banks, at offsets that are known when this is compiled.

    tile     [channel][row][column // RUN][RUN and 16 bytes]   a row of it is the window of a thread, for all products
    filters  [tap row][tap column][channel][filter]            rows begin at multiples of 16 bytes
    stage    [warp][lane][RUN and 16 bytes]                    a row of results, to be written by neighbouring lanes

The tile begins at a column whose address is a multiple of 16 bytes, `off` before the first that is needed. All loads
of a thread from the input (BATCH at most) are on their way before the first of them is waited for.

The order of products is kh, kw, c, as in `reference`, in the same chains.

What a result takes, counted in code for sm_90 along the way of a block inside an image; a GPU with 132 multiprocessors
of 1.75 GHz issues 55 instructions in the time in which its memory (4.3 TB/s) moves the 8 bytes of a float32 result of
one channel. So these bound the share of copying, as estimates, not measured:

    3x3, 56x56 planes          41 (9 products; a fifth of the threads have no column or row)    by bytes
    3x3, an image              31                                                               by bytes
    7x7, an image              68 (49 products)                                                 0.8
    8 filters of 5x5           40 (25 products), whose bytes take 31                            0.78
    31, 64 and 255 taps        52, 80 and 281                                                   by bytes, 0.69, 0.2
    4095 taps                  4270, of which 96 % are products
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
from .shapes import Stencil
from .stencil_sums import summing

NUMBERS = 27
STATIC_BYTES = 48 << 10
"""Shared memory that a kernel may declare."""
BATCH = 8
"""Loads of 16 bytes of a thread."""
_INTS = (np.int32, np.int64)


def make(
    x: str, w: str, bias: str, compute: str, result: str, activation: str, overflow: str, border: str,
    *shape: int,
) -> Kernel:  # fmt: skip
    """`border`: what padding shows, "zeros", a "value" or by a "table"; `shape` is a `Stencil`."""
    s = Stencil(*shape)
    fill, weigh, sum_up = _filling(s, x, compute, border), _weighing(s, w, compute), summing(s, compute)
    finish = _finishing(s, bias, compute, result, activation, overflow)
    pitch = s.tile()[2]
    new_tile, new_filters, new_stage = _memory(s, compute)
    LX, FB, RF, ACC = s.LX, s.FB, s.RF, s.sums * (1 + (s.limit > 0))
    STEP, ACROSS, TALL, WIDE = s.RH * s.sH * pitch, s.sW * s.pitch, s.T // s.LX * s.RH, s.LX * s.RUN
    kind, divide, int32, int64 = getattr(np, compute), ops.divide, *_INTS

    def stencil(x: Any, w: Any, bias: Any, out: Any, table: Any, numbers: Any, reals: Any) -> None:
        tile, filters, stage = new_tile(), new_filters(), new_stage()
        acc = cuda.local.array(ACC, kind)
        t = int32(cuda.threadIdx.x)
        across, spot = int32(numbers[0]), int32(cuda.blockIdx.x)
        row = divide(spot, across)
        oh, ow = int32(row * TALL), int32((spot - row * across) * WIDE)
        per = int32(numbers[1])  # blocks of filters in a group
        g = divide(int32(cuda.blockIdx.y), per)
        f = int32((int32(cuda.blockIdx.y) - g * per) * FB)
        ly = divide(t, int32(LX))
        at = int32(ly * STEP + (t - ly * LX) * ACROSS)
        weigh(filters, w, t, g, f, numbers)
        n = int64(cuda.blockIdx.z)
        while n < numbers[2]:
            fill(tile, x, table, t, n, g, oh, ow, numbers, reals)
            cuda.syncthreads()
            for first in range(0, FB, RF):
                sum_up(acc, tile, at, filters, int32(first))
                finish(acc, stage, bias, out, t, n, g, int32(f + first), oh, ow, numbers, reals)
            cuda.syncthreads()
            n += int64(cuda.gridDim.z)

    pointers = tuple((name, 0) for name in (x, w, bias or compute, result, "int64"))
    return Kernel(
        stencil,
        (*pointers, ("int64", NUMBERS), ("float64", 3)),
        s.T,
        s.blocks(),
        s.shared_bytes() * (s.shared_bytes() > STATIC_BYTES),
    )


def _memory(s: Stencil, compute: str) -> list[Any]:
    """The tile, the filters and the stage: declared, or of what a launch gives."""
    if s.shared_bytes() <= STATIC_BYTES:
        return [ops.shared(compute, size) for size in s.words()]
    firsts = [sum(s.words()[:i]) * 16 // s.Q for i in range(3)]
    return [ops.dynamic(compute, size, first) for size, first in zip(s.words(), firsts, strict=True)]


def _filling(s: Stencil, x: str, compute: str, border: str) -> Any:
    """Read the tile in units of 16 bytes: lanes along a row, as many rows at a time as there are threads for."""
    height, width, pitch = s.tile()
    UNITS, LINES, T, PER, PITCH = -(-width // s.Q), s.C * height, s.T, s.RUN // s.Q, s.pitch
    FX = min(UNITS, T)
    FY, ALONG = T // FX, UNITS > T
    rounds = -(-UNITS // T) if ALONG else -(-LINES // FY)
    batch = -(-rounds // -(-rounds // BATCH))
    read, locate = _units(s, x, compute, border, (UNITS, LINES, FY, batch)), _placing(s, border)
    LENGTH, PLACES, kind, sW, OFF, C = batch * s.Q, s.Q // s.V, getattr(np, compute), s.sW, s.off, s.C
    NEXT, PITCHED, Q, divide, int32, int64 = batch * (T if ALONG else FY), pitch, s.Q, ops.divide, *_INTS

    def fill(tile: Any, x: Any, table: Any, t: Any, n: Any, g: Any, oh: Any, ow: Any, numbers: Any, reals: Any) -> None:
        values, places = cuda.local.array(LENGTH, kind), cuda.local.array(PLACES, int32)
        base = n * numbers[9] + int64(g) * C * numbers[12]
        column = int32(ow * sW - numbers[6] - OFF)
        line = divide(t, int32(FX))
        unit = int32(t - line * FX)
        turn = divide(unit, int32(PER))
        to = int32(line * PITCHED + turn * PITCH + (unit - turn * PER) * Q)
        if line < FY:
            locate(places, int32(column + unit * Q), table, numbers)
            while line < LINES:
                u, into = unit, to
                while u < UNITS:
                    read(values, places, tile, x, table, base, line, u, into, oh, column, numbers, reals)
                    u, into = int32(u + (NEXT if ALONG else UNITS)), int32(into + NEXT // PER * PITCH)
                line, to = int32(line + (1 if ALONG else NEXT)), int32(to + (1 if ALONG else NEXT) * PITCHED)

    return ops.device(fill)


def _placing(s: Stencil, border: str) -> Any:
    """Where the samples of a unit lie in a row, V at a time; NOWHERE if not all of these are in the row itself."""
    locate_all = ops.locating(tuple(range(0, s.Q, s.V)), s.V, border == "table" and s.V == 1)
    TOGETHER, int32 = s.V > 1, np.int32

    def locate(places: Any, first: Any, table: Any, numbers: Any) -> None:
        last, W, start = int32(numbers[13] - numbers[6]), int32(numbers[4]), int32(numbers[8] + numbers[6])
        if TOGETHER:
            locate_all(places, first, int32(1), int32(2**31 - 1), W, int32(1), table, start)
        else:
            locate_all(places, first, int32(1), last, W, int32(numbers[11]), table, start)

    return ops.device(locate)


def _units(s: Stencil, x: str, compute: str, border: str, sizes: tuple[int, int, int, int]) -> Any:
    """So many units of a thread: each is a function, which calls the next between its loads and its store."""
    UNITS, LINES, FY, batch = sizes
    sample, locate, fix = sampling(border == "table"), _placing(s, border), _fixing(s, x, compute, border)
    height, _, pitch = s.tile()
    ROWS, Q, T, sH, ALONG, ONE, RAGGED = height, s.Q, s.T, s.sH, UNITS > s.T, s.C == 1, s.ragged
    STEP = T // (s.RUN // s.Q) * s.pitch if ALONG else FY * pitch
    kind, divide, int32, int64 = getattr(np, compute), ops.divide, *_INTS

    def unit_from(number: int) -> Any:
        window = ops.windowing(x, compute, number * Q, Q // s.V, 1, s.V, border == "value")
        put = ops.putting(compute, number * Q, Q)
        rest = unit_from(number + 1) if number + 1 < batch else ops.device(_no_unit)

        def read(
            values: Any, places: Any, tile: Any, x: Any, table: Any, base: Any, line: Any, unit: Any, to: Any, oh: Any,
            column: Any, numbers: Any, reals: Any,
        ) -> None:  # fmt: skip
            plane = int32(0) if ONE else divide(line, int32(ROWS))
            # Rows behind the last that a result sees are beyond what padding has.
            r = int32(min(int32(oh * sH + line - plane * ROWS), int32(numbers[14])) - numbers[5])
            r = int32(sample(int64(r), numbers[3], numbers[5], table, numbers[7]))
            start = base + int64(plane) * numbers[12] + int64(r) * int64(int32(numbers[10]))
            if ALONG:
                locate(places, int32(column + unit * Q), table, numbers)
            mine = line < LINES and unit < UNITS
            window(values, x, start, places, mine and r >= 0, kind(reals[0]))
            rest(
                values, places, tile, x, table, base, int32(line if ALONG else line + FY),
                int32(unit + T if ALONG else unit), int32(to + STEP), oh, column, numbers, reals,
            )  # fmt: skip
            if mine:
                put(tile, to, values)
                if RAGGED and r >= 0:
                    fix(tile, to, x, table, start, int32(column + unit * Q), numbers)

        return ops.device(read)

    return unit_from(0)


def _fixing(s: Stencil, x: str, compute: str, border: str) -> Any:
    """The samples of a unit that is only in part in its row, or that a table shows."""
    sample, load, place = sampling(border == "table"), ops.reader(x, compute), ops.placing(compute)
    Q, int32, int64 = s.Q, *_INTS

    def fix(tile: Any, to: Any, x: Any, table: Any, start: Any, first: Any, numbers: Any) -> None:
        if first < 0 or int64(first) + Q > numbers[4]:
            for e in range(Q):
                # Columns behind the last that a result sees are beyond what padding has, as are those before the first.
                v = max(min(int64(first) + e, numbers[13] - numbers[6]), -numbers[6])
                v = sample(v, numbers[4], numbers[6], table, numbers[8])
                if v >= 0:
                    place(tile, int32(to + e), load(x, start + v * numbers[11]))

    return ops.device(fix)


def _weighing(s: Stencil, w: str, compute: str) -> Any:
    """Read the filters of a block; those beyond the group's last are never stored."""
    load, place = ops.reader(w, compute), ops.placing(compute)
    FB, C, KW, ALL, THREADS, kind = s.FB, s.C, s.KW, s.KH * s.KW * s.C * s.FB, s.T, getattr(np, compute)
    ROW, LENGTH, divide, int32, int64 = s.row, s.KW * s.C * s.FB, ops.divide, *_INTS

    def weigh(filters: Any, w: Any, t: Any, g: Any, f: Any, numbers: Any) -> None:
        FG, wH, wW, wC, wF = numbers[15], numbers[16], numbers[17], numbers[18], numbers[19]
        e = int32(t)
        while e < ALL:
            tap = divide(e, int32(FB))
            one = int32(f + e - tap * FB)
            row = divide(tap, int32(C))
            kh = divide(row, int32(KW))
            at = kh * wH + (row - kh * KW) * wW + (tap - row * C) * wC + (int64(g) * FG + one) * wF
            place(filters, int32(kh * ROW + e - kh * LENGTH), load(w, at) if one < FG else kind(0))
            e = int32(e + THREADS)

    return ops.device(weigh)


def _finishing(s: Stencil, bias: str, compute: str, result: str, activation: str, overflow: str) -> Any:
    """Results of a warp by way of the stage: neighbouring lanes write neighbouring columns, 16 bytes each."""
    write, sync, PITCH, int32 = (
        _writing(s, bias, compute, result, activation, overflow),
        ops.sync_warp,
        s.pitch,
        np.int32,
    )
    RH, START = s.RH, s.sums * (s.limit > 0)

    def finish_from(row: int) -> Any:
        """Rows of accumulators from `row` on: one function for each, so that their places are constant."""
        put, filter, down = ops.putting(compute, START + row * s.RUN, s.RUN), row // RH, row % RH
        rest = finish_from(row + 1) if row + 1 < s.RF * RH else ops.device(_nothing)

        def finish(
            acc: Any, stage: Any, bias: Any, out: Any, t: Any, n: Any, g: Any, f: Any, oh: Any, ow: Any, numbers: Any,
            reals: Any,
        ) -> None:  # fmt: skip
            put(stage, int32(t * PITCH), acc)
            sync()
            write(stage, bias, out, t, n, g, int32(f + filter), int32(oh + down), ow, numbers, reals)
            sync()
            rest(acc, stage, bias, out, t, n, g, f, oh, ow, numbers, reals)

        return ops.device(finish)

    return finish_from(0)


def _writing(s: Stencil, bias: str, compute: str, result: str, activation: str, overflow: str) -> Any:
    """A row of each thread of a warp, which lies in the stage."""
    convert, whole = converting(compute, result, overflow)
    finish, get = finishing(s.Q, bool(bias), compute, activation, convert, whole), ops.getting(compute, 0, s.Q)
    box, some = ops.boxing(bias or compute, compute, (s.Q,)), _storing(s, result, whole)
    kind, final, Q, RUN, LX, RH = getattr(np, compute), getattr(np, whole), s.Q, s.RUN, s.LX, s.RH
    PER, PITCH, BIAS, divide, int32, int64 = s.RUN // s.Q, s.pitch, bool(bias), ops.divide, *_INTS
    TOGETHER = s.VO > 1
    APART = 32 // PER  # threads between those whose results a lane writes
    DOWN, ACROSS, REGULAR = max(APART // LX, 0), APART if LX >= 32 else 0, LX >= 32 or APART >= LX

    def write(
        stage: Any, bias: Any, out: Any, t: Any, n: Any, g: Any, one: Any, oh: Any, ow: Any, numbers: Any, reals: Any
    ) -> None:
        filter = int64(g) * numbers[15] + one
        base = n * numbers[22] + filter * numbers[25]
        of = divide(int32(t & 31), int32(PER))
        part = int32(((t & 31) - of * PER) * Q)
        of = int32(of + t - (t & 31))  # the thread whose results they are, the first of PER
        ly = divide(of, int32(LX))
        lx = int32(of - ly * LX)
        for k in range(PER):
            ny, nx = int32(ly + k * DOWN), int32(lx + k * ACROSS)
            if not REGULAR:
                ny = divide(int32(of + k * APART), int32(LX))
                nx = int32(of + k * APART - ny * LX)
            h, v = int32(oh + ny * RH), int32(ow + nx * RUN + part)
            left = int32(int32(numbers[21]) - v)
            if left > 0 and h < int32(numbers[20]) and one < int32(numbers[15]):
                sums, values = cuda.local.array(Q, kind), cuda.local.array(Q, final)
                biases = cuda.local.array(Q, kind)
                if BIAS:
                    box(biases, bias, filter * numbers[26], (int64(0),))
                get(stage, int32((of + k * APART) * PITCH + part), sums)
                finish(values, sums, biases, reals[2])
                at = base + int64(h) * int64(int32(numbers[23]))
                at += int64(v) if TOGETHER else int64(v) * int64(int32(numbers[24]))
                some(values, out, at, left, numbers[24])

    return ops.device(write)


def _storing(s: Stencil, result: str, whole: str) -> Any:
    """some(values, out, at, n, step): as many as there are columns left, at once where all of them are."""
    Q, VO = s.Q, s.VO

    def group_from(first: int, size: int) -> Any:
        store, NEXT = ops.storing(result, whole, first, size), first + size
        rest = group_from(NEXT, size) if NEXT < Q else ops.device(_no_group)

        def group(values: Any, out: Any, at: Any, n: Any, step: Any) -> None:
            if n >= NEXT:
                store(out, at, values)
                rest(values, out, at + size * step, n, step)

        return ops.device(group)

    wide, single = group_from(0, VO), group_from(0, 1)

    def some(values: Any, out: Any, at: Any, n: Any, step: Any) -> None:
        if VO > 1 and n >= Q:
            wide(values, out, at, n, step)
        else:
            single(values, out, at, n, step)

    return ops.device(some)


def _no_group(values: Any, out: Any, at: Any, n: Any, step: Any) -> None:
    """After the last."""


def _no_unit(
    values: Any, places: Any, tile: Any, x: Any, table: Any, base: Any, line: Any, unit: Any, to: Any, oh: Any,
    column: Any, numbers: Any, reals: Any,
) -> None:  # fmt: skip
    """After the last of a batch."""


def _nothing(
    acc: Any,
    stage: Any,
    bias: Any,
    out: Any,
    t: Any,
    n: Any,
    g: Any,
    f: Any,
    oh: Any,
    ow: Any,
    numbers: Any,
    reals: Any,
) -> None:
    """After the last row."""
