"""The dtype rules, spelled out for every pair of dtypes, and the checks of arrays."""

import numpy as np
import pytest

from numconv._arguments import as_array, check_out, check_weights, conv_problem

# The result by the dtypes of x (rows) and w (columns), as characters of NumPy, but i and u for int64 and uint64.
# e is computed in float32, everything else in the type of the result.
RESULTS = """
           ?  b  h  i  q  B  H  I  Q  e  f  d  F  D
bool       i  i  i  i  i  u  u  u  u  e  f  d  F  D
int8       i  i  i  i  i  i  i  i  i  e  f  d  F  D
int16      i  i  i  i  i  i  i  i  i  f  f  d  F  D
int32      i  i  i  i  i  i  i  i  i  d  d  d  D  D
int64      i  i  i  i  i  i  i  i  i  d  d  d  D  D
uint8      u  i  i  i  i  u  u  u  u  e  f  d  F  D
uint16     u  i  i  i  i  u  u  u  u  f  f  d  F  D
uint32     u  i  i  i  i  u  u  u  u  d  d  d  D  D
uint64     u  i  i  i  i  u  u  u  u  d  d  d  D  D
float16    e  e  e  e  e  e  e  e  e  e  f  d  F  D
float32    f  f  f  f  f  f  f  f  f  f  f  d  F  D
float64    d  d  d  d  d  d  d  d  d  d  d  d  D  D
complex64  F  F  F  F  F  F  F  F  F  F  F  D  F  D
complex128 D  D  D  D  D  D  D  D  D  D  D  D  D  D
"""
NAMES = {
    "i": "int64",
    "u": "uint64",
    "e": "float16",
    "f": "float32",
    "d": "float64",
    "F": "complex64",
    "D": "complex128",
}
COLUMNS, *ROWS = (line.split() for line in RESULTS.strip().splitlines())
PAIRS = [(row[0], w, NAMES[result]) for row in ROWS for w, result in zip(COLUMNS, row[1:], strict=True)]


def problem(x_dtype, w_dtype, **options):
    return conv_problem("conv1d", 1, (1, 9, 1), np.dtype(x_dtype), (3, 1, 2), np.dtype(w_dtype), **options)[0]


def types(x_dtype, w_dtype, **options):
    found = problem(x_dtype, w_dtype, **options)
    return str(found.compute), str(found.result)


@pytest.mark.parametrize(("x_dtype", "w_dtype", "result"), PAIRS)
def test_types_of_every_pair(x_dtype, w_dtype, result):
    compute = "float32" if result == "float16" else result
    assert types(x_dtype, w_dtype) == (compute, result)
    found = problem(np.dtype(x_dtype).newbyteorder(">"), np.dtype(w_dtype).newbyteorder(">"))
    assert (found.x_dtype, found.w_dtype, found.compute, found.result) == tuple(
        np.dtype(d) for d in (x_dtype, w_dtype, compute, result)
    )
    assert found.x_dtype.isnative and found.w_dtype.isnative


def test_the_table_is_complete():
    assert len(PAIRS) == 14 * 14 == len({pair[:2] for pair in PAIRS})


def test_long_and_long_long_are_one_type():
    assert problem("l", "q") == problem("q", "l")
    assert problem("L", "f").x_dtype == problem("Q", "f").x_dtype


@pytest.mark.parametrize(
    ("x_dtype", "w_dtype", "dtype", "expected"),
    [
        ("float32", "float32", "float64", ("float64", "float64")),
        ("float64", "float64", np.float32, ("float32", "float32")),
        ("float32", "float32", float, ("float64", "float64")),
        ("float32", "float32", ">f8", ("float64", "float64")),
        ("float64", "float64", "float16", ("float32", "float16")),
        ("float16", "float16", "float32", ("float32", "float32")),
        ("uint8", "int8", "float16", ("float32", "float16")),
        ("uint8", "int8", "float32", ("float32", "float32")),
        ("float64", "float64", "complex64", ("complex64", "complex64")),
        ("complex128", "float32", "complex64", ("complex64", "complex64")),
        ("uint8", "int8", "uint8", ("int64", "uint8")),
        ("uint8", "uint8", "int16", ("uint64", "int16")),
        ("bool", "bool", "uint64", ("int64", "uint64")),
        ("float32", "float32", "uint8", ("float32", "uint8")),
        ("float16", "int64", "int8", ("float32", "int8")),
        ("uint8", "float16", "uint8", ("float32", "uint8")),
        ("int32", "float32", int, ("float64", "int64")),
    ],
)
def test_dtype_names_the_result(x_dtype, w_dtype, dtype, expected):
    assert types(x_dtype, w_dtype, dtype=dtype) == expected


@pytest.mark.parametrize(
    ("x_dtype", "w_dtype", "bias_dtype", "accepted"),
    [
        ("float32", "float32", "float64", True),
        ("float32", "float32", "float16", True),
        ("float32", "float32", "int64", True),
        ("float16", "float16", "float64", True),
        ("float32", "float32", "complex64", False),
        ("complex64", "float32", "complex128", True),
        ("complex64", "float32", "bool", True),
        ("int8", "int8", "uint64", True),
        ("int8", "int8", "bool", True),
        ("int8", "int8", "float32", False),
        ("uint8", "uint8", "uint32", True),
        ("uint8", "uint8", "int8", False),
        ("uint8", "uint8", ">u2", True),
    ],
)
def test_a_bias_is_cast_same_kind(x_dtype, w_dtype, bias_dtype, accepted):
    bias = {"bias_shape": (2,), "bias_dtype": np.dtype(bias_dtype)}
    if accepted:
        assert problem(x_dtype, w_dtype, **bias).bias
    else:
        with pytest.raises(TypeError, match=f"conv1d: bias has dtype {bias_dtype}, which does not cast .same_kind. to"):
            problem(x_dtype, w_dtype, **bias)


@pytest.mark.parametrize(
    ("x_dtype", "w_dtype", "options", "message"),
    [
        ("longdouble", "f4", {}, "x has dtype .*; supported are bool, int8 to int64"),
        ("f4", "clongdouble", {}, "w has dtype .*; supported are"),
        ("f4", "object", {}, "w has dtype object; supported are"),
        ("U3", "f4", {}, "x has dtype <U3"),
        ("S3", "f4", {}, r"x has dtype \|S3"),
        ("M8[s]", "f4", {}, "x has dtype datetime64"),
        ("m8[s]", "f4", {}, "x has dtype timedelta64"),
        ("f4", [("a", "f4")], {}, "w has dtype .*'a'"),
        ("f4", "f4", {"bias_shape": (2,), "bias_dtype": np.dtype("longdouble")}, "bias has dtype"),
        ("f4", "f4", {"dtype": bool}, "dtype is bool; a result can be of int8 to int64"),
        ("f4", "f4", {"dtype": "longdouble"}, "dtype is "),
        ("f4", "f4", {"dtype": object}, "dtype is object"),
        ("f4", "f4", {"dtype": "f4,f4"}, "dtype is "),
        ("f4", "f4", {"dtype": "flot"}, "dtype is 'flot', which is not a NumPy dtype"),
        ("f4", "f4", {"dtype": 32}, "dtype is 32, which is not a NumPy dtype"),
        ("c8", "f4", {"dtype": "f4"}, r"dtype is float32, .* x \(complex64\) and w \(float32\) is complex"),
        ("f4", "c8", {"dtype": "i1"}, "dtype is int8, but the result .* is complex; expected a complex dtype"),
    ],
)
def test_errors_of_dtypes(x_dtype, w_dtype, options, message):
    with pytest.raises(TypeError, match=f"^conv1d: {message}"):
        problem(x_dtype, w_dtype, **options)


def test_errors_of_a_bias_shape():
    for shape in ((3,), (1, 2), ()):
        with pytest.raises(
            ValueError, match=r"conv1d: bias has shape .*, expected \(F,\) = \(2,\), one value per filter"
        ):
            problem("f4", "f4", bias_shape=shape, bias_dtype=np.dtype("f4"))


# ---- arrays


class Converts:
    def __init__(self, found):
        self.found = found

    def __array__(self, dtype=None, copy=None):
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


class OnGPU:
    __cuda_array_interface__ = {"shape": (3,)}  # noqa: RUF012


class OnGPUWithGradient:
    @property
    def __cuda_array_interface__(self):
        raise RuntimeError


class Sparse:
    def todense(self):
        raise AssertionError


def test_arrays_are_taken_as_they_are(tmp_path):
    for array in (np.ones((2, 3)), np.ones((2, 3))[::-1, ::2], np.ones(3, ">i2"), np.ones((0, 3))):
        assert as_array("conv1d", "x", array) is array
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=(4, 3))
    found = as_array("conv1d", "x", mapped)
    assert type(found) is np.ndarray
    assert np.shares_memory(found, mapped)


def test_what_converts_to_an_array():
    for value in ([1, 2, 3], (1, 2, 3), [np.int8(1), 2, 3.0], range(1, 4), Converts(np.array([1, 2, 3]))):
        found = as_array("conv1d", "x", value)
        assert type(found) is np.ndarray
        assert found.tolist() == [1, 2, 3]
    assert as_array("conv1d", "x", [[True], [False]]).dtype == bool


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.ma.masked_array([1, 2], [0, 1]), TypeError, "of type numpy.ma.*MaskedArray; its mask .* w.filled"),
        (np.ma.masked, TypeError, "its mask would be ignored"),
        (np.ones((2, 2)).view(np.matrix), TypeError, r"two axes whatever is done to it: pass np.asarray\(w\)"),
        (OnGPU(), TypeError, "OnGPU; it lies on a GPU, and what is asked for"),
        (OnGPUWithGradient(), TypeError, "it lies on a GPU"),
        (Sparse(), TypeError, "Sparse; sparse arrays are not supported"),
        ([[1, 2], [3]], ValueError, "does not form an array .rows of different lengths"),
        (
            Converts(RuntimeError("requires grad")),
            TypeError,
            r"\(Converts\) does not convert to an array: requires grad",
        ),
        (Converts(TypeError("no")), TypeError, "does not convert to an array: no"),
        (None, TypeError, "is None, expected an array"),
        ({1, 2}, TypeError, "is of type builtins.set, expected an array"),
        ("abc", TypeError, "is of type builtins.str, expected an array"),
        (5.0, ValueError, "is a single number, 5.0, expected an array of at least one axis"),
        (np.array(3), ValueError, "is a single number"),
        (np.float32(3), ValueError, "is a single number"),
    ],
)
def test_what_is_no_array(value, error, message):
    with pytest.raises(error, match=f"^conv1d: w .*{message}"):
        as_array("conv1d", "w", value)


def test_sparse_arrays_of_scipy():
    sparse = pytest.importorskip("scipy.sparse")
    for value in (sparse.eye_array(3), sparse.csr_matrix(np.eye(3))):
        with pytest.raises(TypeError, match=r"conv1d: x is of type scipy\.sparse.*; sparse arrays are not supported"):
            as_array("conv1d", "x", value)


# ---- integer weights


@pytest.mark.parametrize(
    ("x_dtype", "w_dtype", "weights"),
    [
        ("float32", "int64", [0, 1, -1, 2**24, -(2**24), 2**24 + 2, 3 << 40, -(2**63), 2**62]),
        ("float32", "uint64", [0, 2**63, (2**24 - 1) << 40]),
        ("float16", "int32", [2**24, 70000, -(2**31)]),
        ("complex64", "int32", [-(2**31), 2**30]),
        ("float64", "int64", [2**53, -(2**53), 2**53 + 2, -(2**63)]),
        ("float64", "uint64", [(2**53 - 1) << 11]),
        ("float64", "uint32", [2**32 - 1]),
        ("complex128", "bool", [True]),
        ("int8", "int64", [2**63 - 1]),
        ("float32", "float64", [0.1]),
        ("float32", ">i8", [2**24, 1]),
        ("float32", "int64", []),
    ],
)
def test_weights_that_are_exact(x_dtype, w_dtype, weights):
    check_weights("conv1d", problem(x_dtype, w_dtype), np.array(weights, w_dtype))


@pytest.mark.parametrize(
    ("x_dtype", "w_dtype", "weight", "real", "advice"),
    [
        ("float32", "int64", 2**24 + 1, "float32", " or dtype=np.float64$"),
        ("float32", "int32", -(2**24) - 1, "float32", " or dtype=np.float64$"),
        ("float32", ">u4", 2**32 - 1, "float32", " or dtype=np.float64$"),
        ("float16", "int32", 2**24 + 1, "float32", " or dtype=np.float64$"),
        ("complex64", "uint64", 2**64 - 1, "float32", " or dtype=np.complex128$"),
        ("float64", "int64", 2**53 + 1, "float64", "$"),
        ("float64", "int64", 2**63 - 1, "float64", "$"),
        ("complex128", "uint64", 2**64 - 1, "float64", "$"),
    ],
)
def test_the_first_inexact_weight_is_named(x_dtype, w_dtype, weight, real, advice):
    w = np.zeros((3, 1, 2), w_dtype)
    w[1, 0, 1] = w[2, 0, 0] = weight
    message = (
        rf"conv1d: w\[1, 0, 1\] = {weight} \(shape \(3, 1, 2\), .*\) is not exact in {real}, in which x \({x_dtype}\)"
    )
    with pytest.raises(ValueError, match=rf"{message} is computed; write w.astype\(np.{real}\) to round it{advice}"):
        check_weights("conv1d", problem(x_dtype, w_dtype), w)


def test_exactness_follows_the_computing_type():
    w = np.full((3, 1, 2), 2**24 + 1)
    check_weights("conv1d", problem("float32", "int64", dtype="float64"), w)
    check_weights("conv1d", problem("int8", "int64"), w)
    with pytest.raises(ValueError, match=r"filter_bank: filters\[0, 0, 0\] = 16777217"):
        check_weights("filter_bank", problem("float64", "int64", dtype="float32"), w)


# ---- out


def test_out_of_any_strides(tmp_path):
    for out in (np.empty((2, 3), "f4"), np.empty((4, 6), "f4")[::2, ::-2], np.empty((3, 2), "f4").T):
        check_out("conv1d", out, (2, 3), np.dtype("f4"))
    check_out("conv1d", np.memmap(tmp_path / "out", "f4", "w+", shape=(2, 3)), (2, 3), np.dtype("f4"))


def test_errors_of_out():
    read_only = np.empty((2, 3), "f4")
    read_only.flags.writeable = False
    masked = np.ma.empty((2, 3), "f4")
    for out, error, message in (
        ([[0.0] * 3] * 2, TypeError, "out is of type builtins.list, expected a plain numpy.ndarray"),
        (masked, TypeError, "out is of type numpy.ma.*MaskedArray"),
        (np.empty((3, 2), "f4"), ValueError, r"out has shape \(3, 2\), but the result has \(2, 3\)"),
        (np.empty((1, 2, 3), "f4"), ValueError, r"out has shape \(1, 2, 3\)"),
        (np.empty((2, 3), "f8"), ValueError, "out has dtype float64, but the result has float32"),
        (np.empty((2, 3), ">f4"), ValueError, "out has dtype >f4, but the result has float32, in native byte order"),
        (read_only, ValueError, r"out \(shape \(2, 3\)\) is read-only"),
    ):
        with pytest.raises(error, match=f"conv1d: {message}"):
            check_out("conv1d", out, (2, 3), np.dtype("f4"))
