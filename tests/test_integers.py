"""Integers in lanes: which are chosen at the limits, and sums at the limits, by every kind of lanes and lane order."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

import numconv
from numconv._calls import recipe
from numconv.cpu import integers
from numconv.cpu.integers import Lanes
from numconv.cpu.machine import machine

from .forced import forced, shapes
from .problems import poisoned, same_bits

ORDERS = list({tile[0]: tile for tile in reversed(shapes())}.values())
SHORTS = ["", "pairs", "fused"]


@pytest.fixture
def on_a_cpu(monkeypatch):
    """Choose lanes as a CPU does whose products of int16 are of some kind, as far as this one can compute it."""

    def choose(shorts):
        if shorts and not machine().shorts:
            pytest.skip("this CPU has no instruction for products of int16")
        monkeypatch.setattr(integers, "machine", lambda: replace(machine(), shorts=shorts))
        recipe.cache_clear()  # problems keep their schedules

    yield choose
    recipe.cache_clear()


def lanes(x_dtype, w, bias=None):
    """Of a signal of one channel and one filter."""
    w = np.asarray(w).reshape(-1, 1, 1)
    bias = None if bias is None else np.array([bias])
    plan = numconv.plan_conv1d((None, 999, 1), w, bias, x_dtype=x_dtype)
    parts = plan._engine.pieces[0].schedule.layout.parts
    return Lanes(parts.scalar, parts.wide)


I4, F4, F8, I8 = (Lanes(scalar) for scalar in ("i4", "f4", "f8", "i8"))
F4_WIDE, F8_WIDE = Lanes("f4", wide=True), Lanes("f8", wide=True)
LIMITS = [
    # x, weights, bias; lanes on a CPU without products of int16, with them in two instructions, in one
    ("uint8", [1, 2, -3], None, F4, F4, I4),
    ("int16", [256, -256], None, F4, F4, I4),  # 2^24
    ("int16", [256, -257], None, F8, I4, I4),
    ("int16", [256, -255], 2**15, F4, F4, I4),  # 2^24 with the bias
    ("int16", [256, -255], -(2**15) - 1, F4_WIDE, I4, I4),
    ("int16", [2**15 - 1, 2**15 - 1], 2**16 - 1, F8, I4, I4),  # 2^31 - 1
    ("int16", [2**15 - 1, -(2**15) + 1], -(2**16), F8, F8, F8),  # 2^31
    ("int16", [-(2**15), 2**15 - 1], 2**15 - 1, F8, I4, I4),  # 2^31 - 1
    ("int16", [-(2**15), -(2**15)], None, F8, F8, F8),  # the one sum that the instruction itself cannot hold
    ("int16", [2**15, 1], None, F8, F8, F8),  # a weight that is no int16
    ("uint16", [256], None, F4, F4, F4),
    ("uint16", [257], None, F8, F8, F8),
    ("int32", [2**20 - 1], 2**31 - 1, F8, F8, F8),  # 2^51 - 1
    ("int32", [2**20 - 1], 2**31, F8_WIDE, F8_WIDE, F8_WIDE),
    ("int32", [2**20], None, I8, I8, I8),  # 2^51
    ("int64", [1], None, I8, I8, I8),
    ("bool", [-(2**15)] * 64, None, F4, F4, I4),
    ("uint8", [128] * 600, None, F4_WIDE, I4, I4),
    ("uint8", [100] * 400 + [2**15] * 1, None, F4_WIDE, F4_WIDE, F4_WIDE),
]


@pytest.mark.parametrize(("x_dtype", "w", "bias", "without", "pairs", "fused"), LIMITS)
def test_lanes_at_the_limits(x_dtype, w, bias, without, pairs, fused, on_a_cpu):
    for shorts, expected in zip(SHORTS, (without, pairs, fused), strict=True):
        if not shorts or machine().shorts:
            on_a_cpu(shorts)
            assert lanes(x_dtype, w, bias) == expected, shorts


def extremes(rng, shape, dtype):
    """The ends of a type, and what is between them."""
    info = np.iinfo(dtype)
    return rng.choice([info.min, info.max, 0, 1], shape).astype(dtype)


WEIGHTS = {
    "f4": ("int16", lambda rng, shape: rng.choice([-18, 18, 1], shape)),  # below 2^24 / 2^15 with 25 taps
    "i4": ("int16", lambda rng, shape: rng.choice([-2600, 2600, 7], shape)),  # below 2^31 / 2^15
    "f8": ("uint16", lambda rng, shape: rng.choice([-(2**15), 2**15 - 1, 40000], shape)),
    "i8": ("int64", lambda rng, shape: rng.choice([-3, 3, 2], shape)),
}
RESULTS = (("int64", "wrap"), ("int32", "saturate"), ("uint8", "saturate"), ("int16", "wrap"), ("uint64", "wrap"))


@pytest.mark.parametrize("tile", ORDERS, ids=lambda tile: tile[0])
@pytest.mark.parametrize("kind", WEIGHTS)
def test_sums_of_all_lanes_in_all_orders(kind, tile, on_a_cpu):
    """Every type of result, with a bias and without, wide rows and narrow ones, several chains, out of any strides."""
    on_a_cpu("fused" if kind == "i4" else "")
    x_dtype, draw = WEIGHTS[kind]
    rng = np.random.default_rng(0)
    for width, filters, k, relu in ((75, 9, 5, None), (9, 1, 5, "relu"), (40, 2, 4, None)):
        x = extremes(rng, (2, 1, 11, width), x_dtype) >> (32 if x_dtype == "int64" else 0)
        w = draw(rng, (filters, 1, k, k)).astype(np.int64)
        assert lanes(x_dtype, w[0].ravel()).scalar == kind
        for bias, (dtype, overflow) in product((None, np.arange(filters) - 3), RESULTS):
            options = {"padding": "same", "data_format": "channels_first", "activation": relu, "dtype": dtype}
            options["overflow"] = overflow
            expected = numconv.conv2d(x, w, bias, **options, method="reference")
            wide = poisoned((*expected.shape[:-1], 2 * expected.shape[-1]), expected.dtype)
            for out in (poisoned(expected.shape, expected.dtype), wide[..., ::2]):
                with forced(*tile):
                    numconv.conv2d(x, w, bias, **options, out=out, threads=1)
                assert same_bits(out, expected), (width, bias is None, dtype, overflow)
            assert (wide[..., 1::2] == 77).all()


@pytest.mark.parametrize("tile", ORDERS, ids=lambda tile: tile[0])
@pytest.mark.parametrize("scale", [1, 300])
def test_chains_that_wait_in_a_wider_result(scale, tile):
    """Rows of 17 taps make 15 of them a chain: what the first chain leaves is read back from int64."""
    rng = np.random.default_rng(1)
    x, w = extremes(rng, (19, 90), "uint8"), rng.integers(-9, 9, (2, 17, 17)) * scale
    expected = numconv.filter_bank(x, w, method="reference")
    with forced(*tile):
        got = numconv.filter_bank(x, w, out=poisoned(expected.shape, expected.dtype))
    assert same_bits(got, expected)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint32", "int32"])
def test_one_value_that_does_not_fit_is_an_error(dtype, data_format):
    """Wherever it is; the largest and the smallest value that fit are none."""
    info, x = np.iinfo(dtype), np.zeros((1, 40, 40), np.int16)
    first = data_format == "channels_first"
    for value, place in product((info.min, info.max, info.min - 1, info.max + 1), ((0, 0), (20, 33), (39, 39))):
        bias, step = (value, 0) if abs(value) > 2**15 else (0, value)
        given = x.copy()
        given[0][place] = step
        w = np.zeros((1, 1, 3, 3), np.int16)
        w[0, 0, 1, 1] = 1
        args = (given, w) if first else (given.transpose(1, 2, 0), w.transpose(2, 3, 1, 0))
        options = {"padding": "same", "data_format": data_format, "dtype": dtype, "bias": np.array([bias])}
        if info.min <= value <= info.max:
            assert (numconv.conv2d(*args, **options)).ravel()[place[0] * 40 + place[1]] == value
        else:
            with pytest.raises(OverflowError, match="conv2d"):
                numconv.conv2d(*args, **options)


@pytest.mark.parametrize("kind", ["depthwise", "grouped", "dense"])
def test_layers_of_short_integers(kind):
    """Channels in lanes, and filters in lanes, of both layouts."""
    rng = np.random.default_rng(2)
    channels, filters, groups = {"depthwise": (64, 64, 64), "grouped": (64, 64, 16), "dense": (48, 70, 1)}[kind]
    x = extremes(rng, (2, 9, 17, channels), "int16")
    w, bias = extremes(rng, (3, 3, channels // groups, filters), "int8"), rng.integers(-9, 9, filters)
    for dtype in ("int64", "int32", "uint8"):
        options = {"padding": "same", "groups": groups, "dtype": dtype, "overflow": "saturate"}
        expected = numconv.conv2d(x, w, bias, **options, method="reference")
        assert same_bits(numconv.conv2d(x, w, bias, **options), expected)
        first = numconv.conv2d(
            x.transpose(0, 3, 1, 2), w.transpose(3, 2, 0, 1), bias, data_format="channels_first", **options
        )
        assert same_bits(first.transpose(0, 2, 3, 1).copy(), expected)
