"""SciPy, filter by filter and on one thread: `scipy.ndimage` directly, `scipy.signal.oaconvolve` by FFT."""

from __future__ import annotations

from importlib import import_module
from math import prod

import numpy as np

from ..contender import Contender
from ..workload import Workload

scipy = import_module("scipy")
ndimage, signal = import_module("scipy.ndimage"), import_module("scipy.signal")

MOST_TAPS = 5e9
"""Multiply-adds above which ndimage is left out: it does about one in a nanosecond."""


def version() -> str:
    """As installed."""
    return scipy.__version__


def contenders(workload: Workload, x: np.ndarray, w: np.ndarray, threads: int) -> list[Contender]:
    """Banks, in floating and complex types."""
    if not workload.bank or workload.stride > 1 or workload.dilation > 1 or x.dtype.kind not in "fc":
        return []
    ways = [Contender("scipy", lambda: _by_fft(workload, x, w), np.stack, "signal.oaconvolve", packed=False)]
    if workload.filters * prod(workload.spatial) * prod(workload.kernel) <= MOST_TAPS:
        maps = np.empty((workload.filters, *workload.spatial), x.dtype)

        def run() -> np.ndarray:
            for kernel, target in zip(w, maps, strict=True):
                ndimage.correlate(x, kernel, target, mode="constant")
            return maps

        ways.append(Contender("scipy", run, lambda y: y[(slice(None), *_part(workload))], "ndimage.correlate"))
    return ways


def _part(workload: Workload) -> tuple[slice, ...]:
    """What was asked for of maps as large as the input: tap ``k // 2`` lies over each output."""
    starts = [k // 2 - workload.padding for k in workload.kernel]
    return tuple(slice(start, start + size) for start, size in zip(starts, workload.out_spatial, strict=True))


def _by_fft(workload: Workload, x: np.ndarray, w: np.ndarray) -> list[np.ndarray]:
    """By overlap-add, which convolves: with the filters reversed. "same" and "valid" are all that it offers."""
    mode = "same" if workload.padding else "valid"
    return [signal.oaconvolve(x, np.flip(kernel), mode) for kernel in w]
