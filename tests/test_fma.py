"""The fused multiply-add of the reference against that of C."""

import numpy as np
import pytest

from numconv import reference

from .reference_cases import LIBM, assert_same_bits, needs_libm, spread


def fma_operands(kind, dtype, rng):
    single = dtype == np.float32
    smallest, largest = (-149, 128) if single else (-1074, 1023)
    n = 3000
    with np.errstate(all="ignore"):
        a, b, c = (spread(rng, n, -3, 4).astype(dtype) for _ in range(3))
        if kind == "cancelling":
            c = -(a * b) * (1 + rng.integers(-2, 3, n) * np.finfo(dtype).eps).astype(dtype)
        if kind == "ties":  # a product halfway between two neighbours, which a tiny addend decides
            bits = (12, 12) if single else (26, 27)
            a, b = (dtype.type(1) + np.ldexp(rng.integers(0, 8, n) * 2 + 1, -k).astype(dtype) for k in bits)
            c = np.ldexp(rng.choice([-1.0, 0, 1], n), -rng.integers(50, 120, n)).astype(dtype)
        if kind == "subnormal":
            a, b = (spread(rng, n, smallest // 2, smallest // 2 + 15).astype(dtype) for _ in range(2))
            c = spread(rng, n, smallest, smallest + 25).astype(dtype)
        if kind == "huge":
            a, b = (spread(rng, n, largest // 2 - 2, largest // 2 + 2).astype(dtype) for _ in range(2))
            c = -(a * b) * dtype.type(0.99)
        if kind == "wide":
            a, b, c = (spread(rng, n, smallest, largest).astype(dtype) for _ in range(3))
        if kind == "special":
            limits = np.finfo(dtype)
            extremes = [limits.max, limits.tiny, limits.smallest_subnormal, limits.eps]
            values = [0.0, 1.0, 1.5, np.inf, *extremes, 1e-30, 3e20]
            values = np.array([*values, *np.negative(values), np.nan], dtype)
            a, b, c = (grid.ravel() for grid in np.meshgrid(values, values, values))
    return a, b, c


@needs_libm
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["normal", "cancelling", "ties", "subnormal", "huge", "wide", "special"])
def test_fma_is_that_of_c(kind, dtype):
    dtype = np.dtype(dtype)
    a, b, c = fma_operands(kind, dtype, np.random.default_rng(5))
    expected = [LIBM[dtype](*map(float, operands)) for operands in zip(a, b, c, strict=True)]
    assert_same_bits(reference.fma(a, b, c), np.array(expected, dtype))
    # One by one as well: a single odd element decides how a whole array is computed.
    for i in range(0, len(a), 97):
        assert_same_bits(reference.fma(a[i : i + 1], b[i : i + 1], c[i : i + 1]), np.array(expected[i : i + 1], dtype))


def test_fma_broadcasts_and_refuses_other_types():
    a, b = np.arange(3.0)[:, np.newaxis], np.arange(4.0)
    assert_same_bits(reference.fma(a, b, 1.0), a * b + 1)
    assert reference.fma(2.0, 3.0, 4.0).shape == ()
    assert reference.fma(np.float32(2), np.float32(3), np.float32(4)).dtype == np.float32
    with pytest.raises(TypeError, match="complex128"):
        reference.fma(1j, 2.0, 3.0)
