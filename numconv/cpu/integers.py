"""Integers in lanes: the fastest type in which no sum of a problem can be inexact, by its types and its weights.

    i4, whole   both operands are int16, no sum leaves int32, and the CPU adds products of int16 in one instruction
    f4, whole   no sum leaves 2^24, up to which float32 holds every integer
    i4, whole   as above, in two instructions
    f4, wide    no chain's sum leaves 2^24: each is converted, and added to an int64 accumulator
    f8, whole   no sum leaves 2^51
    f8, wide    no chain's sum leaves 2^51
    i8          the rest: products of int64, in software where there is no instruction for them

Sums that are whole in their lanes are computed as those of real numbers are: tiles go straight to a result of the
lanes' type; with pixels in lanes also to wider integers; to all others by way of `finish`.

Speed relative to float32 (AVX-512 with VNNI, one core, busy machine; before: float lanes, each chain added in int64),
result int32: uint8 by int8, layers 0.92, 0.85 -> 0.99, 1.0; image 3x3 0.63 -> 0.9, 7x7 0.68 -> 0.9; bank 8x5x5 0.37 ->
1.1; int16 by int8, image 3x3 0.55 -> 0.85, 5x5 0.36 -> 0.83, bank 0.42 -> 1.0. Lower blocks, whose packed input would
stay in L2, gave images nothing. Not tried: two products a lane and step, from neighbouring taps or channels packed as
pairs of int16, which the instruction has room for.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .._problem import Problem
from .machine import machine


class Lanes(NamedTuple):
    """Scalar code of the lanes, and whether chain sums are added up in int64 beside them."""

    scalar: str
    wide: bool = False


def lanes_of(problem: Problem, w: np.ndarray, bias: np.ndarray | None) -> Lanes:
    """The lanes of integers by the module's table; `w` is canonical."""
    shorts = machine().shorts if _is_short(problem.x_dtype) and _is_short(problem.w_dtype, w) else ""
    most = _magnitude(problem.x_dtype)
    offset = 0 if bias is None or bias.size == 0 else _largest(bias)
    if shorts == "fused" and most * _magnitude(problem.w_dtype) * products(problem) + offset < 1 << 31:
        return Lanes("i4")
    sizes = np.abs(w.astype(np.float64)).reshape(-1, problem.filters)  # their sums are exact below 2^53
    whole, chain = most * int(sizes.sum(axis=0).max()) + offset, most * _largest_chain(problem, sizes)
    whole_short = shorts != "" and whole < 1 << 31
    if whole_short and shorts == "fused":
        return Lanes("i4")
    if whole <= 1 << 24:
        return Lanes("f4")
    if whole_short:
        return Lanes("i4")
    if chain <= 1 << 24:
        return Lanes("f4", wide=True)
    if whole < 1 << 51:
        return Lanes("f8")
    return Lanes("f8", wide=True) if chain < 1 << 51 else Lanes("i8")


def operand(w: np.ndarray, lanes: Lanes) -> np.ndarray:
    """Weights as they are packed; those of lanes "i4", which are int16, with zeros above them when widened."""
    return w.astype(np.int16).view(np.uint16) if lanes.scalar == "i4" else w


def products(problem: Problem) -> int:
    """Products of a result."""
    KD, KH, KW = problem.kernel
    return KD * KH * KW * problem.group_channels


def _magnitude(dtype: np.dtype) -> int:
    """Largest absolute value of an integer type."""
    return 1 if dtype.kind == "b" else max(-int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))


def _largest(a: np.ndarray) -> int:
    """Largest absolute value of an array that is not empty."""
    return max(abs(int(a.max())), abs(int(a.min())))


def _is_short(dtype: np.dtype, values: np.ndarray | None = None) -> bool:
    """Whether a type, or else values of it, are int16."""
    if dtype.kind == "b" or np.can_cast(dtype, np.int16):
        return True
    return values is not None and int(values.min()) >= -(1 << 15) and int(values.max()) < 1 << 15


def _largest_chain(problem: Problem, sizes: np.ndarray) -> int:
    """Largest sum of |w| (steps, F) over a chain of any filter."""
    steps = problem.kernel[2] * problem.group_channels
    ends = [a * steps + begin for a, _, begin, _ in problem.chains()] + [len(sizes)]
    return max(int(sizes[a:b].sum(axis=0).max()) for a, b in pairwise(ends))


def sums_fit(problem: Problem, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None) -> bool:
    """Whether no exact sum can leave 64 bits (or may wrap anyway): by the types, the weights, then the values of x."""
    if problem.overflow == "wrap":
        return True
    room = 1 << (64 if problem.compute.kind == "u" else 63)
    offset = 0 if bias is None or bias.size == 0 else _largest(bias)
    most = _magnitude(problem.x_dtype)
    if most * _magnitude(problem.w_dtype) * products(problem) + offset < room:
        return True
    taps = int(np.abs(w.astype(np.float64)).sum(axis=(0, 1, 2, 3)).max() * (1 + 1e-9) + 1)
    if most * taps + offset < room:
        return True
    pad = abs(int(problem.pad_value.real))
    values = 0 if x.size == 0 else _largest(x)
    return max(values, pad) * taps + offset < room
