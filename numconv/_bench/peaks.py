"""What binds: a loop of multiply-adds and a large copy, each short enough to run in every round."""

from __future__ import annotations

from array import array
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np

from ..cpu import cache, runner
from ..cpu.machine import machine
from ..cpu.records import CALL_SLOT

VECTORS = 12
"""Accumulators: two multiply-adds a cycle with a latency of four need 8, and 14 registers fit every CPU."""
STEPS, JOBS = 200_000, 12
"""About 0.4 ms a job and 5 ms a run."""


class MultiplyAdds:
    """Independent multiply-adds in registers: `flops` a run, two for each lane of each."""

    def __init__(self, scalar: str, threads: int, steps: int = STEPS, jobs: int = JOBS) -> None:
        cpu = machine()
        lanes = cpu.lanes[scalar]
        self._values = np.full(VECTORS * lanes, 0.5, scalar)
        self._space = np.empty(threads * self._values.nbytes, np.uint8)
        self._call = array("q", bytes(8 * len(CALL_SLOT)))
        for name, value in {
            "kernel": cache.address("peak.multiply_adds", scalar, VECTORS, lanes, cpu.fma),
            "plan": steps,
            "x": self._values.ctypes.data,
            "workspace": self._space.ctypes.data,
            "slot_bytes": self._values.nbytes,
        }.items():
            self._call[CALL_SLOT[name]] = value
        self._jobs, self._threads = jobs * threads, threads
        self.flops = 2 * VECTORS * lanes * steps * self._jobs

    def __call__(self) -> None:
        """One run. The runner takes a job for 0.4 ms whatever the steps, so it wakes as many workers as threads."""
        runner.run(self._call, self._call.buffer_info()[0], self._jobs, self._threads, 4e-4 * self._jobs)


@lru_cache(maxsize=1)
def bandwidth(threads: int, size: int) -> Copy:
    """A `Copy`, kept: its pages take longer to get than it takes to run."""
    return Copy(threads, size)


class Copy:
    """`np.copyto` of a large array, a part in each thread: `bytes` read and written a run."""

    def __init__(self, threads: int, size: int) -> None:
        self.bytes = 2 * size
        target, source = (np.full(size, value, np.uint8) for value in (0, 1))
        self._parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
        self._pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None

    def __call__(self) -> None:
        """One run."""
        first, *others = self._parts
        waiting = [self._pool.submit(np.copyto, *part) for part in others] if self._pool else []
        np.copyto(*first)
        for done in waiting:
            done.result()
