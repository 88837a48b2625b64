"""A call as launches that are bound to the arrays of a problem: addresses alone are missing.

A convolution is one `Bound`. A transposed one has one for each phase, and where phases have no taps one before, that
fills the whole result. What is made of maps, or of a padded gradient, comes after them, in turns of some samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .._frames import BankFrame, ConvFrame
from .._problem import Problem
from .._transposed import Slices, Transposed, convolution
from .._views import canonical
from . import generic, methods
from .arrays import NUMBA, upload
from .launch import Launch, Step, prepare
from .places import WIDEST, Place
from .reductions import out_name

TOGETHER_BYTES = 32 << 20
"""Maps that are made and reduced in one turn: they should stay in a GPU's second-level cache."""
TURN = 16
"""Samples of which a turn has a multiple, if it can: the next one then lies in memory as this one does."""

LENT = ("packed", "scratch", "taps", "filters", "tiles", "spectra", "products", "sums")
"""Places of memory that a call is yet to be given, by their owners."""

Frame = ConvFrame | BankFrame
Prepared = tuple[Launch, tuple[tuple[str, int], ...]]
"""A launch and its pointers: whose they are, and how many bytes behind its first element."""
Places = dict[str, Place]


class Bound(NamedTuple):
    """`Launches` prepared; `key` tells one packing from another, `tables` are kept because they are read."""

    method: str
    steps: list[Prepared]
    packing: list[Prepared]
    packed: int
    scratch: int
    key: tuple
    tables: dict[str, Any]
    tiling: Any = None
    turns: tuple[int, ...] = ()


class Turn(NamedTuple):
    """Launches for some samples: `shifts` are the bytes from an array's first sample to theirs.

    `maps`: bytes of a place, "maps", that they use; it may be the same in all turns.
    """

    bounds: list[Bound]
    shifts: tuple[tuple[str, int], ...] = ()
    maps: int = 0


class After(NamedTuple):
    """What is made of the results of convolutions: `method` has tables and launches for a `problem`.

    `dtype` is that of the maps, `results` of what is returned.
    """

    method: Any
    problem: Problem
    dtype: np.dtype
    results: tuple[np.dtype, ...]


_OWN: dict[str, str] = {}
"""Every pointer is that of the array it is called after."""


class Binding(NamedTuple):
    """A problem with its weights, where kernels read them; `part` of x is all that is convolved."""

    name: str
    problem: Problem
    device: int
    w: Place
    bias: Place | None
    after: After | None
    part: Slices | None

    def turns(self, frame: Frame, x: Place, *outs: Place) -> list[Turn]:
        """For a caller's arrays."""
        bases = self._bases | {"x": x.address} | {out_name(i): out.address for i, out in enumerate(outs)}
        seen = x if self.part is None else x.seen(x.view[self.part])
        every = runs(frame, seen, outs, bool(self.problem.reduce))
        if self.after is None:
            return [Turn([bound for x, outs in every for bound in self._convolved(x, outs[0], "out", bases)])]
        return [turn for x, outs in every for turn in self._in_turns(self.after, x, outs, bases)]

    @property
    def _bases(self) -> dict[str, int]:
        bias = {} if self.bias is None else {"bias": self.bias.address}
        return {"": 0, "packed": 0, "scratch": 0, "maps": 0, "w": self.w.address} | bias

    def _in_turns(self, after: After, x: Place, outs: list[Place], bases: dict[str, int]) -> Iterator[Turn]:
        """As few different ones as there are numbers of samples and alignments."""
        size = prod(self.problem.out_spatial) * self.problem.filters * after.dtype.itemsize
        step, made = max(1, TOGETHER_BYTES // size), {}
        step = step - step % TURN or step
        arrays = {"x": x} | {out_name(i): out for i, out in enumerate(outs)}
        for n in range(0, len(x.view), step):
            part = {name: place.seen(place.view[n : n + step]) for name, place in arrays.items()}
            shifts = {name: n * place.view.strides[0] for name, place in arrays.items()}
            key = len(part["x"].view), *(shift % WIDEST for shift in shifts.values())
            if key not in made:
                made[key] = self._with_maps(after, part, bases | {name: bases[name] + shifts[name] for name in shifts})
            bounds, maps = made[key]
            yield Turn(bounds, tuple(shifts.items()), maps)

    def _with_maps(self, after: After, arrays: Places, bases: dict[str, int]) -> tuple[list[Bound], int]:
        """Convolutions into maps, then what is made of them."""
        maps = self.maps(len(arrays["x"].view), after.dtype)
        bounds = self._convolved(arrays["x"], maps, "maps", bases)
        last = self._bound("", after.method, after.problem, arrays | {"maps": maps}, bases)
        return [*bounds, last], prod(maps.view.shape) * after.dtype.itemsize

    def maps(self, samples: int, dtype: np.dtype) -> Place:
        """Canonical results that lie in memory as the caller's data."""
        sizes, F = self.problem.out_spatial, self.problem.filters
        if self.problem.channels_last:
            return Place.room((samples, *sizes, F), dtype.name)
        room = Place.room((samples, F, *sizes), dtype.name)
        return room.seen(np.moveaxis(room.view, 1, 4))

    def _convolved(self, x: Place, out: Place, into: str, bases: dict[str, int]) -> list[Bound]:
        """Of one pair of canonical arrays; `into`: whose memory `out` is."""
        problem, found = self.problem, []
        bases = bases | {"out": bases[into]}
        if isinstance(problem, Transposed) and problem.has_gaps:
            found.append(self._filled(problem, x, out, into, bases))
        for part, places in self.parts(x, out):
            method = methods.chosen(self.name, part, places["x"], places["out"], self.device)
            found.append(self._bound(method, methods.considered(part)[method], part, places, bases, {"out": into}))
        return found

    def parts(self, x: Place, out: Place) -> Iterator[tuple[Problem, Places]]:
        """The convolutions that a canonical pair comes to: one, or one for each phase."""
        if not isinstance(self.problem, Transposed):
            yield self.problem, {"x": x, "w": self.w, "out": out} | self._added
            return
        for phase in self.problem.phases:
            yield (
                phase.problem,
                {
                    "x": x.seen(x.view[phase.samples]),
                    "w": self.w.seen(self.w.view[phase.taps]),
                    "out": out.seen(out.view[phase.outputs]),
                }
                | self._added,
            )

    @property
    def _added(self) -> Places:
        return {} if self.bias is None else {"bias": self.bias}

    def _filled(self, problem: Transposed, x: Place, out: Place, into: str, bases: dict[str, int]) -> Bound:
        """Results of no products everywhere: those of a weight of zero and samples that are padding."""
        sizes = {"spatial": (0, 0, 0), "kernel": (1, 1, 1), "channels": 1, "groups": 1}
        pads = tuple((size, 0) for size in problem.out_spatial)
        nothing = convolution(problem, **sizes, stride=(1, 1, 1), dilation=(1, 1, 1), pads=pads)
        zeros = upload(np.zeros((1, 1, 1, 1, problem.filters), problem.w_dtype), self.device)
        places = {"x": x.seen(x.view[:, :0, :0, :0, :1]), "w": Place.of(NUMBA.describe(zeros)), "out": out}
        bound = self._bound("", generic, nothing, places | self._added, bases, {"out": into, "w": ""})
        return bound._replace(tables=bound.tables | {"zeros": zeros})

    def _bound(
        self, name: str, method: Any, problem: Problem, places: Places, bases: dict[str, int],
        owners: dict[str, str] = _OWN,
    ) -> Bound:  # fmt: skip
        """Launches of canonical arrays; `bases`: the addresses that a call will give; `owners`: whose a pointer is."""
        made = method.tables(problem, places)
        tables = {name: upload(table, self.device) for name, table in made.items()}
        places = places | {name: Place.of(NUMBA.describe(table)) for name, table in tables.items()}
        found = method.launches(problem, places)

        def prepared(step: Step) -> Prepared:
            pointers = []
            for whose in step.pointers:
                lent, _, offset = whose.partition("+")
                if lent in LENT:
                    pointers.append((lent, int(offset or 0)))
                else:
                    owner = owners.get(whose, whose if whose in bases else "")
                    pointers.append((owner, places[whose].address - bases[owner]))
            return prepare(step, self.device), tuple(pointers)

        steps, packing = list(map(prepared, found.steps)), list(map(prepared, found.packing))
        key = tuple(
            (step.job, _told(step, pointers, made)) for step, (_, pointers) in zip(found.packing, packing, strict=True)
        )
        return Bound(name, steps, packing, found.packed, found.scratch, key, tables, found.tiling, found.turns)


def _told(step: Step, pointers: tuple[tuple[str, int], ...], tables: dict[str, np.ndarray]) -> tuple:
    """What a kernel is given, tables by what they say: they lie elsewhere for each shape, until that is forgotten."""
    told: list[Any] = list(pointers)
    for i, whose in enumerate(step.pointers):
        if whose in tables:
            told[i] = sha256(tables[whose].tobytes()).digest()
    return tuple(told)


def runs(frame: Frame, x: Place, outs: tuple[Place, ...], reduced: bool) -> Iterator[tuple[Place, list[Place]]]:
    """Canonical arrays; where maps are reduced results are (N, F)."""
    if isinstance(frame, ConvFrame):
        shown = [out.view if frame.batched else out.view[None] for out in outs]
        if not reduced:
            shown = [canonical(out.view, frame.axes) for out in outs]
        yield x.seen(canonical(x.view, frame.axes)), [out.seen(view) for out, view in zip(outs, shown, strict=True)]
        return
    for each in zip(*(frame.runs(x.view, out.view) for out in outs), strict=True):
        source, x_axes, *_ = each[0]
        views = [target if reduced else canonical(target, axes) for _, _, target, axes in each]
        yield x.seen(canonical(source, x_axes)), [out.seen(view) for out, view in zip(outs, views, strict=True)]


def queued(steps: list[Prepared], bases: dict[str, int], stream: int) -> None:
    """Launched, where the memory of each owner is."""
    for launch, pointers in steps:
        launch(stream, [bases[whose] + offset for whose, offset in pointers])
