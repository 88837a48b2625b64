"""Timing of layers against this machine's peak and against SciPy, all in the same run."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from timeit import Timer

import numpy as np

import numconv
from numconv.cpu.measure import fma_peak

from . import scipy_twin
from .layers import Layer
from .progress import progress

MOST_ROUNDS, FEWEST_ROUNDS = 15, 5
SHORTEST = 0.005
"""Seconds below which a timing is a mean over several calls."""
SCIPY_SHARE = 0.1
"""Seconds that one SciPy timing aims at: so many of the filters are timed, at least one."""
SCIPY_BUDGET = 3.0
"""Seconds for all timings of one layer with SciPy."""
TOLERANCE = 1e-4
"""float32 by FFT is good to about 1e-6 of the largest value; a wrong tap is off by far more."""


@dataclass(frozen=True)
class Measurement:
    """Medians over the rounds of one layer; `peak` in FLOP/s with the threads that were used.

    `ratio` is SciPy's seconds over ours, both a filter; `scipy` says how SciPy did it. None without SciPy.
    """

    layer: Layer
    seconds: float
    peak: float
    rounds: int
    ratio: float | None = None
    scipy: str = ""

    @property
    def flops(self) -> float:
        """FLOP/s."""
        return self.layer.plan.flops / self.seconds


def measure(layer: Layer) -> Measurement:
    """Time `layer` in rounds, in turn with SciPy; RuntimeError if their results differ."""
    threads = numconv.get_num_threads()
    out = np.empty_like(layer.maps)
    ours = Timer(lambda: layer.plan(layer.x, out=out))
    calls = max(1, round(SHORTEST / max(ours.timeit(1), 1e-6)))
    peaks = [fma_peak("f4", threads=threads)]
    peer = scipy_twin.fastest(layer)
    if peer is None:
        times = [ours.timeit(calls) / calls for _ in progress(range(MOST_ROUNDS), f"timing {layer.title}")]
        return Measurement(layer, median(times), max(*peaks, fma_peak("f4", threads=threads)), MOST_ROUNDS)

    name, way, each = peer
    F = layer.w.shape[-1]
    filters = min(F, max(1, int(SCIPY_SHARE / each)))
    rounds = min(MOST_ROUNDS, max(FEWEST_ROUNDS, int(SCIPY_BUDGET / (each * filters))))
    _check(layer, way, filters)
    theirs = Timer(lambda: [way(f) for f in range(filters)])
    times, ratios = [], []
    for _ in progress(range(rounds), f"timing {layer.title}"):
        times.append(ours.timeit(calls) / calls)
        ratios.append(theirs.timeit(1) / filters * F / times[-1])
    peaks.append(fma_peak("f4", threads=threads))
    note = f"{layer.title} by {name}, {filters} of {F}"
    return Measurement(layer, median(times), max(peaks), rounds, median(ratios), note)


def _check(layer: Layer, way: scipy_twin.Filter, filters: int) -> None:
    share = scipy_twin.difference(layer, way, filters)
    if not share <= TOLERANCE:
        raise RuntimeError(f"{layer.title}: differs from SciPy by {share:.1e} of the largest value; please report this")
