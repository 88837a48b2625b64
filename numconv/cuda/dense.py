"""The kernel for many channels and filters: when it is taken, its tile, its table of steps, what its launch is told."""

from __future__ import annotations

from math import prod

import numpy as np

from .._problem import Problem
from . import generic
from .launch import Job, Launches
from .places import Place

FEWEST_PRODUCTS, FEWEST_FILTERS = 16, 8
"""Of a result; of a group."""
LARGE, SMALL = 128, 64
"""Filters and pixels of a block."""
BLOCKS = 132
"""From which many large blocks keep a GPU busy."""


def refusal(problem: Problem, x: Place, out: Place) -> str:
    """Why it does not compute a problem: "(it computes) only ..."; "" if it does."""
    if problem.compute.kind != "f":
        return "only real sums"
    products = prod(problem.kernel) * problem.group_channels
    if products < FEWEST_PRODUCTS or problem.group_filters < FEWEST_FILTERS:
        return f"only results of {FEWEST_PRODUCTS} products and groups of {FEWEST_FILTERS} filters"
    if len(problem.chains()) > 1 and problem.compute == np.float64:
        return "only one chain of float64: two sets of sums are more than there are registers"
    if problem.groups > generic.MOST or -(-problem.group_filters // SMALL) > generic.MOST:
        return "only grids that there are"
    if prod(out.view.shape[:4]) >= 2**31 - LARGE:
        return "only results below 2**31 pixels"
    if max(n + lo + hi for n, (lo, hi) in zip(problem.spatial, problem.pads, strict=True)) >= 2**31:
        return "only axes below 2**31 samples"
    return ""


def tile_of(problem: Problem, samples: int) -> int:
    """Filters and pixels of a block."""
    blocks = -(-prod(problem.out_spatial) * samples // LARGE) * -(-problem.group_filters // LARGE) * problem.groups
    return LARGE if problem.compute == np.float32 and blocks >= BLOCKS and problem.group_filters > SMALL else SMALL


def unit_of(problem: Problem) -> int:
    """8 where eight steps from a multiple of 8 on are channels of one tap."""
    ends = [end for chain in problem.chains() for end in chain[2:]]
    return 8 if problem.group_channels % 8 == 0 and not any(end % 8 for end in ends) else 1


def steps_of(problem: Problem, depth: int, w_steps: tuple[int, ...]) -> np.ndarray:
    """int64, flat: rows (d, h, w, channel, place of the weight), chains filled up with rows of channel -1.

    Behind them, for each `depth` of rows, whether it ends a chain.
    """
    (_, KH, _), C, dilation = problem.kernel, problem.group_channels, np.array(problem.dilation)
    parts, ends = [], []
    for first, last, begin, end in problem.chains():
        row, step = np.divmod(np.arange((last - first) * (end - begin)), end - begin)
        (kd, kh), (kw, c) = np.divmod(row + first, KH), np.divmod(step + begin, C)
        taps = np.stack([kd, kh, kw], axis=1)
        places = taps @ np.array(w_steps[:3]) + c * w_steps[3]
        part = np.column_stack([taps * dilation, c, places])
        filling = np.tile(np.array([0, 0, 0, -1, 0]), (-len(part) % depth, 1))
        parts += [part, filling]
        ends += [0] * (-(-len(part) // depth) - 1) + [1]
    return np.concatenate([np.concatenate(parts).ravel(), ends]).astype(np.int64)


def tables(problem: Problem, places: dict[str, Place]) -> dict[str, np.ndarray]:
    """Borders and steps."""
    B = tile_of(problem, places["x"].view.shape[0])
    return generic.tables(problem, places) | {"steps": steps_of(problem, B // 8, places["w"].steps)}


def launches(problem: Problem, places: dict[str, Place]) -> Launches:
    """As those of `generic`."""
    x, w, bias, out, steps = places["x"], places["w"], places.get("bias"), places["out"], places["steps"]
    B, pixels = tile_of(problem, x.view.shape[0]), prod(out.view.shape[:4])
    parameters = (
        problem.x_dtype.name, problem.w_dtype.name, bias.view.dtype.name if bias else "", problem.compute.name,
        problem.result.name, problem.activation, problem.overflow, generic.has_borders(problem), B, unit_of(problem),
        out.steps[3] <= out.steps[4], len(problem.chains()) > 1,
    )  # fmt: skip
    grid = (-(-pixels // B), -(-problem.group_filters // B), problem.groups)
    stages = steps.view.size // (5 * (B // 8) + 1)
    los = [lo for lo, _ in problem.pads]
    starts = np.cumsum([lo + hi for lo, hi in problem.pads]).tolist()
    numbers = (
        stages, problem.group_channels, 5 * stages * (B // 8), pixels, *problem.out_spatial, problem.group_filters, 0,
        *x.steps, *problem.stride, *los, *problem.spatial, *starts[:2], w.steps[4],
        bias.steps[0] if bias else 0, w.steps[3], *out.steps, 0,
    )  # fmt: skip
    pointers = ("x", "w", "bias" if bias else "w", "out", "table" if generic.has_borders(problem) else "w", "steps")
    return Launches.of(Job("dense.make", parameters, grid, (numbers, generic.reals(problem))), pointers, places)
