"""Gradients of weights by the kernel for every option, type and layout: what its launches are told."""

from __future__ import annotations

import numpy as np

from .._problem import Problem
from . import generic
from .gradient_chains import axes, geometry, parts, passes, room, steps, totals, weights_of
from .launch import Job, Launches
from .places import Place

THREADS = 256


def refusal(problem: Problem, places: dict[str, Place]) -> str:
    """Why it does not compute a gradient: only for sizes beyond its indices."""
    samples = places["x"].view.shape[0]
    if (
        weights_of(problem) * parts(problem) >= 2**31
        or samples * problem.out_spatial[0] * problem.out_spatial[1] >= 2**31
    ):
        return "only up to 2**31 - 1 weights, and rows of a result"
    return "only rows of up to 2**31 - 1 pixels" if max(problem.out_spatial) >= 2**31 else ""


def tables(problem: Problem, places: dict[str, Place]) -> dict[str, np.ndarray]:
    """What the kernel looks up: the samples that padding shows."""
    return generic.tables(problem, places)


def launches(problem: Problem, places: dict[str, Place], conjugate: str) -> Launches:
    """Two kernels a pass; `places`: canonical x, g, out; tables."""
    samples, found = places["x"].view.shape[0], passes(problem, places["x"].view.shape[0])
    x, g, scratch, borders = places["x"], places["g"], room(problem, found), generic.has_borders(problem)
    jobs: list[tuple[Job, tuple[str, ...]]] = []
    for part in found:
        numbers = (
            part.chains * weights_of(problem), weights_of(problem), part.first, problem.filters, problem.group_filters,
            problem.group_channels, *problem.kernel, *geometry(problem, samples), *x.steps, *g.steps, *axes(problem),
        )  # fmt: skip
        parameters = (problem.x_dtype.name, problem.w_dtype.name, problem.compute.name, borders, conjugate, THREADS)
        grid = (-(-numbers[0] // THREADS), 1, 1)
        job = Job("weight_gradients.make", parameters, grid, (numbers, generic.reals(problem)))
        jobs += [(job, ("x", "g", "scratch", "table" if borders else "scratch"))] if part.chains else []
        jobs.append(totals(problem, found, part, places["out"], THREADS))
    return Launches(steps(jobs, places | {"scratch": scratch}), scratch=scratch.extent[1])
