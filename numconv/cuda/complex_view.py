"""Complex numbers as pairs of real ones, for kernels of real numbers: one pass over them, with the same bits.

A complex convolution is a real one of 2C interleaved channels with 2F filters, weights being blocks [[re, im],
[-im, re]]; where x is real, of C channels with 2F filters; where w is, of each part by itself with the same filter. A
step of a complex sum is two of the real one, in the same order, so that chains end where they do, unless a row of taps
is cut.

Parts are neighbours in memory, and so channels of x, filters of the result and of w only where those are as well, or
where there is one. Weights that views cannot show are written in front of the first call, behind what the kernel packs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from .._problem import Problem
from .arrays import Given
from .double import is_padded, parts_of
from .kernels.complex_weights import THREADS
from .kernels.kernel import storage_of
from .launch import Job, Launches, Step
from .places import Place

LINE = 256
"""Bytes, to whose multiples memory behind packed weights is aligned."""


class View:
    """What `methods.KERNELS` has: a method for real numbers, of complex ones."""

    def __init__(self, method: Any, alone: bool = False) -> None:
        """`alone`: the method is for results whose neighbours are pixels, which those of one complex filter nearly are.

        By `depthwise`, threads of a warp would read one pixel of eight, and each a line of memory of its own.
        """
        self._method, self._alone = method, alone
        if hasattr(method, "CAPABILITY"):
            self.CAPABILITY = method.CAPABILITY

    def features(self, problem: Problem) -> tuple[str, ...]:
        """Those of the method."""
        found: Callable[[Problem], tuple[str, ...]] | None = getattr(self._method, "features", None)
        return () if found is None else found(real_of(problem))

    def refusal(self, problem: Problem, x: Place, out: Place) -> str:
        """Why it does not compute a problem: "(it computes) only ..."; "" if it does."""
        if problem.compute.kind != "c":
            return "only complex numbers"
        real, parts = real_of(problem), parts_of(problem)
        if parts == "cf" and not (problem.group_channels == problem.group_filters == 1):
            return "only real filters of a channel each"
        if is_padded(problem):
            return "only padding with zeros, or with samples"
        both = paired(x) if parts[0] == "c" else x, paired(out)
        if both[0] is None or both[1] is None:
            return "only channels and filters that are neighbours in memory"
        if problem.precision == "ieee" and real.chains() != chains_of(problem):
            return "only rows of taps that are not cut"
        if self._alone and problem.filters > 1:
            return "only one filter"
        if prod(real.kernel) * real.group_channels * real.filters >= 2**31 - THREADS:
            return "only weights below 2**31 elements"
        reason: str = self._method.refusal(real, both[0], _apart(both[1]) if self._alone else both[1])
        return reason and f"as real numbers {reason}"

    def tables(self, problem: Problem, places: dict[str, Place]) -> dict[str, np.ndarray]:
        """Those of the method."""
        found: dict[str, np.ndarray] = self._method.tables(real_of(problem), _seen(problem, places))
        return found

    def launches(self, problem: Problem, places: dict[str, Place]) -> Launches:
        """Those of the method, and before, what writes its weights."""
        seen = places | _seen(problem, places)
        found: Launches = self._method.launches(real_of(problem), seen)
        size, packing, names = found.packed, [], dict[str, str]()
        for name in _written(problem, places):
            size = -(-size // LINE) * LINE
            names[name] = f"packed+{size}"
            packing.append(_writing(problem, name, names[name], places[name], seen[name]))
            size += seen[name].view.nbytes

        def renamed(steps: tuple[Step, ...]) -> tuple[Step, ...]:
            return tuple(step._replace(pointers=tuple(names.get(n, n) for n in step.pointers)) for step in steps)

        return Launches(renamed(found.steps), (*packing, *renamed(found.packing)), size, found.scratch)


def real_of(problem: Problem) -> Problem:
    """The problem of real numbers."""
    parts = parts_of(problem)
    x, w, compute = (
        np.dtype(storage_of(d.name) if d.kind == "c" else d)
        for d in (problem.x_dtype, problem.w_dtype, problem.compute)
    )
    channels = problem.channels * (2 if parts[0] == "c" else 1)
    return replace(
        problem, channels=channels, filters=2 * problem.filters, groups=channels if parts == "cf" else problem.groups,
        x_dtype=x, w_dtype=w, compute=compute, result=compute, pad_value=0.0,
    )  # fmt: skip


def chains_of(problem: Problem) -> list[tuple[int, int, int, int]]:
    """Of the complex problem, in steps of the real one."""
    width = 2 if problem.complex_products else 1
    return [(first, last, begin * width, end * width) for first, last, begin, end in problem.chains()]


def paired(place: Place) -> Place | None:
    """The last axis with twice the elements, if they are neighbours."""
    view, size = place.view, place.view.itemsize // 2
    if view.shape[-1] > 1 and view.strides[-1] != 2 * size:
        return None
    shape, strides = (*view.shape[:-1], 2 * view.shape[-1]), (*view.strides[:-1], size)
    return Place.of(Given(shape, strides, np.dtype(storage_of(view.dtype.name)), place.address, 0))


def _apart(out: Place) -> Place:
    """With filters that are far from each other."""
    view = out.view
    strides = (*view.strides[:4], max(view.strides[:4]) * max(view.shape))
    return Place.of(Given(view.shape, strides, view.dtype, out.address, 0))


def _seen(problem: Problem, places: dict[str, Place]) -> dict[str, Place]:
    """x, w, out and bias of the real problem."""
    real, written = real_of(problem), _written(problem, places)
    kernel = (*real.kernel, real.group_channels, real.filters)
    shapes = {"w": (kernel, real.w_dtype.name), "bias": ((real.filters,), real.compute.name)}

    def seen(name: str) -> Place:
        if name in written:
            shape, kind = shapes[name]
            return Place.room(shape, kind)
        place = places[name]
        found = paired(place) if place.view.dtype.kind == "c" else place
        return place if found is None else found

    return {name: seen(name) for name in ("x", "w", "out", "bias") if name in places}


def _written(problem: Problem, places: dict[str, Place]) -> list[str]:
    """Of w and bias those that views cannot show."""
    shown = parts_of(problem) == "fc" and paired(places["w"]) is not None
    bias = places.get("bias")
    is_pairs = bias is None or (bias.view.dtype.kind == "c" and paired(bias) is not None)
    return ([] if shown else ["w"]) + ([] if is_pairs else ["bias"])


def _writing(problem: Problem, name: str, target: str, given: Place, room: Place) -> Step:
    size, places = room.view.size, {name: given, target: room}
    grid = (-(-size // THREADS), 1, 1)
    if name == "bias":
        parameters = (given.view.dtype.name, room.view.dtype.name)
        job = Job("complex_weights.bias", parameters, grid, ((size, given.steps[0]),))
    else:
        numbers = (size, *room.view.shape[1:], *given.steps)
        job = Job("complex_weights.make", (given.view.dtype.name, parts_of(problem)), grid, (numbers,))
    return Step.of(job, (name, target), places)
