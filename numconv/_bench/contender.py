"""Who takes part: a way of doing a workload, with the arrays bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .workload import Workload

SLACK = {"f": 1e-4, "d": 1e-10}
"""Allowed difference from numconv's result, as a share of its largest value: FFT is good to 1e-6 in float32, and a
wrong tap is off by far more."""


@dataclass(frozen=True)
class Contender:
    """One way of doing a workload.

    Attributes
    ----------
    name : "plan", "function", a yardstick, or the library.
    run : does it once.
    array : turns what `run` returned into numconv's result; None if it computes something else.
    way : which of the library's ways: its layout, its function.
    packed : weights were made ready before.
    """

    name: str
    run: Callable[[], Any]
    array: Callable[[Any], np.ndarray] | None = None
    way: str = ""
    packed: bool = True

    @property
    def key(self) -> str:
        """Name and way."""
        return f"{self.name} {self.way}".strip()


def ours(workload: Workload, x: np.ndarray, w: np.ndarray) -> tuple[Contender, Contender, np.ndarray]:
    """The plan, the function, and the result; both fill one array that is allocated before."""
    plan = workload.plan(w)
    out = plan(x)
    return (
        Contender("plan", lambda: plan(x, out=out), np.array),
        Contender("function", workload.call(x, w, out), np.array, packed=False),
        np.array(out),  # several reductions: one after the other
    )


def difference(result: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, as a share of what is allowed; infinity for another shape."""
    if result.shape != expected.shape:
        return float("inf")
    slack = SLACK["d" if expected.dtype.char in "dD" else "f"]
    largest = max(float(np.abs(expected).max()), 1e-30)
    share = float(np.abs(np.subtract(result, expected, dtype=np.result_type(result, expected))).max()) / largest
    return share / slack if share == share else float("inf")
