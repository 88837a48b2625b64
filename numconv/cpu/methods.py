"""Which method computes a problem: the one that is asked for or the cheapest, by the sizes and types alone.

A method besides `direct` is a module, with what `Method` says, and a row of `OTHERS`.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, Protocol

import numpy as np

from .._problem import Problem
from . import fft, roofline, separable, winograd
from .direct import Schedule
from .machine import machine

Packed = tuple[np.ndarray, np.ndarray, np.ndarray]

DIRECT_FLOPS = 55.0
"""Floating-point operations a cycle of `direct` in float32, on layers for which another method competes."""
THIN = 0.45
"""Share of that which it reaches for one filter of one channel whose taps lie along one axis, or in a volume."""
NARROW = 0.75
"""And for filters that do not fill more than a vector."""
RESULT = (0.075, 0.6)
"""Cycles for a byte of a real result, and of a complex one, beside its products: what few taps do not hide."""
MARGIN = 1.16
"""By which another method must be estimated to be faster than `direct`, whose bits are defined: the estimate is rough.

(On the problems of `bench --planner`, one core: with 1.08 six plans miss the fastest by more than a fourth, and 22
functions are slower than those of `direct`; with 1.16 eight and 20, with 1.2 eleven and 14. 7x7x512 by `winograd`:
estimated 0.94, with a part of its weights' transform; planned 1.19 for 8 samples and 0.87 for one, as a function 0.93
and 0.52.)"""


class Method(Protocol):
    """What the module of a method has. `UNFIT` is the reason why weights cannot be computed by it."""

    UNFIT: str

    def refusal(self, problem: Problem) -> str:
        """Why the problem cannot be computed by it: "(it computes) only ..."; "" if it can."""

    def reluctance(self, problem: Problem) -> str:
        """Why `auto` leaves a problem that it can compute to others; "" if it does not."""

    def cost(self, problem: Problem) -> float:
        """Estimated cycles for a sample; may change bits, so no memory layout has a say."""

    def build(self, problem: Problem) -> Schedule:
        """Schedule a problem that is not refused; the layout names its `method`."""

    def pack(self, schedule: Schedule, w: np.ndarray, workers: int) -> Packed | None:
        """Weights as kernels read them, as they were, and where these lie (CALL.given); None where they do not do."""

    def layout_of(self, problem: Problem) -> Any:
        """How a problem that is not refused is computed."""

    def kernels_of(self, layout: Any) -> dict[str, tuple]:
        """Factory and parameters of the kernels that a layout needs."""

    def small(self, schedule: Schedule) -> Schedule | None:
        """Schedule a small problem with the same kernels, to prove them; None if there is none."""

    def describe(self, schedule: Schedule) -> str:
        """How it goes about it, in a line."""


OTHERS: dict[str, Method] = {"winograd": winograd, "separable": separable, "fft": fft}


def choice(name: str, problem: Problem) -> tuple[str, ...]:
    """The methods to try in turn; NotImplementedError in the name of a function, where the one asked for cannot."""
    asked = problem.method
    if asked in OTHERS and (reason := OTHERS[asked].refusal(problem)):
        raise NotImplementedError(f"{name}: method is {asked!r}, which computes {reason}; use 'auto' or 'direct'")
    return chosen(problem)


@lru_cache(maxsize=1024)
def chosen(problem: Problem) -> tuple[str, ...]:
    """The method that is asked for, or those estimated to be clearly faster than `direct`, the cheapest first.

    Each but the last may turn out not to do for the weights: `direct` comes after all others.
    """
    if problem.method != "auto":
        return tuple(dict.fromkeys((problem.method, "direct")))
    able = [name for name, method in OTHERS.items() if not (method.refusal(problem) or method.reluctance(problem))]
    costs = {name: OTHERS[name].cost(problem) for name in able}
    fast = [name for name in able if costs[name] * MARGIN < direct_cycles(problem)]
    return (*sorted(fast, key=costs.__getitem__), "direct")


def direct_cycles(problem: Problem) -> float:
    """Estimated for a sample of `direct`; memory layout is left out: no bit may depend on it."""
    p, lanes = problem, roofline.lanes_of(problem)
    flops = DIRECT_FLOPS * 4 / int(lanes[1])
    if p.filters == p.channels == 1 and (p.kernel[0] > 1 or 1 in p.kernel[1:]):
        flops *= THIN
    elif p.group_channels > 1 and p.group_filters <= machine().lanes[lanes]:
        flops *= NARROW
    weights_bytes = prod(p.kernel) * p.group_channels * p.filters * p.compute.itemsize
    result_bytes = prod(p.out_spatial) * p.filters * p.compute.itemsize
    return p.flops / flops + RESULT[p.compute.kind == "c"] * result_bytes + weights_bytes * winograd.FAR


def check(name: str, problem: Problem, taken: str) -> None:
    """NotImplementedError where weights have left a method that was asked for to another."""
    if problem.method == "separable" != taken and problem.schedules.get("separable") is not None:
        raise NotImplementedError(f"{name}: method is 'separable', but {separable.UNFIT}; use 'auto' or 'direct'")


def considered(problem: Problem, taken: str) -> dict[str, str]:
    """What speaks for or against each method, `taken` being the one that was taken; at last the roofline."""
    bound = roofline.measured(problem)

    def estimated(cycles: float) -> str:
        return f"{cycles:.2g} cycles a sample, estimated: {bound.share(problem, cycles):.0%} of the roofline"

    reasons = {"direct": estimated(direct_cycles(problem))}
    for name, method in OTHERS.items():
        if refusal := method.refusal(problem):
            reasons[name] = f"refused: it computes {refusal}"
            continue
        reasons[name] = estimated(method.cost(problem))
        if problem.method == "auto" and (reluctance := method.reluctance(problem)):
            reasons[name] += f"; not taken by itself: {reluctance}"
    if problem.method in reasons:
        reasons[problem.method] += "; asked for"
    elif all(reason.startswith("refused") for name, reason in reasons.items() if name != "direct"):
        reasons["direct"] += "; the only one"
    tried = chosen(problem)
    for name in tried[: tried.index(taken)] if taken in tried else ():
        reasons[name] += f"; refused: {OTHERS[name].UNFIT}"
    return reasons | {"roofline": bound.describe(problem)}
