"""The shapes of x and w by data format, the axes that a filter bank runs over, and what to say where they disagree."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from numconv._problem import Triple
from numconv._types import choice, entries_of, integer

DATA_FORMATS = ("channels_last", "channels_first")

T = TypeVar("T")


class Layout(NamedTuple):
    """The function's name, its number of spatial axes and where its channels are: what a message has to tell."""

    name: str
    ndim: int
    channels_last: bool

    @property
    def axes(self) -> tuple[str, ...]:
        """The caller's spatial axes: W, or H and W, or D, H and W."""
        return ("D", "H", "W")[3 - self.ndim :]

    @property
    def data_format(self) -> str:
        """The caller's name for it."""
        return DATA_FORMATS[0] if self.channels_last else DATA_FORMATS[1]

    def x_axes(self, batched: bool = True) -> str:
        """For example "(N, H, W, C)"."""
        axes = (*self.axes, "C") if self.channels_last else ("C", *self.axes)
        return listed(("N", *axes) if batched else axes)

    def w_axes(self) -> str:
        """For example "(KH, KW, C // groups, F)"."""
        kernel = tuple(f"K{axis}" for axis in self.axes)
        return listed((*kernel, "C // groups", "F") if self.channels_last else ("F", "C // groups", *kernel))

    def triple(self, values: Sequence[T], missing: T) -> tuple[T, T, T]:
        """D, H, W from the caller's axes."""
        d, h, w = (*[missing] * (3 - self.ndim), *values)
        return d, h, w


class Sizes(NamedTuple):
    """What the shapes of x and w say, under the names of a Problem."""

    spatial: Triple
    kernel: Triple
    channels: int
    filters: int
    groups: int


def layout_of(name: str, ndim: int, data_format: Any) -> Layout:
    """Return the layout that a call of `name` with this `data_format` has."""
    return Layout(name, ndim, choice(name, "data_format", data_format, DATA_FORMATS) == "channels_last")


def listed(axes: Iterable[str]) -> str:
    """Return for example "(H, W)", and "(W,)" of one axis, as of any tuple."""
    names = tuple(axes)
    return f"({', '.join(names)}{',' if len(names) == 1 else ''})"


def common_sizes(layout: Layout, x_shape: tuple[int | None, ...], w_shape: tuple[int, ...], groups: Any) -> Sizes:
    """The sizes in x and w, which have to agree; N is not looked at."""
    name, n = layout.name, layout.ndim
    check_axes(layout, x_shape, w_shape)
    groups = integer(groups, 1, f"{name}: groups is {groups!r}, expected an int >= 1 that divides C and F")
    spatial, channels = channels_apart(x_shape[-(n + 1) :], layout.channels_last)
    kernel, inputs, filters = _filters_apart(w_shape, layout.channels_last)
    x_said = f"x has {channels} channels (shape {tuple(x_shape)}, {layout.data_format})"
    w_said = f"(shape {tuple(w_shape)})"
    if 0 in kernel:
        raise ValueError(f"{name}: w has a kernel without elements, {kernel} {w_said}; expected sizes >= 1")
    if filters == 0:
        raise ValueError(f"{name}: w has no filters {w_said}; expected F >= 1 in {layout.w_axes()}")
    if channels == 0:
        raise ValueError(f"{name}: {x_said}; expected C >= 1 in {layout.x_axes()}")
    if channels % groups or filters % groups:
        raise ValueError(
            f"{name}: groups = {groups} has to divide the channels of x and the filters of w, "
            f"but {x_said} and w has {filters} filters {w_said}"
        )
    if inputs * groups != channels:
        share = f" in {groups} groups, {channels // groups} in each" if groups > 1 else ""
        raise ValueError(
            f"{name}: w has {inputs} input channels {w_said} but x has {channels}{share} "
            f"(shape {tuple(x_shape)}, {layout.data_format})" + _advice(layout, x_shape, w_shape, groups)
        )
    return Sizes(layout.triple(spatial, 1), layout.triple(kernel, 1), channels, filters, groups)


def check_axes(layout: Layout, x_shape: tuple[int | None, ...], w_shape: tuple[int, ...]) -> None:
    """Both have the number of axes that the function expects."""
    name, n = layout.name, layout.ndim
    if len(x_shape) not in (n + 1, n + 2):
        bare = "; for an array without channels: numconv.filter_bank or numconv.correlate" if len(x_shape) <= n else ""
        raise ValueError(
            f"{name}: x has {len(x_shape)} axes (shape {tuple(x_shape)}), expected {layout.x_axes()}, "
            f"or {layout.x_axes(batched=False)} for one sample ({layout.data_format}){bare}"
        )
    if len(w_shape) != n + 2:
        bare = "; for a kernel without channels and filters: numconv.correlate" if len(w_shape) == n else ""
        raise ValueError(
            f"{name}: w has {len(w_shape)} axes (shape {tuple(w_shape)}), "
            f"expected {layout.w_axes()} ({layout.data_format}){bare}"
        )


def channels_apart(shape: tuple[Any, ...], last: bool) -> tuple[tuple[int, ...], int]:
    """(spatial sizes, C) of one sample."""
    return (shape[:-1], shape[-1]) if last else (shape[1:], shape[0])


def _filters_apart(shape: tuple[int, ...], last: bool) -> tuple[tuple[int, ...], int, int]:
    """(kernel sizes, C // G, F)."""
    return (shape[:-2], shape[-2], shape[-1]) if last else (shape[2:], shape[1], shape[0])


def _advice(layout: Layout, x_shape: tuple[int | None, ...], w_shape: tuple[int, ...], groups: int) -> str:
    """What may have been meant where the channels of x and w disagree."""
    other = layout._replace(channels_last=not layout.channels_last)
    channels = channels_apart(x_shape[-(layout.ndim + 1) :], other.channels_last)[1]
    if _filters_apart(w_shape, other.channels_last)[1] * groups == channels:
        return f'; x {other.x_axes()} and w {other.w_axes()} need data_format="{other.data_format}"'
    if len(x_shape) == layout.ndim + 1:
        return f"; an x of {layout.ndim + 1} axes is one sample {layout.x_axes(batched=False)}"
    return ""


def check_plan_shape(
    name: str, ndim: int, x_shape: Any, data_format: Any, argument: str = "x_shape"
) -> tuple[int | None, ...]:
    """The shape for which a plan is made: ints, but None for N where it is not known yet."""
    layout = layout_of(name, ndim, data_format)
    complaint = (
        f"{name}: {argument} is {x_shape!r}, expected sizes {layout.x_axes()}, where N may be None, "
        f"or {layout.x_axes(batched=False)} ({layout.data_format})"
    )
    entries = entries_of(x_shape)
    if entries is None:
        raise TypeError(complaint)
    if len(entries) not in (ndim + 1, ndim + 2):
        raise ValueError(complaint)
    any_batch = entries[0] is None and len(entries) == ndim + 2
    if any(size is None for size in entries[any_batch:]):
        raise ValueError(complaint)
    sizes = tuple(integer(size, 0, complaint, most=sys.maxsize) for size in entries[any_batch:])
    return (None, *sizes) if any_batch else sizes


def check_bank_shape(name: str, x_shape: Any) -> tuple[int | None, ...]:
    """The shape of a bare array for which a plan is made: ints, but None along axes of any size."""
    complaint = f"{name}: x_shape is {x_shape!r}, expected the sizes of x's axes, None along batch axes of any size"
    entries = entries_of(x_shape)
    if entries is None:
        raise TypeError(complaint)
    return tuple(None if size is None else integer(size, 0, complaint, most=sys.maxsize) for size in entries)


def bank_axes(name: str, x_shape: tuple[int | None, ...], filters_shape: tuple[int, ...], axes: Any) -> tuple[int, ...]:
    """The axes of x that filters (F, *kernel) run over, not negative, in the order of the kernel's axes."""
    if len(filters_shape) < 2:
        raise ValueError(
            f"{name}: filters has shape {filters_shape}, expected (F, *kernel); for one kernel: numconv.correlate"
        )
    if filters_shape[0] == 0:
        raise ValueError(f"{name}: filters has shape {filters_shape}, no filters; expected F >= 1 in (F, *kernel)")
    return _spatial_axes(name, x_shape, "filters", filters_shape[1:], axes)


def kernel_axes(name: str, x_shape: tuple[int, ...], kernel_shape: tuple[int, ...], axes: Any) -> tuple[int, ...]:
    """The axes of x that one kernel runs over, not negative, in the order of the kernel's axes."""
    return _spatial_axes(name, x_shape, "kernel", kernel_shape, axes)


def _spatial_axes(
    name: str, x_shape: tuple[int | None, ...], argument: str, kernel: tuple[int, ...], axes: Any
) -> tuple[int, ...]:
    n = len(kernel)
    said = f"{n}-D kernels in {argument} (kernel {kernel}) and x of shape {x_shape}"
    if n > 3:
        raise NotImplementedError(f"{name}: {said}: supported are 1 to 3 spatial axes; sum over slices of {argument}")
    if 0 in kernel:
        raise ValueError(f"{name}: {argument} has a kernel without elements, {kernel}; expected sizes >= 1")
    if n > len(x_shape):
        raise ValueError(f"{name}: {said}: expected an x of at least {n} axes")
    if axes is not None:
        return _given_axes(name, x_shape, n, axes, said)
    if n == 2 and len(x_shape) == 3 and x_shape[-1] in (3, 4):
        raise ValueError(
            f"{name}: x of shape {x_shape} looks like a colour image, whose last two axes are {x_shape[1:]}; "
            "give axes=(0, 1) to filter along height and width, or axes=(1, 2) if it is none"
        )
    return tuple(range(len(x_shape) - n, len(x_shape)))


def _given_axes(name: str, x_shape: tuple[int | None, ...], n: int, axes: Any, said: str) -> tuple[int, ...]:
    rank = len(x_shape)
    complaint = f"{name}: axes is {axes!r}, expected {n} different axes from {-rank} to {rank - 1}, for {said}"
    entries = entries_of(axes)
    entries = (axes,) if entries is None else entries
    given = [integer(axis, -rank, complaint) for axis in entries]
    found = tuple(axis % rank for axis in given if axis < rank)
    if len(found) != len(given) or len(found) != n or len(set(found)) != n:
        raise ValueError(complaint)
    return found
