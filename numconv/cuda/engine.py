"""A problem with its weights on a device, and its launches, each prepared once for the strides it is called with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from threading import get_ident
from typing import Any, NamedTuple

import numpy as np

from .._problem import Problem
from .._transposed import Slices
from . import transforms
from .arrays import NUMBA, Given, Library, upload
from .binding import After, Binding, Bound, Frame, Prepared, Turn, queued
from .launch import Extent, Launch, is_current, on, prepare, recording, wait
from .lent import lend
from .places import WIDEST, Place
from .rearranged import Weights
from .recent import Recent
from .reductions import out_name

KEPT = 32
"""Shapes and strides of arrays for which launches are kept with a problem."""


class Ready(NamedTuple):
    """A call for arrays that lie as these do: only addresses are missing.

    `maps`: bytes of a place that turns use. `masks`: bits that are not set in addresses of x and results whose elements
    are aligned, -1 where strides are not. `extents`: the bytes before and behind these addresses that belong to arrays.
    `alone`: all launches, where they need no memory but that of x, a result, weights and bias: pointers by the place of
    their owner in `OWNERS`.
    """

    turns: list[Turn]
    maps: int
    masks: tuple[int, ...]
    extents: tuple[Extent, ...]
    alone: list[tuple[Launch, tuple[tuple[int, int], ...]]] | None


OWNERS = ("", "x", "out", "w", "bias")
"""Of memory that a call has anyway; "" has address 0."""


class Engine:
    """Weights on a device. Several threads may call one at once; at worst, two prepare the same launch.

    Launches belong to the problem, and the last of them are kept with it by the strides and alignment of all arrays:
    their addresses are those of a call.
    """

    def __init__(
        self, name: str, problem: Problem, weights: Weights, bias: Place | np.ndarray | None, device: int,
        lasting: bool = False, after: After | None = None, part: Slices | None = None, argument: str = "x",
    ):  # fmt: skip
        """Weights and bias are on the host, or where they lie on the device, which the caller keeps.

        `lasting`: for many calls, on any streams. `after`: what is made of the results. `part`: of x, what is read.
        `argument`: what the caller calls x.
        """
        self.name, self.argument, self.problem, self.device, self._lasting = name, argument, problem, device, lasting
        self.results = (problem.result,) if after is None else after.results
        self.several = isinstance(problem.reduce, tuple)
        self._names = [out_name(i) for i in range(len(self.results))]
        self._packed: dict[tuple, tuple[Any, int]] = {}
        self._kept: list[Any] = []
        self._rooms = Recent(4)
        w = self._placed(weights.array)
        self.w = weights.given or w
        self.bias = None if bias is None else self._placed(bias)
        self._copy: tuple[Prepared, int] | None = None
        if weights.copy is not None:
            self._copy = (prepare(weights.copy, device), (("given", 0), ("w", 0))), w.view.nbytes
        self._bases: dict[str, int] = {"": 0}
        self._point(self.w.address, 0 if self.bias is None else self.bias.address)
        self.binding = Binding(name, problem, device, w, self.bias, after, part)
        strides = (self.w.view.strides, None if self.bias is None else self.bias.view.strides)
        given = {"w" if self._copy is None else "given": weights.given or weights.array, "bias": bias}
        # Nobody else has the memory of those that were copied from the host.
        self._shared = [(whose, place.extent) for whose, place in given.items() if isinstance(place, Place)]
        self._kind = (device, self.w.address % WIDEST, repr((after, part)), *strides)
        self._ready: Recent = problem.schedules.setdefault("cuda", Recent(KEPT))

    def _point(self, w: int, bias: int) -> None:
        """Where the caller's weights and bias are."""
        self._bases["w" if self._copy is None else "given"] = w
        if self.bias is not None:
            self._bases["bias"] = bias

    def at(self, w: int, bias: int) -> Engine:
        """The same for weights and bias that lie alike, at other addresses."""
        moved = Engine.__new__(Engine)
        moved.__dict__.update(self.__dict__)
        moved.w, moved._bases = Place(self.w.view, w), {"": 0}
        moved._kind = (self.device, w % WIDEST, *self._kind[2:])
        if self.bias is not None:
            moved.bias = Place(self.bias.view, bias)
        moved._point(w, bias)
        return moved

    def _placed(self, array: Place | np.ndarray) -> Place:
        if isinstance(array, Place):
            return array
        self._kept.append(upload(np.ascontiguousarray(array), self.device))
        return Place.of(NUMBA.describe(self._kept[-1]))

    def ready(self, frame: Frame, x: Given, outs: Sequence[Given], stream: int) -> Ready:
        """What was prepared for such arrays; RuntimeError where it would be while a graph records."""
        lie = tuple([(out.strides, out.address % WIDEST) for out in outs])
        key = (self._kind, frame, x.shape, x.strides, x.address % WIDEST, lie)
        found: Ready | None = self._ready.get(key)
        if found is None:
            self._check_recording(stream)
            places = [Place.of(given) for given in (x, *outs)]
            turns = self.binding.turns(frame, *places)
            masks, extents = (tuple([getattr(place, what) for place in places]) for what in ("mask", "extent"))
            alone = None if self._copy is not None else _alone(turns)
            found = self._ready[key] = Ready(turns, max(turn.maps for turn in turns), masks, extents, alone)
        return found

    def _check_recording(self, stream: int) -> None:
        if recording(stream, self.device):
            raise RuntimeError(
                f"{self.name}: a CUDA graph is being recorded, and nothing is prepared yet for arrays of these shapes "
                f"and strides, which takes copies to the GPU; make a plan, and call it once with such arrays before"
            )

    def touches(self, ready: Ready, x: Given, outs: Sequence[Given]) -> bool:
        """Whether a result may share memory with what is read."""
        first, last = ready.extents[0]
        begin, end = x.address + first, x.address + last
        for out, (low, high) in zip(outs, ready.extents[1:], strict=True):
            start, stop = out.address + low, out.address + high
            if start < end and begin < stop:
                return True
            for whose, (first, last) in self._shared:
                at = self._bases[whose]
                if start < at + last and at + first < stop:
                    return True
        return False

    def run(self, frame: Frame, x: Given, outs: Sequence[Given], stream: int, library: Library) -> None:
        """Queue all kernels of a call, on arrays that do not overlap; other memory is of the library's."""
        addresses = [out.address for out in outs]
        self.queue(self.ready(frame, x, outs, stream), x.address, addresses, stream, library)

    def queue(self, ready: Ready, x: int, outs: Sequence[int], stream: int, library: Library) -> None:
        """As `run`. What a graph records is kept as long as this: it reads tables, whatever shapes come after it."""
        if stream and recording(stream, self.device):
            self._kept.append(ready)
        if not is_current(self.device):
            with on(self.device):
                return self._queue(ready, x, outs, stream, library)
        if ready.alone is None:
            return self._queue(ready, x, outs, stream, library)
        places = (0, x, outs[0], self._bases["w"], self._bases.get("bias", 0))
        for launch, pointers in ready.alone:
            launch(stream, [places[whose] + offset for whose, offset in pointers])

    def _queue(self, ready: Ready, x: int, outs: Sequence[int], stream: int, library: Library) -> None:
        bases = self._bases.copy()
        lent: list[Any] = []
        packed = self._packed if self._lasting else {}  # weights of the caller's may be others in the next call
        bases["x"] = x
        bases.update(zip(self._names, outs, strict=True))

        def room(size: int) -> int:
            address, memory = self._room(library, size, len(lent), stream)
            lent.append(memory)
            return address

        if self._copy is not None:
            bases["w"] = room(self._copy[1])
            queued([self._copy[0]], bases, stream)
        if ready.maps:
            bases["maps"] = room(ready.maps)
        for turn in ready.turns:
            here = bases | {whose: bases[whose] + shift for whose, shift in turn.shifts} if turn.shifts else bases
            for bound in turn.bounds:
                if bound.tiling is not None:
                    self._transformed(bound, here, packed, stream, library)
                    continue
                if bound.packed:
                    here["packed"] = self._packed_for(bound, here, packed, stream, library)
                if bound.scratch:
                    here["scratch"] = room(bound.scratch)
                queued(bound.steps, here, stream)

    def _transformed(self, bound: Bound, bases: dict[str, int], kept: dict, stream: int, library: Library) -> None:
        """By spectra; those of filters that last are there, whatever the stream that reads them next."""
        if recording(stream, self.device):
            raise NotImplementedError(
                f"{self.name}: a CUDA graph is being recorded, and method is 'fft', which works in memory that a graph "
                f"would not keep; use 'auto'"
            )
        lasting = partial(wait, stream, self.device) if self._lasting else None
        transforms.queue(self.name, bound, bases, kept, lasting, stream, library, self.device)

    def _room(self, library: Library, size: int, number: int, stream: int) -> tuple[int, Any]:
        """(the address of memory for a call, what keeps it).

        Numba asks the driver each time, which waits for the GPU: a plan keeps what it was lent, for the next call of a
        thread on the default stream, where calls follow each other. Other streams may end, and be others of that name,
        and graphs may record them.
        """
        if library is not NUMBA or not self._lasting or stream > 1:
            return lend(library, size, self.device, stream)
        key = get_ident(), stream, number, size
        found = self._rooms.get(key)
        if found is None:
            found = self._rooms[key] = library.empty((size,), np.dtype(np.uint8), self.device, stream)
        return library.describe(found).address, found

    def _packed_for(
        self, bound: Bound, bases: dict[str, int], packed: dict[tuple, tuple[Any, int]], stream: int, library: Library
    ) -> int:
        """The address of packed weights; those that last are there, whatever the stream that reads them next.

        Of two threads that pack the same, the second one's are dropped: the first may have queued what reads its own.
        """
        found = packed.get(bound.key)
        if found is None:
            if self._lasting:
                self._check_recording(stream)
                room = library.empty((bound.packed,), np.dtype(np.uint8), self.device, stream)
                found = room, library.describe(room).address
            else:
                address, room = lend(library, bound.packed, self.device, stream)
                found = room, address
            queued(bound.packing, bases | {"packed": found[1]}, stream)
            if self._lasting:
                wait(stream, self.device)
            found = packed.setdefault(bound.key, found)
        return found[1]


def _alone(turns: list[Turn]) -> list[tuple[Launch, tuple[tuple[int, int], ...]]] | None:
    """As `Ready` has it: None where memory is lent or packed, or there are turns."""
    if len(turns) > 1 or turns[0].maps or turns[0].shifts:
        return None
    found = []
    for bound in turns[0].bounds:
        if bound.packed or bound.scratch or any(whose not in OWNERS for _, step in bound.steps for whose, _ in step):
            return None
        found += [
            (launch, tuple((OWNERS.index(whose), offset) for whose, offset in pointers))
            for launch, pointers in bound.steps
        ]
    return found
