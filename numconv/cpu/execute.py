"""A problem with weights, ready to run: pieces of real arithmetic, and the call of each."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .._problem import KC, Problem
from . import direct, runner
from .direct import Schedule
from .memory import address_of, borrow_workspace, give_back
from .records import CALL, CALL_SLOT, NOT_A_NUMBER, OVERFLOW

SECONDS_A_FLOP = 1 / 60e9
"""A guess, for the choice of runner and the length of slices; it is no part of any result."""

_TEMPLATE = array("q", bytes(CALL.itemsize))
_SLOT = CALL_SLOT


@dataclass(frozen=True)
class Piece:
    """One real convolution: which parts of complex numbers it reads and writes (0 real, 1 imaginary)."""

    schedule: Schedule
    weights: np.ndarray
    weights_address: int
    bias: np.ndarray | None
    bias_address: int
    x_part: int
    out_part: int


def pieces_of(problem: Problem, w: np.ndarray, bias: np.ndarray | None) -> list[Piece] | None:
    """Pack the weights (canonical) of a problem; None where only exact integers of Python's can hold the sums."""
    scalar = lanes_of(problem, w)
    if scalar is None:
        return None
    schedule = direct.build(problem, scalar)
    weights = direct.pack_weights(schedule, w)
    biases = _biases(problem, schedule, bias)
    split = problem.x_dtype.kind == "c" and problem.w_dtype.kind != "c"
    result = []
    for part, values in zip((0, 1) if split else (0,), biases, strict=False):
        at = 0 if values is None else address_of(values)
        result.append(Piece(schedule, weights, address_of(weights), values, at, part, part))
    return result


def _biases(problem: Problem, schedule: Schedule, bias: np.ndarray | None) -> list[np.ndarray | None]:
    """The bias of each piece: real and imaginary, or interleaved where the filters are."""
    if bias is None:
        return [None, None]
    values = np.ascontiguousarray(bias, problem.compute)
    if problem.compute.kind != "c":
        return [values]
    if schedule.layout.parts.o_parts == 2:
        return [values.view(values.real.dtype)]
    return [np.ascontiguousarray(values.real), np.ascontiguousarray(values.imag)]


def lanes_of(problem: Problem, w: np.ndarray) -> str | None:
    """Scalar code of the lanes. Integers go through float lanes where a chain's sums are exact in them."""
    if not problem.exact:
        return f"f{problem.compute.itemsize // (2 if problem.compute.kind == 'c' else 1)}"
    if problem.method == "reference":
        return None
    largest = _magnitude(problem.x_dtype)
    chain = largest * _magnitude(problem.w_dtype) * KC
    if chain >= 1 << 24:
        chain = int(largest * _largest_chain(problem, w) * (1 + 1e-9)) + 1
    return "f4" if chain < 1 << 24 else "f8" if chain < 1 << 51 else "i8"


def _magnitude(dtype: np.dtype) -> int:
    """Largest absolute value of an integer type."""
    return 1 if dtype.kind == "b" else max(-int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))


def _largest_chain(problem: Problem, w: np.ndarray) -> float:
    """Largest sum of |w| over a chain of any filter."""
    steps = problem.kernel[2] * problem.group_channels
    sizes = np.abs(w.astype(np.float64)).reshape(-1, problem.filters)
    ends = [a * steps + begin for a, _, begin, _ in problem.chains()] + [len(sizes)]
    return max(float(sizes[a:b].sum(axis=0).max()) for a, b in pairwise(ends))


def sums_fit(problem: Problem, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None) -> bool:
    """Whether no exact sum can leave the accumulator (or may wrap anyway): types first, then the values."""
    if problem.overflow == "wrap":
        return True
    room = 1 << (64 if problem.compute.kind == "u" else 63)
    products = problem.kernel[0] * problem.kernel[1] * problem.kernel[2] * problem.group_channels
    offset = 0 if bias is None else max((abs(int(b)) for b in bias.ravel()), default=0)
    if _magnitude(problem.x_dtype) * _magnitude(problem.w_dtype) * products + offset < room:
        return True
    taps = np.abs(w.astype(np.float64)).sum(axis=(0, 1, 2, 3)).max() * (1 + 1e-9) + 1
    pad = abs(int(problem.pad_value.real))
    values = 0 if x.size == 0 else max(abs(int(x.max())), abs(int(x.min())))
    return max(values, pad) * int(taps) + offset < room


def run(piece: Piece, x: int, x_strides: tuple, out: int, o_strides: tuple, samples: int, workers: int) -> int:
    """Run a piece on addresses and canonical byte strides (n, d, h, w, channels); returns CALL.status."""
    schedule = piece.schedule
    layout = schedule.layout
    units = layout.units
    jobs = schedule.blocks * samples
    seconds = schedule.problem.flops * SECONDS_A_FLOP * samples
    filter_blocks = schedule.least_filter_blocks
    if workers > 1 and jobs * filter_blocks < 4 * workers and seconds > 1e-4:
        filter_blocks = min(units, max(filter_blocks, -(-4 * workers // jobs)))
    unit_block = -(-units // filter_blocks)
    filter_blocks = -(-units // unit_block)
    jobs *= filter_blocks
    workers = min(workers, jobs)
    call = _TEMPLATE[:]
    call[0], call[1], call[4] = schedule.job, schedule.plan_address, schedule.slot_bytes
    space = borrow_workspace(workers * schedule.slot_bytes)
    call[3] = address_of(space)
    item, parts = layout.item, layout.parts
    source, target = x + piece.x_part * schedule.x_item, out + piece.out_part * schedule.out_item
    call[_X : _X + 4] = array("q", (source, target, piece.bias_address, piece.weights_address))
    if schedule.in_place and x_strides[4] == parts.x_parts * item:
        call[_SLOT["taps"]] = schedule.taps_at(x_strides)
    call[_SLOT["direct"]] = schedule.direct and o_strides[4] == parts.o_parts * item
    call[_SLOT["part"]] = piece.x_part
    call[_SLOT["filter_blocks"]], call[_SLOT["unit_block"]] = filter_blocks, unit_block
    call[_STRIDES:] = array("q", x_strides + o_strides)
    try:
        runner.run(call, call.buffer_info()[0], jobs, workers, seconds)
    finally:
        give_back(space)
    return call[_SLOT["status"]]


_X, _STRIDES = CALL_SLOT["x"], CALL_SLOT["x_n"]


def raise_overflow(name: str, problem: Problem, status: int) -> None:
    """The error of an integer result that does not hold a value; `out` is then undefined."""
    if status & OVERFLOW:
        raise OverflowError(
            f"{name}: a value does not fit the result type {problem.result}; choose a wider dtype, or overflow="
            f"'saturate' or 'wrap'"
        )
    if status & NOT_A_NUMBER:
        raise OverflowError(f"{name}: a NaN does not fit the result type {problem.result}")
