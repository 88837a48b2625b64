"""Products by warpgroups, on GPUs that have them: when they are taken, tiles, tables, what launches are told.

x is laid out anew for each call, rounded, borders included and channels last (`kernels.warpgroup_operands`), by so many
samples at a time that scratch memory stays below `MOST_BYTES`; float16 that already lies so is read in place. w is
packed once.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np

from .._problem import Problem
from . import generic
from .kernels.warpgroup_operands import THREADS, X_NUMBERS, pieces_of
from .launch import Job, Launches, Step
from .places import Place

CAPABILITY = (9, 0)
"""The only one whose GPUs have wgmma."""
FEWEST_PRODUCTS, FEWEST_FILTERS, MOST_FILLING = 64, 32, 4
"""Of a result; of a group; channels of a piece for each that there is."""
MOST_BYTES = 1 << 28
"""Of x laid out at a time; a sample is not divided."""
MULTIPROCESSORS = 132
FOLD = 2
"""Stages whose products are added up in tensor cores, for 3xtf32: 24 sums that are cut, not rounded."""


class Tile(NamedTuple):
    """M x N sums of a block; buffers of stages; whether a product is in flight behind a barrier; blocks side by side.

    `rate`: the share of the products' peak that shared memory leaves, by counting its bytes.
    """

    M: int
    N: int
    slots: int
    lag: int
    blocks: int
    rate: float


TILES = (
    Tile(128, 256, 4, 1, 1, 1.0),
    Tile(128, 128, 3, 0, 2, 0.8),
    Tile(64, 256, 4, 1, 1, 0.8),
    Tile(64, 128, 4, 0, 2, 0.67),
)
FOLDING = (Tile(128, 128, 3, 0, 1, 0.9), Tile(64, 128, 2, 0, 2, 0.7))
"""Of two parts, where each sum takes up two registers."""


class Layout(NamedTuple):
    """How x lies: pieces of a part of a pixel's group; steps in pieces of samples, planes, rows, columns, groups."""

    kind: str
    parts: int
    each: int
    size: tuple[int, int, int]
    steps: tuple[int, int, int, int, int]
    in_place: bool


def refusal(problem: Problem, x: Place, out: Place) -> str:
    """Why it does not compute a problem: "(it computes) only ..."; "" if it does."""
    if problem.compute != np.float32 or problem.precision == "ieee":
        return "only sums of float32 of which less precision is permitted"
    products, each = prod(problem.kernel) * problem.group_channels, pieces_of(kind_of(problem))
    if products < FEWEST_PRODUCTS or problem.group_filters < FEWEST_FILTERS:
        return f"only results of {FEWEST_PRODUCTS} products and groups of {FEWEST_FILTERS} filters"
    if -(-problem.group_channels // each) * each > MOST_FILLING * problem.group_channels:
        return "only channels that fill 16 bytes"
    if problem.groups > generic.MOST:
        return "only grids that there are"
    layout = layout_of(problem, x)
    largest = max(layout.steps[0] * (x.view.shape[0] if layout.in_place else 1), prod(out.view.shape[:4]))
    if largest >= 2**31 - 256 or -(-problem.group_filters // 64) * 64 * products * problem.groups >= 2**31:
        return "only samples of 2**31 pieces, weights and results of 2**31 pixels"
    return ""


def features(problem: Problem) -> tuple[str, ...]:
    """What is tried on a device before."""
    return "copies", f"wgmma {kind_of(problem)}"


def kind_of(problem: Problem) -> str:
    """What is multiplied: products of float16 are exact whatever is permitted."""
    if problem.x_dtype == problem.w_dtype == np.float16:
        return "f16"
    return "bf16" if problem.precision == "bf16" else "tf32"


def layout_of(problem: Problem, x: Place) -> Layout:
    """Of x as the products read it."""
    kind = kind_of(problem)
    parts = 2 if problem.precision == "3xtf32" and kind == "tf32" else 1
    each = -(-problem.group_channels // pieces_of(kind))
    spans = zip(problem.out_spatial, problem.stride, problem.kernel, problem.dilation, strict=True)
    D, H, W = ((n - 1) * s + (k - 1) * d + 1 for n, s, k, d in spans)
    whole = problem.group_channels % pieces_of(kind) == 0 and x.together(4) == 8
    if kind == "f16" and whole and not any(map(any, problem.pads)):
        n, d, h, w, _ = (step // 8 for step in x.steps)
        return Layout(kind, 1, each, (D, H, W), (n, d, h, w, each), True)
    pixel = problem.groups * each * parts
    return Layout(
        kind, parts, each, (D, H, W), (D * H * W * pixel, H * W * pixel, W * pixel, pixel, each * parts), False
    )


def tile_of(problem: Problem, pixels: int) -> tuple[Tile, bool]:
    """The one that takes the least time, waves of blocks and idle rows counted; whether its rows are filters."""

    def time(choice: tuple[Tile, bool]) -> float:
        tile, left = choice
        down, across = (tile.M, tile.N) if left else (tile.N, tile.M)
        blocks = -(-pixels // across) * -(-problem.group_filters // down) * problem.groups
        return -(-blocks // MULTIPROCESSORS) * tile.M * tile.N / tile.rate

    return min(product(FOLDING if problem.precision == "3xtf32" else TILES, (False, True)), key=time)


def pieces_and_places(problem: Problem, layout: Layout, w_steps: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """For each piece of K, in whole stages: where x has it, -1 for none; where w has it, and how many channels."""
    piece, j = pieces_of(layout.kind), np.arange(layout.each)
    taps = np.stack(np.meshgrid(*map(np.arange, problem.kernel), indexing="ij"), -1).reshape(-1, 1, 3)
    at = (taps * np.array(problem.dilation) * np.array(layout.steps[1:4])).sum(-1) + j
    places = (taps * np.array(w_steps[:3])).sum(-1) + j * piece * w_steps[3]
    counts = np.minimum(piece, problem.group_channels - j * piece) + 0 * places
    missing = -at.size % 8
    pieces = np.concatenate([at.ravel(), np.full(missing, -1)]).astype(np.int32)
    rows = np.stack([places, counts], -1).reshape(-1, 2)
    return pieces, np.concatenate([rows, np.zeros((missing, 2), np.int64)]).astype(np.int64)


def tables(problem: Problem, places: dict[str, Place]) -> dict[str, np.ndarray]:
    """Borders, pieces of x (a spare stage behind them: the kernel looks ahead), places of weights."""
    layout = layout_of(problem, places["x"])
    pieces, weights = pieces_and_places(problem, layout, places["w"].steps)
    spare = np.full(8 * 6, -1, np.int32)
    return generic.tables(problem, places) | {"pieces": np.concatenate([pieces, spare]), "weights": weights.ravel()}


def launches(problem: Problem, places: dict[str, Place]) -> Launches:
    """Weights packed once; for each part of the batch, x laid out and multiplied."""
    samples, layout = places["x"].view.shape[0], layout_of(problem, places["x"])
    sample_bytes = layout.steps[0] * 16
    part = samples if layout.in_place else min(samples, max(1, MOST_BYTES // sample_bytes))
    tile, left = tile_of(problem, part * prod(problem.out_spatial))
    filters = tile.M if left else tile.N
    stages, across = places["weights"].view.size // 16, -(-problem.group_filters // filters)
    packed = problem.groups * across * stages * layout.parts * filters * 128
    scratch = 0 if layout.in_place else part * sample_bytes
    places = places | {"packed": Place.room((packed,), "uint8"), "scratch": Place.room((scratch,), "uint8")}
    steps = []
    for first in range(0, samples, part):
        count = min(part, samples - first)
        steps += [] if layout.in_place else [_laying(problem, places, layout, first, count)]
        steps.append(_multiplying(problem, places, layout, (tile, left), (stages, across, first, count)))
    packing = _packing(problem, places, layout, filters, (stages, across))
    return Launches(tuple(steps), (packing,), packed, scratch)


def _packing(problem: Problem, places: dict[str, Place], layout: Layout, filters: int, sizes: tuple[int, int]) -> Step:
    stages, across = sizes
    count = problem.groups * across * stages * filters * 8
    w = places["w"]
    numbers = (count, stages, across, problem.group_filters, w.steps[3], w.steps[4])
    parameters = (layout.kind, problem.w_dtype.name, filters, layout.parts, THREADS)
    job = Job("warpgroup_operands.pack", parameters, (-(-count // THREADS), 1, 1), (numbers,))
    return Step.of(job, ("w", "packed", "weights"), places)


def _laying(problem: Problem, places: dict[str, Place], layout: Layout, first: int, count: int) -> Step:
    x, (D, H, W) = places["x"], layout.size
    piece, pieces = pieces_of(layout.kind), problem.groups * layout.each
    total = count * D * H * W * pieces
    lanes = min(16 // x.view.itemsize, piece)
    whole = problem.group_channels % piece == 0 and x.together(4) >= lanes
    vector = problem.x_dtype in (np.float32, np.float16) and whole
    los = [lo for lo, _ in problem.pads]
    starts = np.cumsum([lo + hi for lo, hi in problem.pads]).tolist()
    borders = generic.has_borders(problem)
    numbers = (
        total, D, H, W, pieces * layout.parts, layout.each, problem.group_channels, *los, *problem.spatial, *starts[:2],
        *x.steps, first * x.steps[0], pieces,
    )  # fmt: skip
    assert len(numbers) == X_NUMBERS
    fast = x.steps[4] <= x.steps[3]
    parameters = (layout.kind, problem.x_dtype.name, borders, fast, vector, layout.parts, THREADS)
    grid = (-(-total // THREADS), 1, 1)
    job = Job("warpgroup_operands.lay", parameters, grid, (numbers, generic.reals(problem)))
    return Step.of(job, ("x", "scratch", "table" if borders else "weights"), places)


def _multiplying(
    problem: Problem, places: dict[str, Place], layout: Layout, choice: tuple[Tile, bool],
    sizes: tuple[int, int, int, int],
) -> Step:  # fmt: skip
    (tile, left), (stages, across, first, count) = choice, sizes
    out, bias, pixels = places["out"], places.get("bias"), count * prod(problem.out_spatial)
    pixels_fast = out.steps[3] <= out.steps[4]
    parameters = (
        layout.kind, bias.view.dtype.name if bias else "", problem.result.name, problem.activation, problem.overflow,
        *tile[:5], left, pixels_fast, 4 if _four(problem, out, pixels_fast) else 1, layout.parts,
        FOLD if problem.precision == "3xtf32" else 0,
    )  # fmt: skip
    blocks = -(-pixels // (tile.N if left else tile.M)) * across
    strides = (step * stride for step, stride in zip(layout.steps[1:4], problem.stride, strict=True))
    numbers = (
        stages, across, pixels, *problem.out_spatial, problem.group_filters, layout.steps[0], *strides, layout.steps[4],
        *out.steps, bias.steps[0] if bias else 0, first * out.steps[0], layout.each,
    )  # fmt: skip
    source = "x" if layout.in_place else "scratch"
    job = Job("warpgroup.make", parameters, (blocks, problem.groups, 1), (numbers, generic.reals(problem)))
    return Step.of(job, (source, "packed", "bias" if bias else "w", "out", "pieces"), places)


def _four(problem: Problem, out: Place, pixels_fast: bool) -> bool:
    """Whether four neighbours of the result are always stored together."""
    if problem.result not in (np.float32, np.float16):
        return False
    if not pixels_fast:
        return out.together(4) >= 4 and problem.group_filters % 4 == 0
    (n, d, h, w, f), (OD, OH, OW) = out.steps, problem.out_spatial
    rows = w == 1 and (h == OW or OH == 1) and (d == OH * OW or OD == 1)
    aligned = out.address % (4 * out.view.itemsize) == 0 and not (n % 4 or f % 4)
    return rows and aligned and OD * OH * OW % 4 == 0
