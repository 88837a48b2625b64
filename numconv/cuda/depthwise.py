"""The kernel for few channels with filters in lanes: when it is taken, what a thread has, what its launch is told."""

from __future__ import annotations

import numpy as np

from .._problem import Problem
from . import generic
from .kernels.shapes import Depthwise
from .launch import Job, Launches
from .places import WIDEST, Place

THREADS = (64, 96, 128)
"""Of a block: the fewest, if they are whole groups of those that have all filters of a pixel."""
ENOUGH = 4 * 132 * 320
"""Threads for four rounds of a large GPU: strips of rows are so short that there are as many."""
FEWEST_ROWS = 8
"""Of a strip: each reads some rows again that the one before has read."""
MOST_REGISTERS, MOST_IF_CONVERTED = 225, 190
"""Of a thread by an estimate, which leaves room; where results are made integers, or by smooth activations."""
SATURATED = 5000
"""Results of all threads of a multiprocessor in a step, whose bytes are enough to be waited for at once."""


def refusal(problem: Problem, x: Place, out: Place) -> str:
    """Why it does not compute a problem: "(it computes) only ..."; "" if it does."""
    if problem.compute.kind != "f":
        return "only real sums"
    if problem.kernel[0] > 1 or problem.out_spatial[0] > 1:
        return "only one and two dimensions"
    if problem.filters == 1 or out.steps[4] > out.steps[3]:
        return "only results whose neighbours in memory are filters"
    shape = shape_of(problem, x, out)
    if shape.span > 1 and x.steps[4] != 1:
        return "only channels that are neighbours"
    if shape.registers(problem.compute.itemsize) > most_registers(problem):
        return "only filters whose weights registers hold"
    reach = [n * abs(step) for n, step in zip(problem.spatial[1:], x.steps[2:4], strict=True)]
    sizes = [n + lo + hi for n, (lo, hi) in zip(problem.spatial, problem.pads, strict=True)]
    if max(*reach, *sizes, _tiles(problem, shape, x.view.shape[0])[0] + max(THREADS), problem.filters) >= 2**31:
        return "only maps that 31 bits number"
    return "only grids that there are" if -(-problem.filters // shape.VEC) > shape.LC * generic.MOST else ""


def shape_of(problem: Problem, x: Place, out: Place) -> Depthwise:
    """What keeps most bytes on their way in a multiprocessor, and reads few columns twice."""
    lanes, size, eW = together(problem, x, out), problem.compute.itemsize, fold(problem, 2)[0]
    _, OH, OW = problem.out_spatial
    shapes = [
        _shape(problem, x, VEC, TW)
        for VEC in (4, 2, 1)
        for TW in (16, 8, 7, 6, 5, 4, 3, 2, 1)
        if lanes >= VEC and size * VEC <= WIDEST and (TW == 1 or TW * eW < 2 * OW)
        if TW < 16 or OH == 1
    ]
    fitting = [shape for shape in shapes if shape.registers(size) <= most_registers(problem)]
    return max(fitting, key=lambda shape: _worth(shape, problem.compute.name, -(-OW // eW))) if fitting else shapes[-1]


def most_registers(problem: Problem) -> int:
    """Of a thread, by the estimate of its shape."""
    plain = problem.result.kind == "f" and problem.activation in ("", "relu", "leaky_relu")
    return MOST_REGISTERS if plain else MOST_IF_CONVERTED


def _worth(shape: Depthwise, compute: str, width: int) -> float:
    """Results of a step of all threads on a multiprocessor, by what each of them takes.

    Instructions, of which a load takes about 6 and a column of results 10, and columns that are read twice.
    """
    columns = len(shape.columns)
    others = (6 * columns * shape.span // shape.at_once + 10 * shape.TW) / shape.sums
    again = columns / (shape.TW * shape.sW)
    busy = shape.T // shape.LC * shape.LC * width / (-(-width // shape.TW) * shape.TW)
    threads = shape.blocks(compute) * busy
    return float(min(threads * shape.sums, SATURATED) / again**0.5 / (shape.weights / shape.VEC + others))


def together(problem: Problem, x: Place, out: Place) -> int:
    """Filters of a thread that can be stored at once, and whose channels are neighbours."""
    FG, found = problem.group_filters, 4
    while found > 1 and (
        problem.filters % found
        or out.together(4) % found
        or (problem.groups > 1 and FG % found and (found % FG or x.together(4) == 1))
    ):
        found //= 2
    return found


def _shape(problem: Problem, x: Place, VEC: int, TW: int) -> Depthwise:
    (_, KH, KW), (_, sH, sW), FG, C = problem.kernel, problem.stride, problem.group_filters, problem.group_channels
    span = C if problem.groups == 1 or FG % VEC == 0 else VEC // FG * C
    wide = min(x.together(4), WIDEST // problem.x_dtype.itemsize)
    at_once = next(n for n in (4, 2, 1) if span % n == 0 and (n == 1 or wide % n == 0))
    count = -(-problem.filters // VEC)
    LC = max(n for n in range(1, min(count, 32) + 1) if count % n == 0)
    LC = LC if LC >= 8 or count <= 32 else 32
    T = min(THREADS, key=lambda T: (T % LC / T, T))
    dH, dW, many = fold(problem, 1)[1], fold(problem, 2)[1], int(problem.out_spatial[1] > 1 or KH > 1)
    return Depthwise(KH, KW, sH, sW, dH, dW, C, span, at_once, VEC, TW, LC, T, many)


def fold(problem: Problem, axis: int) -> tuple[int, int]:
    """(the distance of neighbours in a thread, the dilation that is left): all of it is distance without a stride."""
    dilation = problem.dilation[axis]
    return (dilation, 1) if problem.stride[axis] == 1 else (1, dilation)


def _tiles(problem: Problem, shape: Depthwise, samples: int) -> tuple[int, int, int, int]:
    """(tiles in all, tiles along columns of a class, strips of rows of a class, rows of a strip)."""
    (eH, _), (eW, _), (_, OH, OW) = fold(problem, 1), fold(problem, 2), problem.out_spatial
    tall, wide = -(-OH // eH), -(-OW // (eW * shape.TW))
    rows, lanes = tall, -(-problem.filters // shape.VEC)
    while (
        rows > max(FEWEST_ROWS, 3 * problem.kernel[1]) and samples * eH * -(-tall // rows) * eW * wide * lanes < ENOUGH
    ):
        rows = -(-rows // 2)
    strips = -(-tall // rows)
    return samples * eH * strips * eW * wide, wide, strips, rows


def tables(problem: Problem, places: dict[str, Place]) -> dict[str, np.ndarray]:
    """What the kernel looks up: the samples that padding shows."""
    return generic.tables(problem, places)


def launches(problem: Problem, places: dict[str, Place]) -> Launches:
    """As those of `generic`."""
    x, bias, out = places["x"], places.get("bias"), places["out"]
    shape, borders = shape_of(problem, x, out), generic.has_borders(problem)
    parameters = (
        problem.x_dtype.name, problem.w_dtype.name, bias.view.dtype.name if bias else "", problem.compute.name,
        problem.result.name, problem.activation, problem.overflow, generic.border(problem), *shape,
    )  # fmt: skip
    numbers = _numbers(problem, shape, places)
    grid = (-(-numbers[1] // (shape.T // shape.LC)), -(-problem.filters // (shape.VEC * shape.LC)), 1)
    pointers = ("x", "w", "bias" if bias else "w", "out", "table" if borders else "w")
    return Launches.of(Job("depthwise.make", parameters, grid, (numbers, generic.reals(problem))), pointers, places)


def _numbers(problem: Problem, shape: Depthwise, places: dict[str, Place]) -> tuple[int, ...]:
    """As the kernel takes them apart."""
    x, w, bias, out = places["x"], places["w"], places.get("bias"), places["out"]
    (_, H, W), (_, OH, OW), (_, (loH, _), (loW, hiW)) = problem.spatial, problem.out_spatial, problem.pads
    starts = np.cumsum([lo + hi for lo, hi in problem.pads]).tolist()
    tiles, wide, strips, rows = _tiles(problem, shape, x.view.shape[0])
    (eH, _), (eW, _) = fold(problem, 1), fold(problem, 2)
    (xN, _, xH, xW, xC), (oN, _, oH, oW, oF), (_, wH, wW, wC, wF) = x.steps, out.steps, w.steps
    return (
        problem.filters, tiles, wide * eW, strips * eH, wide, strips, rows, OH, OW, H, W, loH, loW, starts[0],
        starts[1], eH, eW, xN, xH, xW, xC, oN, oH, oW, wH, wW, wC, wF, bias.steps[0] if bias else 0,
        problem.group_filters, oF, W - 1 + hiW,
    )  # fmt: skip
