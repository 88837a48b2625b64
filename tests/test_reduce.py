"""Reductions of maps that are never written: their meaning, and the same bits however they come about."""

from __future__ import annotations

import math
import pickle
from unittest import mock

import numpy as np
import pytest

import numconv
from numconv._calls import recipe
from numconv._reductions import REDUCTIONS
from numconv.cpu import cache, layer, proof, reductions, runner

from .forced import forced, shapes
from .problems import Case, arrays, poisoned, same_bits
from .test_same_bits import strided

CONV = {1: numconv.conv1d, 2: numconv.conv2d, 3: numconv.conv3d}
PLAN = {1: numconv.plan_conv1d, 2: numconv.plan_conv2d, 3: numconv.plan_conv3d}
FIRST = {"data_format": "channels_first"}
SHAPES = (
    ("series", 3, (70,), 1, 40, (9,), 1, {"dilation": 3, "padding": "same"}),
    ("series", 2, (33,), 2, 3, (4,), 1, {"stride": 2, "padding": "full", **FIRST}),
    ("image", 2, (9, 21), 6, 18, (3, 2), 3, {"padding": 1, "pad_mode": "edge"}),
    ("image", 2, (9, 21), 3, 2, (3, 3), 1, {"activation": "relu", **FIRST}),
    ("points", 1, (4, 5), 4, 5, (1, 1), 1, {"activation": ("leaky_relu", 0.3)}),
    ("chains", 1, (6, 7), 140, 5, (2, 3), 1, FIRST),
    ("volume", 1, (4, 5, 18), 2, 9, (2, 3, 3), 1, {}),
    ("volume", 2, (4, 5, 6), 2, 1, (2, 2, 2), 1, FIRST),
)
CASES = [Case(f"{name}{i}", *sizes, bias=True, options=options) for i, (name, *sizes, options) in enumerate(SHAPES)]
TYPES = ("float16", "float64", "int8", "uint64")
TYPED = [
    Case(f"{dtype}.{len(options)}", 2, (6, 19), 2, filters, (2, 3), x_dtype=dtype, bias=True, options=options)
    for dtype in TYPES
    for filters, options in ((17, {}), (2, FIRST))
]
every_case = pytest.mark.parametrize("case", CASES + TYPED, ids=lambda case: case.name)


def compute(case, x, w, bias, **more):
    return CONV[case.ndim](x, w, bias, **{**case.keywords, "method": "direct", **more})


def problem(case):
    return arrays(case, np.random.default_rng(len(case.name)))


def maps_of(case, x, w, bias):
    """(N, F, pixels): maps as they are without reductions."""
    maps = compute(case, x, w, bias)
    maps = maps if case.keywords.get("data_format") == "channels_first" else np.moveaxis(maps, -1, 1)
    return maps.reshape(*maps.shape[:2], -1), maps.shape[-1]


def by_hand(maps, width):
    """The reductions, value by value in Python."""
    real = maps.dtype if maps.dtype.kind == "f" else np.float64
    top, mean, ppv = [], [], []
    for values in maps.reshape(-1, maps.shape[-1]).tolist():
        top.append(math.nan if any(v != v for v in values) else max(values, key=lambda v: (v, math.copysign(1, v))))
        rows = [0.0] * (len(values) // width)
        for i, value in enumerate(values):
            rows[i // width] += float(value)
        total = 0.0
        for row in rows:
            total += row
        mean.append(total / len(values))
        ppv.append(sum(v > 0 for v in values) / len(values))
    kinds = (maps.dtype if maps.dtype.kind == "f" else np.int64, real, real)
    return tuple(np.array(v).astype(t).reshape(maps.shape[:2]) for v, t in zip((top, mean, ppv), kinds, strict=True))


def all_same(got, expected):
    return len(got) == len(expected) and all(map(same_bits, got, expected))


@pytest.fixture
def parallel(monkeypatch):
    """Threads for calls of microseconds."""
    monkeypatch.setattr(runner, "HANDOVER", 0.0)
    monkeypatch.setattr(runner, "KEEP_GIL", 0.0)
    monkeypatch.setattr(layer, "parallel", lambda: None)


@every_case
def test_what_they_are(case):
    """By compiled kernels, and by the reference."""
    x, w, bias = problem(case)
    expected = by_hand(*maps_of(case, x, w, bias))
    for method in ("direct", "reference"):
        assert all_same(compute(case, x, w, bias, reduce=REDUCTIONS, method=method), expected), method
    assert same_bits(compute(case, x, w, bias, reduce="ppv"), expected[2])


@pytest.mark.parametrize("options", [{}, FIRST], ids=["last", "first"])
@pytest.mark.parametrize("filters", [1, 5, 40])
def test_nan_infinity_and_signs_of_zero(filters, options):
    """Maps of one product each, so that x and the signs of the weights say what is in them."""
    case = Case("special", 8, (3, 37), 1, filters, (1, 1), options=options)
    x = np.full((8, 3, 37), -1.0, np.float32)
    x[1], x[2] = -1e-40, np.where(np.arange(37) == 20, 0.0, -1e-40)  # products that round to -0.0
    x[3, 1, 5], x[4, 2, 36], x[5] = np.nan, np.inf, -np.inf
    x[6, 0, 3], x[6, 1, 3] = np.inf, -np.inf
    x[7, 0, :2] = np.array([0xFFC00000, 0x7FC00000], np.uint32).view(np.float32)  # NaN of both signs
    w = np.where(np.arange(filters) % 3 == 1, -1e-9, 1e-9).astype(np.float32)
    x, w = x.reshape(case.shapes()[0]), w.reshape(case.shapes()[1])
    expected = by_hand(*maps_of(case, x, w, None))
    got = compute(case, x, w, None, reduce=REDUCTIONS)
    assert all_same(got, expected)
    assert np.signbit(got[0][1:3, 0]).tolist() == [True, False] and np.isnan(got[0][[3, 7]]).all()


@pytest.mark.parametrize("case", CASES[::2] + CASES[3:4], ids=lambda case: case.name)
def test_same_bits_for_threads_batches_blocks_and_strides(case, parallel, monkeypatch):
    x, w, bias = problem(case)
    options = {"reduce": REDUCTIONS}
    expected = compute(case, x, w, bias, threads=1, **options)
    for threads in (2, 3, 4):
        assert all_same(compute(case, x, w, bias, threads=threads, **options), expected)
    many = compute(case, np.concatenate([x] * 9), w, bias, threads=2, **options)
    assert all_same(many, [np.concatenate([one] * 9) for one in expected])
    assert all_same(compute(case, x[-1], w, bias, **options), [one[-1] for one in expected])
    monkeypatch.setattr(reductions, "RECORDS_BYTES", 1)  # sample by sample
    for array in strided(x):
        assert all_same(compute(case, array, w, bias, threads=2, **options), expected)
    swapped = x.astype(x.dtype.newbyteorder())
    assert all_same(compute(case, swapped, w, bias, **options), expected)
    for tile in {shape[0]: shape for shape in shapes()}.values():
        for block in ((1, 1, 3), (1, 2, 33)):
            with forced(*tile, block, REDUCED_BYTES=1 << 10, PACKED_BYTES=1 << 10):
                assert all_same(compute(case, x, w, bias, threads=3, **options), expected), (tile, block)


@pytest.mark.parametrize(("case", "activation"), [(CASES[0], "sigmoid"), (CASES[3], "tanh")], ids=str)
def test_other_activations(case, activation):
    x, w, bias = problem(case)
    case = Case(**{**vars(case), "options": case.options | {"activation": activation}})
    assert all_same(compute(case, x, w, bias, reduce=REDUCTIONS), by_hand(*maps_of(case, x, w, bias)))


def test_filter_bank():
    rng = np.random.default_rng(0)
    x, filters = rng.standard_normal((2, 8, 3, 20)), rng.standard_normal((4, 3, 5))
    for axes, shape in (((1, 3), (2, 3, 4)), (None, (2, 8, 4))):
        maps = numconv.filter_bank(x, filters, axes=axes)
        got = numconv.filter_bank(x, filters, axes=axes, reduce=("mean", "max"))
        assert got[0].shape == got[1].shape == shape
        assert np.abs(got[0] - maps.mean((-2, -1))).max() < 1e-14 and same_bits(got[1], maps.max((-2, -1)))
        for array in strided(x):
            assert all_same(numconv.filter_bank(array, filters, axes=axes, reduce=("mean", "max")), got)
    assert numconv.filter_bank(x[0, 0], filters, reduce="max").shape == (4,)
    plan = numconv.plan_filter_bank((None, 3, 20), filters, x_dtype=float, reduce="ppv")
    assert plan.output_shape == (None, 4) and plan(x[0]).shape == (8, 4)


def test_plans():
    case = CASES[2]
    x, w, bias = problem(case)
    plan = PLAN[2]((None, *x.shape[1:]), w, bias, **case.keywords, reduce=["max", "ppv"])
    expected = compute(case, x, w, bias, reduce=("max", "ppv"))
    for one in (plan, pickle.loads(pickle.dumps(plan))):
        assert all_same(one(x), expected) and all_same(one(x[:1]), [part[:1] for part in expected])
    assert plan.output_shape == (None, 18) and plan.method == "direct"
    assert "_max+ppv " in str(plan) and "maps are not written" in plan.explain()
    size = reductions.sample_bytes(plan._engine.pieces[0].schedule)
    assert size < plan.workspace_bytes <= 8 << 20
    assert PLAN[2](x.shape, w, **case.keywords, reduce="max", method="reference").method == "reference"


def test_out():
    case = CASES[0]
    x, w, bias = problem(case)
    expected = compute(case, x, w, bias, reduce=REDUCTIONS)
    outs = tuple(poisoned((3, 80), np.dtype(np.float32))[:, ::2] for _ in REDUCTIONS)
    assert compute(case, x, w, bias, reduce=REDUCTIONS, out=outs) is outs and all_same(outs, expected)
    one = poisoned((3, 40), np.dtype(np.float32))
    assert compute(case, x, w, bias, reduce="mean", out=one) is one and same_bits(one, expected[1])
    for wrong, error in (
        (outs[:2], TypeError), (one, TypeError), (list(outs), TypeError), ((*outs[:2], one[:2]), ValueError),
        ((*outs[:2], one.astype("f8")), ValueError),
    ):  # fmt: skip
        outs[0][...] = 7
        with pytest.raises(error, match="out"):
            compute(case, x, w, bias, reduce=REDUCTIONS, out=wrong)
        assert (outs[0] == 7).all()


def test_types_and_overflow():
    x, w = np.full((1, 9, 1), 200, np.uint8), np.ones((2, 1, 20), np.uint8)
    top, mean = numconv.conv1d(x, w, reduce=("max", "mean"))
    assert (top.dtype, mean.dtype) == (np.int64, np.float64) and (top == 400).all() and (mean == 400).all()
    assert numconv.conv1d(x, w, dtype="float32", reduce="mean").dtype == np.float32
    for data_format, weights in (("channels_last", w), ("channels_first", w.T[:2])):
        given = {"reduce": "max", "dtype": "uint8", "data_format": data_format}
        signal = x if data_format == "channels_last" else x.reshape(1, 1, 9)
        with pytest.raises(OverflowError, match=r"conv1d.*uint8"):
            numconv.conv1d(signal, weights, **given)
        assert (numconv.conv1d(signal, weights, **given, overflow="saturate") == 255).all()
    large = np.full((1, 3, 1), 2**63 + 5, np.uint64)
    for method in ("direct", "reference"):
        with pytest.raises(OverflowError, match=r"conv1d.*int64"):
            numconv.conv1d(large, w[:1], reduce="max", method=method)
        assert numconv.conv1d(large, w[:1], reduce="mean", method=method)[0, 0] == 2.0**63


def test_empty():
    w = np.ones((3, 2, 5), np.float32)
    got = numconv.conv1d(np.ones((0, 8, 2), np.float32), w, reduce=("max", "ppv"))
    assert [one.shape for one in got] == [(0, 5)] * 2
    assert numconv.conv1d(np.ones((8, 2), np.float32), w, reduce="max").shape == (5,)
    with pytest.raises(ValueError, match="output is empty"):
        numconv.conv1d(np.ones((1, 2, 2), np.float32), w, reduce="max")


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"reduce": "maximum"}, ValueError, "reduce is 'maximum'.*did you mean 'max'"),
        ({"reduce": ()}, ValueError, "at least one"),
        ({"reduce": ("max", 1)}, TypeError, "reduce is 1"),
        ({"reduce": True}, TypeError, "reduce is True"),
        ({"reduce": "max", "dtype": "complex64"}, ValueError, "complex"),
        ({"reduce": "max", "method": "winograd"}, NotImplementedError, "'winograd' does not do"),
    ],
    ids=str,
)
def test_errors(given, error, words):
    with pytest.raises(error, match=f"conv1d: .*{words}"):
        numconv.conv1d(np.ones((1, 8, 2), np.float32), np.ones((3, 2, 5), np.float32), **given)


def test_wrong_kernels_are_found(monkeypatch):
    """Of other reductions: they are compiled anew, and then not used."""
    x, w = np.ones((2, 9, 3), np.float32), np.ones((3, 3, 20), np.float32)
    compile_kernel = cache._compile

    def compiled(factory, params):
        if factory == "reduce.reduce":
            params = (*params[:5], "ppv", *params[6:])
        return compile_kernel(factory, params)

    monkeypatch.setenv("NUMCONV_CACHE", "0")
    for module, name, value in (
        (cache, "_ADDRESSES", {}), (cache, "_REFUSED", set()), (proof, "proved", set()), (proof, "_refused", set()),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    recipe.cache_clear()
    with mock.patch.object(cache, "_compile", compiled), pytest.warns(RuntimeWarning, match=r"numconv.reference"):
        assert (numconv.conv1d(x, w, reduce="max") == 9).all()
    recipe.cache_clear()
