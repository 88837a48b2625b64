"""A problem with its weights on a device, and its launches, each prepared once for the strides it is called with."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._frames import BankFrame, ConvFrame
from .._problem import Problem
from .._views import canonical
from . import methods
from .arrays import NUMBA, Given, Library, upload
from .launch import Extent, Job, Launch, Step, is_current, on, prepare, recording, wait
from .places import WIDEST, Place
from .recent import Recent

KEPT = 32
"""Shapes and strides of arrays for which launches are kept with a problem."""

Frame = ConvFrame | BankFrame
Prepared = tuple[Launch, tuple[tuple[str, int], ...]]
"""A launch and its pointers: whose they are, and how many bytes behind its first element."""


class Bound(NamedTuple):
    """`Launches` prepared; `key` tells one packing from another, `tables` are kept because they are read."""

    method: str
    steps: list[Prepared]
    packing: list[Prepared]
    packed: int
    scratch: int
    key: tuple[Job, ...]
    tables: dict[str, Any]


class Ready(NamedTuple):
    """A call for arrays that lie as these do: only addresses are missing.

    `masks`: bits that are not set in addresses of x and out whose elements are aligned, -1 where strides are not.
    `extents`: the bytes before and behind both addresses that belong to the arrays.
    """

    bounds: list[Bound]
    masks: tuple[int, int]
    extents: tuple[Extent, Extent]


class Engine:
    """Weights on a device. Several threads may call one at once; at worst, two prepare the same launch.

    Launches belong to the problem, and the last of them are kept with it by the strides and alignment of all arrays:
    their addresses are those of a call.
    """

    def __init__(
        self, name: str, problem: Problem, w: Place | np.ndarray, bias: Place | np.ndarray | None, device: int,
        lasting: bool = False,
    ):  # fmt: skip
        """`w` is canonical: on the host, or where it lies on the device, which the caller keeps.

        `lasting`: for many calls, on any streams.
        """
        self.name, self.problem, self.device, self._lasting = name, problem, device, lasting
        self._packed: dict[tuple[Job, ...], tuple[Any, int]] = {}
        self._kept: list[Any] = []
        self.w = self._placed(w)
        self.bias = None if bias is None else self._placed(bias)
        self._bases: dict[str, int] = {"": 0, "w": self.w.address}
        if self.bias is not None:
            self._bases["bias"] = self.bias.address
        strides = (self.w.view.strides, None if self.bias is None else self.bias.view.strides)
        given = {"w": w, "bias": bias}  # nobody else has the memory of those that were copied
        self._shared = [(whose, place.extent) for whose, place in given.items() if isinstance(place, Place)]
        self._kind = (device, self.w.address % WIDEST, *strides)
        self._ready: Recent = problem.schedules.setdefault("cuda", Recent(KEPT))

    def at(self, w: int, bias: int) -> Engine:
        """The same for weights and bias that lie alike, at other addresses."""
        moved = Engine.__new__(Engine)
        moved.__dict__.update(self.__dict__)
        moved._packed, moved.w = {}, Place(self.w.view, w)
        moved._bases = {"": 0, "w": w}
        moved._kind = (self.device, w % WIDEST, *self._kind[2:])
        if self.bias is not None:
            moved.bias, moved._bases["bias"] = Place(self.bias.view, bias), bias
        return moved

    def _placed(self, array: Place | np.ndarray) -> Place:
        if isinstance(array, Place):
            return array
        self._kept.append(upload(np.ascontiguousarray(array), self.device))
        return Place.of(NUMBA.describe(self._kept[-1]))

    def ready(self, frame: Frame, x: Given, out: Given, stream: int) -> Ready:
        """What was prepared for such arrays; RuntimeError where it would be while a graph records."""
        aligned = x.address % WIDEST, out.address % WIDEST
        key = (self._kind, frame, x.shape, x.strides, out.strides, aligned)
        found: Ready | None = self._ready.get(key)
        if found is None:
            self._check_recording(stream)
            x_place, out_place = Place.of(x), Place.of(out)
            bounds = self._prepared(frame, x_place, out_place)
            masks = x_place.mask, out_place.mask
            found = self._ready[key] = Ready(bounds, masks, (x_place.extent, out_place.extent))
        return found

    def _check_recording(self, stream: int) -> None:
        if recording(stream, self.device):
            raise RuntimeError(
                f"{self.name}: a CUDA graph is being recorded, and nothing is prepared yet for arrays of these shapes "
                f"and strides, which takes copies to the GPU; make a plan, and call it once with such arrays before"
            )

    def touches(self, ready: Ready, x: Given, out: Given) -> bool:
        """Whether `out` may share memory with what is read."""
        (x_low, x_high), (low, high) = ready.extents
        low, high = low + out.address, high + out.address
        if low < x.address + x_high and x.address + x_low < high:
            return True
        for whose, (first, last) in self._shared:
            at = self._bases[whose]
            if low < at + last and at + first < high:
                return True
        return False

    def run(self, frame: Frame, x: Given, out: Given, stream: int, library: Library) -> None:
        """Queue all kernels of a call, on arrays that do not overlap; other memory is of the library's."""
        self.queue(self.ready(frame, x, out, stream), x.address, out.address, stream, library)

    def queue(self, ready: Ready, x: int, out: int, stream: int, library: Library) -> None:
        """As `run`."""
        if not is_current(self.device):
            with on(self.device):
                return self._queue(ready, x, out, stream, library)
        return self._queue(ready, x, out, stream, library)

    def _queue(self, ready: Ready, x: int, out: int, stream: int, library: Library) -> None:
        bases = self._bases.copy()
        bases["x"], bases["out"] = x, out
        for bound in ready.bounds:
            if bound.packed:
                bases["packed"] = self._packed_for(bound, stream, library)
            if bound.scratch:
                scratch = library.empty((bound.scratch,), np.dtype(np.uint8), self.device, stream)
                bases["scratch"] = library.describe(scratch).address
            _launch(bound.steps, bases, stream)

    def _packed_for(self, bound: Bound, stream: int, library: Library) -> int:
        """The address of packed weights; those that last are there, whatever the stream that reads them next."""
        found = self._packed.get(bound.key)
        if found is None:
            if self._lasting:
                self._check_recording(stream)
            room = library.empty((bound.packed,), np.dtype(np.uint8), self.device, stream)
            found = room, library.describe(room).address
            _launch(bound.packing, self._bases | {"packed": found[1]}, stream)
            if self._lasting:
                wait(stream, self.device)
            self._packed[bound.key] = found
        return found[1]

    def _prepared(self, frame: Frame, x: Place, out: Place) -> list[Bound]:
        if isinstance(frame, ConvFrame):
            runs = [(x.view, frame.axes, out.view, frame.axes)]
        else:
            runs = list(frame.runs(x.view, out.view))
        return [
            self._bound(x.seen(canonical(source, x_axes)), out.seen(canonical(target, o_axes)), x.address, out.address)
            for source, x_axes, target, o_axes in runs
        ]

    def _bound(self, x: Place, out: Place, *addresses: int) -> Bound:
        """The launches for one pair of canonical arrays, parts of those at the addresses."""
        bases = self._bases | {"packed": 0, "scratch": 0} | dict(zip(("x", "out"), addresses, strict=True))
        places = {"x": x, "out": out, "w": self.w} | ({} if self.bias is None else {"bias": self.bias})
        name = methods.chosen(self.name, self.problem, x, out, self.device)
        method = methods.KERNELS[name]
        tables = {name: upload(table, self.device) for name, table in method.tables(self.problem, places).items()}
        places |= {name: Place.of(NUMBA.describe(table)) for name, table in tables.items()}
        found = method.launches(self.problem, places)

        def prepared(step: Step) -> Prepared:
            owners = [whose if whose in bases else "" for whose in step.pointers]
            offsets = [
                0 if whose in ("packed", "scratch") else places[whose].address - bases[owner]
                for whose, owner in zip(step.pointers, owners, strict=True)
            ]
            return prepare(step, self.device), tuple(zip(owners, offsets, strict=True))

        key = tuple(step.job for step in found.packing)
        steps, packing = list(map(prepared, found.steps)), list(map(prepared, found.packing))
        return Bound(name, steps, packing, found.packed, found.scratch, key, tables)


def _launch(steps: list[Prepared], bases: dict[str, int], stream: int) -> None:
    for launch, pointers in steps:
        launch(stream, [bases[whose] + offset for whose, offset in pointers])
