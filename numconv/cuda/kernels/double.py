"""Many channels and filters, in elements of 8 bytes: float64 and complex128 by tensor cores, complex64 by FFMA.

An implicit GEMM as `dense`. A block computes P pixels by F filters of a group; DEPTH steps of both sides at a time are
copied to shared memory without registers, some of them ahead:

    xs    [slot][pixel][DEPTH]              where two steps of a pixel are neighbours in memory, copied together
          [slot][step][P + padding]         where they are not
    ws    [slot]                            panels of packed weights, copied as they are
    sums  [slow][fast + 8]                  in their place, at the end: results on their way to memory
    where [P]                               the place of each pixel in the result, -1 beyond the last

Steps are in the order of `reference`, kh, kw, c. Each chain is filled up to whole DEPTHs with steps x = 0.0, w = -0.0,
which leave any sum as it is; sums of chains are added up in as many registers more. A product of matrices adds its 16
steps in the order of the hardware, which NVIDIA does not state; if that is one fused multiply-add after the other, as
the simulator has it, results have the bits of `reference`. If it is not, they have its error bound: chains are as long.

float64: a warp computes 32 x 32 in 8 products of 16 x 16 by 16 x 8 for 16 loads of 8 and 8 of 16 bytes a lane; on
compute capability 8 each product is 8 of 8 x 4 by 4 x 8, with the same fragments. On 9.0 these take the tensor cores of
a quarter multiprocessor 512 cycles, in which two warps issue 283 instructions each (397 where pixels are neighbours);
shared memory is busy for 7 of 10 cycles; the second level of the cache gives 24 bytes a cycle to a multiprocessor for
128 x 64, near what it can, and would have to give 32 for 64 x 64. All copies before the products took 296 instructions
and left tensor cores idle while they were begun; three slots without values read ahead did so after each barrier.
complex128 is that of real and imaginary
parts side by side: [[re, im], [-im, re]] are four weights for each. Where only x is complex, its parts are pixels of
their own; where only w is, its parts are filters.

complex64: a thread computes 8 pixels x 4 filters, 4 FFMA each: 128 for 6 loads of 16 bytes. As real numbers side by
side it took 8 for as many, weights twice the space, and copies of 4 bytes for 8 where pixels are neighbours. Where one
of the two is real, it has the same place, and there are 2 FFMA.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from . import double_copies as copies
from .double_tile import DEPTH, Tile
from .finish import activating, adding, converting
from .kernel import Kernel, storage_of

NUMBERS = 30
RESULTS = 32
"""Of a thread."""
KEPT = 20
"""Values of the next products that a lane has read ahead: 16 of the left side, 4 of the right one."""

packing = copies.packing


def make(
    parts: str, bias: str, result: str, activation: str, overflow: str, borders: bool, padded: bool, chains: bool,
    *tile: Any,
) -> Kernel:  # fmt: skip
    """`parts`: whether x and w are complex, "ff" to "cc"; `tile` is a `Tile`; `chains`: there is more than one."""
    s = Tile(*tile)
    EACH = 1 if s.tensor else 2
    SIZE, SCALARS = RESULTS * EACH, RESULTS * EACH * (1 + chains)
    fetches, locate = copies.fetching(s, parts, borders, padded), copies.locating(parts, s.tensor)
    finish = _finishing(s, parts, bias, result, activation, overflow, SIZE * chains)
    prepare, advance, lane = _tensor(s, fetches) if s.tensor else _pairs(s, parts, fetches)
    begin = _all(fetches)
    new_xs = ops.dynamic(s.scalar, s.stages * s.x_size * EACH, 0)
    new_ws = ops.dynamic(s.scalar, s.stages * s.w_size * EACH, s.stages * s.x_size * 8)
    new_sums, new_where = ops.dynamic(s.scalar, s.size * EACH, 0), ops.shared("int64", s.P)
    put_where, last = ops.placing("int64"), ops.reader("int64", "int64")
    clear, start = ops.filling(s.scalar, 0, SIZE, 0.0), ops.filling(s.scalar, SIZE, SIZE * chains, -0.0)
    ahead = s.stages - 1
    fold, first_there, all_there = ops.folding(s.scalar, SIZE), ops.waiting(ahead - 1), ops.waiting(0)
    next_there = ops.waiting(ahead - 2 if s.tensor else ahead - 1)  # the next, whose first values are read ahead
    kind, commit, divide, int32, int64 = getattr(np, s.scalar), ops.commit, ops.divide, np.int32, np.int64
    (OWN, SHARING), P, F, T = copies.pixels_of(s), s.P, s.F, s.T
    FIRST, EVERY, CHAINS, PANEL = ahead, T // SHARING, chains, s.w_size * EACH

    def double(
        x: Any, packed: Any, bias: Any, out: Any, table: Any, pads: Any, steps: Any, numbers: Any, reals: Any
    ) -> None:
        xs, ws, sums, where = new_xs(), new_ws(), new_sums(), new_where()
        acc, own = cuda.local.array(SCALARS, kind), cuda.local.array(KEPT, kind)
        bases, pds = cuda.local.array(OWN, np.int64), cuda.local.array(OWN, np.int32)
        phs, pws = cuda.local.array(OWN, np.int32), cuda.local.array(OWN, np.int32)
        t = int32(cuda.threadIdx.x)
        g, fb = int64(cuda.blockIdx.z), int64(cuda.blockIdx.y)
        first = int64(cuda.blockIdx.x) * P
        if t < P:
            _, _, _, _, place = locate(first + t, numbers)
            put_where(where, t, place)
        for i in range(OWN):
            pixel = first + (divide(t, int32(SHARING)) + i * EVERY if SHARING > 1 else int32(t % P))
            bases[i], pds[i], phs[i], pws[i], _ = locate(pixel, numbers)
            bases[i] += g * numbers[7]
        panel = (g * numbers[29] + fb) * numbers[0] * PANEL
        clear(acc)
        start(acc)
        for stage in range(FIRST):
            begin(
                xs, ws, int32(stage), x, packed, panel, table, pads, steps, int32(stage), t, bases, pds, phs, pws,
                numbers,
            )  # fmt: skip
            commit()
        x_lane, w_lane = lane(t)
        first_there()
        cuda.syncthreads()
        prepare(acc, own, xs, x_lane, ws, w_lane)
        for stage in range(int32(numbers[0])):
            next_there()
            cuda.syncthreads()
            advance(
                acc, own, x_lane, w_lane, xs, ws, int32(stage), x, packed, panel, table, pads, steps, t, bases, pds,
                phs, pws, numbers,
            )  # fmt: skip
            commit()
            if CHAINS and last(steps, numbers[1] + stage) != 0:
                fold(acc)
                clear(acc)
        all_there()
        cuda.syncthreads()
        finish(acc, sums, where, bias, out, t, g, int32(fb * F), numbers, reals)

    kinds = (s.scalar, s.scalar, storage_of(bias) or s.scalar, storage_of(result), "int64", s.scalar, "int64")
    arguments = (*((name, 0) for name in kinds), ("int64", NUMBERS), ("float64", 3))
    return Kernel(double, arguments, T, max(1, 256 // T), s.size * 8)


def _all(fetches: list) -> Any:
    """All groups of copies of a stage."""
    one, two, three, four = fetches

    def begin(
        xs: Any, ws: Any, slot: Any, x: Any, packed: Any, panel: Any, table: Any, pads: Any, steps: Any, stage: Any,
        t: Any, bases: Any, pds: Any, phs: Any, pws: Any, numbers: Any,
    ) -> None:  # fmt: skip
        one(xs, ws, slot, x, packed, panel, table, pads, steps, stage, t, bases, pds, phs, pws, numbers)
        two(xs, ws, slot, x, packed, panel, table, pads, steps, stage, t, bases, pds, phs, pws, numbers)
        three(xs, ws, slot, x, packed, panel, table, pads, steps, stage, t, bases, pds, phs, pws, numbers)
        four(xs, ws, slot, x, packed, panel, table, pads, steps, stage, t, bases, pds, phs, pws, numbers)

    return ops.device(begin)


def _tensor(s: Tile, fetches: list) -> tuple[Any, Any, Any]:
    """(what is read ahead, DEPTH steps of a warp, the places of a lane in both sides): the fast side is the right one.

    Copies of later steps begin between products, and what the next products start with is read before the barrier:
    else tensor cores would be idle for as long as these take after each barrier, about 300 of 1,000 cycles.
    """
    x_next, x_step = s.x_steps

    def samples(load: Any, row: int) -> list:
        """Four steps, 4 apart, of one pixel of a lane."""
        if s.flipped:
            return [load(row * x_next, 1, i * 4)[0] for i in range(4)]
        return [load(row * x_next + i * 4 * x_step, 1)[0] for i in range(4)]

    def weights(load: Any, row: int) -> list:
        return load(row * DEPTH, 2) + load(row * DEPTH + 64, 2)

    rows_of, columns_of = (weights, samples) if s.pixels_fast else (samples, weights)

    def ahead(acc: list, own: list, rows: Any, columns: Any, mma: Any) -> None:
        for m in range(2):
            upper, lower = rows_of(rows, m * 16), rows_of(rows, m * 16 + 8)
            own[m * 8 : m * 8 + 8] = [value for pair in zip(upper, lower, strict=True) for value in pair]
        own[16:] = columns_of(columns, 0)

    def group(n: int) -> Any:
        def product(acc: list, own: list, rows: Any, columns: Any, mma: Any) -> None:
            right = own[16:]
            if n < 3:
                own[16:] = columns_of(columns, n * 8 + 8)
            for m in range(2):
                at = (m * 4 + n) * 4
                acc[at : at + 4] = mma(acc[at : at + 4], own[m * 8 : m * 8 + 8], right)

        return _sided(s, ops.multiplying_doubles(product, RESULTS, KEPT))

    read, (one, two, three, four) = _sided(s, ops.multiplying_doubles(ahead, RESULTS, KEPT)), map(group, range(4))
    fetch1, fetch2, fetch3, fetch4 = fetches
    FIRST, LAST, X, W, int32 = s.stages - 1, s.stages - 1, s.x_size, s.w_size, np.int32

    def advance(
        acc: Any, own: Any, x_lane: Any, w_lane: Any, xs: Any, ws: Any, stage: Any, x: Any, packed: Any, panel: Any,
        table: Any, pads: Any, steps: Any, t: Any, bases: Any, pds: Any, phs: Any, pws: Any, numbers: Any,
    ) -> None:  # fmt: skip
        later, slot = int32(stage + FIRST), int32(stage & LAST)
        free, following = int32(later & LAST), int32((stage + 1) & LAST)
        at, bt = int32(slot * X + x_lane), int32(slot * W + w_lane)
        one(acc, own, xs, at, ws, bt)
        fetch1(xs, ws, free, x, packed, panel, table, pads, steps, later, t, bases, pds, phs, pws, numbers)
        two(acc, own, xs, at, ws, bt)
        fetch2(xs, ws, free, x, packed, panel, table, pads, steps, later, t, bases, pds, phs, pws, numbers)
        three(acc, own, xs, at, ws, bt)
        fetch3(xs, ws, free, x, packed, panel, table, pads, steps, later, t, bases, pds, phs, pws, numbers)
        four(acc, own, xs, at, ws, bt)
        fetch4(xs, ws, free, x, packed, panel, table, pads, steps, later, t, bases, pds, phs, pws, numbers)
        read(acc, own, xs, int32(following * X + x_lane), ws, int32(following * W + w_lane))

    return read, ops.device(advance), _lanes(s)


def _sided(s: Tile, micro: Any) -> Any:
    """With weights as its rows, where pixels are fast."""
    PIXELS_FAST = s.pixels_fast

    def sided(acc: Any, own: Any, xs: Any, at: Any, ws: Any, bt: Any) -> None:
        if PIXELS_FAST:
            micro(acc, own, ws, bt, xs, at)
        else:
            micro(acc, own, xs, at, ws, bt)

    return ops.device(sided)


def _lanes(s: Tile) -> Any:
    """The places of a lane in both sides."""
    (x_next, x_step), WIDE, FLIPPED, divide, int32 = s.x_steps, s.P // 32, s.flipped, ops.divide, np.int32

    def lane(t: Any) -> Any:
        warp, g, c = int32(t >> 5), int32((t & 31) >> 2), int32(t & 3)
        down = divide(warp, int32(WIDE))
        pixel = int32((warp - down * WIDE) * 32 + g)
        first = int32((g & 3) << 2) if FLIPPED else int32(0)
        return int32(pixel * x_next + c * x_step + first), int32(down * 32 * DEPTH + (t & 31) * 2)

    return ops.device(lane)


def _spread(s: Tile) -> tuple[list[int], list[int], tuple[int, int]]:
    """Of a thread of `_pairs`: its pixels and filters beside its first, and the distance of neighbours' first."""
    wide, high = s.P // 8, s.F // 4
    filters = [j % 2 + j // 2 * 2 * high for j in range(4)]
    if s.unit == 2:
        return [i * wide for i in range(8)], filters, (1, 2)
    return [i % 2 + i // 2 * 2 * wide for i in range(8)], filters, (2, 2)


def _threads(s: Tile) -> Any:
    """(the first pixel, the first filter) of a thread: warps of 8 x 4 threads, or of 4 x 8."""
    across = min(8, s.P // 8)
    WIDE, LANES, HIGH, (BY_PIXEL, BY_FILTER) = s.P // 8 // across, across, 32 // across, _spread(s)[2]
    divide, int32 = ops.divide, np.int32

    def threads(t: Any) -> Any:
        warp, lane = int32(t >> 5), int32(t & 31)
        down, row = divide(warp, int32(WIDE)), divide(lane, int32(LANES))
        pixel = int32((warp - down * WIDE) * LANES + lane - row * LANES)
        return int32(pixel * BY_PIXEL), int32((down * HIGH + row) * BY_FILTER)

    return ops.device(threads)


def _pairs(s: Tile, parts: str, fetches: list) -> tuple[Any, Any, Any]:
    """As `_tensor`, of a thread's complex numbers, four steps at a time."""
    (x_next, x_step), w_step = s.x_steps, s.F
    pixels, filters, _ = _spread(s)

    def samples(load: Any, k: int) -> list:
        """[pixel][step of `unit`][part]."""
        if s.unit == 2:
            found = [load((pixel * x_next + k * x_step) * 2, 4) for pixel in pixels]
            return [[four[:2], four[2:]] for four in found]
        found = [load((pixel * x_next + k * x_step) * 2, 4) for pixel in pixels[::2]]
        return [[pair] for four in found for pair in (four[:2], four[2:])]

    def product(acc: list, xs: Any, ws: Any, fma: Any, minus: Any) -> None:
        for k in range(0, 4, s.unit):
            x = samples(xs, k)
            for step in range(s.unit):
                fours = [ws((f + (k + step) * w_step) * 2, 4) for f in filters[::2]]
                w = [pair for four in fours for pair in (four[:2], four[2:])]
                for i in range(8):
                    for j in range(4):
                        at = (i * 4 + j) * 2
                        (re, im), (w_re, w_im) = x[i][step], w[j]
                        if parts == "cf":
                            acc[at], acc[at + 1] = fma(re, w_re, acc[at]), fma(im, w_re, acc[at + 1])
                            continue
                        acc[at], acc[at + 1] = fma(re, w_re, acc[at]), fma(re, w_im, acc[at + 1])
                        if parts == "cc":
                            acc[at], acc[at + 1] = fma(im, minus(w_im), acc[at]), fma(im, w_re, acc[at + 1])

    micro, threads = ops.negating(product, s.scalar, RESULTS * 2), _threads(s)
    X_NEXT, X_STEP, W_STEP, X, W, begin, int32 = x_next, x_step, w_step, s.x_size, s.w_size, _all(fetches), np.int32
    FIRST, STAGES, ALL = s.stages - 1, s.stages, DEPTH

    def prepare(acc: Any, own: Any, xs: Any, at: Any, ws: Any, bt: Any) -> None:
        pass

    def advance(
        acc: Any, own: Any, x_lane: Any, w_lane: Any, xs: Any, ws: Any, stage: Any, x: Any, packed: Any, panel: Any,
        table: Any, pads: Any, steps: Any, t: Any, bases: Any, pds: Any, phs: Any, pws: Any, numbers: Any,
    ) -> None:  # fmt: skip
        later, slot = int32(stage + FIRST), int32(stage % STAGES)
        begin(
            xs, ws, int32(later % STAGES), x, packed, panel, table, pads, steps, later, t, bases, pds, phs, pws, numbers
        )
        at, bt = int32(slot * X + x_lane), int32(slot * W + w_lane)
        for k in range(0, ALL, 4):
            micro(acc, xs, int32((at + k * X_STEP) * 2), ws, int32((bt + k * W_STEP) * 2))

    def lane(t: Any) -> Any:
        pixel, filter = threads(t)
        return int32(pixel * X_NEXT), filter

    return ops.device(prepare), ops.device(advance), ops.device(lane)


def _gathering(s: Tile, first: int) -> Any:
    """Finished sums to [slow][pitch]."""
    int32, PITCH, PIXELS_FAST = np.int32, s.pitch, s.pixels_fast
    if not s.tensor:
        pixels, filters, _ = _spread(s)
        by_pixel, by_filter = (1, PITCH) if PIXELS_FAST else (PITCH, 1)
        put = ops.scattering(
            s.scalar, first, 2, tuple((p * by_pixel + f * by_filter) * 2 for p in pixels for f in filters)
        )
        threads = _threads(s)

        def gather(acc: Any, sums: Any, t: Any) -> None:
            pixel, filter = threads(t)
            put(sums, int32((filter * PITCH + pixel if PIXELS_FAST else pixel * PITCH + filter) * 2), acc)

        return ops.device(gather)
    put = ops.scattering(
        s.scalar,
        first,
        2,
        tuple((m * 16 + i * 8) * PITCH + n * 8 for m in range(2) for n in range(4) for i in range(2)),
    )
    WIDE, divide = s.P // 32, ops.divide

    def of_warp(acc: Any, sums: Any, t: Any) -> None:
        warp, g, c = int32(t >> 5), int32((t & 31) >> 2), int32(t & 3)
        down = divide(warp, int32(WIDE))
        pixel, filter = int32((warp - down * WIDE) * 32), int32(down * 32)
        row, column = (filter, pixel) if PIXELS_FAST else (pixel, filter)
        put(sums, int32((row + g) * PITCH + column + c * 2), acc)

    return ops.device(of_warp)


def _finishing(
    s: Tile, parts: str, bias: str, result: str, activation: str, overflow: str, first: int
) -> Any:  # fmt: skip
    """Store finished sums: neighbouring threads store neighbouring results."""
    gather, store_one = _gathering(s, first), _storing(s, parts, bias, result, activation, overflow)
    look, PIXELS_FAST, FAST, PITCH, int32 = ops.taking("int64"), s.pixels_fast, s.fast, s.pitch, np.int32
    EVERY, divide = s.T // s.fast, ops.divide

    def finish(
        acc: Any, sums: Any, where: Any, bias: Any, out: Any, t: Any, g: Any, f0: Any, numbers: Any, reals: Any
    ) -> None:
        gather(acc, sums, t)
        cuda.syncthreads()
        row = divide(t, int32(FAST))
        column = int32(t - row * FAST)
        for i in range(RESULTS):
            line = int32(row + i * EVERY)
            f, p = (line, column) if PIXELS_FAST else (column, line)
            at = look(where, p)
            if at >= 0 and f0 + f < numbers[6]:
                store_one(sums, int32(line * PITCH + column), bias, out, at, p, g * numbers[6] + f0 + f, numbers, reals)

    return ops.device(finish)


def _storing(s: Tile, parts: str, bias: str, result: str, activation: str, overflow: str) -> Any:
    """One result: bias, activation and conversion."""
    take, kind, load = ops.taking(s.scalar), getattr(np, s.scalar), ops.reader(storage_of(bias) or s.scalar, s.scalar)
    activate, add = activating(s.scalar, activation), adding(bias, s.scalar, s.scalar)
    convert, whole = converting(s.scalar, storage_of(result), overflow)
    store, int32 = ops.writer(storage_of(result), whole), np.int32
    REAL, PAIRS, SPLIT = parts == "ff", parts[1] == "c", parts == "cf"
    BIASED, COMPLEX = bool(bias), bias[:1] == "c"

    def real(
        sums: Any, word: Any, bias: Any, out: Any, at: Any, p: Any, f: Any, numbers: Any, reals: Any
    ) -> None:  # fmt: skip
        total = take(sums, word)
        part, filter = (f & 1, f >> 1) if PAIRS else ((p & 1, f) if SPLIT else (0, f))
        if BIASED and (REAL or COMPLEX):
            total += load(bias, filter * numbers[28] + part)
        elif BIASED:
            total += load(bias, filter * numbers[28]) if part == 0 else kind(0)
        store(out, at + filter * numbers[27] + (part if PAIRS else 0), convert(activate(total, reals[2])))

    def pair(
        sums: Any, word: Any, bias: Any, out: Any, at: Any, p: Any, f: Any, numbers: Any, reals: Any
    ) -> None:  # fmt: skip
        re, im = take(sums, int32(word * 2)), take(sums, int32(word * 2 + 1))
        re, im = add(re, im, bias, f * numbers[28])
        store(out, at + f * numbers[27], re)
        store(out, at + f * numbers[27] + 1, im)

    return ops.device(real if s.tensor else pair)
