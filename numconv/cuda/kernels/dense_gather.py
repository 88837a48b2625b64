"""How `dense` gathers x: the pixels of a thread, whether a tap reads a sample or padding, and copies of a stage.

A row of `steps` belongs to a step. By masks, it is the offset of its sample from that of the first tap, and behind all
of those the bits that a pixel must have for the tap to read a sample: one that such a pixel exists, one for each
tap of an axis that is padded. By borders, it is (d, h, w, channel). Steps that fill chains need NOTHING, which no pixel
has, or have channel -1: x is 0.0 there, and w -0.0. RAGGED, which all pixels have, is a bit of a unit's first step
where a chain begins or ends within it: rows of some numbers of channels, like 384 in 3 x 3, are cut anywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from .borders import sampling
from .coordinates import unravelling
from .dense_tile import RAGGED, Tile


def gathering(x: str, compute: str, gather: str, span: int, tile: Tile, split: bool) -> tuple[Any, ...]:
    """(locate, aim, fetch, deposit); so many steps from a multiple of `span` on belong to one tap.

    sources = locate(x, where, t, first, g, numbers): the pixels for which a thread copies, and their places.
    steps = aim(steps, t): the table from the first step on that a thread copies.
    fetch(held, sources, stages, at, ...): begin to copy a stage, or load it into `held`.
    deposit(held, stages, at, t): what was loaded goes to its place.
    """
    source = _bordered() if gather == "borders" else _masked(x)
    fetch = {"units": _units, "singles": _singles, "registers": _loads, "borders": _samples}[gather]
    ahead = _ahead(span, tile)
    held = gather in ("registers", "borders")
    each, deposit = _each(fetch(x, compute, span, tile), tile), _depositing(compute, tile, held)
    return _pixels(source, ahead, tile, split), _aiming(gather, tile), each, deposit


def _column(tile: Tile) -> Any:
    """column(t, i): (the i-th pixel of a thread in the tile, which part of it the thread copies)."""
    divide, int32, T = ops.divide, np.int32, tile.threads
    of, stride = (tile.parts, T // tile.parts) if tile.units else (tile.BP, T)
    UNITS = tile.units

    def column(t: Any, i: Any) -> Any:
        quotient = divide(t, int32(of))
        rest = int32(t - quotient * of)
        return (int32(quotient + i * stride), rest) if UNITS else (int32(rest + i * stride), quotient)

    return ops.device(column)


def _pixels(source: Any, ahead: int, tile: Tile, split: bool) -> Any:
    """The sources of all pixels of a thread, `ahead` elements for each part; their places, or -1, go to `where`."""
    unravel, put, column_of, int32, int64 = unravelling(), ops.placing("int64"), _column(tile), np.int32, np.int64
    SPLIT = split

    def one(x: Any, where: Any, t: Any, i: Any, first: Any, g: Any, numbers: Any) -> Any:
        column, part = column_of(t, int32(i))
        pixel = first + column
        valid = pixel < numbers[3]
        rest = int32(pixel) if valid else int32(0)
        n, od, oh, ow = unravel(rest, numbers[4], numbers[5], numbers[6])
        at = int64(n) * numbers[34] + int64(od) * numbers[35] + int64(oh) * numbers[36] + int64(ow) * numbers[37]
        if SPLIT:
            at = int64(rest) * numbers[34]
        if part == 0:
            put(where, column, at if valid else int64(-1))
        base = int64(n) * numbers[10] + g * numbers[26] * numbers[14] + part * ahead
        pd, ph = int32(od * numbers[15] - numbers[18]), int32(oh * numbers[16] - numbers[19])
        return source(x, base, pd, ph, int32(ow * numbers[17] - numbers[20]), valid, numbers)

    one = ops.device(one)

    def all_of_one(x: Any, where: Any, t: Any, first: Any, g: Any, numbers: Any) -> Any:
        return (one(x, where, t, 0, first, g, numbers),)

    def all_of_two(x: Any, where: Any, t: Any, first: Any, g: Any, numbers: Any) -> Any:
        return one(x, where, t, 0, first, g, numbers), one(x, where, t, 1, first, g, numbers)

    def all_of_four(x: Any, where: Any, t: Any, first: Any, g: Any, numbers: Any) -> Any:
        return (
            one(x, where, t, 0, first, g, numbers), one(x, where, t, 1, first, g, numbers),
            one(x, where, t, 2, first, g, numbers), one(x, where, t, 3, first, g, numbers),
        )  # fmt: skip

    return ops.device({1: all_of_one, 2: all_of_two, 4: all_of_four}[tile.pixels])


def _each(one: Any, tile: Tile) -> Any:
    """What a thread does for a pixel, for all of them; the last argument of `one` is which of them it is."""

    def of_one(
        held: Any, sources: Any, stages: Any, at: Any, x: Any, table: Any, steps: Any, t: Any, stage: Any, numbers: Any,
        reals: Any,
    ) -> None:  # fmt: skip
        one(held, sources[0], stages, at, x, table, steps, t, stage, numbers, reals, 0)

    def of_two(
        held: Any, sources: Any, stages: Any, at: Any, x: Any, table: Any, steps: Any, t: Any, stage: Any, numbers: Any,
        reals: Any,
    ) -> None:  # fmt: skip
        one(held, sources[0], stages, at, x, table, steps, t, stage, numbers, reals, 0)
        one(held, sources[1], stages, at, x, table, steps, t, stage, numbers, reals, 1)

    def of_four(
        held: Any, sources: Any, stages: Any, at: Any, x: Any, table: Any, steps: Any, t: Any, stage: Any, numbers: Any,
        reals: Any,
    ) -> None:  # fmt: skip
        one(held, sources[0], stages, at, x, table, steps, t, stage, numbers, reals, 0)
        one(held, sources[1], stages, at, x, table, steps, t, stage, numbers, reals, 1)
        one(held, sources[2], stages, at, x, table, steps, t, stage, numbers, reals, 2)
        one(held, sources[3], stages, at, x, table, steps, t, stage, numbers, reals, 3)

    return ops.device({1: of_one, 2: of_two, 4: of_four}[tile.pixels])


def _masked(x: str) -> Any:
    """(pointer to the sample of the first tap, which may not exist; bits of the taps that read samples)."""
    move, int32, int64 = ops.pointing(x), np.int32, np.int64

    def bits(mask: Any, bit: Any, count: Any, position: Any, dilation: Any, size: Any) -> Any:
        while count > 0:
            if 0 <= position < size:
                mask = int32(mask | (int32(1) << bit))
            position, bit, count = int32(position + dilation), int32(bit + 1), int32(count - 1)
        return mask, bit

    bits = ops.device(bits)

    def source(x: Any, base: Any, pd: Any, ph: Any, pw: Any, valid: Any, numbers: Any) -> Any:
        mask, bit = bits(int32(1 | RAGGED), int32(1), int32(numbers[27]), pd, int32(numbers[30]), int32(numbers[21]))
        mask, bit = bits(mask, bit, int32(numbers[28]), ph, int32(numbers[31]), int32(numbers[22]))
        mask, bit = bits(mask, bit, int32(numbers[29]), pw, int32(numbers[32]), int32(numbers[23]))
        first = base + int64(pd) * numbers[11] + int64(ph) * numbers[12] + int64(pw) * numbers[13]
        return move(x, first), mask if valid else int32(0)

    return ops.device(source)


def _bordered() -> Any:
    """What it takes to find a sample by its position."""

    def source(x: Any, base: Any, pd: Any, ph: Any, pw: Any, valid: Any, numbers: Any) -> Any:
        return base, pd, ph, pw, valid

    return ops.device(source)


def _units(x: str, compute: str, span: int, tile: Tile) -> Any:
    """Copies of 16 bytes along the channels, two neighbours of each pixel at once."""
    V, PITCH, DEPTH, PARTS = tile.vector, tile.unit_pitch, tile.depth, tile.parts
    look, column_of, int32, int64, LONG = ops.looking("int32", 1), _column(tile), np.int32, np.int64, span >= tile.depth
    shifts = tuple((k * PITCH, k * V) for k in range(0, 4, PARTS))
    copy, copy_one, COUNT, LOOKED = (
        ops.copying_each(x, V, shifts),
        ops.copying(x, V),
        4 // PARTS,
        0 if _ahead(span, tile) else V,
    )

    ragged, CUT = _ragged(x, V), span < V

    def one(
        held: Any, source: Any, stages: Any, at: Any, x: Any, table: Any, steps: Any, t: Any, stage: Any, numbers: Any,
        reals: Any, i: Any,
    ) -> None:  # fmt: skip
        pointer, mask = source
        column, part = column_of(t, int32(i))
        row, to = int64(stage) * (2 * DEPTH) + part * LOOKED, int32(at + part * PITCH + column * V)
        if LONG:
            there = (look(steps, row + DEPTH)[0] & ~mask) == 0
            copy(stages, to, pointer, int64(look(steps, row)[0]), there)
        else:
            for j in range(COUNT):
                line, place = row + j * PARTS * V, int32(to + j * PARTS * PITCH)
                need, offset = look(steps, line + DEPTH)[0], int64(look(steps, line)[0])
                if CUT and (need & RAGGED) != 0:
                    ragged(stages, place, pointer, offset, mask, steps, line + DEPTH)
                else:
                    copy_one(stages, place, pointer, offset, (need & ~mask) == 0)

    return ops.device(one)


def _ragged(x: str, n: int) -> Any:
    """Copies of those elements of a unit that belong to its chain, zeros of the others."""
    copy, look, int32 = ops.copying(x, 1), ops.looking("int32", 1), np.int32

    def ragged(stages: Any, at: Any, pointer: Any, offset: Any, mask: Any, steps: Any, needs: Any) -> None:
        for i in range(n):
            copy(stages, int32(at + i), pointer, offset + i, (look(steps, needs + i)[0] & ~mask) == 0)

    return ops.device(ragged)


def _singles(x: str, compute: str, span: int, tile: Tile) -> Any:
    """Copies of one element, of neighbouring pixels by neighbouring threads."""
    four, COUNT, int32, EACH = _four(tile, span), tile.depth // tile.parts, np.int32, tile.parts * tile.BP
    THREADS = tile.threads
    copies = [ops.copying_each(x, 1, ((k * EACH, 0),)) for k in range(COUNT)]

    def fours(k: int) -> Any:
        first, second, third, fourth = copies[k : k + 4]
        rest = fours(k + 4) if k + 4 < COUNT else ops.device(_nothing)

        def copy(stages: Any, to: Any, pointer: Any, mask: Any, steps: Any, stage: Any) -> None:
            offsets, needs = four(steps, stage, k)
            first(stages, to, pointer, offsets[0], (needs[0] & ~mask) == 0)
            second(stages, to, pointer, offsets[1], (needs[1] & ~mask) == 0)
            third(stages, to, pointer, offsets[2], (needs[2] & ~mask) == 0)
            fourth(stages, to, pointer, offsets[3], (needs[3] & ~mask) == 0)
            rest(stages, to, pointer, mask, steps, stage)

        return ops.device(copy)

    copy = fours(0)

    def one(
        held: Any, source: Any, stages: Any, at: Any, x: Any, table: Any, steps: Any, t: Any, stage: Any, numbers: Any,
        reals: Any, i: Any,
    ) -> None:  # fmt: skip
        pointer, mask = source
        copy(stages, int32(at + t + i * THREADS), pointer, mask, steps, stage)

    return ops.device(one)


def _nothing(stages: Any, to: Any, pointer: Any, mask: Any, steps: Any, stage: Any) -> None:
    """Behind the last step."""


def _four(tile: Tile, span: int) -> Any:
    """Four offsets, and what the taps of these steps need of a pixel: often the same for all of a stage."""
    look, quad, int64 = ops.looking("int32", 1), ops.looking("int32", 4), np.int64
    DEPTH, SAME = tile.depth, span >= tile.depth

    def four(steps: Any, stage: Any, k: Any) -> Any:
        row = int64(stage) * (2 * DEPTH)
        if SAME:
            need = look(steps, row + DEPTH)[0]
            return quad(steps, row + k), (need, need, need, need)
        return quad(steps, row + k), quad(steps, row + (DEPTH + k))

    return ops.device(four)


def _loads(x: str, compute: str, span: int, tile: Tile) -> Any:
    """The same through registers, which converts elements and knows of other pad values than zero."""
    four, load, kind = _four(tile, span), ops.reader(x, compute), getattr(np, compute)
    COUNT = tile.depth // tile.parts

    def value(x: Any, offset: Any, need: Any, mask: Any, reals: Any) -> Any:
        if (need & ~mask) == 0:
            return load(x, offset)
        return kind(0) if need < 0 or mask == 0 else kind(reals[0])

    value = ops.device(value)

    def one(
        held: Any, source: Any, stages: Any, at: Any, x: Any, table: Any, steps: Any, t: Any, stage: Any, numbers: Any,
        reals: Any, i: Any,
    ) -> None:  # fmt: skip
        pointer, mask = source
        for k in range(0, COUNT, 4):
            offsets, needs = four(steps, stage, k)
            held[k] = value(pointer, offsets[0], needs[0], mask, reals)
            held[k + 1] = value(pointer, offsets[1], needs[1], mask, reals)
            held[k + 2] = value(pointer, offsets[2], needs[2], mask, reals)
            held[k + 3] = value(pointer, offsets[3], needs[3], mask, reals)

    return ops.device(one)


def _samples(x: str, compute: str, span: int, tile: Tile) -> Any:
    """Samples by their positions, as borders show them."""
    load, quad, sample, kind = ops.reader(x, compute), ops.looking("int32", 4), sampling(True), getattr(np, compute)
    DEPTH, COUNT, int64 = tile.depth, tile.depth // tile.parts, np.int64
    PARTS = tile.parts
    RUN = 4 if span >= 4 * tile.parts else 1

    def one(
        held: Any, source: Any, stages: Any, at: Any, x: Any, table: Any, steps: Any, t: Any, stage: Any, numbers: Any,
        reals: Any, i: Any,
    ) -> None:  # fmt: skip
        base, pd, ph, pw, valid = source
        for k in range(0, COUNT, RUN):
            dd, dh, dw, c = quad(steps, (int64(stage) * DEPTH + k) * 4)
            d = sample(int64(pd) + dd, numbers[21], numbers[18], table, int64(0))
            h = sample(int64(ph) + dh, numbers[22], numbers[19], table, numbers[24])
            v = sample(int64(pw) + dw, numbers[23], numbers[20], table, numbers[25])
            place = base + d * numbers[11] + h * numbers[12] + v * numbers[13] + c * numbers[14]
            inside, pad = d >= 0 and h >= 0 and v >= 0, kind(reals[0]) if valid and c >= 0 else kind(0)
            for e in range(RUN):
                held[k + e] = load(x, place + e * PARTS * numbers[14]) if valid and c >= 0 and inside else pad

    return ops.device(one)


def _ahead(span: int, tile: Tile) -> int:
    """Elements between the sources of a pixel's parts, where they are always the same: then all look up the same."""
    return tile.vector if tile.units and span >= tile.parts * tile.vector else 0


def _aiming(gather: str, tile: Tile) -> Any:
    """aim(steps, t): the table from the first step on that a thread copies."""
    move, column_of, int32 = ops.pointing("int32"), _column(tile), np.int32
    EACH = tile.depth // tile.parts * (4 if gather == "borders" else 1)

    def aim(steps: Any, t: Any) -> Any:
        _, part = column_of(t, int32(0))
        return move(steps, part * EACH)

    def nothing(steps: Any, t: Any) -> Any:
        return steps

    return ops.device(nothing if tile.units else aim)


def _depositing(compute: str, tile: Tile, held: bool) -> Any:
    place, int32, EACH, COUNT = ops.placing(compute), np.int32, tile.parts * tile.BP, tile.depth // tile.parts

    def deposit(held: Any, stages: Any, at: Any, t: Any) -> None:
        for e in range(COUNT):
            place(stages, int32(at + t + e * EACH), held[e])

    def nothing(held: Any, stages: Any, at: Any, t: Any) -> None:
        """Copies are on their way."""

    return ops.device(deposit if held else nothing)
