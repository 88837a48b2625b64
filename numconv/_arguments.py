"""What the caller says, in canonical form: whatever can be wrong with an argument is raised before anything runs.

`conv_problem` turns shapes, dtypes and options into a `Problem`. The checks of shapes and of arrays are in `_shapes`
and `_types`, and are offered here too, so that the public functions have one module to ask.

Types of options count as well as values (``stride=True`` is refused though ``True == 1``): a cache in front of this
module has to tell them apart.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numconv._problem import Pads, Problem, Triple
from numconv._reductions import REDUCTIONS
from numconv._shapes import (
    Layout,
    Sizes,
    bank_axes,
    check_bank_shape,
    check_plan_shape,
    common_sizes,
    kernel_axes,
    layout_of,
    listed,
)
from numconv._types import (
    as_array,
    as_dtype,
    check_bias,
    check_out,
    check_weights,
    choice,
    entries_of,
    flag,
    integer,
    native,
    pad_scalar,
    result_types,
    weights_of,
)

__all__ = [
    "as_array",
    "as_dtype",
    "bank_axes",
    "check_bank_shape",
    "check_out",
    "check_plan_shape",
    "check_threads",
    "check_weights",
    "conv_problem",
    "kernel_axes",
    "native",
]

PADDINGS = ("valid", "same", "same_lower", "full", "causal")
PAD_MODES = {mode: mode for mode in ("constant", "edge", "reflect", "symmetric", "wrap")} | {
    "zeros": "constant",
    "replicate": "edge",
    "nearest": "edge",
    "circular": "wrap",
    "mirror": "reflect",
}
ACTIVATIONS = ("relu", "leaky_relu", "sigmoid", "tanh", "silu", "gelu")
OVERFLOWS = ("raise", "saturate", "wrap")
METHODS = ("auto", "direct", "winograd", "separable", "fft", "reference")
PRECISIONS = ("ieee", "3xtf32", "tf32", "bf16")
LEAKY_RELU_SLOPE = 0.2


def conv_problem(
    name: str,
    ndim: int,
    x_shape: tuple[int | None, ...],
    x_dtype: np.dtype,
    w_shape: tuple[int, ...],
    w_dtype: np.dtype,
    *,
    bias_shape: tuple[int, ...] | None = None,
    bias_dtype: np.dtype | None = None,
    stride: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    groups: Any = 1,
    pad_mode: Any = "constant",
    pad_value: Any = 0,
    data_format: Any = "channels_last",
    activation: Any = None,
    flip: Any = False,
    dtype: Any = None,
    overflow: Any = "raise",
    method: Any = "auto",
    precision: Any = "ieee",
    reduce: Any = None,
) -> tuple[Problem, bool]:
    """Return the problem that a call of the function `name` states, and whether its x is unbatched (has no N).

    `flip` is only checked: a kernel is reversed in its array. `overflow` is "raise" where the result is floating.
    `precision` is only checked: `Problem.permitting` is for devices that make use of it.
    """
    layout = layout_of(name, ndim, data_format)
    x_dtype, w_dtype = native(name, "x", x_dtype), native(name, weights_of(name), w_dtype)
    compute, result = result_types(name, x_dtype, w_dtype, dtype)
    sizes = common_sizes(layout, x_shape, w_shape, groups)
    has_bias = check_bias(name, bias_shape, bias_dtype, sizes.filters, compute)
    flag(name, "flip", flip)
    check_precision(name, precision, compute)
    stride, dilation = per_axis(layout, "stride", stride), per_axis(layout, "dilation", dilation)
    mode = PAD_MODES[choice(name, "pad_mode", pad_mode, tuple(PAD_MODES))]
    activation, slope = activation_of(name, activation, compute)
    overflow = choice(name, "overflow", overflow, OVERFLOWS)
    problem = Problem(
        ndim=ndim,
        **sizes._asdict(),
        stride=stride,
        dilation=dilation,
        pads=_pads(layout, padding, sizes, stride, dilation),
        pad_mode=mode,
        pad_value=_pad_value(name, mode, pad_value, x_dtype),
        x_dtype=x_dtype,
        w_dtype=w_dtype,
        compute=compute,
        result=result,
        channels_last=layout.channels_last,
        bias=has_bias,
        activation=activation,
        slope=slope,
        overflow=overflow if result.kind in "iu" else "raise",
        method=choice(name, "method", method, METHODS),
        reduce=_reduce(name, reduce, compute, method),
    )
    _check_extent(layout, problem, padding)
    return problem, len(x_shape) == ndim + 1


def check_precision(name: str, precision: Any, compute: np.dtype) -> None:
    """One of the four; less than "ieee" is permitted of what is computed in single precision."""
    precision = choice(name, "precision", precision, PRECISIONS)
    if precision != "ieee" and compute not in (np.float32, np.complex64):
        raise ValueError(
            f"{name}: precision is {precision!r}, but x and {weights_of(name)} are computed in {compute}; expected "
            f"'ieee': only float32 and complex64 may have less"
        )


def check_threads(name: str, threads: Any) -> int | None:
    """Return a number of threads, or None: the package decides."""
    if threads is None:
        return None
    return integer(threads, 1, f"{name}: threads is {threads!r}, expected None (all that are allowed) or an int >= 1")


def per_axis(layout: Layout, argument: str, value: Any) -> Triple:
    """`stride` or `dilation` for D, H, W, from an int for all axes of the caller or one for each."""
    each = f"or one per axis {listed(layout.axes)}"
    complaint = f"{layout.name}: {argument} is {value!r}, expected an int {each}, each >= 1"
    entries = entries_of(value)
    if entries is None:
        entries = (value,) * layout.ndim
    if len(entries) != layout.ndim:
        raise ValueError(f"{layout.name}: {argument} is {value!r}, {len(entries)} values; expected an int {each}")
    return layout.triple(tuple(integer(entry, 1, complaint) for entry in entries), 1)


def _pads(layout: Layout, padding: Any, sizes: Sizes, stride: Triple, dilation: Triple) -> Pads:
    """``(lo, hi)`` for D, H, W."""
    if not isinstance(padding, str):
        return layout.triple(given_pads(layout, padding), (0, 0))
    reach = tuple(d * (k - 1) for d, k in zip(dilation, sizes.kernel, strict=True))
    pads = _named_pads(layout, padding, sizes.spatial, stride, reach)
    return layout.triple(pads[3 - layout.ndim :], (0, 0))


def _named_pads(
    layout: Layout, padding: str, spatial: Triple, stride: Triple, reach: tuple[int, ...]
) -> list[tuple[int, int]]:
    """`reach` is d*(k-1), how far a kernel extends beyond its first element."""
    padding = choice(layout.name, "padding", padding, PADDINGS, also="an int, one per axis, one (lo, hi) per axis or ")
    if padding == "valid":
        return [(0, 0)] * 3
    if padding == "full":
        return [(r, r) for r in reach]
    if padding == "causal":
        if layout.ndim != 1:
            raise ValueError(f'{layout.name}: padding="causal" is for one spatial axis, not {listed(layout.axes)}')
        return [(r, 0) for r in reach]
    # As few as make ceil(L / s) outputs; an odd one goes to the right ("same") or to the left ("same_lower").
    totals = (max(0, (-(-L // s) - 1) * s + r + 1 - L) for L, s, r in zip(spatial, stride, reach, strict=True))
    halves = [(total // 2, total - total // 2) for total in totals]
    return halves if padding == "same" else [(more, less) for less, more in halves]


def given_pads(layout: Layout, padding: Any) -> list[tuple[int, int]]:
    """An int, one per axis, or one pair per axis."""
    said = f"{layout.name}: padding is {padding!r}"
    each = f"one per axis {listed(layout.axes)} or one (lo, hi) per axis"
    complaint = f"{said}, expected a name, an int, {each}, each >= 0"
    entries = entries_of(padding)
    if entries is None:
        entries = (padding,) * layout.ndim
    if len(entries) != layout.ndim:
        if layout.ndim == 1 and len(entries) == 2 and entries_of(entries[0]) is None:
            raise ValueError(f"{said}, two values for one axis; for (lo, hi) write (({entries[0]}, {entries[1]}),)")
        raise ValueError(f"{said}, {len(entries)} values; expected an int, {each}")
    pairs = [(entry, entry) if (pair := entries_of(entry)) is None else pair for entry in entries]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(complaint)
    return [(integer(lo, 0, complaint), integer(hi, 0, complaint)) for lo, hi in pairs]


def _pad_value(name: str, mode: str, value: Any, x_dtype: np.dtype) -> complex:
    """The value as x's type holds it; only constant padding has one."""
    held = pad_scalar(name, value, x_dtype)
    if mode != "constant" and held != 0:
        raise ValueError(f'{name}: pad_value is {value!r}, but pad_mode="{mode}" takes its values from x; expected 0')
    return held


def _check_extent(layout: Layout, problem: Problem, padding: Any) -> None:
    """Every spatial axis has an output, and samples to extend it from."""
    spatial = problem.spatial[3 - layout.ndim :]
    for i, axis in enumerate("DHW"):
        size, (lo, hi), k, dilation = problem.spatial[i], problem.pads[i], problem.kernel[i], problem.dilation[i]
        if problem.out_spatial[i] < 1:
            raise ValueError(
                f"{layout.name}: the output is empty along {axis}: x has {size} samples there "
                f"(spatial shape {spatial}) and padding={padding!r} adds {lo} + {hi}, "
                f"but the kernel spans {dilation * (k - 1) + 1} (K{axis} = {k}, dilation {dilation})"
            )
        if size == 0 and problem.pad_mode != "constant":
            raise ValueError(
                f'{layout.name}: x has no samples along {axis} that pad_mode="{problem.pad_mode}" could repeat '
                f"(spatial shape {spatial}); expected at least 1, or constant padding"
            )


def activation_of(name: str, activation: Any, compute: np.dtype) -> tuple[str, float]:
    """(name or "", slope of leaky_relu or 0)."""
    if activation is None:
        return "", 0.0
    entries = entries_of(activation)
    slope: Any = LEAKY_RELU_SLOPE
    if entries is not None:
        if len(entries) != 2 or entries[0] != "leaky_relu":
            raise ValueError(f'{name}: activation is {activation!r}, expected a name or ("leaky_relu", slope)')
        activation, slope = entries
    kind = choice(name, "activation", activation, ACTIVATIONS, also='None, ("leaky_relu", slope) or ')
    if compute.kind == "c":
        raise ValueError(f"{name}: activation is {kind!r}, but the result is complex ({compute}); expected None")
    if compute.kind in "iu" and kind != "relu":
        raise ValueError(
            f"{name}: activation is {kind!r}, but integer x and {weights_of(name)} are computed in {compute}: "
            "expected None or 'relu', or a floating dtype="
        )
    return kind, _slope(name, slope) if kind == "leaky_relu" else 0.0


def _reduce(name: str, reduce: Any, compute: np.dtype, method: Any) -> str | tuple[str, ...]:
    """A name, several, or "": the maps themselves."""
    if reduce is None:
        return ""
    also = "None, a tuple or "
    entries = entries_of(reduce)
    if entries is None:
        found: str | tuple[str, ...] = choice(name, "reduce", reduce, REDUCTIONS, also)
    else:
        found = tuple(choice(name, "reduce", entry, REDUCTIONS, also) for entry in entries)
        if not found:
            raise ValueError(f"{name}: reduce is {reduce!r}, expected at least one of {listed(REDUCTIONS)}")
    if compute.kind == "c":
        raise ValueError(f"{name}: reduce is {reduce!r}, but the maps are complex ({compute}); expected None")
    if method not in ("auto", "direct", "reference"):
        raise NotImplementedError(
            f"{name}: reduce is {reduce!r}, which method={method!r} does not do; "
            "expected 'auto', 'direct' or 'reference'"
        )
    return found


def _slope(name: str, slope: Any) -> float:
    said = f"{name}: the slope in activation is {slope!r}, expected a finite number"
    if isinstance(slope, bool) or not isinstance(slope, int | float | np.integer | np.floating):
        raise TypeError(said)
    if not math.isfinite(slope):
        raise ValueError(said)
    return float(slope)
