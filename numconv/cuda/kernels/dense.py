"""Many channels and filters: a matrix product whose left and right sides are gathered from w and x (implicit GEMM).

A block computes B x B results of a group, filters by pixels, a thread 8 x 8 of them; both sides of DEPTH steps at a
time lie in shared memory, twice, so that the next are read while these are multiplied. The side that is contiguous in
the result is the *fast* one: neighbouring threads have neighbouring columns of it.

    fast, slow    [buffer][step][B]        threads have columns and rows 4*t to 4*t + 3, and B/2 further on
    stage         [thread row][B]          a row of results of each thread, for stores of neighbouring threads
    where         [B]                      the place of each pixel in the result, -1 beyond the last

Steps are in the order of `reference`, kh, kw, c. Each chain is filled up to whole DEPTHs with steps x = 0.0, w = -0.0,
which leave any sum as it is, NaN and the sign of zero included. The sums of chains are added up
in 64 more registers, which leaves room for one block of 256 threads on a multiprocessor: adding them up in the result
took 6 % more instructions, and two blocks did not fit the registers without spilling.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .borders import sampling
from .finish import activating, adding, converting
from .kernel import Kernel

NUMBERS = 34
EACH = 8
"""Rows and columns of a thread, and elements of either side that it reads of a DEPTH."""


def make(
    x: str, w: str, bias: str, compute: str, result: str, activation: str, overflow: str, borders: bool, B: int,
    unit: int, pixels_fast: bool, chains: bool,
) -> Kernel:  # fmt: skip
    """`unit`: so many steps from a multiple of it on belong to one tap; `chains`: there is more than one chain."""
    T, DEPTH = B * B // 64, B // 8
    gather, weigh = _gathering(x, compute, borders, B, unit), _weighing(w, compute, unit)
    finish = _finishing(bias, compute, result, activation, overflow, B, pixels_fast, chains)
    fast, slow = (ops.shared(compute, 2 * DEPTH * B) for _ in range(2))
    new_stage, place = ops.shared(compute, T * EACH), ops.placing(compute)
    new_where, put_where = ops.shared("int64", B), ops.placing("int64")
    micro, clear = _micro(compute, B, DEPTH), ops.filling(compute, 0, 64, 0.0)
    start, fold = ops.filling(compute, 64, 64 * chains, -0.0), ops.folding(compute, 64)
    last = ops.reader("int64", "int64")
    TX, SIZE, PIXELS_FAST, divide, int32, int64 = B // EACH, DEPTH * B, pixels_fast, ops.divide, np.int32, np.int64
    kind, locate, CHAINS, SUMS = getattr(np, compute), _locating(B), chains, 128 if chains else 64

    def dense(x: Any, w: Any, bias: Any, out: Any, table: Any, steps: Any, numbers: Any, reals: Any) -> None:
        columns, rows, stage, where = fast(), slow(), new_stage(), new_where()
        acc = cuda.local.array(SUMS, kind)
        xs, ws = cuda.local.array(8, kind), cuda.local.array(8, kind)
        t = int32(cuda.threadIdx.x)
        g, f0 = int64(cuda.blockIdx.z), int32(cuda.blockIdx.y) * B
        column = int32(t % B)
        k = int32(divide(t, int32(B)) * 8)
        valid, base, pd, ph, pw, place_of_it = locate(int64(cuda.blockIdx.x) * B + column, numbers)
        if t < B:
            put_where(where, t, place_of_it)
        base += g * numbers[1] * numbers[13]
        ty = divide(t, int32(TX))
        tx4, ty4 = int32((t - ty * TX) * 4), int32(ty * 4)
        clear(acc)
        start(acc)
        stages, at = int32(numbers[0]), int32(0)
        gather(xs, x, table, steps, k, valid, base, pd, ph, pw, numbers, reals)
        weigh(ws, w, steps, k, g, int32(f0 + column), numbers)
        for stage_number in range(stages):
            for e in range(8):
                to = int32(at + (k + e) * B + column)
                place(columns if PIXELS_FAST else rows, to, xs[e])
                place(rows if PIXELS_FAST else columns, to, ws[e])
            cuda.syncthreads()
            if stage_number + 1 < stages:
                ahead = int32((stage_number + 1) * DEPTH + k)
                gather(xs, x, table, steps, ahead, valid, base, pd, ph, pw, numbers, reals)
                weigh(ws, w, steps, ahead, g, int32(f0 + column), numbers)
            micro(acc, rows, int32(at + ty4), columns, int32(at + tx4))
            at = int32(SIZE - at)
            if CHAINS and last(steps, numbers[2] + stage_number) != 0:
                fold(acc)
                clear(acc)
        finish(acc, stage, where, bias, out, t, tx4, ty, g, f0, numbers, reals)

    pointers = tuple((name, 0) for name in (x, w, bias or compute, result, "int64", "int64"))
    return Kernel(dense, (*pointers, ("int64", NUMBERS), ("float64", 3)), T, 1 if T > 64 else 4)


def _micro(compute: str, B: int, DEPTH: int) -> Any:
    """DEPTH steps of a thread: 64 products each, of 16 values read 16 bytes at a time."""
    vector, half = 16 // np.dtype(compute).itemsize, B // 2

    def eight(load: Any, k: int) -> list:
        found: list = []
        for part in (0, half):
            for i in range(0, 4, vector):
                found += load(k * B + part + i, vector)
        return found

    def body(acc: list, rows: Any, columns: Any, fma: Any) -> None:
        for k in range(DEPTH):
            a, b = eight(rows, k), eight(columns, k)
            for i in range(8):
                for j in range(8):
                    acc[i * 8 + j] = fma(a[i], b[j], acc[i * 8 + j])

    return ops.unrolled(body, compute, 64)


def _locating(B: int) -> Any:
    """(whether there is such a pixel, where its sample begins, where its first tap lies, its place in the result)."""
    divide, int32, int64 = ops.divide, np.int32, np.int64

    def locate(pixel: Any, numbers: Any) -> Any:
        valid = pixel < numbers[3]
        rest = int32(pixel) if valid else int32(0)
        row = divide(rest, int32(numbers[6]))
        ow = int32(rest - row * int32(numbers[6]))
        plane = divide(row, int32(numbers[5]))
        oh = int32(row - plane * int32(numbers[5]))
        n = divide(plane, int32(numbers[4]))
        od = int32(plane - n * int32(numbers[4]))
        at = int64(n) * numbers[28] + int64(od) * numbers[29] + int64(oh) * numbers[30] + int64(ow) * numbers[31]
        pd, ph = int32(od * numbers[14] - numbers[17]), int32(oh * numbers[15] - numbers[18])
        pw = int32(ow * numbers[16] - numbers[19])
        return valid, int64(n) * numbers[9], pd, ph, pw, at if valid else int64(-1)

    return ops.device(locate)


def _gathering(x: str, compute: str, borders: bool, B: int, unit: int) -> Any:
    """Eight steps of one pixel. A row of `steps`: the tap's place (d, h, w), the channel or -1, the weight's place."""
    load, look, sample = ops.reader(x, compute), ops.reader("int64", "int64"), sampling(borders)
    ONE, kind, int64 = unit == 8, getattr(np, compute), np.int64

    def source(steps: Any, row: Any, table: Any, base: Any, pd: Any, ph: Any, pw: Any, numbers: Any) -> Any:
        d = sample(pd + look(steps, row), numbers[20], numbers[17], table, int64(0))
        h = sample(ph + look(steps, row + 1), numbers[21], numbers[18], table, numbers[23])
        v = sample(pw + look(steps, row + 2), numbers[22], numbers[19], table, numbers[24])
        c = look(steps, row + 3)
        inside = d >= 0 and h >= 0 and v >= 0
        return inside, base + d * numbers[10] + h * numbers[11] + v * numbers[12] + c * numbers[13], c >= 0

    source = ops.device(source)

    def eight(
        xs: Any, x: Any, table: Any, steps: Any, k: Any, valid: Any, base: Any, pd: Any, ph: Any, pw: Any,
        numbers: Any, reals: Any,
    ) -> None:  # fmt: skip
        inside, at, there = source(steps, int64(k) * 5, table, base, pd, ph, pw, numbers)
        pad = kind(reals[0]) if valid and there else kind(0)
        read = valid and there and inside
        for e in range(8):
            xs[e] = load(x, at + e * numbers[13]) if read else pad

    def each(
        xs: Any, x: Any, table: Any, steps: Any, k: Any, valid: Any, base: Any, pd: Any, ph: Any, pw: Any,
        numbers: Any, reals: Any,
    ) -> None:  # fmt: skip
        for e in range(8):
            inside, at, there = source(steps, (int64(k) + e) * 5, table, base, pd, ph, pw, numbers)
            pad = kind(reals[0]) if valid and there else kind(0)
            xs[e] = load(x, at) if valid and there and inside else pad

    return ops.device(eight if ONE else each)


def _weighing(w: str, compute: str, unit: int) -> Any:
    """Eight steps of one filter; -0.0 for steps and filters that do not exist."""
    load, look = ops.reader(w, compute), ops.reader("int64", "int64")
    kind, int64 = getattr(np, compute), np.int64

    def eight(ws: Any, w: Any, steps: Any, k: Any, g: Any, f: Any, numbers: Any) -> None:
        there = f < numbers[7] and look(steps, int64(k) * 5 + 3) >= 0
        at = (g * numbers[7] + f) * numbers[25] + look(steps, int64(k) * 5 + 4)
        for e in range(8):
            ws[e] = load(w, at + e * numbers[27]) if there else kind(-0.0)

    def each(ws: Any, w: Any, steps: Any, k: Any, g: Any, f: Any, numbers: Any) -> None:
        at = (g * numbers[7] + f) * numbers[25]
        for e in range(8):
            row = (int64(k) + e) * 5
            there = f < numbers[7] and look(steps, row + 3) >= 0
            ws[e] = load(w, at + look(steps, row + 4)) if there else kind(-0.0)

    return ops.device(eight if unit == 8 else each)


def _finishing(
    bias: str, compute: str, result: str, activation: str, overflow: str, B: int, pixels_fast: bool, chains: bool
) -> Any:
    """Store finished sums, a row of each thread at a time."""
    activate, add, take = activating(compute, activation), adding(bias, compute, compute), ops.taking(compute)
    convert, whole = converting(compute, result, overflow)
    store, PIXELS_FAST, kind, START = ops.writer(result, whole), pixels_fast, getattr(np, compute), 64 if chains else 0
    WARP, divide, sync, look, int32 = min(32, B * B // 64), ops.divide, ops.sync_warp, ops.taking("int64"), np.int32

    def write(
        stage: Any, where: Any, bias: Any, out: Any, t: Any, g: Any, f0: Any, row: Any, numbers: Any,
        reals: Any,
    ) -> None:  # fmt: skip
        lane = int32(t % WARP)
        for k in range(8):
            word = int32((t - lane) * 8 + k * WARP + lane)
            of = divide(word, int32(B))
            column, line = int32(word - of * B), int32(of * 4 + row)
            f = int32(f0 + (line if PIXELS_FAST else column))
            at = look(where, column if PIXELS_FAST else line)
            if at >= 0 and f < numbers[7]:
                filter = g * numbers[7] + f
                at += filter * numbers[32]
                total, _ = add(take(stage, word), kind(0), bias, filter * numbers[26])
                store(out, at, convert(activate(total, reals[2])))

    write = ops.device(write)

    def finish_from(i: int) -> Any:
        left, right = (ops.putting(compute, START + i * 8 + j, 4) for j in (0, 4))
        rest, ROW, HALF = finish_from(i + 1) if i < 7 else ops.device(_nothing), i // 4 * (B // 2) + i % 4, B // 2

        def finish(
            acc: Any, stage: Any, where: Any, bias: Any, out: Any, t: Any, tx4: Any, ty: Any, g: Any, f0: Any,
            numbers: Any, reals: Any,
        ) -> None:  # fmt: skip
            left(stage, int32(ty * B + tx4), acc)
            right(stage, int32(ty * B + tx4 + HALF), acc)
            sync()
            write(stage, where, bias, out, t, g, f0, ROW, numbers, reals)
            sync()
            rest(acc, stage, where, bias, out, t, tx4, ty, g, f0, numbers, reals)

        return ops.device(finish)

    return finish_from(0)


def _nothing(
    acc: Any, stage: Any, where: Any, bias: Any, out: Any, t: Any, tx4: Any, ty: Any, g: Any, f0: Any,
    numbers: Any, reals: Any,
) -> None:  # fmt: skip
    """After the last row."""
