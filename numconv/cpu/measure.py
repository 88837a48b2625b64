"""What this machine can do, measured: multiply-adds and copied bytes a second. For benchmarks and explanations only."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np

from . import cache, runner
from .machine import machine
from .records import call_with

_VECTORS = 12  # two a cycle with a latency of four need 8; 14 registers fit every CPU
_STEPS, _JOBS = 200_000, 64  # about 0.4 ms a job, 25 ms a run


def fma_peak(scalar: str = "f4", threads: int = 1, jobs: int = _JOBS) -> float:
    """Floating-point operations a second (two a multiply-add and lane), the best of three runs of `jobs` a thread."""
    lanes, vector_bytes = machine().lanes[scalar], machine().lanes[scalar] * int(scalar[1])
    values = np.full(_VECTORS * lanes, 0.5, scalar)
    space = np.empty(threads * values.nbytes, np.uint8)
    call = call_with({
        "kernel": cache.address(*peak_kernel(scalar)),
        "plan": _STEPS,
        "x": values.ctypes.data,
        "workspace": space.ctypes.data,
        "slot_bytes": _VECTORS * vector_bytes,
    })  # fmt: skip
    address, jobs = call.buffer_info()[0], jobs * threads
    seconds = _best(lambda: runner.run(call, address, jobs, threads, 4e-4 * jobs), 3)
    return 2.0 * _VECTORS * lanes * _STEPS * jobs / seconds


def peak_kernel(scalar: str = "f4") -> tuple:
    """Factory and parameters of the loop of multiply-adds."""
    cpu = machine()
    return "peak.multiply_adds", scalar, _VECTORS, cpu.lanes[scalar], cpu.fma


def copy_bandwidth(threads: int = 1, size: int = 1 << 26) -> float:
    """Bytes read and written a second by copies of `size` bytes with NumPy, the best of five."""
    source, target = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    if threads == 1:
        return 2.0 * size / _best(lambda: np.copyto(target, source), 5)
    from concurrent.futures import ThreadPoolExecutor  # which cannot be imported any more when Python ends

    with ThreadPoolExecutor(threads) as pool:
        seconds = _best(lambda: list(pool.map(lambda part: np.copyto(*part), parts)), 5)
    return 2.0 * size / seconds


def _best(work: Callable[[], object], times: int) -> float:
    """Least time of several runs, after one to warm up."""
    work()
    least = float("inf")
    for _ in range(times):
        start = perf_counter()
        work()
        least = min(least, perf_counter() - start)
    return least
