"""The reference against exact arithmetic, other libraries, and a scalar twin written from the promise."""

import itertools
import math
import operator
from functools import reduce

import numpy as np
import pytest

from numconv import reference

from .reference_cases import LIBM, MODES, assert_same_bits, line, make_problem, needs_libm, taps

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
