"""The kernels that reduce feature maps: what their launches are told."""

from __future__ import annotations

from math import prod

import numpy as np

from .._problem import Problem
from .._reductions import type_of
from .generic import MOST
from .kernels.kernel import scalar_of
from .launch import Job, Launches, Step
from .places import Place

THREADS = 128
STAGED = 16
"""Samples of a row from which neighbouring rows lie too far apart to be read at once."""


def tables(problem: Problem, places: dict[str, Place]) -> dict[str, np.ndarray]:
    """None are needed."""
    return {}


def launches(problem: Problem, places: dict[str, Place]) -> Launches:
    """Two kernels for each reduction; `places`: canonical maps, (N, F) results "out", "out1", ..."""
    samples, rows = len(places["maps"].view), prod(problem.out_spatial[:2])
    steps, scratch = [], 0
    for i, name in enumerate(problem.reductions):
        kept = {"max": scalar_of(problem.result.name), "mean": "float64", "ppv": "int64"}[name]
        room = Place.room((samples, rows, problem.filters), kept)
        steps += _steps(problem, name, kept, out_name(i), places | {"scratch": room})
        scratch = max(scratch, room.view.nbytes)
    return Launches(tuple(steps), scratch=scratch)


def _steps(problem: Problem, name: str, kept: str, whose: str, places: dict[str, Place]) -> list[Step]:
    """Rows into "scratch", where neighbours are what they are in the maps; then these into a result."""
    maps, out, F = places["maps"], places[whose], problem.filters
    N, (OD, OH, OW), last = len(maps.view), problem.out_spatial, maps.steps[4] <= maps.steps[3]
    if last or OW < STAGED:
        numbers: tuple[int, ...] = (N, F, OH, OW, *maps.steps, OD * OH)
        grid = (-(-OD * OH * F // THREADS), min(N, MOST), 1)
        rows = Job("reduce.rows", (problem.result.name, name, kept, last, THREADS), grid, (numbers,))
    else:
        count = N * F * OD * OH
        rows = Job(
            "reduce.staged", (problem.result.name, name, kept, THREADS), (-(-count // THREADS), 1, 1), ((count, OW),)
        )
    kinds = (kept, name, type_of(problem, name).name, problem.overflow, last, THREADS)
    numbers = (N, F, OD * OH, *out.steps, OD * OH * OW)
    columns = Job("reduce.columns", kinds, (-(-F // THREADS), min(N, MOST), 1), (numbers,))
    return [Step.of(rows, ("maps", "scratch"), places), Step.of(columns, ("scratch", whose), places)]


def out_name(number: int) -> str:
    """What the pointer of a result is called."""
    return f"out{number or ''}"
