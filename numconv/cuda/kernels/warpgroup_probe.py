"""What `warpgroup` takes for granted of a GPU, in one block: that descriptors mean what they are meant to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .kernel import Kernel
from .warpgroup_tile import ROW

M, N = 128, 256


def product(kind: str, shift: int) -> Kernel:
    """Rows of 128 bytes, M and then N, to M x N sums of products: two warpgroups, by way of swizzled shared memory.

    Sums start anew, over sevens. Both operands begin `shift` rows after the first; so many rows more are read of each.
    """
    T, STEP, SUMS = M * 2, M // 4, N // 2
    MORE, SHIFT = STEP if shift else 0, shift * ROW
    LEFT, RIGHT = M + MORE, N + MORE
    new_memory, clear = ops.dynamic("uint8", (LEFT + RIGHT) * ROW, 0), ops.filling("float32", 0, N // 2, 7.0)
    left, right = ops.streaming(LEFT // STEP, STEP * ROW), ops.streaming(RIGHT // STEP, STEP * ROW)
    describe, multiply, settle = ops.descriptor, ops.multiplying(kind, N), ops.settling(N)
    commit, landed, fence = ops.commit, ops.waiting(0), ops.fence_copies
    new_sums, spread, take = ops.dynamic("float32", M * N, 0), ops.spreading(N, 0, N, 1), ops.taking("float32")
    store, int32, int64, B_AT, ROUNDS = ops.writer("float32", "float32"), np.int32, np.int64, LEFT * ROW, M * N // T

    def product(x: Any, out: Any) -> None:
        memory, sums, acc, t = new_memory(), new_sums(), cuda.local.array(SUMS, np.float32), int32(cuda.threadIdx.x)
        row, piece, lane = int32(t >> 3), int32(t & 7), int32(t & 31)
        mine = int32(row * ROW + ((piece ^ (row & 7)) << 4))
        left(memory, mine, x, int64(t) * 16)
        right(memory, int32(mine + B_AT), x, int64(t) * 16 + B_AT)
        commit()
        clear(acc)
        landed()
        fence()
        cuda.syncthreads()
        multiply(
            acc, describe(memory, int32((t >> 7) * (64 * ROW) + SHIFT)), describe(memory, int32(B_AT + SHIFT)), int32(0)
        )
        settle(acc)
        cuda.syncthreads()
        spread(sums, int32(((t >> 5) * 16 + (lane >> 2)) * N + (lane & 3) * 2), acc)
        cuda.syncthreads()
        for i in range(ROUNDS):
            at = int32(int32(i) * T + t)
            store(out, int64(at), take(sums, at))

    return Kernel(product, (("uint8", 0), ("float32", 0)), T, 1, M * N * 4, True)
