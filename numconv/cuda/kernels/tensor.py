"""Convolutions by tensor cores: a matrix product whose sides are gathered from x and packed weights (implicit GEMM).

A block computes BP x BF results of a group, pixels by filters, a warp WP x WF of them. Of a step of the main loop each
pixel and each filter has a row of 128 bytes in shared memory, eight chunks of 16 bytes: neighbouring channels of a
tap. STAGES such steps are in flight, by copies that pass through no register.

    memory    [stage][rows, columns][8 chunks]    chunk c of row r at c ^ (r & 7): no bank is asked twice
    pixels    [BP][2]                             where the sample of a pixel's first tap lies; its taps inside
    where     [BP]                                the place of a pixel in the result

What a chunk is, is in the table `steps`: its distance from a pixel's first tap (low half), and the bits of its tap, one
for each of column, row and plane, which must all be in the pixel's mask (high half). Chunks beyond the border, and
those that fill the last step, are zeros without being read; so are their weights, or the filters' that do not exist.

*Rows* of a product are the pixels where filters are neighbours in the result, else the filters, so that neighbouring
lanes store neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .finish import activating, converting
from .kernel import Kernel, storage_of
from .shapes import EXISTS, ROW_BYTES, Matrix

NUMBERS = 34


def make(
    bias: str, result: str, activation: str, overflow: str, pixels_down: bool, bounded: bool, rounded: bool,
    vector: int, *tile: Any,
) -> Kernel:  # fmt: skip
    """`bounded`: taps may lie outside x; `rounded`: x is as products take it; `vector`: results stored at once."""
    shape = Matrix(*tile)
    T, STAGES, SIZE, CH, BP, BF = shape.threads, shape.STAGES, shape.stage, shape.chunk, shape.BP, shape.BF
    RE = 8 * CH
    memory_bytes = STAGES * (BP + BF) * ROW_BYTES
    new_memory = ops.dynamic(shape.storage, STAGES * SIZE, 0)
    new_pixels = ops.dynamic("int32", 2 * BP, memory_bytes)
    new_where = ops.dynamic("int32", BP, memory_bytes + 8 * BP)
    place, locate, fetch = ops.placing("int32"), _locating(bounded), _fetching(shape, pixels_down)
    look, wait, commit = ops.reader("int64", "int64"), ops.waiting(STAGES - 2), ops.commit
    WR, WC = (shape.WP, shape.WF) if pixels_down else (shape.WF, shape.WP)
    WARPS_DOWN, BR = (BP // WR, BP) if pixels_down else (BF // WR, BF)
    SUMS = WR * WC // 32
    clear = ops.filling("float32", 0, SUMS, 0.0)
    step = ops.matrices(_body(shape, WR // 16, WC // 8, pixels_down, rounded), shape.kind, SUMS)
    finish = _finishing(bias, result, activation, overflow, pixels_down, vector, WR, WC)
    PARTS, PART = (2, RE // 2) if shape.split else (1, 0)
    LAST, divide, int32, int64 = (STAGES - 1) * SIZE, ops.divide, np.int32, np.int64

    def tensor(x: Any, packed: Any, bias: Any, out: Any, steps: Any, numbers: Any, reals: Any) -> None:
        memory, pixels, where = new_memory(), new_pixels(), new_where()
        acc = cuda.local.array(SUMS, np.float32)
        t, g, block = int32(cuda.threadIdx.x), int32(cuda.blockIdx.z), int32(cuda.blockIdx.x)
        tile = divide(block, numbers[6])
        f0 = int32(int32(block - tile * numbers[6]) * BF)
        for p in range(t, BP, T):
            base, mask, place_of_it = locate(int32(tile * BP + p), numbers)
            place(pixels, int32(2 * p), int32(base + g * numbers[12]))
            place(pixels, int32(2 * p + 1), mask)
            place(where, int32(p), place_of_it)
        cuda.syncthreads()
        clear(acc)
        total, column = numbers[0], int32(t & 7)
        weights = (int64(g) * total * numbers[7] + f0) * RE + int64(t) * CH
        step_weights = int64(numbers[7]) * RE
        entry = look(steps, int64(column))
        for s in range(STAGES - 1):
            if s < total:
                fetch(memory, pixels, x, packed, t, int32(s * SIZE), entry, weights)
                weights += step_weights
                entry = look(steps, int64(int32(s + 1) * 8 + column))
            commit()
        warp, lane = int32(t >> 5), int32(t & 31)
        across = divide(warp, int32(WARPS_DOWN))
        r0, c0 = int32(int32(warp - across * WARPS_DOWN) * WR), int32(across * WC)
        row, col = int32(r0 + (lane & 15)), int32(c0 + (lane & 7) + ((lane >> 4) << 3))
        rows = int32(row * RE + ((lane >> 4) ^ (row & 7)) * CH)
        columns = int32((BR + col) * RE + (((lane >> 3) & 1) ^ (col & 7)) * CH)
        read, write = int32(0), int32(LAST)
        for s in range(total):
            wait()
            cuda.syncthreads()
            ahead = int32(s + (STAGES - 1))
            if ahead < total:
                fetch(memory, pixels, x, packed, t, write, entry, weights)
                weights += step_weights
                entry = look(steps, int64(int32(ahead + 1) * 8 + column))
            commit()
            for part in range(PARTS):
                flip = int32(part * PART)
                step(acc, memory, int32(int32(rows + read) ^ flip), int32(int32(columns + read) ^ flip))
            write = read
            read = int32(0) if read == LAST else int32(read + SIZE)
        finish(acc, where, bias, out, warp, lane, r0, c0, g, f0, int32(numbers[1] - tile * BP), numbers, reals)

    names = (shape.storage, shape.storage, storage_of(bias or "float32"), result, "int64")
    arguments = (*((name, 0) for name in names), ("int32", NUMBERS), ("float64", 3))
    return Kernel(tensor, arguments, T, shape.BLOCKS, memory_bytes + 12 * BP)


def _locating(bounded: bool) -> Any:
    """(where the sample of its first tap lies, its taps inside, its place in the result) of a pixel."""
    divide, int32, BOUNDED = ops.divide, np.int32, bounded

    def inside(first: Any, dilation: Any, size: Any, taps: Any) -> Any:
        found, at = int32(0), first
        for tap in range(taps):
            if 0 <= at < size:
                found |= int32(1 << tap)
            at = int32(at + dilation)
        return int32(found)

    inside = ops.device(inside)

    def locate(pixel: Any, numbers: Any) -> Any:
        if pixel >= numbers[1]:
            return int32(0), int32(0), int32(0)
        row = divide(pixel, numbers[4])
        ow = int32(pixel - row * numbers[4])
        plane = divide(row, numbers[3])
        oh = int32(row - plane * numbers[3])
        n = divide(plane, numbers[2])
        od = int32(plane - n * numbers[2])
        d, h = int32(od * numbers[13] - numbers[16]), int32(oh * numbers[14] - numbers[17])
        w = int32(ow * numbers[15] - numbers[18])
        base = int32(n * numbers[8] + d * numbers[9] + h * numbers[10] + w * numbers[11])
        mask = int32(EXISTS)
        if BOUNDED:
            mask |= inside(w, numbers[21], numbers[24], numbers[27])
            mask |= inside(h, numbers[20], numbers[23], numbers[26]) << numbers[27]
            mask |= inside(d, numbers[19], numbers[22], numbers[25]) << int32(numbers[27] + numbers[26])
        place = int32(n * numbers[28] + od * numbers[29] + oh * numbers[30] + ow * numbers[31])
        return base, int32(mask), place

    return ops.device(locate)


def _fetching(shape: Matrix, pixels_down: bool) -> Any:
    """A step of both sides: a thread copies one chunk of every T / 8 rows."""
    CH, T = shape.chunk, shape.threads
    RE, EACH, PIXELS, FILTERS = 8 * CH, T // 8, shape.BP * 8 // T, shape.BF * 8 // T
    PLACE_X, PLACE_W = (0, shape.BP * RE) if pixels_down else (shape.BF * RE, 0)
    copy, take, int32, int64 = ops.copying(shape.storage, CH), ops.taking("int32"), np.int32, np.int64

    def fetch(
        memory: Any, pixels: Any, x: Any, packed: Any, t: Any, to: Any, entry: Any, weights: Any
    ) -> None:  # fmt: skip
        column, first = int32(t & 7), int32(t >> 3)
        distance, bits = int32(entry & 0x7FFFFFFF), int32(entry >> 32)
        for j in range(PIXELS):
            row = int32(first + j * EACH)
            at = int32(row * RE + (column ^ (row & 7)) * CH)
            base, mask = take(pixels, int32(2 * row)), take(pixels, int32(2 * row + 1))
            copy(memory, int32(to + PLACE_X + at), x, int64(int32(base + distance)), int32(mask & bits) == bits)
        for j in range(FILTERS):
            row = int32(first + j * EACH)
            at = int32(row * RE + (column ^ (row & 7)) * CH)
            copy(memory, int32(to + PLACE_W + at), packed, weights + j * T * CH, True)

    return ops.device(fetch)


def _body(shape: Matrix, MI: int, NI: int, pixels_down: bool, rounded: bool) -> Callable:
    """A step of a warp: MI x NI products of 16 x 8, for each 32 bytes of a row."""
    down, across = (not rounded and pixels_down), (not rounded and not pixels_down)
    if shape.split:
        return _split_body(MI, NI)

    def body(acc: list, rows: Any, columns: Any, warp: Any) -> None:
        for k in range(0, ROW_BYTES, 32):
            left = [rows(16 * ROW_BYTES * i, k) for i in range(MI)]
            right = []
            for j in range(NI // 2):
                four = columns(16 * ROW_BYTES * j, k)
                right += [four[:2], four[2:]]
            if down:
                left = [[warp.rounded(word) for word in words] for words in left]
            if across:
                right = [[warp.rounded(word) for word in words] for words in right]
            for i in range(MI):
                for j in range(NI):
                    at = 4 * (i * NI + j)
                    acc[at : at + 4] = warp.multiply(acc[at : at + 4], left[i], right[j])

    return body


def _split_body(MI: int, NI: int) -> Callable:
    """Three products instead of one, the two small ones first, into sums of their own.

    A tensor core cuts off what does not fit a sum: errors of one sign, which add up. So no sum takes more than the
    large products of half a step, two of a tensor core, and sums are added as float32 are (Ootomo and Yokota, 2022).
    All of a step at once took 7 % fewer instructions, and more registers than there are.
    """

    def body(acc: list, rows: Any, columns: Any, warp: Any) -> None:
        right = []
        for k in (0, 32):
            parts = [warp.split(word) for j in range(NI // 2) for word in columns(16 * ROW_BYTES * j, k)]
            right.append([parts[2 * j : 2 * j + 2] for j in range(NI)])
        for i in range(MI):
            left = [[warp.split(word) for word in rows(16 * ROW_BYTES * i, k)] for k in (0, 32)]
            sums = [warp.zeros() for _ in range(NI)]
            for part, other in ((1, 0), (0, 1), (0, 0)):
                for a, b in zip(left, right, strict=True):
                    chosen = [word[part] for word in a]
                    sums = [warp.multiply(sums[j], chosen, [word[other] for word in b[j]]) for j in range(NI)]
            for at, total in enumerate(total for four in sums for total in four):
                acc[4 * i * NI + at] = warp.add(acc[4 * i * NI + at], total)

    return body


def _finishing(
    bias: str, result: str, activation: str, overflow: str, pixels_down: bool, vector: int, WR: int, WC: int
) -> Any:
    """Store finished sums, 16 rows of a warp at a time, by way of memory that the pipeline no longer needs."""
    PITCH = WC + 8
    write = _writing(bias, result, activation, overflow, pixels_down, vector, WC, PITCH)
    new_stage, sync, wait, int32 = ops.dynamic("float32", 8 * 16 * PITCH, 0), ops.sync_warp, ops.waiting(0), np.int32

    def finish_from(i: int) -> Any:
        if i == WR // 16:
            return ops.device(_nothing)
        put, rest, ROW = ops.unloading(i * WC // 2, WC // 8, PITCH), finish_from(i + 1), 16 * i

        def finish(
            acc: Any, stage: Any, where: Any, bias: Any, out: Any, first: Any, lane: Any, r0: Any, c0: Any, g: Any,
            f0: Any, left: Any, numbers: Any, reals: Any,
        ) -> None:  # fmt: skip
            put(stage, int32(first + (lane >> 2) * PITCH + (lane & 3) * 2), acc)
            sync()
            write(stage, where, bias, out, first, lane, int32(r0 + ROW), c0, g, f0, left, numbers, reals)
            sync()
            rest(acc, stage, where, bias, out, first, lane, r0, c0, g, f0, left, numbers, reals)

        return ops.device(finish)

    finish_all = finish_from(0)

    def finish(
        acc: Any, where: Any, bias: Any, out: Any, warp: Any, lane: Any, r0: Any, c0: Any, g: Any, f0: Any,
        left: Any, numbers: Any, reals: Any,
    ) -> None:  # fmt: skip
        wait()
        cuda.syncthreads()
        first = int32(warp * 16 * PITCH)
        finish_all(acc, new_stage(), where, bias, out, first, lane, r0, c0, g, f0, left, numbers, reals)

    return ops.device(finish)


def _writing(
    bias: str, result: str, activation: str, overflow: str, pixels_down: bool, vector: int, WC: int, PITCH: int
) -> Any:
    """16 rows of a warp: a lane has `vector` neighbours of a row, those of one filter or of one pixel."""
    V, BIASED, PIXELS_DOWN, int32, int64, float32 = vector, bool(bias), pixels_down, np.int32, np.int64, np.float32
    activate, take = activating("float32", activation), ops.taking("int32")
    lift, store = ops.lifting(V), _storing(result, overflow, V)
    load = ops.reader(storage_of(bias or "float32"), "float32")
    LANES = min(32, WC // V)
    AT_ONCE, PARTS = 32 // LANES, WC // (LANES * V)

    def biases(values: Any, bias: Any, f: Any, each: Any, numbers: Any, g: Any) -> None:
        for e in range(V):
            values[e] = float32(0)
            if BIASED and f + e * each < numbers[5]:
                values[e] = load(bias, int64(int32(g * numbers[5] + f + e * each)) * numbers[33])

    biases = ops.device(biases)

    def write(
        stage: Any, where: Any, bias: Any, out: Any, first: Any, lane: Any, row0: Any, c0: Any, g: Any, f0: Any,
        left: Any, numbers: Any, reals: Any,
    ) -> None:  # fmt: skip
        sums, added = cuda.local.array(V, float32), cuda.local.array(V, float32)
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
                    at = int32(take(where, pixel) + int32(g * numbers[5] + f) * numbers[32])
                    lift(sums, stage, int32(first + row * PITCH + column))
                    for e in range(V):
                        total = float32(sums[e] + added[e]) if BIASED else sums[e]
                        sums[e] = activate(total, reals[2])
                    store(out, int64(at), sums)

    return ops.device(write)


def _storing(result: str, overflow: str, vector: int) -> Any:
    """Neighbours at once, or one, converted."""
    if vector > 1:
        return ops.storing({"float16": "f16"}.get(result, result), result, vector)
    convert, whole = converting("float32", result, overflow)
    write = ops.writer(result, whole)

    def store(out: Any, at: Any, values: Any) -> None:
        write(out, at, convert(values[0]))

    return ops.device(store)


def _nothing(
    acc: Any, stage: Any, where: Any, bias: Any, out: Any, first: Any, lane: Any, r0: Any, c0: Any, g: Any,
    f0: Any, left: Any, numbers: Any, reals: Any,
) -> None:  # fmt: skip
    """After the last rows."""
