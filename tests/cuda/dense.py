"""Many channels and filters: bits of the reference, for chains of every length, layouts and borders."""

import numpy as np
import pytest

from numconv.cuda import dense_tiles

from ..problems import Case
from .device import arrays, check, only

FIRST = {"data_format": "channels_first"}


@pytest.fixture(autouse=True)
def taken():
    """Whatever a test checks, this kernel has computed."""
    with only("dense") as found:
        yield found
        assert found


def layer(size, kernel, channels, filters, groups=1, n=1, x_dtype="float32", scale=1.0, **options):
    case = Case("dense", n, size, channels, filters, kernel, groups, x_dtype, bias=True, options=options)
    x, w, bias = arrays(case, np.random.default_rng(channels + filters))
    assert check(case, x * x.dtype.type(scale), w, bias, most=10**5)


@pytest.mark.parametrize("layout", [{}, FIRST], ids=["last", "first"])
@pytest.mark.parametrize("channels", [8, 9, 16, 30])
def test_channels(layout, channels):
    """Eight steps of one tap, and not; chains that do not fill the last DEPTH."""
    layer((3, 5), (2, 3), channels, 17, padding="same", **layout)


@pytest.mark.parametrize("layout", [{}, FIRST], ids=["last", "first"])
def test_several_chains(layout):
    layer((2, 3), (1, 3), 96, 16, **layout)
    layer((3, 3), (3, 3), 32, 16, activation="relu", **layout)
    layer((4,), (1,), 300, 16, **layout)


def test_few_channels_of_large_kernels():
    layer((5, 5), (5, 5), 3, 9, stride=2, padding="same", **FIRST)


def test_more_than_one_tile():
    layer((9, 9), (1, 1), 16, 70, **FIRST)
    layer((9, 9), (1, 1), 16, 70)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
def test_borders(mode):
    value = {"pad_value": 1.5} if mode == "constant" else {}
    layer((3, 4), (3, 3), 8, 16, padding=((2, 1), (0, 3)), pad_mode=mode, stride=(1, 2), **value)


def test_groups_samples_and_strides():
    layer((5,), (3,), 16, 32, 2, 3, stride=2, dilation=2, padding="same")
    layer((2, 3, 3), (2, 1, 2), 8, 16, 1, 2, stride=(1, 2, 1), padding=1, **FIRST)


@pytest.mark.parametrize("x_dtype", ["float64", "float16"])
def test_types(x_dtype):
    layer((2, 3), (2, 2), 8, 16, x_dtype=x_dtype)
    layer((2, 3), (2, 2), 8, 16, x_dtype=x_dtype, dtype="int16", overflow="saturate")


def test_values_that_are_not_finite():
    """Steps that fill chains change nothing: no NaN, no sign of zero, no denormal."""
    for scale in (0.0, -1e-30, 1e-40):
        layer((3,), (2,), 9, 16, scale=scale)
    case = Case("dense", 1, (5,), 9, 16, (2,), options={"padding": "same"})
    x, w, _ = arrays(case, np.random.default_rng(0))
    x[0, 2, 3], w[1, 2, 5] = np.nan, np.inf
    assert check(case, x, w, None, most=10**5)


def test_large_blocks(monkeypatch):
    """Those of large layers, of 256 threads."""
    monkeypatch.setattr(dense_tiles, "TILES", ((128, 128),))
    layer((3, 3), (1, 2), 8, 65, **FIRST)
    layer((3, 3), (1, 2), 8, 65)
