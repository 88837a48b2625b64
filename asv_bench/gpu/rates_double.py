"""What a GPU gives to float64: products of matrices by tensor cores, and fused multiply-adds; in registers alone."""

from typing import Any

import numpy as np
from numba import cuda

from numconv import reference
from numconv.cuda import compile as compiler
from numconv.cuda import ops, probes
from numconv.cuda.arrays import NUMBA, upload
from numconv.cuda.kernels.kernel import Kernel
from numconv.cuda.launch import Job, Step, _stream, capability, prepare
from numconv.cuda.places import Place

from .measure import milliseconds

THREADS, SUMS, TURNS = 256, 32, 8
"""Of a block; of a thread; how often they are added to before the loop goes on."""
WORK = {"DMMA": 8 * 2 * 16 * 16 * 8 // 32, "DFMA": 2 * SUMS}
"""Operations of a thread in a turn."""


def products(kind: str) -> Kernel:
    """`rounds` times TURNS products of all sums; out: a sum of each thread's, so that they are not left out."""

    def doubles(acc: list, own: list, a: Any, b: Any, mma: Any) -> None:
        for _ in range(TURNS):
            for i in range(0, SUMS, 4):
                acc[i : i + 4] = mma(acc[i : i + 4], own[:8], own[8:12])

    def chains(acc: list, a: Any, b: Any, fma: Any) -> None:
        (left,), (right,) = a(0, 1), b(0, 1)
        for _ in range(TURNS):
            acc[:] = [fma(left, right, total) for total in acc]

    new_memory, place, clear = (
        ops.shared("float64", THREADS),
        ops.placing("float64"),
        ops.filling("float64", 0, SUMS, 0),
    )
    start, store, int32 = ops.filling("float64", 0, 12, 1.5), ops.writer("float64", "float64"), np.int32
    if kind == "DMMA":
        step = ops.multiplying_doubles(doubles, SUMS, 12)
    else:
        alone = ops.unrolled(chains, "float64", SUMS)

        def step(acc: Any, own: Any, a: Any, at: Any, b: Any, bt: Any) -> None:
            alone(acc, a, at, b, bt)

        step = ops.device(step)

    def rate(out: Any, numbers: Any) -> None:
        memory, t = new_memory(), int32(cuda.threadIdx.x)
        acc, own = cuda.local.array(SUMS, np.float64), cuda.local.array(12, np.float64)
        place(memory, t, np.float64(t) * 1e-3)
        cuda.syncthreads()
        clear(acc)
        start(own)
        for _ in range(numbers[0]):
            step(acc, own, memory, t, memory, t)
        total = np.float64(0)
        for i in range(SUMS):
            total += acc[i]
        store(out, np.int64(int32(cuda.blockIdx.x) * THREADS + t), total)

    return Kernel(rate, (("float64", 0), ("int32", 1)), THREADS, 1)


def product_rate(kind: str, blocks: int = 1056, rounds: int = 512) -> float:
    """Operations a second, 2 a multiply-add, by instruction."""
    from cuda.core import LaunchConfig, ObjectCode, launch

    entry, code = compiler.compiled(capability(0), products(kind))
    loaded = ObjectCode.from_cubin(code).get_kernel(entry)
    out = cuda.device_array(blocks * THREADS, np.float64)
    address = out.__cuda_array_interface__["data"][0]
    config = LaunchConfig(grid=(blocks, 1, 1), block=(THREADS, 1, 1))
    time = milliseconds(lambda: launch(_stream(0, 0), config, loaded, address, np.int32(rounds)))
    return 1e3 * WORK[kind] * TURNS * rounds * THREADS * blocks / time


def share_in_order() -> float:
    """Of results of one product of tensor cores: those with the bits of fused multiply-adds one after the other."""
    rng = np.random.default_rng(0)
    equal = total = 0
    for _ in range(16):
        x = rng.standard_normal(384) * 2.0 ** rng.integers(-30, 30, 384)
        source, target = upload(x, 0), upload(np.full(128, np.nan), 0)
        places = {"x": Place.of(NUMBA.describe(source)), "out": Place.of(NUMBA.describe(target))}
        step = Step.of(Job(probes.PROBES["doubles"].factory, (), (1, 1, 1), ()), ("x", "out"), places)
        prepare(step, 0)(0, [places["x"].address, places["out"].address])
        rows, columns, expected = x[:256].reshape(16, 1, 16), x[256:].reshape(1, 8, 16), np.zeros((16, 8))
        for k in range(16):
            expected = reference.fma(rows[..., k], columns[..., k], expected)
        equal += int((target.copy_to_host() == expected.ravel()).sum())
        total += 128
    return equal / total


def rates() -> dict[str, float]:
    """Operations a second, and the share of results whose sixteen products are added in order."""
    return {kind: product_rate(kind) for kind in WORK} | {"DMMA in order": share_in_order()}
