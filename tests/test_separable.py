"""`separable` against exact results: its error bound, and `direct` wherever sums are not finite."""

from __future__ import annotations

import numpy as np
import pytest

import numconv
from numconv._calls import recipe
from numconv.cpu import rank, separable

from .problems import DATA, any_strides, data, poisoned, same_bits

FIRST = {"data_format": "channels_first"}


def vector(size, rng, kind):
    """Taps of one axis."""
    if kind == "gaussian":
        x = np.arange(size) - size // 2
        return np.exp(-x * x / (size * size / 12))
    return rng.standard_normal(size)


def problem(shape, kernel, dtype="float32", terms=1, filters=1, seed=0, kind="normal", **options):
    """(x, w, bias, options): x is (N, C, H, W) with C groups, each with so many filters; channels first."""
    rng = np.random.default_rng(seed)
    x = data(kind, shape, rng).astype(dtype)
    taps = "gaussian" if kind == "gaussian" else "normal"
    count = shape[1] * filters
    w = np.zeros((count, *kernel), dtype)
    for f in range(count):
        if terms == 2:  # filters of two rows or columns are no more than that
            w[f] = rng.standard_normal(kernel)
        else:
            w[f] = np.outer(vector(kernel[0], rng, taps), vector(kernel[1], rng, taps))
    bias = rng.standard_normal(count).astype(dtype)
    return x, w[:, None], bias, FIRST | {"groups": shape[1]} | options


def sums(x, w, options):
    """Of the products of padded x and weights (F, KH, KW), in the type of both."""
    pads, mode = options.get("padding", 0), options.get("pad_mode", "constant")
    pads = ((pads, pads),) * 2 if isinstance(pads, int) else pads
    more = {"constant_values": options.get("pad_value", 0)} if mode == "constant" else {}
    x = np.pad(x, ((0, 0), (0, 0), *pads), mode=mode, **more)
    F, KH, KW = w.shape
    OH, OW = x.shape[2] - KH + 1, x.shape[3] - KW + 1
    x = np.repeat(x, F // x.shape[1], axis=1)
    result = np.zeros((*x.shape[:2], OH, OW), x.dtype)
    for kh in range(KH):
        for kw in range(KW):
            result += x[:, :, kh : kh + OH, kw : kw + OW] * w[:, kh, kw, None, None]
    return result


def assert_within(found, x, w, bias, options):
    """Every result within its bound."""
    worst = shares(found, x, w, bias, options).max()
    assert worst <= 1, float(worst)


def shares(found, x, w, bias, options):
    """Errors as shares of (KH + KW + 8) * e * S'."""
    wide = "f8" if x.dtype == np.float32 else "g"
    columns, rows = rank.factors(w[:, 0])
    sizes = (abs(columns).astype(wide)[:, :, :, None] * abs(rows).astype(wide)[:, :, None, :]).sum(axis=1)
    bias = np.zeros(len(w), wide) if bias is None else bias.astype(wide)
    total = sums(abs(x).astype(wide), sizes, options | {"pad_value": abs(options.get("pad_value", 0))})
    total += abs(bias)[:, None, None]
    exact = sums(x.astype(wide), w[:, 0].astype(wide), options) + bias[:, None, None]
    info, (KH, KW) = np.finfo(x.dtype), w.shape[2:]
    bound = (KH + KW + 8) * info.eps / 2 * total + KH * KW * float(info.smallest_subnormal)
    return abs(found - exact) / bound


def compute(x, w, bias, options, **more):
    return numconv.conv2d(x, w, bias, **options, **({"method": "separable", "threads": 1} | more))


SHAPES = [
    ((1, 1, 3, 16), (3, 3)), ((2, 1, 70, 133), (5, 7)), ((1, 1, 140, 83), (2, 9)), ((1, 2, 41, 161), (4, 3)),
    ((1, 1, 33, 97), (31, 33)), ((1, 1, 5, 700), (2, 2)), ((1, 3, 40, 35), (7, 2)), ((1, 1, 300, 17), (101, 5)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "kernel"), SHAPES, ids=str)
def test_shapes(shape, kernel, dtype):
    for terms in (1, 2) if min(kernel) == 2 else (1,):
        padding = tuple((k // 2, (k - 1) // 2) for k in kernel)
        x, w, bias, options = problem(shape, kernel, dtype, terms, filters=2, padding=padding)
        given = x.copy(), w.copy()
        out = poisoned((shape[0], len(w), *shape[2:]), x.dtype)
        assert compute(x, w, bias, options, out=out) is out
        assert_within(out, x, w, bias, options)
        assert same_bits(x, given[0]) and same_bits(w, given[1])


MODES = [
    {}, {"padding": ((3, 0), (0, 5))}, {"padding": 7, "pad_value": 2.5},
    *({"padding": 30, "pad_mode": mode} for mode in ("edge", "reflect", "symmetric", "wrap")),
]  # fmt: skip


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_padding(mode):
    x, w, bias, options = problem((2, 1, 32, 133), (5, 7), **mode)
    assert_within(compute(x, w, bias, options), x, w, bias, options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", [*DATA, "gaussian"])
def test_error_bound(kind, dtype):
    for seed, (kernel, terms) in enumerate((((3, 3), 1), ((2, 31), 2), ((63, 41), 1), ((15, 15), 1))):
        x, w, bias, options = problem((1, 1, 90, 100), kernel, dtype, terms, 1, seed, kind, padding=1)
        w = abs(w) if kind == "constant" and terms == 1 else w
        assert_within(compute(x, w, bias * 0, options), x, w, bias * 0, options)


NAMED = {
    "sobel": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], "scharr": [[-3, 0, 3], [-10, 0, 10], [-3, 0, 3]],
    "laplacian": [[0, 1, 0], [1, -4, 1], [0, 1, 0]], "both sobels": [[-2, -2, 0], [-2, 0, 2], [0, 2, 2]],
}  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_whole_images_and_weights_are_exact(name):
    x = np.random.default_rng(0).integers(0, 256, (40, 90)).astype("float32")
    found = numconv.correlate(x, np.array(NAMED[name], "float32"), method="separable")
    assert same_bits(found + 0.0, numconv.correlate(x, np.array(NAMED[name], "float32"), method="direct") + 0.0)


@pytest.mark.parametrize("activation", ["relu", ("leaky_relu", 0.3), "tanh"])
def test_activation(activation):
    """That of the plain result; of a result without bias, too."""
    x, w, bias, options = problem((1, 1, 40, 50), (5, 3), filters=2, padding=1)
    for b in (bias, None):
        plain, found = compute(x, w, b, options), compute(x, w, b, options, activation=activation)
        if activation == "tanh":
            assert np.allclose(found, np.tanh(plain), rtol=1e-6, atol=0)
        else:
            slope = np.float32(0 if activation == "relu" else 0.3)
            assert np.array_equal(found, np.where(plain < 0, plain * slope, plain))


def test_same_bits_for_blocks_and_layouts(monkeypatch):
    """Of chunks, blocks and strips; of channels first and last; in place and packed."""
    x, w, bias, options = problem((2, 3, 70, 300), (5, 9), filters=2, padding=((2, 2), (4, 4)))
    expected = compute(x, w, bias, options)
    for ring, chunks in ((448 << 10, (8, 8)), (16 << 10, (32, 16)), (1, (16, 16))):
        with monkeypatch.context() as patch:
            patch.setattr(separable, "RING_BYTES", ring)
            patch.setattr(separable, "CHUNKS", chunks)
            separable.best.cache_clear()
            recipe.cache_clear()
            assert same_bits(compute(x, w, bias, options, threads=2), expected)
    separable.best.cache_clear()
    recipe.cache_clear()
    last = {"padding": options["padding"], "groups": 3, "method": "separable"}
    found = numconv.conv2d(np.moveaxis(x, 1, 3).copy(), np.moveaxis(w, (0, 1), (3, 2)).copy(), bias, **last)
    assert same_bits(np.moveaxis(found, 3, 1), expected)
    rng = np.random.default_rng(0)
    for _ in range(4):
        out = any_strides(np.empty_like(expected), rng)
        if out.flags.writeable:
            assert same_bits(compute(any_strides(x, rng), w, bias, options, out=out), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kernel", "terms"), [((3, 5), 1), ((2, 7), 2), ((33, 17), 1)])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, "huge", "largest"])
def test_values_beyond_range(value, kernel, terms, dtype):
    """What sees one and is not finite is that of `direct`; all others are as if it was not there, or in the bound."""
    number = {"huge": 1e30 if dtype == "float32" else 1e250, "largest": np.finfo(dtype).max}.get(value, value)
    padding = tuple((k // 2, (k - 1) // 2) for k in kernel)
    x, w, bias, options = problem((2, 1, 50, 97), kernel, dtype, terms, padding=padding)
    calm = compute(x, w, bias, options)
    h, k = np.random.default_rng(0).integers((50, 97))
    x[1, 0, h, k] = number
    with np.errstate(all="ignore"):
        found, direct = compute(x, w, bias, options), compute(x, w, bias, options, method="direct")
    seen = np.zeros(found.shape, bool)
    top, left = max(0, h - padding[0][1]), max(0, k - padding[1][1])
    seen[1, 0, top : h + padding[0][0] + 1, left : k + padding[1][0] + 1] = True
    assert same_bits(found[~seen], calm[~seen])
    assert np.array_equal(np.isfinite(found), np.isfinite(direct))
    wild = ~np.isfinite(found)
    assert same_bits(found[wild], direct[wild]) and (value == "huge" or wild[seen].any())
    if value == "huge":
        assert not wild.any()
        assert_within(found, x, w, bias, options)


@pytest.mark.parametrize("mode", [{"padding": 3}, {"padding": 3, "pad_mode": "reflect"}], ids=str)
def test_all_sums_by_direct(mode):
    """In its bits, chains and all: whole rows of overflow that a result does not see."""
    x, w, bias, options = problem((1, 2, 40, 90), (19, 17), filters=2, **mode)
    w[...] = np.abs(w) * np.float32(1e10)
    x *= np.float32(1e28)
    x[:, :, :, ::2] *= -1
    x[0, 0, 7, 8] = np.nan
    for more in ({}, {"activation": "relu"}, {"activation": ("leaky_relu", 0.3), "threads": 3}):
        with np.errstate(all="ignore"):
            found, direct = compute(x, w, bias, options, **more), compute(x, w, bias, options, method="direct", **more)
        wild = ~np.isfinite(direct)
        assert wild.any() and same_bits(found[wild], direct[wild])


@pytest.mark.parametrize("scale", [1e-45, 1e-40, 1e-36, 1e-15, 1e15, 1e36])
def test_scaled_inputs(scale):
    for terms, kernel in ((1, (7, 5)), (2, (2, 9))):
        x, w, bias, options = problem((1, 1, 30, 60), kernel, terms=terms, padding=1)
        x = (x * scale).astype("float32")
        assert_within(compute(x, w, bias * 0, options), x, w, bias * 0, options)


@pytest.mark.parametrize("scale", [1e-25, 1e-10, 1e10, 1e30])
def test_scaled_weights(scale):
    x, w, bias, options = problem((1, 1, 30, 60), (7, 5), padding=1)
    w = (w * scale).astype("float32")
    w = np.outer(w[0, 0, :, 2] / w[0, 0, 3, 2], w[0, 0, 3])[None, None].astype("float32")
    assert_within(compute(x, w, bias * 0, options), x, w, bias * 0, options)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e-42, 3.0])
def test_weights_that_are_no_products(value):
    x, w, bias, options = problem((1, 1, 30, 60), (5, 5))
    w[0, 0, 1, 2] = value
    w[0, 0, 3, 1] = w[0, 0, 4, 4] = 5.0
    with pytest.raises(NotImplementedError, match="conv2d: method is 'separable', but a filter is no sum"):
        compute(x, w, bias, options)
    with pytest.raises(NotImplementedError, match="plan_conv2d: method is 'separable', but a filter"):
        numconv.plan_conv2d(x.shape, w, bias, method="separable", **options)


REFUSED = [
    ({"stride": 2}, "stride 1"), ({"dilation": 2}, "dilation 1"), ({"dtype": "float64"}, "float32 and float64"),
    ({"groups": 1}, "filters of one channel"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "words"), REFUSED)
def test_refusals(options, words):
    x, w, _, given = problem((1, 2, 30, 60), (3, 3))
    w = np.repeat(w, 2, axis=1) if "groups" in options else w
    with pytest.raises(NotImplementedError, match=f"conv2d: method is 'separable', .*{words}"):
        numconv.conv2d(x, w, method="separable", **(given | options))
    narrow = x[..., :12]
    with pytest.raises(NotImplementedError, match="only rows of"):
        numconv.conv2d(narrow, w[:, :1], method="separable", **given)


def test_auto():
    """By the sizes of a sample and the weights alone: the same for a function and a plan, any batch and layout."""
    x, w, bias, options = problem((2, 1, 300, 300), (15, 15), padding=7)
    plan = numconv.plan_conv2d((None, *x.shape[1:]), w, bias, **options)
    assert plan.method == "separable" and "rows, then columns" in plan.explain()
    expected = compute(x, w, bias, options)
    assert same_bits(plan(x), expected) and same_bits(compute(x[:1], w, bias, options, method="auto"), expected[:1])
    other = np.random.default_rng(0).standard_normal(w.shape).astype("float32")
    plan = numconv.plan_conv2d(x.shape, other, bias, **options)
    assert plan.method == "fft" and "refused: a filter is no sum" in plan.explain()
    assert same_bits(plan(x), compute(x, other, bias, options, method="fft"))
    small = numconv.plan_conv2d((1, 1, 200, 200), w, bias, **options)
    assert small.method != "separable" and "from 10,000,000 products" in small.explain()
    assert numconv.plan_conv2d((1, 1, 2000, 2000), w[:, :, :3, :3], bias, **options).method == "direct"


def test_empty_batch_and_bank():
    x, w, bias, options = problem((0, 1, 40, 50), (3, 5))
    assert compute(x, w, bias, options).shape == (0, 1, 38, 46)
    x = np.random.default_rng(0).standard_normal((40, 90, 3)).astype("float32")
    taps = np.outer([1, 3, 3, 1], [1, 2, 1]).astype("float32")
    bank = np.stack([taps, taps[::-1] * 2, 0 * taps])
    found = numconv.filter_bank(x, bank, axes=(0, 1), method="separable")
    direct = numconv.filter_bank(x, bank, axes=(0, 1), method="direct")
    assert found.shape == direct.shape and np.allclose(found, direct, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [(2048, 2048), (100000, 200), (70, 123457)])
@pytest.mark.parametrize("k", [3, 101])
def test_blocks(size, k, dtype):
    """Strips fit blocks, the last ones too; a worker's bytes stay small."""
    plan = numconv.plan_filter_bank(size, np.ones((1, min(k, 31), k), dtype), method="separable")
    layout = plan._engine.pieces[0].schedule.layout
    for out, block in zip(layout.parts.problem.out_spatial[1:], layout.block[1:], strict=True):
        assert out % block == 0 or block is layout.block[1] or out % block >= layout.width
    assert layout.block[2] >= layout.width and plan.workspace_bytes <= 2 << 20
