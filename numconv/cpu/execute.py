"""A problem with weights, ready to run: pieces of real arithmetic, and the call of each."""

from __future__ import annotations

from array import array
from functools import reduce
from operator import or_
from typing import NamedTuple

import numpy as np

from .._problem import Problem
from . import direct, integers, kept, methods, proof, reductions, runner
from .channels import Channels
from .direct import Schedule
from .integers import Lanes
from .memory import address_of, aligned_empty, borrow_workspace, cast, give_back
from .records import CALL, CALL_SLOT, NOT_A_NUMBER, OVERFLOW, SIGNED_ZERO, call_with
from .schedule import Layout

MANY_WEIGHTS = 8192
"""Weights from which a compiled packing pays."""
STREAM_BYTES = 8 << 20
"""Results from which tiles with pixels in lanes are written past the caches."""
LONGEST_JOB = 0.05
"""Seconds, roughly: between two jobs a worker looks whether it has been stopped."""


class Piece(NamedTuple):
    """One real convolution: which part of complex numbers it reads and writes (0 real, 1 imaginary)."""

    schedule: Schedule
    weights: np.ndarray
    weights_address: int
    bias: np.ndarray | None
    bias_address: int
    part: int
    skip: bool = False  # products of padding: see `kernels.order`
    given: tuple[np.ndarray, np.ndarray] | None = None  # weights as they were, and where they lie: `methods`


class Launch(NamedTuple):
    """What calls of one schedule with the same strides, samples and workers have in common."""

    call: array[int]  # a CALL record, to be copied and completed
    jobs: int
    workers: int
    seconds: float  # that one worker would take, roughly
    workspace_bytes: int


def pieces_of(
    problem: Problem, w: np.ndarray, bias: np.ndarray | None, threads: int | None, tried: tuple[str, ...] = ()
) -> list[Piece] | None:
    """Pack the weights (canonical) of a problem; None where its kernels failed their proof.

    Of the methods that are to be tried the first one takes it that can compute these weights; `direct` can.
    """
    for name in tried:
        if name in methods.OTHERS and (piece := _transformed(name, problem, w, bias, threads)) is not None:
            return [piece]
    lanes = lanes_of(problem, w, bias)
    schedule = problem.schedules.get(lanes)
    if schedule is None:
        schedule = None if lanes in problem.schedules else kept.build(problem, lanes)
        if schedule is None:
            return None
    w = integers.operand(w, lanes)
    assert isinstance(schedule.layout, Layout | Channels)
    if packing_of(schedule.layout, w, lanes.scalar) is None:
        weights = direct.pack_weights(schedule, w)
        skip = schedule.skips and bool(np.isfinite(weights).all())
    else:
        weights, skip = _pack(schedule, w, threads or runner.default_workers())
    return pieces(schedule, weights, bias, skip)


def lanes_of(problem: Problem, w: np.ndarray, bias: np.ndarray | None) -> Lanes:
    """The lanes in which products are made."""
    return _REAL_LANES.get(problem.compute.char) or integers.lanes_of(problem, w, bias)


def packing_of(layout: Layout | Channels, w: np.ndarray, scalar: str) -> tuple | None:
    """The kernel that packs weights; None where NumPy does."""
    by_hand = w.dtype.kind == "c" or w.dtype == np.float16 or layout.order in ("rolling", "channels")
    return None if w.size < MANY_WEIGHTS or by_hand else ("weights.pack", direct.code_of(w.dtype), scalar)


def pieces(schedule: Schedule, weights: np.ndarray, bias: np.ndarray | None, skip: bool) -> list[Piece]:
    """The real convolutions that a schedule stands for, with packed weights."""
    problem, at = schedule.problem, address_of(weights)
    if problem.compute.kind != "c":
        if bias is None:
            return [Piece(schedule, weights, at, None, 0, 0, skip)]
        values = cast(cast(bias, problem.compute), schedule.acc_code)
        if problem.reduce:
            values = reductions.spread(schedule, values)
        return [Piece(schedule, weights, at, values, address_of(values), 0, skip)]
    biases = _complex_biases(problem, schedule, bias)
    split = problem.x_dtype.kind == "c" and problem.w_dtype.kind != "c"
    return [
        Piece(schedule, weights, at, values, 0 if values is None else address_of(values), part, skip)
        for part, values in zip((0, 1) if split else (0,), biases, strict=False)
    ]


def _transformed(
    name: str, problem: Problem, w: np.ndarray, bias: np.ndarray | None, threads: int | None
) -> Piece | None:
    """The weights of a problem packed for another method, if they can be, by kernels that are proved."""
    schedule = problem.schedules.get(name)
    if schedule is None and name not in problem.schedules:
        schedule = kept.build_other(problem, name)
    return None if schedule is None else transformed(schedule, w, bias, threads or runner.default_workers())


def transformed(schedule: Schedule, w: np.ndarray, bias: np.ndarray | None, workers: int) -> Piece | None:
    """Weights packed for the method of a schedule, if they can be."""
    packed = methods.OTHERS[schedule.layout.method].pack(schedule, w, workers)
    if packed is None:
        return None
    weights, own, place = packed
    values = None if bias is None else cast(bias, schedule.problem.compute)
    bias_address = 0 if values is None else address_of(values)
    return Piece(schedule, weights, address_of(weights), values, bias_address, 0, given=(own, place))


def _pack(schedule: Schedule, w: np.ndarray, workers: int) -> tuple[np.ndarray, bool]:
    """Pack real weights by the compiled kernel; and whether products of padding may be skipped."""
    steps, groups, _, per, units, scalar = schedule.weights_shape
    if not (w.dtype.isnative and w.flags.aligned):
        w = np.require(w, w.dtype.newbyteorder("="), ["C", "A"])
    kernel = proof.packing(schedule, direct.code_of(w.dtype), _pack_by)
    if kernel == 0:
        packed = direct.pack_weights(schedule, w)
        return packed, schedule.skips and bool(np.isfinite(packed).all())
    packed = aligned_empty((groups, units, steps, per), scalar)
    status = _pack_by(kernel, schedule, w, packed, workers)
    return packed, schedule.skips and status == 0


def _pack_by(kernel: int, schedule: Schedule, w: np.ndarray, packed: np.ndarray, workers: int = 1) -> int:
    """Fill `packed`, one unit a job; returns CALL.status."""
    call = array("q", bytes(CALL.itemsize))
    call[_KERNEL], call[_PLAN], call[_X], call[_OUT] = kernel, schedule.plan_address, w.ctypes.data, packed.ctypes.data
    call[_STRIDES : _STRIDES + 5] = array("q", (w.strides[4], *w.strides[:4]))
    call[_SKIP] = schedule.skips
    runner.run(call, call.buffer_info()[0], packed.shape[0] * packed.shape[1], workers, w.size * 1e-9)
    return call[_STATUS]


_REAL_LANES = {"f": Lanes("f4"), "d": Lanes("f8"), "F": Lanes("f4"), "D": Lanes("f8")}


def _complex_biases(problem: Problem, schedule: Schedule, bias: np.ndarray | None) -> list[np.ndarray | None]:
    """The bias of each piece: real and imaginary, or interleaved where the filters are."""
    if bias is None:
        return [None, None]
    values = cast(bias, problem.compute)
    if schedule.layout.parts.o_parts == 2:
        return [values.view(values.real.dtype)]
    return [np.ascontiguousarray(values.real), np.ascontiguousarray(values.imag)]


def run(piece: Piece, x: int, x_strides: tuple, out: int, o_strides: tuple, samples: int, threads: int | None) -> int:
    """Run a piece on addresses and canonical byte strides (n, d, h, w, channels); returns CALL.status."""
    if piece.schedule.seconds * samples < runner.HANDOVER:
        threads = 1
    elif threads is None:
        threads = runner.default_workers()
    found = _launched(piece, x_strides, o_strides, samples, threads)
    space, address = borrow_workspace(found.workspace_bytes)
    call = call_of(found, piece, x, out, address)
    try:
        go(call, found)
    finally:
        give_back(space, address)
    return call[_STATUS]


def _launched(piece: Piece, x_strides: tuple, o_strides: tuple, samples: int, threads: int) -> Launch:
    """The launch, which is kept with the schedule."""
    schedule, part = piece.schedule, piece.part
    key = (part, x_strides, o_strides, samples, threads)
    found = schedule.launches.get(key)
    if found is None:
        at = _apart(schedule) if schedule.lies_apart(x_strides, o_strides) else schedule
        found = _remember(schedule, key, launch(at, part, x_strides, o_strides, samples, threads))
    return found


class Run(NamedTuple):
    """A piece, and addresses and canonical byte strides of what it reads and writes."""

    piece: Piece
    x: int
    x_strides: tuple[int, ...]
    out: int
    o_strides: tuple[int, ...]


def run_together(runs: list[Run], samples: int, threads: int | None) -> int:
    """Several pieces as one call; returns all that their CALL.status say.

    Where results are beyond the caches a job is the same job of all pieces, else of one, whose weights stay near.
    """
    seconds = sum(one.piece.schedule.seconds for one in runs) * samples
    if seconds < runner.HANDOVER:
        threads = 1
    elif threads is None:
        threads = runner.default_workers()
    kernel = proof.phases(runs[0].piece)
    if kernel == 0:
        return reduce(or_, (run(*one, samples, threads) for one in runs))
    far = sum(one.piece.schedule.result_bytes for one in runs) * samples >= STREAM_BYTES
    together = 1
    if far:
        longest = seconds / samples / max(one.piece.schedule.jobs for one in runs)
        together = len(runs) if longest <= LONGEST_JOB else max(1, int(len(runs) * LONGEST_JOB / longest))
    return go_together(kernel, runs, samples, threads, together, seconds)


def go_together(kernel: int, runs: list[Run], samples: int, threads: int, together: int, seconds: float) -> int:
    """Run pieces by a kernel of `kernels.phases`, `together` of them in a job; returns all that CALL.status say."""
    share = -(-threads * together // len(runs))
    found = [_launched(one.piece, one.x_strides, one.o_strides, samples, share) for one in runs]
    slot, most = max(launch.call[_SLOT_BYTES] for launch in found), max(launch.jobs for launch in found)
    jobs = -(-len(runs) // together) * most
    workers = min(threads, jobs)
    space, address = borrow_workspace(workers * slot)
    calls = [call_of(launch, one.piece, one.x, one.out, address) for launch, one in zip(found, runs, strict=True)]
    table = array("q", (len(runs), most, together))
    for i, (call, launch) in enumerate(zip(calls, found, strict=True)):
        call[_SLOT_BYTES] = slot
        call[_KEPT] = i % together > 0 and _packs_alike(runs[i], runs[i - 1])
        table.extend((call[_KERNEL], call[_PLAN], call.buffer_info()[0], launch.jobs))
    every = array("q", bytes(CALL.itemsize))
    every[_KERNEL], every[_PLAN] = kernel, table.buffer_info()[0]
    try:
        runner.run(every, every.buffer_info()[0], jobs, workers, seconds)
        for call, launch in zip(calls, found, strict=True):
            if call[_STATUS] & SIGNED_ZERO:
                call[_SKIP] = call[_STATUS] = call[_KEPT] = 0
                runner.run(call, call.buffer_info()[0], launch.jobs, launch.workers, launch.seconds)
    finally:
        give_back(space, address)
    return reduce(or_, (call[_STATUS] for call in calls))


def _packs_alike(run: Run, before: Run) -> bool:
    """Whether a job of a run finds what it would pack where the run before it has packed it."""
    layout = run.piece.schedule.layout
    same = run.piece.schedule is before.piece.schedule and run.piece.part == before.piece.part
    same &= (run.x, run.x_strides) == (before.x, before.x_strides)
    return same and isinstance(layout, Layout) and layout.order == "filters" and len(layout.passes) == 1


def call_of(launch: Launch, piece: Piece, x: int, out: int, workspace: int) -> array[int]:
    """A CALL record, complete."""
    call = launch.call[:]
    if piece.part:
        x, out = x + piece.schedule.x_item, out + piece.schedule.out_item
    call[_WORKSPACE] = workspace
    call[_X], call[_OUT], call[_BIAS], call[_WEIGHTS] = x, out, piece.bias_address, piece.weights_address
    call[_SKIP] = piece.skip
    if piece.given is not None:
        call[_GIVEN] = address_of(piece.given[1])
    return call


def go(call: array[int], launch: Launch) -> None:
    """Run a complete CALL record; without skipping if that would have changed the sign of a zero."""
    address = call.buffer_info()[0]
    runner.run(call, address, launch.jobs, launch.workers, launch.seconds)
    if call[_STATUS] & SIGNED_ZERO:
        call[_SKIP] = call[_STATUS] = 0
        runner.run(call, address, launch.jobs, launch.workers, launch.seconds)


def launch(schedule: Schedule, part: int, x_strides: tuple, o_strides: tuple, samples: int, threads: int) -> Launch:
    """Jobs: blocks of samples, and ranges of filter units where there are few blocks for the workers."""
    units, parts = schedule.layout.units, schedule.layout.parts
    together = min(samples, schedule.layout.samples)
    jobs, seconds = schedule.jobs * -(-samples // together), schedule.seconds * samples
    filter_blocks = max(
        schedule.least_filter_blocks, int(schedule.seconds * together / schedule.jobs / LONGEST_JOB) + 1
    )
    if threads > 1 and jobs * filter_blocks < 4 * threads:
        filter_blocks = max(filter_blocks, -(-4 * threads // jobs))
    unit_block = -(-units // min(units, filter_blocks))
    filter_blocks = -(-units // unit_block)
    item, axis = schedule.layout.item, schedule.lane_axis
    direct = schedule.direct and o_strides[axis] == parts.o_parts * schedule.out_item
    in_place = schedule.in_place and x_strides[axis] == parts.x_parts * item and (axis == 4 or direct)
    fields = {
        "kernel": schedule.job, "plan": schedule.plan_address, "slot_bytes": schedule.slot_bytes, "part": part,
        "direct": direct,
        "taps": schedule.taps_at(x_strides) if in_place else 0,
        "filter_blocks": filter_blocks, "unit_block": unit_block, "samples": samples, "sample_block": together,
        "stream": schedule.result_bytes * samples >= STREAM_BYTES,
    }  # fmt: skip
    jobs *= filter_blocks
    fields["workers"] = workers = min(threads, jobs)
    call = call_with(fields)
    call[_STRIDES:] = array("q", x_strides + o_strides)
    return Launch(call, jobs, workers, seconds, workers * schedule.slot_bytes)


def _apart(schedule: Schedule) -> Schedule:
    """A schedule for what lies apart, kept by the other: calls hold the address of its PLAN record."""
    if not schedule.apart:
        schedule.apart.append(proof.build_apart(schedule))
    return schedule.apart[0]


def _remember(schedule: Schedule, key: tuple, launch: Launch) -> Launch:
    if len(schedule.launches) >= 64:  # ever new batch sizes or strides
        schedule.launches.clear()
    schedule.launches[key] = launch
    return launch


_X, _OUT, _BIAS, _WEIGHTS = (CALL_SLOT[name] for name in ("x", "out", "bias", "weights"))
_SKIP, _GIVEN, _KEPT = CALL_SLOT["skip"], CALL_SLOT["given"], CALL_SLOT["kept"]
_KERNEL, _PLAN, _SLOT_BYTES = CALL_SLOT["kernel"], CALL_SLOT["plan"], CALL_SLOT["slot_bytes"]
_WORKSPACE, _STATUS, _STRIDES = (CALL_SLOT[name] for name in ("workspace", "status", "x_n"))


def raise_overflow(name: str, problem: Problem, status: int) -> None:
    """The error of an integer result that does not hold a value; `out` is then undefined."""
    if status & OVERFLOW:
        raise OverflowError(
            f"{name}: a value does not fit the result type {problem.result}; choose a wider dtype, or overflow="
            f"'saturate' or 'wrap'"
        )
    if status & NOT_A_NUMBER:
        raise OverflowError(f"{name}: a NaN does not fit the result type {problem.result}")
