"""The same layer by SciPy, filter by filter, as its user would write it: what the demo compares with."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np

from .layers import Layer

Filter = Callable[[int], np.ndarray]
"""Gives map f of a layer, without bias and activation."""


def _padded(layer: Layer) -> np.ndarray:
    halo = [((k - 1) // 2, k // 2) for k in layer.w.shape[:-2]]
    return np.pad(layer.x, [*halo, (0, 0)], mode="symmetric")


def _by_correlate(layer: Layer) -> Filter:
    """One call a filter: over the channel axis ``valid`` sums up. SciPy chooses between direct and FFT."""
    from scipy import signal

    padded = _padded(layer)
    return lambda f: signal.correlate(padded, layer.w[..., f], mode="valid")[..., 0]


def _by_oaconvolve(layer: Layer) -> Filter:
    """As above by overlap-add, which convolves: with the filter reversed."""
    from scipy import signal

    padded = _padded(layer)
    return lambda f: signal.oaconvolve(padded, np.flip(layer.w[..., f]), mode="valid")[..., 0]


def _by_ndimage(layer: Layer) -> Filter:
    """One call for each filter and channel; SciPy's ``reflect`` is NumPy's ``symmetric``."""
    from scipy import ndimage

    planes = np.ascontiguousarray(np.moveaxis(layer.x, -1, 0))

    def one(f: int) -> np.ndarray:
        weights = np.moveaxis(layer.w[..., f], -1, 0)
        parts = [ndimage.correlate(plane, w, mode="reflect") for plane, w in zip(planes, weights, strict=True)]
        return np.sum(parts, axis=0)

    return one


def fastest(layer: Layer) -> tuple[str, Filter, float] | None:
    """The fastest of SciPy's three ways, its name and its seconds a filter; None where SciPy is not installed."""
    try:
        ways = {
            "signal.correlate": _by_correlate(layer),
            "signal.oaconvolve": _by_oaconvolve(layer),
            "ndimage.correlate": _by_ndimage(layer),
        }
    except ImportError:
        return None
    timed = []
    for name, way in ways.items():
        way(0)  # its first call imports and plans
        start = perf_counter()
        way(0)
        timed.append((perf_counter() - start, name))
    seconds, name = min(timed)
    return name, ways[name], seconds


def difference(layer: Layer, way: Filter, filters: int) -> float:
    """Largest difference of the first `filters` maps from SciPy's, as a share of the layer's largest value."""
    worst = 0.0
    for f in range(filters):
        expected = way(f) + (0 if layer.bias is None else layer.bias[f])
        if layer.activation == "relu":
            expected = np.maximum(expected, 0)
        worst = max(worst, float(np.abs(layer.maps[..., f] - expected).max()))
    return worst / max(float(np.abs(layer.maps).max()), 1e-30)
