"""The results of `tensor`, from the accumulators of a warp to memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from .finish import activating, converting
from .kernel import storage_of


def finishing(
    bias: str,
    result: str,
    activation: str,
    overflow: str,
    pixels_down: bool,
    vector: int,
    pairs: bool,
    WR: int,
    WC: int,
) -> Any:
    """Store finished sums, 16 rows of a warp at a time, by way of memory that the pipeline no longer needs.

    `sums` and `added` are registers for `vector` values.
    """
    PITCH = WC + 8
    write = _writing(bias, result, activation, overflow, pixels_down, vector, pairs, WC, PITCH)
    new_stage, sync, int32 = ops.dynamic("float32", 8 * 16 * PITCH, 0), ops.sync_warp, np.int32

    def finish_from(i: int) -> Any:
        if i == WR // 16:
            return ops.device(_nothing)
        put, rest, ROW = ops.unloading(i * WC // 2, WC // 8, PITCH), finish_from(i + 1), 16 * i

        def finish(
            acc: Any, sums: Any, added: Any, stage: Any, where: Any, bias: Any, out: Any, first: Any, lane: Any,
            r0: Any, c0: Any, g: Any, f0: Any, left: Any, numbers: Any, reals: Any,
        ) -> None:  # fmt: skip
            put(stage, int32(first + (lane >> 2) * PITCH + (lane & 3) * 2), acc)
            sync()
            write(sums, added, stage, where, bias, out, first, lane, int32(r0 + ROW), c0, g, f0, left, numbers, reals)
            sync()
            rest(acc, sums, added, stage, where, bias, out, first, lane, r0, c0, g, f0, left, numbers, reals)

        return ops.device(finish)

    finish_all = finish_from(0)

    def finish(
        acc: Any, sums: Any, added: Any, where: Any, bias: Any, out: Any, warp: Any, lane: Any, r0: Any, c0: Any,
        g: Any, f0: Any, left: Any, numbers: Any, reals: Any,
    ) -> None:  # fmt: skip
        first, stage = int32(warp * 16 * PITCH), new_stage()
        finish_all(acc, sums, added, stage, where, bias, out, first, lane, r0, c0, g, f0, left, numbers, reals)

    return ops.device(finish)


def _writing(
    bias: str,
    result: str,
    activation: str,
    overflow: str,
    pixels_down: bool,
    vector: int,
    pairs: bool,
    WC: int,
    PITCH: int,
) -> Any:
    """16 rows of a warp: a lane has `vector` neighbours of a row, those of one filter or of one pixel."""
    V, BIASED, PIXELS_DOWN, int32, int64, float32 = vector, bool(bias), pixels_down, np.int32, np.int64, np.float32
    activate, take = activating("float32", activation), ops.taking("int32")
    lift, store = ops.lifting(V), _storing(result, overflow, V)
    load = ops.reader(storage_of(bias or "float32"), "float32")
    LANES, PAIR, REAL = min(32, WC // V), int(pairs), int(pairs and bias[:1] == "f")
    AT_ONCE, PARTS = 32 // LANES, WC // (LANES * V)

    def biases(values: Any, bias: Any, f: Any, each: Any, numbers: Any, g: Any) -> None:
        for e in range(V):
            values[e] = float32(0)
            if BIASED and f + e * each < numbers[5] and (f + e * each) & REAL == 0:
                filter = int32(g * numbers[5] + f + e * each)
                values[e] = load(bias, int64(filter >> PAIR) * numbers[33] + (filter & PAIR))

    biases = ops.device(biases)

    def write(
        sums: Any, added: Any, stage: Any, where: Any, bias: Any, out: Any, first: Any, lane: Any, row0: Any, c0: Any,
        g: Any, f0: Any, left: Any, numbers: Any, reals: Any,
    ) -> None:  # fmt: skip
        line = int32(lane // LANES)
        for part in range(PARTS):
            column = int32((part * LANES + lane - line * LANES) * V)
            f = int32(f0 + c0 + column)
            if PIXELS_DOWN:
                biases(added, bias, f, int32(1), numbers, g)
            for i in range(16 // AT_ONCE):
                row = int32(i * AT_ONCE + line)
                if not PIXELS_DOWN:
                    f = int32(f0 + row0 + row)
                    biases(added, bias, f, int32(0), numbers, g)
                pixel = int32(row0 + row) if PIXELS_DOWN else int32(c0 + column)
                if f < numbers[5] and pixel < left:
                    filter = int32(g * numbers[5] + f)
                    at = int32(take(where, pixel) + (filter >> PAIR) * numbers[32] + (filter & PAIR))
                    lift(sums, stage, int32(first + row * PITCH + column))
                    for e in range(V):
                        total = float32(sums[e] + added[e]) if BIASED else sums[e]
                        sums[e] = activate(total, reals[2])
                    store(out, int64(at), sums)

    return ops.device(write)


def _storing(result: str, overflow: str, vector: int) -> Any:
    """Neighbours at once, or one, converted."""
    if vector > 1:
        return ops.storing_as({"float16": "f16"}.get(result, result), result, vector)
    convert, whole = converting("float32", result, overflow)
    write = ops.writer(result, whole)

    def store(out: Any, at: Any, values: Any) -> None:
        write(out, at, convert(values[0]))

    return ops.device(store)


def _nothing(
    acc: Any, sums: Any, added: Any, stage: Any, where: Any, bias: Any, out: Any, first: Any, lane: Any,
    r0: Any, c0: Any, g: Any, f0: Any, left: Any, numbers: Any, reals: Any,
) -> None:  # fmt: skip
    """After the last rows."""
