"""Products by warpgroups (wgmma): a matrix product of weights and pixels made ready by `warpgroup_operands`.

A block computes M x N sums of a group, 64 x N of each warpgroup of 128 threads, in registers; rows are filters and
columns pixels, or the other way round (`warpgroup_tile`). In shared memory:

    x        [slot][part][pixels, and more][128 bytes]   a *stage* of K: 8 pieces of 16 bytes
    w        [slot][part][filters][128 bytes]
    where    [pixels]            int64: the place of each in the result, -1 where there is none
    origins  [pixels, and more]  int32: the first piece of each pixel's window in x
    biases   [filters]           float32: -0.0, which changes no sum, where there is none
    results  [M][N + 8] or [N][M + 4]   float32, where x and w were: neighbours are those of the result

Rows are swizzled as wgmma's 128-byte mode has them: piece j of row r is at j ^ (r & 7), so that neither the copies (8
threads a row) nor the products meet in banks. Thread t copies piece t & 7 of rows t >> 3, + T / 8, ... of both sides:
the same piece of all of its rows, so that one table entry a stage says where it lies, and its swizzle is a constant. A
copy costs two instructions of address beside itself; borders and padding cost none, as x was laid out with them.

Taps that are neighbours in a row of the kernel read the same samples, one pixel further on. At stride 1 a block takes
pixels as they lie in x, those between the rows of the result too, which are not stored (1 of 57 columns): then
the rows of one tap are those of the tap before from the second on, and `taps` stages read one slot, by descriptors
that begin some rows further on. Of 3 x 3 taps this leaves 28 of 48 KB to be copied for a stage of 128 x 256 sums.

Stage s is multiplied while the next ones are on their way. lag = 1 leaves the product of stage s - 1 unfinished while
that of s is queued, so that the tensor cores do not wait for the barrier: for blocks that are alone on a
multiprocessor. Copies are written by threads and read by the tensor cores' own path: hence a fence between the wait
for copies and the barrier.

What bounds it, by counting (no GPU has confirmed it): 128 x 256 sums of a stage take 1024 cycles. Shared memory, 128
bytes a cycle, reads 80 KB and writes 48 (28) KB meanwhile; for 128 x 128 sums 48 + 32 (23) KB in 512 cycles, 80 (90) %
of the peak. From the L2 cache come 11.7 (6.8) bytes a thousand operations: 7.0 (4.1) TB/s at 600 TFLOP/s. The main
loop takes 149 instructions a stage, a third of them for one tap of three alone: less than a quarter of the cycles in
which they can be issued; with 4 HGMMA of 64 x 256 and 186 registers the compiler adds no wait.

Sums of tensor cores are cut, not rounded: a bias of some 2**-25 of a sum for each instruction on it. With two `parts`
(3xtf32: a value is the sum of two of tf32, and the product of the small ones is left out) a stage has both, and three
products, the small ones first. Every `fold` stages sums are added up outside, rounded, in registers of their own, and
begin anew: 213 instructions a stage, 64 additions between. A branch for them within one loop made the compiler wait in
every stage, zeros to be added to took 130 instructions more. The small part of an infinity is NaN, and so are the
results that see one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .coordinates import unravelling
from .finish import activating, adding, converting
from .kernel import Kernel
from .warpgroup_tile import ROW, Tile

NUMBERS = 24


def make(
    kind: str, bias: str, result: str, activation: str, overflow: str, pixels_fast: bool, vector: int, *shape: Any
) -> Kernel:
    """`kind`: bf16, f16 or tf32; `vector`: results of a store; `shape`: a `Tile`."""
    tile = Tile(*shape)
    N, half = tile.N, tile.N // 2
    new_memory, new_where = ops.dynamic("uint8", tile.memory, 0), ops.dynamic("int64", tile.pixels, tile.work)
    new_origins = ops.dynamic("int32", tile.x_rows, tile.work + tile.pixels * 8)
    new_biases = ops.dynamic("float32", tile.filters, tile.work + tile.pixels * 8 + tile.x_rows * 4)
    product, settle, landed, finished = (
        ops.multiplying(kind, N, _pairs(tile)), ops.settling(N), ops.waiting(tile.ahead - 1), ops.finished(tile.lag),
    )  # fmt: skip
    load, describe, fence, commit, look = _loading(tile), ops.descriptor, ops.fence_copies, ops.commit, _looking()
    begin, prepare, remember = _beginning(tile), _preparing(bias, tile), _remembering(tile)
    finish = _finishing(result, activation, overflow, tile, pixels_fast, vector)
    clear, start = ops.filling("float32", 0, half, 0.0), ops.filling("float32", half, half if tile.fold else 0, -0.0)
    fold_in, SUMS, OWN, FOLD = (
        ops.folding("float32", half),
        N if tile.fold else half,
        tile.x_rows // tile.step,
        tile.fold,
    )
    X_SLOT, W_SLOT = tile.parts * tile.x_rows * ROW, tile.parts * tile.filters * ROW
    X_ALL, W_ALL, AHEAD, TAPS, SHIFT = tile.x_bytes, tile.w_slots * W_SLOT, tile.ahead, tile.taps, tile.shift * ROW
    CHAIN = tile.fold or 1 << 30
    X_HALF, W_HALF = (0, 64 * ROW) if tile.left else (64 * ROW, 0)
    PIXELS, FILTERS, LEFT, divide, int32, int64 = tile.pixels, tile.filters, tile.left, ops.divide, np.int32, np.int64

    def warpgroup(x: Any, w: Any, bias: Any, out: Any, pieces: Any, numbers: Any, reals: Any) -> None:
        memory, where, origins, biases = new_memory(), new_where(), new_origins(), new_biases()
        acc, own = cuda.local.array(SUMS, np.float32), cuda.local.array(OWN, np.int32)
        t, g, across = int32(cuda.threadIdx.x), int32(cuda.blockIdx.y), int32(numbers[1])
        spot = divide(int32(cuda.blockIdx.x), across)
        block = int32(int32(cuda.blockIdx.x) - spot * across)
        f0, stages = int32(block * FILTERS), int32(numbers[0])
        begin(origins, t, int64(spot) * PIXELS, g, numbers)
        row, piece = int32(t >> 3), int32(t & 7)
        mine = int32(row * ROW + ((piece ^ (row & 7)) << 4))
        weights = (int64(g) * across + block) * stages * W_SLOT + t * 16
        cuda.syncthreads()
        remember(own, origins, row)
        entry, to_x, to_w, tap = piece, int32(0), int32(0), int32(0)
        for ahead in range(AHEAD):
            if ahead < stages:
                load(
                    memory,
                    int32(to_x + mine),
                    int32(to_w + mine),
                    x,
                    own,
                    look(pieces, entry),
                    w,
                    weights,
                    tap,
                    numbers,
                )
            weights += W_SLOT
            to_w, tap = int32(to_w + W_SLOT), int32(tap + 1)
            if tap == TAPS:
                entry, to_x, tap = int32(entry + 8), int32(to_x + X_SLOT), int32(0)
                to_x = int32(0) if to_x == X_ALL else to_x
            commit()
        prepare(where, biases, bias, t, int64(spot) * PIXELS, g, f0, numbers)
        clear(acc)
        start(acc)
        half = int32(t >> 7)
        x_side, w_side = describe(memory, int32(half * X_HALF)), describe(memory, int32(X_ALL + half * W_HALF))
        at_x, at_w, turn, at, stage = int32(0), int32(0), int32(0), look(pieces, entry), int32(0)
        while stage < stages:
            more, last = int32(0), min(int32(stage + CHAIN), stages)
            while stage < last:
                landed()
                fence()
                finished()
                cuda.syncthreads()
                pixels, filters = x_side + np.uint64((at_x + turn * SHIFT) >> 4), w_side + np.uint64(at_w >> 4)
                product(acc, filters if LEFT else pixels, pixels if LEFT else filters, more)
                more, stage = int32(1), int32(stage + 1)
                if stage + (AHEAD - 1) < stages:
                    load(memory, int32(to_x + mine), int32(to_w + mine), x, own, at, w, weights, tap, numbers)
                    weights += W_SLOT
                commit()
                to_w, at_w, tap, turn = int32(to_w + W_SLOT), int32(at_w + W_SLOT), int32(tap + 1), int32(turn + 1)
                to_w, at_w = int32(0) if to_w == W_ALL else to_w, int32(0) if at_w == W_ALL else at_w
                if tap == TAPS:
                    entry, to_x, tap = int32(entry + 8), int32(to_x + X_SLOT), int32(0)
                    to_x, at = int32(0) if to_x == X_ALL else to_x, look(pieces, entry)
                if turn == TAPS:
                    at_x, turn = int32(at_x + X_SLOT), int32(0)
                    at_x = int32(0) if at_x == X_ALL else at_x
            settle(acc)
            if FOLD:
                fold_in(acc)
        cuda.syncthreads()
        finish(acc, where, biases, out, t, g, f0, numbers, reals)

    pointers = (("uint8", 0), ("uint8", 0), (bias or "float32", 0), (result, 0), ("int32", 0))
    arguments = (*pointers, ("int64", NUMBERS), ("float64", 3))
    return Kernel(warpgroup, arguments, tile.threads, tile.blocks, tile.dynamic, True)


def _pairs(tile: Tile) -> tuple[tuple[int, int], ...]:
    """Where the operands of the products of a stage lie: the small parts first."""
    x, w = tile.x_rows * ROW, tile.filters * ROW
    left, right = (w, x) if tile.left else (x, w)
    return ((0, 0),) if tile.parts == 1 else ((left, 0), (0, right), (0, 0))


def _loading(tile: Tile) -> Any:
    """A thread's copies of a stage, of all parts; of pixels only for the first of its taps."""
    gather = ops.gathering(tile.x_rows // tile.step, tile.step * ROW)
    stream = ops.streaming(tile.filters // tile.step, tile.step * ROW)
    W_AT, TWO, X_PART, W_PART = tile.x_bytes, tile.parts == 2, tile.x_rows * ROW, tile.filters * ROW
    int32 = np.int32

    def load(
        memory: Any, to_x: Any, to_w: Any, x: Any, own: Any, at: Any, w: Any, weights: Any, tap: Any, numbers: Any
    ) -> None:
        if tap == 0:
            gather(memory, to_x, x, own, at, at >= 0)
            if TWO:
                gather(memory, int32(to_x + X_PART), x, own, int32(at + int32(numbers[19])), at >= 0)
        stream(memory, int32(to_w + W_AT), w, weights)
        if TWO:
            stream(memory, int32(to_w + (W_AT + W_PART)), w, weights + W_PART)

    return ops.device(load)


def _looking() -> Any:
    """A table's entry."""
    load, int32, int64 = ops.reader("int32", "int64"), np.int32, np.int64

    def look(pieces: Any, at: Any) -> Any:
        return int32(load(pieces, int64(at)))

    return ops.device(look)


def _beginning(tile: Tile) -> Any:
    """Where the window of each pixel begins: by their number alone where they are taken as they lie."""
    put, locate, int32, ROWS, THREADS = ops.placing("int32"), _locating(), np.int32, tile.x_rows, tile.threads

    def each(origins: Any, t: Any, p0: Any, g: Any, numbers: Any) -> None:
        for i in range(t, ROWS, THREADS):
            n, d, h, v = locate(p0 + i, numbers)
            origin = n * numbers[7] + d * numbers[8] + h * numbers[9] + v * numbers[10] + g * numbers[11]
            put(origins, int32(i), int32(origin))

    def together(origins: Any, t: Any, p0: Any, g: Any, numbers: Any) -> None:
        for i in range(t, ROWS, THREADS):
            pixel = p0 + i if p0 + i < numbers[2] else int32(0)
            put(origins, int32(i), int32(pixel * numbers[10] + g * numbers[11]))

    return ops.device(each if tile.taps == 1 else together)


def _preparing(bias: str, tile: Tile) -> Any:
    """Where the results of a block's pixels go, and its biases: while the first copies are on their way."""
    locate, add, int32, int64, kind = _locating(), adding(bias, "float32", "float32"), np.int32, np.int64, np.float32
    put_where, put_bias = ops.placing("int64"), ops.placing("float32")
    PIXELS, FILTERS, THREADS = tile.pixels, tile.filters, tile.threads

    def prepare(where: Any, biases: Any, bias: Any, t: Any, p0: Any, g: Any, f0: Any, numbers: Any) -> None:
        for i in range(t, PIXELS, THREADS):
            n, d, h, v = locate(p0 + i, numbers)
            place = n * numbers[12] + d * numbers[13] + h * numbers[14] + v * numbers[15] + numbers[18]
            valid = p0 + i < numbers[23] and d < numbers[20] and h < numbers[21] and v < numbers[22]
            put_where(where, int32(i), place if valid else int64(-1))
        for i in range(t, FILTERS, THREADS):
            total = kind(-0.0)
            if f0 + i < numbers[6]:
                total, _ = add(total, kind(0), bias, (g * numbers[6] + f0 + i) * numbers[17])
            put_bias(biases, int32(i), total)

    return ops.device(prepare)


def _locating() -> Any:
    """(sample, plane, row, column) of a pixel; of the first one where there is none."""
    unravel, int32 = unravelling(), np.int32

    def locate(pixel: Any, numbers: Any) -> Any:
        rest = int32(pixel) if pixel < numbers[2] else int32(0)
        return unravel(rest, numbers[3], numbers[4], numbers[5])

    return ops.device(locate)


def _remembering(tile: Tile) -> Any:
    """The origins of the rows that a thread copies, in registers."""
    take, int32, OWN, STEP = ops.taking("int32"), np.int32, tile.x_rows // tile.step, tile.step

    def remember(own: Any, origins: Any, row: Any) -> None:
        for i in range(OWN):
            own[i] = take(origins, int32(row + i * STEP))

    return ops.device(remember)


def _finishing(result: str, activation: str, overflow: str, tile: Tile, pixels_fast: bool, vector: int) -> Any:
    """Sums by way of shared memory, so that neighbouring threads store neighbours of the result.

    Warps meet in no bank: in pairs, four rows of 4 pairs lie 8 banks apart; turned round, 8 rows of 4 columns 1 and 8.
    """
    M, N, TURNED = tile.M, tile.N, tile.left != pixels_fast
    SLOW, FAST = (N, M) if TURNED else (M, N)
    PITCH = FAST + 4 if TURNED else FAST + 8
    DOWN, ACROSS = (1, PITCH) if TURNED else (PITCH, 1)
    spread, lift, place_of = (
        ops.spreading(N, N // 2 if tile.fold else 0, DOWN, ACROSS),
        ops.lifting(vector),
        ops.taking("int64"),
    )
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
