"""The largest error as a share of the bound that `direct` promises, against sums in long double."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import numconv

CHAIN = 256
"""Products in a chain of `direct`."""
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


class Direct:
    params = (["float32", "float64"], list(KERNELS), ["normal", "constant", "sparse", "half dark", "log-normal"])
    param_names = ("dtype", "kernel", "data")

    def setup(self, dtype, kernel, data):
        rng = np.random.default_rng(0)
        k, C = KERNELS[kernel]
        self.x = _values(data, rng, (12 + k, 12 + k, C)).astype(dtype)
        self.w = rng.standard_normal((k, k, C, 8)).astype(dtype)
        windows = sliding_window_view(self.x.astype(np.longdouble), (k, k), axis=(0, 1))  # OH, OW, C, KH, KW
        w = self.w.astype(np.longdouble)
        self.exact = np.einsum("hwcij,ijcf->hwf", windows, w)
        self.sizes = np.einsum("hwcij,ijcf->hwf", abs(windows), abs(w))
        self.products = k * k * C

    def track_share_of_bound(self, dtype, kernel, data):
        error = abs(numconv.conv2d(self.x, self.w, method="direct") - self.exact)
        roundoff = np.finfo(dtype).eps / 2
        bound = (CHAIN + 2 * self.products / CHAIN + 3) * roundoff * self.sizes
        return float((error / bound).max())
