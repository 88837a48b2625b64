"""Gradients of weights on tensor cores, where `precision` permits: a convolution of x by the gradient of the result.

A weight's gradient is the sum over samples n and results o of x[n, s*o + d*k, c] * g[n, o, f]: a convolution whose taps
are o and whose results are k. Samples are its channels, and channels its samples; strides and dilations change places.
So it is left to `tensor`, which copies x with its samples as neighbours, packs g as weights, and divides the many taps
among blocks, as there are few results; their sums are added up in order. Errors are those of `tensor`; nothing of it is
measured.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np

from .._problem import Problem
from . import tensor
from .launch import Launches, Step
from .places import WIDEST, Place

FEWEST_SAMPLES = 8
"""Of which tensor cores multiply four or eight at once."""
T = TypeVar("T")
LINE = 16 * WIDEST
"""Bytes, to whose multiples what is packed is aligned behind the workspace."""


def refusal(problem: Problem, places: dict[str, Place]) -> str:
    """Why it does not compute a gradient: "(it computes) only ..."; "" if it does."""
    if problem.precision == "ieee" or problem.compute != np.float32:
        return "only products of float32 that may be rounded"
    if problem.groups > 1 or len(places["x"].view) < FEWEST_SAMPLES:
        return f"only one group, and {FEWEST_SAMPLES} samples"
    turned = turned_of(problem, len(places["x"].view))
    if turned is None:
        return "only padding with zeros where not all samples are read"
    seen = _seen(turned, places)
    return tensor.refusal(turned, seen["x"], seen["out"])


def features(problem: Problem) -> tuple[str, ...]:
    """What is tried on a device before."""
    return tensor.features(problem)


def turned_of(problem: Problem, samples: int) -> Problem | None:
    """The convolution; None where samples behind the last that is read would change what padding shows."""
    spatial, pads = list(problem.spatial), [list(pair) for pair in problem.pads]
    for axis, (n, results, taps) in enumerate(zip(problem.spatial, problem.out_spatial, problem.kernel, strict=True)):
        read = problem.stride[axis] * (results - 1) + problem.dilation[axis] * (taps - 1) + 1
        pads[axis][1] = read - n - pads[axis][0]
        if pads[axis][1] < 0:
            spatial[axis], pads[axis][1] = n + pads[axis][1], 0
            if pads[axis][0] and problem.pad_mode != "constant":
                return None
    return replace(
        problem, spatial=_three(spatial), kernel=problem.out_spatial, channels=samples, stride=problem.dilation,
        dilation=problem.stride, pads=_three([(lo, hi) for lo, hi in pads]), bias=False, activation="",
    )  # fmt: skip


def _three(values: list[T]) -> tuple[T, T, T]:
    d, h, w = values
    return d, h, w


def _seen(turned: Problem, places: dict[str, Place]) -> dict[str, Place]:
    """x, w and out of the convolution."""
    x, g, out = (places[name] for name in ("x", "g", "out"))
    D, H, W = turned.spatial
    return {
        "x": x.seen(x.view[:, :D, :H, :W].transpose(4, 1, 2, 3, 0)),
        "w": g.seen(g.view.transpose(1, 2, 3, 0, 4)),
        "out": out.seen(out.view.transpose(3, 0, 1, 2, 4)),
    }


def _turned(problem: Problem, places: dict[str, Place]) -> tuple[Problem, dict[str, Place]]:
    turned = turned_of(problem, len(places["x"].view))
    assert turned is not None
    return turned, places | _seen(turned, places)


def tables(problem: Problem, places: dict[str, Place]) -> dict[str, np.ndarray]:
    """Those of `tensor`."""
    return tensor.tables(*_turned(problem, places))


def launches(problem: Problem, places: dict[str, Place], conjugate: str) -> Launches:
    """Those of `tensor`, packing included, behind whose workspace is what it packs."""
    found = tensor.launches(*_turned(problem, places))
    behind = -(-found.scratch // LINE) * LINE

    def named(whose: str) -> str:
        name, _, offset = whose.partition("+")
        return f"scratch+{behind + int(offset or 0)}" if name == "packed" else "g" if whose == "w" else whose

    def renamed(step: Step) -> Step:
        return step._replace(pointers=tuple(map(named, step.pointers)))

    return Launches(tuple(map(renamed, (*found.packing, *found.steps))), scratch=behind + found.packed)
