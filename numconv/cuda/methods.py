"""Kernels by preference: the first that computes a problem, as it lies in memory, is taken.

All give the same bits, but those that compute with less precision, where that is permitted, and `double`, which leaves
the order of sixteen products of float64 at a time to tensor cores. `spectra` is for ``method="fft"`` alone.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from .._problem import Problem
from . import dense, depthwise, double, generic, probes, spectra, stencil, tensor, toeplitz, warpgroup
from .complex_view import View
from .launch import Launches, capability
from .places import Place


class Method(Protocol):
    """What the module of a kernel has; also ``features(problem)``, if it needs any of `probes.PROBES`.

    `CAPABILITY`, if it is there, is the only architecture that it is for.
    """

    def refusal(self, problem: Problem, x: Place, out: Place) -> str:
        """Why it does not compute a problem: "(it computes) only ..."; "" if it does."""

    def tables(self, problem: Problem, places: dict[str, Place]) -> dict[str, np.ndarray]:
        """Arrays that the kernel reads besides, by name."""

    def launches(self, problem: Problem, places: dict[str, Place]) -> Launches:
        """What is queued; `places` are canonical: x, w, out, bias; and tables."""


KERNELS: dict[str, Method] = {
    "toeplitz warpgroup": toeplitz.View(warpgroup.Products(True)), "toeplitz tensor": toeplitz.View(tensor),
    "stencil": stencil, "depthwise": depthwise, "warpgroup": warpgroup.Products(True),
    "warpgroup, each tap": warpgroup.Products(False), "complex stencil": View(stencil, alone=True),
    "complex depthwise": View(depthwise), "complex warpgroup": View(warpgroup.Products(True)), "tensor": tensor,
    "double": double, "dense": dense, "generic": generic,
}  # fmt: skip


def considered(problem: Problem) -> dict[str, Method]:
    """Those that a problem may be computed by: the method "fft" is taken where it is asked for, and only there."""
    return {"spectra": spectra} if problem.method == "fft" else KERNELS


def chosen(name: str, problem: Problem, x: Place, out: Place, device: int | None = None) -> str:
    """The kernel that is taken, on a device of which its instructions were tried.

    NotImplementedError in the name of a function where there is none.
    """
    reason = ""
    for kernel, method in considered(problem).items():
        if not (reason := reason_against(method, problem, x, out, device)):
            return kernel
    raise NotImplementedError(f"{name}: a GPU computes {reason}")


def reason_against(method: Method, problem: Problem, x: Place, out: Place, device: int | None) -> str:
    """Why a method does not compute a problem on a device: "(it computes) only ..."; "" if it does."""
    reason = method.refusal(problem, x, out) or _elsewhere(method, device)
    if not reason and device is not None and (feature := probes.missing(method, problem, device)):
        return f"only where {feature!r} works: {probes.trouble(feature, device)}"
    return reason


def _elsewhere(method: Method, device: int | None) -> str:
    """Why a device that is not given, or not of the architecture that a method is for, does not compute by it."""
    only = getattr(method, "CAPABILITY", None)
    if only is None or (device is not None and only == capability(device)):
        return ""
    return f"only on compute capability {only[0]}.{only[1]}"
