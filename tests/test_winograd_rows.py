"""`winograd` along one axis, for signals: F(2, 3), F(4, 3) and F(4, 5)."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest

import numconv
from numconv._calls import recipe
from numconv.cpu import methods, winograd

from .problems import DATA, data, same_bits
from .test_winograd import FORMATS

FORMS = {"F(2, 3)": (2, 3, ("1", "2")), "F(4, 3)": (4, 3, ("1", "4")), "F(4, 5)": (4, 5, ("1", "4_5"))}


@pytest.fixture(params=FORMS, autouse=True)
def form(request):
    """All problems by one form."""
    _, taps, form = FORMS[request.param]
    caches = (recipe.cache_clear, winograd.best.cache_clear, methods.chosen.cache_clear)
    for clear in caches:
        clear()
    with mock.patch.dict(winograd.FORMS, {(1, taps): (form,)}):
        yield request.param
    for clear in caches:
        clear()


def problem(
    form, shape, filters, dtype="float32", kind="normal", groups=1, data_format="channels_last", seed=0, **more
):
    """(x, w, bias, options) in the caller's layout."""
    rng, (n, size, C), taps = np.random.default_rng(seed), shape, FORMS[form][1]
    x = data(kind, (n, 1, size, C), rng, axis=2)[:, 0].astype(dtype)
    w = (rng.standard_normal((taps, C // groups, filters)) / np.sqrt(taps * C)).astype(dtype)
    bias = rng.standard_normal(filters).astype(dtype)
    if data_format == "channels_first":
        x, w = np.ascontiguousarray(x.transpose(0, 2, 1)), np.ascontiguousarray(w.transpose(2, 1, 0))
    options = {"padding": (taps - 1) // 2, "groups": groups, "data_format": data_format, "method": "winograd"}
    return x, w, bias, options | more


def last(x, options):
    return x.transpose(0, 2, 1) if options["data_format"] == "channels_first" else x


def share_of_bound(*given):
    """The largest error as a share of its bound."""
    return shares_of_bound(*given).max()


def shares_of_bound(found, x, w, bias, options, form):
    """Errors as shares of 256 * e * T, T of a tile's inputs."""
    outputs, taps, _ = FORMS[form]
    wide, groups = ("f8" if x.dtype == np.float32 else "g"), options["groups"]
    last_w = (w.transpose(2, 1, 0) if options["data_format"] == "channels_first" else w).astype(wide)
    found, x = last(found, options), np.pad(last(x, options), ((0, 0), (options["padding"],) * 2, (0, 0))).astype(wide)
    (_, size, F), C = found.shape, last_w.shape[1]
    exact, total = np.zeros(found.shape, wide), np.zeros(found.shape)
    for g in range(groups):
        channels, filters = slice(g * C, (g + 1) * C), slice(g * (F // groups), (g + 1) * (F // groups))
        for k in range(taps):
            exact[..., filters] += x[:, k : k + size, channels] @ last_w[k][:, filters]
        sizes = np.abs(last_w[..., filters]).sum(axis=0)
        for i in range(0, size, outputs):
            largest = np.abs(x[:, i : i + outputs + taps - 1, channels]).max(axis=1)
            total[:, i : i + outputs, filters] = (largest @ sizes)[:, None]
    info = np.finfo(w.dtype)
    allowed = 128 * float(info.eps) * (total + np.abs(bias)) + taps * C * float(info.smallest_subnormal)
    return np.abs(found - (exact + bias)) / allowed


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize(
    ("shape", "filters", "groups"), [((2, 39, 35), 70, 1), ((1, 3, 64), 16, 1), ((3, 700, 36), 42, 2)], ids=str
)
def test_shapes(shape, filters, groups, data_format, form):
    for dtype in ("float32", "float64"):
        x, w, bias, options = problem(form, shape, filters, dtype, groups=groups, data_format=data_format)
        found = numconv.conv1d(x, w, bias, **options)
        assert share_of_bound(found, x, w, bias, options, form) <= 1
        plan = numconv.plan_conv1d((None, *x.shape[1:]), w, bias, **options)
        assert plan.method == "winograd" and form in plan.explain() and plan.workspace_bytes <= 2 << 20
        for threads in (1, 2, 3):
            assert same_bits(plan(x, threads=threads), found) and same_bits(plan(x[:1], threads=threads), found[:1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", DATA)
def test_error_bound(kind, dtype, form):
    for seed, channels in enumerate((32, 512)):
        x, w, bias, options = problem(form, (2, 203, channels), 64, dtype, kind, seed=seed)
        w = np.abs(w) if kind == "constant" else w
        assert share_of_bound(numconv.conv1d(x, w, bias, **options), x, w, bias, options, form) <= 1


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e30])
def test_values_beyond_the_transforms(value, data_format, form):
    """The tiles that see one are those of `direct`, the others are as if it was not there."""
    outputs, taps, _ = FORMS[form]
    x, w, bias, options = problem(form, (2, 41, 32), 72, data_format=data_format)
    calm = last(numconv.conv1d(x, w, bias, **options), options)
    last(x, options)[1, 22, 5] = value
    with np.errstate(all="ignore"):
        found = last(numconv.conv1d(x, w, bias, **options), options)
        direct = last(numconv.conv1d(x, w, bias, **options | {"method": "direct"}), options)
    seen = np.zeros(found.shape, bool)
    for i in range(0, 41, outputs):
        first = i - options["padding"]
        seen[1, i : i + outputs] = first <= 22 < first + outputs + taps - 1
    assert same_bits(found[~seen], calm[~seen]) and same_bits(found[seen], direct[seen])


@pytest.mark.parametrize("form", ["F(4, 3)", "F(4, 5)"], indirect=True)
def test_auto(form):
    """Whatever the layout and however long the signal; not of few channels."""
    taps = FORMS[form][1]
    for size in (500, 1 << 20):
        for data_format in FORMATS:
            first = data_format == "channels_first"
            shape, w = ((1, 64, size), (64, 64, taps)) if first else ((1, size, 64), (taps, 64, 64))
            plan = numconv.plan_conv1d(shape, np.ones(w, np.float32), data_format=data_format)
            assert plan.method == "winograd" and form in plan.explain()
    few = numconv.plan_conv1d((1, 500, 12), np.ones((taps, 12, 64), np.float32))
    assert few.method == "direct" and "from 16 channels" in few.explain()
