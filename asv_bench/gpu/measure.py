"""Times on the GPU's own clock, and what the hardware gives: bandwidth, rate of multiply-adds, overhead of a call."""

from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np
from numba import cuda

import numconv

SECONDS = 0.4
"""On a workload and library."""


def milliseconds(call: Callable[[], object]) -> float:
    """The median of five series of calls, queued one after the other on the default stream."""
    for _ in range(3):
        call()
    once = _series(call, 1)
    count = max(1, min(1000, int(SECONDS * 200 / max(once, 1e-3))))
    return median(_series(call, count) for _ in range(5))


def _series(call: Callable[[], object], count: int) -> float:
    begin, end = cuda.event(), cuda.event()
    begin.record()
    for _ in range(count):
        call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / count


def copy_bandwidth(n: int = 1 << 28) -> float:
    """Bytes a second, read and written, of a copy within the device's memory."""
    source, target = cuda.device_array(n, np.float32), cuda.device_array(n, np.float32)
    return 2e3 * 4 * n / milliseconds(lambda: target.copy_to_device(source))


@cuda.jit
def _multiply_adds(out, rounds):
    i = cuda.grid(1)
    x = np.float32(i) * np.float32(1e-9)
    a = b = c = d = e = f = g = h = x
    for _ in range(rounds):
        a, b, c, d = cuda.fma(a, x, x), cuda.fma(b, x, x), cuda.fma(c, x, x), cuda.fma(d, x, x)
        e, f, g, h = cuda.fma(e, x, x), cuda.fma(f, x, x), cuda.fma(g, x, x), cuda.fma(h, x, x)
    out[i] = a + b + c + d + e + f + g + h


def multiply_add_rate(blocks: int = 1056, rounds: int = 8192) -> float:
    """float32 operations a second, 2 a fused multiply-add."""
    out = cuda.device_array(blocks * 256, np.float32)
    time = milliseconds(lambda: _multiply_adds[blocks, 256](out, rounds))
    return 1e3 * 2 * 8 * rounds * 256 * blocks / time


def overhead(calls: int = 2000) -> dict[str, float]:
    """Microseconds of the host for a call that queues a small kernel: of a plan, with and without `out`."""
    x = cuda.to_device(np.ones((1, 1, 64, 64), np.float32))
    plan = numconv.plan_conv2d(x.shape, np.ones((1, 1, 3, 3), np.float32), data_format="channels_first", device="cuda")
    out, found = plan(x), {}
    for name, call in (("plan, out given", lambda: plan(x, out=out)), ("plan", lambda: plan(x))):
        call()
        cuda.synchronize()
        begin = perf_counter()
        for _ in range(calls):
            call()
        found[name] = (perf_counter() - begin) / calls * 1e6
        cuda.synchronize()
    return found
