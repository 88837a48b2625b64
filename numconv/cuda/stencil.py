"""The kernel for few channels with pixels in lanes: when it is taken, its tile, what its launch is told."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._problem import KC, Problem
from . import generic
from .kernels.shapes import CHUNK, CHUNKS, ROWS, UNROLLED, Stencil
from .launch import Job, Launches
from .places import WIDEST, Place

THREADS = 128
MOST_CHANNELS, MOST_TAPS, MOST_ROW, MOST_LONG = 4, 64, 128, 1024
"""Channels of a group; taps of a filter, channels included, without a loop; of a row; of the only row, in chunks."""
MANY_TAPS = 16
"""Of a row, from which a thread has most columns."""
TALL_TAPS = 25
"""From which a thread has eight rows: these take as many loads of the window as products of 6 taps."""
FEW_FILTERS = 8
"""From which many taps are the work of `dense`."""
MOST_WORDS = 112
"""Of the input that a thread keeps of a row."""
MOST_BYTES, MOST_OF_LONG = 48 << 10, 96 << 10
"""Shared memory of a block; of one with a row of more than LONG taps, whose tile is mostly halo."""
LONG = 512
MULTIPROCESSORS, WAVES, MOST_SAMPLES = 132, 8, 16
"""Of a large GPU; rounds of blocks that keep it evenly busy; samples of a block."""
MARGIN = 1 << 16
"""Columns that a tile may have beyond the last."""


def refusal(problem: Problem, x: Place, out: Place) -> str:
    """Why it does not compute a problem: "(it computes) only ..."; "" if it does."""
    if problem.compute.kind != "f":
        return "only real sums"
    if problem.kernel[0] > 1 or problem.out_spatial[0] > 1:
        return "only one and two dimensions"
    if problem.filters > 1 and out.steps[4] < out.steps[3]:
        return "only results whose neighbours in memory are pixels"
    if reason := _too_many(problem):
        return reason
    shape = shape_of(problem, x, out)
    if shape.window * problem.group_channels > MOST_WORDS:
        return "only windows that registers hold"
    if shape.shared_bytes() > _most_bytes(shape):
        return "only tiles that shared memory holds"
    if -(-problem.group_filters // shape.FB) * problem.groups > generic.MOST:
        return "only grids that there are"
    steps = (
        *problem.spatial,
        *(lo + hi for lo, hi in problem.pads),
        *map(abs, x.steps[1:4]),
        *map(abs, out.steps[1:4]),
        problem.spatial[2] * abs(x.steps[3]),
    )
    return "only rows and strides that 31 bits number" if max(steps) >= 2**31 - MARGIN else ""


def _too_many(problem: Problem) -> str:
    """Why there are too many taps, if there are."""
    (_, KH, KW), C = problem.kernel, problem.group_channels
    if C > MOST_CHANNELS:
        return f"only filters of {MOST_CHANNELS} channels"
    if KH * KW * C <= MOST_TAPS:
        return ""
    if problem.group_filters >= FEW_FILTERS:
        return f"only filters of {MOST_TAPS} taps in groups of {FEW_FILTERS}"
    if KH > 1:
        return f"only filters of {MOST_ROW} taps in a row" if KW * C > MOST_ROW else ""
    if C == 1 and problem.chains()[0][3] % CHUNK == 0:
        return ""  # as many as shared memory holds: all chains are one loop
    most = KC // C if C > 1 else MOST_LONG
    return "" if most >= KW else f"only filters of {most} taps"


def shape_of(problem: Problem, x: Place, out: Place) -> Stencil:
    """The tile: as wide as a row of the result, up to 64 columns; signals 2048."""
    (_, KH, KW), (_, sH, sW), (_, dH, dW) = problem.kernel, problem.stride, problem.dilation
    (_, OH, OW), filters, C = problem.out_spatial, problem.group_filters, problem.group_channels
    RF = 4 if filters >= 4 else 2 if filters > 1 else 1
    FB = min(-(-filters // RF) * RF, 32)
    unrolled = (MOST_TAPS if KH > 1 else CHUNK) >= KH * KW * C
    walk = UNROLLED if unrolled else ROWS if KH > 1 else CHUNKS
    Q = WIDEST // problem.compute.itemsize
    V, VO = (min(Q, place.together(3)) for place in (x, out))
    off = -problem.pads[2][0] % Q if V > 1 else 0
    ragged = int(V > 1 and (problem.spatial[2] % V > 0 or generic.has_borders(problem)))

    def shaped(RUN: int) -> Stencil:
        LX, T = 1, THREADS
        while LX * RUN < OW and (THREADS if OH == 1 else 64 // RUN) > LX:
            LX *= 2
        if OH == 1:
            T = LX = min(max(LX, 32), THREADS)
        RH = _rows(OH, LX, 1 if RF > 2 else (2 if walk == ROWS else 4) // RF)
        if RH == 4 and OH >= 64 and KH * KW * C >= TALL_TAPS and sH == dH == 1:
            RH, T = 8, T // 2
        return Stencil(
            KH, KW, sH, sW, dH, dW, C, FB, RF, RH, RUN, LX, T, Q, V, VO, off, walk, _limit(problem), ragged
        )  # fmt: skip

    return _fitting(shaped(_run(problem, RF, walk, shaped)), OH)


def _rows(OH: int, LX: int, most: int) -> int:
    """Rows of a thread: so few that a quarter at most of the rows of a warp is beyond the last."""
    return next((rows for rows in (4, 2) if rows <= most and 4 * max(32 // LX, 1) * rows <= 5 * OH), 1)


def _run(problem: Problem, RF: int, walk: int, shaped: Callable[[int], Stencil]) -> int:
    """Columns of a thread: the more, the more taps there are to a sample that is read."""
    (_, KH, KW), C = problem.kernel, problem.group_channels
    if RF > 1 or problem.stride[2] > 1 or (problem.out_spatial[1] > 1 and walk != ROWS):
        return 8
    most = 32 if KH == 1 and KW >= MANY_TAPS else 16
    return next((run for run in (32, 16) if run <= most and shaped(run).window * C <= MOST_WORDS), 8)


def _fitting(shape: Stencil, OH: int) -> Stencil:
    """With fewer threads where there are fewer rows, or where shared memory is too small."""
    while shape.T > 32 and shape.T // 2 // shape.LX * shape.RH >= OH > 1:
        shape = _halved(shape)
    while shape.shared_bytes() > _most_bytes(shape) and (shape.RH > 1 or shape.T > 32):
        shape = _halved(shape) if shape.T > 32 else shape._replace(RH=shape.RH // 2)
    return shape


def _most_bytes(shape: Stencil) -> int:
    return MOST_OF_LONG if shape.KW > LONG else MOST_BYTES


def _limit(problem: Problem) -> int:
    """Steps of a chain, 0 for the only one: of whole rows, or of a part of the only row, which is of one channel."""
    chains = problem.chains()
    return 0 if len(chains) == 1 else KC if problem.kernel[1] > 1 else chains[0][3]


def _halved(shape: Stencil) -> Stencil:
    """With half the threads, of which a row has no more than there are."""
    return shape._replace(T=shape.T // 2, LX=min(shape.LX, shape.T // 2))


def tables(problem: Problem, places: dict[str, Place]) -> dict[str, np.ndarray]:
    """What the kernel looks up: the samples that padding shows."""
    return generic.tables(problem, places)


def launches(problem: Problem, places: dict[str, Place]) -> Launches:
    """As those of `generic`."""
    x, bias = places["x"], places.get("bias")
    shape = shape_of(problem, x, places["out"])
    _, OH, OW = problem.out_spatial
    parameters = (
        problem.x_dtype.name, problem.w_dtype.name, bias.view.dtype.name if bias else "", problem.compute.name,
        problem.result.name, problem.activation, problem.overflow, generic.border(problem), *shape,
    )  # fmt: skip
    across, down = -(-OW // (shape.LX * shape.RUN)), -(-OH // (shape.T // shape.LX * shape.RH))
    per = -(-problem.group_filters // shape.FB)
    grid = (across * down, problem.groups * per, _at_once(x.view.shape[0], across * down * problem.groups * per, shape))
    pointers = ("x", "w", "bias" if bias else "w", "out", "table" if generic.has_borders(problem) else "w")
    numbers = (_numbers(problem, places, across, per), generic.reals(problem))
    return Launches.of(Job("stencil.make", parameters, grid, numbers), pointers, places)


def _at_once(samples: int, blocks: int, shape: Stencil) -> int:
    """Samples in the grid, while blocks go on to others: fewer where there are blocks enough for all of WAVES.

    What a block does once, reading its filters among it, is a third of its work for a small plane.
    """
    each = samples * blocks // (MULTIPROCESSORS * shape.blocks() * WAVES)
    return min(-(-samples // min(max(each, 1), MOST_SAMPLES)), generic.MOST)


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
