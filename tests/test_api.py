"""The public functions as users call them: arguments, arrays of every kind, promises."""

from __future__ import annotations

import inspect
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import numconv
from numconv import conv1d, conv2d, conv3d

from .problems import same_bits
from .running import run_script

RNG = np.random.default_rng(5)
ORDERS = ("channels_last", "channels_first")


def layer(dtype="float32", n=2, filters=20, data_format="channels_last"):
    """x and w of a small layer."""
    x, w = RNG.standard_normal((n, 9, 10, 3)), RNG.standard_normal((3, 3, 3, filters))
    if data_format == "channels_first":
        x, w = np.ascontiguousarray(x.transpose(0, 3, 1, 2)), np.ascontiguousarray(w.transpose(3, 2, 0, 1))
    return x.astype(dtype), w.astype(dtype)


def test_signatures():
    options = "stride padding dilation groups pad_mode pad_value data_format activation flip dtype overflow method"
    options += " precision reduce"
    for name in ("conv1d", "conv2d", "conv3d"):
        assert (
            list(inspect.signature(getattr(numconv, name)).parameters)
            == f"x w bias {options} device threads out".split()
        )
        plan = inspect.signature(getattr(numconv, f"plan_{name}")).parameters
        assert list(plan) == f"x_shape w bias x_dtype {options} device".split()


def test_every_public_name_is_there_and_nothing_heavy_is_imported():
    assert all(getattr(numconv, name) is not None for name in numconv.__all__)
    assert set(numconv.__all__) <= set(dir(numconv))
    with pytest.raises(AttributeError, match="no attribute 'conv4d'"):
        numconv.conv4d  # noqa: B018
    loaded = "import sys, numconv; print([m for m in ('numba', 'llvmlite', 'scipy') if m in sys.modules])"
    assert run_script(loaded).strip() == "[]"


def test_every_precision_is_the_cpus_own():
    rng = np.random.default_rng(3)
    x, w = rng.standard_normal((1, 9, 8)).astype("f4"), rng.standard_normal((3, 8, 8)).astype("f4")
    y, plan = conv1d(x, w), numconv.plan_conv1d(x.shape, w, precision="tf32")
    assert same_bits(plan(x), y)
    for precision in ("ieee", "3xtf32", "tf32", "bf16"):
        given = {"precision": precision, "dtype": None}
        assert same_bits(conv1d(x, w, **given), y)
        for function, arrays in (
            (numconv.conv_transpose1d, (y, w)),
            (numconv.filter_bank, (x, w[..., 0])),
            (numconv.correlate, (x, w)),
            (numconv.convolve, (x, w)),
            (numconv.grad.conv1d_input, (x.shape, w, y)),
            (numconv.grad.conv1d_weight, (x, w.shape, y)),
        ):
            assert same_bits(function(*arrays, **given), function(*arrays))
            if precision != "ieee":
                with pytest.raises(ValueError, match=f"precision is '{precision}', but x and .* in float64"):
                    function(*arrays, precision=precision, dtype="f8")


def test_the_tutorials_detectors():
    bump = np.array([0, 0, 0, 1, 1, 0, 0, 0], np.float32).reshape(1, 8, 1)
    assert conv1d(bump, np.float32([0, 1, 0]).reshape(3, 1, 1)).ravel().tolist() == [0, 0, 1, 1, 0, 0]
    image = np.zeros((1, 8, 8, 1), np.float32)
    image[:, :, 3:5] = 1
    line = np.zeros((3, 3, 1, 1), np.float32)
    line[:, 1] = 1
    assert conv2d(image, line)[0, :, :, 0].tolist() == [[0, 0, 3, 3, 0, 0]] * 6


@pytest.mark.parametrize("data_format", ORDERS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "int16", "uint8"])
def test_same_bits_for_any_strides_threads_batches_and_kind_of_call(dtype, data_format):
    x, w = layer(dtype, 4, data_format=data_format) if dtype != "uint8" else layer("int8", 4, data_format=data_format)
    if dtype == "uint8":
        x, w = np.abs(x).astype(np.uint8), np.abs(w).astype(np.uint8)
    options = {"padding": "same", "data_format": data_format}
    expected = conv2d(x, w, **options, threads=1)
    for threads in (2, 4, 16):
        assert same_bits(conv2d(x, w, **options, threads=threads), expected)
    assert same_bits(np.concatenate([conv2d(x[n : n + 1], w, **options) for n in range(4)]), expected)
    assert same_bits(conv2d(x[0], w, **options), expected[0])
    plan = numconv.plan_conv2d((None, *x.shape[1:]), w, **options)
    assert same_bits(plan(x), expected)
    swapped = x.astype(x.dtype.newbyteorder())
    unaligned = np.frombuffer(b"\0" + x.tobytes(), x.dtype, offset=1).reshape(x.shape)
    read_only = x.copy()
    read_only.setflags(write=False)
    for other in (np.asfortranarray(x), x[::-1].copy()[::-1], swapped, unaligned, read_only):
        assert same_bits(conv2d(other, w, **options), expected)
    wide = np.repeat(x, 2, axis=2)
    assert same_bits(conv2d(wide[:, :, ::2], w, **options), expected)


def test_broadcast_input_and_empty_batch():
    x, w = layer()
    view = np.broadcast_to(x[:1], (3, *x.shape[1:]))
    assert same_bits(conv2d(view, w), conv2d(view.copy(), w))
    assert conv2d(x[:0], w).shape == (0, 7, 8, 20)


def test_anything_array_like(tmp_path):
    assert conv1d([[1], [2], [4]], [[[1]], [[1]]]).tolist() == [[3], [6]]
    x, w = layer()
    mapped = np.memmap(tmp_path / "x", x.dtype, "w+", shape=x.shape)
    mapped[...] = x
    assert same_bits(conv2d(mapped, w), conv2d(x, w))
    with pytest.raises(TypeError, match="mask"):
        conv2d(np.ma.masked_array(x), w)
    with pytest.raises(TypeError, match="matrix"), pytest.warns(PendingDeprecationWarning):
        conv1d(np.matrix([[1.0]]), np.ones((1, 1, 1)))


def test_out_is_filled_and_returned_or_refused_untouched():
    x, w = layer()
    expected = conv2d(x, w)
    out = np.full_like(expected, np.nan)
    assert conv2d(x, w, out=out) is out
    assert same_bits(out, expected)
    strided = np.full((*expected.shape, 2), np.nan, np.float32)[..., 0]
    assert same_bits(conv2d(x, w, out=strided).copy(), expected)
    for wrong in (np.full((2, 7, 8, 21), 7.0, np.float32), np.full(expected.shape, 7.0)):
        with pytest.raises(ValueError, match="out"):
            conv2d(x, w, out=wrong)
        assert (wrong == 7).all()


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_out_may_overlap_x(shift):
    buffer = RNG.standard_normal(40)
    w = RNG.standard_normal((3, 1, 1))
    expected = conv1d(buffer[:30].copy()[:, None], w, padding="same")
    out = buffer[shift : 30 + shift][:, None]
    assert same_bits(conv1d(buffer[:30][:, None], w, padding="same", out=out).copy(), expected)


def test_out_may_overlap_weights_and_bias():
    x, buffer = RNG.standard_normal((6, 1)), RNG.standard_normal((4, 1))
    expected = conv1d(x, buffer[:3].reshape(3, 1, 1).copy(), buffer[0].copy())
    for w, bias in ((buffer[:3].reshape(3, 1, 1), buffer[0].copy()), (buffer[:3].reshape(3, 1, 1).copy(), buffer[0])):
        before = buffer.copy()
        assert same_bits(conv1d(x, w, bias, out=buffer).copy(), expected)
        buffer[...] = before


@pytest.mark.parametrize("filters", [1, 3, 40])
@pytest.mark.parametrize("data_format", ORDERS)
def test_byte_swapped_and_unaligned_weights(filters, data_format):
    x, w = layer(filters=filters, data_format=data_format)
    bias = RNG.standard_normal(filters).astype(np.float32)
    expected = conv2d(x, w, bias, data_format=data_format)
    swapped = [a.astype(a.dtype.newbyteorder()) for a in (w, bias)]
    unaligned = [np.frombuffer(b"\0" + a.tobytes(), a.dtype, offset=1).reshape(a.shape) for a in (w, bias)]
    for other in (swapped, unaligned, [np.asfortranarray(w), bias[::-1].copy()[::-1]]):
        assert same_bits(conv2d(x, *other, data_format=data_format), expected)


@pytest.mark.parametrize("data_format", ORDERS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_values_reach_exactly_what_sees_them(bad, data_format):
    x, w = layer("float64", 1, data_format=data_format)
    clean = conv2d(x, w, padding="same", data_format=data_format)
    where = (0, 4, 5, 1) if data_format == "channels_last" else (0, 1, 4, 5)
    x[where] = bad
    dirty = conv2d(x, w, padding="same", data_format=data_format)
    rows, columns = np.ix_(np.abs(np.arange(9) - 4) <= 1, np.abs(np.arange(10) - 5) <= 1)
    seen = np.zeros((9, 10), bool)
    seen[rows, columns] = True
    seen = seen[None, :, :, None] if data_format == "channels_last" else seen[None, None]
    assert (~np.isfinite(dirty) == seen).all()
    assert same_bits(np.where(seen, 0, dirty), np.where(seen, 0, clean))


def test_padding_and_small_weights_multiply():
    x = np.ones((3, 1))
    assert np.isnan(conv1d(x, np.array([np.inf, 1, 1]).reshape(3, 1, 1), padding="same")[0, 0])
    x, w = layer("float64")
    assert same_bits(conv2d(x, w * 2.0**-600), conv2d(x, w) * 2.0**-600)
    tiny = np.array([[5e-324], [0.0]])
    assert conv1d(tiny, np.ones((1, 1, 1))).ravel().tolist() == [5e-324, 0.0]
    assert np.signbit(conv1d(np.array([[-0.0]]), np.ones((1, 1, 1)), np.array([-0.0]), activation="relu")).sum() == 0


def test_integers_are_exact_and_overflow_is_said():
    big = np.array([[2**62], [2**62]])
    ones = np.ones((2, 1, 1), np.int64)
    with pytest.raises(OverflowError, match="conv1d"):
        conv1d(big, ones)
    assert conv1d(big, ones, overflow="saturate").ravel().tolist() == [2**63 - 1]
    assert conv1d(big, ones, overflow="wrap").ravel().tolist() == [-(2**63)]
    assert conv1d(np.uint64([[2**63], [2**63 - 1]]), ones.astype(np.uint8)).ravel().tolist() == [2**64 - 1]
    x = np.array([[2.5], [3.5], [-0.5], [300.0]])
    one = np.ones((1, 1, 1))
    assert conv1d(x, one, dtype="uint8", overflow="saturate").ravel().tolist() == [2, 4, 0, 255]
    with pytest.raises(OverflowError, match="uint8"):
        conv1d(x, one, dtype="uint8")
    with pytest.raises(OverflowError, match="NaN"):
        conv1d(np.array([[np.nan]]), one, dtype="int8")


@pytest.mark.parametrize("x_kind", ["float64", "complex128"])
@pytest.mark.parametrize("w_kind", ["float64", "complex128"])
@pytest.mark.parametrize("data_format", ORDERS)
def test_complex_against_numpy(x_kind, w_kind, data_format):
    def values(shape, kind):
        real = RNG.standard_normal(shape)
        return (real + 1e-6j * RNG.standard_normal(shape)).astype(kind) if kind[0] == "c" else real

    x, w = values(50, x_kind), values(7, w_kind)
    last = data_format == "channels_last"
    got = conv1d(
        x[:, None] if last else x[None], w.reshape((7, 1, 1) if last else (1, 1, 7)), flip=True, data_format=data_format
    )
    expected = np.convolve(x, w, "valid")
    assert got.dtype == expected.dtype
    wrong, e = got.ravel() - expected, np.finfo(np.float64).eps
    (xr, xi), (wr, wi) = ((np.abs(a.real), np.abs(a.imag)) for a in (x, w))
    assert (np.abs(wrong.real) <= 16 * e * (np.convolve(xr, wr, "valid") + np.convolve(xi, wi, "valid"))).all()
    assert (np.abs(wrong.imag) <= 16 * e * (np.convolve(xr, wi, "valid") + np.convolve(xi, wr, "valid"))).all()
    if expected.dtype.kind == "c":  # small imaginary parts are not lost
        np.testing.assert_allclose(got.ravel().imag, expected.imag, rtol=1e-8, atol=1e-20)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "silu", "gelu"])
@pytest.mark.parametrize("data_format", ORDERS)
def test_smooth_activations(activation, dtype, data_format):
    x, w = layer(dtype, data_format=data_format)
    bias = RNG.standard_normal(20).astype(dtype)
    options = {"activation": activation, "data_format": data_format, "padding": "same"}
    got = conv2d(x, w, bias, **options)
    expected = conv2d(x, w, bias, **options, method="reference")
    assert (np.abs(got - expected) <= 4 * np.spacing(np.abs(expected))).all()


def test_plans():
    x, w = layer()
    bias = RNG.standard_normal(20).astype(np.float32)
    plan = numconv.plan_conv2d((None, 9, 10, 3), w, bias, padding="same", activation="relu")
    expected = conv2d(x, w, bias, padding="same", activation="relu")
    assert plan.output_shape == (None, 9, 10, 20)
    assert plan.flops == 2 * 9 * 10 * 20 * 27
    assert str(plan) == "plan_conv2d direct float32:float32>float32 c3h9w10_f20kh3kw3_ph1pw1_bias_relu channels_last"
    assert "direct" in plan.explain() and "reference" in plan.explain()
    assert same_bits(pickle.loads(pickle.dumps(plan))(x), expected)
    w[...] = 0  # plans keep copies
    with ThreadPoolExecutor(4) as pool:
        assert all(same_bits(y, expected) for y in pool.map(plan, [x] * 40))
    with pytest.raises(TypeError, match=r"float64.*float32"):
        plan(x.astype(np.float64))
    with pytest.raises(ValueError, match=r"\(2, 9, 10, 4\).*\(N, 9, 10, 3\)"):
        plan(np.zeros((2, 9, 10, 4), np.float32))
    with pytest.raises(ValueError, match="out"):
        plan(x, out=np.zeros((2, 9, 10, 21), np.float32))
    assert numconv.plan_conv2d((9, 10, 3), w)(x[0]).shape == (7, 8, 20)


def test_three_dimensions_against_two():
    x, w = RNG.standard_normal((2, 5, 6, 7, 3)), RNG.standard_normal((1, 3, 3, 3, 4))
    planes = np.stack([conv2d(x[:, d], w[0], padding="same") for d in range(5)], axis=1)
    assert same_bits(conv3d(x, w, padding=(0, 1, 1)), planes)


def test_groups_are_convolutions_of_their_own():
    x, w = RNG.standard_normal((1, 8, 9, 6)), RNG.standard_normal((3, 3, 2, 12))
    parts = [conv2d(x[..., 2 * g : 2 * g + 2], w[..., 4 * g : 4 * g + 4]) for g in range(3)]
    assert same_bits(conv2d(x, w, groups=3), np.concatenate(parts, axis=-1))


def test_options_that_are_equal_and_of_other_types_stay_wrong():
    x, w = layer()
    conv2d(x, w, stride=(1, 1), dilation=(1, 1), padding=((1, 1), (1, 1)))
    for wrong in (
        {"stride": (True, 1)},
        {"stride": (1.0, 1)},
        {"dilation": (1, True)},
        {"padding": ((True, 1), (1, 1))},
    ):
        with pytest.raises(TypeError, match="conv2d"):
            conv2d(x, w, **wrong)


def test_errors_name_the_function_the_argument_and_the_shapes():
    x, w = np.ones((1, 28, 28, 4)), np.ones((3, 3, 3, 8))
    with pytest.raises(ValueError, match=r"conv2d: w has 3 input channels \(shape \(3, 3, 3, 8\)\) but x has 4"):
        conv2d(x, w)
    with pytest.raises(ValueError, match="valid"):
        conv2d(x, np.ones((3, 3, 4, 8)), padding="vaild")
    with pytest.raises(ValueError, match="exact"):
        conv1d(np.ones((4, 1), np.float32), np.full((1, 1, 1), 2**24 + 1))


def test_python_without_a_lock_is_refused():
    """What such a Python says of itself; numconv is not known to be right there."""
    run_script(
        """
        import sys
        sys._is_gil_enabled = lambda: False
        try:
            import numconv
        except ImportError as error:
            assert "PYTHON_GIL=1" in str(error)
        else:
            raise SystemExit("imported")
        sys._is_gil_enabled = lambda: True
        import numconv
        """
    )
