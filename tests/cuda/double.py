"""Elements of 8 and 16 bytes: float64 by tensor cores, complex numbers; layouts, borders, chains of every length.

In the simulator tensor cores add as the reference does; on a GPU their results are only as near as the reference's.
"""

import numpy as np
import pytest

from numconv.cuda import double

from ..problems import Case, poisoned
from .device import CONV, any_strides, arrays, only, random_case, same_bits, simulated, to_device

FIRST = {"data_format": "channels_first"}
KINDS = [
    ("float64", "float64"), ("complex128", "complex128"), ("complex64", "complex64"),
    ("complex128", "float64"), ("float64", "complex128"), ("complex64", "float32"), ("float32", "complex64"),
]  # fmt: skip
REAL, COMPLEX = KINDS[0], KINDS[2]

kinds = pytest.mark.parametrize("kind", KINDS, ids="-".join)
some_kinds = pytest.mark.parametrize("kind", [REAL, COMPLEX], ids="-".join)


@pytest.fixture(autouse=True)
def taken(monkeypatch):
    """Whatever a test checks, this kernel has computed; by one warp where threads are slow."""
    if simulated():
        monkeypatch.setattr(double, "PIXELS", (32,))
        monkeypatch.setattr(double, "FILTERS", (32,))
    with only("double") as found:
        yield found
        assert found


def layer(kind, size, kernel, channels, filters, groups=1, n=1, scale=1.0, bias=True, **options):
    case = Case("double", n, size, channels, filters, kernel, groups, *kind, bias=bias, options=options)
    x, w, bias = arrays(case, np.random.default_rng(channels + filters))
    check(case, x * x.dtype.type(scale), w, bias)


def check(case, x, w, bias):
    conv = CONV[case.ndim]
    expected = conv(x, w, bias, **case.keywords, method="reference")
    out = to_device(poisoned(expected.shape, expected.dtype))
    assert conv(to_device(x), w, bias, **case.keywords, out=out) is out
    found = out.copy_to_host()
    if simulated() or expected.dtype != np.float64 or not same_bits(found, expected):
        close(case, x, w, bias, found, expected)


def close(case, x, w, bias, found, expected):
    """Equal bits, where the order of sums is the reference's; twice its bound of errors, where it is not."""
    if simulated() or expected.dtype == np.complex64:
        assert same_bits(found, expected), case
        return
    if expected.dtype.kind in "iu":
        assert (np.abs(found.astype(float) - expected) <= 1).all(), case
        return
    with np.errstate(all="ignore"):
        sizes = [sum(np.abs(part) for part in (a.real, a.imag)) for a in (x, w)]
        options = case.keywords | {"activation": None, "dtype": None}
        options |= {"pad_value": 2 * abs(options.get("pad_value", 0))}
        total = CONV[case.ndim](*sizes, None, **options, method="reference")
        n = int(np.prod(case.kernel)) * case.channels // case.groups * 2
        limit = 2 * (256 + 2 * n / 256 + 3) * 2.0**-53 * (total + (0 if bias is None else np.abs(bias).max()))
        limit += n * 2.0**-1074
    for a, b in ((found.real, expected.real), (found.imag, expected.imag)):
        finite = np.isfinite(b)
        assert same_bits(a[~finite], b[~finite]), case
        assert (np.abs(a - b)[finite] <= limit[finite]).all(), case


@kinds
def test_channels(kind):
    """Two neighbouring steps at a time, and not; chains that do not fill the last DEPTH."""
    layer(kind, (2, 3), (2, 2), 8, 10, padding="same")
    layer(kind, (2, 2), (2, 2), 7, 8, **FIRST)


@some_kinds
def test_layouts(kind):
    layer(kind, (2, 2), (1, 2), 9, 8)
    layer(kind, (2, 2), (1, 2), 8, 8, **FIRST)


def test_several_chains():
    """Rows that are cut, and rows that are put together."""
    layer(REAL, (3,), (1,), 270, 8, **FIRST)
    layer(COMPLEX, (2, 1), (2, 1), 65, 8)
    layer(KINDS[1], (2, 1), (2, 1), 66, 8)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
def test_borders(mode):
    value = {"pad_value": 1.5} if mode == "constant" else {}
    kind, layout = (COMPLEX, {}) if mode in ("edge", "reflect") else (REAL, FIRST)
    layer(kind, (3, 4), (3, 2), 4, 8, padding=((2, 1), (0, 3)), pad_mode=mode, stride=(1, 2), **value, **layout)
    layer(REAL, (3, 4), (3, 2), 4, 8, padding=((2, 1), (0, 3)), pad_mode=mode, stride=(1, 2), **value)


def test_padding_with_numbers():
    for kind in KINDS[1:3]:
        layer(kind, (3,), (3,), 6, 8, padding=1, pad_value=1.5 - 2j)
    for value in (-0.0, np.nan, np.inf):
        layer(REAL, (3,), (3,), 6, 8, padding=1, pad_value=value)


@some_kinds
def test_groups_samples_and_strides(kind):
    layer(kind, (5,), (3,), 12, 16, 2, 3, stride=2, dilation=2, padding="same")
    layer(kind, (2, 3, 3), (2, 1, 2), 8, 16, 1, 2, stride=(1, 2, 1), padding=1, **FIRST)


@kinds
def test_weights_that_are_reversed(kind):
    """As phases of transposed convolutions have them, and every other one: on the device they are read backwards."""
    case = Case("double", 1, (4, 5), 4, 8, (2, 3), 1, *kind, options={"flip": True})
    x, w, _ = arrays(case, np.random.default_rng(1))
    expected = CONV[2](x, w, **case.keywords, method="reference")
    found = CONV[2](to_device(x), to_device(w), **case.keywords).copy_to_host()
    close(case, x, w, None, found, expected)


def test_several_blocks():
    layer(REAL, (6, 6), (1, 1), 16, 40, **FIRST)
    layer(COMPLEX, (6, 6), (1, 1), 16, 9)


def test_several_warps(monkeypatch):
    monkeypatch.setattr(double, "PIXELS", (64,))
    monkeypatch.setattr(double, "FILTERS", (64,))
    for kind in (REAL, COMPLEX):
        layer(kind, (7, 6), (1, 1), 16, 50)
        layer(kind, (7, 6), (1, 1), 16, 50, **FIRST)


def test_results_of_other_types():
    layer(REAL, (2, 3), (2, 2), 4, 8, activation="leaky_relu")
    layer(REAL, (2, 3), (2, 2), 4, 8, dtype="int16", overflow="saturate", **FIRST)
    layer(("float64", "int8"), (2, 3), (2, 2), 4, 8, bias=False)


@some_kinds
def test_values_that_are_not_finite(kind):
    """Steps that fill chains change nothing: no NaN, no sign of zero, no denormal."""
    for scale in (0.0, -1e-320 if kind == REAL else -1e-40):
        layer(kind, (3,), (2,), 9, 8, scale=scale, bias=False)
    case = Case("double", 1, (5,), 9, 8, (2,), 1, *kind, options={"padding": "same"})
    x, w, _ = arrays(case, np.random.default_rng(0))
    x[0, 2, 3], w[1, 2, 5] = np.nan, np.inf
    check(case, x, w, None)


def test_complex_numbers_that_are_not_finite():
    """Only the products that exist: no infinity times a part that is not there."""
    for kind in KINDS[3:]:
        case = Case("double", 1, (5,), 9, 8, (2,), 1, *kind, options={"padding": "same"})
        x, w, _ = arrays(case, np.random.default_rng(0))
        x[0, 2, 3], w[1, 2, 5] = np.inf, np.inf
        check(case, x, w, None)


@pytest.mark.parametrize("seed", range(1 if simulated() else 4))
def test_random_problems(seed, taken):
    """Any strides of the arrays."""
    number = 0
    while len(taken) < (4 if simulated() else 20):
        rng = np.random.default_rng([seed, number])
        number += 1
        case = random_case(rng)
        channels, filters = int(rng.integers(4, 12)), int(rng.integers(8, 12))
        kind = KINDS[number % len(KINDS)]
        case = Case(
            "random", min(case.n, 2), tuple(min(n, 5) for n in case.spatial), channels * case.groups,
            filters * case.groups, case.kernel, case.groups, *kind, case.bias, case.options,
        )  # fmt: skip
        if case.groups > 3 or np.prod(case.kernel) > 12 or {"dtype", "activation"} & set(case.options):
            continue
        try:
            x, w, bias = arrays(case, rng)
            CONV[case.ndim](x, w, bias, **case.keywords, method="reference")
        except (ValueError, TypeError, OverflowError):
            continue
        check(case, any_strides(x, rng), w, bias)
