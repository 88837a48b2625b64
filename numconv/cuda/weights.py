"""Weights and biases on a device, and what can be known of them on the host."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._problem import Problem
from .._reductions import type_of
from .arrays import Given, Library, library_of


class Operand(NamedTuple):
    """An array of the caller's: `host` where its values are known, else `given`; `view` is the former or a shadow."""

    shape: tuple[int, ...]
    dtype: np.dtype
    host: np.ndarray | None
    given: Given | None
    view: np.ndarray

    @property
    def size(self) -> int:
        """Elements."""
        return int(np.prod(self.shape, dtype=object))


def described(name: str, argument: str, library: Library, value: Any) -> Given:
    """What a library says of its array; TypeError in the name of a function where it cannot be computed with."""
    try:
        return library.describe(value)
    except TypeError as error:
        raise TypeError(f"{name}: {argument} is {error}") from None


def operand(name: str, argument: str, value: Any) -> Operand:
    """An argument, on the host or on a device."""
    from .._arguments import as_array

    library = library_of(value)
    if library is None:
        host = as_array(name, argument, value)
        return Operand(host.shape, host.dtype, host, None, host)
    given = described(name, argument, library, value)
    return Operand(given.shape, given.dtype, None, given, given.shadow())


def check_device(name: str, argument: str, operand: Operand, device: int, other: str = "x") -> None:
    """ValueError for an array on another device than x, or another argument."""
    if operand.given is not None and operand.given.device != device:
        raise ValueError(f"{name}: {argument} is on GPU {operand.given.device} but {other} is on GPU {device}")


def check_exact(name: str, problem: Problem, operand: Operand, argument: str) -> None:
    """Integer weights on a device must be exact in the floating type by their own type: their values are not read."""
    if operand.host is not None or problem.exact or operand.dtype.kind not in "biu":
        return
    digits = 24 if problem.compute in (np.float32, np.complex64) else 53
    if 8 * operand.dtype.itemsize > digits:
        raise NotImplementedError(
            f"{name}: {argument} is {operand.dtype} on the GPU, and x ({problem.x_dtype}) is computed in "
            f"{problem.compute}, in which its values may not be exact; convert it, or pass it from the host"
        )


def check_integers(name: str, problem: Problem, w: Operand, bias: Operand | None) -> None:
    """NotImplementedError where an integer result might not hold a value: nothing is read back to find out."""
    if problem.result.kind not in "iu" or (problem.overflow == "wrap" and not (problem.exact and problem.activation)):
        return
    if not problem.exact:
        if problem.overflow == "saturate":
            return
        reason = f"a {problem.compute} value may not fit {problem.result}"
    else:
        low, high = bounds(problem, w, bias)
        own, stored = np.iinfo(problem.compute), problem.result
        if "max" in problem.reductions:
            stored = type_of(problem, "max") if stored == np.uint64 else stored
        info = np.iinfo(stored)
        fits = info.min <= low and high <= info.max
        if own.min <= low and high <= own.max and (problem.overflow != "raise" or fits):
            return
        reason = f"sums may lie between {low} and {high} by types and weights, which {stored} may not hold"
    raise NotImplementedError(
        f"{name}: overflow is {problem.overflow!r}, but on a GPU results are not looked at before they are returned, "
        f"and {reason}; "
        + ("use a narrower type" if problem.overflow == "wrap" else 'use overflow="wrap"')
        + ' or "saturate"' * (not problem.exact)
    )


def bounds(problem: Problem, w: Operand, bias: Operand | None) -> tuple[int, int]:
    """The least and the largest sum that types and known weights allow."""
    x_low, x_high = _range(problem.x_dtype)
    if w.host is not None:
        axes = tuple(range(4))
        largest = max(map(abs, _range(w.dtype))) * (w.size // problem.filters)
        weights = w.host.astype(np.int64 if largest < 2**63 else object)  # canonical: (KD, KH, KW, C // G, F)
        up, down = np.maximum(weights, 0).sum(axes), np.minimum(weights, 0).sum(axes)
        up, down = up.astype(object), down.astype(object)
        lows, highs = up * x_low + down * x_high, up * x_high + down * x_low
    else:
        ends = [a * b for a in (x_low, x_high) for b in _range(w.dtype)]
        products = w.size // problem.filters
        lows, highs = np.array([min(ends) * products], object), np.array([max(ends) * products], object)
    if bias is not None:
        values = None if bias.host is None else bias.host.astype(object)
        lows = lows + (_range(bias.dtype)[0] if values is None else values)
        highs = highs + (_range(bias.dtype)[1] if values is None else values)
    return min(0, *map(int, lows)), max(0, *map(int, highs))


def _range(dtype: np.dtype) -> tuple[int, int]:
    if dtype.kind == "b":
        return 0, 1
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)
