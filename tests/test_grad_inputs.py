"""Gradients with respect to inputs: adjoint to the last unit on whole numbers, PyTorch's for complex types."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from numconv import conv1d, conv2d, conv_transpose1d, conv_transpose2d, grad

from .problems import any_strides, poisoned, random_values, same_bits
from .transposes import CONV, CONV_INPUT, TRANSPOSE, TRANSPOSE_INPUT, laid_out, random_options, random_sizes

RNG = np.random.default_rng(12)
MODES = ("constant", "constant", "edge", "reflect", "symmetric", "wrap")


def test_signatures():
    last = ["flip", "dtype", "method", "precision", "device", "threads", "out"]
    for ndim in (1, 2, 3):
        options = ["stride", "padding", "dilation", "groups", "pad_mode", "data_format", *last]
        names = ["input_shape", "w", "grad_output"]
        assert list(inspect.signature(CONV_INPUT[ndim]).parameters) == names + options
        options = ["stride", "padding", "output_padding", "dilation", "groups", "data_format", *last]
        assert list(inspect.signature(TRANSPOSE_INPUT[ndim]).parameters) == names + options
    assert set(grad.__all__) >= {f"{kind}{n}d_input" for kind in ("conv", "conv_transpose") for n in (1, 2, 3)}


def whole(rng, shape):
    return rng.integers(-9, 9, shape).astype(float)


def test_adjoint_of_convolutions():
    """Every boundary mode, also pads that are wider than the input; samples that nothing reads have the gradient 0."""
    done = 0
    for seed in range(200):
        rng = np.random.default_rng([1, seed])
        ndim = int(rng.integers(1, 4))
        options = random_options(rng, ndim) | {"pad_mode": str(rng.choice(MODES))}
        spatial, kernel, C, F = random_sizes(rng, ndim, options["groups"])
        x = laid_out(whole(rng, (2, *spatial, C)), options)
        w = laid_out(whole(rng, (*kernel, C // options["groups"], F)), options, weights=True)
        try:
            y = CONV[ndim](x, w, **options)
        except ValueError:  # an empty output
            continue
        dy, dx = whole(rng, y.shape), poisoned(x.shape, x.dtype)
        assert CONV_INPUT[ndim](x.shape, w, any_strides(dy, rng), **options, out=dx) is dx
        assert (y * dy).sum() == (x * dx).sum(), (seed, options)
        done += 1
    assert done > 130


def test_adjoint_of_transposed_convolutions():
    done = 0
    for seed in range(150):
        rng = np.random.default_rng([2, seed])
        ndim = int(rng.integers(1, 4))
        options = random_options(rng, ndim)
        more = tuple(
            int(rng.integers(0, max(s, d))) for s, d in zip(options["stride"], options["dilation"], strict=True)
        )
        options["output_padding"] = more if rng.random() < 0.6 else 0
        spatial, kernel, C, F = random_sizes(rng, ndim, options["groups"])
        x = laid_out(whole(rng, (2, *spatial, C)), options)
        w = laid_out(whole(rng, (*kernel, F // options["groups"], C)), options, weights=True)
        try:
            y = TRANSPOSE[ndim](x, w, **options)
        except ValueError:
            continue
        dy, dx = whole(rng, y.shape), poisoned(x.shape, x.dtype)
        assert TRANSPOSE_INPUT[ndim](x.shape, w, any_strides(dy, rng), **options, out=dx) is dx
        assert (y * dy).sum() == (x * dx).sum(), (seed, options)
        done += 1
    assert done > 100


def test_each_sample_of_a_border_by_itself():
    """The gradient of one output is the kernel where np.pad shows the samples."""
    w = np.arange(1.0, 6).reshape(5, 1, 1)
    for mode in MODES[1:]:
        shown = np.pad(np.arange(3), (4, 5), mode) if mode != "constant" else np.pad(np.arange(3), (4, 5)) - 9
        for o in range(8):
            dy = np.zeros((1, 8, 1))
            dy[0, o] = 1
            dx = grad.conv1d_input((1, 3, 1), w, dy, padding=((4, 5),), pad_mode=mode).ravel()
            expected = np.zeros(3)
            for k in range(5):
                inside = 4 <= o + k < 7 if mode == "constant" else True
                if inside:
                    expected[o + k - 4 if mode == "constant" else shown[o + k]] += w[k, 0, 0]
            assert np.array_equal(dx, expected), (mode, o)


def test_samples_that_no_output_reads():
    dy, w = RNG.standard_normal((1, 3, 3, 8)).astype(np.float32), np.ones((2, 2, 4, 8), np.float32)
    dx = grad.conv2d_input((1, 9, 10, 4), w, dy, stride=3)
    rows, columns = ((np.arange(n) % 3 < 2) & (np.arange(n) < 8) for n in (9, 10))
    read = rows[:, None] & columns
    assert dx[0][read].all()
    assert not dx[0][~read].any() and not np.signbit(dx[0][~read]).any()


@pytest.mark.parametrize("mode", ["constant", "wrap"])
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_same_bits(dtype, mode):
    """For any threads, batches and strides, and by the reference."""
    dy, w = (random_values(RNG, shape, dtype) for shape in ((5, 4, 5, 33), (3, 3, 20, 33)))
    options = {"stride": 2, "padding": 1, "pad_mode": mode}
    expected = grad.conv2d_input((5, 7, 9, 20), w, dy, **options, method="reference")
    for threads in (1, 3):
        assert same_bits(grad.conv2d_input((5, 7, 9, 20), w, dy, **options, threads=threads), expected)
    one = [grad.conv2d_input((None, 7, 9, 20), w, dy[n : n + 1], **options) for n in range(5)]
    assert same_bits(np.concatenate(one), expected)
    assert same_bits(grad.conv2d_input((7, 9, 20), w, dy[0], **options), expected[0])
    first = {"data_format": "channels_first", **options}
    turned = grad.conv2d_input((5, 20, 7, 9), w.transpose(3, 2, 0, 1), dy.transpose(0, 3, 1, 2), **first)
    assert same_bits(turned.transpose(0, 2, 3, 1).copy(), expected)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_as_in_pytorch(dtype):
    """Gradients with respect to x are those of autograd, with conjugated weights; also of transposed convolutions."""
    torch = pytest.importorskip("torch")
    for seed, (conv, ours) in enumerate(
        [("conv2d", grad.conv2d_input), ("conv_transpose2d", grad.conv_transpose2d_input)]
    ):
        rng = np.random.default_rng([3, seed])
        C = 4 if conv == "conv2d" else 6
        x, w = (random_values(rng, shape, dtype) for shape in ((2, C, 9, 8), (6, 2, 3, 2)))
        options = {"stride": (2, 3), "padding": (1, 0), "dilation": (1, 2), "groups": 2}
        held = torch.from_numpy(x).requires_grad_()
        y = getattr(torch.nn.functional, conv)(held, torch.from_numpy(w), **options)
        dy = random_values(rng, tuple(y.shape), dtype)
        y.backward(torch.from_numpy(dy))
        dx = ours(x.shape, w, dy, **options, data_format="channels_first")
        assert dx.dtype == dtype
        assert np.allclose(dx, held.grad.numpy(), 1e-11, 1e-9 * np.abs(dx).max())


def test_types():
    """As of the function: float16 in float32, folded before it is rounded; a dtype that is asked for."""
    dy, w = random_values(RNG, (1, 6, 3), "float16"), random_values(RNG, (3, 2, 3), "float16")
    for mode in ("constant", "reflect"):
        options = {"padding": "same", "pad_mode": mode}
        dx = grad.conv1d_input((1, 6, 2), w, dy, **options)
        wide = grad.conv1d_input((1, 6, 2), w.astype(np.float32), dy.astype(np.float32), **options)
        assert dx.dtype == np.float16
        assert same_bits(dx, wide.astype(np.float16))
        assert grad.conv1d_input((1, 6, 2), w, dy, **options, dtype="float64").dtype == np.float64
    assert grad.conv1d_input((1, 6, 2), np.ones((3, 2, 3), np.int8), dy, padding=1).dtype == np.float16


def test_finite_differences():
    """Of a loss that is no linear function of the result."""
    x, w = RNG.standard_normal((1, 6, 5, 2)), RNG.standard_normal((3, 2, 2, 3))
    options = {"stride": (2, 1), "padding": "same", "pad_mode": "edge"}
    step, toward = 1e-6, RNG.standard_normal(x.shape)
    loss = [np.sin(conv2d(x + sign * step * toward, w, **options)).sum() for sign in (1, -1)]
    dx = grad.conv2d_input(x.shape, w, np.cos(conv2d(x, w, **options)), **options)
    assert abs((loss[0] - loss[1]) / (2 * step) - (dx * toward).sum()) < 1e-7
    x, w = RNG.standard_normal((1, 4, 3, 2)), RNG.standard_normal((3, 2, 3, 2))
    toward = RNG.standard_normal(x.shape)
    loss = [np.sin(conv_transpose2d(x + sign * step * toward, w, stride=2)).sum() for sign in (1, -1)]
    dx = grad.conv_transpose2d_input(x.shape, w, np.cos(conv_transpose2d(x, w, stride=2)), stride=2)
    assert abs((loss[0] - loss[1]) / (2 * step) - (dx * toward).sum()) < 1e-7


def test_inputs_are_not_changed():
    dy, w = random_values(RNG, (1, 6, 3), "complex64"), random_values(RNG, (3, 2, 3), "complex64")
    before = dy.copy(), w.copy()
    grad.conv1d_input((1, 8, 2), w, dy)
    assert same_bits(dy, before[0]) and same_bits(w, before[1])


WRONG = [
    (
        {"grad_output": np.ones((1, 5, 3))},
        ValueError,
        r"grad_output has shape \(1, 5, 3\), expected \(1, 6, 3\): what an",
    ),
    ({"input_shape": (None, 8, 2), "grad_output": np.ones((6, 3))}, ValueError, r"expected \(N, 6, 3\)"),
    ({"input_shape": (8, 2)}, ValueError, r"expected \(6, 3\)"),
    ({"input_shape": (2, 8, 2)}, ValueError, r"expected \(2, 6, 3\)"),
    ({"input_shape": (1, 8, 5)}, ValueError, "w has 2 input channels"),
    ({"input_shape": (1, 8.0, 2)}, TypeError, "input_shape is"),
    ({"input_shape": 8}, TypeError, "input_shape is 8"),
    ({"input_shape": [1, 2, 2]}, ValueError, "the output is empty along W"),
    ({"grad_output": np.ones((1, 6, 3), int), "w": np.ones((3, 2, 3), int)}, TypeError, "gradients are floating"),
    ({"dtype": "int32"}, TypeError, "gradients are floating"),
    ({"grad_output": np.ones((1, 6, 3), "O")}, TypeError, "grad_output has dtype object"),
    ({"w": "no"}, TypeError, "w is"),
    ({"stride": 0}, ValueError, "stride is 0"),
    ({"pad_mode": "around"}, ValueError, "pad_mode is 'around'"),
    (
        {"method": "winograd", "dilation": 2, "grad_output": np.ones((1, 4, 3))},
        NotImplementedError,
        "method is 'winograd'",
    ),
    ({"threads": 0}, ValueError, "threads is 0"),
    ({"out": np.ones((1, 7, 2))}, ValueError, r"out has shape \(1, 7, 2\), but the result has \(1, 8, 2\)"),
]


@pytest.mark.parametrize(("changes", "kind", "message"), WRONG, ids=[message for *_, message in WRONG])
def test_errors(changes, kind, message):
    arguments = {"input_shape": (1, 8, 2), "w": np.ones((3, 2, 3)), "grad_output": np.ones((1, 6, 3))} | changes
    with pytest.raises(kind, match=f"grad.conv1d_input: .*{message}"):
        grad.conv1d_input(**arguments)


def test_errors_of_transposed():
    with pytest.raises(
        ValueError, match=r"grad.conv_transpose1d_input: grad_output has shape \(1, 9, 2\), expected \(1, 8"
    ):
        grad.conv_transpose1d_input((1, 4, 3), np.ones((2, 2, 3)), np.ones((1, 9, 2)), stride=2)
    assert conv_transpose1d(np.ones((1, 4, 3)), np.ones((2, 2, 3)), stride=2).shape == (1, 8, 2)
    assert conv1d(np.ones((1, 8, 2)), np.ones((3, 2, 3))).shape == (1, 6, 3)
