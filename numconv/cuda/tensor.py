"""Tensor cores, where fewer bits of a product than float32's are allowed: when, how tiles are chosen, what is launched.

`precision` is the least that is allowed; sums are of float32. The largest errors of a sum, relative to the sum of
the products' sizes, but for the sums' own, which are those of adding up float32 in another order:

    tf32     2**-10   factors are rounded to 11 bits
    bf16     2**-7    to 8 bits
    3xtf32   2**-21   factors are two of 11 bits: three products, the least is left out; no sum of a tensor core, which
                      cuts off what does not fit, is of more than two of them
    float16  0        whatever is allowed: products are exact

x is read where it lies if its channels are neighbours, in whole chunks of 16 bytes, and padding is zeros; or, if it is
float32, its pixels are, also in the result, and there are eight channels or more. Else a copy of it is: rounded, with
its padding, of all that a call needs. Complex numbers are read as pairs of channels, and written as pairs of filters.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import NamedTuple

import numpy as np

from .._problem import Problem
from . import generic
from .kernels.shapes import EXISTS, Matrix
from .launch import Job, Launches, Step
from .places import Place

FEWEST_PRODUCTS, FEWEST_FILTERS = 32, 16
"""Of a result; of a group."""
FEWEST_STEPS = 8
"""Of a part, where there are too few blocks for all multiprocessors."""
MULTIPROCESSORS = 132
TILES = (
    (Matrix("", False, 128, 128, 64, 64, 2, 2), 1.0),
    (Matrix("", False, 256, 64, 64, 64, 2, 2), 1.05),
    (Matrix("", False, 128, 64, 64, 32, 3, 2), 1.4),
    (Matrix("", False, 64, 64, 32, 32, 3, 4), 1.6),
)
SPLIT = (
    (Matrix("", True, 128, 128, 64, 32, 3, 1), 1.0),
    (Matrix("", True, 128, 64, 64, 32, 3, 2), 1.0),
    (Matrix("", True, 64, 64, 32, 32, 3, 3), 1.2),
)
"""Tiles of operands that are split need more registers and read less for each product. And how long a result takes, by
the bytes of shared memory that warps read: 64 x 64 as many as tensor cores keep up with, 64 x 32 half as many again."""
BITS = 29
"""Of a mask of taps: as many columns, rows and planes together."""
THREADS = 256
TINY = False
"""Tiles that the simulator computes in seconds, for tests."""


class Seen(NamedTuple):
    """What products read: x, or its copy `whose` is "scratch". Strides in elements."""

    whose: str
    steps: tuple[int, int, int, int]  # of sample, plane, row, column
    channel: int
    group: int
    spatial: tuple[int, int, int]
    los: tuple[int, int, int]
    bounded: bool  # taps may lie outside
    planes: int = 0  # neighbouring pixels of a channel that are copied at once; 0: neighbouring channels are


class Frame(NamedTuple):
    """How products are divided among blocks."""

    tile: Matrix
    seen: Seen
    total: int  # steps
    filters: int  # of a group, in whole tiles
    pixels: int
    groups: int
    parts: int = 1

    @property
    def blocks(self) -> int:
        """Of one part."""
        return -(-self.pixels // self.tile.BP) * (self.filters // self.tile.BF) * self.groups

    def divided(self) -> Frame:
        """With steps in parts, if blocks are too few: two for each multiprocessor."""
        parts = min(2 * MULTIPROCESSORS // self.blocks, self.total // FEWEST_STEPS)
        if 2 * self.blocks > MULTIPROCESSORS or parts < 2:
            return self
        return self._replace(parts=-(-self.total // -(-self.total // parts)))


def refusal(problem: Problem, x: Place, out: Place) -> str:
    """Why it does not compute a problem: "(it computes) only ..."; "" if it does."""
    if problem.precision == "ieee":
        return "only products that may be rounded"
    if problem.compute != np.float32 and not _real_parts(problem):
        return "only sums of float32, or complex64 by complex weights"
    problem = real_of(problem)
    products = prod(problem.kernel) * problem.group_channels
    if products < FEWEST_PRODUCTS or problem.group_filters < FEWEST_FILTERS:
        return f"only results of {FEWEST_PRODUCTS} products and groups of {FEWEST_FILTERS} filters"
    padded = prod(padded_of(problem)) * x.view.shape[0] * problem.groups * (problem.group_channels + 8)
    if max(padded, *map(_reach, (x, out)), problem.filters * products * 2 + 2**20) >= 2**31 or problem.groups > 65535:
        return "only arrays below 2**31 elements"
    return ""


def features(problem: Problem) -> tuple[str, ...]:
    """What is tried on a device before."""
    return "copies", kind_of(real_of(problem))[0]


def _real_parts(problem: Problem) -> int:
    """Of a channel, for complex64: 1 or 2; 0 where it is not computed."""
    padded = any(map(any, problem.pads)) and problem.pad_value != 0
    if not problem.compute == problem.w_dtype == problem.result == np.complex64 or problem.activation or padded:
        return 0
    return 2 if problem.x_dtype == np.complex64 else int(problem.x_dtype.kind == "f")


def real_of(problem: Problem) -> Problem:
    """The same in real numbers: the parts of complex ones are channels and filters of their own."""
    if problem.compute == np.float32:
        return problem
    parts, single = _real_parts(problem), np.dtype(np.float32)
    x_dtype = single if parts == 2 else problem.x_dtype
    channels, filters = parts * problem.channels, 2 * problem.filters
    return replace(
        problem, x_dtype=x_dtype, w_dtype=single, compute=single, result=single, channels=channels, filters=filters,
        pad_value=0.0,
    )  # fmt: skip


def _reach(place: Place) -> int:
    """Elements between the first and the last, or those of a step along an axis, which may have one element."""
    steps = [abs(step) for step in place.steps]
    return max(*steps, sum(step * (n - 1) for n, step in zip(place.view.shape, steps, strict=True)) + 1)


def padded_of(problem: Problem) -> tuple[int, int, int]:
    """(D, H, W) with padding."""
    d, h, w = (n + lo + hi for n, (lo, hi) in zip(problem.spatial, problem.pads, strict=True))
    return d, h, w


def kind_of(problem: Problem) -> tuple[str, bool]:
    """(the kind of operands, whether they are split)."""
    if problem.x_dtype == problem.w_dtype == np.float16:
        return "f16", False
    return ("bf16", False) if problem.precision == "bf16" else ("tf32", problem.precision == "3xtf32")


def tile_of(problem: Problem, samples: int) -> Matrix:
    """The tile that takes the least time, idle multiprocessors and filters that do not exist counted."""
    kind, split = kind_of(problem)
    if TINY:
        return Matrix(kind, split, 32, 16, 32, 16, 3, 1)
    pixels = prod(problem.out_spatial) * samples

    def time(choice: tuple[Matrix, float]) -> float:
        tile, factor = choice
        blocks = -(-pixels // tile.BP) * -(-problem.group_filters // tile.BF) * problem.groups
        return -(-blocks // MULTIPROCESSORS) * tile.BP * tile.BF * factor

    return min(SPLIT if split else TILES, key=time)[0]._replace(kind=kind)


def seen_of(problem: Problem, x: Place, out: Place, tile: Matrix) -> Seen:
    """Where x lies well, as it lies."""
    spatial, padding, pairs = padded_of(problem), any(map(any, problem.pads)), x.view.dtype.kind == "c"
    steps = (*x.steps[:4], 1) if pairs and x.steps[4] == 2 else x.steps
    direct = (
        problem.x_dtype == (np.float16 if tile.kind == "f16" else np.float32)
        and not (pairs and steps[4] != 1)
        and tile.kind != "bf16"
        and min(steps) >= 0
        and (not padding or (problem.pads_zeros and sum(problem.kernel) <= BITS))
    )
    planes = _planes(problem, x, out, tile) if direct else 0
    chunks = steps[4] == 1 and problem.group_channels % tile.chunk == 0 and x.address % 16 == 0
    if planes or (direct and chunks and not any(step % tile.chunk for step in steps[:4])):
        los = problem.pads[0][0], problem.pads[1][0], problem.pads[2][0]
        group = problem.group_channels * steps[4]
        return Seen("x", steps[:4], steps[4], group, problem.spatial, los, padding, planes)  # type: ignore[arg-type]
    group = -(-problem.group_channels // tile.chunk) * tile.chunk
    column = group * problem.groups
    row = column * spatial[2]
    steps = row * spatial[1] * spatial[0], row * spatial[1], row, column
    return Seen("scratch", steps, 1, group, spatial, (0, 0, 0), False)


def _planes(problem: Problem, x: Place, out: Place, tile: Matrix) -> int:
    """How many neighbouring pixels are copied at once; 0 where channels are neighbours, or too few."""
    (_, _, OH, OW, _), steps = out.view.shape, x.steps
    if tile.kind != "tf32" or _pixels_down(out) or steps[3] != 1 or problem.group_channels % 8:
        return 0
    pointwise = problem.kernel == problem.stride == (1, 1, 1) and problem.spatial == problem.out_spatial
    flat = steps[2] == OW and (steps[1] == OH * OW or problem.spatial[0] == 1)
    even = prod(problem.spatial) % 4 == 0 and x.address % 16 == 0 and not (steps[0] % 4 or steps[4] % 4)
    return 4 if pointwise and flat and even else 1


def _pixels_down(out: Place) -> bool:
    """Whether filters are neighbours in the result."""
    return out.steps[4] < out.steps[3]


def chunks_of(
    problem: Problem, seen: Seen, tile: Matrix, w_steps: tuple[int, ...], parts: int
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """(the table of steps, the table that weights are packed by); eight more chunks than the steps have."""
    (KD, KH, KW), C, CH = problem.kernel, problem.group_channels, tile.chunk
    kd, kh, kw, c = (axis.ravel() for axis in np.indices((KD, KH, KW, -(-C // CH))))
    order = np.argsort(c // 8, kind="stable")
    kd, kh, kw, c = kd[order], kh[order], kw[order], c[order]
    dD, dH, dW = problem.dilation
    distance = kd * dD * seen.steps[1] + kh * dH * seen.steps[2] + kw * dW * seen.steps[3] + c * CH * seen.channel
    bits = np.full(len(c), EXISTS)
    if seen.bounded:
        bits += (1 << kw) + (1 << (KW + kh)) + (1 << (KW + KH + kd))
    place = kd * w_steps[0] + kh * w_steps[1] + kw * w_steps[2] + c * CH // parts * w_steps[3]
    filling = -len(c) % 8
    steps = np.concatenate([(bits << 32) + distance, np.full(filling + 8, 1 << (32 + BITS))])
    steps = steps[:: 8 // CH] if seen.planes else steps
    weights = np.column_stack([place, np.minimum(C - c * CH, CH)])
    return steps.astype(np.int64), np.concatenate([weights, np.zeros((filling, 2), np.int64)]).astype(np.int64)


def tables(problem: Problem, places: dict[str, Place]) -> dict[str, np.ndarray]:
    """Borders, steps, and chunks of weights."""
    x, real, parts = places["x"], real_of(problem), 2 if problem.x_dtype.kind == "c" else 1
    tile = tile_of(real, x.view.shape[0])
    steps, chunks = chunks_of(real, seen_of(real, x, places["out"], tile), tile, places["w"].steps, parts)
    return generic.tables(problem, places) | {"steps": steps, "chunks": chunks}


def launches(problem: Problem, places: dict[str, Place]) -> Launches:
    """Weights are packed once; x is copied if it must be."""
    problem, x, samples = real_of(problem), places["x"], places["x"].view.shape[0]
    tile = tile_of(problem, samples)
    seen, total = seen_of(problem, x, places["out"], tile), places["chunks"].view.shape[0] // 8
    filters = -(-problem.group_filters // tile.BF) * tile.BF
    packed = Place.room((problem.groups * total * filters * 8 * tile.chunk,), tile.storage)
    frame = Frame(tile, seen, total, filters, prod(places["out"].view.shape[:4]), problem.groups).divided()
    copied = 0 if seen.whose == "x" else -(-samples * seen.steps[0] * packed.view.itemsize // 512) * 512
    scratch = copied + (frame.parts > 1) * frame.parts * frame.blocks * tile.BP * tile.BF * 4
    places = places | {"packed": packed, "scratch": Place.room((scratch,), "uint8")}
    steps = () if seen.whose == "x" else (_gather(problem, places, tile, seen),)
    packing = _pack(problem, places, tile, total, filters)
    return Launches(
        (*steps, *_main(problem, places, frame, copied // 512)), (packing,), packed.view.size * packed.view.itemsize,
        scratch,
    )  # fmt: skip


def _pack(problem: Problem, places: dict[str, Place], tile: Matrix, total: int, filters: int) -> Step:
    w, chunks = places["w"], problem.groups * total * filters * 8
    numbers = (chunks, filters, total, problem.group_filters, w.steps[4], w.steps[3], 0)
    kind = "float32" if tile.split else tile.kind
    pairs = 0 if w.view.dtype.kind != "c" else 2 if places["x"].view.dtype.kind == "c" else 1
    parameters = (w.view.dtype.name, kind, tile.storage, tile.chunk, THREADS, pairs)
    job = Job("tensor_copies.pack", parameters, (-(-chunks // THREADS), 1, 1), (numbers,))
    return Step.of(job, ("w", "packed", "chunks"), places)


def _gather(problem: Problem, places: dict[str, Place], tile: Matrix, seen: Seen) -> Step:
    x, C = places["x"], problem.group_channels
    chunks, per = seen.steps[3] // tile.chunk, seen.group // tile.chunk
    pixels, los = prod(seen.spatial) * x.view.shape[0], [lo for lo, _ in problem.pads]
    starts = np.cumsum([lo + hi for lo, hi in problem.pads]).tolist()
    kind = "float32" if tile.split else tile.kind
    borders = generic.has_borders(problem)
    numbers = (
        pixels, chunks, *seen.spatial, *los, *problem.spatial, *starts[:2], *x.steps, per, C, seen.steps[3],
    )  # fmt: skip
    grid = (-(-pixels // (THREADS // 4)), -(-chunks // 16), 1)
    parameters = (
        x.view.dtype.name, kind, tile.storage, tile.chunk, borders, problem.groups > 1, THREADS,
        x.view.dtype.kind == "c",
    )  # fmt: skip
    job = Job("tensor_copies.gather", parameters, grid, (numbers, generic.reals(problem)))
    return Step.of(job, ("x", "scratch", "table" if borders else "w"), places)


def _main(problem: Problem, places: dict[str, Place], frame: Frame, first: int) -> tuple[Step, ...]:
    """Products; where steps are divided, their sums are left in parts from 512 * `first` on, and added up after."""
    out, bias, (tile, seen, total, filters, pixels, groups, parts) = places["out"], places.get("bias"), frame
    pixels_down, pairs = _pixels_down(out), out.view.dtype.kind == "c"
    rounded, vector = seen.whose == "scratch" or tile.kind != "tf32" or tile.split, _vector(problem, out, pixels_down)
    ends = (bias.view.dtype.name if bias else "", problem.result.name, problem.activation, problem.overflow)
    numbers = (
        total, pixels, *problem.out_spatial, problem.group_filters, filters // tile.BF, filters, *seen.steps,
        seen.group, *problem.stride, *seen.los, *problem.dilation, *seen.spatial, *problem.kernel, *out.steps,
        bias.steps[0] if bias else 0, seen.channel, -(-total // parts), parts, first,
    )  # fmt: skip
    arguments, blocks, whole = (numbers, generic.reals(problem)), frame.blocks // groups, parts == 1
    near = prod(problem.kernel) > 1 and not (tile.split or seen.planes)
    leaving = (*(ends if whole else ("", "float32", "", "")), pixels_down, seen.bounded, rounded)
    parameters = (*leaving, vector if whole else 1, seen.planes, pairs, whole, near, *tile)
    added = "bias" if bias else "w"
    job = Job("tensor.make", parameters, (blocks, parts, groups), arguments)
    main = Step.of(job, (seen.whose, "packed", added if whole else "w", "out" if whole else "scratch", "steps"), places)
    if whole:
        return (main,)
    folding = Job("tensor.fold", (*ends, pixels_down, vector, pairs, *tile), (blocks, 1, groups), arguments)
    return main, Step.of(folding, ("scratch", added, "out"), places)


def _vector(problem: Problem, out: Place, pixels_down: bool) -> int:
    """4 where four results from a multiple of 4 on are neighbours in memory, on a boundary of their size."""
    steps, (_, OD, OH, OW, _) = out.steps, out.view.shape
    if problem.result not in (np.float32, np.float16) or out.address % (4 * problem.result.itemsize):
        return 1
    if pixels_down:
        even = (
            steps[4] == (2 if out.view.dtype.kind == "c" else 1)
            and problem.group_filters % 4 == 0
            and not any(step % 4 for step in steps[:4])
        )
    else:
        plane = OD * OH * OW
        flat = (OD == 1 or steps[1] == OH * OW) and (OH == 1 or steps[2] == OW) and (OW == 1 or steps[3] == 1)
        even = flat and plane % 4 == 0 and steps[0] % 4 == 0 and steps[4] % 4 == 0
    return 4 if even else 1
