"""Costs of a dozen workloads in this process, for the gate: ``python -m numconv._bench.gauge`` prints them as JSON.

A cost is the CPU time of a call over that of a yardstick (multiply-adds in registers, a copy, a small NumPy call) taken
in turns, all in one thread. A process that waits for its core while another has it uses no CPU time: beside three busy
processes on two cores such a cost moves by some percent, where one of elapsed times moves by a factor of two. What
remains is that others empty the caches, so of each the lower quartile counts (depthwise layers: medians of eight
processes from 3.2 to 3.7, lower quartiles from 3.0 to 3.5, seven of them from 3.0 to 3.2; tiny calls: 1.6 to 2.4, and
1.4 to 1.6).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib import import_module
from time import process_time
from typing import Any, NamedTuple

import numpy as np

import numconv

from . import passive_threads
from .overhead import TINY
from .peaks import MultiplyAdds, bandwidth
from .rounds import enter, interleave
from .settings import Settings
from .suites import SUITES
from .workload import Workload

SETTINGS = Settings(1, rounds=25, shortest=0.004, copy_bytes=1 << 24)
QUANTILE = 0.25
PLANS = (
    "vgg16.conv2_2 float32 channels_last",
    "vgg16.conv2_2 float32 channels_first",
    "deeplab.atrous float32 channels_last",
    "resnet50.stem float32 channels_first",
    "resnet50.4_1x1_down float32 channels_last",
    "resnet50.4_1x1_down float32 channels_first",
    "inception.5x5 float64 channels_last",
    "mobilenet.dw1 float32 channels_last",
    "convnext.dw7 float32 channels_first",
    "image.11x11 float32 bank",
    "bank.8x7x7 float32 bank",
    "signal.c64_k9 float32 channels_last",
    "layer.56x64 uint8 channels_last",
)
"""Beside multiply-adds: every kind of micro-kernel."""
MEMORY = ("image.3x3 float32 bank",)
"""Beside a copy of as many bytes."""
OVERHEAD = {"plan of 8x8 samples": "plan", "conv2d of 8x8 samples": "function"}
"""Beside small NumPy calls: what Python does."""
LOOP = "multiply-adds in registers"
"""Beside NumPy's matrix product: a yardstick that got slower would hide that kernels did."""
NAMES = (*PLANS, *MEMORY, *OVERHEAD, LOOP)


class Pair(NamedTuple):
    """What is measured, and its yardstick with the calls of it that do the same work."""

    run: Callable[[], Any]
    yardstick: Callable[[], Any]
    calls: float


def costs(names: Iterable[str]) -> dict[str, float]:
    """Cost of each workload, from `SETTINGS.rounds` rounds."""
    return {name: _cost(_pair(name)) for name in names}


def _cost(pair: Pair) -> float:
    runs = {"run": pair.run, "yardstick": pair.yardstick}
    entries = {name: enter(run, SETTINGS.rounds, SETTINGS.shortest, clock=process_time) for name, run in runs.items()}
    times = interleave(entries, range(SETTINGS.rounds))
    run, yardstick = (float(np.quantile(times[name], QUANTILE)) for name in ("run", "yardstick"))
    return run / yardstick / pair.calls


def _pair(name: str) -> Pair:
    if name in OVERHEAD:
        return _small(OVERHEAD[name])
    if name == LOOP:
        return _loop()
    workload = _workloads()[name]
    x, w = workload.arrays()
    plan = workload.plan(w)
    out = plan(x)
    run = partial(plan, x, out=out)
    if name in MEMORY:
        copy = bandwidth(SETTINGS.threads, SETTINGS.copy_bytes)
        return Pair(run, copy, (x.nbytes + w.nbytes + out.nbytes) / copy.bytes)
    peak = MultiplyAdds(workload.scalar, SETTINGS.threads)
    return Pair(run, peak, workload.flops / peak.flops)


def _small(path: str) -> Pair:
    """A call on 8x8 samples beside one of `np.pad`, which is mostly Python."""
    workload = TINY[1]
    x, w = workload.arrays()
    run = partial(workload.plan(w), x) if path == "plan" else workload.call(x, w)
    return Pair(run, partial(np.pad, np.ones((8, 8)), 1), 1.0)


def _loop() -> Pair:
    """Multiply-adds beside a product of matrices that fit L2."""
    peak = MultiplyAdds("f4", SETTINGS.threads)
    a, b, out = (np.ones((256, 256), np.float32) for _ in range(3))
    return Pair(peak, partial(np.dot, a, b, out=out), peak.flops / (2 * 256**3))


def _workloads() -> dict[str, Workload]:
    return {w.label: w for groups in SUITES.values() for group in groups for w in group.workloads}


def main(names: Sequence[str]) -> None:
    """Print the costs of the named workloads."""
    import_module("numba")  # kernels are Numba's, as in a program that has run for a while
    with numconv.num_threads(SETTINGS.threads):
        print(json.dumps(costs(names)))


if __name__ == "__main__":
    passive_threads()
    main(sys.argv[1:] or NAMES)
