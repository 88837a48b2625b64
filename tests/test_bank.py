"""`filter_bank`, `correlate`, `convolve` against SciPy and NumPy: modes, axes, even kernels."""

from __future__ import annotations

import numpy as np
import pytest

import numconv

from .problems import same_bits

ndimage = pytest.importorskip("scipy.ndimage")
signal = pytest.importorskip("scipy.signal")
RNG = np.random.default_rng(6)
MODES = {"constant": "constant", "edge": "nearest", "reflect": "mirror", "symmetric": "reflect", "wrap": "wrap"}


@pytest.mark.parametrize("size", [(3, 3), (4, 2), (1, 7), (5, 6)])
@pytest.mark.parametrize("mode", MODES)
def test_correlate_is_that_of_ndimage(mode, size):
    x, kernel = RNG.standard_normal((11, 13)), RNG.standard_normal(size)
    np.testing.assert_allclose(
        numconv.correlate(x, kernel, pad_mode=mode), ndimage.correlate(x, kernel, mode=MODES[mode]), atol=1e-13
    )


@pytest.mark.parametrize("taps", range(1, 9))
def test_same_is_that_of_numpy_and_signal(taps):
    x, kernel = RNG.standard_normal(20), RNG.standard_normal(taps)
    np.testing.assert_allclose(
        numconv.correlate(x, kernel, pad_mode="constant"), np.correlate(x, kernel, "same"), atol=1e-13
    )
    np.testing.assert_allclose(
        numconv.convolve(x, kernel, pad_mode="constant"), signal.convolve(x, kernel, "same"), atol=1e-13
    )


@pytest.mark.parametrize("order", ["C", "F"])
def test_bank_over_any_axes_and_batches(order):
    x = np.array(RNG.standard_normal((2, 6, 3, 7)), order=order)
    filters = RNG.standard_normal((4, 3, 2))
    maps = numconv.filter_bank(x, filters, axes=(1, 3))
    assert maps.shape == (2, 3, 4, 6, 7)
    for a in range(2):
        for b in range(3):
            for f in range(4):
                np.testing.assert_allclose(maps[a, b, f], ndimage.correlate(x[a, :, b], filters[f]), atol=1e-13)
    out = np.full(maps.shape[::-1], np.nan).T
    assert numconv.filter_bank(x, filters, axes=(1, 3), out=out) is out
    assert same_bits(np.ascontiguousarray(out), maps)
    swapped = numconv.filter_bank(x, filters.transpose(0, 2, 1), axes=(3, 1))
    np.testing.assert_allclose(swapped.transpose(0, 1, 2, 4, 3), maps, atol=1e-13)


def test_one_kernel_keeps_the_axes():
    x, kernel = RNG.standard_normal((4, 8, 5)), RNG.standard_normal(3)
    np.testing.assert_allclose(numconv.correlate(x, kernel, axes=1), ndimage.correlate1d(x, kernel, axis=1), atol=1e-13)
    assert numconv.correlate(x, kernel, axes=1, stride=2).shape == (4, 4, 5)


def test_plan_accepts_any_batch():
    filters = RNG.standard_normal((3, 5))
    plan = numconv.plan_filter_bank((None, None, 40), filters)
    assert plan.output_shape == (None, None, 3, 40)
    x = RNG.standard_normal((2, 6, 40))
    assert same_bits(plan(x), numconv.filter_bank(x, filters))
    assert plan(x[:0]).shape == (0, 6, 3, 40)
    with pytest.raises(ValueError, match=r"\(N, N, 40\)"):
        plan(x[..., :-1])


def test_the_likeliest_first_mistake():
    with pytest.raises(ValueError, match=r"axes=\(0, 1\)"):
        numconv.filter_bank(np.ones((20, 30, 3)), np.ones((2, 3, 3)))


def test_integers_and_integer_kernels():
    image = RNG.integers(0, 256, (20, 30)).astype(np.uint8)
    sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    expected = ndimage.correlate(image.astype(np.int64), sobel)
    assert np.array_equal(numconv.correlate(image, sobel), expected)
    single = numconv.correlate(image.astype(np.float32), sobel)
    assert single.dtype == np.float32 and np.array_equal(single, expected)


def test_weights_are_called_as_their_argument_is():
    x, large = np.ones((8, 9), np.float32), 2**24 + 1
    with pytest.raises(ValueError, match=r"filter_bank: filters\[1, 0, 0\] = 16777217 \(shape \(2, 1, 1\)"):
        numconv.filter_bank(x, np.array([[[1]], [[large]]]))
    with pytest.raises(ValueError, match=r"correlate: kernel\[0, 1\] = 16777217 \(shape \(1, 2\)"):
        numconv.correlate(x, np.array([[1, large]]))
    with pytest.raises(TypeError, match="plan_filter_bank: filters has dtype object"):
        numconv.plan_filter_bank((8, 9), np.ones((2, 3, 3), object))
    with pytest.raises(TypeError, match=r"the result of x \(float32\) and kernel \(complex64\) is complex"):
        numconv.convolve(x, np.ones((3, 3), np.complex64), dtype="float32")


@pytest.mark.parametrize(
    ("x_shape", "error", "said"),
    [
        (5, TypeError, "x_shape is 5, expected the sizes of x's axes"),
        ("ab", TypeError, "x_shape is 'ab', expected"),
        ((None, 8.5, 9), TypeError, r"x_shape is \(None, 8.5, 9\), expected"),
        ((-1, 8, 9), ValueError, r"x_shape is \(-1, 8, 9\), expected"),
        ((8, None), ValueError, r"x_shape is \(8, None\), but the filters run along its axes \(0, 1\)"),
    ],
)
def test_plans_say_what_is_wrong_with_a_shape(x_shape, error, said):
    with pytest.raises(error, match=f"plan_filter_bank: {said}"):
        numconv.plan_filter_bank(x_shape, np.ones((2, 3, 3)))


def test_plans_say_what_is_wrong_with_a_dtype():
    with pytest.raises(TypeError, match="plan_filter_bank: x_dtype is 'foo', which is not a NumPy dtype"):
        numconv.plan_filter_bank((8, 9), np.ones((2, 3, 3)), x_dtype="foo")
    with pytest.raises(TypeError, match="plan_conv1d: x_dtype is 'foo', which is not a NumPy dtype"):
        numconv.plan_conv1d((8, 1), np.ones((3, 1, 1)), x_dtype="foo")
