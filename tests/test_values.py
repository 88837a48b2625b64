"""What values do: NaN, infinity, denormals, signs of zero, exact integers, conversions, complex mixes, activations."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import numconv
from numconv import reference
from tests.forced import forced, shapes
from tests.problems import same_bits

FORMATS = ("channels_last", "channels_first")
REAL = ("float16", "float32", "float64")
INTEGER_LIMITS = [(np.dtype(name), np.iinfo(name)) for name in ("int8", "uint8", "int32", "uint32", "int64", "uint64")]
METHODS = ("direct", "reference")

one_tile_an_order = pytest.mark.parametrize(
    "tile", list({tile[0]: tile for tile in reversed(shapes())}.values()), ids=lambda tile: tile[0]
)


def signal(values, dtype=np.float64):
    """(1, L, 1): one channel."""
    return np.asarray(values, dtype).reshape(1, -1, 1)


def taps(values, dtype=np.float64):
    """(K, 1, 1): one filter."""
    return np.asarray(values, dtype).reshape(-1, 1, 1)


def conv(x, w, **options):
    """conv1d of two lists, as a list."""
    return numconv.conv1d(x, w, **options).ravel().tolist()


# --- NaN and infinity -------------------------------------------------------------------------------------------------

REACHES = [
    {},
    {"padding": "same"},
    {"padding": "full", "stride": 2},
    {"padding": "same", "dilation": 2},
    {"padding": "same", "pad_mode": "wrap"},
    {"padding": ((2, 1), (0, 3)), "pad_mode": "reflect", "stride": (1, 2)},
    {"padding": "same", "groups": 2},
]


@one_tile_an_order
@pytest.mark.parametrize("options", REACHES, ids=str)
@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_bad_samples_reach_their_receptive_fields(dtype, data_format, options, tile):
    """Every output that sees the sample, though its weight there be 0, and no other."""
    groups = options.get("groups", 1)
    rng = np.random.default_rng(0)
    x, w = np.ones((1, 7, 9, 2), dtype), np.zeros((3, 3, 2 // groups, 18), dtype)
    w[..., rng.integers(0, 18, 9)] = 1
    for value, place in product((np.nan, np.inf, -np.inf), [(0, 0, 0), (3, 4, 1), (6, 8, 0)]):
        sick, marked = x.copy(), np.zeros(x.shape, np.int64)
        sick[0, *place], marked[0, *place] = value, 1
        reached = run(marked, np.ones(w.shape, np.int64), data_format, method="reference", **options) > 0
        with forced(*tile):
            got = run(sick, w, data_format, method="direct", **options)
        assert (np.isfinite(got) == ~reached).all()


def run(x, w, data_format, **options):
    """conv2d of channels-last arrays in a data format."""
    if data_format == "channels_last":
        return numconv.conv2d(x, w, **options)
    result = numconv.conv2d(np.moveaxis(x, 3, 1), w.transpose(3, 2, 0, 1), data_format=data_format, **options)
    return np.moveaxis(result, 1, 3)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("method", METHODS)
def test_padding_multiplies(method, data_format):
    """An infinite weight meets the zeros of padding: NaN. A NaN as padding stays at the border."""
    x, w = np.ones((1, 4, 5, 1)), np.ones((3, 3, 1, 2))
    w[0, 0, 0, 1] = np.inf
    got = run(x, w, data_format, padding="same", method=method)
    assert np.isfinite(got[..., 0]).all()
    border = np.zeros((1, 4, 5), bool)
    border[:, 0] = border[:, :, 0] = True
    assert (np.isnan(got[..., 1]) == border).all()
    assert (np.isinf(got[..., 1]) == ~border).all()
    border[:, -1] = border[:, :, -1] = True
    w[0, 0, 0, 1] = 1
    got = run(x, w, data_format, padding="same", pad_value=np.nan, method=method)
    assert (np.isnan(got) == border[..., None]).all()


# --- small numbers and zeros ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize(("dtype", "power"), [("float32", -60), ("float64", -664)])
def test_scaled_kernels_give_scaled_results(dtype, power, data_format):
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((1, 6, 7, 3)).astype(dtype), rng.standard_normal((3, 3, 3, 17)).astype(dtype)
    small = np.ldexp(w, power).astype(dtype)
    assert same_bits(run(x, small, data_format), np.ldexp(run(x, w, data_format), power).astype(dtype))


@pytest.mark.parametrize("dtype", REAL)
def test_denormals_are_kept(dtype):
    least = np.finfo(dtype).smallest_subnormal
    x = signal([least, 3 * least, 0, 5 * least], dtype)
    assert same_bits(numconv.conv1d(x, taps([1], dtype)), x)
    assert same_bits(numconv.conv1d(x, taps([1, 1], dtype)), signal([4 * least, 3 * least, 5 * least], dtype))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("activation", [None, "relu", "leaky_relu"])
def test_signs_of_zero(activation, method):
    """A chain starts at +0.0, so that -0.0 comes from underflow alone; relu leaves it."""
    options = {"activation": activation, "method": method}
    assert np.signbit(conv(signal([-0.0, 0.0]), taps([1.0]), **options)).tolist() == [False, False]
    assert np.signbit(conv(signal([-1e-200, 1e-200]), taps([1e-200]), **options)).tolist() == [True, False]


def test_signs_of_slopes():
    """Two options that are equal and mean different things."""
    for slope in (0.0, -0.0):
        got = conv(signal([-1.0]), taps([1.0]), activation=("leaky_relu", slope))
        assert np.signbit(got).all() == (not np.signbit(slope))


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
@pytest.mark.parametrize("method", ["direct", "reference"])
def test_values_beyond_the_computing_type(dtype, method):
    """They become infinite without a warning, as in the reference."""
    got = numconv.conv1d(signal([1.0]), taps([1e300]), [-1e300], dtype=dtype, method=method)
    assert np.isnan(got).all()


# --- integers ---------------------------------------------------------------------------------------------------------


def fitted(value, limits, overflow):
    """What Python makes of an exact value."""
    if overflow == "saturate":
        return min(max(value, limits.min), limits.max)
    return (value - limits.min) % 2**limits.bits + limits.min


@pytest.mark.parametrize(("dtype", "limits"), INTEGER_LIMITS, ids=lambda value: str(getattr(value, "name", "")))
@pytest.mark.parametrize(
    ("x", "w"),
    [
        ([2**62, 2**62, 2**62, -1], [1, 1, 1]),
        ([-(2**63), 2**63 - 1, -(2**63), 5], [-1, 2**62, 3]),
        ([100, -100, 127, 3], [3, -1, 2]),
        ([2**31, -(2**31), 7, 2**40], [1, 2, -(2**31)]),
    ],
)
def test_exact_integers(x, w, dtype, limits):
    """Sums of any size, also where they leave int64 on the way; with a bias."""
    exact = [sum(a * b for a, b in zip(x[i:], w, strict=False)) + 11 for i in range(len(x) - len(w) + 1)]
    given = signal(x, np.int64), taps(w, np.int64), np.array([11])
    for overflow in ("saturate", "wrap"):
        got = conv(given[0], given[1], bias=given[2], dtype=dtype, overflow=overflow)
        assert got == [fitted(value, limits, overflow) for value in exact]
    if all(limits.min <= value <= limits.max for value in exact):
        assert conv(given[0], given[1], bias=given[2], dtype=dtype) == exact
    else:
        with pytest.raises(OverflowError, match="conv1d"):
            numconv.conv1d(*given, dtype=dtype)


def test_unsigned_integers():
    """uint64 where no operand is signed, exact up to its end."""
    x = signal([2**63, 2**62, 1], np.uint64)
    assert conv(x, taps([1, 1], np.uint8)) == [2**63 + 2**62, 2**62 + 1]
    assert numconv.conv1d(x, taps([1], np.uint8)).dtype == np.uint64
    assert conv(x, taps([1], bool)) == [2**63, 2**62, 1]
    with pytest.raises(OverflowError):
        numconv.conv1d(x, taps([2], np.uint8))
    assert conv(x, taps([2], np.uint8), overflow="saturate") == [2**64 - 1, 2**63, 2]
    assert conv(x, taps([3], np.uint8), overflow="wrap") == [2**63, 3 * 2**62, 3]
    with pytest.raises(OverflowError):
        numconv.conv1d(x, taps([1], np.int8))  # int64


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("method", METHODS)
def test_rounding_to_integers(dtype, method):
    """Half to even; then the limits of the type."""
    x = signal([0.5, 1.5, 2.5, -0.5, -1.5, 126.5, 127.25, -128.5, -0.0], dtype)
    got = conv(x, taps([1], dtype), dtype="int8", method=method)
    assert got == [0, 2, 2, 0, -2, 126, 127, -128, 0]
    for value in (127.5, -129.0, np.nan, np.inf, -np.inf):
        with pytest.raises(OverflowError, match="conv1d"):
            numconv.conv1d(signal([1, value], dtype), taps([1], dtype), dtype="int8", method=method)
    x = signal([127.5, -129, 300, np.nan, np.inf, -np.inf], dtype)
    options = {"dtype": "int8", "method": method}
    assert conv(x, taps([1], dtype), overflow="saturate", **options) == [127, -128, 127, 0, 127, -128]
    assert conv(x, taps([1], dtype), overflow="wrap", **options) == [-128, 127, 44, 0, 0, 0]


@pytest.mark.parametrize("method", METHODS)
def test_rounding_to_wide_integers(method):
    x = signal([2.0**63 - 1024, -(2.0**63), 2.0**53, 2.0**62 + 512])
    assert conv(x, taps([1.0]), dtype="int64", method=method) == [int(value) for value in x.ravel()]
    top = signal([2.0**64 - 2048, 2.0**63])
    assert conv(top, taps([1.0]), dtype="uint64", method=method) == [2**64 - 2048, 2**63]
    for value, dtype in ((2.0**63, "int64"), (2.0**64, "uint64"), (-1.0, "uint64")):
        with pytest.raises(OverflowError):
            numconv.conv1d(signal([value]), taps([1.0]), dtype=dtype, method=method)
    wild = signal([2.0**63, 2.0**64 + 4096, -(2.0**63) - 2048])
    assert conv(wild, taps([1.0]), dtype="int64", overflow="wrap", method=method) == [-(2**63), 4096, 2**63 - 2048]


# --- complex ----------------------------------------------------------------------------------------------------------

MIXES = [
    (x, w)
    for x, w in product(("int16", "float32", "float64", "complex64", "complex128"), repeat=2)
    if "complex" in x + w
]


@pytest.mark.parametrize(("x_dtype", "w_dtype"), MIXES)
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("data_format", FORMATS)
def test_complex_mixes(x_dtype, w_dtype, flip, data_format):
    """Against NumPy's convolution, channel by channel; weights are never conjugated."""
    rng = np.random.default_rng(5)
    x, w, bias = deviates(rng, (3, 40), x_dtype), deviates(rng, (17, 3, 5), w_dtype), deviates(rng, 17, "complex64")
    given = (x[None], w) if data_format == "channels_first" else (x.T[None], w.transpose(2, 1, 0))
    got = numconv.conv1d(*given, bias, flip=flip, data_format=data_format)
    wide, kernels = x.astype(np.complex128), w.astype(np.complex128)[..., :: 1 if flip else -1]
    expected = [sum(map(lambda a, b: np.convolve(a, b, "valid"), wide, kernel)) for kernel in kernels]
    expected = np.array(expected) + bias[:, None]
    assert got.dtype == (x_dtype if w_dtype == "int16" else np.result_type(x_dtype, w_dtype))
    got = got[0] if data_format == "channels_first" else got[0].T
    assert np.allclose(got, expected, rtol=0, atol=200 * np.finfo(got.dtype).eps * np.abs(expected).max())


def deviates(rng, shape, dtype):
    """Normal deviates; integers to 100."""
    kind = np.dtype(dtype).kind
    if kind == "i":
        return rng.integers(-100, 100, shape).astype(dtype)
    values = rng.standard_normal(shape)
    return (values + 1j * rng.standard_normal(shape) if kind == "c" else values).astype(dtype)


def test_no_products_but_those_that_exist():
    """A real operand has no imaginary part that a NaN or an infinity of the other could meet."""
    x = signal([complex(np.inf, 1), complex(0, np.nan)], complex)
    got = numconv.conv1d(x, taps([2.0])).ravel()
    assert (got[0].real, got[0].imag, got[1].real) == (np.inf, 2, 0)
    assert np.isnan(got[1].imag)
    got = numconv.conv1d(signal([2.0]), taps([complex(np.inf, 1)], complex)).ravel()
    assert (got[0].real, got[0].imag) == (np.inf, 2)


def test_complex_result_of_real_operands():
    got = numconv.conv1d(signal([1.0, 2.0]), taps([3.0]), [1 + 2j], dtype="complex64")
    assert same_bits(got, signal([4 + 2j, 7 + 2j], "complex64"))
    assert same_bits(numconv.conv1d(signal([1.0]), taps([3.0]), dtype="complex128"), signal([3], complex))


# --- activations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize(
    ("x_dtype", "w_dtype"), [("f4", "f4"), ("i2", "f8"), ("f4", "c8"), ("c16", "f8"), ("c8", "c8")]
)
def test_signs_of_zero_in_complex_biases(x_dtype, w_dtype, data_format):
    """Real operands make no imaginary products: their sum is +0.0, to which the bias is added."""
    x, w = np.zeros((1, 2, 9, 2), x_dtype), np.ones((1, 2, 2, 3), w_dtype)
    bias = np.array([complex(1, -0.0), complex(-0.0, -0.0), complex(-0.0, 2)], np.complex64)
    got, expected = (
        run(x, w, data_format, bias=bias, dtype=np.complex128, method=method) for method in ("direct", "reference")
    )
    assert same_bits(got, expected)
    assert not np.signbit(got.imag).any()


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "silu", "gelu"])
def test_activations(activation, dtype, data_format):
    """Within 4 ulp of the reference, after the bias; NaN stays, infinities go to the limits."""
    rng = np.random.default_rng(6)
    x, w = (rng.standard_normal(shape).astype(dtype) for shape in ((2, 9, 11, 3), (3, 3, 3, 18)))
    bias = rng.standard_normal(18).astype(dtype)
    got = run(x, w, data_format, bias=bias, activation=activation)
    expected = run(x, w, data_format, bias=bias, activation=activation, method="reference")
    assert got.dtype == dtype
    assert (np.abs(got - expected) <= 4 * np.spacing(np.abs(expected))).all()
    special = numconv.conv1d(signal([np.nan, np.inf, -np.inf, 0.0], dtype), taps([1], dtype), activation=activation)
    limits = reference.activate(np.array([np.inf, -np.inf, 0.0]), activation).astype(dtype)
    # Infinity times 1 plus nothing is what the activation sees.
    assert np.isnan(special.ravel()[0])
    assert (special.ravel()[1:] == limits).all()


def test_activation_before_rounding_to_integers():
    got = numconv.conv1d(signal([-1.0, 0.4, 1.6]), taps([1.0]), activation="silu", dtype="int8")
    assert got.ravel().tolist() == [0, 0, 1]
