"""Gradients of many weights: for each chain a matrix product of gathered x (taps and channels) and g (filters).

    rows, columns   [stage][pixel][BM + GAP], [stage][pixel][BN + GAP]
    pixels          [pixel][4]     where its sample begins in x, and where its first tap lies: d, h, w
    starts          [pixel]        where it lies in g
    taps            [row][4]       where a tap and channel lie from there, and the tap alone: d, h, w
    filters         [column]       where it lies in g

A block computes BM x BN sums of a chain. All copies are asynchronous, two stages ahead. Steps that do not fill a stage
are taken one by one, so that none is added that the reference does not have.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .borders import sampling
from .gradient_tile import GAP, STAGES, WIDEST, Tile, Way
from .kernel import Kernel

NUMBERS = 43
_ROWS = (0, 1, 2, 3, 16, 17, 18, 19)
_COLUMNS = (0, 1, 2, 3, 32, 33, 34, 35)
"""Of a thread, from its first."""


def make(compute: str, x_way: str, g_way: str, borders: str, axes: str, together: int, BM: int, BN: int) -> Kernel:
    """`borders`: "" (zeros) or "table"; `axes` that have padding, of "dhw"; `together`: neighbours that are stored."""
    tile = Tile(BM, BN, np.dtype(compute).itemsize)
    T, DEPTH, R_PITCH, C_PITCH = tile.threads, tile.depth, BM + GAP, BN + GAP
    new_rows = ops.dynamic(compute, tile.sides[0], 0)
    new_columns = ops.dynamic(compute, tile.sides[1], tile.sides[0] * tile.item_bytes)
    new_pixels, new_starts = ops.shared("int32", 4 * WIDEST), ops.shared("int32", WIDEST)
    new_taps, new_filters = ops.shared("int32", 4 * BM), ops.shared("int32", BN)
    ways = Way.of(x_way, tile, BM), Way.of(g_way, tile, BN)
    find, list_taps, list_filters = _finding(T, borders), _tapping(ways[0], borders), _filtering(ways[1])
    fold, fetch_x, fetch_g = _folding(tile), _rows(ways[0], compute, borders, axes), _columns(ways[1], compute)
    micro, single = (ops.unrolled(_steps(tile, depth), compute, 64) for depth in (DEPTH, 1))
    clear, deposit = ops.filling(compute, 0, 64, 0.0), ops.delivering(compute, _ROWS, _COLUMNS, together)
    wait, commit, divide, int32, int64, kind = (
        ops.waiting(STAGES - 2),
        ops.commit,
        ops.divide,
        *_INTS,
        getattr(np, compute),
    )
    AHEAD, R_STAGE, C_STAGE, RING = STAGES - 1, DEPTH * R_PITCH, DEPTH * C_PITCH, STAGES

    def dense(x: Any, g: Any, sums: Any, table: Any, numbers: Any) -> None:
        rows, columns, pixels, starts = new_rows(), new_columns(), new_pixels(), new_starts()
        taps, filters = new_taps(), new_filters()
        acc = cuda.local.array(64, kind)
        t, block = int32(cuda.threadIdx.x), int32(cuda.blockIdx.x)
        rest = divide(block, int32(numbers[1]))
        group = divide(rest, int32(numbers[2]))
        m0, f0 = int32((block - rest * numbers[1]) * BM), int32((rest - group * numbers[2]) * BN)
        list_taps(taps, t, m0, group, numbers)
        list_filters(filters, t, f0, group, numbers)
        count = find(pixels, starts, t, int32(int32(cuda.blockIdx.y) + int32(numbers[7])), numbers)
        cuda.syncthreads()
        stages = divide(int32(count + DEPTH - 1), int32(DEPTH))
        clear(acc)
        for ahead in range(AHEAD):
            if ahead < stages:
                fetch_x(rows, int32(ahead * R_STAGE), x, table, pixels, taps, t, int32(ahead * DEPTH), numbers)
                fetch_g(columns, int32(ahead * C_STAGE), g, starts, filters, t, int32(ahead * DEPTH))
            commit()
        row, column = fold(t)
        slot, first, left = int32(0), int32(AHEAD * DEPTH), count
        while left > 0:
            wait()
            cuda.syncthreads()
            if first < count:
                to = int32(slot - 1) if slot > 0 else int32(RING - 1)
                fetch_x(rows, int32(to * R_STAGE), x, table, pixels, taps, t, first, numbers)
                fetch_g(columns, int32(to * C_STAGE), g, starts, filters, t, first)
            commit()
            a, b = int32(slot * R_STAGE + row), int32(slot * C_STAGE + column)
            if left >= DEPTH:
                micro(acc, rows, a, columns, b)
            else:
                for _ in range(left):
                    single(acc, rows, a, columns, b)
                    a, b = int32(a + R_PITCH), int32(b + C_PITCH)
            left, first = int32(left - DEPTH), int32(first + DEPTH)
            slot = int32(slot + 1) if slot < RING - 1 else int32(0)
        m, f = int32(m0 + row), int32(f0 + column)
        at = int64(cuda.blockIdx.y) * numbers[4] + int64(m) * numbers[6] + int64(group) * numbers[5] + f
        deposit(sums, at, numbers[6], int32(numbers[3] - m), int32(numbers[5] - f), acc)

    pointers = ((compute, 0), (compute, 0), (compute, 0), ("int64", 0))
    return Kernel(dense, (*pointers, ("int64", NUMBERS)), T, tile.blocks, tile.shared_bytes)


_INTS = (np.int32, np.int64)


def _steps(tile: Tile, depth: int) -> Any:
    """So many steps of a thread: 64 products each, of 16 values read 16 bytes at a time."""
    vector = 16 // tile.item_bytes

    def eight(load: Any, first: int, places: tuple[int, ...]) -> list:
        found: list = []
        for i in range(0, 8, vector):
            found += load(first + places[i], vector)
        return found

    def body(acc: list, rows: Any, columns: Any, fma: Any) -> None:
        for k in range(depth):
            a, b = eight(rows, k * (tile.BM + GAP), _ROWS), eight(columns, k * (tile.BN + GAP), _COLUMNS)
            for i in range(8):
                for j in range(8):
                    acc[i * 8 + j] = fma(a[i], b[j], acc[i * 8 + j])

    return body


def _folding(tile: Tile) -> Any:
    """(first row, first column) of a thread."""
    ACROSS, divide, int32 = tile.BN // 64, ops.divide, np.int32

    def fold(t: Any) -> Any:
        warp = divide(t, int32(32))
        down = divide(warp, int32(ACROSS))
        across = int32(warp - down * ACROSS)
        return int32(down * 32 + ((t & 1) | ((t >> 3) & 2)) * 4), int32(across * 64 + ((t >> 1) & 7) * 4)

    return ops.device(fold)


def _finding(T: int, borders: str) -> Any:
    """Lists the pixels of a chain, and as many beyond the last as a stage reads; returns how many there are."""
    place, divide, int32, THREADS, ALL = ops.placing("int32"), ops.divide, np.int32, T, WIDEST

    def find(pixels: Any, starts: Any, t: Any, number: Any, numbers: Any) -> Any:
        line = divide(number, int32(numbers[8]))
        first = int32(int32(number - line * int32(numbers[8])) * int32(numbers[10]))
        top = int32(line * int32(numbers[9]))
        width: Any = min(int32(numbers[10]), int32(numbers[14] - first))
        height: Any = min(int32(numbers[9]), int32(numbers[11] - top))
        count = int32(width * height)
        for p in range(t, ALL, THREADS):
            one = int32(p if p < count else count - 1)
            down = divide(one, width)
            row, ow = int32(top + down), int32(first + one - down * width)
            plane = divide(row, int32(numbers[13]))
            oh = int32(row - plane * int32(numbers[13]))
            n = divide(plane, int32(numbers[12]))
            od = int32(plane - n * int32(numbers[12]))
            d, h, w = od * numbers[25] - numbers[31], oh * numbers[26] - numbers[32], ow * numbers[27] - numbers[33]
            base = n * numbers[15]
            if not borders:
                base += d * numbers[16] + h * numbers[17] + w * numbers[18]
            at = int32(4 * p)
            place(pixels, at, int32(base))
            place(pixels, int32(at + 1), int32(d))
            place(pixels, int32(at + 2), int32(h))
            place(pixels, int32(at + 3), int32(w))
            place(starts, int32(p), int32(n * numbers[20] + od * numbers[21] + oh * numbers[22] + ow * numbers[23]))
        return count

    return ops.device(find)


def _tapping(way: Way, borders: str) -> Any:
    """Lists the rows of a block; those beyond the last are like the last, and stored nowhere."""
    place, divide, int32, THREADS, ROWS, WIDTH = ops.placing("int32"), ops.divide, np.int32, way.T, way.B, way.WIDTH

    def tapping(taps: Any, t: Any, m0: Any, group: Any, numbers: Any) -> None:
        for m in range(t, ROWS, THREADS):
            row = int32(m0 + m if m0 + m < numbers[3] else numbers[3] - WIDTH)
            column = divide(row, int32(numbers[42]))
            c = int32(row - column * int32(numbers[42]))
            line = divide(column, int32(numbers[41]))
            kd = divide(line, int32(numbers[40]))
            d, h = kd * numbers[28], int32(line - kd * int32(numbers[40])) * numbers[29]
            w = int32(column - line * int32(numbers[41])) * numbers[30]
            base = (group * numbers[42] + c) * numbers[19]
            if not borders:
                base += d * numbers[16] + h * numbers[17] + w * numbers[18]
            at = int32(4 * m)
            place(taps, at, int32(base))
            place(taps, int32(at + 1), int32(d))
            place(taps, int32(at + 2), int32(h))
            place(taps, int32(at + 3), int32(w))

    return ops.device(tapping)


def _filtering(way: Way) -> Any:
    """Lists the columns of a block, likewise."""
    place, int32, THREADS, COLUMNS, WIDTH = ops.placing("int32"), np.int32, way.T, way.B, way.WIDTH

    def filtering(filters: Any, t: Any, f0: Any, group: Any, numbers: Any) -> None:
        for column in range(t, COLUMNS, THREADS):
            f = int32(f0 + column if f0 + column < numbers[5] else numbers[5] - WIDTH)
            place(filters, int32(column), int32((group * numbers[5] + f) * numbers[24]))

    return ops.device(filtering)


def _spreading(way: Way) -> Any:
    """(pixel of a stage, group of neighbours): the first of a thread; it has every `down`-th and every `across`-th."""
    LK, ACROSS, divide, int32 = way.LK, way.across, ops.divide, np.int32

    def spread(t: Any) -> Any:
        rest = divide(t, int32(LK))
        down = divide(rest, int32(ACROSS))
        return int32(t - rest * LK + down * LK), int32(rest - down * ACROSS)

    return ops.device(spread)


def _rows(way: Way, compute: str, borders: str, axes: str) -> Any:
    """Copy a stage of x: zeros, or samples by a table, where there is padding.

    Tables are read first: between a read of shared memory and the next copy, ptxas waits three instructions.
    """
    spread, entry, inside = _spreading(way), ops.collecting("int32", 4, 1), _inside(axes)
    copy = ops.copying(compute, way.WIDTH)
    sample, int32, int64 = sampling(True), *_INTS
    PIXELS, DOWN, GROUPS, ACROSS, WIDTH, PITCH, DEPTH, HELD = (
        way.pixels, way.down, way.groups, way.across, way.WIDTH, way.B + GAP, way.DEPTH, way.held,
    )  # fmt: skip

    def zeros(rows: Any, to: Any, x: Any, table: Any, pixels: Any, taps: Any, t: Any, first: Any, numbers: Any) -> None:
        at, ds = cuda.local.array(GROUPS, int32), cuda.local.array(GROUPS, int32)
        hs, ws = cuda.local.array(GROUPS, int32), cuda.local.array(GROUPS, int32)
        base, d = cuda.local.array(HELD, int32), cuda.local.array(HELD, int32)
        h, w = cuda.local.array(HELD, int32), cuda.local.array(HELD, int32)
        k, m = spread(t)
        for j in range(GROUPS):
            at[j], ds[j], hs[j], ws[j] = entry(taps, int32(4 * WIDTH * (m + j * ACROSS)))
        for start in range(0, PIXELS, HELD):
            for i in range(HELD):
                base[i], d[i], h[i], w[i] = entry(pixels, int32(4 * (first + k + (start + i) * DOWN)))
            for i in range(HELD):
                pixel = int32(k + (start + i) * DOWN)
                if PIXELS * DOWN <= DEPTH or pixel < DEPTH:
                    for j in range(GROUPS):
                        there = inside(int32(d[i] + ds[j]), int32(h[i] + hs[j]), int32(w[i] + ws[j]), numbers)
                        to_it = int32(to + pixel * PITCH + (m + j * ACROSS) * WIDTH)
                        copy(rows, to_it, x, int64(int32(base[i] + at[j])), there)

    def shown(rows: Any, to: Any, x: Any, table: Any, pixels: Any, taps: Any, t: Any, first: Any, numbers: Any) -> None:
        k, m = spread(t)
        for i in range(PIXELS):
            pixel = int32(k + i * DOWN)
            if PIXELS * DOWN <= DEPTH or pixel < DEPTH:
                base, d, h, w = entry(pixels, int32(4 * (first + pixel)))
                for j in range(GROUPS):
                    one = int32((m + j * ACROSS) * WIDTH)
                    tap, td, th, tw = entry(taps, int32(4 * one))
                    d_at = sample(int64(int32(d + td)), numbers[34], numbers[31], table, int64(0))
                    h_at = sample(int64(int32(h + th)), numbers[35], numbers[32], table, numbers[37])
                    w_at = sample(int64(int32(w + tw)), numbers[36], numbers[33], table, numbers[38])
                    at = int32(base + tap) + d_at * numbers[16] + h_at * numbers[17] + w_at * numbers[18]
                    copy(rows, int32(to + pixel * PITCH + one), x, at, True)

    return ops.device(shown if borders else zeros)


def _inside(axes: str) -> Any:
    """Whether a sample is in x, along the axes that have padding."""
    D, H, W, int32 = "d" in axes, "h" in axes, "w" in axes, np.int32

    def inside(d: Any, h: Any, w: Any, numbers: Any) -> Any:
        there = True
        if D:
            there = there and 0 <= d < int32(numbers[34])
        if H:
            there = there and 0 <= h < int32(numbers[35])
        if W:
            there = there and 0 <= w < int32(numbers[36])
        return there

    return ops.device(inside)


def _columns(way: Way, compute: str) -> Any:
    """Copy a stage of g."""
    spread, take, copy, int32, int64 = _spreading(way), ops.taking("int32"), ops.copying(compute, way.WIDTH), *_INTS
    PIXELS, DOWN, GROUPS, ACROSS, WIDTH, PITCH, DEPTH, HELD = (
        way.pixels, way.down, way.groups, way.across, way.WIDTH, way.B + GAP, way.DEPTH, way.held,
    )  # fmt: skip

    def fetch(columns: Any, to: Any, g: Any, starts: Any, filters: Any, t: Any, first: Any) -> None:
        places, at = cuda.local.array(GROUPS, int32), cuda.local.array(HELD, int32)
        k, f = spread(t)
        for j in range(GROUPS):
            places[j] = take(filters, int32((f + j * ACROSS) * WIDTH))
        for start in range(0, PIXELS, HELD):
            for i in range(HELD):
                at[i] = take(starts, int32(first + k + (start + i) * DOWN))
            for i in range(HELD):
                pixel = int32(k + (start + i) * DOWN)
                if PIXELS * DOWN <= DEPTH or pixel < DEPTH:
                    for j in range(GROUPS):
                        to_it = int32(to + pixel * PITCH + (f + j * ACROSS) * WIDTH)
                        copy(columns, to_it, g, int64(int32(at[i] + places[j])), True)

    return ops.device(fetch)
