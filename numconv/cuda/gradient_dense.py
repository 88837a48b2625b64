"""Gradients of many weights: when their kernel is taken, its tile, what its launches are told."""

from __future__ import annotations

from math import prod

import numpy as np

from .._problem import Problem
from . import generic
from .gradient_chains import axes, geometry, passes, room, steps, totals, weights_of
from .gradient_generic import THREADS
from .kernels.gradient_tile import Tile
from .launch import Job, Launches
from .places import WIDEST, Place

FEWEST_ROWS, FEWEST_FILTERS = 16, 8
"""Taps and channels, and filters, of a group."""


def refusal(problem: Problem, places: dict[str, Place]) -> str:
    """Why it does not compute a gradient: "(it computes) only ..."; "" if it does."""
    x, g = places["x"], places["g"]
    if problem.compute.kind != "f" or not problem.x_dtype == problem.w_dtype == problem.compute:
        return "only real arrays of the type that is computed in"
    rows = prod(problem.kernel) * problem.group_channels
    if rows < FEWEST_ROWS or problem.group_filters < FEWEST_FILTERS:
        return f"only groups of {FEWEST_ROWS} taps and channels, and {FEWEST_FILTERS} filters"
    if problem.pad_value != 0:
        return "only padding by zeros, or by samples"
    samples = x.view.shape[0]
    reach = [_reach(x), _reach(g), weights_of(problem), samples * prod(problem.out_spatial)]
    padded = max(n + lo + hi for n, (lo, hi) in zip(problem.spatial, problem.pads, strict=True))
    return "only arrays below 2**31 elements" if max(*reach, padded) >= 2**31 else ""


def _reach(place: Place) -> int:
    """How far apart elements are."""
    return sum(abs(step) * (n - 1) for step, n in zip(place.steps, place.view.shape, strict=True))


def tile_of(problem: Problem) -> Tile:
    """As large as its sides fill, and registers hold: 64 x 64 of float64."""
    rows, filters, most = prod(problem.kernel) * problem.group_channels, problem.group_filters, 128
    if problem.compute == np.float64:
        most = 64
    BM = next(size for size in (32, 64, 128) if rows <= size or size == most)
    BN = 128 if most == 128 and -(-filters // 64) % 2 == 0 else 64
    return Tile(BM, BN, problem.compute.itemsize)


def way_of(place: Place, channels: int) -> str:
    """By what lies next to each other: `kernels.gradient_tile.Way`."""
    *_, pixels, across = place.steps
    lanes = WIDEST // place.view.itemsize
    if across == 1 and channels % lanes == 0 and place.together(4) == lanes:
        return "quads"
    return "channels" if abs(across) < abs(pixels) else "pixels"


def features(problem: Problem) -> tuple[str, ...]:
    """What is tried of a device before."""
    return ("copies",)


def tables(problem: Problem, places: dict[str, Place]) -> dict[str, np.ndarray]:
    """Borders."""
    return generic.tables(problem, places)


def launches(problem: Problem, places: dict[str, Place], conjugate: str) -> Launches:
    """Two kernels a pass."""
    x, g, tile, F, FG = places["x"], places["g"], tile_of(problem), problem.filters, problem.group_filters
    samples, rows = x.view.shape[0], prod(problem.kernel) * problem.group_channels
    found, borders = passes(problem, samples), generic.has_borders(problem)
    scratch, across, down = room(problem, found), -(-FG // tile.BN), -(-rows // tile.BM)
    padded = "".join(axis for axis, pads in zip("dhw", problem.pads, strict=True) if any(pads))
    parameters = (
        problem.compute.name, way_of(x, problem.group_channels), way_of(g, FG), "table" if borders else "", padded,
        1 if FG % 4 else 4, tile.BM, tile.BN,
    )  # fmt: skip
    jobs: list[tuple[Job, tuple[str, ...]]] = []
    for part in found:
        numbers = (
            part.chains, down, across, rows, rows * F, FG, F, part.first, *geometry(problem, samples), *x.steps,
            *g.steps, *axes(problem), *problem.kernel, problem.group_channels,
        )  # fmt: skip
        grid = (down * across * problem.groups, part.chains, 1)
        job = Job("gradient_dense.make", parameters, grid, (numbers,))
        jobs += [(job, ("x", "g", "scratch", "table" if borders else "scratch"))] if part.chains else []
        jobs.append(totals(problem, found, part, places["out"], THREADS))
    return Launches(steps(jobs, places | {"scratch": scratch}), scratch=scratch.extent[1])
