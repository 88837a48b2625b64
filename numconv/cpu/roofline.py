"""What one core cannot do faster if it makes every product: multiply-adds in registers, and one pass over memory.

Measured once in a process, for explanations only. Estimates are in cycles in each of which two vectors of multiply-adds
start, so that the measured peak says how long a cycle takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

from .._problem import Problem
from .direct import code_of
from .machine import machine
from .measure import copy_bandwidth, fma_peak

JOBS, COPY_BYTES = 8, 1 << 25
"""Of 0.4 ms each, and of the array that is copied: 60 ms in all."""


@dataclass(frozen=True)
class Roofline:
    """Operations and bytes a second of one core; lanes of a vector."""

    flops: float
    bytes: float
    lanes: int

    def seconds(self, problem: Problem) -> tuple[float, float]:
        """For a sample: of its operations, and of reading it and the weights and writing the result once."""
        p = problem
        moved = prod(p.spatial) * p.channels * p.x_dtype.itemsize + prod(p.out_spatial) * p.filters * p.result.itemsize
        moved += prod(p.kernel) * p.group_channels * p.filters * p.w_dtype.itemsize
        return p.flops / self.flops, moved / self.bytes

    def share(self, problem: Problem, cycles: float) -> float:
        """Of the roofline that a method reaches which takes so many cycles for a sample."""
        return max(self.seconds(problem)) / (cycles * 4 * self.lanes / self.flops)

    def describe(self, problem: Problem) -> str:
        """What it is, and which side binds."""
        compute, memory = self.seconds(problem)
        binds = "multiply-adds bind" if compute >= memory else "memory binds"
        rates = f"{self.flops / 1e9:.0f} GFLOP/s and {self.bytes / 1e9:.0f} GB/s"
        return f"one core as measured, {rates}: {max(compute, memory) * 1e3:.3g} ms a sample, {binds}"


def lanes_of(problem: Problem) -> str:
    """Scalar code of the lanes of a computing type; of integers that of float32, which is what they mostly have."""
    return "f4" if problem.exact else code_of(problem.compute)


def measured(problem: Problem) -> Roofline:
    """The roofline of a problem's lanes."""
    lanes, single = machine().lanes[lanes_of(problem)], machine().lanes["f4"]
    flops, moved = _measured()
    return Roofline(flops * lanes / single, moved, lanes)


@lru_cache(maxsize=1)
def _measured() -> tuple[float, float]:
    """Operations a second in float32, of which all vectors do as many, and bytes."""
    return fma_peak(jobs=JOBS), copy_bandwidth(size=COPY_BYTES)
