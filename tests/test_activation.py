"""The activation kernels: at most 4 ulp from the exact value, and the same bits in every lane, tail and build."""

import ctypes
import platform
import re
from functools import cache

import numpy as np
import pytest

from numconv.cpu import native
from numconv.cpu.kernels.activation import ACTIVATIONS, activate
from numconv.cpu.machine import machine
from numconv.cpu.target import kernel_ir

mpmath = pytest.importorskip("mpmath")

LIMIT = 4.0
FUSED = machine().fma
INF, NAN = np.inf, np.nan
EXACT = {
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "tanh": mpmath.tanh,
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "gelu": lambda x: x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2,
}
SPECIAL = {  # of -inf, -0.0, 0.0, inf
    "sigmoid": (0.0, 0.5, 0.5, 1.0),
    "tanh": (-1.0, -0.0, 0.0, 1.0),
    "silu": (-0.0, -0.0, 0.0, INF),
    "gelu": (-0.0, -0.0, 0.0, INF),
}
BITS = {"f4": np.uint32, "f8": np.uint64}
x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="builds for x86 CPUs")
every_name = pytest.mark.parametrize("name", ACTIVATIONS)
every_kernel = pytest.mark.parametrize(("code", "name"), [(code, name) for code in BITS for name in ACTIVATIONS])


@cache
def ir(code, name, fused):
    return kernel_ir(activate(code, name, fused))


@cache
def kernel(code, name, fused=FUSED, cpu=None):
    """The kernel as the package builds it (which fails if it needs any symbol), for this CPU or an older one."""
    target, features = (machine().name, machine().features) if cpu is None else (cpu, "")
    address = native.load(native.emit_object(ir(code, name, fused), target, features))
    return ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)(address)


def activated(x, *key):
    y = x.copy()
    kernel(y.dtype.str[1:], *key)(y.ctypes.data, y.size, 0, 0)
    return y


def bits(x):
    return x.view(BITS[x.dtype.str[1:]])


def every_float32():
    """Each 4093rd float32, all exponents, NaNs of both signs; a prime, so that all low bits occur."""
    return np.arange(0, 2**32, 4093, np.uint64).astype(np.uint32).view(np.float32)


def some_float64(name):
    """Every exponent and sign, the steep part, and the negative tail down to where it is 0."""
    rng = np.random.default_rng(1)
    tail = -40.0 if name == "gelu" else -760.0
    powers = np.ldexp(rng.uniform(1, 2, 2098), np.arange(-1074, 1024))
    parts = [powers, -powers, rng.normal(0, 1.5, 10_000), rng.uniform(-20, 20, 4_000), rng.uniform(tail, 0, 6_000)]
    return np.concatenate([*parts, tail + rng.uniform(0, abs(tail) / 10, 1_000)])


def errors(got, expected):
    """In units in the last place of the result's type; `expected` is more precise."""
    with np.errstate(over="ignore"):
        return np.abs(got - expected) / np.spacing(np.abs(expected.astype(got.dtype)))


def errors_float64(name, got, x):
    with mpmath.workprec(90):
        exact = [EXACT[name](mpmath.mpf(max(v, -2000.0))) for v in x.tolist()]
        ulps = np.spacing(np.abs(np.array([float(e) for e in exact])))
        parts = zip(got.tolist(), exact, ulps.tolist(), strict=True)
        return np.array([float(abs(mpmath.mpf(g) - e) / mpmath.mpf(u)) for g, e, u in parts])


@every_name
def test_float64_is_within_four_ulp(name):
    x = some_float64(name)
    error = errors_float64(name, activated(x, name), x)
    print(f"worst {error.max():.2f} ulp")
    assert error.max() <= LIMIT, x[error.argmax()]


@every_name
@pytest.mark.parametrize("fused", [True, False])
def test_float32_is_within_four_ulp_of_float64(name, fused):
    if fused and not FUSED:
        pytest.skip("needs fused multiply-add")
    x = every_float32()
    with np.errstate(invalid="ignore"):  # signalling NaNs
        got, expected = activated(x, name, fused), activated(x.astype(np.float64), name)
    assert np.array_equal(np.isnan(got), np.isnan(x))
    finite = np.isfinite(x)
    error = errors(got[finite], expected[finite])
    print(f"worst {error.max():.2f} ulp")
    assert error.max() <= LIMIT, x[finite][error.argmax()]


@every_name
def test_float64_without_fma_is_within_four_ulp(name):
    x = some_float64(name)[::7]
    assert errors_float64(name, activated(x, name, False), x).max() <= LIMIT


@every_kernel
def test_special_values(code, name):
    expected = np.array(SPECIAL[name], code)
    got = activated(np.array([-INF, -0.0, 0.0, INF], code), name)
    assert np.array_equal(bits(got), bits(expected))
    huge = np.finfo(code).max
    ends = activated(np.array([-huge, huge, NAN, -NAN], code), name)
    assert ends[0] == expected[0] and ends[1] == (huge if name in ("silu", "gelu") else 1) and np.isnan(ends[2:]).all()


@every_kernel
def test_results_depend_on_neither_length_nor_offset(code, name):
    source = np.random.default_rng(2).normal(0, 3, 48).astype(code)
    one_by_one = np.concatenate([activated(source[i : i + 1], name) for i in range(source.size)])
    for offset in range(4):
        for count in range(41):
            y, part = source.copy(), slice(offset, offset + count)
            kernel(code, name)(y.ctypes.data + offset * y.itemsize, count, 0, 0)
            expected = source.copy()
            expected[part] = one_by_one[part]
            assert np.array_equal(bits(y), bits(expected)), (offset, count)


@x86
@pytest.mark.skipif(not FUSED, reason="needs fused multiply-add")
@every_kernel
def test_an_older_build_gives_the_same_bits(code, name):
    x = np.append(np.random.default_rng(3).normal(0, 8, 99_999), NAN).astype(code)
    y = activated(x, name)
    same = bits(y) == bits(activated(x, name, True, "haswell"))
    assert (same | np.isnan(y)).all()


@x86
@every_kernel
def test_builds_without_fma_need_no_library(code, name):
    x = np.random.default_rng(4).normal(0, 8, 1000).astype(code)
    assert np.array_equal(bits(activated(x, name, False, "nehalem")), bits(activated(x, name, False)))


@x86
@every_kernel
def test_the_loop_is_vectorised(code, name):
    assembly = native.emit_assembly(ir(code, name, FUSED), machine().name, machine().features)
    assert re.search(r"\bv?divp[sd]\b", assembly)
    declared = re.findall(r"^declare [^@]*@([\w.\"]+)", ir(code, name, FUSED), re.MULTILINE)
    assert all(symbol.startswith("llvm.") for symbol in declared)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="no activation 'swish'"):
        activate("f4", "swish", True)
