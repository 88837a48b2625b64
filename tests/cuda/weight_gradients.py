"""Gradients of weights and biases on the device: bits of the reference."""

import numpy as np
import pytest

from numconv import grad
from numconv.cuda import gradient_chains, gradient_generic, gradient_methods
from numconv.cuda.gradient_chains import passes

from ..problems import any_strides, poisoned, random_case, random_values, same_bits
from ..test_weight_gradients import CONV, PAIRS, TRANSPOSE, TRANSPOSE_WEIGHT, WEIGHT
from .device import simulated, to_device
from .options import library  # noqa: F401

FIRST = {"data_format": "channels_first"}
MOST = 1200 if simulated() else 10**6
"""Products of a test."""

if simulated():
    gradient_generic.THREADS = 64


def check(function, x, shape, g, **options):
    """Equal bits, into a poisoned array of the device, of arrays with any strides."""
    expected = function(x, shape, g, **options, method="reference")
    out = to_device(poisoned(expected.shape, expected.dtype))
    assert function(to_device(x), shape, to_device(g), **options, out=out) is out
    assert same_bits(out.copy_to_host(), expected), (x.shape, shape, options, x.dtype, g.dtype)


@pytest.fixture(autouse=True)
def this_kernel(monkeypatch):
    """The one for everything; others have their own modules."""
    monkeypatch.setattr(gradient_methods, "KERNELS", {"generic": gradient_generic})


def random_problem(rng, functions, options_of):
    """(ndim, x, weight_shape, shape of the result, options); None where there is none."""
    case = random_case(rng)
    options = {name: case.keywords[name] for name in options_of if name in case.keywords}
    x_shape, w_shape = case.shapes()
    last = options["data_format"] == "channels_last"
    if functions is TRANSPOSE:
        channels = w_shape[-1 if last else 0]
        x_shape = (*x_shape[:-1], channels) if last else (x_shape[0], channels, *x_shape[2:])
    x_shape = (int(rng.integers(1, 4)), *x_shape[1:])
    try:
        y = functions[case.ndim](np.zeros(x_shape, "f4"), np.zeros(w_shape, "f4"), **options, method="reference")
    except ValueError:
        return None
    pixels = x_shape if functions is TRANSPOSE else y.shape
    few = np.prod(pixels) * np.prod(w_shape) // w_shape[-1 if last else 0] <= MOST
    x_dtype, g_dtype = PAIRS[rng.integers(len(PAIRS))]
    return few and (
        case.ndim,
        random_values(rng, x_shape, x_dtype),
        w_shape,
        random_values(rng, y.shape, g_dtype),
        options,
    )


SHARED = ("stride", "padding", "dilation", "groups", "data_format", "flip")


@pytest.mark.parametrize("functions", [CONV, TRANSPOSE], ids=["conv", "transpose"])
def test_random_problems(functions):
    done, names = 0, SHARED if functions is TRANSPOSE else (*SHARED, "pad_mode", "pad_value")
    for seed in range(60 if simulated() else 120):
        rng = np.random.default_rng(seed)
        if not (found := random_problem(rng, functions, names)):
            continue
        ndim, x, shape, g, options = found
        function = (TRANSPOSE_WEIGHT if functions is TRANSPOSE else WEIGHT)[ndim]
        check(function, any_strides(x, rng), shape, any_strides(g, rng), **options)
        done += 1
    assert done > 8


@pytest.mark.parametrize(("room", "rows", "count"), [(1, 7, 7), (2 << 10, 300, 2), (1 << 10, 520, 3)])
def test_passes(room, rows, count, monkeypatch):
    """Chains in several passes: parts of a segment, and whole segments; a part that ends is no segment's end."""
    monkeypatch.setattr(gradient_chains, "ROOM", room)
    taken = []
    monkeypatch.setattr(gradient_generic, "passes", lambda *arguments: taken.append(passes(*arguments)) or taken[-1])
    rng = np.random.default_rng(0)
    x, g = (random_values(rng, (1, rows, 130, 1), "float32") for _ in range(2))
    check(grad.conv2d_weight, x, (1, 1, 1, 1), g, dtype="complex64" if room > 1 << 10 else None)
    assert len(taken[0]) == count


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
def test_types(dtype):
    rng = np.random.default_rng(1)
    for layout in ({}, FIRST):
        shapes = ((2, 7, 3), (2, 3, 4), (2, 6, 4)) if not layout else ((2, 3, 7), (4, 3, 2), (2, 4, 6))
        x, g = random_values(rng, shapes[0], dtype), random_values(rng, shapes[2], dtype)
        check(grad.conv1d_weight, x, shapes[1], g, **layout)
    check(grad.conv1d_weight, random_values(rng, (1, 7, 3), "uint8"), (2, 3, 2), random_values(rng, (1, 6, 2), dtype))


def bias_of(g, layout):
    """By the reference: of weights that multiply ones."""
    last = layout == "channels_last"
    g = g if g.ndim > 2 else np.expand_dims(g, 1 if last else 2)
    ndim, filters = g.ndim - 2, g.shape[-1 if last else 1]
    sizes, ones = (1,) * ndim, np.ones((*g.shape[:-1], 1) if last else (len(g), 1, *g.shape[2:]))
    shape = (*sizes, 1, filters) if last else (filters, 1, *sizes)
    wide = np.result_type(g.dtype, "f8")
    return WEIGHT[ndim](ones, shape, g, data_format=layout, dtype=wide, method="reference").ravel().astype(g.dtype)


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
def test_bias(dtype, layout):
    rng = np.random.default_rng(2)
    for shape in ((3, 2), (2, 5, 3), (2, 3, 9, 2), (1, 2, 2, 300, 2)):
        g = random_values(rng, shape, dtype)
        expected = bias_of(g, layout)
        given = any_strides(g, rng)
        assert same_bits(grad.bias(given, data_format=layout, device="cuda"), expected)
        found = grad.bias(to_device(given), data_format=layout).copy_to_host()
        assert found.dtype == g.dtype
        assert same_bits(found, expected)


def test_values_that_are_not_finite():
    rng = np.random.default_rng(3)
    for dtype in ("float32", "complex64"):
        x, g = random_values(rng, (2, 6, 6, 2), dtype), random_values(rng, (2, 6, 6, 3), dtype)
        x[0, 1, 1, 0], g[1, 2, 3, 1] = np.nan, np.inf
        small = x.real.dtype.type(1e-30)
        for a, b in ((x, g), (x * 0, -g), (x * small, g * small)):
            check(grad.conv2d_weight, a, (3, 3, 2, 3), b, padding="same")


def test_no_samples():
    """Nothing is added up: zeros."""
    x, g = to_device(np.empty((0, 5, 3), "f4")), to_device(np.empty((0, 4, 2), "f4"))
    assert not grad.conv1d_weight(x, (2, 3, 2), g).copy_to_host().any()
    assert not grad.bias(g).copy_to_host().any()


def test_arrays_of_both_sides():
    """The result is where either array is; what lies on the host is copied."""
    rng = np.random.default_rng(4)
    x, g = random_values(rng, (2, 6, 3), "float32"), random_values(rng, (2, 5, 2), "float32")
    expected = grad.conv1d_weight(x, (2, 3, 2), g, method="reference")
    for a, b in ((to_device(x), g), (x, to_device(g))):
        assert same_bits(grad.conv1d_weight(a, (2, 3, 2), b).copy_to_host(), expected)
    found = grad.conv1d_weight(x, (2, 3, 2), g, device="cuda", out=np.full((2, 3, 2), np.nan, "f4"))
    assert type(found) is np.ndarray
    assert same_bits(found, expected)
    for _ in range(2):  # with launches that are kept
        assert same_bits(grad.conv1d_weight(x.copy(), (2, 3, 2), g, device="cuda", flip=True), expected[::-1])


def test_arrays_of_a_library(library):  # noqa: F811
    """Also memory to work in is its own; an `out` that overlaps an argument is made apart."""
    x, g = (random_values(np.random.default_rng(5), (1, 4, 4), "float32") for _ in range(2))
    expected, given = grad.conv1d_weight(x, (1, 4, 4), g, method="reference"), library(x)
    found = grad.conv1d_weight(given, (1, 4, 4), library(g))
    assert type(found) is type(given)
    assert same_bits(found.host, expected)
    assert grad.conv1d_weight(given, (1, 4, 4), library(g), out=given) is given
    assert same_bits(x, expected)


def test_what_is_refused():
    x, g = to_device(np.ones((1, 4, 2), "f4")), to_device(np.ones((1, 4, 3), "f4"))
    with pytest.raises(ValueError, match="device is 'cpu', but grad_output lies on a GPU"):
        grad.conv1d_weight(np.ones((1, 4, 2), "f4"), (1, 2, 3), g, device="cpu")
    with pytest.raises(ValueError, match=r"device is 'cuda:1', but x is on GPU 0"):
        grad.conv1d_weight(x, (1, 2, 3), g, device="cuda:1")
    with pytest.raises(ValueError, match="out has shape"):
        grad.conv1d_weight(x, (1, 2, 3), g, out=to_device(np.ones((1, 2, 4), "f4")))
    with pytest.raises(TypeError, match="expected an array on the GPU"):
        grad.conv1d_weight(x, (1, 2, 3), g, out=np.ones((1, 2, 3), "f4"))
    with pytest.raises(NotImplementedError, match="a GPU computes 'direct'"):
        grad.conv1d_weight(x, (1, 2, 3), g, method="reference")
    with pytest.raises(TypeError, match="grad_output has dtype int64"):
        grad.bias(np.ones((2, 3), np.int64), device="cuda")
