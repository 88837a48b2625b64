"""The kernel for every option, type and layout: what its launch is told."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .._problem import KC, Problem
from .launch import Job, Launches
from .places import Place

THREADS = 256
MOST = 65535
"""Blocks along the second and third axis of a grid."""
MOST_PIXELS = 2**31
"""What an int32 does not count any more."""


def refusal(problem: Problem, x: Place, out: Place) -> str:
    """Why it does not compute a problem: only for sizes beyond its indices."""
    largest = max(prod(problem.out_spatial), problem.filters)
    return "only up to 2**31 - 1 pixels of a map" if largest >= MOST_PIXELS else ""


def tables(problem: Problem, places: dict[str, Place]) -> dict[str, np.ndarray]:
    """What the kernel looks up: the samples that padding shows."""
    return {"table": border_table(problem)} if has_borders(problem) else {}


def launches(problem: Problem, places: dict[str, Place]) -> Launches:
    """One kernel; `places`: canonical x, w, out, bias if any; tables."""
    x, w, bias, out = places["x"], places["w"], places.get("bias"), places["out"]
    lanes = 32 if problem.filters >= 16 and out.steps[4] < out.steps[3] else 1
    parameters = (
        problem.x_dtype.name, problem.w_dtype.name, bias.view.dtype.name if bias else "", problem.compute.name,
        problem.result.name, problem.activation, problem.overflow, has_borders(problem), lanes, THREADS,
    )  # fmt: skip
    grid = (
        -(-prod(problem.out_spatial) // (THREADS // lanes)),
        min(-(-problem.filters // lanes), MOST),
        min(x.view.shape[0], MOST),
    )
    pointers = ("x", "w", "bias" if bias else "w", "out", "table" if has_borders(problem) else "w")
    numbers = (numbers_of(problem, x, w, bias, out), reals(problem))
    return Launches.of(Job("generic.make", parameters, grid, numbers), pointers, places)


def has_borders(problem: Problem) -> bool:
    """Whether padding shows samples."""
    return problem.pad_mode != "constant" and any(map(any, problem.pads))


def border(problem: Problem) -> str:
    """What padding shows."""
    if has_borders(problem):
        return "table"
    value = reals(problem)[0]
    return "zeros" if value == 0 and not np.signbit(value) else "value"


def reals(problem: Problem) -> tuple[float, float, float]:
    """(pad value, its imaginary part, slope): the pad value as x's type holds it and the computation takes it."""
    value: Any = problem.pad_value
    if problem.compute.kind in "fc":
        value = complex(np.array(value, problem.x_dtype).astype(problem.compute))
    return float(value.real), float(value.imag), float(problem.slope)


def numbers_of(problem: Problem, x: Place, w: Place, bias: Place | None, out: Place) -> tuple[int, ...]:
    """As the kernel takes them apart."""
    los = [lo for lo, _ in problem.pads]
    starts = np.cumsum([lo + hi for lo, hi in problem.pads]).tolist()
    limit, rows = chain_limits(problem)
    pad = int(problem.pad_value.real) if problem.exact else 0
    return (
        x.view.shape[0], problem.filters, problem.group_filters, *problem.out_spatial,
        *out.steps, bias.steps[0] if bias else 0,
        *problem.spatial, *problem.kernel, *problem.dilation, *los, problem.group_channels,
        *x.steps, *w.steps, limit, rows, *starts[:2], *problem.stride, pad - 2**64 * (pad >= 2**63),
    )  # fmt: skip


def chain_limits(problem: Problem) -> tuple[int, int]:
    """(steps of a chain, whether the end of a tap row ends one): `Problem.chains` in two numbers."""
    if problem.exact:
        return 2**62, 0
    steps = problem.kernel[2] * problem.group_channels
    row = steps * (2 if problem.complex_products else 1)
    return (KC // row * steps, 0) if row <= KC else (-(-steps // -(-row // KC)), 1)


def border_table(problem: Problem) -> np.ndarray:
    """For D, H and W the samples that padding shows, before and behind: `np.pad` of the sample numbers."""
    parts = [
        _shown(problem.pad_mode, size, lo, hi) for size, (lo, hi) in zip(problem.spatial, problem.pads, strict=True)
    ]
    return np.concatenate([*parts, np.zeros(1, np.int64)])


def _shown(mode: str, size: int, lo: int, hi: int) -> np.ndarray:
    """Without an array as long as the axis."""
    at = np.concatenate([np.arange(-lo, 0), np.arange(size, size + hi)])
    if mode == "edge":
        return at.clip(0, size - 1)
    if mode == "wrap":
        return at % size
    period = 2 * size if mode == "symmetric" else max(2 * size - 2, 1)
    at %= period
    return np.where(at < size, at, period - at - (mode == "symmetric"))
