"""Signals in blocks: errors as those of products of tensor cores; borders, tails, layouts, what is not finite."""

import numpy as np
import pytest

from numconv._arguments import conv_problem
from numconv.cuda import tensor, toeplitz, warpgroup
from numconv.cuda.kernels.warpgroup_tile import Tile

from ..problems import Case, poisoned
from .device import CONV, arrays, only, same_bits, simulated, to_device

FIRST = {"data_format": "channels_first"}
LAYOUTS = pytest.mark.parametrize("layout", [{}, FIRST], ids=["last", "first"])
BOUNDS = {"3xtf32": 2.0**-19.5, "tf32": 2.0**-10 * 1.02, "bf16": 2.0**-7 * 1.02}
"""Of products and sums."""


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Blocks, tiles and threads for the simulator; whatever the estimate says."""
    monkeypatch.setattr(toeplitz, "pays", lambda problem, samples: True)
    if simulated():
        monkeypatch.setattr(toeplitz, "BLOCKS", (16,))
        monkeypatch.setattr(tensor, "TINY", True)
        for module in (tensor, toeplitz, warpgroup):
            monkeypatch.setattr(module, "THREADS", 32)


def signal(precision, size, taps, filters=1, n=1, bias=True, x_dtype="float32", w_dtype="", **options):
    """(a case, its arrays)."""
    case = Case("toeplitz", n, (size,), 1, filters, (taps,), 1, x_dtype, w_dtype, bias=bias, options=options)
    return case, arrays(case, np.random.default_rng(size + taps))


def result_of(case, precision, x, w, bias, name="toeplitz tensor"):
    """By the kernel, into a poisoned array."""
    expected = CONV[1](x, w, bias, **case.keywords, method="reference")
    out = to_device(poisoned(expected.shape, expected.dtype))
    with only(name) as taken:
        assert CONV[1](to_device(x), w, bias, **case.keywords, precision=precision, out=out) is out
        assert taken
    return out.copy_to_host(), expected


def agrees(precision, size, taps, filters=1, n=1, name="toeplitz tensor", **options):
    """Sums without an activation, within their bound."""
    case, operands = signal(precision, size, taps, filters, n, **options)
    found, expected = result_of(case, precision, *operands, name)
    keywords = {key: value for key, value in case.keywords.items() if key != "dtype"}
    exact, scale = (
        CONV[1](*(change(array).astype(np.float64) for array in operands), **keywords, method="reference")
        for change in (np.asarray, np.abs)
    )
    half = operands[0].dtype == operands[1].dtype == np.float16
    allowed = (2.0**-20 if half else BOUNDS[precision]) * scale
    if found.dtype == np.float16:
        allowed += np.abs(exact) * 2.0**-11
    assert (np.abs(found - exact) <= allowed).all()
    assert half or (found != expected).any()


def exact(precision, size, taps, filters=1, n=1, name="toeplitz tensor", **options):
    """Small whole numbers, of which nothing is rounded: the reference's results."""
    case, operands = signal(precision, size, taps, filters, n, **options)
    rng = np.random.default_rng(taps)
    operands = [array if array is None else rng.integers(-8, 9, array.shape).astype(array.dtype) for array in operands]
    found, expected = result_of(case, precision, *operands, name)
    assert same_bits(found + 0, expected + 0), case


@pytest.mark.parametrize("precision", BOUNDS)
def test_errors(precision):
    agrees(precision, 180, 100, padding="same")
    agrees(precision, 150, 65, 3, n=2, **FIRST)


def test_half():
    agrees("tf32", 150, 70, x_dtype="float16")
    agrees("bf16", 150, 70, 2, x_dtype="float16", padding="causal", **FIRST)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
def test_borders(mode):
    value = {"pad_value": 1.5} if mode == "constant" else {}
    exact("tf32", 90, 66, padding=((37, 20),), pad_mode=mode, **value)


@LAYOUTS
def test_tails_and_filters(layout):
    """Results that fill blocks, that fill them but for one, and fewer than a block has."""
    for size, taps, filters in ((112, 65, 1), (111, 65, 2), (84, 81, 5)):
        exact("tf32", size, taps, filters, n=2, **layout)


def test_long_filters():
    exact("bf16", 380, 300)
    exact("3xtf32", 420, 257, flip=True, **FIRST)


@LAYOUTS
def test_what_follows(layout):
    """Bias, activation, conversion."""
    exact("tf32", 100, 70, 3, activation="relu", dtype="float16", **layout)
    exact("tf32", 100, 70, activation="leaky_relu", **layout)
    exact("tf32", 100, 70, 2, dtype="int16", overflow="saturate", x_dtype="uint8", w_dtype="float32", **layout)


def test_strides():
    """Of x and the result, which go backwards and have gaps."""
    case, (x, w, _) = signal("tf32", 100, 70, bias=False, **FIRST)
    x, w = np.rint(4 * x), np.rint(4 * w)
    given, result = np.repeat(x, 2, 2)[:, :, ::-2], np.zeros((1, 1, 31, 3), np.float32)[..., ::-1][..., 1]
    out = to_device(result)
    with only("toeplitz tensor") as taken:
        CONV[1](to_device(given), w[:, :, ::-1], **case.keywords, precision="tf32", out=out)
        assert taken
    assert same_bits(out.copy_to_host() + 0, CONV[1](given, w[:, :, ::-1], **case.keywords, method="reference") + 0)


@LAYOUTS
@pytest.mark.parametrize("value", [np.nan, -np.inf, 3.4e38])
def test_samples_that_are_not_finite(layout, value):
    """They reach exactly those results that see them, as large ones that rounding makes infinite."""
    case, (x, w, _) = signal("tf32", 500, 70, 2, n=2, bias=False, padding="same", **layout)
    w *= 0.01
    x.reshape(2, -1)[1, 300] = value
    x.reshape(2, -1)[1, 499] = value
    check_strange(case, x, w)


def test_padding_that_is_not_finite():
    case, (x, w, _) = signal("tf32", 400, 70, bias=False, padding=((3, 0),), pad_value=np.inf)
    check_strange(case, x, w)


@LAYOUTS
def test_weights_that_are_not_finite(layout):
    """They reach all results of their filter, and no other one."""
    case, (x, w, _) = signal("tf32", 120, 80, 3, bias=False, **layout)
    w[(1, 0, 4) if layout else (4, 0, 1)] = -np.inf
    check_strange(case, x, w)


def check_strange(case, x, w):
    found, expected = result_of(case, "bf16", x, w, None)
    wide = CONV[1](x.astype(np.float64), w.astype(np.float64), **case.keywords, method="reference")
    scale = CONV[1](np.abs(x).astype(np.float64), np.abs(w).astype(np.float64), **case.keywords, method="reference")
    strange = ~np.isfinite(expected) | (scale > 1e30)
    assert 0 < strange.sum() < expected.size // 2
    np.testing.assert_array_equal(found[strange], expected[strange])
    assert (np.abs(found - wide) <= BOUNDS["bf16"] * scale)[~strange].all()
    assert (found != expected)[~strange].any()


def test_by_warpgroups(monkeypatch):
    """The other method, of the least tile."""
    if simulated():
        monkeypatch.setattr(warpgroup, "FEWEST_FILTERS", 1)
        monkeypatch.setattr(
            warpgroup, "tile_of",
            lambda problem, layout, *_: Tile(
                64, 16, False, 3, 3, 0, 1, 1, problem.dilation[2], layout.parts, 2 * (problem.precision == "3xtf32")
            ),
        )  # fmt: skip
    exact("tf32", 100, 70, padding="same", name="toeplitz warpgroup")
    agrees("bf16", 90, 70, 2, name="toeplitz warpgroup", x_dtype="float16")


@pytest.mark.parametrize("taps", [100, 2000])
def test_when_it_pays(monkeypatch, taps):
    """Long filters of long signals; shorter ones of float16, or if there are many; not if blocks are mostly empty."""
    monkeypatch.undo()
    assert not pays("float32", 3000, taps)
    assert pays("float32", 10**6, taps) == (taps == 2000)
    assert pays("float32", 10**6, 400, 16)
    assert pays("float16", 10**7, 350) > pays("float32", 10**7, 350)
    assert [pays("float32", size, 2000, 500, 1000) for size in (2001, 2100)] == [False, True]


def pays(dtype, size, taps, filters=1, samples=1):
    kind = np.dtype(dtype)
    problem, _ = conv_problem("conv1d", 1, (1, size, 1), kind, (taps, 1, filters), kind)
    return toeplitz.pays(problem.permitting("tf32"), samples)
