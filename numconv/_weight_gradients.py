"""From the arguments of a gradient of weights to a result: recipes cached by shapes and options, then kernels."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from . import _reference_gradients as reference
from ._arguments import as_array, check_out, check_threads, conv_problem
from ._calls import gradient_cooked
from ._conv_transpose_problem import TransposedLayout, transposed_problem
from ._devices import on_gpu
from ._frames import ConvFrame
from ._plan import empty_result, has_f16c, kernel_problem
from ._problem import Problem
from ._shapes import Layout, layout_of
from ._transposed import Slices, Transposed, of_transposed
from ._types import choice, entries_of, integer
from ._views import canonical, weight_axes
from .cpu import kept, weights, weights_proof
from .cpu.memory import cast, fill

CONV = (
    "stride", "padding", "dilation", "groups", "pad_mode", "pad_value", "data_format", "flip", "dtype", "method",
    "precision",
)  # fmt: skip
"""Options of `conv1d_weight`, `conv2d_weight` and `conv3d_weight`."""
TRANSPOSE = (
    "stride", "padding", "output_padding", "dilation", "groups", "data_format", "flip", "dtype", "method", "precision",
)  # fmt: skip
"""Those of `conv_transpose1d_weight`, `conv_transpose2d_weight` and `conv_transpose3d_weight`."""
METHODS = ("auto", "direct", "reference")


class Recipe(NamedTuple):
    """What shapes, dtypes and options of a call come to."""

    problem: Problem  # the convolution; its w_dtype is that of the result's gradient
    axes: tuple[int, ...]  # where the canonical axes of x and of the gradient are
    shape: tuple[int, ...]  # of the weights
    flip: bool
    view: Slices | None = None  # of a transposed convolution: the part of the gradient (canonical) that it reads


def weight_gradient(
    name: str, ndim: int, x: Any, weight_shape: Any, grad_output: Any, names: tuple, options: tuple, device: Any,
    threads: Any, out: Any,
) -> np.ndarray:  # fmt: skip
    """All six functions; `names` are `CONV` or `TRANSPOSE`."""
    if (device is not None or not type(x) is type(grad_output) is np.ndarray) and _on_gpu(name, x, grad_output, device):
        from .cuda import weight_gradients

        return weight_gradients.weight_gradient(
            name, ndim, x, weight_shape, grad_output, names, options, device, threads, out
        )
    x, g = as_array(name, "x", x), as_array(name, "grad_output", grad_output)
    arrays = x.shape, x.dtype, g.shape, g.dtype
    recipe = gradient_cooked(_recipe, name, ndim, weight_shape, arrays, names, options)
    return _into(name, recipe, x, g, out, check_threads(name, threads))


def _on_gpu(name: str, x: Any, grad_output: Any, device: Any) -> bool:
    """Whether either array, or `device`, says so."""
    return on_gpu(name, x, device) or on_gpu(name, grad_output, device, "grad_output")


def _into(name: str, recipe: Recipe, x: np.ndarray, g: np.ndarray, out: Any, threads: int | None) -> np.ndarray:
    """Compute a recipe into `out`, or into a new array."""
    problem, shape = recipe.problem, recipe.shape
    if out is None:
        target = out = empty_result(name, shape, problem.result)
    else:
        check_out(name, out, shape, problem.result)
        overlap = np.may_share_memory(x, out) or np.may_share_memory(g, out)
        target = empty_result(name, shape, problem.result) if overlap else out
    view = canonical(target, weight_axes(problem.ndim, problem.channels_last))
    view = view[::-1, ::-1, ::-1] if recipe.flip else view
    x, g = canonical(x, recipe.axes), canonical(g, recipe.axes)
    try:
        if recipe.view is None:
            compute(problem, x, g, view, True, threads)
        else:  # the roles are swapped
            compute(problem, g[recipe.view], x, view, False, threads)
    except MemoryError as error:
        raise MemoryError(f"{name}: no memory to work in, for x {x.shape} and weights {shape}: {error}") from None
    if target is not out:
        fill(out, target)
    return out


def compute(
    problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, conjugate_x: bool, threads: int | None
) -> None:
    """Fill `out` (KD, KH, KW, C // G, F); all arrays are canonical."""
    if len(x) == 0:
        out[...] = 0
        return
    schedule = None if problem.method == "reference" else _schedule(problem, conjugate_x)
    if schedule is None:
        out[...] = reference.weight_gradient(problem, x, g, conjugate_x)
    else:
        weights.run(schedule, x, g, out, threads)


def _schedule(problem: Problem, conjugate_x: bool) -> weights.Schedule | None:
    """The schedule, kept with the problem; None where its kernels failed their proof."""
    problem, key = problem if has_f16c() else kernel_problem(problem), ("weights", conjugate_x)
    if key in problem.schedules:
        return problem.schedules[key]
    return kept.keep(problem, key, weights_proof.build(problem, conjugate_x))


@lru_cache(maxsize=4096)
def _recipe(
    name: str, ndim: int, weight_shape: Any, x_shape: tuple, x_dtype: np.dtype, g_shape: tuple, g_dtype: np.dtype,
    names: tuple, shown: str, options: tuple,
) -> Recipe:  # fmt: skip
    """`shown` tells apart what is equal and means different things."""
    named = dict(zip(names, options, strict=True))
    of_transpose = names is TRANSPOSE
    layout = (TransposedLayout if of_transpose else Layout)(*layout_of(name, ndim, named["data_format"]))
    shape = _weight_shape(layout, weight_shape, x_shape, named["groups"])
    _check_method(name, named["method"])
    if g_dtype.kind not in "fc":
        raise _not_floating(name, g_dtype)
    make = transposed_problem if of_transpose else conv_problem
    p, unbatched = make(name, ndim, x_shape, x_dtype, shape, g_dtype, **named)
    if p.result.kind not in "fc":
        raise TypeError(f"{name}: dtype is {p.result}, expected a floating or complex one, as gradients are")
    frame = ConvFrame.of(p, not unbatched)
    if g_shape != (wanted := frame.out_shape(x_shape)):
        raise ValueError(
            f"{name}: grad_output has shape {g_shape}, but the result of x {x_shape} and weights {shape} has {wanted} "
            f"({layout.data_format})"
        )
    if not isinstance(p, Transposed):
        return Recipe(p, frame.axes, shape, bool(named["flip"]))
    problem, view = of_transposed(p)
    problem = replace(problem, x_dtype=p.w_dtype, w_dtype=p.x_dtype)
    return Recipe(problem, frame.axes, shape, bool(named["flip"]), view)


def _check_method(name: str, method: Any) -> None:
    if method in ("winograd", "separable", "fft"):
        raise NotImplementedError(
            f"{name}: method is {method!r}, which gradients of weights do not have; expected one of {METHODS}"
        )
    choice(name, "method", method, METHODS)


def _not_floating(name: str, g: np.dtype) -> TypeError:
    return TypeError(f"{name}: grad_output has dtype {g}, expected a floating or complex one, as gradients are")


def _weight_shape(layout: Layout, given: Any, x_shape: tuple[int, ...], groups: Any) -> tuple[int, ...]:
    """`weight_shape` as ints that agree with x."""
    name, n = layout.name, layout.ndim
    complaint = f"{name}: weight_shape is {given!r}, expected ints >= 1, {layout.w_axes()} ({layout.data_format})"
    entries = entries_of(given)
    if entries is None:
        raise TypeError(complaint)
    if len(entries) != n + 2:
        raise ValueError(f"{complaint}, {n + 2} of them")
    shape = tuple(integer(size, 1, complaint) for size in entries)
    groups = integer(groups, 1, f"{name}: groups is {groups!r}, expected an int >= 1 that divides C and F")
    inner, outer = (shape[-2], shape[-1]) if layout.channels_last else (shape[1], shape[0])
    channels = outer if isinstance(layout, TransposedLayout) else inner * groups
    if len(x_shape) in (n + 1, n + 2):
        given = x_shape[-1] if layout.channels_last else x_shape[-(n + 1)]
        if given != channels or outer % groups:
            raise ValueError(
                f"{name}: weight_shape is {shape}, {layout.w_axes()}, which with groups = {groups} does not fit an x "
                f"of {given} channels (shape {x_shape}, {layout.data_format})"
            )
    return shape


class BiasCall(NamedTuple):
    """A gradient of biases as one of weights that multiply ones, at every output."""

    ndim: int
    g_shape: tuple[int, ...]
    x_shape: tuple[int, ...]
    weight_shape: tuple[int, ...]
    options: tuple
    channels_last: bool

    @classmethod
    def of(cls, shape: tuple[int, ...], dtype: np.dtype, data_format: Any) -> BiasCall:
        """For a gradient of the result."""
        ndim = len(shape)
        layout = layout_of("bias", min(3, max(1, ndim - 2)), data_format)
        if not 2 <= ndim <= 5:
            raise ValueError(
                f"bias: grad_output has {ndim} axes (shape {shape}), expected N, F and up to three spatial axes, "
                f"(N, ..., F) or (N, F, ...) ({layout.data_format})"
            )
        if dtype.kind not in "fc":
            raise _not_floating("bias", dtype)
        if 0 in shape[1:]:
            raise ValueError(f"bias: grad_output has shape {shape}, expected sizes >= 1 of all axes but N")
        if ndim == 2:
            shape = (shape[0], 1, shape[1]) if layout.channels_last else (*shape, 1)
        sizes, wide = (1,) * layout.ndim, np.dtype("D" if dtype.kind == "c" else "d")
        options = (1, "valid", 1, 1, "constant", 0, layout.data_format, False, wide, "auto", "ieee")
        if layout.channels_last:
            return cls(layout.ndim, shape, (*shape[:-1], 1), (*sizes, 1, shape[-1]), options, True)
        return cls(layout.ndim, shape, (shape[0], 1, *shape[2:]), (shape[1], 1, *sizes), options, False)

    def seen(self, g: np.ndarray) -> np.ndarray:
        """The gradient with an axis of pixels."""
        return g if g.ndim > 2 else g[:, None] if self.channels_last else g[:, :, None]


def bias_gradient(grad_output: Any, data_format: Any, device: Any) -> np.ndarray:
    """`bias`: the gradient of weights that multiply ones, at every output."""
    if (device is not None or type(grad_output) is not np.ndarray) and on_gpu(
        "bias", grad_output, device, "grad_output"
    ):
        from .cuda import weight_gradients

        return weight_gradients.bias_gradient(grad_output, data_format, device)
    g = as_array("bias", "grad_output", grad_output)
    call = BiasCall.of(g.shape, g.dtype, data_format)
    ones = np.broadcast_to(np.ones((), np.float64), call.x_shape)  # whose memory is a single number
    arguments = ("bias", call.ndim, ones, call.weight_shape, call.seen(g), CONV, call.options)
    return cast(weight_gradient(*arguments, None, None, None).ravel(), g.dtype)
