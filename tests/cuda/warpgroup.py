"""Products by warpgroups: errors beyond those of rounded operands, for every precision, layout, border and group."""

import re

import numpy as np
import pytest

import numconv
from numconv.cuda import methods, warpgroup
from numconv.cuda.kernels.warpgroup_tile import Tile

from ..problems import poisoned
from .device import CONV, forget, only, simulated, to_device

FIRST = {"data_format": "channels_first"}
DIGITS, LONGEST = {"bf16": 8, "f16": 11, "tf32": 11}, 40
"""Of a kind; instructions that add to a sum, at most."""


@pytest.fixture(autouse=True)
def taken(monkeypatch):
    """Whatever a test checks, this kernel has computed."""
    for name, value in (("FEWEST_PRODUCTS", 1), ("FEWEST_FILTERS", 1), ("MOST_FILLING", 8)):
        monkeypatch.setattr(warpgroup, name, value)
    if simulated():
        monkeypatch.setattr(warpgroup, "THREADS", 32)
        tiled(monkeypatch, False)
    with only("warpgroup") as found:
        yield found
        assert found


def tiled(monkeypatch, left, lag=0, ahead=2, taps=None):
    """The least tile, in the simulator: 64 x 16; `taps` of a row share samples, where that is possible."""

    def tile_of(problem, layout, samples, sharing):
        shared = (taps or problem.kernel[2]) if sharing and warpgroup._in_rows(problem, layout) else 1
        fold = warpgroup.FOLD if problem.precision == "3xtf32" else 0
        x_slots = ahead + 1 + lag if shared == 1 else -(-(ahead + lag) // shared) + 1
        shift = problem.dilation[2]
        return Tile(64, 16, left, x_slots, ahead + 1 + lag, lag, 1, shared, shift, layout.parts, fold)

    if simulated():
        monkeypatch.setattr(warpgroup, "tile_of", tile_of)


def rounded(values, kind):
    """To so many digits: to even, or away from zero."""
    mantissa, exponent = np.frexp(values.astype(np.float64))
    scaled = mantissa * 2.0 ** DIGITS[kind]
    whole = np.trunc(scaled + np.copysign(0.5, scaled)) if kind == "tf32" else np.rint(scaled)
    return np.ldexp(whole / 2.0 ** DIGITS[kind], exponent)


def agrees(x, w, bias=None, precision="bf16", **options):
    """Within the bound of sums that are cut after each instruction, of rounded operands; 3xtf32: of exact ones."""
    conv, kind = CONV[w.ndim - 2], "f16" if x.dtype == np.float16 else "bf16" if precision == "bf16" else "tf32"
    double = [values.astype(np.float64) for values in (x, w)]
    if precision != "3xtf32":
        double = [rounded(values, kind) for values in double]
    exact = conv(*double, None if bias is None else bias.astype(np.float64), **options)
    sizes = options | {"activation": None, "pad_value": abs(options.get("pad_value", 0))}
    total = conv(*map(np.abs, double), None if bias is None else np.abs(bias).astype(np.float64), **sizes)
    out = to_device(poisoned(exact.shape, x.dtype))
    assert conv(to_device(x), to_device(w), bias, precision=precision, out=out, **options) is out
    found = out.copy_to_host().astype(np.float64)
    bound = 1e-6 if precision == "3xtf32" else LONGEST * 2.0**-23
    assert np.isfinite(found).all()
    error = np.abs(found - exact) - (2.0**-11 * np.abs(exact) if x.dtype == np.float16 else 0)
    assert (error <= bound * total + 1e-30).all(), np.max(error / total)


def arrays(x_shape, w_shape, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(x_shape).astype(dtype), rng.standard_normal(w_shape).astype(dtype)


@pytest.mark.parametrize(
    ("precision", "layout", "left"),
    [("bf16", "last", False), ("bf16", "last", True), ("bf16", "first", False), ("bf16", "first", True),
     ("tf32", "last", False), ("tf32", "first", True), ("3xtf32", "last", True), ("3xtf32", "first", False)],
)  # fmt: skip
def test_precisions(monkeypatch, precision, layout, left):
    """Two blocks of what is right, channels that do not fill a piece, bias; a product in flight behind the barrier."""
    tiled(monkeypatch, left, lag=1, taps=None if precision == "tf32" else 1)
    bias = np.random.default_rng(1).standard_normal(20).astype(np.float32)
    size = (6, 4) if left else (4, 4)
    if layout == "last":
        x, w = arrays((1, *size, 10), (3, 3, 10, 20))
        agrees(x, w, bias, precision, padding="same")
    else:
        x, w = arrays((1, 10, *size), (20, 10, 3, 3))
        agrees(x, w, bias, precision, padding="same", **FIRST)


@pytest.mark.parametrize("precision", ["bf16", "3xtf32"])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_float16(padding, precision):
    """Where it lies, and laid out with its borders."""
    x, w = arrays((2, 3, 4, 16), (2, 2, 16, 16), np.float16)
    agrees(x, w, padding=padding, precision=precision)


OPTIONS = [
    ((2, 11, 6), (3, 3, 14), {"stride": 2, "groups": 2, "padding": "full", "pad_mode": "reflect"}),
    ((1, 5, 6, 3), (2, 3, 3, 5), {"dilation": 2, "stride": (1, 2), "padding": 2, "pad_mode": "wrap"}),
    ((1, 3, 4, 3, 9), (2, 2, 2, 3, 18), {"groups": 3, "padding": 1, "pad_value": 2.0, "activation": "leaky_relu"}),
    ((1, 4, 4, 8), (1, 1, 8, 8), {"activation": "relu"}),
]  # fmt: skip


@pytest.mark.parametrize(("x_shape", "w_shape", "options"), OPTIONS, ids=["reflect", "wrap", "value", "pointwise"])
def test_options(x_shape, w_shape, options):
    """Strides, dilation, groups, borders, with filters that four lanes do not share evenly."""
    x, w = arrays(x_shape, w_shape)
    agrees(x, w, precision="tf32", **options)
    agrees(x[..., ::-1, :], w, precision="bf16", **options)


def test_parts_of_a_batch(monkeypatch):
    """Scratch memory for one sample at a time."""
    monkeypatch.setattr(warpgroup, "MOST_BYTES", 1)
    x, w = arrays((3, 4, 5, 8), (2, 2, 8, 6))
    agrees(x, w)
    x, w = arrays((3, 8, 4, 5), (6, 8, 2, 2))
    agrees(x, w, **FIRST)


@pytest.mark.parametrize("precision", ["bf16", "tf32", "3xtf32"])
def test_values_that_are_not_finite(precision):
    """They reach the results whose windows hold them, and no others: what fills pieces and stages is zero."""
    x, w = arrays((1, 12, 5), (3, 5, 6))
    x[0, 4, 1], x[0, 9, 2] = np.inf, np.nan
    w[1, 1, 5] = np.inf
    with np.errstate(all="ignore"):
        expected = CONV[1](x, w, padding="same")
    found = CONV[1](to_device(x), to_device(w), padding="same", precision=precision).copy_to_host()
    assert (np.isfinite(found) == np.isfinite(expected)).all()
    if precision != "3xtf32":
        assert (np.isnan(found) == np.isnan(expected)).all()


def test_when_it_is_taken(monkeypatch, taken):
    """Where less precision is permitted, on GPUs that have it."""
    x, w = arrays((1, 5, 16), (3, 16, 32))
    CONV[1](to_device(x), to_device(w), precision="tf32")
    assert len(taken) == 1
    CONV[1](to_device(x), to_device(w))
    CONV[1](to_device(x.astype(np.float64)), to_device(w))
    monkeypatch.setattr(methods, "capability", lambda device: (8, 0))
    plan = numconv.plan_conv1d(x.shape, w, precision="bf16", device="cuda")
    assert re.search("warpgroup +computes only on compute capability 9.0", plan.explain())
    CONV[1](to_device(x), to_device(w), precision="bf16")
    assert len(taken) == 1


def test_rows_that_cannot_be_shared(monkeypatch):
    """Where descriptors may not begin inside a pattern, each tap has its own rows."""
    x, w = arrays((1, 6, 16), (3, 16, 16))
    agrees(x, w)
    seen, plan_of = [], warpgroup.plan_of
    monkeypatch.setattr(
        warpgroup, "plan_of", lambda problem, x, shared: (seen.append(shared), plan_of(problem, x, shared))[1]
    )
    monkeypatch.setattr(methods.probes, "trouble", lambda feature, device: "wrong" * (feature == "wgmma rows"))
    monkeypatch.setattr(methods, "KERNELS", {str(shared): warpgroup.Products(shared) for shared in (True, False)})
    forget()
    agrees(x, w)
    assert set(seen) == {False}
