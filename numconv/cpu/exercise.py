"""Small exact problems for the kernels of a schedule: whole numbers, so that NumPy knows every bit of the result.

One has several chains, tails of filters and of pixels, borders, two blocks and an epilogue; another, where pixels are
in lanes, rows so wide that their interior is read in place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from .. import reference
from .._problem import KC, Problem
from .channels import Channels, stackable
from .direct import RELU, Schedule, steps_together
from .pixel_layouts import WIDE, PixelLayout
from .schedule import Layout, Parts

_CHANNELS = {4: 64, 3: 63, 1: 61}
"""By steps that share an offset; rows of two columns, so that three are two chains."""


def exercises(schedule: Schedule) -> Iterator[Layout | Channels]:
    """Small problems in layouts that have the same kernels."""
    layout = schedule.layout
    if isinstance(layout, Channels):
        yield _of_channels(layout)
    elif isinstance(layout, PixelLayout) and layout.order == "planes":
        yield _of_planes(layout)
    elif isinstance(layout, PixelLayout):
        yield _of_pixels(layout)
        if layout.order != "pixels" and schedule.direct:
            yield _wide(layout)
    elif isinstance(layout, Layout):
        yield _of_filters(layout)
        yield _of_filters(layout, 0)  # padding whose products may be skipped


def _of_filters(layout: Layout, pad_value: int = 1) -> Layout:
    parts = layout.parts
    channels = _CHANNELS[steps_together(parts)]
    channels = channels if parts.x_parts == 1 else -(-channels // 2)
    filters = layout.width // parts.o_parts + 3
    out, block = (1, 3, layout.rows + 1), (1, 2, layout.rows + 1)
    small = _placed(layout, (1, 3, 2), channels, filters, out, block, 2 if pad_value else 1)
    problem = replace(small.parts.problem, pad_value=pad_value)
    return replace(small, parts=replace(parts, problem=problem))


def _of_pixels(layout: PixelLayout) -> PixelLayout:
    """Two units; with order "rolling" as many tap rows as the tile has, in one chain."""
    kernel, channels, out_rows, filters = (1, 3, 2), 64 // layout.parts.x_parts, 3, 2
    if layout.order == "pixels":
        filters = layout.rows // layout.parts.o_parts + 1
    elif layout.order == "rows":
        out_rows = layout.rows + 1
    else:
        kernel, channels, out_rows = (1, layout.rows, 2), 2, 2 * layout.rows + 1
    out = (1, out_rows, layout.width + 3)
    return _placed(layout, kernel, channels, filters, out, (1, -(-out_rows // 2), out[2]), 2)


def _of_planes(layout: PixelLayout) -> PixelLayout:
    """Two filters in each of two planes, of the same taps, which are part of the kernel; and as wide a block."""
    p = layout.parts.problem
    out = (1, layout.rows + 1, layout.block[2])
    reach = tuple((k - 1) * d + 1 for k, d in zip(p.kernel, p.dilation, strict=True))
    small = replace(_problem(p, reach, 2, 1, 4, out, p.stride), kernel=p.kernel, dilation=p.dilation)
    return replace(layout, parts=replace(layout.parts, problem=small), block=out)


def for_winograd(p: Problem) -> Problem:
    """Tiles of which the last are not whole, two panels of filters, two slices of channels, borders."""
    channels, filters = (1 + (p.group_channels > 64)) * 36, 70
    return replace(
        p, spatial=(1, 9, 11), channels=channels, filters=filters, groups=1, pads=((0, 0), (1, 1), (1, 1)),
        pad_mode="constant", pad_value=1, bias=True,
    )  # fmt: skip


def for_separable(p: Problem, width: int, rows: int) -> Problem:
    """Two blocks along both axes, two chunks in the first; two filters in each of two planes."""
    kernel = (1, rows + 1 if p.kernel[1] >= rows else rows - 1, 3)
    small = _problem(p, kernel, 2, 1, 4, (1, 6 * rows + 3, 2 * width + 6), (1, 1, 1))
    return replace(small, method="separable")


def for_fft(p: Problem, flat: bool, lanes: int) -> Problem:
    """Three tiles of which the last is not whole, two groups of channels, borders."""
    spatial, kernel, pads = (1, lanes - 3, 5 * lanes), (1, 5, 9), ((0, 0), (2, 1), (4, 4))
    if flat:
        spatial, kernel, pads = (1, 1, 6 * lanes * lanes), (1, 1, 11), ((0, 0), (0, 0), (5, 4))
    return replace(
        p, ndim=2, spatial=spatial, channels=12, filters=4, groups=2, kernel=kernel, dilation=(1, 1, 1), pads=pads,
        pad_mode="constant", pad_value=1, bias=True,
    )  # fmt: skip


def _wide(layout: PixelLayout) -> PixelLayout:
    """Padding at both ends of a row whose interior is wide enough to be read in place."""
    rows = layout.rows if layout.order == "rolling" else 3
    out = (1, 3 * rows + layout.rows, (WIDE + 3) * layout.lanes)
    return _placed(layout, (1, rows, 3), 1, 2, out, out, 1)


def _of_channels(layout: Channels) -> Channels:
    """As many tap rows as make two chains, two units, of which the second overlaps the first."""
    p = layout.parts.problem
    taps = layout.taps if layout.stack > 1 else layout.taps + 1
    lag = layout.lag if layout.stack > 1 else 0
    tap_rows = KC // (taps * p.group_channels) + lag + 1
    filters = layout.width + p.group_filters
    out = (1, 2 * layout.stack + 1, layout.rows + 1)
    kernel, stride = (1, tap_rows, taps), (1, max(1, lag), layout.stride)
    small = _problem(p, kernel, filters // p.group_filters, p.group_channels, filters, out, stride)
    if layout.stack > 1 and not stackable(small):
        small = _problem(p, (1, lag + 1, taps), filters // p.group_filters, p.group_channels, filters, out, stride)
    return replace(
        layout, parts=replace(layout.parts, problem=small), block=(1, layout.stack + 1, out[2]), most_units=2
    )


def _placed(layout: Any, kernel: tuple, channels: int, filters: int, out: tuple, block: tuple, stride: int) -> Any:
    parts: Parts = layout.parts
    small = _problem(parts.problem, kernel, 1, channels, filters, out, (1, 1, stride))
    return replace(layout, parts=replace(parts, problem=small), block=block)


def _problem(p: Problem, kernel: tuple, groups: int, channels: int, filters: int, out: tuple, stride: tuple) -> Problem:
    """A problem of the types of `p`: padding above and, at stride 1, at both sides; a bias; `channels` of a group."""
    side = (1, 1) if stride[2] == 1 else (0, 0)
    pads = ((0, 0), (1, 0), side)
    spatial = tuple((n - 1) * s + k - lo - hi for n, s, k, (lo, hi) in zip(out, stride, kernel, pads, strict=True))
    return replace(
        p, spatial=spatial, kernel=kernel, channels=groups * channels, filters=filters, groups=groups, stride=stride,
        dilation=(1, 1, 1), pads=pads, pad_mode="constant", pad_value=1, bias=True,
    )  # fmt: skip


def arrays(p: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, w and bias (canonical) of whole numbers; where the result is narrow, few weights that are not 0."""
    narrow = p.result == np.float16 or p.activation not in RELU
    narrow |= p.result.kind in "iu" and p.overflow == "raise" and p.result.itemsize < 8
    signed = p.result.kind != "u" or p.overflow != "raise"
    x = values((1, *p.spatial, p.channels), p.x_dtype, 4, signed, 1)
    w = values((*p.kernel, p.group_channels, p.filters), p.w_dtype, 3, signed, 2)
    if narrow:
        step = max(1, w.size // p.filters // 6) | 1
        w[(np.arange(w.size) * 7 % step > 0).reshape(w.shape)] = 0
        w = np.sign(w) if w.dtype.kind != "b" else w
        w = w.astype(p.w_dtype)
    if p.method == "separable":  # two products
        w = w[:, :1] * w[:, :, :1] + w[:, 1:2] * w[:, :, 1:2]
    bias = values((p.filters,), p.compute, 4, signed, 3)
    if p.compute.kind == "c" and p.x_dtype.kind != "c" and p.w_dtype.kind != "c":
        bias = bias.real.astype(p.compute)  # imaginary parts of real products are not the kernels' business
    if not p.channels_last:
        x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 4, 1)), 1, 4)
    return x, w, bias


def values(shape: tuple, dtype: np.dtype, most: int, signed: bool, seed: int) -> np.ndarray:
    """Whole numbers up to `most`, hashed from their places."""
    if dtype.kind == "c":
        real, imaginary = (values(shape, np.dtype("f8"), most, signed, seed + i) for i in (0, 7))
        return (real + 1j * imaginary).astype(dtype)
    mixed = (np.arange(np.prod(shape), dtype=np.uint64) + np.uint64(seed * 1000003)) * np.uint64(0x9E3779B97F4A7C15)
    mixed >>= np.uint64(40)
    if dtype.kind == "b":
        return (mixed % np.uint64(2)).astype(dtype).reshape(shape)
    low = -most if signed and dtype.kind != "u" else 0
    return (mixed % np.uint64(most - low + 1)).astype(np.int64).__add__(low).astype(dtype).reshape(shape)


def expected(p: Problem, x: np.ndarray, w: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The result: sums by NumPy, exact in any order, and what follows by the reference."""
    wide = np.complex128 if p.compute.kind == "c" else np.float64
    padded = np.pad(x, ((0, 0), *p.pads, (0, 0)), constant_values=p.pad_value)
    if p.compute.kind == "c" and (x.dtype.kind != "c" or w.dtype.kind != "c"):  # an infinity times no imaginary part
        part = np.empty((x.shape[0], *p.out_spatial, p.filters), wide)
        part.real = _sums(p, padded.real.astype(np.float64), w.real.astype(np.float64))
        complex_x = x.dtype.kind == "c"
        part.imag = _sums(p, *(a.astype(np.float64) for a in ((padded.imag, w) if complex_x else (padded, w.imag))))
        total = part
    else:
        total = _sums(p, padded.astype(wide), w.astype(wide))
    total = (total + bias.astype(wide)).astype(p.compute)
    with np.errstate(all="ignore"):
        return reference.to_result(reference.activate(total, p.activation, p.slope), p.result, p.overflow)


def _sums(p: Problem, padded: np.ndarray, w: np.ndarray) -> np.ndarray:
    """All products of padded samples and weights, both of one wide type, added up."""
    reach = tuple((k - 1) * d + 1 for k, d in zip(p.kernel[1:], p.dilation[1:], strict=True))
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, (2, 3))
    windows = windows[:, :, :: p.stride[1], :: p.stride[2], :, :: p.dilation[1], :: p.dilation[2]]
    windows = windows.reshape(*windows.shape[:4], p.groups, -1, *p.kernel[1:]) if p.groups > 1 else windows
    if p.groups == 1:
        return np.tensordot(windows, w[0], ((5, 6, 4), (0, 1, 2)))
    weights = w[0].reshape(*p.kernel[1:], p.group_channels, p.groups, -1)
    total = np.einsum("ndhwgcij,ijcgf->ndhwgf", windows, weights)
    return total.reshape(*windows.shape[:4], p.filters)
