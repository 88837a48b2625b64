"""Shapes of x and w by data format, shapes of plans, and the axes that filters of a bare array run over."""

import re

import numpy as np
import pytest

from numconv._arguments import bank_axes, check_plan_shape, conv_problem, kernel_axes

F4 = np.dtype("float32")


@pytest.mark.parametrize(
    ("ndim", "data_format", "x", "w"),
    [
        (1, "channels_last", (2, 9, 6), (5, 3, 8)),
        (1, "channels_first", (2, 6, 9), (8, 3, 5)),
        (2, "channels_last", (2, 10, 9, 6), (4, 5, 3, 8)),
        (2, "channels_first", (2, 6, 10, 9), (8, 3, 4, 5)),
        (3, "channels_last", (2, 11, 10, 9, 6), (3, 4, 5, 3, 8)),
        (3, "channels_first", (2, 6, 11, 10, 9), (8, 3, 3, 4, 5)),
    ],
)
@pytest.mark.parametrize("batched", [True, False])
def test_shapes_by_data_format(ndim, data_format, x, w, batched):
    f4 = np.dtype("f4")
    found, unbatched = conv_problem(
        "conv",
        ndim,
        x if batched else x[1:],
        f4,
        w,
        f4,
        groups=2,
        data_format=data_format,
        bias_shape=(8,),
        bias_dtype=f4,
    )
    missing = (1,) * (3 - ndim)
    assert unbatched is not batched
    assert found.spatial == missing + (11, 10, 9)[3 - ndim :]
    assert found.kernel == missing + (3, 4, 5)[3 - ndim :]
    assert (found.channels, found.filters, found.groups, found.bias) == (6, 8, 2, True)
    assert found.channels_last is (data_format == "channels_last")


def test_the_message_of_a_mismatch_in_full():
    message = "conv2d: w has 3 input channels (shape (3, 3, 3, 8)) but x has 4 (shape (1, 28, 28, 4), channels_last)"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        conv_problem("conv2d", 2, (1, 28, 28, 4), F4, (3, 3, 3, 8), F4)


X, W = (1, 28, 28, 4), (3, 3, 4, 8)


@pytest.mark.parametrize(
    ("x", "w", "message"),
    [
        ((28, 28), W, r"x has 2 axes \(shape \(28, 28\)\), expected \(N, H, W, C\), or \(H, W, C\) .*filter_bank"),
        ((1, 1, 28, 28, 4), W, r"x has 5 axes .*, expected \(N, H, W, C\)"),
        (X, (3, 3), r"w has 2 axes \(shape \(3, 3\)\), expected \(KH, KW, C // groups, F\) .*correlate"),
        (X, (3, 4, 8), r"w has 3 axes .*, expected \(KH, KW, C // groups, F\) \(channels_last\)$"),
        ((1, 3, 28, 28), (8, 3, 3, 3), r'x \(N, C, H, W\) and w \(F, .* need data_format="channels_first"'),
        ((32, 28, 28), (3, 3, 1, 8), r"x has 28 .*; an x of 3 axes is one sample \(H, W, C\)"),
        (X, (0, 3, 4, 8), r"kernel without elements, \(0, 3\) \(shape \(0, 3, 4, 8\)\); expected sizes >= 1"),
        (X, (3, 3, 4, 0), r"w has no filters \(shape \(3, 3, 4, 0\)\); expected F >= 1"),
        ((1, 28, 28, 0), (3, 3, 0, 8), r"x has 0 channels \(shape \(1, 28, 28, 0\), .*expected C >= 1"),
        (X, (3, 29, 4, 8), r"empty along W: x has 28 .*\(28, 28\).*padding='valid' adds 0 \+ 0, .* spans 29 \(KW = 29"),
        ((1, 0, 28, 4), (3, 3, 4, 8), r"empty along H: x has 0 samples there \(spatial shape \(0, 28\)\)"),
    ],
)
def test_errors(x, w, message):
    with pytest.raises(ValueError, match=f"^conv2d: .*{message}"):
        conv_problem("conv2d", 2, x, F4, w, F4)


def test_errors_of_other_layouts():
    with pytest.raises(ValueError, match=r'x \(N, H, W, C\) and w \(KH, .* need data_format="channels_last"'):
        conv_problem("conv2d", 2, (1, 28, 28, 3), F4, (5, 5, 3, 8), F4, data_format="channels_first")
    with pytest.raises(ValueError, match=r"conv1d: x has 1 axes .* expected \(N, W, C\), or \(W, C\) for one sample"):
        conv_problem("conv1d", 1, (9,), F4, (3, 1, 1), F4)
    with pytest.raises(ValueError, match=r"expected \(F, C // groups, KD, KH, KW\) \(channels_first\)"):
        conv_problem("conv3d", 3, (1, 1, 9, 9, 9), F4, (3,), F4, data_format="channels_first")


# ---- plans


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ((None, 28, 28, 3), (None, 28, 28, 3)),
        ([5, np.int64(28), 28, 3], (5, 28, 28, 3)),
        (np.array([0, 28, 28, 3]), (0, 28, 28, 3)),
        ((28, 28, 3), (28, 28, 3)),
        ((1, 1, 2**40, 1), (1, 1, 2**40, 1)),
    ],
)
def test_plan_shapes(given, found):
    checked = check_plan_shape("plan_conv2d", 2, given, "channels_last")
    assert checked == found
    assert all(size is None or type(size) is int for size in checked)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ((1, None, 28, 3), ValueError),
        ((None, 28, 3), ValueError),
        ((None, None, 28, 3), ValueError),
        ((28, 28), ValueError),
        ((1, 1, 28, 28, 3), ValueError),
        ((1, 28, -1, 3), ValueError),
        ((1, 28, 28.0, 3), TypeError),
        ((True, 28, 28, 3), TypeError),
        (28, TypeError),
        (None, TypeError),
        ("1283", TypeError),
    ],
)
def test_errors_of_plan_shapes(given, error):
    expected = r"expected sizes \(N, H, W, C\), where N may be None, or \(H, W, C\) \(channels_last\)"
    with pytest.raises(error, match=rf"plan_conv2d: x_shape is {re.escape(repr(given))}, {expected}"):
        check_plan_shape("plan_conv2d", 2, given, "channels_last")


def test_a_plan_shape_is_told_by_its_data_format():
    with pytest.raises(ValueError, match=r"expected sizes \(N, C, W\), .* \(channels_first\)"):
        check_plan_shape("plan_conv1d", 1, (1, None, 3), "channels_first")
    with pytest.raises(ValueError, match="plan_conv1d: data_format is 'NCW'"):
        check_plan_shape("plan_conv1d", 1, (1, 2, 3), "NCW")


# ---- bare arrays


@pytest.mark.parametrize(
    ("x", "kernel", "axes", "found"),
    [
        ((100,), (5,), None, (0,)),
        ((8, 100), (5,), None, (1,)),
        ((8, 3), (5,), None, (1,)),
        ((8, 100), (5,), 0, (0,)),
        ((8, 100), (5,), [-2], (0,)),
        ((64, 48), (3, 3), None, (0, 1)),
        ((10, 64, 48), (3, 3), None, (1, 2)),
        ((64, 48, 3), (3, 3), (0, 1), (0, 1)),
        ((64, 48, 3), (3, 3), (1, 2), (1, 2)),
        ((64, 48, 5), (3, 3), (np.int64(1), -3), (1, 0)),
        ((64, 3), (3, 3), None, (0, 1)),
        ((2, 64, 48, 3), (3, 3), None, (2, 3)),
        ((64, 48, 3), (3, 3, 3), None, (0, 1, 2)),
        ((9, 8, 7, 6), (3, 3, 3), np.array([3, 0, 1]), (3, 0, 1)),
    ],
)
def test_axes(x, kernel, axes, found):
    for checked in (bank_axes("filter_bank", x, (16, *kernel), axes), kernel_axes("correlate", x, kernel, axes)):
        assert checked == found
        assert all(type(axis) is int for axis in checked)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_colour_image_needs_axes(channels):
    message = rf"x of shape \(480, 640, {channels}\) looks like a colour image, .* give axes=\(0, 1\)"
    with pytest.raises(ValueError, match=f"filter_bank: {message}"):
        bank_axes("filter_bank", (480, 640, channels), (16, 3, 3), None)
    with pytest.raises(ValueError, match=f"convolve: {message}"):
        kernel_axes("convolve", (480, 640, channels), (3, 3), None)


@pytest.mark.parametrize(
    ("axes", "error"),
    [
        ((0,), ValueError),
        ((0, 1, 2), ValueError),
        (0, ValueError),
        ((), ValueError),
        ((1, 1), ValueError),
        ((1, -2), ValueError),
        ((0, 3), ValueError),
        ((0, -4), ValueError),
        ((0, 1.0), TypeError),
        ((False, True), TypeError),
        ("01", TypeError),
    ],
)
def test_errors_of_axes(axes, error):
    expected = r"expected 2 different axes from -3 to 2, for 2-D kernels in filters \(kernel \(5, 5\)\)"
    with pytest.raises(
        error, match=rf"filter_bank: axes is {re.escape(repr(axes))}, {expected} and x of shape \(7, 8, 9\)"
    ):
        bank_axes("filter_bank", (7, 8, 9), (16, 5, 5), axes)


@pytest.mark.parametrize(
    ("x", "filters", "error", "message"),
    [
        ((100,), (5,), ValueError, r"filters has shape \(5,\), expected \(F, \*kernel\); .*numconv.correlate"),
        ((100,), (0, 5), ValueError, r"filters has shape \(0, 5\), no filters; expected F >= 1"),
        ((100,), (2, 0), ValueError, r"filters has a kernel without elements, \(0,\)"),
        ((100,), (2, 3, 3), ValueError, r"2-D kernels in filters .* shape \(100,\): expected an x of at least 2 axes"),
        ((9,) * 5, (2, 3, 3, 3, 3), NotImplementedError, "4-D kernels .*: supported are 1 to 3 spatial axes; sum over"),
    ],
)
def test_errors_of_filters(x, filters, error, message):
    with pytest.raises(error, match=f"filter_bank: {message}"):
        bank_axes("filter_bank", x, filters, None)
