"""The kernel for many channels and filters: when it is taken, its tables, what its launches are told.

Three kernels at most: weights are packed when they are new; `dense` computes; where blocks compute one chain each,
another adds up what they leave.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np

from .._problem import Problem
from . import dense_tiles, generic
from .kernels.dense_tile import NOTHING, NOWHERE, PACKING, RAGGED, WEIGHTS, Tile
from .launch import Job, Launches, Step
from .places import Place

FEWEST_PRODUCTS, FEWEST_FILTERS = 16, 8
"""Of a result; of a group."""
LARGEST = 128
"""Filters and pixels of a block."""
BITS = 29
"""Taps along axes that are padded: a bit of a mask each."""


class Choice(NamedTuple):
    """How x is gathered, so many steps of one tap at once; the tile; whether blocks compute one chain each."""

    gather: str
    span: int
    tile: Tile
    split: bool


def refusal(problem: Problem, x: Place, out: Place) -> str:
    """Why it does not compute a problem: "(it computes) only ..."; "" if it does."""
    if problem.compute.kind != "f":
        return "only real sums"
    products = prod(problem.kernel) * problem.group_channels
    if products < FEWEST_PRODUCTS or problem.group_filters < FEWEST_FILTERS:
        return f"only results of {FEWEST_PRODUCTS} products and groups of {FEWEST_FILTERS} filters"
    tiles = -(-problem.group_filters // 32) * problem.groups
    if tiles > generic.MOST or products * LARGEST * 2 >= 2**31:
        return "only grids that there are"
    pixels = prod(out.view.shape[:4])
    if pixels >= 2**31 - LARGEST or -(-pixels // 64) * tiles >= 2**31:
        return "only results below 2**31 pixels"
    if max(n + lo + hi for n, (lo, hi) in zip(problem.spatial, problem.pads, strict=True)) >= 2**31:
        return "only axes below 2**31 samples"
    return ""


def features(problem: Problem) -> tuple[str, ...]:
    """What is tried of a device before."""
    return ("copies",)


def choice(problem: Problem, x: Place, out: Place) -> Choice:
    """For arrays as they lie in memory."""
    item_bytes = problem.compute.itemsize
    depth, vector = 64 // item_bytes, 16 // item_bytes
    ends = [end for chain in problem.chains() for end in chain[2:]]
    span = next(n for n in (depth, 8, vector, 1) if not any(end % n for end in (*ends, problem.group_channels)))
    lengths = stages_of(problem, depth)
    size = dense_tiles.Size(
        prod(out.view.shape[:4]), problem.group_filters, problem.groups, len(lengths), sum(lengths), max(lengths)
    )
    gather = gather_of(problem, x)
    tile, split = dense_tiles.best(size, out.steps[3] <= out.steps[4], gather, item_bytes)
    return Choice(gather, span, tile, split)


def gather_of(problem: Problem, x: Place) -> str:
    """As `kernels.dense_gather` has them."""
    reach = sum(
        abs(step) * (n - 1) * dilation
        for step, n, dilation in zip(x.steps[1:4], problem.kernel, problem.dilation, strict=True)
    )
    bits = sum(n for n, pads in zip(problem.kernel, problem.pads, strict=True) if any(pads))
    if generic.has_borders(problem) or bits > BITS or reach + abs(x.steps[4]) * (problem.group_channels - 1) >= 2**31:
        return "borders"
    if problem.x_dtype != problem.compute or (any(map(any, problem.pads)) and problem.pad_value != 0):
        return "registers"
    vector = 16 // problem.compute.itemsize
    steps = [step for step, n in zip(x.steps[:4], x.view.shape[:4], strict=True) if n > 1]
    aligned = x.address % 16 == 0 and not any(step % vector for step in steps)
    return "units" if problem.group_channels % vector == 0 and x.steps[4] == 1 and aligned else "singles"


def lead_of(problem: Problem, begin: int) -> int:
    """Steps that fill a chain in front, so that those of a tap come by 16 bytes wherever chains are cut."""
    vector = 16 // problem.compute.itemsize
    return begin % vector if problem.group_channels % vector == 0 else 0


def stages_of(problem: Problem, depth: int) -> list[int]:
    """Of each chain: all the same but the last of a period."""
    period = period_of(problem)
    found = [
        -(-(lead_of(problem, begin) + (last - first) * (end - begin)) // depth)
        for first, last, begin, end in problem.chains()
    ]
    most = max((n for i, n in enumerate(found) if (i + 1) % period), default=0)
    return [most if (i + 1) % period else n for i, n in enumerate(found)]


def period_of(problem: Problem) -> int:
    """After so many chains, all of one length but the last, the lengths come again: those of a tap row, or all."""
    chains = problem.chains()
    whole = chains[0][3] == problem.kernel[2] * problem.group_channels
    return len(chains) if whole else sum(chain[0] == chains[0][0] for chain in chains)


def taps_of(problem: Problem, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """int64 (steps, 4): kd, kh, kw and channel of all steps in order; bool: which of them only fill up chains.

    Steps that fill are what lies there along the row, or beyond it.
    """
    (_, KH, _), C, parts, filling = problem.kernel, problem.group_channels, [], []
    for (first, last, begin, end), stages in zip(problem.chains(), stages_of(problem, depth), strict=True):
        lead, steps = lead_of(problem, begin), (last - first) * (end - begin)
        number = np.arange(stages * depth) - lead
        row, step = np.divmod(np.maximum(number, 0), end - begin)
        (kd, kh), (kw, c) = np.divmod(row + first, KH), np.divmod(step + begin + np.minimum(number, 0), C)
        parts.append(np.column_stack([kd, kh, kw, c]))
        filling.append((number < 0) | (number >= steps))
    return np.concatenate(parts), np.concatenate(filling)


def steps_of(problem: Problem, x_steps: tuple[int, ...], found: Choice) -> np.ndarray:
    """int32, flat: what `kernels.dense_gather` looks up, those steps of a stage together that a thread copies."""
    tile = found.tile
    (taps, filling), dilation = taps_of(problem, tile.depth), np.array(problem.dilation)
    if found.gather == "borders":
        rows = np.column_stack([taps[:, :3] * dilation, taps[:, 3]])
        rows[filling] = 0, 0, 0, -1
    else:
        offsets = taps @ np.array([*(np.array(x_steps[1:4]) * dilation), x_steps[4]])
        needs, bit = np.ones(len(taps), np.int64), 1
        for axis, (n, pads) in enumerate(zip(problem.kernel, problem.pads, strict=True)):
            if any(pads):
                needs |= np.int64(1) << (bit + np.minimum(taps[:, axis], n - 1))
                bit += n
        needs[filling] = NOTHING
        units = filling.reshape(-1, tile.vector)
        offsets[np.repeat(units.all(1), tile.vector)] = 0
        if tile.units:
            needs.reshape(-1, tile.vector)[units.any(1) & ~units.all(1), 0] |= RAGGED
        rows = np.column_stack([offsets, needs])
    parts = 1 if tile.units else tile.parts
    rows = rows.reshape(-1, tile.depth // parts, parts, rows.shape[1]).transpose(0, 2, 1, 3)
    if found.gather != "borders":
        rows = rows.reshape(-1, tile.depth, 2).transpose(0, 2, 1)
    return np.ascontiguousarray(rows, np.int32).ravel()


def tables(problem: Problem, places: dict[str, Place]) -> dict[str, np.ndarray]:
    """Borders, steps, and the places of weights."""
    found = choice(problem, places["x"], places["out"])
    (taps, filling), w_steps = taps_of(problem, found.tile.depth), places["w"].steps
    weights = np.where(filling, NOWHERE, taps @ np.array(w_steps[:4]))
    steps = steps_of(problem, places["x"].steps, found)
    return generic.tables(problem, places) | {"steps": steps, "weights": weights.astype(np.int64)}


def launches(problem: Problem, places: dict[str, Place]) -> Launches:
    """Packing; products; sums of chains, if blocks have one each."""
    out, compute = places["out"], problem.compute.name
    found = choice(problem, places["x"], out)
    tile, rows = found.tile, places["weights"].view.size
    tiles = -(-problem.group_filters // tile.BF)
    packed = Place.room((tiles * problem.groups * rows * tile.BF,), compute)
    places = places | {"packed": packed}
    packing = _packing(problem, places, tile, tiles)
    if not found.split:
        return Launches((_products(problem, places, found, "out", out.steps),), packing, packed.view.nbytes)
    room, strides = scratch(problem, out, tile)
    places = places | {"scratch": room}
    steps = (_products(problem, places, found, "scratch", strides), _sums(problem, places, strides))
    return Launches(steps, packing, packed.view.nbytes, room.view.nbytes)


def _packing(problem: Problem, places: dict[str, Place], tile: Tile, tiles: int) -> tuple[Step, ...]:
    w, rows, threads = places["w"], places["weights"].view.size, PACKING
    parameters = (problem.w_dtype.name, problem.compute.name, tile.BF, threads)
    grid = (-(-rows * tile.BF // (threads * WEIGHTS)), tiles * problem.groups, 1)
    numbers = (rows, tiles, problem.group_filters, w.steps[4])
    return (Step.of(Job("dense_steps.pack", parameters, grid, (numbers,)), ("w", "packed", "weights"), places),)


def _products(
    problem: Problem, places: dict[str, Place], found: Choice, target: str, out_steps: tuple[int, ...]
) -> Step:
    """Into the result, or what blocks leave of single chains."""
    x, bias, tile = places["x"], None if found.split else places.get("bias"), found.tile
    pixels, tiles = prod(places["out"].view.shape[:4]), -(-problem.group_filters // tile.BF)
    lengths, period, compute = stages_of(problem, tile.depth), period_of(problem), problem.compute.name
    parameters = (
        problem.x_dtype.name, bias.view.dtype.name if bias else "", compute,
        compute if found.split else problem.result.name, "" if found.split else problem.activation,
        problem.overflow, found.gather, found.span, vector_of(problem, places, found, out_steps),
        len(lengths) > 1, found.split, tile.BF, tile.BP, tile.pixels_fast,
    )  # fmt: skip
    padded = [n if any(pads) else 0 for n, pads in zip(problem.kernel, problem.pads, strict=True)]
    starts = np.cumsum([lo + hi for lo, hi in problem.pads]).tolist()
    numbers = (
        sum(lengths), len(lengths), period, pixels, *problem.out_spatial, problem.group_filters, tiles,
        tiles * problem.groups, *x.steps, *problem.stride, *(lo for lo, _ in problem.pads), *problem.spatial,
        *starts[:2], problem.group_channels, *padded, *problem.dilation, bias.steps[0] if bias else 0, *out_steps,
        lengths[0], lengths[period - 1],
    )  # fmt: skip
    grid = (-(-pixels // tile.BP) * tiles * problem.groups, 1, len(lengths) if found.split else 1)
    pointers = (
        "x",
        "packed",
        "bias" if bias else "packed",
        target,
        "table" if "table" in places else "weights",
        "steps",
    )
    return Step.of(Job("dense.make", parameters, grid, (numbers, generic.reals(problem))), pointers, places)


def vector_of(problem: Problem, places: dict[str, Place], found: Choice, steps: tuple[int, ...]) -> str:
    """Whether neighbouring "filters" or "pixels" can be stored by 16 bytes: all of them or none exist."""
    out, tile = places["out"], found.tile
    vector, F = tile.vector, problem.group_filters
    if found.split:
        even = problem.groups == 1 or F % vector == 0
        return "pixels" if steps[0] == 1 else "filters" if even else ""
    plain = problem.result == problem.compute and problem.activation in ("", "relu", "leaky_relu")
    if not plain or out.address % 16:
        return ""
    N, OD, OH, OW, _ = out.view.shape
    if steps[4] == 1 and F % vector == 0:
        others = [step for step, n in zip(steps[:4], (N, OD, OH, OW), strict=True) if n > 1]
        return "" if any(step % vector for step in others) else "filters"
    rows = (OD == 1 or steps[1] == OH * OW) and (OH == 1 or steps[2] == OW) and (OW == 1 or steps[3] == 1)
    others = [steps[4], *([steps[0]] if N > 1 else [])]
    whole = rows and OD * OH * OW % vector == 0 and not any(step % vector for step in others)
    return "pixels" if whole and not tile.units else ""


def scratch(problem: Problem, out: Place, tile: Tile) -> tuple[Place, tuple[int, ...]]:
    """(sums of single chains, their strides): of pixels first, of chains second, of filters last, as those of `out`."""
    pixels, filters = prod(out.view.shape[:4]), problem.filters
    chains, vector = len(problem.chains()), tile.vector
    by_pixels = out.steps[3] <= out.steps[4] and not tile.units
    lines, along = (filters, pixels) if by_pixels else (pixels, filters)
    pitch = -(-along // vector) * vector
    of_pixels, of_filters = (1, pitch) if by_pixels else (pitch, 1)
    return Place.room((chains, lines, pitch), problem.compute.name), (of_pixels, lines * pitch, 0, 0, of_filters)


def _sums(problem: Problem, places: dict[str, Place], strides: tuple[int, ...]) -> Step:
    """Of chains, in order, and all that is left to do."""
    out, bias, threads = places["out"], places.get("bias"), PACKING
    pixels = prod(out.view.shape[:4])
    parameters = (
        bias.view.dtype.name if bias else "", problem.compute.name, problem.result.name, problem.activation,
        problem.overflow, strides[0] == 1, threads,
    )  # fmt: skip
    numbers = (
        len(problem.chains()), problem.filters, pixels, strides[0], strides[4], strides[1], *problem.out_spatial,
        bias.steps[0] if bias else 0, *out.steps,
    )  # fmt: skip
    job = Job(
        "dense_steps.add",
        parameters,
        (-(-pixels * problem.filters // threads), 1, 1),
        (numbers, generic.reals(problem)),
    )
    return Step.of(job, ("scratch", "bias" if bias else "scratch", "out"), places)
