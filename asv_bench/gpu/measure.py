"""Times on the GPU's own clock, and what the hardware gives: bandwidth, rate of multiply-adds."""

from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
from numba import cuda

SECONDS = 0.12
"""On a workload and library, all series together."""
SERIES = 5
BEYOND_CACHE_BYTES = 256 << 20
"""Memory that calls in turn use where bytes bound them: several times the second-level cache of an H200, of 60 MB."""


def milliseconds(calls: Callable[[], object] | Sequence[Callable[[], object]]) -> float:
    """The median of five series of calls in turn, queued one after the other on the default stream."""
    calls = [calls] if callable(calls) else list(calls)
    for call in (*calls, *calls):
        call()
    once = _series(calls, len(calls))
    count = max(len(calls), min(500, int(SECONDS * 1000 / SERIES / max(once, 1e-3))))
    return median(_series(calls, count) for _ in range(SERIES))


def _series(calls: Sequence[Callable[[], object]], count: int) -> float:
    begin, end = cuda.event(), cuda.event()
    begin.record()
    for i in range(count):
        calls[i % len(calls)]()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / count


def copies_of(moved_bytes: int, bound: str) -> int:
    """How many copies of its arrays a workload takes in turn."""
    return max(1, min(8, -(-BEYOND_CACHE_BYTES // moved_bytes))) if bound == "bytes" else 1


def copy_bandwidth(n: int = 1 << 28) -> float:
    """Bytes a second, read and written, of a copy within the device's memory."""
    source, target = (
        cuda.to_device(np.resize(np.arange(1 << 20, dtype=np.float32), n)),
        cuda.device_array(n, np.float32),
    )
    return 2e3 * 4 * n / milliseconds(lambda: target.copy_to_device(source))


@cuda.jit
def _multiply_adds(out, rounds):
    i = cuda.grid(1)
    x = np.float32(i) * np.float32(1e-9)
    a = b = c = d = e = f = g = h = x
    for _ in range(rounds):
        for _ in range(16):  # which the compiler writes out: 128 of 134 instructions of the outer loop
            a, b, c, d = cuda.fma(a, x, x), cuda.fma(b, x, x), cuda.fma(c, x, x), cuda.fma(d, x, x)
            e, f, g, h = cuda.fma(e, x, x), cuda.fma(f, x, x), cuda.fma(g, x, x), cuda.fma(h, x, x)
    out[i] = a + b + c + d + e + f + g + h


def multiply_add_rate(blocks: int = 1056, rounds: int = 512) -> float:
    """float32 operations a second, 2 a fused multiply-add."""
    out = cuda.device_array(blocks * 256, np.float32)
    time = milliseconds(lambda: _multiply_adds[blocks, 256](out, rounds))
    return 1e3 * 2 * 8 * 16 * rounds * 256 * blocks / time
