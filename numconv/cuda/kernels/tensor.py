"""Convolutions by tensor cores: a matrix product whose sides are gathered from x and packed weights (implicit GEMM).

A block computes BP x BF results of a group, pixels by filters, a warp WP x WF of them. Of a step of the main loop each
pixel and each filter has a row of 128 bytes in shared memory, eight chunks of 16 bytes: neighbouring channels of a
tap. STAGES such steps are in flight, by copies that pass through no register.

    memory    [stage][rows, columns][8 chunks]    chunk c of row r at c ^ (r & 7): no bank is asked twice
    pixels    [BP][2]                             where the sample of a pixel's first tap lies; its taps inside
    where     [BP]                                the place of a pixel in the result

Where pixels are neighbours in x, not channels, and also in the result, a step's columns are copied as they are, one
or four neighbours of a channel at a time: row k of [32][BP] has column p at p ^ (k & 3) * 8.

What a chunk, or eight channels, is, is in the table `steps`: its distance from a pixel's first tap (low half), and the
bits of its tap, one for each of column, row and plane, which must all be in the pixel's mask (high half). Chunks beyond
the border, and those that fill the last step, are zeros without being read; so are their weights, or the filters' that
do not exist.

Steps are in the order of eight chunks of channels, taps, chunks: the taps read almost the same samples one after the
other, 16 KB of a block of 128 pixels, which L1 holds beside two blocks of two stages. Tensor cores at the rate of 250
TFLOP/s ask for 32 KB a step otherwise, 7.6 TB/s of L2, which has less.

*Rows* of a product are the pixels where filters are neighbours in the result, else the filters, so that neighbouring
lanes store neighbours.

Instructions of a step on compute capability 9.0, without a spill, of a warp of 64 x 64, whose 128 products take the
tensor cores of an H200 490 cycles or more by its data sheet (of split operands 64 x 32, 192 products):

    bf16, float16    344    216 registers
    tf32             491    194; rounding is 128 of them: there is no instruction for it
    tf32, planes     536    215; 431 for pointwise layers, whose pixels are copied by fours
    3xtf32           950    218; all of a step at once was 885, with spills

Comparing taps with the border in 64 bits was 25 more; a table for each pixel and tap, instead of masks, is as large as
the input. Copies that leave out what is not there wait for three empty loads on 9.0, the compiler's doing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .coordinates import unravelling
from .kernel import Kernel, storage_of
from .shapes import EXISTS, ROW_BYTES, Matrix
from .tensor_finish import finishing
from .tensor_products import body_of

NUMBERS = 38


def make(
    bias: str, result: str, activation: str, overflow: str, pixels_down: bool, bounded: bool, rounded: bool,
    vector: int, planes: int, pairs: bool, whole: bool, near: bool, *tile: Any,
) -> Kernel:  # fmt: skip
    """`bounded`: taps may lie outside x; `rounded`: x is as products take it; `vector`: results stored at once.

    `planes`: 0, or so many neighbouring pixels of a channel are copied at once; `pairs`: filters are the parts of
    complex ones; not `whole`: a block along the second axis of the grid takes some of the steps, and leaves its sums
    for `fold`; `near`: what is copied of x is read again soon.
    """
    shape = Matrix(*tile)
    T, STAGES, SIZE, CH, BP, BF = shape.threads, shape.STAGES, shape.stage, shape.chunk, shape.BP, shape.BF
    RE = 8 * CH
    memory_bytes = STAGES * (BP + BF) * ROW_BYTES
    new_memory = ops.dynamic(shape.storage, STAGES * SIZE, 0)
    new_pixels = ops.dynamic("int32", 2 * BP, memory_bytes)
    new_where = ops.dynamic("int32", BP, memory_bytes + 8 * BP)
    place, locate = ops.placing("int32"), _locating(bounded)
    fetch_x = _planes(shape, planes) if planes else _chunks(shape, 0 if pixels_down else BF * RE, near)
    fetch_w = _weights(shape, BP * RE if pixels_down else 0)
    look, wait, commit = ops.reader("int64", "int64"), ops.waiting(STAGES - 2), ops.commit
    WR, WC = (shape.WP, shape.WF) if pixels_down else (shape.WF, shape.WP)
    WARPS_DOWN, BR = (BP // WR, BP) if pixels_down else (BF // WR, BF)
    SUMS = WR * WC // 32
    clear = ops.filling("float32", 0, SUMS, 0.0)
    step = ops.matrices(body_of(shape, pixels_down, rounded, planes), shape.kind, SUMS, bool(planes))
    finish = finishing(bias, result, activation, overflow, pixels_down, vector, pairs, WR, WC)
    leave, WHOLE = ops.leaving(SUMS, T), whole
    PARTS, PART = (2, RE // 2) if shape.split else (1, 0)
    PLANES, EACH, VECTOR, wait_all = planes, max(planes, 1), vector, ops.waiting(0)
    ACROSS, ENTRIES = min(BP // EACH, T), 4 if planes else 8
    ROWS = 32 * ACROSS // T
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
        begin = int32(int32(cuda.blockIdx.y) * numbers[35])
        total = int32(min(numbers[35], numbers[0] - begin))
        weights = ((int64(g) * numbers[0] + begin) * numbers[7] + f0) * RE + int64(t) * CH
        step_weights = int64(numbers[7]) * RE
        first = int32(begin * ENTRIES + (int32(t // ACROSS * ROWS >> 3) if PLANES else int32(t & 7)))
        entry = look(steps, int64(first))
        for s in range(STAGES - 1):
            if s < total:
                to = int32(s * SIZE)
                if PLANES:
                    fetch_x(memory, pixels, x, t, to, steps, int32(begin + s), entry, numbers[34])
                else:
                    fetch_x(memory, pixels, x, t, to, entry)
                entry = look(steps, int64(int32(s + 1) * ENTRIES + first))
                fetch_w(memory, packed, t, to, weights)
                weights += step_weights
            commit()
        warp, lane = int32(t >> 5), int32(t & 31)
        across = divide(warp, int32(WARPS_DOWN))
        r0, c0 = int32(int32(warp - across * WARPS_DOWN) * WR), int32(across * WC)
        row = int32(r0 + (lane & 15))
        rows = int32(row * RE + ((lane >> 4) ^ (row & 7)) * CH)
        if PLANES:
            columns = int32(BR * RE + (lane & 3) * BP + ((c0 + (lane >> 2)) ^ ((lane & 3) * 8)))
        else:
            col = int32(c0 + (lane & 7) + ((lane >> 4) << 3))
            columns = int32((BR + col) * RE + (((lane >> 3) & 1) ^ (col & 7)) * CH)
        read, write = int32(0), int32(LAST)
        for s in range(total):
            wait()
            cuda.syncthreads()
            ahead = int32(s + (STAGES - 1))
            if ahead < total:
                if PLANES:
                    fetch_x(memory, pixels, x, t, write, steps, int32(begin + ahead), entry, numbers[34])
                else:
                    fetch_x(memory, pixels, x, t, write, entry)
                entry = look(steps, int64(int32(ahead + 1) * ENTRIES + first))
                fetch_w(memory, packed, t, write, weights)
                weights += step_weights
            commit()
            for part in range(PARTS):
                flip = int32(part * PART)
                beside = int32(columns + read + part * 16 * BP) if PLANES else int32(int32(columns + read) ^ flip)
                step(acc, memory, int32(int32(rows + read) ^ flip), beside)
            write = read
            read = int32(0) if read == LAST else int32(read + SIZE)
        if WHOLE:
            wait_all()
            cuda.syncthreads()
            sums, added = cuda.local.array(VECTOR, np.float32), cuda.local.array(VECTOR, np.float32)
            left = int32(numbers[1] - tile * BP)
            finish(acc, sums, added, where, bias, out, warp, lane, r0, c0, g, f0, left, numbers, reals)
        else:
            mine = (int64(cuda.blockIdx.y) * cuda.gridDim.z + g) * cuda.gridDim.x + block
            leave(out, mine * (SUMS * T) + t + int64(numbers[37]) * 128, acc)

    names = (shape.storage, shape.storage, storage_of(bias or "float32"), result, "int64")
    arguments = (*((name, 0) for name in names), ("int32", NUMBERS), ("float64", 3))
    return Kernel(tensor, arguments, T, shape.BLOCKS, memory_bytes + 12 * BP)


def fold(
    bias: str, result: str, activation: str, overflow: str, pixels_down: bool, vector: int, pairs: bool, *tile: Any
) -> Kernel:  # fmt: skip
    """Blocks as those of `make`, whose sums were left in parts: they are added up in order."""
    shape = Matrix(*tile)
    T, BP, BF = shape.threads, shape.BP, shape.BF
    WR, WC = (shape.WP, shape.WF) if pixels_down else (shape.WF, shape.WP)
    WARPS_DOWN = BP // WR if pixels_down else BF // WR
    SUMS, VECTOR = WR * WC // 32, vector
    memory_bytes = T // 32 * 16 * (WC + 8) * 4
    new_where, place, locate = ops.dynamic("int32", BP, memory_bytes), ops.placing("int32"), _locating(False)
    clear, take_up = ops.filling("float32", 0, SUMS, 0.0), ops.taking_up(SUMS, T)
    finish = finishing(bias, result, activation, overflow, pixels_down, vector, pairs, WR, WC)
    divide, int32, int64 = ops.divide, np.int32, np.int64

    def folding(parts: Any, bias: Any, out: Any, numbers: Any, reals: Any) -> None:
        where, acc = new_where(), cuda.local.array(SUMS, np.float32)
        t, g, block = int32(cuda.threadIdx.x), int32(cuda.blockIdx.z), int32(cuda.blockIdx.x)
        tile = divide(block, numbers[6])
        f0 = int32(int32(block - tile * numbers[6]) * BF)
        for p in range(t, BP, T):
            _, _, place_of_it = locate(int32(tile * BP + p), numbers)
            place(where, int32(p), place_of_it)
        clear(acc)
        for part in range(numbers[36]):
            mine = (int64(part) * cuda.gridDim.z + g) * cuda.gridDim.x + block
            take_up(acc, parts, mine * (SUMS * T) + t + int64(numbers[37]) * 128)
        cuda.syncthreads()
        warp, lane = int32(t >> 5), int32(t & 31)
        across = divide(warp, int32(WARPS_DOWN))
        r0, c0 = int32(int32(warp - across * WARPS_DOWN) * WR), int32(across * WC)
        sums, added = cuda.local.array(VECTOR, np.float32), cuda.local.array(VECTOR, np.float32)
        left = int32(numbers[1] - tile * BP)
        finish(acc, sums, added, where, bias, out, warp, lane, r0, c0, g, f0, left, numbers, reals)

    names = ("float32", storage_of(bias or "float32"), result)
    arguments = (*((name, 0) for name in names), ("int32", NUMBERS), ("float64", 3))
    return Kernel(folding, arguments, T, shape.BLOCKS, memory_bytes + 4 * BP)


def _locating(bounded: bool) -> Any:
    """(where the sample of its first tap lies, its taps inside, its place in the result) of a pixel."""
    unravel, int32, BOUNDED = unravelling(), np.int32, bounded

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
        n, od, oh, ow = unravel(pixel, numbers[2], numbers[3], numbers[4])
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


def _chunks(shape: Matrix, first: int, near: bool) -> Any:
    """Pixels of a step, 16 bytes at a time: a thread copies one chunk of every T / 8 rows."""
    CH, T, PIXELS, FIRST = shape.chunk, shape.threads, shape.BP * 8 // shape.threads, first
    copy, take, int32, int64 = ops.copying(shape.storage, CH, near), ops.taking("int32"), np.int32, np.int64

    def fetch(memory: Any, pixels: Any, x: Any, t: Any, to: Any, entry: Any) -> None:
        distance, bits = int32(entry & 0x7FFFFFFF), int32(entry >> 32)
        for j in range(PIXELS):
            row = int32((t >> 3) + j * (T // 8))
            at = int32(to + FIRST + (row * 8 + ((t & 7) ^ (row & 7))) * CH)
            base, mask = take(pixels, int32(2 * row)), take(pixels, int32(2 * row + 1))
            copy(memory, at, x, int64(int32(base + distance)), int32(mask & bits) == bits)

    return ops.device(fetch)


def _planes(shape: Matrix, each: int) -> Any:
    """Pixels of a step, `each` neighbours of a channel at a time: a thread copies them for ROWS channels, by eights."""
    BP, EACH, ACROSS, FIRST = shape.BP, each, min(shape.BP // each, shape.threads), shape.BF * 8 * shape.chunk
    ROWS = 32 * ACROSS // shape.threads
    UNIT = min(ROWS, 8)
    copy, look = ops.copying_rows(shape.storage, EACH, UNIT, BP), ops.reader("int64", "int64")
    take, int32, int64 = ops.taking("int32"), np.int32, np.int64

    def fetch_from(first: int, u: int) -> Any:
        if u == ROWS:
            first, u = first + ACROSS * EACH, 0
        if first == BP:
            return ops.device(_no_more)
        rest, SAME = fetch_from(first, u + UNIT), UNIT == ROWS
        NEXT = (u + UNIT) % ROWS

        def fetch(
            memory: Any, pixels: Any, x: Any, t: Any, to: Any, steps: Any, step: Any, entry: Any, plane: Any
        ) -> None:  # fmt: skip
            row0 = int32(t // ACROSS * ROWS)
            following = entry if SAME else look(steps, int64(int32(step * 4 + ((row0 + NEXT) >> 3))))
            distance, bits = int32(entry & 0x7FFFFFFF), int32(entry >> 32)
            row, pixel = int32(row0 + u), int32(first + t % ACROSS * EACH)
            base, mask = take(pixels, int32(2 * pixel)), take(pixels, int32(2 * pixel + 1))
            place = int64(int32(base + distance)) + int64(row & 7) * plane
            at = int32(to + FIRST + row * BP + pixel)
            copy(memory, at, x, place, int64(plane), int32(mask & bits) == bits)
            rest(memory, pixels, x, t, to, steps, step, following, plane)

        return ops.device(fetch)

    return fetch_from(0, 0)


def _no_more(
    memory: Any, pixels: Any, x: Any, t: Any, to: Any, steps: Any, step: Any, entry: Any, plane: Any
) -> None:  # fmt: skip
    """After the last channels."""


def _weights(shape: Matrix, first: int) -> Any:
    """Filters of a step, which lie in memory as threads copy them."""
    CH, T, FILTERS, FIRST = shape.chunk, shape.threads, shape.BF * 8 // shape.threads, first
    copy, int32 = ops.copying(shape.storage, CH), np.int32

    def fetch(memory: Any, packed: Any, t: Any, to: Any, weights: Any) -> None:
        for j in range(FILTERS):
            row = int32((t >> 3) + j * (T // 8))
            at = int32(to + FIRST + (row * 8 + ((t & 7) ^ (row & 7))) * CH)
            copy(memory, at, packed, weights + j * T * CH, True)

    return ops.device(fetch)
