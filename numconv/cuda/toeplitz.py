"""Long filters of signals of one channel on tensor cores: products of matrices whose diagonals are the filters.

A signal in blocks of B samples has B channels. Result j of a block is one of B filters, which has tap k at channel c of
block b where b*B + c - j = k: zeros elsewhere, B - 1 at least of each filter. Another method computes that, of samples
that are copied with their padding, into sums that are read once more, for bias, activation and conversion.

Where it is taken is an estimate, which no GPU has confirmed: of the time per result of a filter, against that of K
multiply-adds at 3/4 of an H100's 33e12 a second,

    products    (blocks of the filter)*B, a part of which waits for shared memory where there are few filters
    bytes       16 of a result: sums that are written and read, the result, samples that products read; and 16/F of
                samples that are copied twice at most; at 3e12 a second
    START       of a call: four launches instead of one

So a single filter takes about 390 taps of tf32 to pay, 320 of float16 or bf16, 900 of 3xtf32; one of a dozen about half
as many.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from .._problem import Problem
from . import generic
from .kernels.toeplitz import EACH
from .launch import Job, Launches, Step
from .places import Place

THREADS = 256
LINE = 512
"""Bytes, to whose multiples parts of memory are aligned."""
FEWEST_TAPS = 64
MOST_BYTES = 1 << 30
"""Of samples and sums."""
BLOCKS = (32, 64, 128)
"""Samples that may be one."""
RATES = {"3xtf32": 66e12, "tf32": 200e12, "bf16": 400e12}
"""Products a second of tensor cores: four fifths of what an H100's data sheet says."""
MULTIPLY_ADDS, BYTES, START = 25e12, 3e12, 10e-6


class Blocked(NamedTuple):
    """A problem in blocks: samples of one, of a filter, of a signal, of its results."""

    size: int
    taps: int
    samples: int
    results: int

    @property
    def length(self) -> int:
        """Of a signal."""
        return self.samples * self.size


def blocked(problem: Problem) -> Blocked:
    """With blocks that take the least time: products by the shared memory that they read."""

    def taps(size: int) -> int:
        return -(-(problem.kernel[2] - 1) // size) + 1

    size = min(BLOCKS, key=lambda size: taps(size) * size * _crowding(problem, size))
    results = -(-problem.out_spatial[2] // size)
    return Blocked(size, taps(size), results + taps(size) - 1, results)


def _crowding(problem: Problem, size: int) -> float:
    return 1 + 64 / min(size * problem.filters, 256)


def pays(problem: Problem, samples: int) -> bool:
    """Whether it should take less time than multiply-adds, as estimated."""
    found, F = blocked(problem), problem.filters
    results, computed = (samples * n * F for n in (problem.out_spatial[2], found.results * found.size))
    rate = RATES["bf16" if kind_of(problem) == "float16" else problem.precision]
    products = computed * found.taps * found.size * _crowding(problem, found.size)
    time = products / rate + 16 * (computed + samples * found.length) / BYTES + START
    return time < results * problem.kernel[2] / MULTIPLY_ADDS


def kind_of(problem: Problem) -> str:
    """As which samples and weights are written."""
    return "float16" if problem.x_dtype == problem.w_dtype == np.float16 else "float32"


def inner(problem: Problem) -> Problem:
    """The problem of blocks."""
    found, kind, single = blocked(problem), np.dtype(kind_of(problem)), np.dtype(np.float32)
    return replace(
        problem, spatial=(1, 1, found.samples), kernel=(1, 1, found.taps), channels=found.size,
        filters=found.size * problem.filters, pads=((0, 0), (0, 0), (0, 0)), pad_mode="constant", pad_value=0.0,
        dilation=(1, 1, 1), x_dtype=kind, w_dtype=kind, compute=single, result=single, channels_last=True, bias=False,
        activation="", reduce="",
    )  # fmt: skip


def rooms(problem: Problem, samples: int) -> dict[str, Place]:
    """x, w and out of the problem of blocks."""
    blocks = inner(problem)
    kind, results = blocks.x_dtype.name, blocks.out_spatial[2]
    return {
        "x": Place.room((samples, *blocks.spatial, blocks.channels), kind),
        "w": Place.room((*blocks.kernel, blocks.channels, blocks.filters), kind),
        "out": Place.room((samples, 1, 1, results, blocks.filters), "float32"),
    }


def _is_signal(problem: Problem) -> bool:
    """Of one channel, without gaps."""
    plain = problem.spatial[:2] == problem.kernel[:2] == (1, 1) and not any(map(any, problem.pads[:2]))
    return plain and problem.channels == 1 and problem.stride == (1, 1, 1) and problem.dilation[2] == 1


def pixels_first(problem: Problem, out: Place) -> bool:
    """Whether neighbouring results, in memory, are of one filter."""
    return problem.filters == 1 or out.steps[3] <= out.steps[4]


class View:
    """What `methods.KERNELS` has: a method that computes the problem of blocks."""

    def __init__(self, method: Any) -> None:
        self._method = method
        if hasattr(method, "CAPABILITY"):
            self.CAPABILITY = method.CAPABILITY

    def features(self, problem: Problem) -> tuple[str, ...]:
        """Those of the method."""
        found: Callable[[Problem], tuple[str, ...]] | None = getattr(self._method, "features", None)
        return () if found is None else found(inner(problem))

    def refusal(self, problem: Problem, x: Place, out: Place) -> str:
        """Why it does not compute a problem: "(it computes) only ..."; "" if it does."""
        if problem.precision == "ieee" or problem.compute != np.float32:
            return "only sums of float32 of which less precision is permitted"
        if not _is_signal(problem) or problem.kernel[2] <= FEWEST_TAPS:
            return f"only signals of one channel and filters of more than {FEWEST_TAPS} taps, without strides"
        samples = x.view.shape[0]
        if not pays(problem, samples):
            return "only results that take less time as products of matrices"
        seen = rooms(problem, samples)
        if sum(place.view.nbytes for place in seen.values()) > MOST_BYTES or seen["w"].view.size >= 2**31 - THREADS:
            return f"only what takes {MOST_BYTES >> 20} MB in blocks"
        reason: str = self._method.refusal(inner(problem), seen["x"], seen["out"])
        return reason and f"in blocks {reason}"

    def tables(self, problem: Problem, places: dict[str, Place]) -> dict[str, np.ndarray]:
        """Those of the method, and borders."""
        seen = rooms(problem, places["x"].view.shape[0])
        found: dict[str, np.ndarray] = self._method.tables(inner(problem), seen)
        return found | generic.tables(problem, places)

    def launches(self, problem: Problem, places: dict[str, Place]) -> Launches:
        """Samples in blocks, those of the method, results; weights before those of the method."""
        samples, tables = places["x"].view.shape[0], {n: p for n, p in places.items() if n not in ("bias", "table")}
        seen = rooms(problem, samples)
        found: Launches = self._method.launches(inner(problem), tables | seen)
        granules = -(-blocked(problem).length // (THREADS * EACH))
        flags, strange = Place.room((samples, granules), "int32"), Place.room((problem.filters,), "int32")
        (_, sums, marks, lent), scratch = _laid(seen["x"], seen["out"], flags, end=found.scratch)
        (_, weights, weak), packed = _laid(Place.room((found.packed,), "uint8"), seen["w"], end=strange.view.nbytes)
        own = {"x": "scratch", "out": f"scratch+{sums}", "w": f"packed+{weights}"}
        names = own | {"flags": f"scratch+{marks}", "strange": f"packed+{weak}"}
        places = places | {names[n]: place for n, place in (seen | {"flags": flags, "strange": strange}).items()}

        def moved(steps: tuple[Step, ...]) -> tuple[Step, ...]:
            return tuple(step._replace(pointers=tuple(_moved(n, own, lent) for n in step.pointers)) for step in steps)

        first, last = _gather(problem, places, names), _finish(problem, places, names)
        packing = _pack(problem, places, names)
        return Launches((first, *moved(found.steps), last), (*packing, *moved(found.packing)), packed, scratch)


def _laid(*parts: Place, end: int) -> tuple[list[int], int]:
    """Where parts of memory begin, and what is behind them; (that, the size of all)."""
    begins = [0]
    for part in parts:
        begins.append(begins[-1] + -(-part.view.nbytes // LINE) * LINE)
    return begins, begins[-1] + end


def _moved(name: str, own: dict[str, str], lent: int) -> str:
    """Whose a pointer of the method is."""
    memory, _, offset = name.partition("+")
    return f"scratch+{lent + int(offset or 0)}" if memory == "scratch" else own.get(name, name)


def _gather(problem: Problem, places: dict[str, Place], names: dict[str, str]) -> Step:
    x, found, borders = places["x"], blocked(problem), generic.has_borders(problem)
    samples, ((lo, hi), size) = x.view.shape[0], (problem.pads[2], problem.spatial[2])
    numbers = (samples, found.length, lo + size + hi, size, lo, x.steps[0], x.steps[3])
    grid = (places[names["flags"]].view.shape[1], min(samples, generic.MOST), 1)
    parameters = (problem.x_dtype.name, kind_of(problem), borders, THREADS)
    job = Job("toeplitz.gather", parameters, grid, (numbers, generic.reals(problem)))
    return Step.of(job, ("x", names["x"], names["flags"], "table" if borders else names["flags"]), places)


def _pack(problem: Problem, places: dict[str, Place], names: dict[str, str]) -> tuple[Step, Step]:
    w, pixels, found = places["w"], pixels_first(problem, places["out"]), blocked(problem)
    F, K, total = problem.filters, problem.kernel[2], places[names["w"]].view.size
    numbers = (total, F * found.size, found.size if pixels else F, K, w.steps[2], w.steps[4])
    grid, kind = (-(-total // THREADS), 1, 1), problem.w_dtype.name
    pack = Job("toeplitz.pack", (kind, kind_of(problem), pixels, THREADS), grid, (numbers,))
    weigh = Job("toeplitz.weigh", (kind, THREADS), (F, 1, 1), ((K, w.steps[2], w.steps[4]),))
    return Step.of(weigh, ("w", names["strange"]), places), Step.of(pack, ("w", names["w"]), places)


def _finish(problem: Problem, places: dict[str, Place], names: dict[str, str]) -> Step:
    x, out, bias, found = places["x"], places["out"], places.get("bias"), blocked(problem)
    pixels, borders, F = pixels_first(problem, out), generic.has_borders(problem), problem.filters
    lanes, granules = 1 if pixels else min(32, 1 << F.bit_length() - 1), places[names["flags"]].view.shape[1]
    steps = ((F - 1) * found.size, 1, found.size) if pixels else (0, F, 1)
    each, block = (n.bit_length() - 1 for n in (THREADS * EACH, found.size))
    more = (each, granules, found.results * found.size * F, block, *steps)
    parameters = (
        problem.x_dtype.name, problem.w_dtype.name, bias.view.dtype.name if bias else "", problem.result.name,
        problem.activation, problem.overflow, borders, lanes, THREADS,
    )  # fmt: skip
    grid = (
        -(-problem.out_spatial[2] // (THREADS // lanes * EACH)), min(-(-F // lanes), generic.MOST),
        min(x.view.shape[0], generic.MOST),
    )  # fmt: skip
    numbers = generic.numbers_of(problem, x, places["w"], bias, out), more, generic.reals(problem)
    given = ("x", "w", "bias" if bias else "w", "out", "table" if borders else names["flags"])
    job = Job("toeplitz.finish", parameters, grid, numbers)
    return Step.of(job, (*given, names["out"], names["flags"], names["strange"]), places)
