"""CPU time over that of multiply-adds in turns, in one thread: what the gate compares (numconv/_bench/gauge.py).

Of all that is tracked these figures heed other processes least. They are measured here, for commits before the gate.
"""

from functools import partial
from importlib import import_module
from time import process_time

import numpy as np

import numconv
from numconv._bench import overhead
from numconv._bench.peaks import MultiplyAdds

from ._speed import KNOWN

ROUNDS, SHORTEST = 15, 0.004
PASSES = 3
"""Over all workloads, the least counting: a busy neighbour empties the caches for seconds."""
WORKLOADS = [
    "vgg16.conv2_2 float32 channels_last",
    "vgg16.conv2_2 float32 channels_first",
    "deeplab.atrous float32 channels_last",
    "resnet50.stem float32 channels_first",
    "resnet50.4_1x1_down float32 channels_last",
    "resnet50.4_1x1_down float32 channels_first",
    "inception.5x5 float64 channels_last",
    "mobilenet.dw1 float32 channels_last",
    "convnext.dw7 float32 channels_first",
    "image.3x3 float32 bank",
    "image.5x5 float32 bank",
    "image.11x11 float32 bank",
    "bank.8x7x7 float32 bank",
    "signal.c64_k9 float32 channels_last",
    "layer.56x64 uint8 channels_last",
]


def _seconds(run, calls):
    run()  # the caches were the other's
    start = process_time()
    for _ in range(calls):
        run()
    return (process_time() - start) / calls


def _cost(run, yardstick):
    """Lower quartiles."""
    runs = (run, yardstick)
    calls = [max(1, round(SHORTEST / _seconds(run, 1))) for run in runs]
    times = np.array([[_seconds(*pair) for pair in zip(runs, calls, strict=True)] for _ in range(ROUNDS)])
    mine, others = np.quantile(times, 0.25, axis=0)
    return mine / others


def _over_peak(workload):
    x, w = workload.arrays()
    plan = workload.plan(w)
    peak = MultiplyAdds(workload.scalar, 1)
    return _cost(partial(plan, x, out=plan(x)), peak) * peak.flops / workload.flops


class Cost:
    """Times the peak's time."""

    version = "1"
    params, param_names = WORKLOADS, ["workload"]

    def setup_cache(self):
        import_module("numba")
        with numconv.num_threads(1):
            passes = [{label: _over_peak(KNOWN[label]) for label in WORKLOADS if label in KNOWN} for _ in range(PASSES)]
        return {label: min(costs[label] for costs in passes) for label in passes[0]}

    def setup(self, costs, label):
        if label not in costs:
            raise NotImplementedError(f"this commit has no {label}")

    def track_over_peak(self, costs, label):
        return round(costs[label], 4)

    track_over_peak.unit = "times the peak's time"


class Overhead:
    """Calls on 8x8 samples, beside `np.pad` of as many."""

    version = "1"
    params, param_names = ["plan", "function"], ["path"]

    def track_over_pad(self, path):
        workload = overhead.TINY[1]
        x, w = workload.arrays()
        run = partial(workload.plan(w), x) if path == "plan" else workload.call(x, w)
        return round(_cost(run, partial(np.pad, np.ones((8, 8)), 1)), 4)

    track_over_pad.unit = "times np.pad's time"
