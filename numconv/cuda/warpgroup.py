"""Products by warpgroups, on GPUs that have them: when they are taken, tiles, tables, what launches are told.

x is laid out anew for each call, rounded, borders included and channels last (`kernels.warpgroup_operands`), by so many
samples at a time that scratch memory stays below `MOST_BYTES`; float16 that already lies so is read in place. w is
packed once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod
from typing import ClassVar, NamedTuple

import numpy as np

from .._problem import Problem
from . import generic
from .kernels.warpgroup_operands import THREADS, X_NUMBERS, pieces_of
from .kernels.warpgroup_tile import ROW, Tile
from .launch import Job, Launches, Step
from .places import Place

FEWEST_PRODUCTS, FEWEST_FILTERS, MOST_FILLING = 64, 32, 4
"""Of a result; of a group; channels of a piece for each that there is."""
MOST_BYTES = 1 << 28
"""Of x laid out at a time; a sample is not divided."""
FOLD = 2
"""Stages whose products are added up in tensor cores, for 3xtf32: 24 sums that are cut, not rounded."""
FARTHEST = 128
"""Pixels between the first and the last tap of a row that share rows in shared memory."""
SIZES = ((128, 256, 1), (64, 256, 2), (128, 128, 2), (64, 128, 2), (64, 64, 3), (64, 32, 4))
FOLDED = ((128, 128, 1), (64, 128, 2), (64, 64, 2), (64, 32, 3))
"""Rows and columns of a tile, and blocks of a multiprocessor; with sums in two registers."""
MULTIPROCESSORS, SHARED, RESERVED = 132, 228 << 10, 1 << 10
"""Of an H100 or H200; bytes of shared memory of one, and of those a block's that are not its own."""
SHARED_RATE, CACHE_RATE, STAGE, START = 128, 30, 50, 4000
"""Bytes a cycle that shared memory moves, and that the L2 cache gives to a multiprocessor; cycles of a stage and of a
block beside. Estimates: they order tiles, no more."""


class Layout(NamedTuple):
    """How x lies: pixels of `parts` parts a group, of `each` pieces.

    `steps`, in pieces, are those of samples, planes, rows, columns and groups. A sample is `size` pixels, of which the
    first `los` of each axis lie before it. Zeros behind a row are those before the next one, as far as that is
    possible; `tail` pixels follow the last sample. Windows begin at pixel `start`.
    """

    kind: str
    parts: int
    each: int
    size: tuple[int, int, int]
    los: tuple[int, int, int]
    start: int
    tail: int
    steps: tuple[int, int, int, int, int]
    in_place: bool


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
    reach = [(n - 1) * s + (k - 1) * d for n, s, k, d in spans]
    whole = problem.group_channels % pieces_of(kind) == 0 and x.together(4) == 8
    if kind == "f16" and whole and not any(map(any, problem.pads)):
        n, d, h, w, _ = (step // 8 for step in x.steps)
        D, H, W = (far + 1 for far in reach)
        return Layout(kind, 1, each, (D, H, W), (0, 0, 0), 0, 0, (n, d, h, w, each), True)
    (D, d0, d1), (H, h0, h1), (W, w0, w1) = (_axis(problem, axis, far + 1) for axis, far in enumerate(reach))
    pixel, start = problem.groups * each * parts, ((d0 - d1) * H + h0 - h1) * W + w0 - w1
    last = start + (reach[0] * H + reach[1]) * W + reach[2]
    steps = (D * H * W * pixel, H * W * pixel, W * pixel, pixel, each * parts)
    return Layout(kind, parts, each, (D, H, W), (d0, h0, w0), start, max(0, last + 1 - D * H * W), steps, False)


def _axis(problem: Problem, axis: int, needed: int) -> tuple[int, int, int]:
    """(pixels from one row to the next, how many of them lie before the samples, how many of these windows see)."""
    (lo, hi), size = problem.pads[axis], problem.spatial[axis]
    if problem.pad_mode != "constant" or min(lo, hi) > (problem.kernel[axis] - 1) * problem.dilation[axis]:
        return needed, lo, lo
    return size + max(lo, hi), max(lo, hi), lo


def tile_of(problem: Problem, layout: Layout, samples: int, shared: bool) -> Tile:
    """The one that takes the least time, by what it computes, reads and writes, idle rows included."""
    sizes, fold = (FOLDED, FOLD) if problem.precision == "3xtf32" else (SIZES, 0)
    taps = (1, problem.kernel[2]) if shared and _in_rows(problem, layout) else (1,)
    tiles = (
        Tile.fitting(
            M, N, left, blocks, each, problem.dilation[2], layout.parts, fold, SHARED // blocks - RESERVED
        )
        for (M, N, blocks), left, each in product(sizes, (False, True), taps)
    )  # fmt: skip
    return min(filter(None, tiles), key=lambda tile: _cycles(problem, layout, tile, samples))


def _in_rows(problem: Problem, layout: Layout) -> bool:
    """Whether windows of neighbours in memory are one pixel apart, whatever row they are in."""
    (D, H, W), steps = layout.size, layout.steps
    together = steps[0] == D * steps[1] and steps[1] == H * steps[2] and steps[2] == W * steps[3]
    near = 0 < (problem.kernel[2] - 1) * problem.dilation[2] <= FARTHEST
    return problem.stride == (1, 1, 1) and together and near


def _cycles(problem: Problem, layout: Layout, tile: Tile, samples: int) -> float:
    """Of the whole product, as estimated."""
    products, across = 3 if tile.parts == 2 else 1, -(-problem.group_filters // tile.filters)
    blocks = -(-_positions(problem, layout, tile, samples) // tile.pixels) * across * problem.groups
    copied = tile.parts * ROW * (tile.x_rows / tile.taps + tile.filters)
    read = products * ROW * tile.M // 64 * (64 + tile.N)
    stage = max(products * tile.M * tile.N / 32, (copied + read) / SHARED_RATE, copied / CACHE_RATE)
    return -(-blocks // MULTIPROCESSORS) * (_stages(problem, layout, tile) * (stage + STAGE) + START / tile.blocks)


def _stages(problem: Problem, layout: Layout, tile: Tile) -> int:
    taps = prod(problem.kernel)
    return -(-taps * layout.each // 8) if tile.taps == 1 else taps * -(-layout.each // 8)


def _positions(problem: Problem, layout: Layout, tile: Tile, samples: int) -> int:
    """Pixels of the result; or of x, up to the last that is one of the result."""
    if tile.taps == 1:
        return samples * prod(problem.out_spatial)
    last = np.ravel_multi_index([n - 1 for n in problem.out_spatial], layout.size)
    return (samples - 1) * prod(layout.size) + int(last) + 1


def pieces_and_places(
    problem: Problem, layout: Layout, tile: Tile, w_steps: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """For each piece of a slot, where x has it, -1 for none; for each of a stage, where w has it, how many channels."""
    (KD, KH, KW), piece, each = problem.kernel, pieces_of(layout.kind), layout.each
    if tile.taps > 1:
        kd, kh, chunk, kw, j = (axis.ravel() for axis in np.indices((KD, KH, -(-each // 8), KW, 8)))
        j = chunk * 8 + j
    else:
        kd, kh, kw, j = (axis.ravel() for axis in np.indices((KD, KH, KW, each)))
        kd, kh, kw, j = (np.append(axis, np.zeros(-len(j) % 8, int) + last) for axis, last in
                         ((kd, 0), (kh, 0), (kw, 0), (j, each)))  # fmt: skip
    (dD, dH, dW), (_, d, h, w, _) = problem.dilation, layout.steps
    shown = layout.start * w + kd * dD * d + kh * dH * h + (kw * dW * w if tile.taps == 1 else 0) + j
    pieces = np.where(j < each, shown, -1).reshape(-1, tile.taps, 8)[:, 0]
    places = kd * w_steps[0] + kh * w_steps[1] + kw * w_steps[2] + j * piece * w_steps[3]
    counts = np.clip(problem.group_channels - j * piece, 0, piece)
    return pieces.ravel().astype(np.int32), np.stack([places * (counts > 0), counts], -1).astype(np.int64)


def plan_of(problem: Problem, x: Place, shared: bool) -> tuple[Layout, int, Tile]:
    """(how x lies, how many samples are laid out at a time, the tile)."""
    layout, samples = layout_of(problem, x), x.view.shape[0]
    most = samples if layout.in_place else max(1, MOST_BYTES // (layout.steps[0] * 16))
    part = -(-samples // max(1, -(-samples // most)))
    return layout, part, tile_of(problem, layout, part, shared)


@dataclass(frozen=True)
class Products:
    """The method. `shared`: stages of neighbouring taps may read the same rows of shared memory."""

    shared: bool
    CAPABILITY: ClassVar[tuple[int, int]] = (9, 0)

    def refusal(self, problem: Problem, x: Place, out: Place) -> str:
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
        if largest >= 2**31 - 512 or -(-problem.group_filters // 256) * 256 * products * problem.groups >= 2**31:
            return "only samples of 2**31 pieces, weights and results of 2**31 pixels"
        return ""

    def features(self, problem: Problem) -> tuple[str, ...]:
        """What is tried on a device before."""
        rows = self.shared and problem.stride == (1, 1, 1) and problem.kernel[2] > 1
        return ("copies", f"wgmma {kind_of(problem)}", *(("wgmma rows",) if rows else ()))

    def tables(self, problem: Problem, places: dict[str, Place]) -> dict[str, np.ndarray]:
        """Borders, pieces of x (some stages more: the kernel looks ahead), places of weights."""
        layout, _, tile = plan_of(problem, places["x"], self.shared)
        pieces, weights = pieces_and_places(problem, layout, tile, places["w"].steps)
        spare = np.full(8 * (tile.ahead + 2), -1, np.int32)
        return generic.tables(problem, places) | {"pieces": np.concatenate([pieces, spare]), "weights": weights.ravel()}

    def launches(self, problem: Problem, places: dict[str, Place]) -> Launches:
        """Weights packed once; for each part of the batch, x laid out and multiplied."""
        layout, part, tile = plan_of(problem, places["x"], self.shared)
        samples, across = places["x"].view.shape[0], -(-problem.group_filters // tile.filters)
        packed = problem.groups * across * _stages(problem, layout, tile) * layout.parts * tile.filters * ROW
        scratch = 0 if layout.in_place else (part * layout.steps[0] + layout.tail * layout.steps[3]) * 16
        places = places | {"packed": Place.room((packed,), "uint8"), "scratch": Place.room((scratch,), "uint8")}
        steps = []
        for first in range(0, samples, part):
            count = min(part, samples - first)
            steps += [] if layout.in_place else [_laying(problem, places, layout, first, count)]
            steps.append(_multiplying(problem, places, layout, tile, first, count))
        return Launches(tuple(steps), (_packing(problem, places, layout, tile),), packed, scratch)


def _packing(problem: Problem, places: dict[str, Place], layout: Layout, tile: Tile) -> Step:
    w, stages, across = places["w"], _stages(problem, layout, tile), -(-problem.group_filters // tile.filters)
    count = problem.groups * across * stages * tile.filters * 8
    numbers = (count, stages, across, problem.group_filters, w.steps[3], w.steps[4])
    parameters = (layout.kind, problem.w_dtype.name, tile.filters, layout.parts, THREADS)
    job = Job("warpgroup_operands.pack", parameters, (-(-count // THREADS), 1, 1), (numbers,))
    return Step.of(job, ("w", "packed", "weights"), places)


def _laying(problem: Problem, places: dict[str, Place], layout: Layout, first: int, count: int) -> Step:
    x, (D, H, W) = places["x"], layout.size
    piece, pieces = pieces_of(layout.kind), problem.groups * layout.each
    pixels = count * D * H * W + layout.tail
    total = -(-pixels // W) * W * pieces
    lanes = min(16 // x.view.itemsize, piece)
    whole = problem.group_channels % piece == 0 and x.together(4) >= lanes
    vector = problem.x_dtype in (np.float32, np.float16) and whole
    starts = np.cumsum([lo + hi for lo, hi in problem.pads]).tolist()
    borders = generic.has_borders(problem)
    numbers = (
        total, D, H, W, pieces * layout.parts, layout.each, problem.group_channels, *layout.los, *problem.spatial,
        *starts[:2], *x.steps, first * x.steps[0], pieces, pixels,
    )  # fmt: skip
    assert len(numbers) == X_NUMBERS
    fast = x.steps[4] <= x.steps[3]
    parameters = (layout.kind, problem.x_dtype.name, borders, fast, vector, layout.parts, THREADS)
    grid = (-(-total // THREADS), 1, 1)
    job = Job("warpgroup_operands.lay", parameters, grid, (numbers, generic.reals(problem)))
    return Step.of(job, ("x", "scratch", "table" if borders else "weights"), places)


def _multiplying(
    problem: Problem, places: dict[str, Place], layout: Layout, tile: Tile, first: int, count: int
) -> Step:
    out, bias, across = places["out"], places.get("bias"), -(-problem.group_filters // tile.filters)
    pixels_fast = out.steps[3] <= out.steps[4]
    together = _four(problem, out, pixels_fast) and not (pixels_fast and tile.taps > 1)
    parameters = (
        layout.kind, bias.view.dtype.name if bias else "", problem.result.name, problem.activation, problem.overflow,
        pixels_fast, 4 if together else 1, *tile,
    )  # fmt: skip
    sizes, positions = problem.out_spatial if tile.taps == 1 else layout.size, _positions(problem, layout, tile, count)
    strides = (step * stride for step, stride in zip(layout.steps[1:4], problem.stride, strict=True))
    numbers = (
        _stages(problem, layout, tile), across, positions + (tile.taps - 1) * tile.shift, *sizes,
        problem.group_filters, layout.steps[0],
        *strides, layout.steps[4], *out.steps, bias.steps[0] if bias else 0, first * out.steps[0], layout.each,
        *problem.out_spatial, positions,
    )  # fmt: skip
    blocks = -(-positions // tile.pixels) * across
    job = Job("warpgroup.make", parameters, (blocks, problem.groups, 1), (numbers, generic.reals(problem)))
    source = "x" if layout.in_place else "scratch"
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
