"""Transposed convolutions and gradients with respect to inputs: bits of the reference, phase by phase."""

import pickle

import numpy as np
import pytest

import numconv
from numconv import grad
from numconv.cuda import tensor

from ..problems import any_strides, poisoned
from ..transposes import (
    CONV,
    CONV_INPUT,
    PLAN,
    TRANSPOSE,
    TRANSPOSE_INPUT,
    laid_out,
    random_options,
    random_sizes,
)
from .device import few_products, in_order, only, same_bits, simulated, to_device

DTYPES = ("float32", "float64", "float16", "complex64")
MODES = ("constant", "edge", "reflect", "symmetric", "wrap")
COUNT = 11 if simulated() else 40


@pytest.fixture(autouse=True)
def equal_bits():
    with in_order():
        yield


def numbers(rng, shape, dtype):
    values = rng.standard_normal(shape) * 4
    return (values + 1j * rng.standard_normal(shape) if dtype[0] == "c" else values).astype(dtype)


def drawn(rng, transpose, dtype):
    """(axes, options, x, w): arrays as the options say."""
    ndim = int(rng.integers(1, 4))
    options = random_options(rng, ndim)
    spatial, kernel, C, F = random_sizes(rng, ndim, options["groups"])
    each = (F // options["groups"], C) if transpose else (C // options["groups"], F)
    x, w = numbers(rng, (2, *spatial, C), dtype), numbers(rng, (*kernel, *each), dtype)
    return ndim, options, laid_out(x, options), laid_out(w, options, True)


def problems(seed, transposes, dtypes):
    """Those that are small enough, with the result of the reference."""
    found = 0
    for number in range(1000):
        rng = np.random.default_rng([seed, number])
        transpose, dtype = bool(transposes[number % len(transposes)]), dtypes[number % len(dtypes)]
        ndim, options, x, w = drawn(rng, transpose, dtype)
        if not transpose and seed:
            options["pad_mode"] = str(rng.choice(MODES))
        try:
            y = (TRANSPOSE if transpose else CONV)[ndim](x, w, **options, method="reference")
        except ValueError:
            continue
        if few_products(max(x.size, y.size) * w[..., 0, 0].size * 9):
            yield rng, number, transpose, ndim, options, x, w, y
            found += 1
        if found == COUNT:
            return


def test_transposed():
    """Every layout; weights on the host and on the device, where those of groups are copied."""
    for rng, number, _, ndim, options, x, w, _y in problems(0, [True], (*DTYPES, "int16")):
        whole = x.dtype.kind == "i"
        bias = None if number % 3 or whole else numbers(rng, TRANSPOSE[ndim](x, w, **options).shape[-1:], "float32")
        if bias is not None and options["data_format"] == "channels_first":
            bias = numbers(rng, TRANSPOSE[ndim](x, w, **options).shape[1:2], "float32")
        options |= {"overflow": "wrap"} if whole else {} if x.dtype.kind == "c" else {"activation": "relu"}
        expected = TRANSPOSE[ndim](x, w, bias, **options, method="reference")
        x, w = any_strides(x, rng), any_strides(w, rng)
        out = to_device(poisoned(expected.shape, expected.dtype))
        given = to_device(w) if number % 2 else w
        assert TRANSPOSE[ndim](to_device(x), given, bias, **options, out=out) is out
        assert same_bits(out.copy_to_host(), expected), (number, options)
        if number % 4 == 1:  # what was found out is kept, and used for arrays elsewhere
            found = TRANSPOSE[ndim](to_device(x), to_device(w), bias, **options)
            assert same_bits(found.copy_to_host(), expected), (number, options)


def test_input_gradients():
    for rng, number, transpose, ndim, options, x, w, y in problems(1, [0, 0, 1], DTYPES):
        function = (TRANSPOSE_INPUT if transpose else CONV_INPUT)[ndim]
        g = any_strides(numbers(rng, y.shape, x.dtype.name), rng)
        expected = function(x.shape, w, g, **options, method="reference")
        out = to_device(poisoned(expected.shape, expected.dtype))
        given = to_device(w) if number % 2 else w
        assert function(x.shape, given, to_device(g), **options, out=out) is out
        assert same_bits(out.copy_to_host(), expected), (number, options)
        if number % 4 == 0:
            assert same_bits(function(x.shape, w, g, **options, device="cuda"), expected)


def test_turns(monkeypatch):
    """Padded gradients of many samples are made and folded some at a time."""
    from numconv.cuda import binding

    monkeypatch.setattr(binding, "TOGETHER_BYTES", 100)
    rng = np.random.default_rng(3)
    g, w = rng.standard_normal((5, 4, 3)), rng.standard_normal((3, 2, 3))
    options = {"padding": 1, "pad_mode": "reflect"}
    expected = grad.conv1d_input((5, 4, 2), w, g, **options, method="reference")
    assert same_bits(grad.conv1d_input((5, 4, 2), w, to_device(g), **options).copy_to_host(), expected)


def test_phases_without_taps():
    """Bias and activation of nothing; a NaN in the weights does not reach them, nor does one of the samples."""
    x, w, bias = np.full((1, 2, 3, 2), np.nan), np.full((1, 2, 4, 2), np.nan), np.array([1.0, -2, -0.0, np.inf])
    for options in ({"stride": 3}, {"stride": (2, 3), "activation": "leaky_relu"}, {"stride": 4, "dilation": 2}):
        for added in (bias, None):
            expected = numconv.conv_transpose2d(x, w, added, **options, method="reference")
            assert np.isfinite(expected).any()
            assert same_bits(numconv.conv_transpose2d(x, w, added, **options, device="cuda"), expected)
    whole = numconv.conv_transpose1d(np.ones((3, 1), "u1"), np.ones((1, 2, 1), "u1"), stride=2, device="cuda")
    assert whole.tolist() == [[1, 1], [0, 0], [1, 1], [0, 0], [1, 1], [0, 0]]


@pytest.mark.parametrize(
    ("kernel", "data_format"),
    [
        ("dense", "channels_last"),
        ("tensor", "channels_last"),
        ("tensor", "channels_first"),
        ("stencil", "channels_first"),
    ],
)
def test_kernels(kernel, data_format, monkeypatch):
    """Each phase by the kernel for its kind: bits of the reference, as sums of small whole numbers are exact.

    The weights of a phase are every other tap, and backwards.
    """
    if simulated():
        monkeypatch.setattr(tensor, "TINY", True)
        monkeypatch.setattr(tensor, "THREADS", 32)
    precision = "tf32" if kernel == "tensor" else "ieee"
    C, F, groups = {"dense": (16, 8, 1), "tensor": (32, 16, 1), "stencil": (2, 2, 2)}[kernel]
    rng, options = np.random.default_rng(5), {"data_format": data_format}
    x, g = (rng.integers(-9, 9, (1, *size, n)).astype("f4") for size, n in (((2, 3), C), ((3, 5), F)))
    w, bias = rng.integers(-9, 9, (3, 3, F // groups, C)).astype("f4"), rng.integers(-9, 9, F).astype("f4")
    x, g, w = laid_out(x, options), laid_out(g, options), laid_out(w, options, True)
    options |= {"stride": 2, "padding": 1, "groups": groups}
    expected = numconv.conv_transpose2d(x, w, bias, **options, method="reference")
    backward = grad.conv_transpose2d_input(x.shape, w, expected, **options, method="reference")
    with only(kernel) as taken:
        found = numconv.conv_transpose2d(to_device(x), to_device(w), bias, **options, precision=precision)
        assert same_bits(found.copy_to_host(), expected)
        assert len(taken) == 4
        found = grad.conv_transpose2d_input(x.shape, w, to_device(expected), **options, precision=precision)
        assert same_bits(found.copy_to_host(), backward)
        assert len(taken) == 5


def test_plans():
    rng = np.random.default_rng(4)
    x, w = rng.standard_normal((2, 5, 6, 4)).astype("f4"), rng.standard_normal((3, 3, 2, 4)).astype("f4")
    options = {"stride": 2, "padding": "same", "groups": 2}
    expected = numconv.conv_transpose2d(x, w, **options, method="reference")
    made = PLAN[2]((None, 5, 6, 4), to_device(w), **options, precision="tf32")
    for plan in (made, pickle.loads(pickle.dumps(made))):
        assert plan.output_shape == (None, 10, 12, 4)
        assert "tf32" in str(plan)
        assert plan.explain().count("from output (") == plan.explain().count("computes it on GPU 0") == 4
        assert same_bits(plan(x), expected)
        assert same_bits(plan(to_device(x[:1])).copy_to_host(), expected[:1])


def test_errors():
    x, w = np.ones((1, 5, 2), "f4"), np.ones((3, 4, 2), "f4")
    g = np.ones((1, 7, 4), "f4")
    for function, arguments, name in (
        (numconv.conv_transpose1d, (to_device(x), w), "x"),
        (grad.conv_transpose1d_input, (x.shape, w, to_device(g)), "grad_output"),
    ):
        for options, error, message in (
            ({"device": "cpu"}, ValueError, f"device is 'cpu', but {name} lies on a GPU"),
            ({"device": "cuda:3"}, ValueError, f"device is 'cuda:3', but {name} is on GPU 0"),
            ({"device": "gpu"}, ValueError, "device is 'gpu', expected None"),
            ({"method": "winograd"}, NotImplementedError, "a GPU computes 'direct'"),
            ({"out": np.ones((1, 7, 4), "f4")}, TypeError, f"expected an array on the GPU, as {name} is"),
            ({"out": to_device(np.ones((1, 3), "f4"))}, ValueError, r"out has shape \(1, 3\), but the result has"),
            ({"out": to_device(np.ones((1, 7, 4) if name == "x" else x.shape))}, ValueError, "out has dtype float64"),
        ):
            with pytest.raises(error, match=rf"conv_transpose1d.*: .*{message}"):
                function(*arguments, **options)
    with pytest.raises(NotImplementedError, match="which int64 may not hold"):
        numconv.conv_transpose1d(to_device(np.ones((3, 1), "i8")), np.full((1, 2, 1), 2, "i8"))
