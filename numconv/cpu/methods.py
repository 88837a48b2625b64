"""Which method computes a problem: the one that is asked for or the cheapest, by the sizes and types alone.

A method besides `direct` is a module, with what `Method` says, and a row of `OTHERS`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import numpy as np

from .._problem import Problem
from . import fft, separable, winograd
from .direct import Schedule, code_of

Packed = tuple[np.ndarray, np.ndarray, np.ndarray]

DIRECT_FLOPS = 55.0
"""Floating-point operations a cycle of `direct` in float32, on layers for which another method competes."""
THIN = 0.45
"""Share of that which it reaches for one filter of one channel whose taps lie along one axis, or in a volume."""
MARGIN = 1.25
"""By which another method must be estimated to be faster than `direct`, whose bits are defined: the estimate is rough,
and a function transforms its weights for every call. (7x7x512: estimated 1.16; planned 1.19 for 8 samples and 0.87 for
one, as a function 0.93 and 0.52. 14x14x256: 1.7; 1.8 planned, 1.0 as a function of one sample.)"""


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
    taps, item = problem.kernel[0] * problem.kernel[1] * problem.kernel[2], problem.compute.itemsize
    weights_bytes = taps * problem.group_channels * problem.filters * item
    flops = DIRECT_FLOPS * 4 / np.dtype(code_of(problem.compute)).itemsize
    thin = problem.filters == problem.channels == 1 and (problem.kernel[0] > 1 or 1 in problem.kernel[1:])
    return problem.flops / (flops * (THIN if thin else 1)) + weights_bytes * winograd.FAR


def check(name: str, problem: Problem, taken: str) -> None:
    """NotImplementedError where weights have left a method that was asked for to another."""
    if problem.method == "separable" != taken and problem.schedules.get("separable") is not None:
        raise NotImplementedError(f"{name}: method is 'separable', but {separable.UNFIT}; use 'auto' or 'direct'")


def considered(problem: Problem, taken: str) -> dict[str, str]:
    """What speaks for or against each method, `taken` being the one that was taken."""
    reasons = {"direct": f"{direct_cycles(problem):.2g} cycles a sample, estimated"}
    for name, method in OTHERS.items():
        if refusal := method.refusal(problem):
            reasons[name] = f"refused: it computes {refusal}"
            continue
        reasons[name] = f"{method.cost(problem):.2g} cycles a sample, estimated"
        if problem.method == "auto" and (reluctance := method.reluctance(problem)):
            reasons[name] += f"; not taken by itself: {reluctance}"
    if problem.method in reasons:
        reasons[problem.method] += "; asked for"
    elif all(reason.startswith("refused") for name, reason in reasons.items() if name != "direct"):
        reasons["direct"] = "the only one"
    tried = chosen(problem)
    for name in tried[: tried.index(taken)] if taken in tried else ():
        reasons[name] += f"; refused: {OTHERS[name].UNFIT}"
    return reasons
