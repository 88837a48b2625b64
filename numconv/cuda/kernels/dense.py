"""Many channels and filters: a matrix product whose left and right sides are packed w and gathered x (implicit GEMM).

A block computes BF x BP results of a group, filters by pixels, a thread 8 x 8 of them. What a stage of 64 bytes needs
of each pixel and filter lies in shared memory, twice: the next stage is copied (cp.async) while one is multiplied,
thousands of clocks, and a barrier a stage is enough. Steps are in the order of `reference`, kh, kw, c. Each chain is
filled up to whole stages with steps x = 0.0, w = -0.0, which leave any sum as it is, NaN and the sign of zero included:
nothing where channels are a multiple of 16 and rows are cut evenly, 4 % for 24 channels, 5 % for 112.

Instructions of a stage of 16 steps, 128 x 128, sm_90: 1,024 products, 64 loads of 16 bytes, which is a bound of 94 %,
and 42 others if channels are last in memory (90.6 %), 55 if they are first (89.6 %). Counted, or worked out, before:

- Sums of all chains in registers: 255 of them, one block on a multiprocessor. In the result: 6 % more instructions. In
  shared memory: 96 for each chain of up to 256 steps, 0.6 %, and two blocks of 128 registers a thread.
- Offsets in elements: four instructions an address, as LLVM puts all additions together; from pointers that it cannot
  see into: one. Shared addresses of copies as immediates: one fewer for each.
- The address of packed weights in every thread: 4 fewer, but two registers too many for some of the ways to gather.
- Taps that read padding as bits of a mask, which two instructions look up; by coordinates, which other borders need,
  20 a lookup (72 % of products).
- Eight steps in a loop: 552 instructions, or 22 more a stage, in half the code (9 KB). Not taken, as code in a line is
  fetched ahead; to be measured.
- x as [pixel][step] with 16 bytes in between takes 10 KB more shared memory and no less time than [unit][pixel].
- 16 x 8 results a thread: 96 loads for 2,048 products, about 93 %, by one block of 8 warps, with 128 KB of sums. Not
  built: two warps of a scheduler have to hide what four do here.
- Input tiles with a halo, which taps share, need fewer copies (93.5 % in a trial), but sum up taps before channels; in
  the order of the reference, a chain of up to 256 products would need all its channels at once: 33 KB a stage for 64
  channels, to save 4 of 1,130 instructions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .dense_finish import finishing, tile_lanes
from .dense_gather import gathering
from .dense_tile import EACH, SUMS, Tile
from .kernel import Kernel

NUMBERS = 41


def make(
    x: str, bias: str, compute: str, result: str, activation: str, overflow: str, gather: str, span: int, vector: str,
    chains: bool, split: bool, BF: int, BP: int, pixels_fast: bool,
) -> Kernel:  # fmt: skip
    """`gather`, `span`: as `dense_gather` has them; `vector`: as `dense_finish`.

    `chains`: there is more than one; `split`: a block computes one of them, of which `out` has all.
    """
    tile = Tile(BF, BP, pixels_fast, gather == "units", np.dtype(compute).itemsize)
    locate, aim, fetch, deposit = gathering(x, compute, gather, span, tile, split)
    finish = finishing(bias, compute, result, activation, overflow, vector, tile)
    new_totals, new_stages = (
        ops.dynamic(compute, tile.threads * SUMS, 0),
        ops.dynamic(compute, 2 * tile.stage, tile.threads * SUMS * tile.item_bytes),
    )
    new_where = ops.dynamic("int64", BP, tile.shared_bytes - 8 * BP)
    micro, clear = ops.unrolled(_steps(tile), compute, SUMS), ops.filling(compute, 0, SUMS, 0.0)
    VECTOR, T, STAGE, W_SIZE = tile.vector, tile.threads, tile.stage, tile.w_size
    lay, add = (make(compute, SUMS, T * VECTOR) for make in (ops.laying, ops.heaping))
    weigh, move, shift = _weighing(compute, tile), ops.pointing(compute), ops.pointing(result)
    wait, commit = ops.waiting(0), ops.commit
    places, divide, int32, int64, kind = _places(tile), ops.divide, np.int32, np.int64, getattr(np, compute)
    CHAINS, SPLIT, HELD = chains, split, max(1, tile.depth // tile.parts)

    def dense(x: Any, w: Any, bias: Any, out: Any, table: Any, steps: Any, numbers: Any, reals: Any) -> None:
        totals, stages, where = new_totals(), new_stages(), new_where()
        acc, held = cuda.local.array(SUMS, kind), cuda.local.array(HELD, kind)
        t, block, chain = int32(cuda.threadIdx.x), int32(cuda.blockIdx.x), int32(cuda.blockIdx.z)
        row = divide(block, int32(numbers[9]))
        column = int32(block - row * int32(numbers[9]))
        g = divide(column, int32(numbers[8]))
        f0 = int32((column - g * int32(numbers[8])) * BF)
        sources = locate(x, where, t, int64(row) * BP, g, numbers)
        w = move(w, int64(column) * numbers[0] * W_SIZE)
        steps = aim(steps, t)
        x_place, w_place = places(t)
        period, long, short = int32(numbers[2]), int32(numbers[39]), int32(numbers[40])
        line = divide(chain, period)
        part = int32(chain - line * period)
        stage = int32(line * ((period - 1) * long + short) + part * long)
        chains, until, at = int32(chain + 1) if SPLIT else int32(numbers[1]), stage, int32(0)
        end = int32(stage + (short if part == period - 1 else long)) if SPLIT else int32(numbers[0])
        clear(acc)
        fetch(held, sources, stages, at, x, table, steps, t, stage, numbers, reals)
        weigh(w, stages, at, t, stage)
        commit()
        deposit(held, stages, at, t)
        while chain < chains:
            until = int32(until + (short if part == period - 1 else long))
            part = int32(0) if part == period - 1 else int32(part + 1)
            while stage < until:
                wait()
                cuda.syncthreads()
                to, stage = int32(STAGE - at), int32(stage + 1)
                if stage < end:
                    fetch(held, sources, stages, to, x, table, steps, t, stage, numbers, reals)
                    weigh(w, stages, to, t, stage)
                    commit()
                micro(acc, stages, int32(at + x_place), stages, int32(at + w_place))
                if stage < end:
                    deposit(held, stages, to, t)
                at = to
            if CHAINS and chain > 0 and not SPLIT:
                add(totals, int32(t * VECTOR), acc)
            else:
                lay(totals, int32(t * VECTOR), acc)
            clear(acc)
            chain = int32(chain + 1)
        if SPLIT:
            out = shift(out, int64(chain - 1) * numbers[35])
        finish(totals, where, bias, out, t, g, f0, numbers, reals)

    pointers = tuple((name, 0) for name in (x, compute, bias or compute, result, "int64", "int32"))
    arguments = (*pointers, ("int64", NUMBERS), ("float64", 3))
    return Kernel(dense, arguments, tile.threads, tile.blocks, tile.shared_bytes)


def _steps(tile: Tile) -> Any:
    """A stage of a thread, x in the first array and w in the second: SUMS products each, of 16 values."""
    V, lanes = tile.vector, {True: 8, False: 4}
    x_lanes, w_lanes = lanes[tile.pixels_fast], lanes[not tile.pixels_fast]

    def rows(load: Any, k: int, size: int, of: int) -> list:
        """Eight of [step][size]."""
        found: list = []
        for half in (0, 4 * of):
            for i in range(0, 4, V):
                found += load(k * size + half + i, V)
        return found

    def body(acc: list, xs: Any, ws: Any, fma: Any) -> None:
        for k in range(tile.depth):
            if not tile.units:
                x = rows(xs, k, tile.BP, x_lanes)
            elif k % V == 0:
                unit = [xs(k // V * tile.unit_pitch + i * x_lanes * V, V) for i in range(EACH)]
            if tile.units:
                x = [values[k % V] for values in unit]
            w = rows(ws, k, tile.BF, w_lanes)
            ops.outer(acc, *((w, x) if tile.pixels_fast else (x, w)), fma)

    return body


def _places(tile: Tile) -> Any:
    """(of its first pixel, of its first filter): where a thread reads of a stage."""
    lanes, UNITS, V, X_SIZE, PIXELS_FAST, int32 = (
        tile_lanes(tile),
        tile.units,
        tile.vector,
        tile.x_size,
        tile.pixels_fast,
        np.int32,
    )
    SHIFT = {4: 0, 2: 1}[tile.vector]

    def places(t: Any) -> Any:
        fast, fast_warp, slow, slow_warp = lanes(t)
        x_lane, x_warp = (fast, fast_warp) if PIXELS_FAST else (slow, slow_warp)
        w_lane, w_warp = (slow, slow_warp) if PIXELS_FAST else (fast, fast_warp)
        x_place = int32((x_warp * V) | (x_lane >> SHIFT)) if UNITS else int32(x_warp | x_lane)
        return x_place, int32(X_SIZE + (w_warp | w_lane))

    return ops.device(places)


def _weighing(compute: str, tile: Tile) -> Any:
    """Copy a stage of packed weights: it lies there as it will here."""
    V, T, W_SIZE, X_SIZE, int32, int64 = tile.vector, tile.threads, tile.w_size, tile.x_size, np.int32, np.int64
    copy = ops.copying_each(compute, V, tuple((X_SIZE + i, i) for i in range(0, W_SIZE, V * T)))

    def weigh(w: Any, stages: Any, at: Any, t: Any, stage: Any) -> None:
        copy(stages, int32(at + t * V), w, int64(stage) * W_SIZE + t * V, True)

    return ops.device(weigh)
