"""Many channels and filters: bits of the reference, for chains of every length, layouts and borders."""

import numpy as np
import pytest

import numconv
from numconv.cuda import dense_tiles

from ..problems import Case
from .device import CONV, arrays, check, only, same_bits, shifted, simulated, to_device

ALL = dense_tiles.TILES
FIRST = {"data_format": "channels_first"}


SMALL = ((32, 64), (64, 64))
"""Tiles of few threads, which the simulator runs one by one; the second one gathers by registers too."""


@pytest.fixture(autouse=True)
def small(monkeypatch):
    if simulated():
        monkeypatch.setattr(dense_tiles, "TILES", SMALL)


@pytest.fixture(autouse=True)
def taken(request):
    """Whatever a test checks, this kernel has computed."""
    with only("dense") as found:
        yield found
        assert found or request.function is test_which_tile


def layer(size, kernel, channels, filters, groups=1, n=1, x_dtype="float32", scale=1.0, **options):
    case = Case("dense", n, size, channels, filters, kernel, groups, x_dtype, bias=True, options=options)
    x, w, bias = arrays(case, np.random.default_rng(channels + filters))
    assert check(case, x * x.dtype.type(scale), w, bias, most=10**5)


@pytest.mark.parametrize("layout", [{}, FIRST], ids=["last", "first"])
@pytest.mark.parametrize("channels", [8, 9, 30])
def test_channels(layout, channels):
    """Eight steps of one tap, and not; chains that do not fill the last DEPTH."""
    layer((3, 5), (2, 3), channels, 17, padding="same", **layout)


@pytest.mark.parametrize("layout", [{}, FIRST], ids=["last", "first"])
@pytest.mark.parametrize("split", [False, True])
def test_several_chains(monkeypatch, layout, split):
    """In one block, in order, or in a block each."""
    monkeypatch.setattr(dense_tiles, "estimate", lambda size, tile, one: (split == one) - 1)
    layer((2, 3), (1, 3), 96, 17, **layout)
    layer((3, 3), (3, 3), 32, 16, activation="relu", **layout)
    layer((2,), (1,), 260, 9, **layout)


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


@pytest.mark.parametrize("layout", [{}, FIRST], ids=["last", "first"])
@pytest.mark.parametrize("tile", dense_tiles.TILES, ids="{0[0]}x{0[1]}".format)
def test_tiles(monkeypatch, tile, layout):
    """Copies of 16 bytes and of 4; filters and pixels that fill a tile, and not; stores of 16 bytes, and not."""
    monkeypatch.setattr(dense_tiles, "TILES", (tile,))
    layer((4, 8), (1, 2), 16, 68, padding="same", **layout)
    layer((3, 3), (1, 1), 20, 9, **layout)


@pytest.mark.parametrize("layout", [{}, FIRST], ids=["last", "first"])
def test_arrays_that_are_not_aligned(layout):
    """The same plan, which looks at addresses."""
    case = Case("dense", 1, (4, 4), 16, 16, (1, 2), options={"padding": "same", **layout})
    x, w, _ = arrays(case, np.random.default_rng(0))
    plan = numconv.plan_conv2d(x.shape, w, padding="same", device="cuda", **layout)
    expected = CONV[2](x, w, padding="same", method="reference", **layout)
    for first in (0, 1):
        result = shifted(np.full(expected.shape, np.nan, np.float32), first)
        plan(shifted(x, first), out=result)
        assert same_bits(result.copy_to_host(), expected)


def test_weights_that_run_backwards():
    """Where they lie on the device, with a step of -1."""
    x, w = np.random.default_rng(0).standard_normal((1, 5, 16)), np.random.default_rng(1).standard_normal((3, 16, 9))
    x, w = x.astype(np.float32), np.asfortranarray(w.astype(np.float32))
    expected = numconv.conv1d(x, w, flip=True, method="reference")
    result = numconv.conv1d(to_device(x), to_device(w), flip=True)
    assert same_bits(result.copy_to_host(), expected)


def test_which_tile():
    """Large where blocks fill a GPU, small or split where they would not; as many turns as need be, and no more."""

    def best(pixels, filters, chains, stages, gather="units", item_bytes=4):
        size = dense_tiles.Size(pixels, filters, 1, chains, chains * stages, stages)
        tile, split = dense_tiles.best(size, False, gather, item_bytes)
        return (tile.BF, tile.BP), split

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dense_tiles, "TILES", ALL)
        assert best(32 * 56 * 56, 256, 3, 12) == ((128, 128), False)
        assert best(32 * 56 * 56, 64, 3, 12) == ((64, 128), False)
        assert best(8 * 112 * 112, 32, 2, 12)[0][0] == 32
        assert best(8 * 112 * 112, 32, 2, 12, "borders")[0][0] == 64
        assert best(28 * 28, 256, 9, 16)[1]
        assert not best(28 * 28, 256, 1, 16)[1]
        assert best(28 * 28, 64, 1, 16, item_bytes=8) == ((64, 64), False)
