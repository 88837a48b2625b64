"""Transposed convolutions: what they mean, to the bit; sizes of PyTorch and Keras; plans; what is refused."""

from __future__ import annotations

import inspect
import pickle
from unittest import mock

import numpy as np
import pytest

import numconv
from numconv import conv_transpose1d, conv_transpose2d
from numconv.cpu import execute

from .forced import forced
from .problems import any_strides, poisoned, random_values, same_bits
from .transposes import CONV, PLAN, TRANSPOSE, laid_out, random_options, random_sizes, spread

RNG = np.random.default_rng(11)


def test_signatures():
    options = "stride padding output_padding dilation groups data_format activation flip dtype overflow method"
    options += " precision device"
    for ndim in (1, 2, 3):
        parameters = inspect.signature(TRANSPOSE[ndim]).parameters
        assert list(parameters) == f"x w bias {options} threads out".split()
        assert list(inspect.signature(PLAN[ndim]).parameters) == f"x_shape w bias x_dtype {options}".split()
        assert parameters["output_padding"].default == 0


def drawn(rng):
    """(x, w) channels last, whole numbers; options, with pads and output padding in numbers; output sizes."""
    ndim = int(rng.integers(1, 4))
    options = random_options(rng, ndim, ())
    spatial, kernel, C, F = random_sizes(rng, ndim, options["groups"])
    stride, dilation, pads = (options[name] for name in ("stride", "dilation", "padding"))
    more = tuple(int(rng.integers(0, max(s, d))) for s, d in zip(stride, dilation, strict=True))
    options["output_padding"] = more
    x = rng.integers(-9, 9, (2, *spatial, C)).astype(float)
    w = rng.integers(-9, 9, (*kernel, F // options["groups"], C)).astype(float)
    out = tuple(
        (L - 1) * s - lo - hi + d * (k - 1) + m + 1
        for L, s, d, k, (lo, hi), m in zip(spatial, stride, dilation, kernel, pads, more, strict=True)
    )
    return x, w, options, out


def test_every_sample_spreads_the_kernel():
    """Exactly, on whole numbers; every option, in the sizes of PyTorch and ONNX."""
    done = 0
    for seed in range(150):
        rng = np.random.default_rng([1, seed])
        x, w, options, out = drawn(rng)
        transpose = TRANSPOSE[len(out)]
        given = laid_out(x, options), laid_out(w, options, weights=True)
        if min(out) < 1:
            with pytest.raises(ValueError, match="the output is empty along"):
                transpose(*given, **options)
            continue
        expected = laid_out(spread(x, w, options["padding"], out, options), options)
        y = poisoned(expected.shape, expected.dtype)
        assert transpose(any_strides(given[0], rng), given[1], **options, out=y) is y
        assert np.array_equal(y, expected), (seed, options)
        done += 1
    assert done > 100


def test_adjoint():
    """sum(conv(x, w) * y) == sum(x * conv_transpose(y, w)), where the shapes are those of x."""
    done = 0
    for seed in range(150):
        rng = np.random.default_rng([2, seed])
        ndim = int(rng.integers(1, 4))
        options = random_options(rng, ndim)
        spatial, kernel, C, F = random_sizes(rng, ndim, options["groups"])
        x = laid_out(rng.integers(-9, 9, (2, *spatial, C)).astype(float), options)
        w = laid_out(rng.integers(-9, 9, (*kernel, C // options["groups"], F)).astype(float), options, weights=True)
        try:
            y = CONV[ndim](x, w, **options)
            y = rng.integers(-9, 9, y.shape).astype(float)
            back = TRANSPOSE[ndim](y, w, **options)
        except ValueError:  # an empty output
            continue
        if back.shape == x.shape:
            assert (CONV[ndim](x, w, **options) * y).sum() == (x * back).sum(), (seed, options)
            done += 1
    assert done > 40


@pytest.mark.parametrize(("dtype", "count"), [("float32", 16), ("complex64", 8), ("float16", 3), ("int16", 2)])
def test_direct_is_the_reference_to_the_bit(dtype, count):
    """By the same phases, for any strides, threads and batches."""
    for seed in range(count):
        rng = np.random.default_rng([3, seed])
        x, w, options, out = drawn(rng)
        if min(out) < 1:
            continue
        x, w = (random_values(rng, a.shape, dtype) for a in (x, w))
        bias = random_values(rng, (w.shape[-2] * options["groups"],), dtype)
        if dtype == "float32" and seed % 2:
            options["activation"] = "relu"
        x, w = laid_out(x, options), laid_out(w, options, weights=True)
        transpose = TRANSPOSE[len(out)]
        expected = transpose(x, w, bias, **options, method="reference")
        y = poisoned(expected.shape, expected.dtype)
        transpose(any_strides(x, rng), w, bias, **options, method="direct", out=y, threads=3)
        assert same_bits(y, expected), (seed, options)
        assert same_bits(transpose(x[:1], w, bias, **options, method="direct"), expected[:1])
        assert same_bits(transpose(x[0], w, bias, **options, method="direct", threads=1), expected[0])


def test_large_layers_in_threads():
    """Weights packed by compiled code, blocks and chains in several jobs."""
    x, w = RNG.standard_normal((3, 9, 8, 96), np.float32), RNG.standard_normal((4, 3, 80, 96), np.float32)
    options = {"stride": 2, "padding": 1, "output_padding": (0, 1)}
    expected = conv_transpose2d(x, w, **options, method="reference")
    for threads in (1, 2, 5):
        assert same_bits(conv_transpose2d(x, w, **options, method="direct", threads=threads), expected)
    flipped = conv_transpose2d(x, np.ascontiguousarray(w[::-1, ::-1]), **options, flip=True)
    assert same_bits(flipped, conv_transpose2d(x, w, **options))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("k", [2, 3])
def test_phases_in_one_job(k, data_format):
    """As of results beyond the caches: phases of the same samples find them packed, by any number of threads."""
    options = {"stride": 2, "padding": 0, "data_format": data_format}
    x, w = RNG.standard_normal((3, 12, 11, 20), np.float32), RNG.standard_normal((k, k, 40, 20), np.float32)
    x, w = laid_out(x, options), laid_out(w, options, weights=True)
    expected = conv_transpose2d(x, w, **options, method="reference")
    with mock.patch.object(execute, "STREAM_BYTES", 0), forced("filters", 6, 4, block=(1, 3, 11)):
        for threads in (1, 2, 5):
            y = poisoned(expected.shape, expected.dtype)
            assert same_bits(conv_transpose2d(x, w, **options, threads=threads, out=y), expected)
            # More than a job may take: some phases a job, or one.
            with mock.patch.object(execute, "LONGEST_JOB", 1e-6):
                assert same_bits(conv_transpose2d(x, w, **options, threads=threads), expected)


KERAS = [  # L, k, stride, dilation, padding, output_padding, length
    (5, 3, 1, 1, "valid", None, 7), (5, 3, 2, 1, "valid", None, 11), (5, 2, 3, 1, "valid", None, 15),
    (5, 1, 2, 1, "valid", None, 10), (5, 3, 2, 2, "valid", None, 13), (5, 3, 2, 1, "valid", 1, 12),
    (5, 2, 3, 1, "valid", 2, 16), (5, 3, 2, 1, "same", None, 10), (5, 2, 2, 1, "same", None, 10),
    (5, 4, 2, 1, "same", None, 10), (5, 2, 3, 1, "same", None, 15), (5, 5, 3, 1, "same", None, 15),
    (5, 3, 2, 1, "same", (0,), 9), (5, 3, 2, 1, "same", 1, 10), (5, 4, 2, 1, "same", (0,), 8),
    (5, 4, 2, 1, "same", 1, 9), (5, 3, 1, 2, "same", None, 5), (5, 2, 3, 1, "same", 2, 14), (5, 1, 3, 1, "same", 2, 15),
]  # fmt: skip


def keras_by_jax(L, k, stride, dilation, padding, more):
    """Left crop and length as Keras's JAX backend has them: zeros around samples between which zeros are stuffed."""
    span = (k - 1) * dilation + 1
    if padding == "valid":
        left, right = span - 1, span - 1 + (max(span, stride) - span if more is None else more)
    else:
        total = stride + span - 2 if more is None else span + span % 2 - 2 + more
        left = min(total // 2 + total % 2, span - 1)
        right = total - left
    return span - 1 - left, (L - 1) * stride + 1 + left + right - (span - 1)


@pytest.mark.parametrize("case", KERAS, ids=str)
def test_sizes_of_keras(case):
    """And where the kernels come to lie."""
    L, k, stride, dilation, padding, more, length = case
    x, w = np.zeros((1, L, 1)), np.arange(1.0, k + 1).reshape(k, 1, 1)
    x[0, 2] = 1
    y = conv_transpose1d(x, w, stride=stride, dilation=dilation, padding=padding, output_padding=more)
    crop, expected = keras_by_jax(L, k, stride, dilation, padding, more[0] if isinstance(more, tuple) else more)
    assert y.shape == (1, length, 1) == (1, expected, 1)
    whole = np.zeros(100)
    whole[2 * stride + dilation * np.arange(k)] = w[:, 0, 0]
    assert np.array_equal(y[0, :, 0], whole[crop : crop + length])
    if more is None:
        assert np.array_equal(y, conv_transpose1d(x, w, stride=stride, dilation=dilation, padding=padding))


def test_named_crops():
    x, w = np.ones((1, 6, 1)), np.arange(1.0, 5).reshape(4, 1, 1)
    whole = conv_transpose1d(x, w).ravel()
    assert conv_transpose1d(x, w, padding="full").ravel().tolist() == whole[3:-3].tolist()
    assert conv_transpose1d(x, w, padding="causal").ravel().tolist() == whole[3:].tolist()
    assert conv_transpose1d(x, w, padding="same").ravel().tolist() == whole[1:-2].tolist()
    assert conv_transpose1d(x, w, padding="same_lower").ravel().tolist() == whole[2:-1].tolist()
    assert conv_transpose1d(x, w, padding=((1, 2),)).ravel().tolist() == whole[1:-2].tolist()


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_as_in_pytorch(ndim):
    torch = pytest.importorskip("torch")
    function = getattr(torch.nn.functional, f"conv_transpose{ndim}d")
    for seed in range(8):
        rng = np.random.default_rng([4, ndim, seed])
        stride, dilation, groups, padding = (int(rng.integers(1, 4)) for _ in range(4))
        padding %= 2
        more = int(rng.integers(0, max(stride, dilation)))
        x = rng.standard_normal((2, 4 * groups, *rng.integers(3, 6, ndim)))
        w = rng.standard_normal((4 * groups, 3, *rng.integers(2, 4, ndim)))
        bias = rng.standard_normal(3 * groups)
        numbers = {"stride": stride, "padding": padding, "output_padding": more, "groups": groups, "dilation": dilation}
        expected = function(*map(torch.from_numpy, (x, w, bias)), **numbers).numpy()
        y = TRANSPOSE[ndim](x, w, bias, **numbers, data_format="channels_first")
        assert y.shape == expected.shape
        assert np.allclose(y, expected, 1e-12, 1e-12)


def test_complex_weights_are_not_conjugated():
    x, w = (RNG.standard_normal((1, 4, 2)) + 1j * RNG.standard_normal((1, 4, 2)) for _ in range(2))
    w = w.reshape(2, 2, 2)
    options = {"stride": 2, "padding": 0, "dilation": 1, "groups": 1}
    numbers = options | {"stride": (2,), "dilation": (1,), "flip": False}
    assert np.allclose(conv_transpose1d(x, w, **options), spread(x, w, [(0, 0)], (8,), numbers), 1e-13)


def test_outputs_that_nothing_reaches():
    """Bias and activation of 0: where a stride is longer than the kernel, and behind the last sample."""
    x, w, bias = np.ones((1, 2, 2, 1), np.float32), np.full((1, 1, 2, 1), 5, np.float32), np.float32([-1, 2])
    y = poisoned((1, 5, 6, 2), np.dtype("f4"))
    conv_transpose2d(x, w, bias, stride=3, padding=0, output_padding=(1, 2), activation="relu", out=y)
    expected = np.zeros((1, 5, 6, 2))
    expected[..., 1] = 2
    expected[:, :4:3, :4:3] = 4, 7
    assert np.array_equal(y, expected)
    y = conv_transpose2d(x, w, bias, stride=3, padding=0, output_padding=2, dtype="uint8", overflow="saturate")
    assert y[0, 1, 1].tolist() == [0, 2]
    with pytest.raises(OverflowError, match="conv_transpose2d"):
        conv_transpose2d(x, w, bias, stride=3, padding=0, output_padding=2, dtype="uint8")


def test_integers_are_exact():
    x, w = np.array([2**40, -1]).reshape(1, 2, 1), np.array([2**22, 1, 3]).reshape(3, 1, 1)
    y = conv_transpose1d(x, w, stride=2).ravel().tolist()
    assert y == [2**62, 2**40, 3 * 2**40 - 2**22, -1, -3]
    with pytest.raises(OverflowError, match="conv_transpose1d"):
        conv_transpose1d(x, 4 * w, stride=2)
    wrapped = conv_transpose1d(np.uint8([[[100], [200]]]), np.uint8([[[3]], [[1]]]), dtype="uint8", overflow="wrap")
    assert wrapped.ravel().tolist() == [44, (100 + 600) % 256, 200]


def test_infinities_stay_with_outputs_that_see_them():
    x, w = np.ones((1, 4, 4, 2), np.float32), np.ones((3, 3, 2, 2), np.float32)
    x[0, 1, 2, 0] = np.inf
    y = conv_transpose2d(x, w, stride=2)
    expected = np.zeros((9, 9), bool)
    expected[2:5, 4:7] = True
    assert np.array_equal(~np.isfinite(y[0, :, :, 0]), expected)


def test_out_that_is_an_input():
    x = RNG.standard_normal((1, 6, 6, 4)).astype(np.float32)
    w = RNG.standard_normal((3, 3, 4, 4)).astype(np.float32)
    expected = conv_transpose2d(x, w, padding=1)
    assert conv_transpose2d(x, w, padding=1, out=x) is x
    assert same_bits(x, expected)


def test_empty_batch():
    assert conv_transpose2d(np.ones((0, 4, 4, 3)), np.ones((2, 2, 5, 3)), stride=2).shape == (0, 8, 8, 5)


def test_plans():
    """The bits of functions, for any N; kept, pickled; what they tell."""
    w, bias = RNG.standard_normal((3, 3, 20, 8)).astype(np.float32), np.ones(20, np.float32)
    x = RNG.standard_normal((3, 7, 6, 8)).astype(np.float32)
    plan = numconv.plan_conv_transpose2d((None, 7, 6, 8), w, bias, stride=2, padding="same", activation="relu")
    expected = conv_transpose2d(x, w, bias, stride=2, padding="same", activation="relu")
    twin = pickle.loads(pickle.dumps(plan))
    for one in (plan, twin):
        assert same_bits(one(x), expected)
        assert same_bits(one(x[:1], threads=2), expected[:1])
        assert (one.method, one.output_shape) == ("direct", (None, 14, 12, 20))
        assert one.flops == 2 * 7 * 6 * 9 * 8 * 20
        assert 0 < one.workspace_bytes < 2**21
    assert str(plan) == (
        "plan_conv_transpose2d direct float32:float32>float32 c8h7w6_f20kh3kw3_sh2sw2ph0,1pw0,1_bias_relu channels_last"
    )
    lines = plan.explain().splitlines()
    assert lines[0] == str(plan)
    assert [line for line in lines if line.startswith("  from output")][3].startswith("  from output (1, 1) on: direct")
    with pytest.raises(ValueError, match="plan was made for"):
        plan(x[:, 1:])
    with pytest.raises(TypeError, match="x_dtype=float32"):
        plan(x.astype(float))
    single = numconv.plan_conv_transpose2d((None, 7, 6, 8), w, padding=1)
    considered = [line.split()[0] for line in single.explain().splitlines()[1:]]
    assert considered[0] == "direct" and "reference" in considered


def test_methods():
    """Each phase is a problem of its own: at stride 1 any method, and none that a phase refuses."""
    x, w = RNG.standard_normal((1, 12, 12, 32)), RNG.standard_normal((3, 3, 32, 32))
    expected = conv_transpose2d(x, w, padding=1, method="direct")
    for method in ("winograd", "fft"):
        assert np.allclose(conv_transpose2d(x, w, padding=1, method=method), expected, 1e-9, 1e-9)
    with pytest.raises(NotImplementedError, match="conv_transpose2d: method is 'winograd', which computes only"):
        conv_transpose2d(x, w, stride=2, method="winograd")
    assert np.allclose(conv_transpose2d(x, w, stride=2, method="fft"), conv_transpose2d(x, w, stride=2), 1e-9, 1e-9)


WRONG = [
    ({"w": np.ones((2, 2, 8, 5))}, ValueError, r"w has 5 input channels \(shape \(2, 2, 8, 5\), expected \(KH, KW, F"),
    ({"w": np.ones((2, 2, 8, 4, 1))}, ValueError, r"w has 5 axes .* expected \(KH, KW, F // groups, C\)"),
    ({"w": np.ones((2, 2, 4, 8))}, ValueError, "last two axes swapped"),
    ({"w": np.ones((0, 2, 8, 4))}, ValueError, "kernel without elements"),
    ({"w": np.ones((2, 2, 0, 4))}, ValueError, "no filters"),
    ({"x": np.ones((1, 0, 3, 4))}, ValueError, "x has no samples along H"),
    ({"x": np.ones((3, 4))}, ValueError, r"x has 2 axes .* expected \(N, H, W, C\)"),
    ({"x": np.ones((1, 3, 3, 0)), "w": np.ones((2, 2, 8, 0))}, ValueError, "expected C >= 1"),
    ({"x": np.ma.ones((1, 3, 3, 4))}, TypeError, "MaskedArray"),
    ({"groups": 3}, ValueError, "groups = 3 has to divide the channels of x"),
    ({"bias": np.ones(7)}, ValueError, r"bias has shape \(7,\), expected \(F,\) = \(8,\)"),
    ({"padding": 3}, ValueError, "the output is empty along H: x has 3 samples there .* crops 3"),
    ({"padding": "causal"}, ValueError, "one spatial axis"),
    ({"padding": "samee"}, ValueError, "did you mean 'same'"),
    ({"padding": -1}, ValueError, "padding is -1"),
    ({"output_padding": 1}, ValueError, "output_padding is 1, expected less than the stride or the dilation, 1 and 1"),
    ({"output_padding": -1}, ValueError, "output_padding is -1"),
    ({"output_padding": (0, 0, 0)}, ValueError, "3 values; expected an int or one per axis"),
    ({"output_padding": 0.0}, TypeError, "output_padding is 0.0"),
    ({"output_padding": False}, TypeError, "output_padding is False"),
    ({"stride": 0}, ValueError, "stride is 0"),
    ({"stride": True}, TypeError, "stride is True"),
    ({"dtype": "object"}, TypeError, "dtype is object"),
    ({"method": "fast"}, ValueError, "method is 'fast'"),
    ({"threads": 0}, ValueError, "threads is 0"),
    ({"out": np.empty((1, 4, 4, 7))}, ValueError, "out has shape"),
]


@pytest.mark.parametrize(("changes", "kind", "message"), WRONG, ids=[message for *_, message in WRONG])
def test_errors(changes, kind, message):
    arguments = {"x": np.ones((1, 3, 3, 4)), "w": np.ones((2, 2, 8, 4))} | changes
    with pytest.raises(kind, match=f"conv_transpose2d: .*{message}|{message}"):
        conv_transpose2d(**arguments)
