"""Gradients of weights and biases: the bits of the reference, the adjoint, finite differences, torch, bad input."""

from __future__ import annotations

import inspect
from unittest import mock

import numpy as np
import pytest

import numconv
from numconv import grad
from numconv._weight_gradients import CONV as CONV_OPTIONS
from numconv._weight_gradients import _recipe
from numconv.cpu import tiles, weights, weights_layout, weights_proof
from numconv.cpu.machine import machine

from .problems import random_case, random_values, same_bits

CONV = {1: numconv.conv1d, 2: numconv.conv2d, 3: numconv.conv3d}
WEIGHT = {1: grad.conv1d_weight, 2: grad.conv2d_weight, 3: grad.conv3d_weight}
TRANSPOSE = {1: numconv.conv_transpose1d, 2: numconv.conv_transpose2d, 3: numconv.conv_transpose3d}
TRANSPOSE_WEIGHT = {
    1: grad.conv_transpose1d_weight, 2: grad.conv_transpose2d_weight, 3: grad.conv_transpose3d_weight,
}  # fmt: skip
PAIRS = [(t, t) for t in ("float32", "float64", "complex64", "complex128")] * 3
PAIRS += [("complex64", "float32"), ("float32", "complex64"), ("uint8", "float32")]
_NOT = ("activation", "dtype", "overflow", "reduce", "bias")


def small(rng):
    """(ndim, x, weight_shape, grad_output, options) of a random problem."""
    while True:
        case, samples = random_case(rng), int(rng.integers(1, 5))
        options = {name: value for name, value in case.keywords.items() if name not in _NOT}
        x_shape, w_shape = case.shapes()
        x_shape = (samples, *x_shape[1:])
        try:
            shape = CONV[case.ndim](np.zeros(x_shape, "f4"), np.zeros(w_shape, "f4"), **options, method="direct").shape
        except ValueError:
            continue
        x_dtype, g_dtype = PAIRS[rng.integers(len(PAIRS))]
        x, g = random_values(rng, x_shape, x_dtype), random_values(rng, shape, g_dtype)
        return case.ndim, x, w_shape, g, options


def strided(rng, a):
    """The same values with other strides: some axes reversed, some spread, all in another order."""
    order = rng.permutation(a.ndim)
    spread = rng.integers(1, 3, a.ndim)
    space = random_values(rng, tuple(a.shape[i] * spread[i] for i in order), str(a.dtype))
    view = space.transpose(np.argsort(order))[tuple(slice(None, None, int(n)) for n in spread)]
    view = view[tuple(slice(None, None, int(rng.choice([-1, 1]))) for _ in spread)]
    view[...] = a
    return view


@pytest.mark.parametrize("seed", range(4))
def test_the_bits_of_the_reference(seed):
    rng = np.random.default_rng(seed)
    for _ in range(80):
        ndim, x, shape, g, options = small(rng)
        wanted = WEIGHT[ndim](x, shape, g, **options, method="reference")
        if rng.random() < 0.5:
            x, g = strided(rng, x), strided(rng, g)
        out = np.full(shape, np.nan, wanted.dtype)
        out = strided(rng, out) if rng.random() < 0.3 else out
        before = x.copy(), g.copy()
        got = WEIGHT[ndim](x, shape, g, **options, threads=int(rng.integers(1, 4)), out=out)
        assert got is out and same_bits(np.array(got), wanted), (x.shape, shape, options, x.dtype, g.dtype)
        assert same_bits(x, before[0]) and same_bits(g, before[1])


def transposed(rng, dtype=None):
    """The same of a transposed convolution; whole numbers."""
    while True:
        ndim, x, shape, _, options = small(rng)
        options = {name: value for name, value in options.items() if name not in ("pad_mode", "pad_value")}
        if rng.random() < 0.3:
            options["output_padding"] = int(rng.integers(0, 3))
        last = options["data_format"] == "channels_last"
        channels = shape[-1 if last else 0]
        x_shape = (*x.shape[:-1], channels) if last else (x.shape[0], channels, *x.shape[2:])
        x, w = (rng.integers(-4, 5, sizes).astype(dtype or "f4") for sizes in (x_shape, shape))
        if x.dtype.kind == "c":
            x, w = x + 1j * rng.integers(-4, 5, x.shape), w - 1j * rng.integers(-4, 5, w.shape)
        try:
            return ndim, x.astype(dtype), w.astype(dtype), TRANSPOSE[ndim](x, w, **options, method="direct"), options
        except ValueError:
            continue


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_transposed_convolutions(dtype):
    """The adjoint is exact, and the bits are those of the reference."""
    rng = np.random.default_rng(8)
    for i in range(40):
        ndim, x, w, y, options = transposed(rng, dtype)
        g = rng.integers(-4, 5, y.shape).astype(dtype)
        if dtype == "complex64":
            g = (g + 1j * rng.integers(-4, 5, y.shape)).astype(dtype)
        got = TRANSPOSE_WEIGHT[ndim](x, w.shape, g, **options)
        assert np.vdot(y, g) == np.vdot(w, got)
        x, g = random_values(rng, x.shape, dtype), random_values(rng, g.shape, dtype)
        wanted = TRANSPOSE_WEIGHT[ndim](x, w.shape, g, **options, method="reference")
        assert same_bits(TRANSPOSE_WEIGHT[ndim](x, w.shape, g, **options, threads=1 + i % 3), wanted)
        if i % 4 == 0:
            assert same_bits(TRANSPOSE_WEIGHT[ndim](x[0], w.shape, g[0], **options), TRANSPOSE_WEIGHT[ndim](
                x[:1], w.shape, g[:1], **options))  # fmt: skip


def test_transposed_convolutions_of_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(9)
    for dtype in ("float32", "complex128"):
        x, w = random_values(rng, (2, 6, 7, 8), dtype), random_values(rng, (6, 3, 3, 4), dtype)
        weight = torch.from_numpy(w).requires_grad_()
        y = torch.nn.functional.conv_transpose2d(torch.from_numpy(x), weight, None, 3, (1, 2), (2, 1), 2)
        g = random_values(rng, tuple(y.shape), dtype)
        y.backward(torch.from_numpy(g))
        options = {"stride": 3, "padding": (1, 2), "output_padding": (2, 1), "groups": 2}
        got = grad.conv_transpose2d_weight(x, w.shape, g, **options, data_format="channels_first")
        wanted = weight.grad.numpy()
        assert np.abs(got - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_one_sample_without_n():
    rng = np.random.default_rng(0)
    for _ in range(10):
        ndim, x, shape, g, options = small(rng)
        wanted = WEIGHT[ndim](x[:1], shape, g[:1], **options)
        assert same_bits(WEIGHT[ndim](x[0], shape, g[0], **options), wanted)


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("shape", [(300, 200, 3), (2, 70000, 1), (130, 520, 2)])
def test_segments(shape, dtype):
    """More than 256 chains: partial sums, in rounds, of whatever lies how."""
    rng = np.random.default_rng(1)
    x, g = random_values(rng, shape, dtype), random_values(rng, (shape[0], shape[1] - 2, 5), dtype)
    wanted = grad.conv1d_weight(x, (3, shape[2], 5), g, method="reference")
    for threads in (1, 3):
        assert same_bits(grad.conv1d_weight(x, (3, shape[2], 5), g, threads=threads), wanted)
    swapped = x.astype(x.dtype.newbyteorder())
    unaligned = np.frombuffer(b"\0" + g.tobytes(), np.uint8)[1:].view(g.dtype).reshape(g.shape)
    with mock.patch.object(weights, "PARTIAL_BYTES", wanted.nbytes):
        assert same_bits(grad.conv1d_weight(swapped, (3, shape[2], 5), unaligned), wanted)
    narrow = grad.conv1d_weight(x.real.astype("f2"), (3, shape[2], 5), g.real.astype("f2"))
    assert narrow.dtype == np.float16


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_tile_and_every_split_give_the_same_bits(dtype):
    """Of work in jobs, in chunks, in panels; also where packed pixels are larger than any budget."""
    rng = np.random.default_rng(2)
    x, g = random_values(rng, (3, 9, 33, 50), dtype), random_values(rng, (3, 7, 31, 70), dtype)
    wanted = grad.conv2d_weight(x, (3, 3, 50, 70), g, method="reference")
    for shape in tiles.shapes(tiles.GRADIENTS, machine()):
        for budgets in ({}, {"PACKED_BYTES": 1, "SUMS_BYTES": 1}, {"PACKED_BYTES": 1 << 22, "LONGEST_JOB": 1e-6}):
            _recipe.cache_clear()
            with (
                mock.patch.object(tiles, "GRADIENTS", dict.fromkeys((16, 32), (shape,))),
                mock.patch.dict(vars(weights_layout), budgets),
            ):
                assert same_bits(grad.conv2d_weight(x, (3, 3, 50, 70), g, threads=2), wanted)
    _recipe.cache_clear()


@pytest.mark.parametrize(
    ("each", "dtype"), [((1, 1), "f4"), ((1, 2), "f8"), ((2, 1), "f4"), ((4, 4), "f4"), ((3, 5), "f4")]
)
def test_groups_of_few_filters(each, dtype):
    """Lanes are filters of all groups; the last panel is not whole, nor the last tile."""
    rng = np.random.default_rng(10)
    inputs, outputs = each
    for data_format, groups in (("channels_last", 9), ("channels_first", 18)):
        x, g = (
            random_values(rng, (3, 7, 9, inputs * groups), dtype),
            random_values(rng, (3, 4, 5, outputs * groups), dtype),
        )
        shape: tuple[int, ...] = (3, 4, inputs, outputs * groups)
        if data_format == "channels_first":
            x, g, shape = np.moveaxis(x, 3, 1).copy(), np.moveaxis(g, 3, 1).copy(), (outputs * groups, inputs, 3, 4)
        options = {"stride": 2, "padding": ((1, 1), (1, 2)), "pad_mode": "reflect", "groups": groups}
        options["data_format"] = data_format
        wanted = grad.conv2d_weight(x, shape, g, **options, method="reference")
        for threads in (1, 3):
            assert same_bits(grad.conv2d_weight(x, shape, g, **options, threads=threads), wanted)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_the_adjoint_is_exact_on_small_integers(dtype, data_format):
    rng = np.random.default_rng(3)
    for _ in range(25):
        ndim, x, shape, g, options = small(rng)
        options |= {"data_format": data_format, "pad_value": 0}
        x, g = (rng.integers(-4, 5, a.shape).astype(dtype) for a in (x, g))
        v = rng.integers(-4, 5, shape).astype(dtype)
        if x.dtype.kind == "c":
            x, g, v = (a + 1j * rng.integers(-4, 5, a.shape).astype(a.real.dtype) for a in (x, g, v))
        try:
            y = CONV[ndim](x, v, **options, method="direct")
        except ValueError:  # drawn for the other data format
            continue
        g = np.resize(g, y.shape)
        assert np.vdot(y, g) == np.vdot(v, WEIGHT[ndim](x, shape, g, **options))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_finite_differences(dtype):
    """Of the loss sum |conv(x, w)|^2 / 2, whose gradient is that of weights at the result itself."""
    rng = np.random.default_rng(4)
    x, w = random_values(rng, (2, 8, 9, 4), "float64") / 100, random_values(rng, (3, 2, 2, 6), "float64") / 100
    x, w = x.astype(dtype), w.astype(dtype)
    if dtype == "complex128":
        x, w = x + 1j * x[::-1, ::-1], w * (1 - 2j)
    options = {"stride": 2, "dilation": (1, 2), "padding": "same", "pad_mode": "reflect", "groups": 2}

    def loss(w):
        return (np.abs(numconv.conv2d(x, w, **options, method="direct")) ** 2).sum() / 2

    gradient = grad.conv2d_weight(x, w.shape, numconv.conv2d(x, w, **options, method="direct"), **options)
    for _ in range(12):
        at = tuple(int(rng.integers(n)) for n in w.shape)
        for part in (1, 1j) if dtype == "complex128" else (1,):
            step = np.zeros_like(w)
            step[at] = part * 1e-6
            slope = (loss(w + step) - loss(w - step)) / 2e-6
            wanted = (np.conj(part) * gradient[at]).real
            assert abs(slope - wanted) <= 1e-6 * np.abs(gradient).max()


def test_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    for dtype in ("float32", "float64", "complex64"):
        x, w = random_values(rng, (2, 6, 12, 13), dtype), random_values(rng, (9, 2, 3, 2), dtype)
        weight = torch.from_numpy(w).requires_grad_()
        y = torch.nn.functional.conv2d(torch.from_numpy(x), weight, None, (2, 1), (1, 2), (1, 2), 3)
        g = random_values(rng, tuple(y.shape), dtype)
        y.backward(torch.from_numpy(g))
        options = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 3}
        got = grad.conv2d_weight(x, w.shape, g, **options, data_format="channels_first")
        wanted = weight.grad.numpy()
        assert np.abs(got - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_nan_reaches_what_it_belongs_to():
    x, g = np.ones((1, 5, 5, 2), "f4"), np.ones((1, 5, 5, 3), "f4")
    g[0, 0, 0, 1] = np.nan
    got = grad.conv2d_weight(x, (3, 3, 2, 3), g, padding=1)
    assert np.isnan(got[..., 1]).all() and np.isfinite(got[..., [0, 2]]).all()  # zeros of padding multiply
    x[0, 4, 4, 0] = np.inf
    got = grad.conv2d_weight(x, (3, 3, 2, 3), np.ones_like(g), padding=1)
    assert np.isinf(got[1:, 1:, 0]).all() and np.isfinite(got[..., 1, :]).all() and np.isfinite(got[0]).all()


def test_empty_batches_and_aliased_outputs():
    assert (grad.conv1d_weight(np.ones((0, 5, 2)), (3, 2, 4), np.ones((0, 3, 4))) == np.zeros((3, 2, 4))).all()
    assert (grad.bias(np.ones((0, 5, 2), "f4")) == [0, 0]).all()
    x = np.ones((2, 3, 2))
    wanted = grad.conv1d_weight(x, (2, 2, 3), np.ones((2, 2, 3)))
    assert (grad.conv1d_weight(x, (2, 2, 3), np.ones((2, 2, 3)), out=x.reshape(2, 2, 3)) == wanted).all()


def test_kernels_that_fail_their_proof_are_not_used():
    rng = np.random.default_rng(6)
    x, g = random_values(rng, (2, 9, 3), "float64"), random_values(rng, (2, 7, 4), "float64")
    wanted = grad.conv1d_weight(x, (3, 3, 4), g, method="reference")
    _recipe.cache_clear()
    with (
        mock.patch.object(weights_proof, "_is_right", return_value=False),
        mock.patch.object(weights_proof, "proved", set()),
        mock.patch("numconv.cpu.proof._refused", set()),
        mock.patch("numconv.cpu.cache.refuse"),
        pytest.warns(RuntimeWarning, match="wrong gradient"),
    ):
        assert same_bits(grad.conv1d_weight(x, (3, 3, 4), g), wanted)
    _recipe.cache_clear()


def test_the_proof_sees_what_is_wrong():
    schedule = weights.build(_recipe("conv1d_weight", 1, (3, 3, 4), (2, 9, 3), np.dtype("f4"), (2, 7, 4),
                                     np.dtype("f4"), CONV_OPTIONS, "", OPTIONS).problem, True)  # fmt: skip
    layouts = list(weights_proof.exercises(schedule.layout))
    assert len(layouts) == 2 and all(map(weights_proof._is_right, layouts))
    right = weights_proof.expected
    with mock.patch.object(weights_proof, "expected", lambda *args: right(*args) + (np.arange(3) == 2)[:, None, None]):
        assert not any(map(weights_proof._is_right, layouts))


OPTIONS = (1, "valid", 1, 1, "constant", 0, "channels_last", False, None, "auto", "ieee")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
def test_bias(dtype):
    rng = np.random.default_rng(7)
    g = rng.integers(-8, 9, (5, 6, 70, 9)).astype(dtype)
    wanted = g.sum((0, 1, 2), dtype=np.result_type(dtype, "f4"))
    got = grad.bias(g)
    assert got.dtype == dtype and (got == wanted).all()
    g = random_values(rng, (5, 6, 70, 9), dtype)
    first = np.ascontiguousarray(np.moveaxis(g, -1, 1))
    with numconv.num_threads(1):
        assert same_bits(grad.bias(g), grad.bias(first, data_format="channels_first"))
    assert same_bits(grad.bias(g), grad.bias(g[::-1][::-1].copy(order="F")))
    assert grad.bias(g[0, 0]).shape == (9,)


def test_the_bias_of_many_values_is_near_the_exact_sum():
    g = np.full((64, 128, 128, 1), 0.1, "f4")
    assert grad.bias(g)[0] == np.float32(g.size * np.float64(g[0, 0, 0, 0]))


def test_signatures():
    names = (
        "stride padding dilation groups pad_mode pad_value data_format flip dtype method precision device threads out"
    )
    for function in WEIGHT.values():
        assert list(inspect.signature(function).parameters) == f"x weight_shape grad_output {names}".split()
    names = "stride padding output_padding dilation groups data_format flip dtype method precision device threads out"
    for function in TRANSPOSE_WEIGHT.values():
        assert list(inspect.signature(function).parameters) == f"x weight_shape grad_output {names}".split()


X, G, SHAPE = np.ones((2, 8, 8, 3), "f4"), np.ones((2, 6, 6, 4), "f4"), (3, 3, 3, 4)


@pytest.mark.parametrize(
    ("x", "shape", "g", "options", "kind", "words"),
    [
        (X, (3, 3, 4), G, {}, ValueError, r"weight_shape is \(3, 3, 4\), expected ints >= 1, \(KH, KW, C"),
        (X, 3, G, {}, TypeError, "weight_shape is 3, expected ints"),
        (X, (3, 3, 3.0, 4), G, {}, TypeError, "weight_shape"),
        (X, (3, 0, 3, 4), G, {}, ValueError, "weight_shape"),
        (X, (3, 3, 2, 4), G, {}, ValueError, r"weight_shape is \(3, 3, 2, 4\).* does not fit an x of 3"),
        (X, SHAPE, G[:, 1:], {}, ValueError, r"grad_output has shape \(2, 5, 6, 4\), but the result.*\(2, 6, 6, 4\)"),
        (X, SHAPE, G[:1], {}, ValueError, "grad_output has shape"),
        (X, SHAPE, G.astype(int), {}, TypeError, "grad_output has dtype int64, expected a floating or complex one"),
        (X, SHAPE, G, {"dtype": "int32"}, TypeError, "dtype is int32, expected a floating"),
        (X, SHAPE, G, {"method": "fft"}, NotImplementedError, "which gradients of weights do not have"),
        (X, SHAPE, G, {"method": "best"}, ValueError, "method is 'best'"),
        (X, SHAPE, G, {"stride": 0}, ValueError, "stride is 0"),
        (X, SHAPE, G, {"threads": 0}, ValueError, "threads is 0"),
        (X, SHAPE, G, {"groups": 2}, ValueError, "groups = 2"),
        (X, SHAPE, G, {"flip": 1}, TypeError, "flip is 1"),
        (X, SHAPE, G, {"out": np.ones(SHAPE)}, ValueError, "out has dtype float64"),
        (X, SHAPE, G, {"out": np.ones((3, 3, 3, 5), "f4")}, ValueError, "out has shape"),
        (X[0, 0], SHAPE, G, {}, ValueError, "x has 2 axes"),
        (np.ma.array(X), SHAPE, G, {}, TypeError, "mask"),
    ],
)  # fmt: skip
def test_bad_input(x, shape, g, options, kind, words):
    with pytest.raises(kind, match=words) as error:
        grad.conv2d_weight(x, shape, g, **options)
    assert str(error.value).startswith("conv2d_weight: ")


def test_bad_input_of_transposed_convolutions():
    x, g = np.ones((2, 8, 3)), np.ones((2, 10, 4))
    for shape, words in (((3, 3, 4), r"\(KW, F // groups, C\)"), ((2, 4, 3), r"the result .* has \(2, 9, 4\)")):
        with pytest.raises(ValueError, match=words):
            grad.conv_transpose1d_weight(x, shape, g)
    with pytest.raises(ValueError, match="output_padding is 3"):
        grad.conv_transpose1d_weight(x, (3, 4, 3), g, output_padding=3)


def test_bad_biases():
    with pytest.raises(ValueError, match=r"bias: grad_output has 1 axes"):
        grad.bias(np.ones(3))
    with pytest.raises(TypeError, match=r"bias: grad_output has dtype int64"):
        grad.bias(np.ones((2, 3), int))
    with pytest.raises(ValueError, match=r"bias: grad_output has shape \(2, 0, 3\)"):
        grad.bias(np.ones((2, 0, 3)))
    with pytest.raises(ValueError, match="data_format"):
        grad.bias(np.ones((2, 3)), data_format="last")
