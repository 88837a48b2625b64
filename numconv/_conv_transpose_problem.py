"""What callers of transposed convolutions say, in canonical form: weights with axes of their own, cropping padding."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._arguments import METHODS, OVERFLOWS, PADDINGS, activation_of, check_precision, given_pads, per_axis
from ._problem import Pads, Triple
from ._shapes import DATA_FORMATS, Layout, Sizes, channels_apart, check_axes, listed
from ._transposed import Transposed
from ._types import check_bias, choice, entries_of, flag, integer, native, result_types


class TransposedLayout(Layout):
    """Where w has its filters and the channels of x: (KH, KW, F // groups, C), or (C, F // groups, KH, KW)."""

    __slots__ = ()

    def w_axes(self) -> str:
        """For example "(KH, KW, F // groups, C)"."""
        kernel = tuple(f"K{axis}" for axis in self.axes)
        return listed((*kernel, "F // groups", "C") if self.channels_last else ("C", "F // groups", *kernel))


def transposed_problem(
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
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: Any = 1,
    data_format: Any = "channels_last",
    activation: Any = None,
    flip: Any = False,
    dtype: Any = None,
    overflow: Any = "raise",
    method: Any = "auto",
    precision: Any = "ieee",
) -> tuple[Transposed, bool]:
    """Return the problem that a call of the function `name` states, and whether its x is unbatched (has no N)."""
    layout = TransposedLayout(name, ndim, choice(name, "data_format", data_format, DATA_FORMATS) == "channels_last")
    x_dtype, w_dtype = native(name, "x", x_dtype), native(name, "w", w_dtype)
    compute, result = result_types(name, x_dtype, w_dtype, dtype)
    sizes = _sizes(layout, x_shape, w_shape, groups)
    has_bias = check_bias(name, bias_shape, bias_dtype, sizes.filters, compute)
    flag(name, "flip", flip)
    check_precision(name, precision, compute)
    stride, dilation = per_axis(layout, "stride", stride), per_axis(layout, "dilation", dilation)
    activation, slope = activation_of(name, activation, compute)
    overflow = choice(name, "overflow", overflow, OVERFLOWS)
    problem = Transposed(
        ndim=ndim,
        **sizes._asdict(),
        stride=stride,
        dilation=dilation,
        pads=_crops(layout, padding, output_padding, sizes, stride, dilation),
        pad_mode="constant",
        pad_value=0,
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
    )
    _check_extent(layout, problem, padding)
    return problem, len(x_shape) == ndim + 1


def _sizes(layout: Layout, x_shape: tuple[int | None, ...], w_shape: tuple[int, ...], groups: Any) -> Sizes:
    """The sizes in x and w, which have to agree; N is not looked at."""
    name, n = layout.name, layout.ndim
    check_axes(layout, x_shape, w_shape)
    groups = integer(groups, 1, f"{name}: groups is {groups!r}, expected an int >= 1 that divides C")
    spatial, channels = channels_apart(x_shape[-(n + 1) :], layout.channels_last)
    if layout.channels_last:
        kernel, each, inputs = w_shape[:-2], w_shape[-2], w_shape[-1]
    else:
        kernel, each, inputs = w_shape[2:], w_shape[1], w_shape[0]
    x_said = f"x has {channels} channels (shape {tuple(x_shape)}, {layout.data_format})"
    w_said = f"(shape {tuple(w_shape)}, expected {layout.w_axes()})"
    if 0 in kernel:
        raise ValueError(f"{name}: w has a kernel without elements, {kernel} {w_said}; expected sizes >= 1")
    if each == 0:
        raise ValueError(f"{name}: w has no filters {w_said}; expected F >= 1")
    if channels == 0:
        raise ValueError(f"{name}: {x_said}; expected C >= 1 in {layout.x_axes()}")
    if inputs != channels:
        advice = "; w as of a convolution has its last two axes swapped" if each == channels else ""
        raise ValueError(f"{name}: w has {inputs} input channels {w_said} but {x_said}{advice}")
    if channels % groups:
        raise ValueError(f"{name}: groups = {groups} has to divide the channels of x, but {x_said}")
    return Sizes(layout.triple(spatial, 1), layout.triple(kernel, 1), channels, each * groups, groups)


def _crops(layout: Layout, padding: Any, output_padding: Any, sizes: Sizes, stride: Triple, dilation: Triple) -> Pads:
    """``(lo, hi)`` for D, H, W: what is left out of all that the kernel reaches; negative where there is to be more."""
    more = _output_padding(layout, output_padding, stride, dilation)
    if isinstance(padding, str):
        also = "an int, one per axis, one (lo, hi) per axis or "
        padding = choice(layout.name, "padding", padding, PADDINGS, also=also)
        if padding == "causal" and layout.ndim != 1:
            raise ValueError(f'{layout.name}: padding="causal" is for one spatial axis, not {listed(layout.axes)}')
        axes = list(zip(sizes.kernel, stride, dilation, strict=True))[3 - layout.ndim :]
        pairs = [_named(padding, d * (k - 1), s, m) for (k, s, d), m in zip(axes, more, strict=True)]
    else:
        pairs = [(lo, hi - (m or 0)) for (lo, hi), m in zip(given_pads(layout, padding), more, strict=True)]
    return layout.triple(pairs, (0, 0))


def _named(padding: str, reach: int, stride: int, more: int | None) -> tuple[int, int]:
    """Crops of a named padding on an axis where a kernel extends `reach` beyond its first element.

    "same": ``L * stride`` samples, or, with an output padding, ``(L - 1) * stride + span % 2 + more`` as Keras has it,
    `span` being ``reach + 1``; where that leaves the middle is Keras's rule, too.
    """
    if padding == "valid":
        return 0, -(max(0, stride - reach - 1) if more is None else more)
    if padding in ("full", "causal"):
        return reach, (reach if padding == "full" else 0) - (more or 0)
    lower = padding == "same_lower"
    if more is None:
        total = max(0, reach + 1 - stride)
        low = total - total // 2 if lower else total // 2
        return low, reach + 1 - stride - low
    odd = (reach + 1) % 2
    length = reach - 1 + odd + more  # zeros around the samples, had their gaps been stuffed
    low = max(0, reach - (length // 2 if lower else length - length // 2))
    return low, reach + 1 - odd - more - low


def _output_padding(layout: Layout, value: Any, stride: Triple, dilation: Triple) -> tuple[int | None, ...]:
    """One number per axis of the caller; None where none is given, that is by None or by one 0 for all axes."""
    name, axes = layout.name, listed(layout.axes)
    if value is None:
        return (None,) * layout.ndim
    entries = entries_of(value)
    said = f"{name}: output_padding is {value!r}"
    complaint = f"{said}, expected None, an int or one per axis {axes}, each >= 0"
    if entries is None:
        number = integer(value, 0, complaint)
        numbers: tuple[int | None, ...] = (number or None,) * layout.ndim
    elif len(entries) != layout.ndim:
        raise ValueError(f"{said}, {len(entries)} values; expected an int or one per axis {axes}")
    else:
        numbers = tuple(integer(entry, 0, complaint) for entry in entries)
    first = 3 - layout.ndim
    for more, s, d in zip(numbers, stride[first:], dilation[first:], strict=True):
        if more is not None and more >= max(s, d):
            raise ValueError(f"{said}, expected less than the stride or the dilation, {s} and {d}")
    return numbers


def _check_extent(layout: Layout, problem: Transposed, padding: Any) -> None:
    """Every spatial axis has samples and outputs."""
    spatial = problem.spatial[3 - layout.ndim :]
    for i, axis in enumerate("DHW"):
        size, (lo, hi), k, dilation = problem.spatial[i], problem.pads[i], problem.kernel[i], problem.dilation[i]
        if size == 0:
            raise ValueError(f"{layout.name}: x has no samples along {axis} (spatial shape {spatial}); expected >= 1")
        if problem.out_spatial[i] < 1:
            raise ValueError(
                f"{layout.name}: the output is empty along {axis}: x has {size} samples there (spatial shape "
                f"{spatial}), which reach {problem.out_spatial[i] + lo + hi} with stride {problem.stride[i]} and a "
                f"kernel that spans {dilation * (k - 1) + 1} (K{axis} = {k}, dilation {dilation}), but "
                f"padding={padding!r} crops {lo} + {hi} of them"
            )
