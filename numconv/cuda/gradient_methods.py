"""Kernels for gradients of weights by preference: the first that computes a problem, as it lies in memory, is taken."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from .._problem import Problem
from . import gradient_dense, gradient_generic, gradient_products, gradient_thin, probes
from .launch import Launches
from .places import Place


class Method(Protocol):
    """As of `methods`; `places` are canonical: x, g (the gradient of the result), out; and tables."""

    def refusal(self, problem: Problem, places: dict[str, Place]) -> str:
        """Why it does not compute a gradient: "(it computes) only ..."; "" if it does."""

    def tables(self, problem: Problem, places: dict[str, Place]) -> dict[str, np.ndarray]:
        """Arrays that the kernel reads besides, by name."""

    def launches(self, problem: Problem, places: dict[str, Place], conjugate: str) -> Launches:
        """What is queued; `conjugate`: "x" or "w", which is g."""


KERNELS: dict[str, Method] = {
    "products": gradient_products, "dense": gradient_dense, "thin": gradient_thin, "generic": gradient_generic,
}  # fmt: skip


def chosen(name: str, problem: Problem, places: dict[str, Place], device: int | None = None) -> str:
    """As `methods.chosen`."""
    reason = ""
    for kernel, method in KERNELS.items():
        reason = method.refusal(problem, places)
        if not reason and device is not None and (feature := probes.missing(method, problem, device)):
            reason = f"only where {feature!r} works"
        if not reason:
            return kernel
    raise NotImplementedError(f"{name}: a GPU computes {reason}")
