"""Sizes along spatial axes, of which some may be unknown (None), and what windows reach of them."""

from __future__ import annotations

from typing import Any

from .._types import entries_of, integer

Shape = tuple[int | None, ...]


def per_axis(name: str, argument: str, value: Any, ndim: int, least: int = 1) -> tuple[int, ...]:
    """One integer for each spatial axis, from one for all or one for each."""
    each = f"an int or {ndim} of them, each >= {least}" if ndim > 1 else f"an int >= {least}"
    complaint = f"{name}: {argument} is {value!r}, expected {each}"
    entries = entries_of(value)
    entries = (value,) * ndim if entries is None else entries
    if len(entries) != ndim:
        raise ValueError(complaint)
    return tuple(integer(entry, least, complaint) for entry in entries)


def output_size(length: int | None, size: int, stride: int, dilation: int, padding: str) -> int | None:
    """Of a convolution or a pooling; less than 1 where the window does not fit."""
    if length is None:
        return None
    if padding == "valid":
        return (length - dilation * (size - 1) - 1) // stride + 1
    return -(-length // stride)


def pads(length: int, size: int, stride: int, padding: str) -> tuple[int, int]:
    """Samples that padding adds on both sides; the odd one on the right."""
    if padding == "valid":
        return 0, 0
    total = max(0, (-(-length // stride) - 1) * stride + size - length)
    return total // 2, total - total // 2


def shown(shape: Shape) -> str:
    """A shape with its batch axis: (None, 8, 1)."""
    return str((None, *shape))
