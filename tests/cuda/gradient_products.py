"""Gradients of weights on tensor cores: within the errors of a precision, for strides, borders, layouts and samples."""

import numpy as np
import pytest

from numconv import grad
from numconv.cuda import gradient_methods, tensor

from .device import poisoned, simulated, to_device

FIRST = {"data_format": "channels_first"}
BOUNDS = {"tf32": 2.0**-10, "bf16": 2.0**-7, "3xtf32": 2.0**-20}
NAMES = {1: grad.conv1d_weight, 2: grad.conv2d_weight, 3: grad.conv3d_weight}


@pytest.fixture(autouse=True)
def taken(monkeypatch):
    """Whatever a test checks, these have computed; in tiles that are small in the simulator."""
    monkeypatch.setattr(tensor, "TINY", simulated())
    names, find = [], gradient_methods.chosen
    monkeypatch.setattr(gradient_methods, "chosen", lambda *given: names.append(find(*given)) or names[-1])
    yield names
    assert set(names) == {"products"}


def layer(size, kernel, channels=3, filters=16, n=8, precision="tf32", dtype="float32", **options):
    """The gradient on the device, beside that of float64, and the sum of what products are of."""
    rng, first = np.random.default_rng(len(kernel) + channels), "data_format" in options
    function, ndim = NAMES[len(kernel)], len(kernel)
    x_shape, w_shape = (n, *size, channels), (*kernel, channels, filters)
    if first:
        x_shape, w_shape = (n, channels, *size), (filters, channels, *kernel)
    x = rng.standard_normal(x_shape).astype(dtype)
    at = slice(2, None) if first else slice(1, -1)
    pads, stride, dilation = (options.get(name, default) for name, default in
                              (("padding", 0), ("stride", 1), ("dilation", 1)))  # fmt: skip
    results = [(s + 2 * pads - dilation * (k - 1) - 1) // stride + 1 for s, k in zip(x.shape[at], kernel, strict=True)]
    g_shape = (n, filters, *results) if first else (n, *results, filters)
    g = rng.standard_normal(g_shape).astype(dtype)
    wide = [array.astype(np.float64) for array in (x, g)]
    expected = function(wide[0], w_shape, wide[1], **options)
    total = function(abs(wide[0]), w_shape, abs(wide[1]), **options)
    out = to_device(poisoned(w_shape, np.dtype(dtype)))
    assert function(to_device(x), w_shape, to_device(g), precision=precision, out=out, **options) is out
    found, rounding = out.copy_to_host(), 2.0**-10 if dtype == "float16" else 2.0**-20
    assert (np.abs(found - expected) <= (BOUNDS[precision] + rounding) * total).all(), ndim
    return found, expected


@pytest.mark.parametrize("precision", BOUNDS)
def test_precisions(precision):
    found, expected = layer((4, 5), (3, 3), padding=1, precision=precision)
    assert (found != expected).any()


@pytest.mark.parametrize("layout", [{}, FIRST], ids=["last", "first"])
def test_strides_and_samples_behind_the_last(layout):
    layer((7, 8), (2, 3), stride=2, **layout)
    layer((9,), (3,), stride=3, dilation=2, n=17, **layout)
    layer((2, 4, 5), (2, 1, 3), channels=2, stride=2, padding=1, **layout)


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
def test_borders(mode):
    layer((4, 5), (3, 3), padding=1, pad_mode=mode)


def test_half():
    layer((5,), (3,), n=11, dtype="float16")


def test_more_than_one_tile():
    layer((3, 3), (2, 2), channels=11, filters=35)


def test_what_is_left_to_others(taken):
    """Few samples, groups, borders behind samples that are not read, and whatever is not permitted."""
    x, g, shape = np.ones((8, 6, 16), np.float32), np.ones((8, 2, 16), np.float32), (3, 16, 16)
    grad.conv1d_weight(x[:4], shape, g[:4], stride=2, precision="tf32", device="cuda")
    grad.conv1d_weight(x, (3, 8, 16), g, stride=2, groups=2, precision="tf32", device="cuda")
    grad.conv1d_weight(x, shape, g, stride=2, device="cuda")
    behind = {"stride": 3, "padding": ((1, 0),), "pad_mode": "edge"}
    grad.conv1d_weight(x, shape, g, precision="tf32", device="cuda", **behind)
    assert len(taken) == 4 and "products" not in taken
    taken[:] = ["products"]
