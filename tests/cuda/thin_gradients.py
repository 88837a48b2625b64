"""Gradients of few weights of each filter, and of biases: bits of the reference, in lanes of channels and of pixels."""

import numpy as np
import pytest

from numconv import grad
from numconv.cuda import gradient_chains, gradient_methods, gradient_thin

from ..problems import random_values, same_bits
from ..test_weight_gradients import CONV
from .dense_gradients import FIRST, layer
from .device import simulated, to_device
from .weight_gradients import SHARED, bias_of, check, random_problem

if simulated():
    gradient_thin.LANES = 32


@pytest.fixture(autouse=True)
def this_kernel(monkeypatch):
    """No other is there."""
    monkeypatch.setattr(gradient_methods, "KERNELS", {"thin": gradient_thin})


@pytest.mark.parametrize("layout", [{}, FIRST], ids=["last", "first"])
def test_depthwise(layout):
    few = 2 if layout else 8
    layer((5, 11), (3, 3), few, few, few, 2, padding=1, **layout)
    layer((2, 40), (3, 2), few // 2, few, few // 2, stride=2, dilation=2, **layout)
    layer((3, 5, 4), (2, 1, 3), few, few, few, padding=1, **layout)


@pytest.mark.parametrize("layout", [{}, FIRST], ids=["last", "first"])
def test_chains(layout):
    """Of whole rows, and parts of rows; columns that are left over."""
    layer((35, 9), (2, 3), 1, 1 if layout else 8, **layout)
    layer((2, 270), (1, 3), 1, 1, n=2, **layout)


@pytest.mark.parametrize("mode", ["constant", "reflect"])
@pytest.mark.parametrize("layout", [{}, FIRST], ids=["last", "first"])
def test_borders(mode, layout):
    more = {"pad_value": 1.5} if mode == "constant" else {}
    channels = 2 if layout else 8
    layer((5, 6), (3, 5), channels, channels, channels, padding=2, pad_mode=mode, **more, **layout)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
@pytest.mark.parametrize("layout", [{}, FIRST], ids=["last", "first"])
def test_types(dtype, layout):
    layer((4, 5), (3, 3), 1, 1 if layout else 9, dtype=dtype, padding=1, **layout)


def test_random_problems():
    done = 0
    for seed in range(61 if simulated() else 600):
        rng = np.random.default_rng(seed)
        if not (found := random_problem(rng, CONV, (*SHARED, "pad_mode", "pad_value"))):
            continue
        ndim, x, shape, g, options = found
        if "c" in x.dtype.kind + g.dtype.kind or (simulated() and np.prod(shape) > 35):
            continue
        try:
            check({1: grad.conv1d_weight, 2: grad.conv2d_weight, 3: grad.conv3d_weight}[ndim], x, shape, g, **options)
        except NotImplementedError:
            continue
        done += 1
    assert done > 4


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_bias(dtype, layout):
    rng = np.random.default_rng(2)
    for shape in ((2, 9, 3, 2), (4, 2, 9)) if layout == "channels_first" else ((2, 9, 3, 9), (4, 8, 9)):
        g = random_values(rng, shape, dtype)
        assert same_bits(grad.bias(to_device(g), data_format=layout).copy_to_host(), bias_of(g, layout))


def test_values_that_are_not_finite():
    """Only what sees them; signs of zeros."""
    rng = np.random.default_rng(0)
    for layout, scale in (("channels_last", 1), ("channels_last", -1e-25), ("channels_first", 1)):
        shape = (1, 9, 9) if layout == "channels_last" else (1, 2, 9)
        x, g = random_values(rng, shape, "float32"), random_values(rng, shape, "float32")
        x[0, 1, 3], g[0, 1, 8] = np.nan, np.inf
        shape = (3, 1, 9) if layout == "channels_last" else (2, 1, 3)
        check(grad.conv1d_weight, x * np.float32(scale), shape, g, padding=1, groups=x.size // 9, data_format=layout)


def test_passes(monkeypatch):
    monkeypatch.setattr(gradient_chains, "ROOM", 1)
    layer((130,), (1,), 1, 8, n=3)
    layer((130,), (1,), 1, 1, n=2, **FIRST)
