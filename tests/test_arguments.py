"""Options: every value that is accepted, what it becomes in the problem, and every error with its message."""

import inspect
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numconv._arguments import check_threads, conv_problem

X, W = (1, 28, 28, 4), (3, 3, 4, 8)


def problem(name="conv2d", ndim=2, x=X, w=W, x_dtype="float32", w_dtype="float32", bias=None, **options):
    if bias is not None:
        options |= {"bias_shape": bias[0], "bias_dtype": np.dtype(bias[1])}
    return conv_problem(name, ndim, x, np.dtype(x_dtype), w, np.dtype(w_dtype), **options)[0]


def problem_1d(length, k, **options):
    return problem("conv1d", 1, (1, length, 2), (k, 2, 3), **options)


# ---- the problem


def test_defaults():
    found, unbatched = conv_problem("conv2d", 2, X, np.dtype("f4"), W, np.dtype("f4"))
    f4 = np.dtype("float32")
    assert not unbatched
    assert (found.ndim, found.spatial, found.kernel) == (2, (1, 28, 28), (1, 3, 3))
    assert (found.channels, found.filters, found.groups) == (4, 8, 1)
    assert (found.stride, found.dilation, found.pads) == ((1, 1, 1), (1, 1, 1), ((0, 0), (0, 0), (0, 0)))
    assert (found.pad_mode, found.pad_value) == ("constant", 0)
    assert (found.x_dtype, found.w_dtype, found.compute, found.result) == (f4, f4, f4, f4)
    assert (found.channels_last, found.bias, found.activation, found.slope) == (True, False, "", 0.0)
    assert (found.overflow, found.method, found.precision) == ("raise", "auto", "ieee")
    assert found.out_spatial == (1, 26, 26)


def test_a_problem_depends_on_neither_n_nor_the_spelling():
    same = problem(stride=2, padding=1, pad_mode="zeros", pad_value=False)
    assert same == problem(x=(7, 28, 28, 4), stride=(2, np.int8(2)), padding=[(1, 1), (1, 1)], pad_value=-0.0)
    assert same == problem(x=(None, 28, 28, 4), stride=np.array([2, 2]), padding=np.ones((2, 2), int), pad_value=0j)
    assert same == problem(x=(28, 28, 4), stride=[2, 2], padding=(1, (1, 1)), flip=True, overflow="wrap")
    assert hash(same) == hash(problem(stride=2, padding=1, pad_mode="zeros", pad_value=False))


def test_precision_is_a_permission_of_which_a_cpu_makes_no_use():
    same = problem()
    for precision in ("3xtf32", "tf32", "bf16"):
        assert problem(precision=precision) == same
        permitted = same.permitting(precision)
        assert permitted.precision == precision
        assert permitted != same == permitted.permitting("ieee")
        assert same.permitting(precision) is permitted
    assert same.permitting("ieee") is same
    for kinds in ({"x_dtype": "float16"}, {"w_dtype": "complex64"}, {"x_dtype": "float64", "dtype": "float32"}):
        assert problem(precision="tf32", **kinds) == problem(**kinds)


def test_empty_batch_and_options_per_axis():
    found = problem("conv3d", 3, (0, 9, 9, 9, 1), (2, 2, 2, 1, 1), stride=(1, 2, 3), dilation=(3, 2, 1))
    assert (found.stride, found.dilation, found.out_spatial) == ((1, 2, 3), (3, 2, 1), (6, 4, 3))
    found = problem("conv1d", 1, (0, 9, 1), (2, 1, 1), stride=[3], dilation=(2,))
    assert (found.stride, found.dilation, found.out_spatial) == ((1, 1, 3), (1, 1, 2), (1, 1, 3))


def test_keywords_are_those_of_the_public_functions():
    keywords = [p for p in inspect.signature(conv_problem).parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert {p.name: p.default for p in keywords if not p.name.startswith("bias_")} == {
        "stride": 1,
        "padding": "valid",
        "dilation": 1,
        "groups": 1,
        "pad_mode": "constant",
        "pad_value": 0,
        "data_format": "channels_last",
        "activation": None,
        "flip": False,
        "dtype": None,
        "overflow": "raise",
        "method": "auto",
        "precision": "ieee",
        "reduce": None,
    }


# ---- padding


@pytest.mark.parametrize(
    ("padding", "w_pads"),
    [
        ("valid", (0, 0)),
        ("full", (8, 8)),
        ("causal", (8, 0)),
        ("same", (4, 4)),
        (3, (3, 3)),
        (np.uint8(3), (3, 3)),
        ((3,), (3, 3)),
        (((1, 2),), (1, 2)),
        ([[1, 2]], (1, 2)),
        (np.array([[1, 2]]), (1, 2)),
    ],
)
def test_padding_1d(padding, w_pads):
    assert problem_1d(20, 5, dilation=2, padding=padding).pads == ((0, 0), (0, 0), w_pads)


def test_padding_of_several_axes():
    assert problem(padding=(1, 2)).pads == ((0, 0), (1, 1), (2, 2))
    assert problem(padding=((1, 2), (3, 0))).pads == ((0, 0), (1, 2), (3, 0))
    assert problem(padding="full", w=(3, 5, 4, 8), dilation=(1, 2)).pads == ((0, 0), (2, 2), (8, 8))
    w = (2, 3, 4, 1, 1)
    assert problem("conv3d", 3, (1, 5, 5, 5, 1), w, padding="same").pads == ((0, 1), (1, 1), (1, 2))
    assert problem("conv3d", 3, (1, 5, 5, 5, 1), w, padding="same_lower").pads == ((1, 0), (1, 1), (2, 1))


@pytest.mark.parametrize("k", range(1, 7))
def test_same_at_stride_1_is_that_of_the_peers(k):
    # Keras, PyTorch: the extra sample on the right; NumPy, SciPy's correlate, OpenCV: on the left.
    assert problem_1d(50, k, padding="same").pads[2] == ((k - 1) // 2, k // 2)
    assert problem_1d(50, k, padding="same_lower").pads[2] == (k // 2, (k - 1) // 2)


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 12), st.integers(1, 5))
@settings(deadline=None, max_examples=300)
def test_same_follows_its_formula(length, k, stride, dilation):
    out = math.ceil(length / stride)
    total = max(0, (out - 1) * stride + dilation * (k - 1) + 1 - length)
    less, more = total // 2, total - total // 2
    for padding, pads in (("same", (less, more)), ("same_lower", (more, less))):
        found = problem_1d(length, k, padding=padding, stride=stride, dilation=dilation)
        assert found.pads[2] == pads
        assert found.out_spatial == (1, 1, out)


def test_causal_with_stride_is_that_of_keras():
    for length in range(1, 9):
        assert problem_1d(length, 3, padding="causal", stride=2).out_spatial[2] == (length - 1) // 2 + 1


@pytest.mark.parametrize(
    ("alias", "mode"),
    [
        ("constant", "constant"),
        ("zeros", "constant"),
        ("edge", "edge"),
        ("replicate", "edge"),
        ("nearest", "edge"),
        ("reflect", "reflect"),
        ("mirror", "reflect"),
        ("symmetric", "symmetric"),
        ("wrap", "wrap"),
        ("circular", "wrap"),
    ],
)
def test_pad_modes(alias, mode):
    assert problem(pad_mode=alias, padding=100).pad_mode == mode
    assert problem_1d(1, 3, pad_mode=alias, padding=1).pad_mode == mode, "np.pad repeats a single sample"


def test_constant_padding_of_nothing():
    assert problem_1d(0, 3, padding=2).out_spatial == (1, 1, 2)


@pytest.mark.parametrize(
    ("x_dtype", "value", "held"),
    [
        ("bool", True, 1),
        ("bool", 0.0, 0),
        ("uint8", 255, 255),
        ("uint8", np.float32(3), 3),
        ("int8", -128, -128),
        ("int64", 2**63 - 1, 2**63 - 1),
        ("uint64", 2**64 - 1, 2**64 - 1),
        ("int16", True, 1),
        ("float32", 0.1, float(np.float32(0.1))),
        ("float16", np.float64(1 / 3), float(np.float16(1 / 3))),
        ("float32", 1e-300, 0.0),
        ("float64", 2**70, 2.0**70),
        ("float32", -math.inf, -math.inf),
        ("float32", np.array(2), 2.0),
        ("float32", 3 + 0j, 3.0),
        ("complex64", 1, 1 + 0j),
        ("complex64", 0.5 + 2j, 0.5 + 2j),
        ("complex128", complex(math.inf, 1), complex(math.inf, 1)),
    ],
)
def test_pad_value_is_what_x_holds(x_dtype, value, held):
    found = problem(x_dtype=x_dtype, pad_value=value).pad_value
    assert found == held
    assert type(found) is type(held)


@pytest.mark.parametrize("nan", [math.nan, complex(math.nan, 1), complex(2, math.nan)])
def test_problems_padded_with_nan_are_equal(nan):
    def padded(value):
        return problem(x_dtype="complex64", pad_value=value)

    assert np.isnan(padded(nan).pad_value)
    assert padded(nan) == padded(complex(nan.real, nan.imag))
    assert len({padded(nan), padded(np.complex64(nan))}) == 1
    assert padded(nan) != padded(1)


def test_negative_zero_pads_as_zero():
    assert math.copysign(1, problem(pad_value=-0.0).pad_value) == 1
    assert str(problem(x_dtype="complex64", pad_value=complex(-0.0, -0.0)).pad_value) == "0j"


# ---- activation, overflow


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (None, ("", 0.0)),
        ("relu", ("relu", 0.0)),
        ("leaky_relu", ("leaky_relu", 0.2)),
        (("leaky_relu", 0.01), ("leaky_relu", 0.01)),
        (["leaky_relu", np.float32(-0.5)], ("leaky_relu", -0.5)),
        (("leaky_relu", 1), ("leaky_relu", 1.0)),
        ("sigmoid", ("sigmoid", 0.0)),
        ("tanh", ("tanh", 0.0)),
        ("silu", ("silu", 0.0)),
        ("gelu", ("gelu", 0.0)),
    ],
)
def test_activations(activation, expected):
    for dtype in (None, "uint8"):
        found = problem(activation=activation, dtype=dtype)
        assert (found.activation, found.slope) == expected
    integers = {"x_dtype": "uint8", "w_dtype": "int8"}
    assert problem(**integers, activation="relu").activation == "relu"
    assert problem(**integers, activation=activation, dtype="float32").activation == expected[0]


def test_overflow_is_kept_for_integer_results_only():
    for overflow in ("raise", "saturate", "wrap"):
        assert problem(overflow=overflow).overflow == "raise"
        assert problem(overflow=overflow, dtype="uint8").overflow == overflow
        assert problem(overflow=overflow, x_dtype="int8", w_dtype="int8").overflow == overflow


@pytest.mark.parametrize("method", ["auto", "direct", "reference"])
def test_methods(method):
    assert problem(method=method).method == method


def test_threads():
    assert check_threads("conv2d", None) is None
    assert check_threads("conv2d", np.int64(3)) == 3
    for threads, error in ((0, ValueError), (-1, ValueError), (True, TypeError), (2.0, TypeError), ("2", TypeError)):
        with pytest.raises(error, match=rf"conv2d: threads is {re.escape(repr(threads))}, expected .* int >= 1"):
            check_threads("conv2d", threads)


# ---- errors

PER_AXIS = r"expected an int or one per axis \(H, W\)"
INTEGERS = {"x_dtype": "uint8", "w_dtype": "uint8"}
COMPLEX = {"x_dtype": "complex64", "w_dtype": "float32"}

ERRORS = [
    # stride, dilation, groups
    ({"stride": 0}, ValueError, f"stride is 0, {PER_AXIS}, each >= 1"),
    ({"stride": (1, -2)}, ValueError, rf"stride is \(1, -2\), {PER_AXIS}"),
    ({"stride": (1, 2, 3)}, ValueError, rf"stride is \(1, 2, 3\), 3 values; {PER_AXIS}"),
    ({"stride": ()}, ValueError, r"stride is \(\), 0 values"),
    ({"stride": True}, TypeError, f"stride is True, {PER_AXIS}"),
    ({"stride": (1, np.True_)}, TypeError, "stride is "),
    ({"stride": 1.5}, TypeError, "stride is 1.5"),
    ({"stride": 2.0}, TypeError, "stride is 2.0"),
    ({"stride": "2"}, TypeError, "stride is '2'"),
    ({"stride": None}, TypeError, "stride is None"),
    ({"stride": {1, 2}}, TypeError, "stride is {1, 2}"),
    ({"stride": np.array([1.0, 2.0])}, TypeError, "stride is array"),
    ({"stride": 2**31}, ValueError, "stride is 2147483648, .* <= 2147483647"),
    ({"dilation": 0}, ValueError, f"dilation is 0, {PER_AXIS}, each >= 1"),
    ({"dilation": (1,)}, ValueError, r"dilation is \(1,\), 1 values"),
    ({"dilation": 1.0}, TypeError, "dilation is 1.0"),
    ({"groups": 0}, ValueError, "groups is 0, expected an int >= 1 that divides C and F"),
    ({"groups": True}, TypeError, "groups is True"),
    ({"groups": 1.0}, TypeError, "groups is 1.0"),
    ({"groups": 3}, ValueError, r"groups = 3 .* 4 channels \(shape \(1, 28, 28, 4\), channels_last\) .* 8 filters"),
    ({"groups": 4, "w": (3, 3, 1, 6)}, ValueError, r"groups = 4 .* w has 6 filters \(shape \(3, 3, 1, 6\)\)"),
    ({"groups": 2}, ValueError, r"w has 4 input channels \(shape .*\) but x has 4 in 2 groups, 2 in each"),
    # padding
    ({"padding": "Same"}, ValueError, "padding is 'Same', expected .*'valid', 'same', .*; did you mean 'same'?"),
    ({"padding": "same_upper"}, ValueError, "did you mean 'same'?"),
    ({"padding": "q"}, ValueError, "padding is 'q', expected .*'causal'$"),
    ({"padding": "causal"}, ValueError, r'padding="causal" is for one spatial axis, not \(H, W\)'),
    ({"padding": -1}, ValueError, r"padding is -1, expected .* one \(lo, hi\) per axis, each >= 0"),
    ({"padding": ((0, 1), (0, -1))}, ValueError, r"padding is \(\(0, 1\), \(0, -1\)\), expected .* >= 0"),
    ({"padding": (1, 1, 1, 1)}, ValueError, r"padding is \(1, 1, 1, 1\), 4 values; .* per axis \(H, W\)"),
    ({"padding": ((1, 1),)}, ValueError, "1 values"),
    ({"padding": ((1, 1, 1), 2)}, ValueError, r"padding is \(\(1, 1, 1\), 2\), expected"),
    ({"padding": True}, TypeError, "padding is True, expected a name, an int, one per axis"),
    ({"padding": 1.0}, TypeError, "padding is 1.0"),
    ({"padding": None}, TypeError, "padding is None"),
    ({"padding": ("same", "valid")}, TypeError, "padding is .'same', 'valid'."),
    ({"padding": 2**40}, ValueError, "<= 2147483647"),
    # pad_mode and pad_value
    ({"pad_mode": "mirrored"}, ValueError, "pad_mode is 'mirrored', expected one of 'constant', .*mean 'mirror'?"),
    ({"pad_mode": "reflect_101"}, ValueError, "did you mean 'reflect'?"),
    ({"pad_mode": None}, TypeError, "pad_mode is None, expected one of"),
    ({"pad_mode": "edge", "pad_value": 1}, ValueError, 'pad_value is 1, but pad_mode="edge" .* expected 0'),
    ({"pad_mode": "wrap", "pad_value": math.nan}, ValueError, "pad_value is nan, but pad_mode"),
    ({"pad_value": "0"}, TypeError, "pad_value is '0', expected one number"),
    ({"pad_value": None}, TypeError, "pad_value is None"),
    ({"pad_value": (0, 0)}, TypeError, r"pad_value is \(0, 0\)"),
    ({"pad_value": [[0], [0, 1]]}, TypeError, "pad_value is "),
    ({"pad_value": np.zeros(1)}, TypeError, "pad_value is "),
    ({"pad_value": 1j}, ValueError, "pad_value is 1j, which x's dtype float32 cannot hold"),
    ({"pad_value": 1e300}, ValueError, "1e.300, which x's dtype float32"),
    ({"pad_value": 10**400, "x_dtype": "float64"}, ValueError, "x's dtype float64 cannot hold"),
    ({"pad_value": 1e6, "x_dtype": "float16"}, ValueError, "x's dtype float16"),
    ({"pad_value": complex(0, 1e300), **COMPLEX}, ValueError, "x's dtype complex64"),
    *(
        ({"pad_value": value, "x_dtype": dtype}, ValueError, f"which x's dtype {dtype} cannot hold")
        for dtype, values in {
            "uint8": (300, -1, 0.5, math.nan, math.inf, 1j, 10**30),
            "bool": (2, -1, 0.5),
            "int64": (2**63, 2.0**63, -(2**63) - 1),
        }.items()
        for value in values
    ),
    # names and flags
    ({"data_format": "NCHW"}, ValueError, "data_format is 'NCHW', expected one of .*; did you mean 'channels_first'?"),
    ({"data_format": "NHWC"}, ValueError, "did you mean 'channels_last'?"),
    ({"data_format": None}, TypeError, "data_format is None, expected one of 'channels_last', 'channels_first'"),
    ({"overflow": "clip"}, ValueError, "overflow is 'clip', .*; did you mean 'saturate'?"),
    ({"overflow": None}, TypeError, "overflow is None"),
    ({"method": "drect"}, ValueError, "method is 'drect', .*'reference'; did you mean 'direct'?"),
    ({"precision": "fp16"}, ValueError, "precision is 'fp16', expected one of 'ieee', '3xtf32', 'tf32', 'bf16'"),
    ({"precision": None}, TypeError, "precision is None, expected one of"),
    ({"precision": "tf32", "w_dtype": "float64"}, ValueError, "'tf32', but x and w are computed in float64"),
    ({"precision": "bf16", **INTEGERS}, ValueError, "precision is 'bf16', .* in uint64; expected 'ieee'"),
    ({"precision": "3xtf32", "dtype": "complex128"}, ValueError, "'3xtf32', but x and w are computed in complex128"),
    ({"flip": 1}, TypeError, "flip is 1, expected True or False"),
    ({"flip": None}, TypeError, "flip is None"),
    # activation
    ({"activation": "swish"}, ValueError, "activation is 'swish', expected None, .*; did you mean 'silu'?"),
    ({"activation": "ReLU"}, ValueError, "did you mean 'relu'?"),
    ({"activation": np.tanh}, TypeError, "activation is <ufunc 'tanh'>, expected None"),
    ({"activation": ("relu", 0.1)}, ValueError, r"expected a name or \(\"leaky_relu\", slope\)"),
    ({"activation": ("leaky_relu",)}, ValueError, "expected a name or"),
    ({"activation": ("leaky_relu", "0.1")}, TypeError, "slope in activation is '0.1', expected a finite number"),
    ({"activation": ("leaky_relu", True)}, TypeError, "slope in activation is True"),
    ({"activation": ("leaky_relu", math.inf)}, ValueError, "slope in activation is inf"),
    ({"activation": "relu", **COMPLEX}, ValueError, "activation is 'relu', but the result is complex .*complex64"),
    ({"activation": "relu", "dtype": "complex64"}, ValueError, "activation is 'relu', but the result is complex"),
    ({"activation": "tanh", **INTEGERS}, ValueError, "activation is 'tanh', but integer .* uint64.* floating dtype="),
    ({"activation": "leaky_relu", **INTEGERS, "dtype": "int8"}, ValueError, "activation is 'leaky_relu', but integer"),
    # nothing to compute, nothing to repeat
    ({"dilation": 14, "padding": ((0, 0), (1, 0))}, ValueError, r"empty along H: .* adds 0 \+ 0, .* dilation 14"),
    ({"x": (1, 0, 28, 4), "padding": "same"}, ValueError, r"along H: x has 0 samples .*padding='same' adds 1 \+ 1"),
    ({"x": (1, 28, 0, 4), "padding": 2, "pad_mode": "edge"}, ValueError, 'no samples along W that pad_mode="edge"'),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "error", "message"), ERRORS, ids=[str(case[0]) for case in ERRORS])
def test_errors(arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        problem(**arguments)
    assert str(caught.value).startswith("conv2d: ")
    assert type(caught.value) is error


@pytest.mark.parametrize("padding", [(1, 2), [1, 2], np.array([1, 2])])
def test_a_flat_pair_for_one_axis(padding):
    with pytest.raises(ValueError, match=r"conv1d: padding is .*, two values for one axis; .* write \(\(1, 2\),\)"):
        problem_1d(9, 3, padding=padding)


def test_one_axis_is_named():
    with pytest.raises(ValueError, match=r"conv1d: stride is 0, expected an int or one per axis \(W,\), each >= 1"):
        problem_1d(9, 3, stride=0)
    with pytest.raises(ValueError, match=r"conv1d: the output is empty along W: .* \(KW = 5, dilation 1\)"):
        problem_1d(4, 5)
