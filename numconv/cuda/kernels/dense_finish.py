"""What becomes of the sums of `dense`: bias, activation, conversion, and stores; of one chain alone, only stores.

The sums of a thread lie in shared memory, sum i * 8 + j being that of the i-th on the slow side and the j-th on the
fast one, so that loops over them need not be written out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from .dense_tile import EACH, SUMS, Tile
from .finish import activating, adding, converting


def finishing(bias: str, compute: str, result: str, activation: str, overflow: str, vector: str, tile: Tile) -> Any:
    """`vector`: whether neighbouring "filters" or "pixels" are stored 16 bytes at a time, or neither."""
    if vector:
        return _by_vectors(bias, compute, activation, vector == "filters", tile)
    return _one_by_one(_finished(bias, compute, activation), compute, result, overflow, tile)


def _finished(bias: str, compute: str, activation: str) -> Any:
    activate, add, kind = activating(compute, activation), adding(bias, compute, compute), getattr(np, compute)

    def finished(total: Any, bias: Any, filter: Any, numbers: Any, reals: Any) -> Any:
        total, _ = add(total, kind(0), bias, filter * numbers[33])
        return activate(total, reals[2])

    return ops.device(finished)


def tile_lanes(tile: Tile) -> Any:
    """(four times the lane on the fast side, where its warp begins, the same of the slow side) of a thread.

    Bits that are put together by "or": the fewest instructions, as they are computed again in every stage.
    """
    BITS, int32 = {64: 0, 128: 1}[tile.BP if tile.pixels_fast else tile.BF], np.int32
    MASK = 64 * BITS

    def lanes(t: Any) -> Any:
        fast, slow = int32((t << 1) & 28), int32(((t << 2) & 4) | ((t >> 1) & 8))
        return fast, int32((t << 1) & MASK), slow, int32((t >> BITS) & -32)

    return ops.device(lanes)


def _of_thread(tile: Tile) -> Any:
    """(pixel, filter) of a thread's sum (i-th pixel, j-th filter) in the tile: as `dense._steps` reads them."""
    LANES = 8 if tile.pixels_fast else 4
    lanes, W_LANES, UNITS, PIXELS_FAST, divide, int32 = (
        tile_lanes(tile), 12 - LANES, tile.units, tile.pixels_fast, ops.divide, np.int32,
    )  # fmt: skip

    def along(lane: Any, warp: Any, lanes: Any, i: Any) -> Any:
        half = divide(i, int32(4))
        return int32((warp | lane) + half * lanes * 4 + i - half * 4)

    along = ops.device(along)

    def of_thread(t: Any, i: Any, j: Any) -> Any:
        fast, fast_warp, slow, slow_warp = lanes(t)
        x_lane, x_warp = (fast, fast_warp) if PIXELS_FAST else (slow, slow_warp)
        w_lane, w_warp = (slow, slow_warp) if PIXELS_FAST else (fast, fast_warp)
        pixel = int32((x_warp | (x_lane >> 2)) + i * LANES) if UNITS else along(x_lane, x_warp, int32(LANES), i)
        return pixel, along(w_lane, w_warp, int32(W_LANES), j)

    return ops.device(of_thread)


def _sum_of(compute: str, tile: Tile) -> Any:
    """The sum of a thread for its i-th pixel and j-th filter."""
    take, V, T, PIXELS_FAST, divide, int32 = (
        ops.taking(compute), tile.vector, tile.threads, tile.pixels_fast, ops.divide, np.int32,
    )  # fmt: skip

    def sum_of(totals: Any, t: Any, i: Any, j: Any) -> Any:
        e = int32(j * EACH + i) if PIXELS_FAST else int32(i * EACH + j)
        group = divide(e, int32(V))
        return take(totals, int32((group * T + t) * V + e - group * V))

    return ops.device(sum_of)


def _one_by_one(finished: Any, compute: str, result: str, overflow: str, tile: Tile) -> Any:
    """Any type, any strides."""
    of_thread, sum_of, look = _of_thread(tile), _sum_of(compute, tile), ops.taking("int64")
    convert, whole = converting(compute, result, overflow)
    store, divide, int32 = ops.writer(result, whole), ops.divide, np.int32

    def finish(totals: Any, where: Any, bias: Any, out: Any, t: Any, g: Any, f0: Any, numbers: Any, reals: Any) -> None:
        for e in range(SUMS):
            i = divide(int32(e), int32(EACH))
            j = int32(e - i * EACH)
            pixel, column = of_thread(t, i, j)
            at, f = look(where, pixel), int32(f0 + column)
            if at >= 0 and f < numbers[7]:
                filter = g * numbers[7] + f
                total = finished(sum_of(totals, t, i, j), bias, filter, numbers, reals)
                store(out, at + filter * numbers[38], convert(total))

    return ops.device(finish)


def _by_vectors(bias: str, compute: str, activation: str, filters: bool, tile: Tile) -> Any:
    """Neighbours along filters, or pixels, at once: they exist all or not at all."""
    V, T, PIXELS_FAST = tile.vector, tile.threads, tile.pixels_fast
    take = ops.collecting(compute, V, 1 if filters != tile.pixels_fast else EACH * T)
    save, look, of_thread, int32 = ops.saving(compute, V), ops.taking("int64"), _of_thread(tile), np.int32
    I, J = (1, V) if filters else (V, 1)
    fetch, finished = _biases(bias, compute, J, V), _all_of(activating(compute, activation), bool(bias), V)

    def finish(totals: Any, where: Any, bias: Any, out: Any, t: Any, g: Any, f0: Any, numbers: Any, reals: Any) -> None:
        for j in range(0, EACH, J):
            _, column = of_thread(t, int32(0), int32(j))
            f = int32(f0 + column)
            if f < numbers[7]:
                filter = g * numbers[7] + f
                biases, line = fetch(bias, filter, numbers), filter * numbers[38]
                for i in range(0, EACH, I):
                    pixel, _ = of_thread(t, int32(i), int32(0))
                    at = look(where, pixel)
                    if at >= 0:
                        e = int32(j * EACH + i if PIXELS_FAST else i * EACH + j)
                        sums = take(totals, int32((e & -V) * T + t * V + (e & (V - 1))))
                        save(out, at + line, finished(sums, biases, reals))

    return ops.device(finish)


def _biases(bias: str, compute: str, filters: int, n: int) -> Any:
    """fetch(bias, filter, numbers): those of n sums, of one filter or of neighbours."""
    load, kind, STEP = ops.reader(bias or compute, compute), getattr(np, compute), int(filters > 1)

    def two_zeros(bias: Any, filter: Any, numbers: Any) -> Any:
        return kind(0), kind(0)

    def four_zeros(bias: Any, filter: Any, numbers: Any) -> Any:
        return kind(0), kind(0), kind(0), kind(0)

    def two(bias: Any, filter: Any, numbers: Any) -> Any:
        return load(bias, filter * numbers[33]), load(bias, (filter + STEP) * numbers[33])

    def four(bias: Any, filter: Any, numbers: Any) -> Any:
        return (
            load(bias, filter * numbers[33]), load(bias, (filter + STEP) * numbers[33]),
            load(bias, (filter + 2 * STEP) * numbers[33]), load(bias, (filter + 3 * STEP) * numbers[33]),
        )  # fmt: skip

    found = {(True, 2): two, (True, 4): four, (False, 2): two_zeros, (False, 4): four_zeros}
    return ops.device(found[bool(bias), n])


def _all_of(activate: Any, biased: bool, n: int) -> Any:
    """finished(sums, biases, reals), both tuples of n."""
    BIASED = biased

    def one(total: Any, bias: Any, slope: Any) -> Any:
        return activate(total + bias if BIASED else total, slope)

    one = ops.device(one)

    def two(sums: Any, biases: Any, reals: Any) -> Any:
        return one(sums[0], biases[0], reals[2]), one(sums[1], biases[1], reals[2])

    def four(sums: Any, biases: Any, reals: Any) -> Any:
        return (
            one(sums[0], biases[0], reals[2]), one(sums[1], biases[1], reals[2]),
            one(sums[2], biases[2], reals[2]), one(sums[3], biases[3], reals[2]),
        )  # fmt: skip

    return ops.device(four if n == 4 else two)
