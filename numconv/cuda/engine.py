"""A problem with its weights on a device, and its launches, each prepared once for the strides it is called with."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._frames import BankFrame, ConvFrame
from .._problem import Problem
from .._views import canonical
from . import methods
from .arrays import NUMBA, Given, Library, upload
from .launch import Job, Launch, Step, on, prepare, wait
from .places import WIDEST, Place

Frame = ConvFrame | BankFrame
Prepared = tuple[Launch, tuple[tuple[str, int], ...]]
"""A launch and its pointers: whose they are, and how many bytes behind its first element."""


class Bound(NamedTuple):
    """`Launches` prepared; `key` tells one packing from another, `tables` are kept because they are read."""

    steps: list[Prepared]
    packing: list[Prepared]
    packed: int
    scratch: int
    key: tuple[Job, ...]
    tables: dict[str, Any]


class Engine:
    """Weights on a device. Several threads may call one at once; at worst, two prepare the same launch.

    Launches belong to the problem, and are kept with it by the strides and alignment of all arrays: their addresses
    are those of a call.
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
        self._kind = (device, self.w.address % WIDEST, *strides)

    def _placed(self, array: Place | np.ndarray) -> Place:
        if isinstance(array, Place):
            return array
        self._kept.append(upload(np.ascontiguousarray(array), self.device))
        return Place.of(NUMBA.describe(self._kept[-1]))

    def run(self, frame: Frame, x: Given, out: Given, stream: int, library: Library) -> None:
        """Queue all kernels of a call, on arrays that do not overlap; other memory is of the library's."""
        aligned = x.address % WIDEST, out.address % WIDEST
        kept, key = self.problem.schedules, ("cuda", self._kind, frame, x.shape, x.strides, out.strides, aligned)
        bounds: list[Bound] | None = kept.get(key)
        if bounds is None:
            bounds = kept[key] = self._prepared(frame, Place.of(x), Place.of(out))
        bases = self._bases | {"x": x.address, "out": out.address}
        with on(self.device):
            for bound in bounds:
                if bound.packed:
                    bases["packed"] = self._packed_for(bound, stream, library)
                if bound.scratch:
                    scratch = library.empty((bound.scratch,), np.dtype(np.uint8), self.device)
                    bases["scratch"] = library.describe(scratch).address
                _queue(bound.steps, bases, stream)

    def _packed_for(self, bound: Bound, stream: int, library: Library) -> int:
        """The address of packed weights; those that last are there, whatever the stream that reads them next."""
        found = self._packed.get(bound.key)
        if found is None:
            room = library.empty((bound.packed,), np.dtype(np.uint8), self.device)
            found = room, library.describe(room).address
            _queue(bound.packing, self._bases | {"packed": found[1]}, stream)
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
        method = methods.KERNELS[methods.chosen(self.name, self.problem, x, out)]
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
        return Bound(steps, packing, found.packed, found.scratch, key, tables)


def _queue(steps: list[Prepared], bases: dict[str, int], stream: int) -> None:
    for launch, pointers in steps:
        launch(stream, tuple(bases[whose] + offset for whose, offset in pointers))
