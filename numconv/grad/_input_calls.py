"""From the arguments of an input gradient to a result: the transpose of what was computed, with conjugated weights."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .._arguments import as_array, check_plan_shape, check_threads, check_weights, conv_problem, native
from .._calls import gradient_cooked
from .._conv_transpose_problem import transposed_problem
from .._devices import on_gpu
from .._frames import ConvFrame
from .._plan import Ready, compute, engine_of
from .._problem import Problem
from .._transposed import Slices, Transposed, convolution, of_transposed, transposed
from .._views import canonical_weights
from ._folds import Folded

CONV = (
    "stride", "padding", "dilation", "groups", "pad_mode", "data_format", "flip", "dtype", "method", "precision",
)  # fmt: skip
"""Options of `conv1d_input`, `conv2d_input` and `conv3d_input`."""
TRANSPOSE = (
    "stride", "padding", "output_padding", "dilation", "groups", "data_format", "flip", "dtype", "method", "precision",
)  # fmt: skip
"""Those of `conv_transpose1d_input`, `conv_transpose2d_input` and `conv_transpose3d_input`."""


class Recipe(NamedTuple):
    """What shapes, dtypes and options of a call come to."""

    problem: Problem  # whose transpose, or which itself, is computed
    frame: ConvFrame
    folds: Problem | None = None  # the convolution, where its padding shows samples once more
    view: Slices | None = None  # of grad_output, where not all of it is read


def input_gradient(
    name: str, ndim: int, input_shape: Any, w: Any, grad_output: Any, names: tuple, options: tuple, device: Any,
    threads: Any, out: Any,
) -> np.ndarray:  # fmt: skip
    """All six functions; `names` are `CONV` or `TRANSPOSE`."""
    if (device is not None or type(grad_output) is not np.ndarray) and on_gpu(name, grad_output, device, "grad_output"):
        from ..cuda import calls

        return calls.input_gradient(
            _recipe, names, name, ndim, input_shape, w, grad_output, options, device, threads, out
        )
    w, grad = as_array(name, "w", w), as_array(name, "grad_output", grad_output)
    shapes = w.shape, w.dtype, grad.shape, grad.dtype
    recipe = gradient_cooked(_recipe, name, ndim, input_shape, shapes, names, options)
    problem = recipe.problem
    check_weights(name, problem, w)
    if threads is not None:
        threads = check_threads(name, threads)
    given = canonical_weights(
        w.conj() if w.dtype.kind == "c" else w, ndim, problem.channels_last, options[names.index("flip")]
    )
    if recipe.view is not None:
        grad = grad[recipe.view]
    engine: Ready = engine_of(name, problem, given, None, threads)
    if recipe.folds is not None:
        engine = Folded(engine, recipe.folds)
    return compute(engine, recipe.frame, grad, out, threads)


@lru_cache(maxsize=4096)
def _recipe(
    name: str, ndim: int, input_shape: Any, w_shape: tuple, w_dtype: np.dtype, grad_shape: tuple,
    grad_dtype: np.dtype, names: tuple, shown: str, options: tuple,
) -> Recipe:  # fmt: skip
    """`shown` tells apart what is equal and means different things."""
    named = dict(zip(names, options, strict=True))
    sizes = check_plan_shape(name, ndim, input_shape, named["data_format"], "input_shape")
    dtypes = native(name, "grad_output", grad_dtype), w_dtype
    make = transposed_problem if names is TRANSPOSE else conv_problem
    p, unbatched = make(name, ndim, sizes, dtypes[0], w_shape, dtypes[1], **named)
    if p.compute.kind not in "fc" or p.result.kind not in "fc":
        raise TypeError(
            f"{name}: grad_output is {grad_dtype}, w {w_dtype} and the result {p.result}, but gradients are floating "
            "or complex; expected such arrays, and such a dtype"
        )
    forward = ConvFrame.of(p, not unbatched)
    expected = forward.out_sample if unbatched else (sizes[0], *forward.out_sample)
    any_batch = expected[0] is None
    if len(grad_shape) != len(expected) or grad_shape[any_batch:] != expected[any_batch:]:
        shape = str(expected).replace("None", "N")
        raise ValueError(
            f"{name}: grad_output has shape {grad_shape}, expected {shape}: what an input of shape "
            f"{input_shape} gives with w {w_shape}"
        )
    return _of_transpose(p, unbatched) if isinstance(p, Transposed) else _of_convolution(p, unbatched)


def _of_convolution(p: Problem, unbatched: bool) -> Recipe:
    """The transpose; of all that is padded, where this is not zeros."""
    if p.pad_mode == "constant" or not any(map(any, p.pads)):
        problem = transposed(p, tuple(lo for lo, _ in p.pads), p.spatial)
        return Recipe(problem, ConvFrame.of(problem, not unbatched))
    sizes = tuple(lo + size + hi for size, (lo, hi) in zip(p.spatial, p.pads, strict=True))
    problem = transposed(convolution(p, result=p.compute), (0, 0, 0), sizes)
    frame = ConvFrame.of(transposed(p, (0, 0, 0), p.spatial), not unbatched)
    return Recipe(problem, frame, folds=p)


def _of_transpose(p: Transposed, unbatched: bool) -> Recipe:
    """The convolution, of the part of grad_output that depends on the input."""
    problem, view = of_transposed(p)
    frame = ConvFrame.of(problem, not unbatched)
    if problem.spatial == p.out_spatial:
        return Recipe(problem, frame)
    own = view[4 - p.ndim :]
    batch, channels = (slice(None),) * (not unbatched), (slice(None),)
    return Recipe(problem, frame, view=(*batch, *own, *channels) if p.channels_last else (*batch, *channels, *own))
