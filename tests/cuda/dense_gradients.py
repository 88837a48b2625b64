"""Gradients of many weights: bits of the reference, for every way of copying, layouts, borders and tails."""

import numpy as np
import pytest

from numconv import grad
from numconv.cuda import gradient_chains, gradient_dense, gradient_generic, gradient_methods

from ..problems import any_strides, random_values
from .device import simulated, to_device
from .weight_gradients import check as check_gradient

CONV = {1: grad.conv1d_weight, 2: grad.conv2d_weight, 3: grad.conv3d_weight}
FIRST = {"data_format": "channels_first"}

if simulated():
    gradient_generic.THREADS = gradient_dense.THREADS = 64


@pytest.fixture(autouse=True)
def this_kernel(monkeypatch):
    """No other is there."""
    monkeypatch.setattr(gradient_methods, "KERNELS", {"dense": gradient_dense})


def layer(size, kernel, channels, filters, groups=1, n=1, dtype="float32", scale=1.0, strides=None, **options):
    """Sizes are those of the result's gradient."""
    rng, first, ndim = np.random.default_rng(channels + filters), "data_format" in options, len(size)
    stride, dilation, pads = (options.get(name, 1) for name in ("stride", "dilation", "padding"))
    spatial = [
        (o - 1) * stride + dilation * (k - 1) + 1 - 2 * (pads if "padding" in options else 0)
        for o, k in zip(size, kernel, strict=True)
    ]
    x_shape = (n, channels, *spatial) if first else (n, *spatial, channels)
    g_shape = (n, filters, *size) if first else (n, *size, filters)
    each = channels // groups
    shape = (filters, each, *kernel) if first else (*kernel, each, filters)
    x, g = (random_values(rng, sizes, dtype) * np.dtype(dtype).type(scale) for sizes in (x_shape, g_shape))
    if strides is not None:
        x, g = (any_strides(a, np.random.default_rng(strides)) for a in (x, g))
    check_gradient(CONV[ndim], x, shape, g, groups=groups, **options)


@pytest.mark.parametrize("layout", [{}, FIRST], ids=["last", "first"])
@pytest.mark.parametrize(("channels", "filters"), [(8, 8), (6, 9), (9, 12)])
def test_channels(layout, channels, filters):
    """By 16 bytes where they are aligned, else one by one along channels or pixels."""
    layer((5, 4), (2, 2), channels, filters, **layout)


@pytest.mark.parametrize("layout", [{}, FIRST], ids=["last", "first"])
def test_stages_and_chains(layout):
    """More stages than there is room for; chains of whole rows, and parts of rows."""
    layer((9, 9), (1, 2), 8, 8, **layout)
    layer((130,), (1,), 16, 8, n=2 + bool(layout), **layout)


def test_more_than_one_tile(monkeypatch):
    monkeypatch.setattr(gradient_dense, "tile_of", lambda problem: gradient_dense.Tile(32, 64, 4))
    layer((3,), (3,), 12, 68)
    layer((2, 2), (3, 3), 4, 67, **FIRST)


def test_large_tiles(monkeypatch):
    """Of several warps along both sides."""
    monkeypatch.setattr(gradient_dense, "tile_of", lambda problem: gradient_dense.Tile(64, 128, 4))
    layer((17,), (1,), 40, 68)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("layout", [{}, FIRST], ids=["last", "first"])
def test_borders(mode, layout):
    layer((5, 4), (3, 3), 4, 8, padding=1, pad_mode=mode, **layout)


def test_groups_samples_and_strides():
    layer((5,), (3,), 16, 32, 2, 3, stride=2, dilation=2, padding=2)
    layer((2, 3, 3), (2, 1, 2), 8, 16, 1, 2, stride=2, padding=1, **FIRST)
    layer((2, 2, 3), (3, 3, 1), 2, 8, 1, 2, padding=1, flip=True)
    for strides in range(3 if simulated() else 20):
        layer((4, 3), (2, 2), 8, 8, n=2, strides=strides, **(FIRST if strides % 2 else {}))


def test_double():
    layer((5, 5), (2, 2), 8, 8, dtype="float64")
    layer((5, 5), (3, 3), 4, 10, dtype="float64", padding=1, **FIRST)


def test_values_that_are_not_finite():
    """What fills a stage changes nothing: no NaN, no sign of zero, no denormal."""
    for scale in (0.0, -1e-25):
        layer((5,), (2,), 8, 8, scale=scale)
    rng = np.random.default_rng(0)
    x, g = random_values(rng, (1, 9, 8), "float32"), random_values(rng, (1, 9, 8), "float32")
    x[0, 2, 3], g[0, 8, 5] = np.nan, np.inf
    check_gradient(grad.conv1d_weight, x, (3, 8, 8), g, padding=1)


def test_passes(monkeypatch):
    monkeypatch.setattr(gradient_chains, "ROOM", 1)
    layer((130,), (1,), 16, 8, n=2)


def test_what_is_left_to_others():
    x, g = np.ones((1, 4, 16), "f4"), np.ones((1, 4, 8), "f4")
    for a, b, options in (
        (x, g, {"padding": 1, "pad_value": 1}), (x[..., :8], g, {}), (x, g[..., :4], {}), (x.astype("f2"), g, {}),
        (x, g + 1j, {}),
    ):  # fmt: skip
        b = np.concatenate([b, b[:, :2]], 1) if options else b
        with pytest.raises(NotImplementedError, match="a GPU computes only"):
            grad.conv1d_weight(to_device(a), (1, a.shape[2], b.shape[2]), to_device(b), **options)
