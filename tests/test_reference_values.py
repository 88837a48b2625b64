"""Conversions and activations of the reference: values that do not fit, limits, accuracy."""

import math

import numpy as np
import pytest

from numconv import reference

from .reference_cases import assert_same_bits, line, make_problem, spread, taps

# --- conversion -------------------------------------------------------------------------------------------------------

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    "dtype, value, saturated, wrapped",
    [
        ("int8", 127.5, 127, -128), ("int8", -129.0, -128, 127), ("int8", 1000.0, 127, -24), ("uint8", -1.0, 0, 255),
        ("uint8", 256.5, 255, 0), ("int64", 2.0**63, 2**63 - 1, -(2**63)),
        ("int64", -(2.0**63) - 2048, -(2**63), 2**63 - 2048),
        ("uint64", 2.0**64, 2**64 - 1, 0), ("uint64", 2**64, 2**64 - 1, 0), ("int64", 2**63, 2**63 - 1, -(2**63)),
        ("int64", -(2**63) - 1, -(2**63), 2**63 - 1), ("uint64", -1, 0, 2**64 - 1), ("int16", 1e300, 2**15 - 1, 0),
        ("int32", INF, 2**31 - 1, 0), ("int32", -INF, -(2**31), 0), ("int32", NAN, 0, 0), ("uint64", INF, 2**64 - 1, 0),
    ],
)  # fmt: skip
def test_values_that_do_not_fit(dtype, value, saturated, wrapped):
    total = np.array([0, value], object if isinstance(value, int) else float)
    for overflow, expected in (("saturate", saturated), ("wrap", wrapped)):
        got = reference.to_result(total, np.dtype(dtype), overflow)
        assert got.dtype == dtype
        assert got.tolist() == [0, expected]
    with pytest.raises(OverflowError, match=rf"does not fit {dtype}"):
        reference.to_result(total, np.dtype(dtype), "raise")


@pytest.mark.parametrize(
    "dtype, value, expected",
    [
        ("int8", 127.4, 127), ("int8", -128.5, -128), ("uint8", -0.5, 0), ("uint8", 0.5, 0), ("uint8", 1.5, 2),
        ("int64", 2.0**63 - 1024, 2**63 - 1024), ("int64", -(2.0**63), -(2**63)), ("uint8", -0.0, 0),
        ("uint64", 2**64 - 1, 2**64 - 1), ("int64", -(2**63), -(2**63)), ("uint64", 2.0**64 - 2048, 2**64 - 2048),
    ],
)  # fmt: skip
@pytest.mark.parametrize("overflow", ["raise", "saturate", "wrap"])
def test_values_that_fit(dtype, value, expected, overflow):
    total = np.array([value], object if isinstance(value, int) else float)
    assert reference.to_result(total, np.dtype(dtype), overflow).tolist() == [expected]


def test_floating_results_overflow_to_infinity():
    got = reference.to_result(np.array([1e39, -1e39, 1 + 2.0**-24, NAN]), np.dtype("float32"), "raise")
    assert_same_bits(got, np.array([INF, -INF, 1, NAN], np.float32))


def test_conversion_comes_after_bias_and_activation():
    x, w, bias = line(-3, 1.25, 2.25), taps(2), np.array([-0.5])
    p = make_problem(x, w, compute="float64", result="uint8", activation="relu", bias=True)
    assert reference.convolve(p, x, w, bias).ravel().tolist() == [0, 2, 4]


# --- activation -------------------------------------------------------------------------------------------------------

DTYPES = [np.float32, np.float64]
WIDER = np.finfo(np.longdouble).nmant > np.finfo(np.float64).nmant


@pytest.mark.parametrize("dtype", DTYPES)
def test_relu_and_leaky_relu(dtype):
    x = np.array([-INF, -2, -0.0, 0.0, 3, INF, NAN], dtype)
    assert_same_bits(reference.activate(x, ""), x)
    assert_same_bits(reference.activate(x, "relu"), np.array([0, 0, -0.0, 0, 3, INF, NAN], dtype))
    scaled = np.array([-INF, dtype(-2) * dtype(0.1), -0.0, 0, 3, INF, NAN], dtype)
    assert_same_bits(reference.activate(x, "leaky_relu", 0.1), scaled)
    assert reference.activate(np.array([-5, 2**70], object), "relu").tolist() == [0, 2**70]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "name, limits",
    [
        ("sigmoid", [0, 0, 0.5, 0.5, 1, 1, NAN]), ("tanh", [-1, -1, -0.0, 0, 1, 1, NAN]),
        ("silu", [-0.0, -0.0, -0.0, 0, 3e38, INF, NAN]), ("gelu", [-0.0, -0.0, -0.0, 0, 3e38, INF, NAN]),
    ],
)  # fmt: skip
def test_limits_of_smooth_activations(name, limits, dtype):
    x = np.array([-INF, -3e38, -0.0, 0, 3e38, INF, NAN], dtype)
    assert_same_bits(reference.activate(x, name), np.array(limits, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "silu", "gelu"])
def test_smooth_activations_are_accurate(name, dtype):
    mpmath = pytest.importorskip("mpmath")
    if dtype is np.float64 and not WIDER:
        pytest.skip("no type is wider than float64 here")
    function = {
        "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
        "tanh": mpmath.tanh,
        "silu": lambda x: x / (1 + mpmath.exp(-x)),
        "gelu": lambda x: x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2,
    }[name]
    rng = np.random.default_rng(4)
    end = {"tanh": 25, "gelu": (15, 40)[dtype is np.float64]}.get(name, (110, 760)[dtype is np.float64])
    tails = rng.uniform(-end, end, 150)
    small = spread(rng, 50, int(np.log2(np.finfo(dtype).smallest_subnormal)) + 2, 0)
    x = np.concatenate([rng.normal(0, 2, 150), tails, small]).astype(dtype)
    got = reference.activate(x, name)
    assert got.dtype == dtype
    with mpmath.workprec(200):
        exact = [function(mpmath.mpf(float(v))) for v in x]
        ulps = [np.spacing(abs(dtype(float(e)))) for e in exact]
        errors = [float(abs(mpmath.mpf(float(g)) - e) / float(u)) for g, e, u in zip(got, exact, ulps, strict=True)]
    assert max(errors) < 0.6
