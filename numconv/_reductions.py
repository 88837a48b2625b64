"""What ``reduce=`` makes of feature maps: its names, types and meaning, in NumPy.

A map is reduced row by row (along W), and then the rows are put together, in their order:

    max     the largest value; NaN if any is NaN; of zeros +0.0 is the larger one
    mean    float64 sums, from +0.0 on: of each row from left to right, of the rows from first to last; then divided
    ppv     the proportion of positive values
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from ._problem import Problem

REDUCTIONS = ("max", "mean", "ppv")

Rows = Mapping[str, np.ndarray]
"""(rows, N, F) by name: largest values, sums, numbers of positive values."""


def type_of(problem: Problem, name: str) -> np.dtype:
    """The dtype of a reduction: that of the maps; of integers int64 for the largest value, else float64."""
    if problem.result.kind == "f":
        return problem.result
    return np.dtype(np.int64 if name == "max" else np.float64)


def reduce_maps(problem: Problem, maps: np.ndarray) -> dict[str, np.ndarray]:
    """(N, F) by name, of finished maps (N, OD, OH, OW, F)."""
    rows = maps.reshape(len(maps), -1, *maps.shape[3:]).swapaxes(0, 1)
    reduced = {}
    for name in problem.reductions:
        if name == "max":
            reduced[name] = largest(rows, 2)
        elif name == "mean":
            reduced[name] = np.add.accumulate(rows.astype(np.float64), 2)[:, :, -1] + 0.0
        else:
            reduced[name] = (rows > 0).sum(2)
    return put_together(problem, reduced)


def put_together(problem: Problem, rows: Rows) -> dict[str, np.ndarray]:
    """(N, F) by name, in the types of the result.

    Raises
    ------
    OverflowError
        A uint64 does not fit int64, and ``problem.overflow`` is "raise".
    """
    count, found = prod(problem.out_spatial), {}
    with np.errstate(all="ignore"):
        for name in problem.reductions:
            values = rows[name]
            if name == "max":
                found[name] = _in_type(largest(values, 0), type_of(problem, name), problem.overflow)
            else:
                total = np.add.accumulate(values, 0)[-1] if name == "mean" else values.sum(0)
                found[name] = (total / count).astype(type_of(problem, name))
    return found


def largest(values: np.ndarray, axis: int) -> np.ndarray:
    """The maximum of IEEE 754-2019 along an axis: NumPy's, but that any +0.0 is larger than -0.0."""
    with np.errstate(invalid="ignore"):
        top = values.max(axis)
    if values.dtype.kind != "f" or not (zero := top == 0).any():
        return top
    sign = np.where(np.signbit(values).all(axis), top.dtype.type(-1), top.dtype.type(1))
    return np.where(zero, np.copysign(top, sign), top)


def _in_type(top: np.ndarray, dtype: np.dtype, overflow: str) -> np.ndarray:
    """Largest values in the type of the result; int64 may not hold a uint64."""
    if top.dtype == np.uint64 and (top >> np.uint64(63)).any():
        from .reference import to_result

        return to_result(top, dtype, overflow)
    return top.astype(dtype)
