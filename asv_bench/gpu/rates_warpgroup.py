"""What tensor cores give to warpgroups: products of operands that stay in shared memory, and nothing else."""

from typing import Any

import numpy as np
from numba import cuda

from numconv.cuda import compile as compiler
from numconv.cuda import ops
from numconv.cuda.kernels.kernel import Kernel
from numconv.cuda.launch import _allow, _stream, capability

from .measure import milliseconds

M, N, THREADS, SUMS = 128, 256, 256, 128
"""Rows and columns of a block's sums; two warpgroups; sums of a thread."""
DEPTH = {"tf32": 32, "bf16": 64, "f16": 64}
"""Of K in a row of 128 bytes."""


def products(kind: str) -> Kernel:
    """`rounds` times four instructions of a warpgroup, a group in flight; out: a sum of each thread's."""
    new_values, new_memory = ops.dynamic("float32", (M + N) * 32, 0), ops.dynamic("uint8", (M + N) * 128, 0)
    describe, multiply, settle, finished = ops.descriptor, ops.multiplying(kind, N), ops.settling(N), ops.finished(1)
    place, fence, clear = ops.placing("float32"), ops.fence_copies, ops.filling("float32", 0, N // 2, 0.0)
    store, int32, float32 = ops.writer("float32", "float32"), np.int32, np.float32

    def rate(out: Any, numbers: Any) -> None:
        values, memory, acc, t = (
            new_values(),
            new_memory(),
            cuda.local.array(SUMS, np.float32),
            int32(cuda.threadIdx.x),
        )
        for i in range(t, (M + N) * 32, THREADS):
            place(values, int32(i), float32((i * 37) & 255) * float32(0.0078125) - float32(1))
        fence()
        cuda.syncthreads()
        clear(acc)
        left, right = describe(memory, int32((t >> 7) * 8192)), describe(memory, int32(M * 128))
        for _ in range(numbers[0]):
            multiply(acc, left, right, int32(1))
            finished()
        settle(acc)
        total = float32(0)
        for i in range(SUMS):
            total += acc[i]
        store(out, np.int64(int32(cuda.blockIdx.x) * THREADS + t), total)

    return Kernel(rate, (("float32", 0), ("int32", 1)), THREADS, 1, (M + N) * 128, True)


def product_rate(kind: str, blocks: int = 528, rounds: int = 1024) -> float:
    """Operations a second, 2 a multiply-add, of operands of a kind: tf32, bf16 or f16."""
    from cuda.core import LaunchConfig, ObjectCode, launch

    kernel = products(kind)
    entry, code = compiler.compiled(capability(0), kernel)
    loaded = ObjectCode.from_cubin(code).get_kernel(entry)
    _allow(loaded.handle, kernel.dynamic, 0)
    out = cuda.device_array(blocks * THREADS, np.float32)
    address = out.__cuda_array_interface__["data"][0]
    config = LaunchConfig(grid=(blocks, 1, 1), block=(THREADS, 1, 1), shmem_size=kernel.dynamic)
    time = milliseconds(lambda: launch(_stream(0, 0), config, loaded, address, np.int32(rounds)))
    return 1e3 * 2 * M * N * DEPTH[kind] * rounds * blocks / time


def rates() -> dict[str, float]:
    """Of every kind, on GPUs that have it."""
    return {f"HGMMA {kind}": product_rate(kind) for kind in DEPTH} if capability(0) == (9, 0) else {}
