"""The kernel for few channels with pixels in lanes: when it is taken, its tile, what its launch is told."""

from __future__ import annotations

from math import prod

import numpy as np

from .._problem import Problem
from . import generic
from .kernels.shapes import Stencil
from .launch import Job, Launches
from .places import Place

THREADS = 128
MOST_CHANNELS, MOST_TAPS, MOST_WORDS = 4, 64, 96
"""Of a group; of a filter, channels included; of the input that a thread keeps of a row."""
MOST_BYTES = 48 << 10
"""Shared memory that a block can have without asking."""


def refusal(problem: Problem, x: Place, out: Place) -> str:
    """Why it does not compute a problem: "(it computes) only ..."; "" if it does."""
    if problem.compute.kind != "f":
        return "only real sums"
    if problem.kernel[0] > 1 or problem.out_spatial[0] > 1:
        return "only one and two dimensions"
    if problem.group_channels > MOST_CHANNELS or prod(problem.kernel) * problem.group_channels > MOST_TAPS:
        return f"only filters of {MOST_CHANNELS} channels and {MOST_TAPS} taps"
    if problem.filters > 1 and out.steps[4] < out.steps[3]:
        return "only results whose neighbours in memory are pixels"
    shape = shape_of(problem)
    if shape.window * problem.group_channels > MOST_WORDS:
        return "only windows that registers hold"
    if shape.words() * problem.compute.itemsize > MOST_BYTES:
        return "only tiles that shared memory holds"
    steps = (
        *problem.spatial,
        *(lo + hi for lo, hi in problem.pads),
        *map(abs, x.steps[1:4]),
        *map(abs, out.steps[1:4]),
    )
    return "only strides below 2**31 elements" if max(steps) >= 2**31 else ""


def shape_of(problem: Problem) -> Stencil:
    """The tile: as wide as a row of the result, up to 64 columns; signals 1024."""
    (_, KH, KW), (_, sH, sW), (_, dH, dW) = problem.kernel, problem.stride, problem.dilation
    _, OH, OW = problem.out_spatial
    filters = problem.group_filters
    RF = 4 if filters >= 4 else 2 if filters > 1 else 1
    FB = min(-(-filters // RF) * RF, 32)
    LX = 1
    while LX * 8 < OW and (THREADS if OH == 1 else 8) > LX:
        LX *= 2
    tall = -(-OH // (THREADS // LX))
    RH = 1 if RF > 2 else min(4 // RF, 4 if tall > 2 else tall)
    shape = Stencil(KH, KW, sH, sW, dH, dW, problem.group_channels, FB, RF, RH, LX, THREADS)
    while shape.words() * problem.compute.itemsize > MOST_BYTES and (shape.RH > 1 or shape.T > 32):
        shape = shape._replace(RH=shape.RH // 2) if shape.RH > 1 else _halved(shape)
    return shape


def _halved(shape: Stencil) -> Stencil:
    """With half the threads, of which a row has no more than there are."""
    return shape._replace(T=shape.T // 2, LX=min(shape.LX, shape.T // 2))


def tables(problem: Problem, places: dict[str, Place]) -> dict[str, np.ndarray]:
    """What the kernel looks up: the samples that padding shows."""
    return generic.tables(problem, places)


def launches(problem: Problem, places: dict[str, Place]) -> Launches:
    """As those of `generic`."""
    x, bias = places["x"], places.get("bias")
    shape = shape_of(problem)
    _, OH, OW = problem.out_spatial
    parameters = (
        problem.x_dtype.name, problem.w_dtype.name, bias.view.dtype.name if bias else "", problem.compute.name,
        problem.result.name, problem.activation, problem.overflow, generic.has_borders(problem), *shape,
    )  # fmt: skip
    across, down = -(-OW // (shape.LX * 8)), -(-OH // (shape.T // shape.LX * shape.RH))
    per = -(-problem.group_filters // shape.FB)
    grid = (across * down, problem.groups * per, min(x.view.shape[0], generic.MOST))
    pointers = ("x", "w", "bias" if bias else "w", "out", "table" if generic.has_borders(problem) else "w")
    numbers = (_numbers(problem, places, across, per), generic.reals(problem))
    return Launches.of(Job("stencil.make", parameters, grid, numbers), pointers, places)


def _numbers(problem: Problem, places: dict[str, Place], across: int, per: int) -> tuple[int, ...]:
    """As the kernel takes them apart."""
    x, w, bias, out = places["x"], places["w"], places.get("bias"), places["out"]
    (_, H, W), (_, OH, OW), (_, KH, KW) = problem.spatial, problem.out_spatial, problem.kernel
    (_, sH, sW), (_, dH, dW), (_, (loH, _), (loW, _)) = problem.stride, problem.dilation, problem.pads
    starts = np.cumsum([lo + hi for lo, hi in problem.pads]).tolist()
    (xN, _, xH, xW, xC), (oN, _, oH, oW, oF), (_, wH, wW, wC, wF) = x.steps, out.steps, w.steps
    last_column, last_row = (OW - 1) * sW + (KW - 1) * dW, (OH - 1) * sH + (KH - 1) * dH
    return (
        across, per, x.view.shape[0], H, W, loH, loW, starts[0], starts[1], xN, xH, xW, xC, last_column, last_row,
        problem.group_filters, wH, wW, wC, wF, OH, OW, oN, oH, oW, oF, bias.steps[0] if bias else 0,
    )  # fmt: skip
