"""The largest error, over all sorts of data, as a share of what a method promises, against sums in long double."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import numconv

CHAIN = 256
"""Products in a chain of `direct`."""
DATA = ("normal", "constant", "sparse", "half dark", "log-normal")
KERNELS = {"3x3x64": (3, 64), "1x1x1024": (1, 1024), "11x11x3": (11, 3)}


def _values(kind, rng, shape):
    if kind == "constant":
        return np.full(shape, 0.1)
    values = rng.standard_normal(shape)
    if kind == "sparse":
        values[rng.random(shape) < 0.9] = 0
    elif kind == "half dark":
        values[:, : shape[1] // 2] *= 1e-6
    elif kind == "log-normal":
        values = np.exp(3 * values)
    return values


def _problem(dtype, k, C, data):
    """x, w, the exact result and the sums of sizes."""
    rng = np.random.default_rng(0)
    x = _values(data, rng, (12 + k, 12 + k, C)).astype(dtype)
    w = rng.standard_normal((k, k, C, 8)).astype(dtype)
    windows = sliding_window_view(x.astype(np.longdouble), (k, k), axis=(0, 1))  # OH, OW, C, KH, KW
    long = w.astype(np.longdouble)
    exact, sizes = (np.einsum("hwcij,ijcf->hwf", *pair) for pair in ((windows, long), (abs(windows), abs(long))))
    return x, w, exact, sizes


class Direct:
    params, param_names = (["float32", "float64"], list(KERNELS)), ["dtype", "kernel"]

    def track_share_of_bound(self, dtype, kernel):
        return max(self._share(dtype, kernel, data) for data in DATA)

    def _share(self, dtype, kernel, data):
        k, C = KERNELS[kernel]
        x, w, exact, sizes = _problem(dtype, k, C, data)
        error = abs(numconv.conv2d(x, w, method="direct") - exact)
        products = k * k * C
        bound = (CHAIN + 2 * products / CHAIN + 3) * np.finfo(dtype).eps / 2 * sizes
        return float((error / bound).max())


class Winograd:
    """Its bound is per tile; here its error beside that of `direct` on the same layer, both at their largest."""

    params, param_names = ["float32", "float64"], ["dtype"]

    def setup(self, dtype):
        try:
            numconv.conv2d(np.ones((8, 8, 16), dtype), np.ones((3, 3, 16, 16), dtype), method="winograd")
        except ValueError as error:  # no such method yet
            raise NotImplementedError from error

    def track_error_over_that_of_direct(self, dtype):
        x, w, exact, _ = _problem(dtype, 3, 64, "normal")
        largest = [abs(numconv.conv2d(x, w, method=method) - exact).max() for method in ("winograd", "direct")]
        return float(largest[0] / largest[1])
