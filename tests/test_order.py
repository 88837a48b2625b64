"""Products of padding that are skipped, pixels in the order that allows it, and pointwise problems in one row."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest

import numconv
from numconv.cpu import runner

from .forced import forced
from .problems import poisoned, same_bits

PADDED = {
    "7x7": ((5, 7, 7, 16), (3, 3, 16, 64), {"padding": 1}),
    "14x14": ((1, 14, 14, 36), (3, 3, 36, 70), {"padding": "same"}),
    "dilated": ((1, 17, 19, 16), (3, 3, 16, 33), {"padding": 6, "dilation": 6}),
    "stride": ((2, 15, 16, 16), (5, 5, 16, 40), {"padding": ((3, 1), (2, 4)), "stride": 2}),
    "mostly padding": ((1, 3, 2, 16), (5, 5, 16, 24), {"padding": 6}),
    "long rows": ((1, 6, 6, 300), (3, 3, 300, 40), {"padding": 1}),
    "groups": ((2, 9, 9, 64), (3, 3, 32, 48), {"padding": 1, "groups": 2}),
    "flip": ((1, 8, 8, 16), (4, 4, 16, 24), {"padding": "full", "flip": True}),
}
TILES = [(6, 4), (8, 3), (8, 2), (10, 1), (6, 2), (3, 3)]


def both(x, w, bias=None, conv=numconv.conv2d, first=False, **options):
    """(direct with two threads, reference), of data with channels last."""
    if first:
        axes = (-1, *range(w.ndim - 2))
        x, w = np.moveaxis(x, -1, 1), np.transpose(w, (w.ndim - 1, w.ndim - 2, *axes[1:]))
        options["data_format"] = "channels_first"
    expected = conv(x, w, bias, method="reference", **options)
    out = poisoned(expected.shape, expected.dtype)
    return conv(x, w, bias, method="direct", threads=2, out=out, **options), expected


def normal(seed, *shapes, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("tile", TILES, ids=str)
@pytest.mark.parametrize("name", PADDED)
def test_skipping_changes_no_bit(name, tile, first):
    x_shape, w_shape, options = PADDED[name]
    x, w, bias = normal(1, x_shape, w_shape, w_shape[-1:])
    with forced("filters", *tile):
        assert same_bits(*both(x, w, bias, first=first, **options))
    with forced("filters", *tile, block=(1, 4, 5)):
        assert same_bits(*both(x, w, first=first, **options))


@pytest.mark.parametrize("dtype", ["float64", "complex64", "complex128", "float16", "int16"])
def test_other_types(dtype):
    rng = np.random.default_rng(2)
    x, w = ((9 * rng.standard_normal(shape)).astype(dtype) for shape in [(2, 7, 8, 16), (3, 3, 16, 40)])
    assert same_bits(*both(x, w, padding=1))


def test_volumes_and_signals():
    x, w = normal(3, (2, 5, 6, 7, 16), (3, 3, 3, 16, 24))
    assert same_bits(*both(x, w, conv=numconv.conv3d, padding=1))
    x, w = normal(4, (2, 40, 20), (9, 20, 33))
    assert same_bits(*both(x, w, conv=numconv.conv1d, padding="causal", dilation=3))


def pieces(x, w, **options):
    plan = numconv.plan_conv2d(x.shape, w, **options)
    return plan, plan._engine.pieces[0]


@pytest.mark.parametrize("channels", [16, 32])
def test_only_what_is_finite_times_zero_is_skipped(channels):
    """Few weights are packed by NumPy, many by a kernel."""
    x, w = normal(5, (1, 7, 7, channels), (3, 3, channels, 64))
    assert pieces(x, w, padding=1)[1].skip
    assert not pieces(x, w, padding=0)[1].skip
    assert not pieces(x, w, padding=1, pad_mode="edge")[1].skip
    assert not pieces(x, w, padding=1, pad_value=2)[1].skip
    for value in (np.inf, -np.inf, np.nan):
        w[0, 1, 3, 5] = value
        assert not pieces(x, w, padding=1)[1].skip
        result, expected = both(x, w, padding=1)
        assert same_bits(result, expected)
        assert np.isnan(result[0, 0, :, 5]).all()  # infinity times padding


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("flipped", [1, -1])
def test_negative_zero_is_computed_again(dtype, flipped):
    """A negative product below all numbers leaves -0.0, which products of padding behind it turn into +0.0."""
    least = np.finfo(dtype).smallest_subnormal
    x, w = np.full((1, 7, 7, 16), -flipped * 0.0, dtype), np.full((3, 3, 16, 64), flipped * 0.25, dtype)
    x[0, 6, 6, 2] = -flipped * least
    plan, piece = pieces(x, w, padding=1)
    assert piece.skip
    with mock.patch.object(runner, "run", wraps=runner.run) as runs:
        result = plan(x)
    assert runs.call_count == 2
    assert same_bits(result, numconv.conv2d(x, w, padding=1, method="reference"))
    with mock.patch.object(runner, "run", wraps=runner.run) as runs:
        plan(np.ones_like(x))
    assert runs.call_count == 1


def test_pixels_of_pointwise_problems_lie_in_a_row():
    x, w, bias = normal(6, (2, 9, 10, 24), (1, 1, 24, 40), (40,))
    plan, piece = pieces(x, w, bias=bias)
    assert piece.schedule.problem.spatial == (1, 1, 90)
    expected = numconv.conv2d(x, w, bias, method="reference")
    assert same_bits(plan(x), expected)
    assert plan._engine.apart is None
    wide = np.zeros((2, 9, 20, 24), np.float32)
    wide[:, :, ::2] = x
    out = poisoned((2, 40, 10, 9), np.dtype(np.float32)).transpose(0, 3, 2, 1)
    for array, target in ((x, None), (wide[:, :, ::2], None), (x, out), (x.copy("F"), out)):
        assert same_bits(plan(array, target), expected)
    assert plan._engine.apart is not None


def test_pointwise_problems_of_any_axes():
    for shape in [(1, 1, 5, 8), (2, 5, 1, 8), (1, 1, 1, 8), (3, 4, 4, 8)]:
        x, w = normal(7, shape, (1, 1, 8, 20))
        for first in (False, True):
            assert same_bits(*both(x, w, first=first))
    x, w = normal(8, (2, 3, 4, 5, 8), (1, 1, 1, 8, 20))
    assert same_bits(*both(x, w, conv=numconv.conv3d))
    assert same_bits(*both(x[:, ::2], w, conv=numconv.conv3d))
