"""The reference against libm, exact arithmetic, other libraries, and a scalar twin written from the promise."""

import ctypes
import ctypes.util
import itertools
import math
import operator
from functools import reduce

import numpy as np
import pytest

from numconv import reference
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


# --- fma --------------------------------------------------------------------------------------------------------------


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
            values = [
                0.0,
                1.0,
                1.5,
                np.inf,
                limits.max,
                limits.tiny,
                limits.smallest_subnormal,
                limits.eps,
                1e-30,
                3e20,
            ]
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


# --- the definition, one scalar at a time -----------------------------------------------------------------------------


def chains_of(rows, u):
    """Cut one element's products, a list of steps for each tap row, into chains, as the promise says."""
    KC = 256
    row = len(rows[0]) * u
    if row <= KC:
        per = KC // row
        return [list(itertools.chain(*rows[i : i + per])) for i in range(0, len(rows), per)]
    p = math.ceil(row / KC)
    per = math.ceil(len(rows[0]) / p)
    return [steps[i : i + per] for steps in rows for i in range(0, len(steps), per)]


def element(rows, u, part, number):
    """One real part of one element: chains from +0.0 by libm's fma, then their sums one after the other."""
    fma = LIBM[np.dtype(number)]
    sums = []
    for chain in chains_of(rows, u):
        s = 0.0
        for x, w in chain:
            for a, b in part(x, w):
                s = fma(float(a), float(b), s)
        sums.append(number(s))
    return reduce(operator.add, sums)


def parts_of(x_complex, w_complex):
    """The products of the real and of the imaginary part of a step."""
    if x_complex and w_complex:
        return (
            lambda x, w: [(x.real, w.real), (x.imag, -w.imag)],
            lambda x, w: [(x.real, w.imag), (x.imag, w.real)],
        )
    if x_complex:
        return lambda x, w: [(x.real, w)], lambda x, w: [(x.imag, w)]
    if w_complex:
        return lambda x, w: [(x, w.real)], lambda x, w: [(x, w.imag)]
    return lambda x, w: [(x, w)], lambda x, w: []


def scalar_twin(p, x, w, bias):
    """Convolve by loops over scalars, straight from the text of the promise."""
    number = {"f4": np.float32, "f8": np.float64, "c8": np.float32, "c16": np.float64}[p.compute.str[1:]]
    is_complex = [p.compute.kind == "c" and a.dtype.kind == "c" for a in (x, w)]
    options = {"constant_values": p.pad_value} if p.pad_mode == "constant" else {}
    x = np.pad(x, ((0, 0), *p.pads, (0, 0)), mode=p.pad_mode, **options)
    x, w = (a.astype(p.compute if c else number) for a, c in zip((x, w), is_complex, strict=True))
    (KD, KH, KW, C, F), (sd, sh, sw), (dd, dh, dw) = w.shape, p.stride, p.dilation
    u = 2 if all(is_complex) else 1
    out = np.empty((len(x), *p.out_spatial, F), p.compute)
    for n, od, oh, ow, f in np.ndindex(out.shape):
        first = f // (F // p.groups) * C
        rows = [
            [
                (x[n, od * sd + kd * dd, oh * sh + kh * dh, ow * sw + kw * dw, first + c], w[kd, kh, kw, c, f])
                for kw in range(KW)
                for c in range(C)
            ]
            for kd in range(KD)
            for kh in range(KH)
        ]
        real, imag = (element(rows, u, part, number) for part in parts_of(*is_complex))
        if p.compute.kind == "c":
            out.real[n, od, oh, ow, f], out.imag[n, od, oh, ow, f] = real, imag
        else:
            out[n, od, oh, ow, f] = real
    if bias is not None:
        out = out + bias.astype(p.compute)
    if p.activation == "relu":
        out[out < 0] = 0
    if p.activation == "leaky_relu":
        out[out < 0] *= number(p.slope)
    return out.astype(p.result)


def values(rng, shape, dtype, kind):
    """Random numbers of one of several kinds, each of which finds other faults."""
    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        parts = np.empty((*shape, 2), np.finfo(dtype).dtype)
        parts[...] = values(rng, parts.shape, parts.dtype, kind)
        return parts.view(dtype)[..., 0]
    if dtype.kind in "biu":
        low, high = (0, 2) if dtype.kind == "b" else (np.iinfo(dtype).min // 2, np.iinfo(dtype).max // 2)
        return rng.integers(low, high, shape).astype(dtype)
    numbers = rng.standard_normal(shape)
    if kind == "integers":
        numbers = rng.integers(-3, 4, shape) * rng.choice([1.0, -1.0], shape)
    if kind == "log-normal":
        numbers = numbers * np.exp(4 * rng.standard_normal(shape))
    if kind == "tiny":
        numbers = numbers * float(np.finfo(dtype).tiny) ** 0.5
    if kind == "special":
        odd = [0.0, -0.0, np.inf, -np.inf, np.nan, float(np.finfo(dtype).max), float(np.finfo(dtype).tiny) / 8]
        numbers = np.where(rng.random(shape) < 0.05, rng.choice(odd, shape), numbers)
    with np.errstate(over="ignore"):
        return numbers.astype(dtype)


KINDS = ["normal", "integers", "log-normal", "tiny", "special"]


def random_problem(rng, x_dtype, w_dtype, **given):
    """(problem, x, w, bias or None): tiny, but long enough now and then for several chains."""
    ndim = int(rng.integers(1, 4))

    def triple(low, high):
        return (*(1,) * (3 - ndim), *map(int, rng.integers(low, high, ndim)))

    while True:
        G, C, F = map(int, rng.integers(1, 4, 3))
        spatial, kernel, stride, dilation = triple(1, 6), triple(1, 4), triple(1, 4), triple(1, 3)
        if rng.random() < 0.2:
            kernel, C, F = triple(1, 4), int(rng.integers(30, 300 if ndim == 1 else 140)), 1
            spatial, stride = triple(2, 4), triple(2, 4)
        pads = tuple(zip(triple(0, 3), triple(0, 3), strict=True))
        pads = (*((0, 0),) * (3 - ndim), *pads[3 - ndim :])
        kind = KINDS[rng.integers(len(KINDS))]
        x = values(rng, (int(rng.integers(1, 3)), *spatial, G * C), x_dtype, kind)
        w = values(rng, (*kernel, C, G * F), w_dtype, kind)
        bias = None if rng.random() < 0.5 else values(rng, (G * F,), np.result_type(x_dtype, w_dtype), kind)
        mode = MODES[rng.integers(len(MODES))]
        options = {"ndim": ndim, "groups": G, "stride": stride, "dilation": dilation, "pads": pads, "pad_mode": mode}
        if mode == "constant" and rng.random() < 0.5:
            options["pad_value"] = 1
        problem = make_problem(x, w, bias=bias is not None, **(options | given))
        if min(problem.out_spatial) > 0:
            return problem, x, w, bias


FLOATING = [
    ("float32", "float32", {}),
    ("float64", "float64", {}),
    ("float32", "float32", {"activation": "relu"}),
    ("float32", "float32", {"activation": "leaky_relu", "slope": 0.3}),
    ("float64", "float64", {"activation": "leaky_relu"}),
    ("float16", "float16", {}),
    ("float64", "float32", {}),
    ("uint8", "float32", {}),
    ("int64", "float32", {}),
    ("float32", "int16", {"result": "float32"}),
    ("bool", "float64", {}),
    ("float64", "float64", {"result": "float32"}),
    ("int8", "int8", {"result": "float16"}),
    ("complex64", "complex64", {}),
    ("complex128", "complex128", {}),
    ("complex128", "float64", {}),
    ("float32", "complex64", {}),
    ("complex64", "float64", {}),
    ("uint8", "complex64", {}),
    ("float32", "float32", {"result": "complex64"}),
]


@needs_libm
@pytest.mark.parametrize("x_dtype, w_dtype, given", FLOATING, ids=lambda v: v if isinstance(v, str) else "")
@pytest.mark.parametrize("seed", range(20))
def test_convolve_is_the_definition_bit_for_bit(x_dtype, w_dtype, given, seed):
    number = FLOATING.index((x_dtype, w_dtype, given))
    problem, x, w, bias = random_problem(np.random.default_rng([seed, number]), x_dtype, w_dtype, **given)
    with np.errstate(all="ignore"):
        expected = scalar_twin(problem, x, w, bias)
    got = reference.convolve(problem, x, w, bias)
    assert got.flags.c_contiguous
    assert_same_bits(got, expected)


@pytest.mark.parametrize("u", [1, 2])
@pytest.mark.parametrize(
    "C, kernel", [(1, (1, 1, 256)), (1, (1, 2, 257)), (40, (2, 3, 3)), (43, (1, 3, 3)), (7, (2, 1, 1))]
)
def test_chains_of_a_problem_are_those_of_the_definition(C, kernel, u):
    dtype = ["float32", "complex64"][u - 1]
    p = make_problem(np.zeros((1, *kernel, C), dtype), np.zeros((*kernel, C, 1), dtype))
    KD, KH, KW = kernel
    rows = [[(row, step) for step in range(KW * C)] for row in range(KD * KH)]
    chains = [[(row, step) for row in range(a, b) for step in range(c, d)] for a, b, c, d in p.chains()]
    assert chains == chains_of(rows, u)


# --- integers ---------------------------------------------------------------------------------------------------------

INTEGERS = [
    ("int8", "int8"), ("uint8", "int8"), ("uint8", "uint8"), ("bool", "bool"), ("bool", "uint16"), ("bool", "int32"),
    ("int32", "int32"), ("int64", "int64"), ("uint64", "uint64"), ("uint64", "int64"), ("uint32", "int64"),
]  # fmt: skip


@pytest.mark.parametrize("x_dtype, w_dtype", INTEGERS)
@pytest.mark.parametrize("seed", range(8))
def test_integers_are_exact(x_dtype, w_dtype, seed):
    given = {"overflow": "wrap", "activation": ["", "relu"][seed % 2]}
    rng = np.random.default_rng([seed, INTEGERS.index((x_dtype, w_dtype))])
    p, x, w, _ = random_problem(rng, x_dtype, w_dtype, **given)
    bias = rng.integers(0, 100, p.filters)
    options = {"constant_values": p.pad_value} if p.pad_mode == "constant" else {}
    padded = np.pad(x, ((0, 0), *p.pads, (0, 0)), mode=p.pad_mode, **options)
    expected = np.empty((len(x), *p.out_spatial, p.filters), p.result)
    for at in np.ndindex(expected.shape):
        n, f = at[0], at[-1]
        total = int(bias[f])
        for tap in np.ndindex(w.shape[:4]):
            where = [o * s + k * d for o, s, k, d in zip(at[1:4], p.stride, tap[:3], p.dilation, strict=True)]
            c = f // p.group_filters * p.group_channels + tap[3]
            total += int(padded[(n, *where, c)]) * int(w[(*tap, f)])
        total = max(total, 0) if p.activation else total
        expected[at] = np.array(total % 2**64, np.uint64).astype(p.result)
    assert_same_bits(reference.convolve(p, x, w, bias), expected)


def test_integers_beyond_64_bits():
    x = np.full((1, 1, 1, 4, 1), 2**62)
    w = np.ones((1, 1, 4, 1, 1), np.int64)
    with pytest.raises(OverflowError, match=r"18446744073709551616 does not fit int64"):
        reference.convolve(make_problem(x, w), x, w)
    assert reference.convolve(make_problem(x, w, overflow="saturate"), x, w).item() == 2**63 - 1
    assert reference.convolve(make_problem(x, w, overflow="wrap"), x, w).item() == 0
    assert reference.convolve(make_problem(x, w, overflow="wrap"), x, w, np.array([7])).item() == 7
    w[0, 0, 2:] = -1  # passes 2**63 on the way to 0
    assert reference.convolve(make_problem(x, w), x, w).item() == 0
    # The bias is cast to the computing type, int64, before anything else happens to it.
    assert reference.convolve(make_problem(x, w), x, w, np.array([2**64 - 5], np.uint64)).item() == -5


# --- meaning ----------------------------------------------------------------------------------------------------------


def line(*numbers):
    """A canonical 1-D signal of one sample and channel."""
    return np.array(numbers, float).reshape(1, 1, 1, -1, 1)


def taps(*numbers):
    """A canonical 1-D kernel of one channel and filter."""
    return np.array(numbers, float).reshape(1, 1, -1, 1, 1)


def test_a_bump_under_the_identity_kernel_is_the_bump():
    x, w = line(0, 0, 0, 1, 1, 0, 0, 0), taps(0, 1, 0)
    assert reference.convolve(make_problem(x, w, ndim=1), x, w).ravel().tolist() == [0, 0, 1, 1, 0, 0]


@pytest.mark.parametrize("mode, pad", [("valid", 0), ("full", 4)])
def test_numpy_correlate_and_convolve(mode, pad):
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal(20), rng.standard_normal(5)
    p = make_problem(line(*x), taps(*w), pads=((0, 0), (0, 0), (pad, pad)))
    np.testing.assert_allclose(reference.convolve(p, line(*x), taps(*w)).ravel(), np.correlate(x, w, mode), rtol=1e-12)
    flipped = reference.convolve(p, line(*x), taps(*w[::-1])).ravel()
    np.testing.assert_allclose(flipped, np.convolve(x, w, mode), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_scipy_correlate(dtype):
    signal = pytest.importorskip("scipy.signal")
    rng = np.random.default_rng(2)
    x, w = values(rng, (2, 4, 5, 6, 6), dtype, "normal"), values(rng, (2, 3, 2, 3, 4), dtype, "normal")
    p = make_problem(x, w, groups=2, stride=(1, 2, 3), dilation=(2, 1, 2), pads=((1, 0), (1, 1), (2, 3)))
    padded = np.pad(x, ((0, 0), *p.pads, (0, 0)))
    dilated = np.zeros((3, 3, 3, 3, 4), dtype)
    dilated[::2, :, ::2] = w
    expected = np.empty((2, *p.out_spatial, 4), dtype)
    for n, f in itertools.product(range(2), range(4)):
        channels = slice(0, 3) if f < 2 else slice(3, 6)
        full = signal.correlate(padded[n, ..., channels], np.conj(dilated[..., f]), "valid", method="direct")[..., 0]
        expected[n, ..., f] = full[:, ::2, ::3]
    np.testing.assert_allclose(reference.convolve(p, x, w), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("mode", MODES)
def test_pads_wider_than_the_array(mode):
    x, w = line(1, 2, 3), taps(1)
    p = make_problem(x, w, pads=((0, 0), (0, 0), (7, 4)), pad_mode=mode)
    assert reference.convolve(p, x, w).ravel().tolist() == np.pad(x.ravel(), (7, 4), mode=mode).tolist()


def test_padding_multiplies():
    x, w = line(1, 1), taps(np.inf, 1)
    p = make_problem(x, w, pads=((0, 0), (0, 0), (1, 0)))
    assert np.isnan(reference.convolve(p, x, w).ravel()).tolist() == [True, False]


def test_any_strides_empty_batches_and_no_change_of_inputs():
    rng = np.random.default_rng(3)
    x, w, bias = rng.standard_normal((2, 1, 5, 6, 3)), rng.standard_normal((1, 3, 3, 3, 4)), rng.standard_normal(4)
    p = make_problem(x, w, pads=((0, 0), (1, 1), (1, 1)))
    copies = x.copy(), w.copy(), bias.copy()
    expected = reference.convolve(p, x, w, bias)
    assert_same_bits(reference.convolve(p, *(np.asfortranarray(a) for a in (x, w, bias))), expected)
    assert_same_bits(reference.convolve(p, *(np.flip(np.flip(a).copy()) for a in (x, w, bias))), expected)
    x1, w1 = (np.asfortranarray(a + 1j * np.cos(a)) for a in (x, w))
    p1 = make_problem(x1, w1, pads=p.pads)
    assert_same_bits(reference.convolve(p1, x1, w1), reference.convolve(p1, x1.copy("C"), w1.copy("C")))
    for a, b in zip((x, w, bias), copies, strict=True):
        assert_same_bits(a, b)
    for mode in MODES:
        empty = make_problem(x, w, pads=p.pads, pad_mode=mode)
        assert reference.convolve(empty, x[:0], w, bias).shape == (0, 1, 5, 6, 4)


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
