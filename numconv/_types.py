"""Which names, numbers, dtypes and arrays are accepted, and the types that a convolution is computed and stored in."""

from __future__ import annotations

import difflib
import math
import operator
from functools import lru_cache
from typing import Any

import numpy as np

from numconv._problem import Problem

SUPPORTED = "bool, int8 to int64, uint8 to uint64, float16, float32, float64, complex64, complex128"

# By character, not by size: where long double is 64 bits wide it is refused as it is everywhere else.
_SUPPORTED_CHARS = frozenset("?bhilqBHILQefdFD")

# What other libraries call it, where the spelling alone does not lead to our name.
_NAMES_ELSEWHERE = {
    **dict.fromkeys(("nwc", "nhwc", "ndhwc"), "channels_last"),
    **dict.fromkeys(("ncw", "nchw", "ncdhw"), "channels_first"),
    **dict.fromkeys(("reflect_101", "reflect101"), "reflect"),
    **dict.fromkeys(("extend", "nearest-exact"), "edge"),
    "same_upper": "same",
    "fill": "constant",
    "symm": "symmetric",
    "swish": "silu",
    "clip": "saturate",
}

_WEIGHTS = {"filter_bank": "filters", "plan_filter_bank": "filters", "correlate": "kernel", "convolve": "kernel"}

_DLPACK_GPU = (2, 13)  # kDLCUDA, kDLCUDAManaged

LARGEST_OPTION = 2**31 - 1
"""Strides, dilations and paddings up to this keep every index of the compiled code within 64 bits."""

_INT64, _UINT64, _FLOAT16, _FLOAT32 = map(np.dtype, ("int64", "uint64", "float16", "float32"))


def choice(name: str, argument: str, value: Any, valid: tuple[str, ...], also: str = "") -> str:
    """One of the `valid` names; the message for another one lists them (`also` describes further values)."""
    expected = f"expected {also}one of {', '.join(map(repr, valid))}"
    if not isinstance(value, str):
        raise TypeError(f"{name}: {argument} is {value!r}, {expected}")
    if value in valid:
        return str(value)
    word = value.lower()
    nearest = difflib.get_close_matches(_NAMES_ELSEWHERE.get(word, word), valid, 1)
    raise ValueError(
        f"{name}: {argument} is {value!r}, {expected}" + "".join(f"; did you mean {n!r}?" for n in nearest)
    )


def integer(value: Any, least: int, complaint: str, most: int = LARGEST_OPTION) -> int:
    """An integer from `least` up; `complaint` is the whole message if it is not: TypeError for floats and bools."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(complaint)
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(complaint) from None
    if number < least:
        raise ValueError(complaint)
    if number > most:
        raise ValueError(f"{complaint} and <= {most}")
    return number


def flag(name: str, argument: str, value: Any) -> bool:
    """True or False, of Python or NumPy, and nothing that is merely true."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}: {argument} is {value!r}, expected True or False")
    return bool(value)


def weights_of(name: str) -> str:
    """What the function `name` calls its weights."""
    return _WEIGHTS.get(name, "w")


def entries_of(value: Any) -> tuple[Any, ...] | None:
    """The items of a tuple, list or array; None for anything else."""
    several = isinstance(value, tuple | list) or (isinstance(value, np.ndarray) and value.ndim > 0)
    return tuple(value) if several else None


def as_dtype(name: str, argument: str, value: Any) -> np.dtype:
    """`value` as a dtype; TypeError for what NumPy does not know as one."""
    try:
        return np.dtype(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: {argument} is {value!r}, which is not a NumPy dtype") from None


def native(name: str, argument: str, dtype: np.dtype) -> np.dtype:
    """The native dtype of the same values, one object for ``long`` and ``long long``; TypeError if not supported."""
    if dtype.char not in _SUPPORTED_CHARS:
        raise TypeError(f"{name}: {argument} has dtype {dtype}; supported are {SUPPORTED}")
    return np.dtype(f"{dtype.kind}{dtype.itemsize}")


def operand_types(x: np.dtype, w: np.dtype) -> tuple[np.dtype, np.dtype]:
    """(computing type, result type) of native operands where the caller names no dtype."""
    if x.kind in "biu" and w.kind in "biu":
        kinds = x.kind + w.kind
        exact = _UINT64 if "u" in kinds and "i" not in kinds else _INT64
        return exact, exact
    # Integer weights do not promote: a float32 image with an integer Sobel kernel stays float32 (check_weights).
    result = x if w.kind in "biu" else np.result_type(x, w)
    return _computing(result), result


def _computing(dtype: np.dtype) -> np.dtype:
    return _FLOAT32 if dtype == _FLOAT16 else dtype


def result_types(name: str, x: np.dtype, w: np.dtype, dtype: Any) -> tuple[np.dtype, np.dtype]:
    """(computing type, result type); a floating or complex `dtype` is both, an integer one is the result's alone."""
    compute, result = operand_types(x, w)
    if dtype is None:
        return compute, result
    wanted = as_dtype(name, "dtype", dtype)
    if wanted.char not in _SUPPORTED_CHARS or wanted.kind == "b":
        raise TypeError(f"{name}: dtype is {wanted}; a result can be of {SUPPORTED.removeprefix('bool, ')}")
    wanted = native(name, "dtype", wanted)
    if result.kind == "c" and wanted.kind != "c":
        raise TypeError(
            f"{name}: dtype is {wanted}, but the result of x ({x}) and {weights_of(name)} ({w}) is complex; "
            "expected a complex dtype, or take .real or abs() of the result"
        )
    return (compute, wanted) if wanted.kind in "iu" else (_computing(wanted), wanted)


def check_bias(
    name: str, shape: tuple[int, ...] | None, dtype: np.dtype | None, filters: int, compute: np.dtype
) -> bool:
    """Whether there is a bias: it is (F,) and casts to the computing type by NumPy's same_kind rule."""
    if shape is None or dtype is None:
        return False
    if tuple(shape) != (filters,):
        raise ValueError(f"{name}: bias has shape {tuple(shape)}, expected (F,) = ({filters},), one value per filter")
    if not np.can_cast(native(name, "bias", dtype), compute, "same_kind"):
        raise TypeError(
            f"{name}: bias has dtype {dtype}, which does not cast (same_kind) to {compute}, "
            f"the type that x and {weights_of(name)} are computed in; write bias.astype(np.{compute}) if that is meant"
        )
    return True


def pad_scalar(name: str, value: Any, dtype: np.dtype) -> complex:
    """`value` as the Python int, float or complex that an x of native `dtype` holds, rounded where x is floating."""
    array = np.asarray(value) if entries_of(value) is None else None
    if array is None or array.ndim or not (array.dtype.kind in "biufc" or isinstance(value, int)):
        raise TypeError(f"{name}: pad_value is {value!r}, expected one number")
    try:
        return _held(value if isinstance(value, int) else array.item(), dtype)
    except OverflowError:
        raise ValueError(f"{name}: pad_value is {value!r}, which x's dtype {dtype} cannot hold") from None


def _held(number: complex, dtype: np.dtype) -> complex:
    """`number` in `dtype`; OverflowError where it does not fit."""
    if dtype.kind == "c":
        return _one_object(complex(_rounded(number.real, dtype), _rounded(number.imag, dtype)))
    real = number.real
    if number.imag != 0:
        raise OverflowError
    if dtype.kind == "f":
        return _one_object(_rounded(real, dtype))
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if not (low <= real <= high and real == int(real)):
        raise OverflowError
    return int(real)


def _rounded(part: float, dtype: np.dtype) -> float:
    """A real number rounded to the precision of `dtype`; OverflowError where a finite one becomes infinite."""
    number = float(part)
    with np.errstate(over="ignore", under="ignore"):
        rounded = float(dtype.type(number).real)
    if math.isinf(rounded) and not math.isinf(number):
        raise OverflowError
    # -0.0 equals 0.0 in every cache, so that it must also mean the same.
    return rounded + 0.0


def _one_object(number: complex) -> complex:
    """The same object for every NaN: a NaN equals, and hashes as, itself only, and a Problem is a key of caches."""
    return number if number == number else _not_a_number(repr(number))


@lru_cache(maxsize=64)
def _not_a_number(text: str) -> complex:
    return complex(text) if "j" in text else float(text)


def as_array(name: str, argument: str, value: Any) -> np.ndarray:
    """`value` as a plain array of at least one axis: arrays as they are, memory maps as views, the rest converted."""
    if type(value) is np.ndarray and value.ndim:
        return value
    _refuse(name, argument, value)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: {argument} does not form an array (rows of different lengths?): {error}") from error
    except (TypeError, RuntimeError) as error:
        raise TypeError(f"{name}: {argument} ({type(value).__name__}) does not convert to an array: {error}") from error
    if array.ndim:
        return array
    if array.dtype.kind not in "biufc":
        raise TypeError(f"{name}: {argument} is {_kind(value)}, expected an array")
    raise ValueError(f"{name}: {argument} is a single number, {value!r}, expected an array of at least one axis")


def _refuse(name: str, argument: str, value: Any) -> None:
    """TypeError with the reason for arrays that a conversion would silently change or copy."""
    if isinstance(value, np.ma.MaskedArray):
        reason = f"its mask would be ignored: pass {argument}.filled(...), or convolve the data and the mask apart"
    elif isinstance(value, np.matrix):
        reason = f"it keeps two axes whatever is done to it: pass np.asarray({argument})"
    elif lies_on_gpu(value):
        reason = "it lies on a GPU, and what is asked for is computed on the host: copy it there"
    elif hasattr(value, "todense"):
        reason = "sparse arrays are not supported: pass its todense()"
    else:
        return
    raise TypeError(f"{name}: {argument} is {_kind(value)}; {reason}")


def _kind(value: object) -> str:
    return "None" if value is None else f"of type {type(value).__module__}.{type(value).__qualname__}"


def lies_on_gpu(value: Any) -> bool:
    """Whether memory of a GPU is behind an object: by ``__cuda_array_interface__``, or by DLPack."""
    try:
        if isinstance(there := getattr(value, "is_cuda", None), bool):  # PyTorch, without what its interface takes
            return there
        if hasattr(value, "__cuda_ndarray__") or hasattr(value, "__cuda_array_interface__"):  # the former: Numba's
            return True
        place = getattr(value, "__dlpack_device__", None)
        return callable(place) and int(place()[0]) in _DLPACK_GPU
    except RuntimeError:  # PyTorch, for a tensor on the GPU that requires a gradient
        return True
    except (TypeError, ValueError, BufferError):
        return False


def check_weights(name: str, problem: Problem, w: np.ndarray) -> None:
    """Integer weights take the floating type of the computation: ValueError for the first that it cannot hold.

    `w` is the caller's array, in the caller's layout, so that the index in the message is the caller's.
    """
    if problem.exact or w.dtype.kind not in "biu":
        return
    digits = 24 if problem.compute in (np.float32, np.complex64) else 53
    if 8 * w.dtype.itemsize <= digits or not w.size or -(2**digits) <= w.min() <= w.max() <= 2**digits:
        return
    inexact = np.argwhere(_significant_part(w) >= 2**digits)
    if len(inexact):
        index = tuple(map(int, inexact[0]))
        argument, real = weights_of(name), "float32" if digits == 24 else "float64"
        wider = f" or dtype=np.{'complex128' if problem.compute.kind == 'c' else 'float64'}" if digits == 24 else ""
        raise ValueError(
            f"{name}: {argument}{list(index)} = {w[index]} (shape {w.shape}, {w.dtype}) is not exact in {real}, "
            f"in which x ({problem.x_dtype}) is computed; write {argument}.astype(np.{real}) to round it{wider}"
        )


def _significant_part(w: np.ndarray) -> np.ndarray:
    """abs(w) without its trailing zero bits, uint64: a float holds w where this is below 2**digits."""
    # abs() of the lowest int64 is itself, which is right as uint64: 2**63.
    size = w if w.dtype.kind == "u" else np.abs(w.astype(np.int64))
    size = size.astype(np.uint64)
    lowest_bit = size & (~size + np.uint64(1))
    return size // np.maximum(lowest_bit, np.uint64(1))


def check_out(name: str, out: Any, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """`out` is a writeable ndarray of exactly this shape and native dtype; any strides and alignment."""
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray | np.matrix):
        raise TypeError(f"{name}: out is {_kind(out)}, expected a plain numpy.ndarray")
    if out.shape != shape:
        raise ValueError(f"{name}: out has shape {out.shape}, but the result has {shape}")
    if out.dtype != dtype:
        raise ValueError(f"{name}: out has dtype {out.dtype}, but the result has {dtype}, in native byte order")
    if not out.flags.writeable:
        raise ValueError(f"{name}: out (shape {shape}) is read-only, expected an array that can be written")
