"""Weights as kernels read them: of a transposed problem with channels for filters, of a gradient conjugated.

Where they lie on the device and strides can show it, as views; otherwise by a kernel that copies them.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np

from .._problem import Problem
from .._transposed import Transposed, by_group, swapped
from .generic import MOST_PIXELS
from .launch import Job, Step
from .places import Place

THREADS = 256


class Weights(NamedTuple):
    """Canonical; `copy`: they are yet to be written by a kernel that reads `given`, to where a call says."""

    array: np.ndarray | Place
    copy: Step | None = None
    given: Place | None = None


def rearranged(name: str, problem: Problem, w: np.ndarray | Place, conjugate: bool) -> Weights:
    """`w` is canonical, of a transposed problem for the convolution that it is the transpose of."""
    conjugate = conjugate and problem.w_dtype.kind == "c"
    groups = problem.groups if isinstance(problem, Transposed) else 0
    if isinstance(w, np.ndarray):
        array = swapped(w, groups) if groups else w
        return Weights(array.conj() if conjugate else array)
    split = groups > 1 and not (w.view.shape[3] == 1 and groups == w.view.shape[4])
    view = by_group(w.view, groups) if split else (swapped(w.view, groups) if groups else w.view)[..., None, :]
    seen = w.seen(view)
    if not (split or conjugate):
        return Weights(seen._replace(view=seen.view[..., 0, :]))
    if view.size >= MOST_PIXELS:
        raise NotImplementedError(f"{name}: a GPU rearranges only up to 2**31 - 1 weights; pass w from the host")
    dtype, sizes = view.dtype, view.shape
    room = Place.room((*sizes[:4], prod(sizes[4:])), dtype.name)
    job = Job(
        "copies.make", (dtype.name, conjugate, THREADS), (-(-view.size // THREADS), 1, 1),
        ((*sizes, view.size), seen.steps),
    )  # fmt: skip
    return Weights(room, Step.of(job, ("given", "w"), {"given": seen, "w": room}), seen)
