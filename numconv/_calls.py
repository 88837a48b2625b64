"""From the arguments of a public function to a result: recipes cached by shapes and options, then an engine."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from ._arguments import as_array, as_dtype, check_plan_shape, check_threads, check_weights, conv_problem, native
from ._devices import on_gpu, plan_kind
from ._frames import BankFrame, ConvFrame
from ._plan import Engine, Plan, compute
from ._problem import Problem
from ._views import canonical_weights

R = TypeVar("R")

OPTIONS = (
    "stride", "padding", "dilation", "groups", "pad_mode", "pad_value", "data_format", "activation", "flip", "dtype",
    "overflow", "method", "precision", "reduce",
)  # fmt: skip
_FLIP, _DATA_FORMAT, _PRECISION = map(OPTIONS.index, ("flip", "data_format", "precision"))


@lru_cache(maxsize=4096, typed=True)
def recipe(
    name: str, ndim: int, x_shape: tuple, x_dtype: np.dtype, w_shape: tuple, w_dtype: np.dtype,
    bias_shape: tuple | None, bias_dtype: np.dtype | None, spelled: str, *options: Any,
) -> tuple[Problem, ConvFrame]:  # fmt: skip
    """What a call's shapes, dtypes and options come to, before any weight is looked at.

    `spelled` tells options apart that are equal inside a tuple and mean different things: 1 and True, 0.0 and -0.0.
    """
    named = dict(zip(OPTIONS, options, strict=True))
    problem, unbatched = conv_problem(
        name, ndim, x_shape, x_dtype, w_shape, w_dtype, bias_shape=bias_shape, bias_dtype=bias_dtype, **named
    )
    return problem, ConvFrame.of(problem, not unbatched)


def frozen(value: Any) -> Any:
    """An option that can be hashed: lists and arrays as tuples."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return tuple(map(frozen, value)) if isinstance(value, (list, tuple)) else value


def cooked(
    make: Callable[..., tuple], name: str, ndim: int, x_shape: tuple, x_dtype: np.dtype, w: Any, bias: Any,
    options: tuple, given: Any,
) -> tuple:  # fmt: skip
    """What `recipe`, or another one, makes of arguments, also of options that cannot be hashed as they are.

    `given`: the caller's own weights, if known.
    """
    kinds = (None, None) if bias is None else (bias.shape, bias.dtype)
    spelled = repr(options) if tuple in map(type, options) else ""
    try:
        found = make(name, ndim, x_shape, x_dtype, w.shape, w.dtype, *kinds, spelled, *options)
    except TypeError:  # cannot be hashed, or wrong: then it is wrong again
        options = tuple(map(frozen, options))
        found = make(name, ndim, x_shape, x_dtype, w.shape, w.dtype, *kinds, repr(options), *options)
    if given is not None and w.dtype.kind in "iub" and found[0].compute.kind in "fc":
        check_weights(name, found[0], given)
    return found


def gradient_cooked(
    make: Callable[..., R], name: str, ndim: int, shape: Any, arrays: tuple, names: tuple, options: tuple
) -> R:
    """The same for a gradient's recipe: of the `shape` of what it is the gradient of, shapes and dtypes of arrays."""
    try:
        shown = repr((shape, options))  # 1 and True, 1 and 1.0 are equal
        return make(name, ndim, shape, *arrays, names, shown, options)
    except TypeError:  # cannot be hashed, or wrong: then it is wrong again
        shape, options = frozen(shape), tuple(map(frozen, options))
        return make(name, ndim, shape, *arrays, names, repr((shape, options)), options)


def convolve_arrays(
    name: str, ndim: int, x: Any, w: Any, bias: Any, options: tuple, device: Any, threads: Any, out: Any
) -> np.ndarray:
    """`conv1d`, `conv2d` and `conv3d`."""
    if (device is not None or type(x) is not np.ndarray) and on_gpu(name, x, device):
        from .cuda import calls

        return calls.convolve_arrays(recipe, OPTIONS, name, ndim, x, w, bias, options, device, threads, out)
    x = x if type(x) is np.ndarray else as_array(name, "x", x)
    w = w if type(w) is np.ndarray else as_array(name, "w", w)
    if bias is not None and type(bias) is not np.ndarray:
        bias = as_array(name, "bias", bias)
    problem, frame = cooked(recipe, name, ndim, x.shape, x.dtype, w, bias, options, w)
    if threads is not None:
        threads = check_threads(name, threads)
    engine = Engine(name, problem, canonical_weights(w, ndim, problem.channels_last, options[_FLIP]), bias, threads)
    return compute(engine, frame, x, out, threads)


def make_plan(name: str, ndim: int, x_shape: Any, w: Any, bias: Any, x_dtype: Any, options: tuple, device: Any) -> Plan:
    """`plan_conv1d`, `plan_conv2d` and `plan_conv3d`."""
    kind, w, bias = plan_kind(name, device, options[_PRECISION], w, bias)
    w = as_array(name, "w", w)
    bias = None if bias is None else as_array(name, "bias", bias)
    x_shape = check_plan_shape(name, ndim, x_shape, options[_DATA_FORMAT])
    dtype = native(name, "w", w.dtype) if x_dtype is None else as_dtype(name, "x_dtype", x_dtype)
    problem, frame = cooked(recipe, name, ndim, x_shape, dtype, w, bias, options, w)
    return kind(name, problem, frame, canonical_weights(w, ndim, problem.channels_last, options[_FLIP]), bias)


def bank_of(
    name: str, x_shape: tuple, x_dtype: np.dtype, filters: np.ndarray, axes: tuple[int, ...], options: tuple, bank: bool
) -> tuple[Problem, BankFrame, np.ndarray]:
    """(problem, frame, canonical weights) of filters (F, *kernel) along some axes of a bare array."""
    ndim = len(axes)
    sizes = tuple(x_shape[axis] for axis in axes)
    w = filters[:, None]
    problem, _ = cooked(recipe, name, ndim, (1, 1, *sizes), x_dtype, w, None, options, filters if bank else filters[0])
    out = () if problem.reduce else problem.out_spatial[3 - ndim :]
    frame = BankFrame(len(x_shape), axes, sizes, problem.filters, out, bank)
    return problem, frame, canonical_weights(w, ndim, False, options[_FLIP])
