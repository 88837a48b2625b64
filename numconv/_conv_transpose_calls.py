"""From the arguments of `conv_transpose` to a result, as `_calls` for `conv`: recipes cached by shapes and options."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ._arguments import as_array, as_dtype, check_plan_shape, check_threads, native
from ._calls import cooked
from ._conv_transpose_problem import transposed_problem
from ._devices import on_gpu, plan_kind
from ._frames import ConvFrame
from ._phases import Phases
from ._plan import Plan, compute
from ._transposed import Transposed
from ._views import canonical_weights

OPTIONS = (
    "stride", "padding", "output_padding", "dilation", "groups", "data_format", "activation", "flip", "dtype",
    "overflow", "method", "precision",
)  # fmt: skip
_FLIP, _DATA_FORMAT, _PRECISION = map(OPTIONS.index, ("flip", "data_format", "precision"))


@lru_cache(maxsize=4096, typed=True)
def recipe(
    name: str, ndim: int, x_shape: tuple, x_dtype: np.dtype, w_shape: tuple, w_dtype: np.dtype,
    bias_shape: tuple | None, bias_dtype: np.dtype | None, spelled: str, *options: Any,
) -> tuple[Transposed, ConvFrame]:  # fmt: skip
    """What a call's shapes, dtypes and options come to; `spelled` tells options apart that are equal inside a tuple."""
    named = dict(zip(OPTIONS, options, strict=True))
    problem, unbatched = transposed_problem(
        name, ndim, x_shape, x_dtype, w_shape, w_dtype, bias_shape=bias_shape, bias_dtype=bias_dtype, **named
    )
    return problem, ConvFrame.of(problem, not unbatched)


def transpose_arrays(
    name: str, ndim: int, x: Any, w: Any, bias: Any, options: tuple, device: Any, threads: Any, out: Any
) -> np.ndarray:
    """`conv_transpose1d`, `conv_transpose2d` and `conv_transpose3d`."""
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
    engine = Phases(name, problem, canonical_weights(w, ndim, problem.channels_last, options[_FLIP]), bias, threads)
    return compute(engine, frame, x, out, threads)


def make_transpose_plan(
    name: str, ndim: int, x_shape: Any, w: Any, bias: Any, x_dtype: Any, options: tuple, device: Any
) -> Plan:
    """`plan_conv_transpose1d`, `plan_conv_transpose2d` and `plan_conv_transpose3d`."""
    kind, w, bias = plan_kind(name, device, options[_PRECISION], w, bias)
    w = as_array(name, "w", w)
    bias = None if bias is None else as_array(name, "bias", bias)
    x_shape = check_plan_shape(name, ndim, x_shape, options[_DATA_FORMAT])
    dtype = native(name, "w", w.dtype) if x_dtype is None else as_dtype(name, "x_dtype", x_dtype)
    problem, frame = cooked(recipe, name, ndim, x_shape, dtype, w, bias, options, w)
    return kind(name, problem, frame, canonical_weights(w, ndim, problem.channels_last, options[_FLIP]), bias)
