"""What tests of the reference share: problems of canonical arrays, the comparison of bits, and C's fma."""

import ctypes
import ctypes.util

import numpy as np
import pytest

from numconv._problem import Problem

DEFAULTS = {
    "ndim": 3,
    "groups": 1,
    "stride": (1, 1, 1),
    "dilation": (1, 1, 1),
    "pads": ((0, 0), (0, 0), (0, 0)),
    "pad_mode": "constant",
    "pad_value": 0,
    "channels_last": True,
    "bias": False,
    "activation": "",
    "slope": 0.2,
    "overflow": "raise",
    "method": "reference",
}
MODES = ["constant", "edge", "reflect", "symmetric", "wrap"]


def make_problem(x, w, **given):
    """The Problem of canonical arrays, in the computing and result types of the table unless given."""
    exact = x.dtype.kind in "biu" and w.dtype.kind in "biu"
    unsigned = "u" in x.dtype.kind + w.dtype.kind and "i" not in x.dtype.kind + w.dtype.kind
    result = np.dtype(("uint64" if unsigned else "int64") if exact else np.result_type(x, w))
    result = np.dtype(given.pop("result", result))
    compute = np.dtype(given.pop("compute", np.float32 if result == np.float16 else result))
    sizes = {"spatial": x.shape[1:4], "kernel": w.shape[:3], "channels": x.shape[4], "filters": w.shape[4]}
    types = {"x_dtype": x.dtype, "w_dtype": w.dtype, "compute": compute, "result": result}
    return Problem(**(DEFAULTS | sizes | types | given))


def assert_same_bits(got, expected):
    """Equal bits, any NaN equal to any NaN; the parts of complex numbers apart."""
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    if got.dtype.kind == "c":
        assert_same_bits(got.real, expected.real)
        assert_same_bits(got.imag, expected.imag)
        return
    got, expected = np.ascontiguousarray(got), np.ascontiguousarray(expected)
    different = got.view(f"u{got.itemsize}") != expected.view(f"u{got.itemsize}")
    if got.dtype.kind == "f":
        different &= ~(np.isnan(got) & np.isnan(expected))
    assert not different.any(), f"{different.sum()} of {got.size}: {got[different][:3]} != {expected[different][:3]}"


def line(*numbers):
    """A canonical 1-D signal of one sample and channel."""
    return np.array(numbers, float).reshape(1, 1, 1, -1, 1)


def taps(*numbers):
    """A canonical 1-D kernel of one channel and filter."""
    return np.array(numbers, float).reshape(1, 1, -1, 1, 1)


def load_fma():
    """C's fmaf and fma by dtype, or an empty table where there is no such library."""
    try:
        libm = ctypes.CDLL(ctypes.util.find_library("m") or "libm.so.6")
    except OSError:
        return {}
    table = {np.dtype(np.float32): (libm.fmaf, ctypes.c_float), np.dtype(np.float64): (libm.fma, ctypes.c_double)}
    for function, kind in table.values():
        function.restype, function.argtypes = kind, [kind] * 3
    return {dtype: function for dtype, (function, _) in table.items()}


LIBM = load_fma()
needs_libm = pytest.mark.skipif(not LIBM, reason="no C library with fma")


def spread(rng, n, low, high):
    """Normal deviates times powers of 2 from `low` to `high`."""
    return np.ldexp(rng.standard_normal(n), rng.integers(low, high, n))
