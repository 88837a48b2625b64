"""The kernel for everything: bits of the reference, for every type, mode and option."""

import numpy as np
import pytest

import numconv
from numconv import reference
from numconv._problem import Problem

from ..problems import CASES, FLOATS, INTEGERS, PAIRS, Case
from .device import CONV, any_strides, arrays, check, few, only, random_case, same_bits, simulated, to_device


@pytest.fixture(autouse=True)
def this_kernel():
    with only("generic"):
        yield


PREFIXES = ("mode.", "pad.", "type.", "mixed.", "activation.", "stride", "weights.")
NAMED = [case for case in CASES if case.name.startswith(PREFIXES)]


def refused(case):
    """Integer sums that may not fit: "raise" is not for a GPU."""
    return np.result_type(case.x_dtype, case.w_dtype or case.x_dtype).kind in "iub" and "dtype" not in case.options


def wrapped(case):
    """The case with integers modulo 2**64 where their sums may leave them."""
    if not refused(case):
        return case
    return Case(**{**vars(case), "options": {**case.options, "overflow": "wrap"}})


def smaller(case):
    """The case with few filters: the simulator is slow."""
    filters = min(case.filters, 3 * case.groups) if simulated() else case.filters
    return Case(**{**vars(case), "n": 1, "filters": filters, "spatial": tuple(min(n, 9) for n in case.spatial)})


@pytest.mark.parametrize("part", range(4))
def test_named_problems(part):
    done = 0
    for number, case in list(enumerate(NAMED))[part::4]:
        case = wrapped(smaller(case))
        if case.name.startswith("weights."):
            case = Case(**{**vars(case), "channels": 6 if simulated() else 80, "filters": 4})
        done += check(case, *arrays(case, np.random.default_rng(number)))
    assert done > 20


@pytest.mark.parametrize("seed", range(2 if simulated() else 6))
def test_random_problems(seed):
    """Any layout: views of NumPy are copied with their strides where the device's library can.

    On a GPU nearly each takes a kernel of its own, which is compiled in a second.
    """
    done = 0
    for number in range(80 if simulated() else 50):
        rng = np.random.default_rng([seed, number])
        case = random_case(rng)
        x, w, bias = arrays(case, rng)
        try:
            expected = CONV[case.ndim](x, w, bias, **case.keywords, method="reference")
        except (ValueError, TypeError, OverflowError) as error:
            with pytest.raises((type(error), NotImplementedError)):
                CONV[case.ndim](x, w, bias, **case.keywords, device="cuda")
            continue
        if not few(case, expected.size):
            continue
        case = wrapped(case) if expected.dtype.kind in "iu" else case
        x, w = any_strides(x, rng), any_strides(w, rng)
        given = to_device(x), to_device(w) if number % 2 else w
        try:
            found = CONV[case.ndim](*given, bias, **case.keywords).copy_to_host()
        except NotImplementedError as error:  # what values would tell of weights, types do not
            assert w.dtype.kind in "iub" and (number % 2 or "activation" in case.options), error
            continue
        assert same_bits(found, expected), (seed, number, case)
        done += 1
    assert done > 25


@pytest.mark.parametrize(("x_dtype", "w_dtype"), [*((d, d) for d in (*FLOATS, "float16", *INTEGERS)), *PAIRS])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_types(x_dtype, w_dtype, data_format):
    options = {"padding": "same", "data_format": data_format}
    case = Case("types", 1, (5,), 2, 3, (3,), x_dtype=x_dtype, w_dtype=w_dtype, bias=True, options=options)
    assert check(wrapped(case), *arrays(case, np.random.default_rng(0)))


def test_chains_of_every_length():
    """Rows of more than 256 products are cut; short ones are put together."""
    for channels, kernel in ((300, (1,)), (130, (3,)), (1, (7, 20)), (2, (3, 50))):
        case = Case("chains", 1, kernel, channels, 2, kernel, options={"data_format": "channels_first"})
        assert check(case, *arrays(case, np.random.default_rng(channels)))


def test_padding_far_beyond_the_array():
    for mode in ("edge", "reflect", "symmetric", "wrap"):
        for size in (1, 2, 3):
            case = Case(mode, 1, (size,), 1, 1, (3,), options={"padding": ((7, 9),), "pad_mode": mode})
            assert check(case, *arrays(case, np.random.default_rng(0)))


def test_values_that_are_not_finite():
    """A NaN or infinity reaches the outputs that see it; padding multiplies; signs of zeros are those of the sums."""
    for dtype in ("float32", "float64", "complex64"):
        case = Case("values", 1, (9, 9), 1, 2, (3, 3), x_dtype=dtype, options={"padding": "same"})
        x, w, _ = arrays(case, np.random.default_rng(1))
        x[0, 4, 4], x[0, 0, 8], w[0, 0, 0, 0], w[1, 1, 0, 1] = np.nan, np.inf, -0.0, np.inf
        assert check(case, x, w, None)
        assert check(case, x * 0, -w, None)
        assert check(case, x * x.real.dtype.type(1e-30), w * w.real.dtype.type(1e-15), None)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "silu", "gelu"])
def test_smooth_activations(name, dtype):
    """Within 4 units in the last place; gelu in double precision within 6, of which the library takes 5."""
    x = np.concatenate([np.linspace(-40, 40, 60), [-1e4, -200, -0.0, 0.0, 1e-30, np.inf, -np.inf, np.nan]]).astype(
        dtype
    )
    w = np.ones((1, 1, 1), dtype)
    found = numconv.conv1d(x[:, None], w, activation=name, device="cuda")[:, 0]
    expected = reference.activate(x, name)
    assert (np.isnan(found) == np.isnan(expected)).all()
    finite = np.isfinite(expected)
    assert (found[~finite & ~np.isnan(x)] == expected[~finite & ~np.isnan(x)]).all()
    error = np.abs(found - expected)[finite]
    assert (error <= (6 if (name, dtype) == ("gelu", "float64") else 4) * np.spacing(np.abs(expected[finite]))).all()


@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("source", ["float32", "float64"])
def test_floats_to_integers(source, dtype, overflow):
    values = [0.5, 1.5, 2.5, -0.5, -1.5, 127.5, -129, 300, 2.0**31, 2.0**40 + 2**20, -(2.0**45), 2.0**63, 2.0**64]
    values += [-(2.0**63), 1.5 * 2.0**64, -3 * 2.0**70, 2.0**116 * (1 + 2.0**-23), 1e30, -1e38, np.inf, -np.inf, np.nan]
    x = np.array(values, source)
    found = numconv.conv1d(x[:, None], np.ones((1, 1, 1), source), dtype=dtype, overflow=overflow, device="cuda")
    assert same_bits(found[:, 0], reference.to_result(x, np.dtype(dtype), overflow))


@pytest.mark.parametrize("dtype", ["int8", "uint16", "uint64"])
def test_integers_to_integers(dtype):
    x = np.array([-300, -1, 0, 5, 127, 128, 255, 40000, 70000], np.int32)
    for overflow in ("saturate", "wrap"):
        options = {"dtype": dtype, "overflow": overflow}
        found = numconv.conv1d(x[:, None], np.ones((1, 1, 1), np.int8), **options, device="cuda")
        assert same_bits(found[:, 0], reference.to_result(x.astype(np.int64), np.dtype(dtype), overflow))


def test_banks_of_stacks():
    """Batch axes that nest, and that do not; axes in any order."""
    rng = np.random.default_rng(0)
    x, filters = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((2, 3, 2))
    for array in (x, x.transpose(1, 0, 3, 2), np.asfortranarray(x)):
        for axes in (None, (0, 2), (3, 1)):
            expected = numconv.filter_bank(array, filters, axes=axes, method="reference")
            assert same_bits(numconv.filter_bank(array, filters, axes=axes, device="cuda"), expected)
            found = numconv.filter_bank(to_device(array), to_device(filters), axes=axes)
            assert same_bits(found.copy_to_host(), expected)
    for function in (numconv.correlate, numconv.convolve):
        expected = function(x, filters[0], stride=(1, 2), method="reference")
        assert same_bits(function(x, filters[0], stride=(1, 2), device="cuda"), expected)


def test_nothing_to_do():
    assert numconv.conv1d(np.ones((0, 5, 1)), np.ones((3, 1, 2)), device="cuda").shape == (0, 3, 2)
    assert numconv.correlate(np.ones((0, 5)), np.ones(3), device="cuda").shape == (0, 5)


def test_chain_limits_say_what_chains_say():
    """The kernel's two numbers against the list of a problem."""
    from numconv.cuda.generic import chain_limits

    rng = np.random.default_rng(0)
    for _ in range(300):
        kernel = tuple(int(n) for n in rng.integers(1, 8, 3))
        channels, dtype = int(rng.integers(1, 400)), np.dtype(rng.choice(FLOATS))
        problem = Problem(
            3, kernel, kernel, channels, 1, 1, (1, 1, 1), (1, 1, 1), ((0, 0),) * 3, "constant", 0, dtype, dtype,
            dtype, dtype, True, False, "", 0.0, "raise", "auto",
        )  # fmt: skip
        limit, rows = chain_limits(problem)
        steps, found, taken = kernel[2] * channels, [], 0
        for step in range(1, steps * kernel[0] * kernel[1] + 1):
            if step - taken == limit or (rows and step % steps == 0) or step == steps * kernel[0] * kernel[1]:
                found.append(step - taken)
                taken = step
        assert [n for n in found if n] == [(b - a) * (end - begin) for a, b, begin, end in problem.chains()]
