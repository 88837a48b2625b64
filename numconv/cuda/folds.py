"""The kernel that folds padded gradients: its table, what its launch is told."""

from __future__ import annotations

import numpy as np

from .._problem import Problem
from ..cpu.tables import index_of
from .generic import MOST
from .launch import Job, Launches
from .places import Place

THREADS = 256


def tables(problem: Problem, places: dict[str, Place]) -> dict[str, np.ndarray]:
    """For D, H and W where the places of each sample begin, and where they end; then the places, ascending."""
    starts, shown, first = [], [], sum(problem.spatial) + 3
    for axis, (size, (low, _)) in enumerate(zip(problem.spatial, problem.pads, strict=True)):
        samples = index_of(problem, axis)
        positions = np.arange(len(samples))
        beyond = (positions < low) | (positions >= low + size)
        order = np.argsort(samples[beyond], kind="stable")
        starts.append(first + np.searchsorted(samples[beyond][order], np.arange(size + 1)))
        shown.append(positions[beyond][order])
        first += len(order)
    return {"table": np.concatenate([*starts, *shown, [0]]).astype(np.int64)}


def launches(problem: Problem, places: dict[str, Place]) -> Launches:
    """One kernel; `places`: canonical maps and out, `problem` the convolution that pads."""
    maps, out = places["maps"], places["out"]
    D, H, W = problem.spatial
    last, parts = out.steps[4] <= out.steps[3], 2 if problem.compute.kind == "c" else 1
    grid = (-(-W * problem.channels * parts // THREADS), min(D * H, MOST), min(len(out.view), MOST))
    lows = [lo for lo, _ in problem.pads]
    numbers = (len(out.view), D, H, W, problem.channels, *out.steps, *maps.steps, *lows, D + 1, D + H + 2)
    job = Job("fold.make", (problem.compute.name, problem.result.name, last, THREADS), grid, (numbers,))
    return Launches.of(job, ("maps", "out", "table"), places)
