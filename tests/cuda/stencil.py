"""Few channels with pixels in lanes: bits of the reference, for all borders, strides, tiles and types."""

from itertools import product

import numpy as np
import pytest

import numconv
from numconv.cuda import stencil

from ..problems import Case
from .device import arrays, check, only, poisoned, same_bits, to_device

FIRST = {"data_format": "channels_first"}


@pytest.fixture(autouse=True)
def taken():
    """Whatever a test checks, this kernel has computed."""
    with only("stencil") as found:
        yield found
        assert found


def images(name, size, kernel, channels=1, filters=1, groups=1, **options):
    case = Case(name, 1, size, channels, filters, kernel, groups, bias=True, options={**FIRST, **options})
    assert check(case, *arrays(case, np.random.default_rng(len(name))), most=40000)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
def test_borders(mode):
    images(mode, (9, 13), (3, 5), padding="same", pad_mode=mode)
    images(mode, (3, 4), (2, 3), padding=((4, 1), (0, 5)), pad_mode=mode)
    images(mode, (41,), (8,), padding="full", pad_mode=mode)


def test_a_pad_value():
    images("value", (5, 7), (3, 3), padding="same", pad_value=2.5, activation="relu")


@pytest.mark.parametrize(("stride", "dilation"), [*product((1, 2), (1, 2)), (3, 1), ((2, 1), (1, 3))])
def test_strides_and_dilations(stride, dilation):
    images("strides", (11, 19), (3, 2), stride=stride, dilation=dilation, padding=1)
    images("strides", (12, 10), (2, 3), 2, 4, 2, stride=stride, dilation=dilation)


@pytest.mark.parametrize("width", [1, 7, 8, 9, 16, 17, 31, 65, 70])
def test_widths(width):
    """On both sides of all tiles."""
    images("width", (3, width), (2, 3), padding="same")
    images("width", (width,), (5,), padding="same")


@pytest.mark.parametrize("height", [1, 2, 5, 9, 17, 40])
def test_heights(height):
    images("height", (height, 5), (3, 3), padding="same")
    images("height", (height, 9), (1, 3), padding="same")


@pytest.mark.parametrize("filters", [1, 2, 3, 4, 5, 8])
def test_filters(filters):
    images("filters", (2, 9), (2, 2), 1, filters)
    images("filters", (6,), (3,), 2, 2 * filters, 2)


def test_more_filters_than_a_block_has():
    images("many", (5,), (2,), 1, 37)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_channels(channels):
    images("channels", (4, 9), (3, 3), channels, 3, padding="same")


def test_long_filters():
    images("long", (90,), (60,), padding="same")
    images("long", (40,), (16,), 4, 2)


@pytest.mark.parametrize(
    "types", [("float16", "float16"), ("float64", "float64"), ("uint8", "float32"), ("float32", "int8")]
)
def test_types(types):
    for filters in (1, 4):
        case = Case("types", 2, (4, 10), 1, filters, (3, 3), 1, *types, bias=True, options={**FIRST, "padding": "same"})
        assert check(case, *arrays(case, np.random.default_rng(0)))


def test_channels_last_of_one_channel():
    case = Case("last", 1, (5, 9), 1, 1, (3, 3), options={"padding": "same", "dtype": "int16", "overflow": "saturate"})
    assert check(case, *arrays(case, np.random.default_rng(0)))


@pytest.mark.parametrize("taps", [33, 64, 65, 96, 100, 128, 160, 256, 257, 300, 512, 513, 1023])
def test_long_rows(taps):
    """In chunks, and chain by chain."""
    images("row", (taps + 5,), (taps,), padding=2)


@pytest.mark.parametrize(
    ("kernel", "channels", "filters"), [((40,), 3, 1), ((64,), 4, 5), ((70,), 1, 3), ((260,), 1, 7)]
)
def test_long_rows_of_channels_and_filters(kernel, channels, filters):
    images("row", (kernel[0] + 3,), kernel, channels, filters)


@pytest.mark.parametrize(
    "options", [{"dilation": 2}, {"dilation": 3, "pad_mode": "reflect"}, {"stride": 2}, {"stride": 3}]
)
def test_long_rows_apart(options):
    images("apart", (150,), (40,), padding=3, **options)


@pytest.mark.parametrize(
    ("kernel", "channels"), [((9, 8), 1), ((13, 5), 1), ((3, 60), 1), ((12, 12), 2), ((5, 16), 4), ((17, 17), 1)]
)
def test_many_rows_of_taps(kernel, channels):
    """Row by row, and chain by chain."""
    images("rows", (kernel[0] + 2, kernel[1] + 9), kernel, channels, padding=1, pad_mode="edge")
    if channels < 3:
        images("rows", (2 * kernel[0], 2 * kernel[1]), kernel, channels, 2, dilation=2, padding=1)
        images("rows", (kernel[0] + 3, kernel[1] + 9), kernel, channels, stride=2, padding=1)


def test_memory_that_is_not_aligned():
    """Views that begin between multiples of 16 bytes, have gaps, or run backwards: accesses are narrower."""
    rng = np.random.default_rng(0)
    base, w = rng.standard_normal((2, 7, 40), np.float32), rng.standard_normal((2, 1, 3, 3), np.float32)
    for view in (base[:, :, 1:21], base[:, :, 2:22], base[:, ::-1, :20], base[:, :, 20::-1], base[:, :, ::2]):
        x = view[None]
        expected = numconv.conv2d(x, w, groups=2, padding="same", method="reference", **FIRST)
        for columns in (24, 21, 22):
            out = to_device(
                poisoned((*expected.shape[:-1], 2 * columns), x.dtype)[..., columns - 20 :][..., : x.shape[3]]
            )
            numconv.conv2d(to_device(x), w, groups=2, padding="same", out=out, **FIRST)
            assert same_bits(out.copy_to_host(), expected)


def test_several_samples_of_a_block(monkeypatch):
    monkeypatch.setattr(stencil, "MULTIPROCESSORS", 1)
    monkeypatch.setattr(stencil, "WAVES", 1)
    case = Case("samples", 35, (5, 6), 4, 4, (3, 3), 4, bias=True, options={**FIRST, "padding": "same"})
    assert check(case, *arrays(case, np.random.default_rng(0)), most=40000)


def test_tiles_fit_shared_memory():
    """Also where a tile of as many rows as a thread could have would not."""
    for k in range(1, 9):
        for stride in (1, 2, 3):
            images("k", (k, k), (k, k), stride=stride)
