"""Products by warpgroups (wgmma): a matrix product of weights and pixels made ready by `warpgroup_operands`.

A block computes M x N sums of a group, 64 x N of each warpgroup of 128 threads, in registers; rows are filters and
columns pixels, or the other way round. Both operands lie in shared memory, `slots` times:

    slot     [part][M + N][128 bytes]   rows of both sides, a *stage* of K: 8 pieces of 16 bytes
    origins  [pixels of the block]      int32: the first piece of each pixel's window in x
    where    [pixels of the block]      int64: its place in the result, -1 beyond the last
    biases   [filters of the block]     float32: -0.0, which changes no sum, where there is none
    results  [M][N + 8] or [N][M + 4]   float32, where the slots were: neighbours are those of the result

Rows are swizzled as wgmma's 128-byte mode has them: piece j of row r is at j ^ (r & 7), so that neither the copies (8
threads a row) nor the products meet in banks. Thread t copies piece t & 7 of rows t >> 3, + T / 8, ... of both sides:
the same piece of all of its rows, so that one table entry a stage says where it lies, and its swizzle is a constant. A
copy costs two instructions of address beside itself; borders and padding cost none, as x was laid out with them.

Stage s is multiplied while stages up to s + slots - 1 - lag are on their way. lag = 1 leaves the product of stage s - 1
unfinished while that of s is queued, so that the tensor cores do not wait for the barrier: for blocks that are alone on
a multiprocessor. Copies are written by threads and read by the tensor cores' own path: hence a fence between the wait
for copies and the barrier.

What bounds it, by counting (no GPU has confirmed it): shared memory moves 128 bytes a cycle. 128 x 256 sums of a stage
take 1024 cycles, read 80 KB and write 48 KB, which just fits; 128 x 128 take 512, 48 + 32 KB: 80 % of the peak. Both
need 94 and 125 bytes from the L2 cache a thousand operations, 5.6 TB/s at 600 TFLOP/s. The main loop takes 126
instructions a stage of the larger tile, 24 of them copies: a quarter of the cycles in which they can be issued.

Sums of tensor cores are cut, not rounded: a bias of some 2**-25 of a sum for each instruction on it. With two `parts`
(3xtf32: a value is the sum of two of tf32, and the product of the small ones is left out) a stage has both, and three
products, the small ones first; every `fold` stages sums are added up outside, rounded, in registers of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .finish import activating, adding, converting
from .kernel import Kernel

NUMBERS = 20
ROW = 128
"""Bytes of a row."""


def make(
    kind: str, bias: str, result: str, activation: str, overflow: str, M: int, N: int, slots: int, lag: int,
    blocks: int, filters_left: bool, pixels_fast: bool, vector: int, parts: int, fold: int,
) -> Kernel:  # fmt: skip
    """`kind`: bf16, f16 or tf32; `filters_left`: rows are filters; `vector`: results of a store."""
    T, AHEAD, SLOT, SIDE = M * 2, slots - 1 - lag, (M + N) * ROW * parts, (M + N) * ROW
    PIXELS, FILTERS = (N, M) if filters_left else (M, N)
    STEP = T // 8
    size = max(slots * SLOT, M * (N + 8) * 4, N * (M + 4) * 4)
    new_slots = ops.dynamic("uint8", slots * SLOT, 0)
    new_where, new_origins = ops.dynamic("int64", PIXELS, size), ops.dynamic("int32", PIXELS, size + PIXELS * 8)
    new_biases = ops.dynamic("float32", FILTERS, size + PIXELS * 12)
    load = _loading(PIXELS // STEP, FILTERS // STEP, STEP, M * ROW, SIDE, filters_left, parts)
    pairs = ((0, 0),) if parts == 1 else ((SIDE, 0), (0, SIDE), (0, 0))
    product, settle, landed, finished = (
        ops.multiplying(kind, N, pairs), ops.settling(N), ops.waiting(AHEAD - 1), ops.finished(lag),
    )  # fmt: skip
    describe, fence, commit, look = ops.descriptor, ops.fence_copies, ops.commit, _looking()
    prepare, remember = _preparing(bias, PIXELS, FILTERS), _remembering(PIXELS // STEP, STEP)
    finish = _finishing(result, activation, overflow, M, N, filters_left, pixels_fast, vector, N // 2 if fold else 0)
    clear, start = ops.filling("float32", 0, N // 2, 0.0), ops.filling("float32", N // 2, N // 2 if fold else 0, -0.0)
    fold_in, SUMS, EACH, FOLD = ops.folding("float32", N // 2), N if fold else N // 2, PIXELS // STEP, fold
    ALL, RIGHT, WEIGHTS = slots * SLOT, M * ROW, parts * FILTERS * ROW
    divide, int32, int64 = ops.divide, np.int32, np.int64

    def warpgroup(x: Any, w: Any, bias: Any, out: Any, pieces: Any, numbers: Any, reals: Any) -> None:
        memory, where, origins, biases = new_slots(), new_where(), new_origins(), new_biases()
        acc, own = cuda.local.array(SUMS, np.float32), cuda.local.array(EACH, np.int32)
        t, g, across = int32(cuda.threadIdx.x), int32(cuda.blockIdx.y), int32(numbers[1])
        spot = divide(int32(cuda.blockIdx.x), across)
        block = int32(int32(cuda.blockIdx.x) - spot * across)
        f0, stages = int32(block * FILTERS), int32(numbers[0])
        prepare(where, origins, biases, bias, t, int64(spot) * PIXELS, g, f0, numbers)
        row, piece = int32(t >> 3), int32(t & 7)
        mine = int32(row * ROW + ((piece ^ (row & 7)) << 4))
        weights = (int64(g) * across + block) * stages * WEIGHTS + t * 16
        cuda.syncthreads()
        remember(own, origins, row)
        for ahead in range(AHEAD):
            if ahead < stages:
                at = look(pieces, int32(ahead * 8 + piece))
                load(memory, int32(ahead * SLOT + mine), x, own, at, w, weights, numbers)
            weights += WEIGHTS
            commit()
        clear(acc)
        start(acc)
        left, right = describe(memory, int32((t >> 7) * (64 * ROW))), describe(memory, int32(RIGHT))
        now, then, rest = int32(0), int32(AHEAD * SLOT), int32(FOLD)
        at = look(pieces, int32(AHEAD * 8 + piece))
        for stage in range(stages):
            landed()
            fence()
            finished()
            cuda.syncthreads()
            product(acc, left + np.uint64(now >> 4), right + np.uint64(now >> 4))
            if stage + AHEAD < stages:
                load(memory, int32(then + mine), x, own, at, w, weights, numbers)
                at = look(pieces, int32((stage + AHEAD + 1) * 8 + piece))
                weights += WEIGHTS
            commit()
            now, then = int32(now + SLOT), int32(then + SLOT)
            now, then = int32(0) if now == ALL else now, int32(0) if then == ALL else then
            if FOLD:
                rest = int32(rest - 1)
                if rest == 0:
                    settle(acc)
                    fold_in(acc)
                    clear(acc)
                    rest = int32(FOLD)
        settle(acc)
        if FOLD:
            fold_in(acc)
        cuda.syncthreads()
        finish(acc, where, biases, out, t, g, f0, numbers, reals)

    pointers = (("uint8", 0), ("uint8", 0), (bias or "float32", 0), (result, 0), ("int32", 0))
    arguments = (*pointers, ("int64", NUMBERS), ("float64", 3))
    return Kernel(warpgroup, arguments, T, blocks, size + PIXELS * 12 + FILTERS * 4, True)


def _loading(pixels: int, filters: int, STEP: int, RIGHT: int, SIDE: int, filters_left: bool, parts: int) -> Any:
    """A thread's copies of a stage: of so many pixels and filters, of all parts."""
    gather, stream = ops.gathering(pixels, STEP * ROW), ops.streaming(filters, STEP * ROW)
    X_AT, W_AT = (RIGHT, 0) if filters_left else (0, RIGHT)
    TWO, WEIGHTS, int32 = parts == 2, filters * STEP * ROW, np.int32

    def load(memory: Any, to: Any, x: Any, own: Any, at: Any, w: Any, weights: Any, numbers: Any) -> None:
        gather(memory, int32(to + X_AT), x, own, at, at >= 0)
        stream(memory, int32(to + W_AT), w, weights)
        if TWO:
            gather(memory, int32(to + (X_AT + SIDE)), x, own, int32(at + int32(numbers[19])), at >= 0)
            stream(memory, int32(to + (W_AT + SIDE)), w, weights + WEIGHTS)

    return ops.device(load)


def _looking() -> Any:
    """A table's entry."""
    load, int32, int64 = ops.reader("int32", "int64"), np.int32, np.int64

    def look(pieces: Any, at: Any) -> Any:
        return int32(load(pieces, int64(at)))

    return ops.device(look)


def _preparing(bias: str, PIXELS: int, FILTERS: int) -> Any:
    """What a block knows of its pixels and filters, one of each a thread."""
    locate, add, int32 = _locating(), adding(bias, "float32", "float32"), np.int32
    put_where, put_origin, put_bias = map(ops.placing, ("int64", "int32", "float32"))
    kind = np.float32

    def prepare(
        where: Any, origins: Any, biases: Any, bias: Any, t: Any, p0: Any, g: Any, f0: Any, numbers: Any
    ) -> None:
        if t < PIXELS:
            origin, place = locate(p0 + t, g, numbers)
            put_origin(origins, t, origin)
            put_where(where, t, place)
        if t < FILTERS:
            total = kind(-0.0)
            if f0 + t < numbers[6]:
                total, _ = add(total, kind(0), bias, (g * numbers[6] + f0 + t) * numbers[17])
            put_bias(biases, int32(t), total)

    return ops.device(prepare)


def _locating() -> Any:
    """(the first piece of a pixel's window, the place of the pixel in the result)."""
    divide, int32, int64 = ops.divide, np.int32, np.int64

    def locate(pixel: Any, g: Any, numbers: Any) -> Any:
        valid = pixel < numbers[2]
        rest = int32(pixel) if valid else int32(0)
        row = divide(rest, int32(numbers[5]))
        ow = int32(rest - row * int32(numbers[5]))
        plane = divide(row, int32(numbers[4]))
        oh = int32(row - plane * int32(numbers[4]))
        n = divide(plane, int32(numbers[3]))
        od = int32(plane - n * int32(numbers[3]))
        origin = n * numbers[7] + od * numbers[8] + oh * numbers[9] + ow * numbers[10] + g * numbers[11]
        place = n * numbers[12] + od * numbers[13] + oh * numbers[14] + ow * numbers[15] + numbers[18]
        return int32(origin), place if valid else int64(-1)

    return ops.device(locate)


def _remembering(EACH: int, STEP: int) -> Any:
    """The origins of the rows that a thread copies, in registers."""
    take, int32 = ops.taking("int32"), np.int32

    def remember(own: Any, origins: Any, row: Any) -> None:
        for i in range(EACH):
            own[i] = take(origins, int32(row + i * STEP))

    return ops.device(remember)


def _finishing(
    result: str, activation: str, overflow: str, M: int, N: int, filters_left: bool, pixels_fast: bool, vector: int,
    start: int,
) -> Any:  # fmt: skip
    """Sums by way of shared memory, so that neighbouring threads store neighbours of the result.

    Warps meet in no bank: in pairs, four rows of 4 pairs lie 8 banks apart; turned round, 8 rows of 4 columns 1 and 8.
    """
    TURNED, SLOW, FAST = filters_left != pixels_fast, *((N, M) if filters_left != pixels_fast else (M, N))
    PITCH = FAST + 4 if TURNED else FAST + 8
    DOWN, ACROSS = (1, PITCH) if TURNED else (PITCH, 1)
    spread, lift, place_of = ops.spreading(N, start, DOWN, ACROSS), ops.lifting(vector), ops.taking("int64")
    new_results, take = ops.dynamic("float32", SLOW * PITCH, 0), ops.taking("float32")
    write, divide, int32 = _writing(result, activation, overflow, vector), ops.divide, np.int32
    ROUNDS, PIXELS_FAST, VECTOR, ALL = M * N // (M * 2 * vector), pixels_fast, vector, M * 2 * vector

    def finish(acc: Any, where: Any, biases: Any, out: Any, t: Any, g: Any, f0: Any, numbers: Any, reals: Any) -> None:
        results, row, column = new_results(), int32((t >> 5) * 16 + ((t & 31) >> 2)), int32((t & 3) * 2)
        spread(results, int32(row * DOWN + column * ACROSS), acc)
        cuda.syncthreads()
        sums, added = cuda.local.array(VECTOR, np.float32), cuda.local.array(VECTOR, np.float32)
        for i in range(ROUNDS):
            word = int32(i * ALL + t * VECTOR)
            slow = divide(word, int32(FAST))
            fast = int32(word - slow * FAST)
            lift(sums, results, int32(slow * PITCH + fast))
            if PIXELS_FAST:
                at, f = place_of(where, fast), slow
                for e in range(VECTOR):
                    added[e] = take(biases, slow)
            else:
                at, f = place_of(where, slow), fast
                lift(added, biases, fast)
            if at >= 0 and f0 + f < numbers[6]:
                write(out, at + (g * numbers[6] + f0 + f) * numbers[16], sums, added, reals)

    return ops.device(finish)


def _writing(result: str, activation: str, overflow: str, vector: int) -> Any:
    """Bias, activation, conversion and a store."""
    activate, (convert, whole) = activating("float32", activation), converting("float32", result, overflow)
    VECTOR = vector

    def each(out: Any, at: Any, sums: Any, added: Any, reals: Any) -> None:
        store(out, at, convert(activate(sums[0] + added[0], reals[2])))

    def together(out: Any, at: Any, sums: Any, added: Any, reals: Any) -> None:
        for e in range(VECTOR):
            sums[e] = activate(sums[e] + added[e], reals[2])
        store(out, at, sums)

    store = (
        ops.writer(result, whole)
        if vector == 1
        else ops.storing_as("f16" if result == "float16" else "float32", result, vector)
    )
    return ops.device(each if vector == 1 else together)
