"""Method "fft": overlap-save, by the transforms of the caller's library; for filters of many taps and few channels.

Tiles of x overlap by a filter less a sample; their spectra are multiplied by those of filters and summed over channels.
Transforms back begin with the results of a tile. PyTorch or CuPy transform; kernels do the rest (`kernels.spectra`), so
no library's setting of lower precision has a say. Some tiles at a time: a turn takes `TURN_BYTES` of the library's
memory at the most, unless one tile takes more, beside what cuFFT takes itself. Spectra of filters are kept by plans:
for each filter and channel 2 * (L/2 + 1) numbers, L the samples of a tile; while they are made, twice as many.

Errors are those that are promised of "fft" on a CPU. Tiles and filters with samples that are not finite, or of a size
whose products might leave the type, are left to sums of products, as is decided on the GPU.

Nothing of it is measured, so "auto" does not take it. Lengths are powers of two, at which cuFFT is known to be good;
their cost is a model: transforms, and a constant for what reads and writes a sample. Products of spectra read those of
x once for `SPECTRA_TOGETHER` filters and those of filters once for each tile, from caches at best: many channels and
filters are better off with `dense`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from math import log2, prod
from typing import NamedTuple

import numpy as np

from .._problem import Problem, Triple
from . import generic
from .kernels.shapes import SPECTRA_MARKS, SPECTRA_SAMPLES, SPECTRA_TOGETHER
from .launch import Job, Launches, Step
from .places import Place

THREADS = 256
TURN_BYTES, MOST_BYTES = 256 << 20, 1 << 30
"""Of the tiles of a turn, unless one tile takes more; of a tile, and of the filters' spectra."""
LONGEST, LARGEST = 1 << 20, 1 << 22
"""Samples of a tile along an axis, and in all."""
PASSES = 8.0
"""What is read and written of a sample, as factors log2(L) of transforms."""


class Tiling(NamedTuple):
    """Samples of a tile along D, H and W; the results of it; tiles along the axes; sizes that they have in memory."""

    sizes: Triple
    valid: Triple
    along: Triple
    channels: int
    filters: int
    group_channels: int
    compute: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what is transformed: axes with more than one sample."""
        return tuple(size for size in self.sizes if size > 1)

    @property
    def bits(self) -> tuple[int, int]:
        """Of places along H and W."""
        return self.sizes[1].bit_length() - 1, self.sizes[2].bit_length() - 1

    @property
    def bins(self) -> int:
        """Frequencies that are kept of real samples."""
        return prod(self.shape[:-1]) * (self.shape[-1] // 2 + 1)

    @property
    def tile_bytes(self) -> int:
        """Of a tile: its samples and spectra, of channels and of filters."""
        samples = 2 * (self.channels + self.filters) * prod(self.sizes)
        return samples * np.dtype(self.compute).itemsize

    @property
    def filter_bytes(self) -> int:
        """Of the filters' spectra."""
        return 2 * self.filters * self.group_channels * self.bins * np.dtype(self.compute).itemsize

    @property
    def tiles(self) -> int:
        """Of a sample."""
        return prod(self.along)

    def turns(self, samples: int) -> Iterator[tuple[int, int]]:
        """(the first tile, how many) of each turn."""
        every, most = samples * self.tiles, min(max(TURN_BYTES // self.tile_bytes, 1), generic.MOST)
        for first in range(0, every, most):
            yield first, min(most, every - first)


def unfit(problem: Problem) -> str:
    """Why it does not compute a problem: "(it computes) only ..."; "" if it does."""
    if problem.compute.kind != "f":
        return "only for real sums in floating point"
    if any(step != 1 for step in (*problem.stride, *problem.dilation)):
        return "only with stride and dilation 1"
    if prod(problem.kernel) == 1:
        return "only for filters of more than one tap"
    if max(problem.channels, problem.filters) > generic.MOST:
        return f"only for up to {generic.MOST} channels and filters"
    return "" if tiling_of(problem) else f"only where a tile, and the filters' spectra, take up to {MOST_BYTES} bytes"


def refusal(problem: Problem, x: Place, out: Place) -> str:
    """As `unfit`, and for sizes beyond its indices."""
    found = tiling_of(problem)
    if found and len(x.view) * found.tiles >= generic.MOST_PIXELS:
        return "only for up to 2**31 - 1 tiles"
    return unfit(problem) or generic.refusal(problem, x, out)


tables = generic.tables


def tiling_of(problem: Problem) -> Tiling | None:
    """The one that takes least, by a model; None where none is small enough."""
    return _tiling(
        problem.kernel, problem.out_spatial, problem.channels, problem.filters, problem.group_channels,
        problem.compute.name,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _tiling(kernel: Triple, results: Triple, C: int, F: int, GC: int, compute: str) -> Tiling | None:
    found, least = None, np.inf
    for d, h, w in product(*map(_lengths, kernel, results)):
        sizes, length = (d, h, w), d * h * w
        valid = d - kernel[0] + 1, h - kernel[1] + 1, w - kernel[2] + 1
        along = -(-results[0] // valid[0]), -(-results[1] // valid[1]), -(-results[2] // valid[2])
        tiling, cost = Tiling(sizes, valid, along, C, F, GC, compute), prod(along) * length * (log2(length) + PASSES)
        fits = length <= LARGEST and max(tiling.tile_bytes, tiling.filter_bytes) <= MOST_BYTES
        if fits and cost < least:
            found, least = tiling, cost
    return found


def _lengths(taps: int, results: int) -> list[int]:
    """Of a tile along an axis: powers of two, up to the first that all samples fit."""
    if taps == 1:
        return [1]
    shortest, longest = (int(n - 1).bit_length() for n in (max(taps + 1, 4), max(results + taps - 1, 4)))
    return [1 << n for n in range(shortest, max(shortest, longest) + 1) if 1 << n <= LONGEST]


def launches(problem: Problem, places: dict[str, Place]) -> Launches:
    """No marks, then for each turn: tiles, products, results. `transforms.queue` has the library transform between."""
    tiling = tiling_of(problem)
    assert tiling is not None
    x, samples = places["x"], prod(tiling.sizes)
    marks = {"scratch": _marks(len(x.view) * tiling.tiles), "packed": _marks(problem.filters)}
    filters = problem.filters * problem.group_channels
    kept = marks | {"filters": _room(tiling, 2 * filters * tiling.bins), "taps": _room(tiling, filters * samples)}
    steps = [_clear("scratch", marks)]
    turns = tuple(tiling.turns(len(x.view)))
    for first, count in turns:
        rooms = {
            "tiles": _room(tiling, count * tiling.channels * samples),
            "spectra": _room(tiling, 2 * count * tiling.channels * tiling.bins),
            "products": _room(tiling, 2 * count * tiling.filters * tiling.bins),
            "sums": _room(tiling, count * tiling.filters * samples),
        }
        here = places | kept | rooms
        steps += [
            _gather(problem, tiling, first, count, here),
            _multiply(problem, tiling, count, here),
            _store(problem, tiling, first, count, here),
        ]
    packing = (_clear("packed", marks), _pack(problem, tiling, places | kept))
    sizes = {"packed": marks["packed"].view.nbytes, "scratch": marks["scratch"].view.nbytes}
    return Launches(tuple(steps), packing, **sizes, tiling=tiling, turns=tuple(count for _, count in turns))


def _marks(count: int) -> Place:
    return Place.room((SPECTRA_MARKS * count,), "int32")


def _room(tiling: Tiling, count: int) -> Place:
    return Place.room((count,), tiling.compute)


def _clear(whose: str, places: dict[str, Place]) -> Step:
    count = places[whose].view.size
    return Step.of(Job("spectra.clear", (THREADS,), (-(-count // THREADS), 1, 1), ((count,),)), (whose,), places)


def _gather(problem: Problem, tiling: Tiling, first: int, count: int, places: dict[str, Place]) -> Step:
    borders, samples = generic.has_borders(problem), prod(tiling.sizes)
    padded = [n + lo + hi for n, (lo, hi) in zip(problem.spatial, problem.pads, strict=True)]
    starts = np.cumsum([lo + hi for lo, hi in problem.pads]).tolist()
    numbers = (
        samples, *tiling.bits, *tiling.valid, *tiling.along, first, *problem.spatial,
        *(lo for lo, _ in problem.pads), *padded, *starts[:2], *places["x"].steps,
    )  # fmt: skip
    job = Job(
        "spectra.gather", (problem.x_dtype.name, tiling.compute, borders, THREADS),
        (-(-samples // (THREADS * SPECTRA_SAMPLES)), problem.channels, count), (numbers, generic.reals(problem)),
    )  # fmt: skip
    return Step.of(job, ("x", "tiles", "scratch", "table" if borders else "w"), places)


def _pack(problem: Problem, tiling: Tiling, places: dict[str, Place]) -> Step:
    samples = prod(tiling.sizes)
    numbers = (samples, *tiling.bits, *problem.kernel, *places["w"].steps, problem.group_channels)
    grid = (-(-samples // THREADS), problem.filters, problem.group_channels)
    job = Job("spectra.pack", (problem.w_dtype.name, tiling.compute, THREADS), grid, (numbers,))
    return Step.of(job, ("w", "taps", "packed"), places)


def _multiply(problem: Problem, tiling: Tiling, count: int, places: dict[str, Place]) -> Step:
    together = next(n for n in (1, 2, SPECTRA_TOGETHER) if n >= min(problem.group_filters, SPECTRA_TOGETHER))
    blocks = -(-problem.group_filters // together)
    numbers = (
        tiling.bins, problem.channels, problem.filters, problem.group_filters, problem.group_channels, blocks,
    )  # fmt: skip
    grid = (-(-tiling.bins // THREADS), problem.groups * blocks, count)
    job = Job("spectra.multiply", (tiling.compute, together, THREADS), grid, (numbers,))
    return Step.of(job, ("spectra", "filters", "products"), places)


def _store(problem: Problem, tiling: Tiling, first: int, count: int, places: dict[str, Place]) -> Step:
    out, bias, borders = places["out"], places.get("bias"), generic.has_borders(problem)
    lanes = 32 if problem.filters >= 16 and out.steps[4] < out.steps[3] else 1
    parameters = (
        problem.x_dtype.name, problem.w_dtype.name, bias.view.dtype.name if bias else "", tiling.compute,
        problem.result.name, problem.activation, problem.overflow, borders, lanes, THREADS,
    )  # fmt: skip
    pixels = THREADS // lanes
    grid = (-(-prod(tiling.sizes) // pixels), -(-problem.filters // lanes), count)
    more = (*tiling.valid, *tiling.along, first, *tiling.bits, prod(tiling.sizes))
    numbers = (*generic.numbers_of(problem, places["x"], places["w"], bias, out), *more)
    pointers = ("x", "w", "bias" if bias else "w", "out", "table" if borders else "w", "sums", "scratch", "packed")
    job = Job("spectra.store", parameters, grid, (numbers, generic.reals(problem)))
    return Step.of(job, pointers, places)
