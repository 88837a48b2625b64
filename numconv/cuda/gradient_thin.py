"""Gradients of few weights of each filter: when their kernels are taken, and what their launches are told."""

from __future__ import annotations

from math import prod

import numpy as np

from .._problem import Problem
from . import generic
from .generic import MOST
from .gradient_chains import axes, cut, geometry, passes, room, steps, totals
from .gradient_generic import THREADS
from .kernels.shapes import Window
from .launch import Job, Launches
from .places import Place

MOST_TAPS, WIDEST, BYTES = 49, 24, 48 << 10
"""Sums of a thread; columns that a result sees; shared memory of a block."""
LANES = 128
"""Threads of a block that has channels or filters in lanes."""
FEWEST = 8
"""Weights of a tap in lanes."""


def refusal(problem: Problem, places: dict[str, Place]) -> str:
    """Why it does not compute a gradient: "(it computes) only ..."; "" if it does."""
    if problem.compute.kind != "f":
        return "only real sums"
    window, samples = window_of(problem), places["x"].view.shape[0]
    if window.taps > MOST_TAPS or window.span > WIDEST or window.stride > 4:
        return f"only kernels of {MOST_TAPS} taps, {WIDEST} wide"
    if not _in_lanes(problem, places) and window.words * problem.compute.itemsize > BYTES:
        return "only windows that fit shared memory"
    if any(abs(places[whose].steps[3]) * places[whose].view.shape[3] >= 2**31 for whose in ("x", "g")):
        return "only rows below 2**31 elements"
    if problem.kernel[0] * problem.group_channels > MOST or max(problem.out_spatial) >= 2**31:
        return "only grids that there are"
    return "" if samples * prod(problem.out_spatial[:2]) < 2**31 else "only up to 2**31 - 1 rows of a result"


def window_of(problem: Problem) -> Window:
    """Of a plane of taps."""
    return Window(*problem.kernel[1:], problem.stride[2], problem.dilation[2])


def _in_lanes(problem: Problem, places: dict[str, Place]) -> bool:
    """Whether filters, or channels of one filter, lie next to each other, and are enough of them."""
    place = places["x" if problem.filters == 1 else "g"]
    return problem.group_channels * problem.filters >= FEWEST and abs(place.steps[4]) < abs(place.steps[3])


def tables(problem: Problem, places: dict[str, Place]) -> dict[str, np.ndarray]:
    """Borders."""
    return generic.tables(problem, places)


def launches(problem: Problem, places: dict[str, Place], conjugate: str) -> Launches:
    """Two kernels a pass."""
    x, g, window, samples = places["x"], places["g"], window_of(problem), places["x"].view.shape[0]
    found, borders, lanes = passes(problem, samples), generic.has_borders(problem), _in_lanes(problem, places)
    border = "table" if borders else "value" if problem.pad_value else "zeros"
    whole = cut(problem, samples).across == 1
    C, F, KD, scratch = problem.group_channels, problem.filters, problem.kernel[0], room(problem, found)
    kept = window.taps + window.KH * ((window.RUN - 1) * window.stride + window.span)
    words = kept * problem.compute.itemsize // 4
    shared = (
        problem.x_dtype.name if conjugate else "", problem.w_dtype.name, problem.compute.name, border,
        *((4 if words < 70 else 2, LANES) if lanes else (16 if words < 70 else 8, whole)), *window,
    )  # fmt: skip
    jobs: list[tuple[Job, tuple[str, ...]]] = []
    for part in found:
        numbers = (
            part.chains * KD * C * F, part.chains, part.first, F, problem.group_filters, C, *problem.kernel,
            *geometry(problem, samples), *x.steps, *g.steps, *axes(problem),
        )  # fmt: skip
        grid = (-(-numbers[0] // LANES), 1, 1) if lanes else (F, KD * C, -(-part.chains // 32))
        name = "gradient_thin.channels" if lanes else "gradient_thin.pixels"
        job = Job(name, shared, grid, (numbers, generic.reals(problem)))
        jobs += [(job, ("x", "g", "scratch", "table" if borders else "scratch"))] if part.chains else []
        jobs.append(totals(problem, found, part, places["out"], THREADS))
    return Launches(steps(jobs, places | {"scratch": scratch}), scratch=scratch.extent[1])
