"""`winograd` against exact results: its error bound, and `direct` wherever that is not enough."""

from __future__ import annotations

from contextlib import contextmanager
from fractions import Fraction
from unittest import mock

import numpy as np
import pytest

import numconv
from numconv._arguments import conv_problem
from numconv._calls import recipe
from numconv.cpu import methods, winograd
from numconv.cpu.kernels import minimal

from .problems import DATA, any_strides, data, poisoned, same_bits

FORMS = {"F2": ("2", "2"), "F4": ("4", "4")}


@contextmanager
def only(form):
    """All problems by one form."""

    def forget():
        recipe.cache_clear()  # problems keep their schedules
        winograd.best.cache_clear()
        methods.chosen.cache_clear()

    forget()
    with mock.patch.dict(winograd.FORMS, {(3, 3): (FORMS[form],)}):
        yield
    forget()


@pytest.fixture(params=FORMS, autouse=True)
def form(request):
    with only(request.param):
        yield request.param


class Fractions:
    """Arithmetic of `minimal`, exact."""

    def add(self, x, y):
        return x + y

    def sub(self, x, y):
        return x - y

    def multiply(self, constant, x):
        return Fraction(constant).limit_denominator(100) * x

    def multiply_add(self, constant, x, y):
        return self.multiply(constant, x) + y


@pytest.mark.parametrize("form", minimal.FORMS)
def test_transforms_are_exact(form):
    outputs, taps = minimal.FORMS[form]
    rng, a = np.random.default_rng(0), Fractions()
    d = [Fraction(int(v)) for v in rng.integers(-50, 50, minimal.points(form))]
    w = [Fraction(int(v)) for v in rng.integers(-50, 50, taps)]
    products = [u * v for u, v in zip(minimal.weights(form, a, w), minimal.forward(form, a, d), strict=True)]
    assert minimal.inverse(form, a, products) == [sum(w[k] * d[i + k] for k in range(taps)) for i in range(outputs)]


def problem(shape, filters, dtype="float32", seed=0, groups=1, kind="normal", **options):
    """(x, w, bias, options) in the caller's layout."""
    rng = np.random.default_rng(seed)
    n, *spatial, C = shape
    x = data(kind, (n, *spatial, C), rng, axis=2).astype(dtype)
    w = (rng.standard_normal((3, 3, C // groups, filters)) / np.sqrt(9 * C)).astype(dtype)
    bias = rng.standard_normal(filters).astype(dtype)
    if options.get("data_format") == "channels_first":
        x, w = np.ascontiguousarray(np.moveaxis(x, -1, 1)), np.ascontiguousarray(w.transpose(3, 2, 0, 1))
    return x, w, bias, options | {"groups": groups}


def last(x, options):
    """An x or a result with channels last."""
    return np.moveaxis(x, 1, -1) if options.get("data_format") == "channels_first" else x


def padded(x, options):
    """x with channels last, as `np.pad` does it."""
    x, pads = last(x, options), options.get("padding", 0)
    pads = ((pads, pads),) * 2 if isinstance(pads, int) else pads
    mode = options.get("pad_mode", "constant")
    more = {"constant_values": options.get("pad_value", 0)} if mode == "constant" else {}
    return np.pad(x, ((0, 0), *pads, (0, 0)), mode=mode, **more)


def bound(x, w, bias, options, form):
    """256 * e * T of every result: T the sum over channels of max|x| in the input tile times sum|w|."""
    m, dtype = int(form[1]), x.dtype
    x = np.abs(padded(x, options).astype("f8"))
    w = np.abs((w.transpose(2, 3, 1, 0) if options.get("data_format") == "channels_first" else w).astype("f8"))
    groups, OH, OW = options["groups"], x.shape[1] - 2, x.shape[2] - 2
    sizes = w.sum(axis=(0, 1))
    result = np.empty((len(x), OH, OW, w.shape[3]))
    C, F = x.shape[3] // groups, w.shape[3] // groups
    for i in range(0, OH, m):
        for j in range(0, OW, m):
            largest = x[:, i : i + m + 2, j : j + m + 2].max(axis=(1, 2))
            for g in range(groups):
                filters = slice(g * F, (g + 1) * F)
                total = largest[:, g * C : (g + 1) * C] @ sizes[:, filters]
                result[:, i : i + m, j : j + m, filters] = total[:, None, None]
    e, tiny = float(np.finfo(dtype).eps) / 2, float(np.finfo(dtype).smallest_subnormal)
    return 256 * e * (result + np.abs(bias)) + 9 * C * tiny


def exact(x, w, bias, options):
    """Results in a wider type, by plain products."""
    wide = "f8" if x.dtype == np.float32 else "g"
    data, last_w = padded(x, options).astype(wide), w
    if options.get("data_format") == "channels_first":
        last_w = w.transpose(2, 3, 1, 0)
    last_w, groups = last_w.astype(wide), options["groups"]
    OH, OW, F, C = data.shape[1] - 2, data.shape[2] - 2, w.size // last_w[:, :, :, 0].size, last_w.shape[2]
    result = np.zeros((len(data), OH, OW, F), wide)
    for g in range(groups):
        filters = slice(g * (F // groups), (g + 1) * (F // groups))
        for kh in range(3):
            for kw in range(3):
                window = data[:, kh : kh + OH, kw : kw + OW, g * C : (g + 1) * C]
                result[..., filters] += np.tensordot(window, last_w[kh, kw][:, filters], 1)
    return result + bias


def compute(x, w, bias, options, **more):
    return numconv.conv2d(x, w, bias, **options, **({"method": "winograd", "threads": 1} | more))


def assert_within(found, x, w, bias, options, form):
    """Every finite result within its bound."""
    with np.errstate(all="ignore"):
        error = np.abs(last(found, options) - exact(x, w, bias, options))
        worst = error / bound(x, w, bias, options, form)
    assert worst.max() <= 1, worst.max()


SHAPES = [
    ((1, 8, 8, 32), 64), ((2, 9, 11, 35), 40), ((1, 1, 1, 16), 1), ((3, 7, 7, 70), 130), ((1, 5, 40, 64), 33),
    ((2, 14, 14, 300), 64), ((1, 30, 3, 17), 16), ((1, 12, 12, 513), 20), ((9, 3, 2, 20), 48),
]  # fmt: skip
MODES = [
    {"padding": 1}, {}, {"padding": ((3, 0), (0, 5))}, {"padding": 7, "pad_value": 2.5},
    *({"padding": 4, "pad_mode": mode} for mode in ("edge", "reflect", "symmetric", "wrap")),
]  # fmt: skip
FORMATS = ("channels_last", "channels_first")


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "filters"), SHAPES, ids=str)
def test_shapes(shape, filters, dtype, data_format, form):
    x, w, bias, options = problem(shape, filters, dtype, data_format=data_format, padding=1)
    given = x.copy(), w.copy()
    out = poisoned(compute(x, w, bias, options).shape, x.dtype)
    assert compute(x, w, bias, options, out=out) is out
    assert_within(out, x, w, bias, options, form)
    assert same_bits(x, given[0]) and same_bits(w, given[1])


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_padding(mode, data_format, form):
    x, w, bias, options = problem((2, 10, 13, 32), 48, data_format=data_format, **mode)
    assert_within(compute(x, w, bias, options), x, w, bias, options, form)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", DATA)
def test_error_bound(kind, dtype, form):
    for seed, channels in enumerate((32, 512)):
        x, w, bias, options = problem((1, 18, 21, channels), 64, dtype, seed, kind=kind, padding=1)
        if kind == "constant":
            w = np.abs(w)
        assert_within(compute(x, w, bias, options), x, w, bias, options, form)


@pytest.mark.parametrize("groups", [2, 3])
@pytest.mark.parametrize("data_format", FORMATS)
def test_groups(groups, data_format, form):
    x, w, bias, options = problem((2, 9, 9, 36), 42, groups=groups, data_format=data_format, padding=1)
    assert_within(compute(x, w, bias, options), x, w, bias, options, form)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("activation", ["relu", ("leaky_relu", 0.3), "tanh"])
@pytest.mark.parametrize("filters", [64, 70])
def test_activation(activation, filters, data_format):
    """That of the plain result; of a result without bias, too."""
    x, w, bias, options = problem((1, 9, 10, 32), filters, data_format=data_format, padding=1)
    for b in (bias, None):
        plain, found = compute(x, w, b, options), compute(x, w, b, options, activation=activation)
        if activation == "tanh":
            assert np.allclose(found, np.tanh(plain), rtol=1e-6, atol=0)
        else:
            slope = np.float32(0 if activation == "relu" else 0.3)
            assert np.array_equal(found, np.where(plain < 0, plain * slope, plain))


@pytest.mark.parametrize("data_format", FORMATS)
def test_same_bits_for_threads_batches_and_strides(data_format):
    x, w, bias, options = problem((5, 22, 30, 40), 72, data_format=data_format, padding=1)
    expected = compute(x, w, bias, options)
    for threads in (2, 4, 16):
        assert same_bits(compute(x, w, bias, options, threads=threads), expected)
    plan = numconv.plan_conv2d((None, *x.shape[1:]), w, bias, method="winograd", **options)
    assert same_bits(np.concatenate([plan(x[:1]), plan(x[1:4], threads=2), plan(x[4:])]), expected)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        strided = any_strides(x, rng)
        assert same_bits(compute(strided, w, bias, options), expected)
        out = any_strides(np.empty_like(expected), rng)
        if out.flags.writeable:
            assert same_bits(compute(x, w, bias, options, out=out), expected)
    for order in (np.asfortranarray, lambda a: a.astype(a.dtype.newbyteorder())):
        assert same_bits(compute(order(x), order(w), bias, options), expected)


def test_same_bits_for_any_block(form):
    """Tiles are counted from the sample's first, whatever tile of the micro-kernel and block computes them."""
    x, w, bias, options = problem((3, 21, 26, 300), 50, padding=1)
    expected = compute(x, w, bias, options)
    plan = numconv.plan_conv2d(x.shape, w, bias, method="winograd", **options)
    alone = [one for one in winograd.layouts(plan._problem, FORMS[form]) if one.samples == 1]
    assert len(alone) > 4
    for layout in alone[:: len(alone) // 4]:
        recipe.cache_clear()
        with mock.patch.object(winograd, "best", lambda p, one=layout: (one, 1.0)):
            assert same_bits(compute(x, w, bias, options), expected)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, "huge", "largest"])
def test_values_beyond_the_transforms(value, dtype, data_format, form):
    """A tile that sees one is that of `direct`, the others are as if it was not there."""
    m = int(form[1])
    number = {"huge": 1e30 if dtype == "float32" else 1e250, "largest": np.finfo(dtype).max}.get(value, value)
    for seed in range(4):
        x, w, bias, options = problem((2, 13, 18, 32), 72, dtype, seed, data_format=data_format, padding=1)
        calm = compute(x, w, bias, options)
        rng = np.random.default_rng(seed)
        view = last(x, options)
        n, h, k = rng.integers(2), rng.integers(13), rng.integers(18)
        view[n, h, k, rng.integers(32)] = number
        with np.errstate(all="ignore"):
            found = last(compute(x, w, bias, options), options)
            direct = last(compute(x, w, bias, options, method="direct"), options)
        seen = np.zeros(found.shape, bool)
        for i in range(0, 13, m):
            for j in range(0, 18, m):
                if i - 1 <= h <= i + m and j - 1 <= k <= j + m:
                    seen[n, i : i + m, j : j + m] = True
        assert same_bits(found[~seen], last(calm, options)[~seen])
        assert same_bits(found[seen], direct[seen])


NEAR = [
    {"padding": 1}, {}, {"padding": ((2, 0), (0, 1))}, {"padding": 2, "pad_value": 2.5},
    *({"padding": 2, "pad_mode": mode} for mode in ("edge", "reflect", "symmetric", "wrap")),
]  # fmt: skip
"""Padding so narrow that every tile sees samples of two rows."""


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("mode", NEAR, ids=str)
@pytest.mark.parametrize(("channels", "filters", "groups"), [(32, 64, 1), (300, 37, 1), (36, 42, 2)])
def test_all_tiles_by_direct(channels, filters, groups, mode, data_format):
    """In its bits: bias, activations, layouts, tails; where values are so large that squares of results overflow."""
    x, w, bias, options = problem((2, 9, 11, channels), filters, groups=groups, data_format=data_format, **mode)
    last(x, options)[:, ::2, :, 3 :: channels // groups // 2] *= 1e25
    last(x, options)[:, 4, 4, 0] = np.nan
    for more in ({}, {"activation": "relu"}, {"activation": ("leaky_relu", 0.3), "threads": 3}):
        with np.errstate(all="ignore"):
            found = compute(x, w, bias, options, **more)
            assert same_bits(found, compute(x, w, bias, options, method="direct", **more))


@pytest.mark.parametrize("scale", [1e-45, 1e-40, 1e-36, 1e-25, 1e-15, 1e15, 1e25, 1e37])
def test_scaled_inputs(scale, form):
    x, w, bias, options = problem((1, 11, 11, 64), 64, padding=1)
    x, bias = (x * scale).astype("float32"), bias * 0
    x[:, :5] = 0
    with np.errstate(all="ignore"):
        assert_within(compute(x, w, bias, options), x, w, bias, options, form)


@pytest.mark.parametrize("scale", [1e-43, 1e-40, 1e-30, 1e-10, 1e10, 1e30, np.inf, np.nan])
def test_scaled_weights(scale, form):
    """A filter that could overflow or underflow leaves the problem to `direct`."""
    x, w, bias, options = problem((1, 11, 11, 64), 64, padding=1)
    w[..., 5] *= np.float32(scale)
    plan = numconv.plan_conv2d(x.shape, w, bias, method="winograd", **options)
    assert plan.method == ("winograd" if 1e-15 < scale < 1e15 else "direct")
    with np.errstate(all="ignore"):
        found = plan(x)
        if plan.method == "direct":
            assert same_bits(found, compute(x, w, bias, options, method="direct"))
            assert "refused: a filter" in plan.explain()
        else:
            assert_within(found, x, w, bias, options, form)


def test_zeros():
    x, w, bias, options = problem((1, 9, 9, 32), 64, padding=1)
    w[..., 3] = 0
    plan = numconv.plan_conv2d(x.shape, w, bias, method="winograd", **options)
    assert plan.method == "winograd"
    assert np.array_equal(plan(x)[..., 3], np.full((1, 9, 9), bias[3]))
    assert np.array_equal(plan(x * 0), np.broadcast_to(bias, (1, 9, 9, 64)))


def test_empty_batch_and_planes_of_a_volume(form):
    x, w, bias, options = problem((0, 9, 9, 32), 64, padding=1)
    assert compute(x, w, bias, options).shape == (0, 9, 9, 64)
    x, w, bias, options = problem((6, 9, 9, 32), 64, padding=1)
    flat = compute(x, w, bias, options)
    volume = numconv.conv3d(x[None], w[None], bias, padding=((0, 0), (1, 1), (1, 1)), method="winograd")
    assert same_bits(volume[0], flat)


REFUSED = [
    ({"stride": 2}, "stride 1"), ({"dilation": 2}, "dilation 1"), ({"dtype": "float64"}, "float32 and float64"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "words"), REFUSED)
def test_refusals(options, words):
    x, w, _, _ = problem((1, 9, 9, 32), 32)
    with pytest.raises(NotImplementedError, match=f"conv2d: method is 'winograd', .*{words}"):
        numconv.conv2d(x, w, method="winograd", **options)
    plan = numconv.plan_conv2d(x.shape, w, **options)
    assert plan.method == "direct" and words in plan.explain()
    with pytest.raises(NotImplementedError, match="kernels of 3x3"):
        numconv.conv2d(x, w[:2], method="winograd")
    with pytest.raises(NotImplementedError, match="channels"):
        numconv.conv2d(x[..., :2], w[:, :, :2], method="winograd")


@pytest.mark.parametrize("data_format", FORMATS)
def test_auto(data_format, form):
    """By the sizes of a sample alone: the same for a function and a plan, any batch and layout."""
    x, w, bias, options = problem((2, 28, 28, 64), 64, data_format=data_format, padding=1)
    plan = numconv.plan_conv2d((None, *x.shape[1:]), w, bias, **options)
    assert plan.method == "winograd" and " winograd " in str(plan)
    name = {"F2": "F(2x2, 3x3)", "F4": "F(4x4, 3x3)"}[form]
    lines = plan.explain().splitlines()
    assert [line.split()[0] for line in lines[1:]] == [
        "direct",
        *methods.OTHERS,
        "roofline",
        "reference",
    ] and name in lines[2]
    expected = compute(x, w, bias, options)
    assert same_bits(plan(x), expected) and same_bits(compute(x[:1], w, bias, options, method="auto"), expected[:1])
    few, w, _, options = problem((1, 28, 28, 12), 64, data_format=data_format)
    plan = numconv.plan_conv2d(few.shape, w, **options)
    assert plan.method == "direct" and "from 16 channels" in plan.explain()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("size", "channels"), [(224, 64), (112, 128), (28, 512), (7, 512), (5, 1024)])
def test_workspace_is_small(size, channels, dtype, form):
    """And the choice is that of any layout."""
    last, first = (layer(size, channels, dtype, data_format) for data_format in FORMATS)
    for each in (last, first):
        assert winograd.refusal(each) or winograd.build(each).slot_bytes <= 2 << 20
    assert methods.chosen(last) == methods.chosen(first)
    assert winograd.refusal(last) == winograd.refusal(first)


def layer(size, channels, dtype, data_format):
    """The problem of a square layer, without arrays."""
    x, w = (1, size, size, channels), (3, 3, channels, channels)
    if data_format == "channels_first":
        x, w = (1, channels, size, size), w[::-1]
    more = {"bias_shape": None, "bias_dtype": None, "padding": 1, "data_format": data_format}
    return conv_problem("conv2d", 2, x, np.dtype(dtype), w, np.dtype(dtype), **more)[0]
