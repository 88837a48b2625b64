"""The kernel for many channels in elements of 8 bytes: when it is taken, its tile, its steps, its weights packed."""

from __future__ import annotations

import math
from math import prod

import numpy as np

from .._problem import Problem
from . import generic
from .dense import FEWEST_FILTERS, FEWEST_PRODUCTS
from .dense_tiles import MULTIPROCESSORS
from .kernels.double_copies import BITS, MISSING, ROW
from .kernels.double_tile import AHEAD, DEPTH, Tile
from .kernels.kernel import storage_of
from .launch import Job, Launches, Step
from .places import Place

PIXELS, FILTERS = (128, 64, 32), (64, 32)
"""Of a block: the most that keep a GPU busy, and that are not many more than there are."""
THREADS = 256
"""Of a block of the packing kernel."""


def refusal(problem: Problem, x: Place, out: Place) -> str:
    """Why it does not compute a problem: "(it computes) only ..."; "" if it does."""
    parts = parts_of(problem)
    if problem.compute == np.float32 or problem.compute.kind not in "fc":
        return "only float64 and complex numbers"
    if storage_of(problem.x_dtype.name) != storage_of(problem.compute.name):
        return "only samples of the type of the sums"
    if prod(problem.kernel) * problem.group_channels < FEWEST_PRODUCTS or problem.group_filters < FEWEST_FILTERS:
        return f"only results of {FEWEST_PRODUCTS} products and groups of {FEWEST_FILTERS} filters"
    if problem.groups > generic.MOST or problem.group_filters > 2**20:
        return "only grids that there are"
    if prod(out.view.shape[:4]) >= 2**30 or steps_count(problem) * problem.filters >= 2**29:
        return "only results below 2**30 pixels, and as many weights"
    if max(n + lo + hi for n, (lo, hi) in zip(problem.spatial, problem.pads, strict=True)) >= 2**30:
        return "only axes below 2**30 samples"
    reaches = [(n - 1) * dilation for n, dilation in zip(problem.kernel, problem.dilation, strict=True)]
    if max(*reaches, problem.spatial[0] + sum(problem.pads[0])) >= 2 ** (BITS - 1):
        return f"only planes and taps within 2**{BITS - 1} samples"
    is_split = parts == "cf" and problem.compute == np.complex128
    if parts[0] == "c" and not is_split and not aligned(x, problem.x_dtype.itemsize):
        return "only complex numbers at multiples of their size"
    return "only padding with zeros" if is_split and is_padded(problem) else ""


def features(problem: Problem) -> tuple[str, ...]:
    """Of `probes`: complex64 needs no tensor cores."""
    return ("copies",) if problem.compute == np.complex64 else ("copies", "doubles")


def parts_of(problem: Problem) -> str:
    """Whether x and w are complex: "ff" to "cc"."""
    return "".join("c" if dtype.kind == "c" else "f" for dtype in (problem.x_dtype, problem.w_dtype))


def is_padded(problem: Problem) -> bool:
    """Whether padding is to be read: copies fill in 0.0 by themselves."""
    if problem.pad_mode != "constant" or not any(map(any, problem.pads)):
        return False
    return any(part != 0 or math.copysign(1, part) < 0 for part in generic.reals(problem)[:2])


def aligned(x: Place, size: int) -> bool:
    """Whether all elements along all axes but the channels' lie at multiples of so many bytes."""
    strides = [stride for n, stride in zip(x.view.shape[:4], x.view.strides, strict=False) if n > 1]
    return not any(number % size for number in (x.address, *strides))


def width_of(problem: Problem) -> int:
    """Real steps of the sums for each step of the problem."""
    return 2 if parts_of(problem) == "cc" and problem.compute == np.complex128 else 1


def steps_count(problem: Problem) -> int:
    """Steps, chains filled up."""
    width = width_of(problem)
    return sum(-(-(b - a) * (d - c) * width // DEPTH) * DEPTH for a, b, c, d in problem.chains())


def unit_of(problem: Problem, x: Place) -> int:
    """2 where two steps from an even one on are neighbours in memory, which are copied at once."""
    if width_of(problem) == 2:
        return 2
    item_bytes = problem.x_dtype.itemsize
    even = problem.group_channels % 2 == 0 and not any(end % 2 for chain in problem.chains() for end in chain[2:])
    near = x.view.strides[4] == item_bytes and aligned(x, 2 * item_bytes)
    apart = ("cf", np.complex128), ("fc", np.complex64)
    return 2 if even and near and (parts_of(problem), problem.compute) not in apart else 1


def tile_of(problem: Problem, x: Place, out: Place) -> Tile:
    """The largest that keeps a GPU busy, and is no wider than there are filters."""
    parts, unit = parts_of(problem), unit_of(problem, x)
    is_real = problem.compute != np.complex64
    pixels = prod(problem.out_spatial) * x.view.shape[0] * (2 if parts == "cf" and is_real else 1)
    filters = problem.group_filters * (2 if parts[1] == "c" and is_real else 1)
    P, F = _block(pixels, filters, problem.groups)
    along = unit == 2 and x.view.strides[4] == problem.x_dtype.itemsize
    scalar = "float64" if is_real else "float32"
    return Tile(scalar, P, F, unit, along, out.steps[3] <= out.steps[4])


def _block(pixels: int, filters: int, groups: int) -> tuple[int, int]:
    """Pixels and filters: wide blocks read less, narrow ones compute fewer filters that do not exist."""
    wide, narrow = (-(-filters // F) * F for F in (FILTERS[0], FILTERS[-1]))
    shapes = [(P, FILTERS[0]) for P in PIXELS] if wide <= 1.25 * narrow else []
    shapes += [(P, FILTERS[-1]) for P in (PIXELS[-1:] if shapes else PIXELS)]
    for P, F in shapes:
        if -(-pixels // P) * -(-filters // F) * groups >= MULTIPROCESSORS:
            return P, F
    return shapes[-1]


def steps_of(problem: Problem, x: Place, w: Place) -> np.ndarray:
    """int64, flat: `ROW` numbers a step, as `kernels.double_copies` has them, chains filled up to whole DEPTHs.

    Behind them as many as are copied ahead, that do not exist; then, for each DEPTH, whether it ends a chain.
    """
    (_, KH, _), C, depth = problem.kernel, problem.group_channels, DEPTH // width_of(problem)
    filling = np.array([[MISSING << (2 * BITS), 0, 0, 0]])
    bits = np.array([1 << (2 * BITS), 1 << BITS, 1])
    parts, ends = [], []
    for first, last, begin, end in problem.chains():
        row, step = np.divmod(np.arange((last - first) * (end - begin)), end - begin)
        (kd, kh), (kw, c) = np.divmod(row + first, KH), np.divmod(step + begin, C)
        taps = np.stack([kd, kh, kw, c], axis=1)
        places = taps * [*problem.dilation, 1]
        part = np.zeros((len(row), ROW), np.int64)
        part[:, 0], part[:, 1] = places[:, :3] @ bits, places @ np.array(x.steps[1:])
        part[:, 2] = taps @ np.array(w.steps[:4])
        parts += [part, np.tile(filling, (-len(part) % depth, 1))]
        ends += [0] * (-(-len(part) // depth) - 1) + [1]
    parts.append(np.tile(filling, (AHEAD * depth, 1)))
    return np.concatenate([np.concatenate(parts).ravel(), ends]).astype(np.int64)


def tables(problem: Problem, places: dict[str, Place]) -> dict[str, np.ndarray]:
    """Borders, steps, and what padding shows."""
    found = generic.tables(problem, places) | {"steps": steps_of(problem, places["x"], places["w"])}
    if is_padded(problem):
        re, im, _ = generic.reals(problem)
        value = np.array([re, im] if problem.x_dtype.kind == "c" else [re, re])
        found["pads"] = np.tile(value, 2).astype(storage_of(problem.x_dtype.name))
    return found


def launches(problem: Problem, places: dict[str, Place]) -> Launches:
    """Weights are packed once; then one kernel."""
    x, bias, out, steps = places["x"], places.get("bias"), places["out"], places["steps"]
    tile, parts = tile_of(problem, x, out), parts_of(problem)
    filters = problem.group_filters * (2 if parts[1] == "c" and tile.tensor else 1)
    pixels = prod(out.view.shape[:4]) * (2 if parts == "cf" and tile.tensor else 1)
    blocks = -(-filters // tile.F)
    stages = steps_count(problem) // DEPTH
    room = Place.room((problem.groups * blocks * stages * tile.w_size * (1 if tile.tensor else 2),), tile.scalar)
    places = places | {"packed": room}
    borders, padded = generic.has_borders(problem), is_padded(problem)
    parameters = (
        parts, bias.view.dtype.name if bias else "", problem.result.name, problem.activation, problem.overflow,
        borders, padded, len(problem.chains()) > 1, *tile,
    )  # fmt: skip
    numbers = _numbers(problem, places, (stages, steps.view.size - stages, pixels), filters, blocks)
    grid = (-(-pixels // tile.P), blocks, problem.groups)
    pointers = (
        "x", "packed", "bias" if bias else "packed", "out", "table" if borders else "steps",
        "pads" if padded else "packed", "steps",
    )  # fmt: skip
    job = Job("double.make", parameters, grid, (numbers, generic.reals(problem)))
    packing = _packing(problem, places, tile, (stages, blocks, filters))
    return Launches((Step.of(job, pointers, places),), (packing,), room.view.nbytes)


def _packing(problem: Problem, places: dict[str, Place], tile: Tile, sizes: tuple[int, int, int]) -> Step:
    stages, blocks, filters = sizes
    parameters = (problem.w_dtype.name, tile.scalar, parts_of(problem), tile.F)
    elements = problem.groups * blocks * stages * tile.w_size
    numbers = (elements, stages, blocks, filters, places["w"].steps[4])
    job = Job("double.packing", parameters, (-(-elements // THREADS), 1, 1), (numbers,))
    return Step.of(job, ("w", "packed", "steps"), places)


def _numbers(
    problem: Problem, places: dict[str, Place], sizes: tuple[int, int, int], filters: int, blocks: int
) -> tuple[int, ...]:  # fmt: skip
    """As the kernel takes them apart."""
    x, bias, out = places["x"], places.get("bias"), places["out"]
    starts = np.cumsum([lo + hi for lo, hi in problem.pads]).tolist()
    los = [lo for lo, _ in problem.pads]
    return (
        *sizes, *problem.out_spatial, filters, problem.group_channels * x.steps[4], *x.steps[:4], *problem.stride,
        *los, *problem.spatial, *starts[:2], *out.steps, bias.steps[0] if bias else 0, blocks,
    )  # fmt: skip
