"""Both sides of the product of `double` on their way into shared memory, and weights packed for it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .borders import sampling
from .coordinates import unravelling
from .double_tile import DEPTH, GROUPS, Tile
from .kernel import Kernel, storage_of

ROW, BITS = 4, 21
"""Numbers of a step: the place of its tap, d, h and w in so many bits each; of x; of the weight; nothing."""
MISSING, NONE = 2**BITS - 1, -(2**30)
"""d of a step that does not exist, far from any plane; and of a pixel."""


def locating(parts: str, tensor: bool) -> Any:
    """(where a pixel's first tap lies, its coordinates, its place in the result): `NONE` and -1 beyond the last.

    The first tap may lie in the padding, at a place that is never read.
    """
    unravel, int32, int64, SPLIT = unravelling(), np.int32, np.int64, tensor and parts == "cf"

    def locate(pixel: Any, numbers: Any) -> Any:
        if pixel >= numbers[2]:
            return int64(0), int32(NONE), int32(0), int32(0), int64(-1)
        part = int64(0)
        if SPLIT:
            part = pixel & 1
            pixel = pixel >> 1
        n, od, oh, ow = unravel(int32(pixel), numbers[3], numbers[4], numbers[5])
        at = int64(n) * numbers[23] + int64(od) * numbers[24] + int64(oh) * numbers[25] + int64(ow) * numbers[26]
        pd, ph = int32(od * numbers[12] - numbers[15]), int32(oh * numbers[13] - numbers[16])
        pw = int32(ow * numbers[14] - numbers[17])
        base = int64(n) * numbers[8] + pd * numbers[9] + ph * numbers[10] + pw * numbers[11]
        return base + part, pd, ph, pw, at + part

    return ops.device(locate)


def fetching(tile: Tile, parts: str, borders: bool, padded: bool) -> list:
    """Begin to copy DEPTH steps of both sides, in `GROUPS` functions.

    Of x, a thread copies some steps of each of COPIES pixels, or COPIES times some of one pixel.
    `padded`: a pad value that is not 0.0; it is copied from `pads`.
    """
    put, weigh, spot = _putting(tile, parts, borders, padded), _weighing(tile), _spots(tile)
    look = _looking()
    UNIT, SHIFT, PIXELS = tile.unit, int(parts == "cc" and tile.tensor), tile.P
    ACROSS, DOWN = DEPTH // UNIT, tile.T * UNIT // DEPTH
    EVERY, X, W, divide, int32 = tile.T // tile.P * UNIT, tile.x_size, tile.w_size, ops.divide, np.int32

    def part(group: int) -> Any:
        first, last = _share(copies_of(tile), group)
        start, end = _share(_pieces(tile), group)

        def along(
            xs: Any, ws: Any, slot: Any, x: Any, packed: Any, panel: Any, table: Any, pads: Any, steps: Any, stage: Any,
            t: Any, bases: Any, pds: Any, phs: Any, pws: Any, numbers: Any,
        ) -> None:  # fmt: skip
            down = divide(t, int32(ACROSS))
            k = int32((t - down * ACROSS) * UNIT)
            d, h, v, of = look(steps, int32(stage * DEPTH + k) >> SHIFT)
            for i in range(first, last):
                to = int32(slot * X + spot(int32(down + i * DOWN), k))
                put(xs, to, x, pads, table, d, h, v, of, bases[i], pds[i], phs[i], pws[i], numbers)
            for i in range(start, end):
                weigh(ws, slot * W, packed, panel, stage, t, i, numbers)

        def across(
            xs: Any, ws: Any, slot: Any, x: Any, packed: Any, panel: Any, table: Any, pads: Any, steps: Any, stage: Any,
            t: Any, bases: Any, pds: Any, phs: Any, pws: Any, numbers: Any,
        ) -> None:  # fmt: skip
            k = int32(divide(t, int32(PIXELS)) * UNIT)
            pixel = int32(t % PIXELS)
            for i in range(first, last):
                step = int32(k + i * EVERY)
                d, h, v, of = look(steps, int32(stage * DEPTH + step) >> SHIFT)
                to = int32(slot * X + spot(pixel, step))
                put(xs, to, x, pads, table, d, h, v, of, bases[0], pds[0], phs[0], pws[0], numbers)
            for i in range(start, end):
                weigh(ws, slot * W, packed, panel, stage, t, i, numbers)

        return ops.device(along if tile.along else across)

    return [part(group) for group in range(GROUPS)]


_INTS = (np.int32, np.int64)


def _looking() -> Any:
    """The row of a step, without its weight, by one load: copies where lanes are pixels look up one for each."""
    both, MASK, int32, int64 = ops.both("int64"), MISSING, *_INTS

    def look(steps: Any, step: Any) -> Any:
        tap, of = both(steps, int64(step) * ROW)
        return int32(tap >> (2 * BITS)), int32(tap >> BITS) & int32(MASK), int32(tap) & int32(MASK), of

    return ops.device(look)


def _spots(tile: Tile) -> Any:
    """Where a step of a pixel lies in shared memory."""
    (TO_PIXEL, TO_STEP), FLIPPED, int32 = tile.x_steps, tile.flipped, np.int32

    def spot(pixel: Any, step: Any) -> Any:
        if FLIPPED:
            return int32(pixel * TO_PIXEL + (step ^ ((pixel & 3) << 2)))
        return int32(pixel * TO_PIXEL + step * TO_STEP)

    return ops.device(spot)


def _putting(tile: Tile, parts: str, borders: bool, padded: bool) -> Any:
    """Begin to copy a step, or neighbouring ones, of a pixel; of a real x half of a pair."""
    aim, EACH, PADDED, int32, int64 = _aiming(borders), _each(tile), padded, *_INTS
    copy = ops.copying(tile.scalar, tile.unit * (1 if parts[0] == "f" else EACH))

    def put(
        xs: Any, to: Any, x: Any, pads: Any, table: Any, d: Any, h: Any, v: Any, at: Any, base: Any, pd: Any, ph: Any,
        pw: Any, numbers: Any,
    ) -> None:  # fmt: skip
        inside, place = aim(table, d, h, v, at, base, pd, ph, pw, numbers)
        if PADDED:
            there = d != MISSING and pd != NONE
            if inside or not there:
                copy(xs, int32(to * EACH), x, place, there)
            else:
                copy(xs, int32(to * EACH), pads, int64(0), True)
        else:
            copy(xs, int32(to * EACH), x, place, inside)

    return ops.device(put)


def _weighing(tile: Tile) -> Any:
    """Begin to copy a piece of packed weights."""
    EACH, SIZE, THREADS, int32, int64 = _each(tile), tile.w_size, tile.T, *_INTS
    copy = ops.copying(tile.scalar, 2 * EACH)

    def weigh(ws: Any, at: Any, packed: Any, panel: Any, stage: Any, t: Any, i: Any, numbers: Any) -> None:
        piece = int32((t + i * THREADS) * 2)
        place = panel + int64(stage * SIZE + piece) * EACH
        copy(ws, int32((at + piece) * EACH), packed, place, stage < numbers[0])

    return ops.device(weigh)


def _share(count: int, group: int) -> tuple[int, int]:
    return count * group // GROUPS, count * (group + 1) // GROUPS


def _each(tile: Tile) -> int:
    """Scalars of an element."""
    return 1 if tile.tensor else 2


def _pieces(tile: Tile) -> int:
    """Copies of weights that a thread begins for DEPTH steps."""
    return tile.w_size // (2 * tile.T)


def copies_of(tile: Tile) -> int:
    """Copies of x that a thread begins for DEPTH steps."""
    return tile.P * DEPTH // (tile.unit * tile.T)


def pixels_of(tile: Tile) -> tuple[int, int]:
    """(pixels of which a thread copies, threads of a pixel): neighbouring threads share one, or have different ones."""
    return (copies_of(tile), DEPTH // tile.unit) if tile.along else (1, 1)


def _aiming(borders: bool) -> Any:
    """(whether a pixel's tap is a sample, where): from the pixel's first tap on; by the table of borders if outside."""
    sample, int32, int64 = sampling(True), *_INTS

    def inside(
        table: Any, d: Any, h: Any, v: Any, at: Any, base: Any, pd: Any, ph: Any, pw: Any, numbers: Any
    ) -> Any:  # fmt: skip
        plane, line, column = int32(pd + d), int32(ph + h), int32(pw + v)
        found = 0 <= plane < int32(numbers[18]) and 0 <= line < int32(numbers[19]) and 0 <= column < int32(numbers[20])
        return found, base + at

    within = ops.device(inside)

    def shown(
        table: Any, d: Any, h: Any, v: Any, at: Any, base: Any, pd: Any, ph: Any, pw: Any, numbers: Any
    ) -> Any:  # fmt: skip
        found, place = within(table, d, h, v, at, base, pd, ph, pw, numbers)
        if not found and d != MISSING and pd != NONE:
            plane, line, column = int64(pd + d), int64(ph + h), int64(pw + v)
            place += (sample(plane, numbers[18], numbers[15], table, int64(0)) - plane) * numbers[9]
            place += (sample(line, numbers[19], numbers[16], table, numbers[21]) - line) * numbers[10]
            place += (sample(column, numbers[20], numbers[17], table, numbers[22]) - column) * numbers[11]
            found = True
        return found, place

    return ops.device(shown) if borders else within


def packing(w: str, scalar: str, parts: str, F: int) -> Kernel:
    """Weights as panels [group][filters // F][steps // DEPTH] of DEPTH * F elements: -0.0 where there are none.

    A panel is [step][filter] of complex64, or of the same real number twice. For tensor cores it is
    [filter // 8][step // 8][filter % 8][step % 4][step // 4 % 2]: each lane of a warp reads 16 bytes beside the next
    one's, for two products.

    A step of zeros by -0.0 leaves any sum as it is. Real views of complex filters are pairs of columns, (re, im) and
    below, where x is complex too, (-im, re).
    """
    load, store, look = ops.reader(storage_of(w), scalar), ops.writer(scalar, scalar), ops.reader("int64", "int64")
    kind, divide, int32, int64 = getattr(np, scalar), ops.divide, np.int32, np.int64
    PAIRS, WHOLE, TURNED = parts[1] == "c", scalar == "float32", parts == "cc" and scalar == "float64"
    SIZE = DEPTH * F

    def pack(w: Any, packed: Any, steps: Any, numbers: Any) -> None:
        at = int64(cuda.blockIdx.x) * 256 + int64(cuda.threadIdx.x)
        if at >= numbers[0]:
            return
        panel = divide(int32(at), int32(SIZE))
        inner = int32(int32(at) - panel * SIZE)
        if WHOLE:
            k = divide(inner, int32(F))
            column = int32(inner - k * F)
        else:
            k = int32(((inner >> 3) & 8) + ((inner & 1) << 2) + ((inner >> 1) & 3))
            column = int32(((inner >> 7) << 3) + ((inner >> 3) & 7))
        blocks = divide(panel, int32(numbers[1]))
        k_all = int32((panel - blocks * int32(numbers[1])) * DEPTH + k)
        g = divide(blocks, int32(numbers[2]))
        f = int32((blocks - g * int32(numbers[2])) * F + column)
        row = int64(k_all >> 1 if TURNED else k_all) * ROW
        place = look(steps, row + 2)  # of weights that are reversed, below 0
        there = look(steps, row) >> (2 * BITS) != MISSING and f < numbers[3]
        filter = int64(g) * numbers[3] + f
        if WHOLE:
            place += filter * numbers[4]
            store(packed, at * 2, load(w, place) if there else kind(-0.0))
            store(packed, at * 2 + 1, load(w, place + (1 if PAIRS else 0)) if there else kind(-0.0))
            return
        imaginary = (f & 1) != 0 if PAIRS else False
        place += (filter >> 1 if PAIRS else filter) * numbers[4]
        if TURNED and k & 1:
            # Products with the imaginary part of x.
            value = load(w, place if imaginary else place + 1) if there else kind(-0.0)
            store(packed, at, value if imaginary or not there else -value)
        else:
            store(packed, at, load(w, place + 1 if imaginary else place) if there else kind(-0.0))

    return Kernel(pack, ((storage_of(w), 0), (scalar, 0), ("int64", 0), ("int64", 5)), 256)
