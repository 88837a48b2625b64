"""Proof at first use of the kernels of `weights`: see `proof`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from .._problem import Problem
from . import weights
from .cache import KernelError
from .exercise import values
from .machine import machine
from .memory import address_of
from .proof import is_intact, proved, shielded, twice
from .weights import Schedule
from .weights_layout import Layout


def build(problem: Problem, conjugate_x: bool) -> Schedule | None:
    """The schedule of a problem, of proved kernels; None where they failed twice."""

    def attempt() -> Schedule:
        schedule = weights.build(problem, conjugate_x)
        fresh = schedule.kernels - proved
        if fresh and not all(map(_is_right, exercises(schedule.layout))):
            raise KernelError("computed a wrong gradient", fresh)
        proved.update(fresh)
        return schedule

    return twice(attempt)


def exercises(layout: Layout) -> Iterator[Layout]:
    """Small problems: several chains in chunks of whole rows, and of parts of a row; borders, tails, two groups."""
    p, taps = layout.problem, (1, 2, 3)
    groups, channels, filters = 2, 21 // layout.x_parts, layout.width // layout.o_parts + 3
    if layout.apart:  # whose kernels know the groups
        channels, filters = p.group_channels, p.group_filters
        groups = layout.width // filters + 1
    for out in ((1, 5, 30), (1, 1, 300)):
        pads = ((0, 0), (1, 0), (1, 1))
        d, h, w = (n + k - 1 - lo - hi for n, k, (lo, hi) in zip(out, taps, pads, strict=True))
        small = replace(
            p, spatial=(d, h, w), kernel=taps, channels=groups * channels, filters=groups * filters, groups=groups,
            stride=(1, 1, 1), dilation=(1, 1, 1), pads=pads, pad_mode="constant", pad_value=1,
        )  # fmt: skip
        yield replace(layout, problem=small)


def _is_right(layout: Layout) -> bool:
    """Whether the kernels of a layout solve its problem, in both orders of elements, and write nowhere else."""
    p = layout.problem
    x, g = arrays(p)
    wanted = expected(p, x, g, layout.conjugate_x)
    schedule = weights.record(layout, machine())
    for order in ((0, 1, 2, 3, 4), (4, 3, 0, 1, 2)):
        space, out = shielded(tuple(wanted.shape[i] for i in order), p.compute)
        got = out.transpose(np.argsort(order))
        launch = weights.launch(schedule, x.strides, g.strides, got.strides, 0, len(x), 1)
        workspace, slot = shielded((launch.slot_bytes,), np.dtype("u1"))
        weights.go(launch._replace(seconds=0.0), address_of(x), address_of(g), address_of(got), slot=address_of(slot))
        if not (is_intact(space, out) and is_intact(workspace, slot) and np.array_equal(got, wanted)):
            return False
    return True


def arrays(p: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Samples and gradient (canonical) of whole numbers, with channels where the caller has them."""
    x = values((2, *p.spatial, p.channels), p.x_dtype, 4, True, 1)
    g = values((2, *p.out_spatial, p.filters), p.w_dtype, 3, True, 2)
    if p.channels_last:
        return x, g
    x, g = (np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 4, 1)), 1, 4) for a in (x, g))
    return x, g


def expected(p: Problem, x: np.ndarray, g: np.ndarray, conjugate_x: bool) -> np.ndarray:
    """The sums, exact in any order."""
    wide = np.complex128 if p.compute.kind == "c" else np.float64
    padded = np.pad(x, ((0, 0), *p.pads, (0, 0)), constant_values=p.pad_value).astype(wide)
    padded, g = (padded.conj(), g) if conjugate_x else (padded, g.conj())
    windows = np.lib.stride_tricks.sliding_window_view(padded, p.kernel[1:], (2, 3))
    windows = windows.reshape(*windows.shape[:4], p.groups, -1, *p.kernel[1:])
    sums = np.einsum("ndhwgcij,ndhwgf->ijcgf", windows[:, 0:1], g.astype(wide).reshape(*g.shape[:4], p.groups, -1))
    return sums.reshape(1, *sums.shape[:3], -1).astype(p.compute)
