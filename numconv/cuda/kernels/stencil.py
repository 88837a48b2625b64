"""Few channels, pixels in lanes: images, signals, depthwise layers, banks of filters.

A block computes a tile of pixels of some filters of one group; a thread RH rows of 8 neighbouring columns of RF
filters at a time. The input tile with its halo lies in shared memory, padded and converted as it was read, so that
borders and types cost nothing further on. Each 8 columns take up PITCH = 12 words there: threads whose columns are
neighbours read 16 bytes each without conflicts between banks, at offsets that are known when this is compiled.

    tile     [channel][row][column // 8][12]     one row of it is the window of a thread, for all its products
    filters  [tap row][tap column][channel][filter]
    stage    [warp][lane][12]                     a row of results, to be written by neighbouring lanes

All products of a result are one chain: the order is kh, kw, c, as in `reference`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .borders import sampling
from .finish import activating, adding, converting
from .kernel import Kernel
from .shapes import PITCH, RUN, Stencil

NUMBERS = 27


def make(
    x: str, w: str, bias: str, compute: str, result: str, activation: str, overflow: str, borders: bool,
    *shape: int,
) -> Kernel:  # fmt: skip
    """`shape` is a `Stencil`."""
    s = Stencil(*shape)
    fill, weigh, micro = (
        _filling(s, x, compute, borders),
        _weighing(s, w, compute),
        _micro(s, compute),
    )
    finish = _finishing(s, bias, compute, result, activation, overflow)
    rows, _, pitch = s.tile()
    new_tile, new_filters, new_stage = (
        ops.shared(compute, size) for size in (s.C * rows * pitch, s.KH * s.KW * s.C * s.FB, s.T * PITCH)
    )
    LX, FB, RF, ACC = s.LX, s.FB, s.RF, s.RF * s.RH * RUN
    STEP, ACROSS, TALL, WIDE = s.RH * s.sH * pitch, s.sW * PITCH, s.T // s.LX * s.RH, s.LX * RUN
    kind, divide, int32, int64 = getattr(np, compute), ops.divide, np.int32, np.int64

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
                micro(acc, tile, at, filters, int32(first))
                finish(acc, stage, bias, out, t, n, g, int32(f + first), oh, ow, numbers, reals)
            cuda.syncthreads()
            n += int64(cuda.gridDim.z)

    pointers = tuple((name, 0) for name in (x, w, bias or compute, result, "int64"))
    return Kernel(stencil, (*pointers, ("int64", NUMBERS), ("float64", 3)), s.T, s.blocks)


def _micro(s: Stencil, compute: str) -> Any:
    """All products of a thread, row of the tile by row: a row belongs to one tap row of each of the thread's rows."""
    vector, (height, _, pitch) = 16 // np.dtype(compute).itemsize, s.tile()
    rows, channels = (s.RH - 1) * s.sH + (s.KH - 1) * s.dH + 1, range(s.C)

    def spread(load: Any, c: int, row: int) -> list:
        found: list = []
        for column in range(0, s.window, vector):
            found += load((c * height + row) * pitch + column // RUN * PITCH + column % RUN, vector)
        return found

    def weights(load: Any, kh: int, kw: int, c: int) -> list:
        start, found = ((kh * s.KW + kw) * s.C + c) * s.FB, []
        step = vector if s.RF % vector == s.FB % vector == 0 else 1
        for f in range(0, s.RF, step):
            found += load(start + f, step)
        return found

    def body(acc: list, tile: Any, filters: Any, fma: Any) -> None:
        for row in range(rows):
            taps = [(i, (row - i * s.sH) // s.dH) for i in range(s.RH) if (row - i * s.sH) % s.dH == 0]
            taps = [(i, kh) for i, kh in taps if 0 <= kh < s.KH]
            if not taps:
                continue
            x = [spread(tile, c, row) for c in channels]
            for i, kh in taps:
                for kw in range(s.KW):
                    for c in channels:
                        for f, weight in enumerate(weights(filters, kh, kw, c)):
                            for j in range(RUN):
                                at = (f * s.RH + i) * RUN + j
                                acc[at] = fma(x[c][j * s.sW + kw * s.dW], weight, acc[at])

    return ops.unrolled(body, compute, s.RF * s.RH * RUN, fresh=True)


def _filling(s: Stencil, x: str, compute: str, borders: bool) -> Any:
    """Read the tile: lanes along columns, whose samples are looked up once."""
    load, place, sample = ops.reader(x, compute), ops.placing(compute), sampling(borders)
    height, width, pitch = s.tile()
    FX = s.T if height == 1 else min(32, s.T)
    FY, COLUMNS, ROWS, WIDTH, PITCHED, PLANE = s.T // FX, -(-width // FX), height, width, pitch, height * pitch
    C, sH, sW, kind, divide, int32, int64 = s.C, s.sH, s.sW, getattr(np, compute), ops.divide, np.int32, np.int64

    def fill(tile: Any, x: Any, table: Any, t: Any, n: Any, g: Any, oh: Any, ow: Any, numbers: Any, reals: Any) -> None:
        H, W, loH, loW, atH, atW = numbers[3], numbers[4], numbers[5], numbers[6], numbers[7], numbers[8]
        xC, base = numbers[12], n * numbers[9] + int64(g) * C * numbers[12]
        ty = divide(t, int32(FX))
        tx = int32(t - ty * FX)
        for j in range(COLUMNS):
            q = int32(tx + j * FX)
            if q < WIDTH:
                # Columns behind the last that an output sees are beyond what padding has.
                column = min(int64(ow) * sW + q, numbers[13]) - loW
                column = sample(column, W, loW, table, atW)
                across = int64(int32(column)) * int64(int32(numbers[11]))
                to = int32((q >> 3) * 12 + (q & 7))
                r = int32(ty)
                while r < ROWS:
                    line = sample(min(int64(oh) * sH + r, numbers[14]) - loH, H, loH, table, atH)
                    at = base + int64(int32(line)) * int64(int32(numbers[10])) + across
                    for c in range(C):
                        value = load(x, at + c * xC) if line >= 0 and column >= 0 else kind(reals[0])
                        place(tile, int32(to + r * PITCHED + c * PLANE), value)
                    r = int32(r + FY)

    return ops.device(fill)


def _weighing(s: Stencil, w: str, compute: str) -> Any:
    """Read the filters of a block; those beyond the group's last are never stored."""
    load, place = ops.reader(w, compute), ops.placing(compute)
    FB, C, KW, ALL, THREADS, kind = s.FB, s.C, s.KW, s.KH * s.KW * s.C * s.FB, s.T, getattr(np, compute)
    divide, int32, int64 = ops.divide, np.int32, np.int64

    def weigh(filters: Any, w: Any, t: Any, g: Any, f: Any, numbers: Any) -> None:
        FG, wH, wW, wC, wF = numbers[15], numbers[16], numbers[17], numbers[18], numbers[19]
        e = int32(t)
        while e < ALL:
            tap = divide(e, int32(FB))
            one = int32(f + e - tap * FB)
            row = divide(tap, int32(C))
            kh = divide(row, int32(KW))
            at = kh * wH + (row - kh * KW) * wW + (tap - row * C) * wC + (int64(g) * FG + one) * wF
            place(filters, e, load(w, at) if one < FG else kind(0))
            e = int32(e + THREADS)

    return ops.device(weigh)


def _finishing(s: Stencil, bias: str, compute: str, result: str, activation: str, overflow: str) -> Any:
    """Results of a warp by way of the stage: 32 lanes write 32 columns, not 4 of every 8."""
    activate, add, take = activating(compute, activation), adding(bias, compute, compute), ops.taking(compute)
    convert, whole = converting(compute, result, overflow)
    store, kind = ops.writer(result, whole), getattr(np, compute)
    LX, RH, divide, sync, int32, int64 = s.LX, s.RH, ops.divide, ops.sync_warp, np.int32, np.int64

    def write(
        stage: Any, bias: Any, out: Any, t: Any, n: Any, g: Any, one: Any, oh: Any, ow: Any, numbers: Any, reals: Any
    ) -> None:
        filter = int64(g) * numbers[15] + one
        base, oH, oW = n * numbers[22] + filter * numbers[25], int64(int32(numbers[23])), int64(int32(numbers[24]))
        for k in range(8):
            m = int32(k * 32 + (t & 31))
            of = int32(t - (t & 31) + (m >> 3))  # the thread whose result it is
            ly = divide(of, int32(LX))
            h, v = int32(oh + ly * RH), int32(ow + (of - ly * LX) * 8 + (m & 7))
            if one < numbers[15] and h < numbers[20] and v < numbers[21]:
                total, _ = add(take(stage, int32(of * 12 + (m & 7))), kind(0), bias, filter * numbers[26])
                store(out, base + int64(h) * oH + int64(v) * oW, convert(activate(total, reals[2])))

    write = ops.device(write)

    def finish_from(row: int) -> Any:
        """Rows of accumulators from `row` on: one function for each, so that their places are constant."""
        put, filter, down = ops.putting(compute, row * 8, 8), row // RH, row % RH
        rest = finish_from(row + 1) if row + 1 < s.RF * RH else ops.device(_nothing)

        def finish(
            acc: Any, stage: Any, bias: Any, out: Any, t: Any, n: Any, g: Any, f: Any, oh: Any, ow: Any, numbers: Any,
            reals: Any,
        ) -> None:  # fmt: skip
            put(stage, int32(t * 12), acc)
            sync()
            write(stage, bias, out, t, n, g, int32(f + filter), int32(oh + down), ow, numbers, reals)
            sync()
            rest(acc, stage, bias, out, t, n, g, f, oh, ow, numbers, reals)

        return ops.device(finish)

    return finish_from(0)


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
