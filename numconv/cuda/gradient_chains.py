"""Gradients of weights on a device: how output pixels are cut into chains, and chains into passes."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np

from .._problem import KC, Problem
from .generic import MOST
from .kernels.kernel import storage_of
from .kernels.shapes import SEGMENT
from .launch import Job, Step
from .places import Place

ROOM = 256 << 20
"""Bytes for the sums of a pass: 28 ms of float32 multiply-adds at full speed."""
LANES = 32
"""Weights of a block where there are several segments, one for each 32 threads."""


class Cut(NamedTuple):
    """Chain i: rows from ``i // across * rows`` on, of them columns from ``i % across * columns`` on."""

    across: int  # chains of a row
    rows: int  # of a chain
    columns: int  # of a chain
    total: int  # rows of all samples

    @property
    def chains(self) -> int:
        """All of them."""
        return -(-self.total // self.rows) * self.across


class Pass(NamedTuple):
    """Chains that are made at once: whole segments, or a part of one."""

    first: int
    chains: int


def cut(problem: Problem, samples: int) -> Cut:
    """As `_reference_gradients.chains` has it."""
    OD, OH, OW = problem.out_spatial
    rows, row = samples * OD * OH, OW * (2 if problem.complex_products else 1)
    if row <= KC:
        return Cut(1, KC // row, OW, rows)
    columns = -(-OW // -(-row // KC))
    return Cut(-(-OW // columns), 1, columns, rows)


def parts(problem: Problem) -> int:
    """Numbers of a weight."""
    return 2 if problem.compute.kind == "c" else 1


def weights_of(problem: Problem) -> int:
    """All of them."""
    return prod(problem.kernel) * problem.group_channels * problem.filters


def passes(problem: Problem, samples: int) -> list[Pass]:
    """As few as `ROOM` allows; one of nothing where there are no samples."""
    chains = cut(problem, samples).chains
    fit = min(max(1, ROOM // (weights_of(problem) * problem.compute.itemsize)), MOST)
    step = fit // SEGMENT * SEGMENT if fit >= SEGMENT else 1 << fit.bit_length() - 1
    return [Pass(first, min(step, chains - first)) for first in range(0, chains, step)] or [Pass(0, 0)]


def room(problem: Problem, found: list[Pass]) -> Place:
    """The sums of a pass; behind them totals and segments that go on."""
    items = weights_of(problem) * parts(problem)
    return Place.room(((max(part.chains for part in found) + 2) * items,), storage_of(problem.compute.name))


def totals(problem: Problem, found: list[Pass], part: Pass, out: Place, threads: int) -> tuple[Job, tuple[str, ...]]:
    """The launch that adds up the chains of a pass."""
    items, chains = weights_of(problem) * parts(problem), found[-1].first + found[-1].chains
    end, lanes = part.first + part.chains, threads if part.chains <= SEGMENT else LANES
    numbers = (
        items, part.chains, part is found[0], part.first % SEGMENT == 0, end % SEGMENT == 0 or end == chains,
        part is found[-1], problem.group_channels, problem.filters, *problem.kernel[1:], *out.steps,
        items * max(part.chains for part in found),
    )  # fmt: skip
    parameters = (problem.compute.name, problem.result.name, lanes, threads)
    grid = (-(-items // lanes), 1, 1)
    return Job("weight_gradients.totals", parameters, grid, (tuple(map(int, numbers)),)), ("scratch", "out")


def steps(jobs: list[tuple[Job, tuple[str, ...]]], places: dict[str, Place]) -> tuple[Step, ...]:
    """Launches with their pointers."""
    return tuple(Step.of(job, pointers, places) for job, pointers in jobs)


def geometry(problem: Problem, samples: int) -> tuple[int, ...]:
    """What kernels are told of chains and outputs."""
    return (*cut(problem, samples), *problem.out_spatial)


def axes(problem: Problem) -> tuple[int, ...]:
    """Strides, dilations, samples before the first and sizes of the axes; where the borders of H and W begin."""
    starts = np.cumsum([lo + hi for lo, hi in problem.pads]).tolist()
    los = (lo for lo, _ in problem.pads)
    return (*problem.stride, *problem.dilation, *los, *problem.spatial, *starts[:2])
