"""SciPy, filter by filter and on one thread: `scipy.ndimage` directly, `scipy.signal.oaconvolve` by FFT."""

from __future__ import annotations

from importlib import import_module
from math import prod

import numpy as np

from ..contender import Contender
from ..workload import Workload

scipy = import_module("scipy")
ndimage, signal = import_module("scipy.ndimage"), import_module("scipy.signal")

MOST_TAPS = 1.5e9
"""Multiply-adds above which ndimage is left out: it does about one in a nanosecond, and oaconvolve needs less time."""


def version() -> str:
    """As installed."""
    return scipy.__version__


def contenders(workload: Workload, x: np.ndarray, w: np.ndarray, threads: int) -> list[Contender]:
    """Banks; integers by ndimage alone."""
    if not workload.bank or workload.stride > 1 or workload.dilation > 1:
        return []
    ways = [_by_fft(workload, x, w)] * (x.dtype.kind in "fc")
    if workload.filters * prod(workload.spatial) * prod(workload.kernel) <= MOST_TAPS:
        ways.append(_directly(workload, x, w))
    return ways


def _by_fft(workload: Workload, x: np.ndarray, w: np.ndarray) -> Contender:
    """By overlap-add, which convolves: with the filters reversed. "same" and "valid" are all that it offers."""
    mode = "same" if workload.padding else "valid"

    def run() -> list[np.ndarray]:
        return [signal.oaconvolve(x, np.flip(kernel), mode) for kernel in w]

    return Contender("scipy", run, np.stack, "signal.oaconvolve", packed=False)


def _directly(workload: Workload, x: np.ndarray, w: np.ndarray) -> Contender:
    kernels = np.conj(w)  # it conjugates them once more
    maps = np.empty((workload.filters, *workload.spatial), workload.dtype or x.dtype)

    def run() -> np.ndarray:
        for kernel, target in zip(kernels, maps, strict=True):
            ndimage.correlate(x, kernel, target, mode="constant")
        return maps

    return Contender("scipy", run, workload.part, "ndimage.correlate", packed=False)
