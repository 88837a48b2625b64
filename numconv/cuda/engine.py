"""A problem with its weights on a device, and its launches, each prepared once for the strides it is called with."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._frames import BankFrame, ConvFrame
from .._problem import Problem
from .._views import canonical
from . import methods
from .arrays import NUMBA, Given, upload
from .launch import Launch, on, prepare
from .places import Place

Frame = ConvFrame | BankFrame
Bound = list[tuple[Launch, tuple[tuple[str, int], ...], dict[str, Any]]]
"""Launches, each with its pointers: whose they are, and how many bytes behind its first element; and its tables."""


class Engine:
    """Weights on a device. Several threads may call one at once; at worst, two prepare the same launch.

    Launches belong to the problem, and are kept with it by the strides of all arrays: their addresses are those of a
    call.
    """

    def __init__(
        self, name: str, problem: Problem, w: Place | np.ndarray, bias: Place | np.ndarray | None, device: int
    ):
        """`w` is canonical: on the host, or where it lies on the device, which the caller keeps."""
        self.name, self.problem, self.device = name, problem, device
        self._kept: list[Any] = []
        self.w = self._placed(w)
        self.bias = None if bias is None else self._placed(bias)
        self._bases = {"": 0, "w": self.w.address}
        if self.bias is not None:
            self._bases["bias"] = self.bias.address
        strides = (self.w.view.strides, None if self.bias is None else self.bias.view.strides)
        self._kind = (device, *strides)

    def _placed(self, array: Place | np.ndarray) -> Place:
        if isinstance(array, Place):
            return array
        self._kept.append(upload(np.ascontiguousarray(array), self.device))
        return Place.of(NUMBA.describe(self._kept[-1]))

    def run(self, frame: Frame, x: Given, out: Given, stream: int) -> None:
        """Queue all kernels of a call, on arrays that do not overlap."""
        kept, key = self.problem.schedules, ("cuda", self._kind, frame, x.shape, x.strides, out.strides)
        bound: Bound | None = kept.get(key)
        if bound is None:
            bound = kept[key] = self._prepared(frame, Place.of(x), Place.of(out))
        bases = self._bases | {"x": x.address, "out": out.address}
        with on(self.device):
            for launch, pointers, _ in bound:
                launch(stream, tuple(bases[whose] + offset for whose, offset in pointers))

    def _prepared(self, frame: Frame, x: Place, out: Place) -> Bound:
        if isinstance(frame, ConvFrame):
            runs = [(x.view, frame.axes, out.view, frame.axes)]
        else:
            runs = list(frame.runs(x.view, out.view))
        bases, bound = self._bases | {"x": x.address, "out": out.address}, []
        for source, x_axes, target, o_axes in runs:
            places = {"x": x.seen(canonical(source, x_axes)), "out": out.seen(canonical(target, o_axes))}
            places |= {"w": self.w} | ({} if self.bias is None else {"bias": self.bias})
            method = methods.KERNELS[methods.chosen(self.name, self.problem, places["x"], places["out"])]
            tables = {name: upload(table, self.device) for name, table in method.tables(self.problem, places).items()}
            places |= {name: Place.of(NUMBA.describe(table)) for name, table in tables.items()}
            job, pointers = method.job(self.problem, places)
            owners = [whose if whose in bases else "" for whose in pointers]
            offsets = [places[whose].address - bases[owner] for whose, owner in zip(pointers, owners, strict=True)]
            bound.append((prepare(job, self.device), tuple(zip(owners, offsets, strict=True)), tables))
        return bound
