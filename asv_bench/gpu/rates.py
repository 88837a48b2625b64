"""What tensor cores give: products of matrices in registers, which nothing else has to keep up with."""

from typing import Any

import numpy as np
from numba import cuda

from numconv.cuda import compile as compiler
from numconv.cuda import ops
from numconv.cuda.kernels.kernel import Kernel
from numconv.cuda.launch import _stream

from .measure import milliseconds

THREADS, TILES, TURNS = 128, (4, 8), 8
"""Of a block; products of 16 x 8 side by side in a warp; how often they are added up before fragments are loaded."""
DEPTH = {"tf32": 8, "bf16": 16, "f16": 16}


def products(kind: str) -> Kernel:
    """`rounds` times 256 products of a warp; out: a sum of each thread's, so that they are not left out."""
    MI, NI = TILES

    def body(acc: list, rows: Any, columns: Any, warp: Any) -> None:
        left = [rows(2048 * i, 0) for i in range(MI)]
        right = [
            four[2 * half : 2 * half + 2] for j in range(NI // 2) for four in [columns(2048 * j, 0)] for half in (0, 1)
        ]
        for _ in range(TURNS):
            for i in range(MI):
                for j in range(NI):
                    at = 4 * (i * NI + j)
                    acc[at : at + 4] = warp.multiply(acc[at : at + 4], left[i], right[j])

    SUMS = 4 * MI * NI
    step, clear = ops.matrices(body, kind, SUMS), ops.filling("float32", 0, SUMS, 0.0)
    new_memory, place, int32 = ops.dynamic("float32", 4096, 0), ops.placing("float32"), np.int32

    def rate(out: Any, numbers: Any) -> None:
        memory, acc, t = new_memory(), cuda.local.array(SUMS, np.float32), int32(cuda.threadIdx.x)
        for i in range(t, 4096, THREADS):
            place(memory, int32(i), np.float32(i) * np.float32(1e-3))
        cuda.syncthreads()
        clear(acc)
        for _ in range(numbers[0]):
            step(acc, memory, int32((t & 15) * 32), int32((t & 15) * 32))
        total = np.float32(0)
        for i in range(SUMS):
            total += acc[i]
        store(out, np.int64(int32(cuda.blockIdx.x) * THREADS + t), total)

    store = ops.writer("float32", "float32")
    return Kernel(rate, (("float32", 0), ("int32", 1)), THREADS, 2, 4 * 4096)


def product_rate(kind: str, blocks: int = 1056, rounds: int = 256) -> float:
    """Operations a second, 2 a multiply-add, of operands of a kind: tf32, bf16 or f16."""
    from cuda.core import Device, LaunchConfig, ObjectCode, launch

    kernel, arch = products(kind), Device().compute_capability
    entry, code = compiler.compiled((arch.major, arch.minor), kernel)
    loaded = ObjectCode.from_cubin(code).get_kernel(entry)
    out = cuda.device_array(blocks * THREADS, np.float32)
    address = out.__cuda_array_interface__["data"][0]
    config = LaunchConfig(grid=(blocks, 1, 1), block=(THREADS, 1, 1), shmem_size=kernel.dynamic)
    time = milliseconds(lambda: launch(_stream(0, 0), config, loaded, address, np.int32(rounds)))
    operations = 2 * 16 * 8 * DEPTH[kind] * TILES[0] * TILES[1] * TURNS
    return 1e3 * operations * rounds * THREADS // 32 * blocks / time


def rates() -> dict[str, float]:
    """By kind of operands."""
    return {f"HMMA {kind}": product_rate(kind) for kind in DEPTH}
