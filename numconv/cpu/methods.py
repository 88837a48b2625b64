"""Which method computes a problem: the one that is asked for or the cheapest, by the sizes and types alone."""

from __future__ import annotations

from functools import lru_cache

from .._problem import Problem
from . import winograd

DIRECT_FLOPS = 55.0
"""Floating-point operations a cycle of `direct` in float32, on layers for which another method competes."""
MARGIN = 1.25
"""By which another method must be estimated to be faster than `direct`, whose bits are defined: the estimate is rough,
and a function transforms its weights for every call. (7x7x512: estimated 1.16; planned 1.19 for 8 samples and 0.87 for
one, as a function 0.93 and 0.52. 14x14x256: 1.7; 1.8 planned, 1.0 as a function of one sample.)"""


def choice(name: str, problem: Problem) -> str:
    """The method of a problem; NotImplementedError in the name of a function, where it cannot compute the problem."""
    method = chosen(problem)
    if method == "winograd" and (reason := winograd.refusal(problem)):
        raise NotImplementedError(f"{name}: method is 'winograd', which computes {reason}; use 'auto' or 'direct'")
    return method


@lru_cache(maxsize=1024)
def chosen(problem: Problem) -> str:
    """The method that is asked for, or that costs least."""
    if problem.method != "auto":
        return problem.method
    if winograd.refusal(problem) or winograd.reluctance(problem):
        return "direct"
    return "winograd" if winograd.cost(problem) * MARGIN < direct_cycles(problem) else "direct"


def direct_cycles(problem: Problem) -> float:
    """Estimated for a sample of `direct`; memory layout is left out: no bit may depend on it."""
    taps, item = problem.kernel[0] * problem.kernel[1] * problem.kernel[2], problem.compute.itemsize
    weights_bytes = taps * problem.group_channels * problem.filters * item
    return problem.flops / DIRECT_FLOPS * (item / 4) + weights_bytes * winograd.FAR


def considered(problem: Problem, taken: str) -> dict[str, str]:
    """What speaks for or against each method, `taken` being the one that was taken."""
    refusal = winograd.refusal(problem)
    if refusal:
        return {"direct": "the only one", "winograd": f"refused: it computes {refusal}"}
    reasons = {
        "direct": f"{direct_cycles(problem):.2g} cycles a sample, estimated",
        "winograd": f"{winograd.cost(problem):.2g} cycles a sample, estimated",
    }
    if problem.method != "auto":
        reasons[problem.method] += "; asked for"
    elif winograd.reluctance(problem):
        reasons["winograd"] += f"; not taken by itself: {winograd.reluctance(problem)}"
    if chosen(problem) == "winograd" != taken:
        reasons["winograd"] += "; refused: a filter is not finite, or all of it is too small or too large"
    return reasons
