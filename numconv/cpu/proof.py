"""Proof at first use: before kernels compute anything real they compute a small exact problem.

That catches what a checksum cannot: an entry of the cache that is whole and yet another kernel, and code that a
compiler got wrong. Whoever fails is dropped and compiled anew; whoever fails twice is not used in this process, and the
reference does the work: slow, and right. A schedule is proved as it is built, if a kernel of it has not been: calls
never ask.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from .._config import versions
from .._problem import Problem
from .._reductions import put_together, reduce_maps
from .._views import canonical_strides
from . import cache, direct, exercise, methods, reductions, runner
from .cache import Kernel, KernelError
from .channels import Channels
from .direct import Schedule
from .integers import Lanes, operand
from .machine import machine
from .memory import ALIGNMENT, address_of
from .records import CALL_SLOT
from .schedule import Layout

if TYPE_CHECKING:
    from .execute import Piece

SLACK = 1 << 16
"""Bytes around all that an unproved kernel writes: it may be one for larger tiles."""
_POISON = 0xA5
_AXES = (0, 1, 2, 3, 4)

proved: set[Kernel] = set()
_refused: set[frozenset[Kernel]] = set()  # those of a schedule: others may still be right with some of them

T = TypeVar("T")
Pack = Callable[[int, Schedule, np.ndarray, np.ndarray], int]


def build(problem: Problem, lanes: Lanes) -> Schedule | None:
    """The schedule of a problem, of proved kernels; None where they failed twice."""
    return twice(lambda: _prove(direct.build(problem, lanes)))


def build_apart(schedule: Schedule) -> Schedule:
    """The same with kernels that are fast where channels or filters lie apart; as it is, where those failed twice."""
    p = replace(schedule.problem, channels_last=False)
    assert isinstance(schedule.layout, Layout)
    layout = replace(schedule.layout, parts=replace(schedule.layout.parts, problem=p))
    return twice(lambda: _prove(direct.record(p, layout, machine()))) or schedule


def _prove(schedule: Schedule) -> Schedule:
    fresh, every = schedule.kernels - proved, schedule.kernels
    if every in _refused:
        raise KernelError("failed before", fresh, known=True)
    if fresh and not all(map(_is_right, exercise.exercises(schedule))):
        raise KernelError("computed a wrong result", fresh, together=every)
    proved.update(fresh)
    return schedule


def build_other(problem: Problem, name: str) -> Schedule | None:
    """The same for a method besides `direct`: near the exact result, which it rounds as it likes."""
    method = methods.OTHERS[name]

    def attempt() -> Schedule:
        schedule = method.build(problem)
        fresh = schedule.kernels - proved
        if fresh and not _is_near(method.small(schedule)):
            raise KernelError("computed a wrong result", fresh)
        proved.update(fresh)
        return schedule

    return twice(attempt)


def _is_near(small: Schedule | None) -> bool:
    """Whether kernels of a small schedule solve its problem; again with an infinite sample, and w lying otherwise."""
    from . import execute

    if small is None:
        return True
    p = small.problem
    x, w, bias = exercise.arrays(p)
    for infinite in (False, True):
        if infinite:
            x[tuple(size // 2 for size in x.shape)] = np.inf
            w = np.ascontiguousarray(w.swapaxes(3, 4)).swapaxes(3, 4)
        with np.errstate(invalid="ignore"):
            wanted = exercise.expected(p, x, w, bias)
        shape = wanted.shape if p.channels_last else tuple(wanted.shape[i] for i in (0, 4, 1, 2, 3))
        space, out = shielded(shape, wanted.dtype)
        got = out if p.channels_last else np.moveaxis(out, 1, 4)
        piece = execute.transformed(small, w, bias, 1)
        if piece is None:
            return False
        strides = canonical_strides(x.strides, _AXES), canonical_strides(got.strides, _AXES)
        launch = execute.launch(small, 0, *strides, 1, 1)
        workspace, slot = shielded((launch.workspace_bytes,), np.dtype("u1"))
        execute.go(execute.call_of(launch, piece, address_of(x), address_of(got), address_of(slot)), launch)
        with np.errstate(invalid="ignore"):  # NumPy 1.26 multiplies complex infinities by one
            near = np.allclose(got, wanted, rtol=1e-3, atol=1e-2, equal_nan=True)
        if not (near and is_intact(space, out) and is_intact(workspace, slot)):
            return False
    return True


def packing(schedule: Schedule, code: str, pack: Pack) -> int:
    """The address of the proved kernel that packs weights of a scalar code; 0 where it failed twice."""
    kernel = ("weights.pack", code, schedule.layout.parts.scalar)

    def attempt() -> int:
        address = cache.address(*kernel)
        if kernel not in proved and not _packs(address, schedule, pack):
            raise KernelError("packed weights wrongly", [kernel])
        proved.add(kernel)
        return address

    return twice(attempt) or 0


def phases(piece: Piece) -> int:
    """The address of the proved kernel that runs several calls as one; 0 where it failed twice."""
    kernel = direct.PHASES

    def attempt() -> int:
        address = cache.address(*kernel)
        if kernel not in proved and not _runs_together(address, piece.schedule):
            raise KernelError("ran calls wrongly", [kernel])
        proved.add(kernel)
        return address

    return twice(attempt) or 0


def _runs_together(address: int, schedule: Schedule) -> bool:
    """Whether two calls, apart and in one job, do what each does alone: proved kernels on a small problem."""
    from . import execute

    method = schedule.layout.method
    if method in methods.OTHERS:
        small = methods.OTHERS[method].small(schedule)
    else:
        layout = next(exercise.exercises(schedule))
        small = direct.record(layout.parts.problem, layout, machine())
    if small is None:
        return True
    p = small.problem
    x, w, bias = exercise.arrays(p)
    if method in methods.OTHERS:
        piece = execute.transformed(small, w, bias, 1)
    else:
        weights = direct.pack_weights(small, operand(w, Lanes(small.layout.parts.scalar)))
        piece = execute.pieces(small, weights, bias, small.skips)[0]
    if piece is None:
        return False
    strides, results = canonical_strides(x.strides, _AXES), []
    for count, together in ((1, 0), (2, 1), (2, 2)):
        spaces = [shielded((1, *p.out_spatial, p.filters), p.result) for _ in range(count)]
        runs = [execute.Run(piece, address_of(x), strides, address_of(out), out.strides) for _, out in spaces]
        if together == 0:
            execute.run(*runs[0], 1, 1)
        else:
            execute.go_together(address, runs, 1, 1, together, 0.0)
        if not all(is_intact(space, out) for space, out in spaces):
            return False
        results += [out.tobytes() for _, out in spaces]
    return len(set(results)) == 1


def twice(attempt: Callable[[], T]) -> T | None:
    """What an attempt gives, or another one with kernels compiled anew; if they fail again, refuse them for good."""
    for last in (False, True):
        try:
            return attempt()
        except KernelError as error:
            if error.known:
                return None
            for kernel in error.kernels:
                cache.drop(*kernel)
            runner.forget_worker()
            if last:
                if error.together:
                    _refused.add(error.together)
                else:
                    cache.refuse(error.kernels)
                _warn(error)
    return None


def _is_right(layout: Layout | Channels) -> bool:
    """Whether the kernels of a layout solve its problem, and write nowhere else."""
    p = layout.parts.problem
    x, w, bias = exercise.arrays(p)
    wanted = exercise.expected(p, x, w, bias)
    small = direct.record(p, layout, machine())
    if p.reduce:
        return _reduces(small, x, w, bias, wanted)
    shape = wanted.shape if p.channels_last else tuple(wanted.shape[i] for i in (0, 4, 1, 2, 3))
    for apart in (1, 2) if small.direct else (1,):  # where tiles store results themselves, and where `finish` does
        space, out = shielded((*shape[:-1], shape[-1] * apart), wanted.dtype)
        got = out[..., ::apart] if p.channels_last else np.moveaxis(out[..., ::apart], 1, 4)
        if not (_runs(small, x, w, bias, got) and is_intact(space, out) and _agree(p, got, wanted)):
            return False
    return True


def _reduces(small: Schedule, x: np.ndarray, w: np.ndarray, bias: np.ndarray, maps: np.ndarray) -> bool:
    """The same where kernels reduce maps."""
    space, memory = shielded((reductions.sample_bytes(small),), np.dtype("u1"))
    records = reductions.records(small, 1, memory)
    if not (_runs(small, x, w, bias, records.places) and is_intact(space, memory)):
        return False
    got, wanted = put_together(small.problem, records.rows()), reduce_maps(small.problem, maps)
    if small.problem.activation in direct.RELU:
        return all(np.array_equal(got[name], wanted[name]) for name in wanted)
    return all(np.allclose(got[name], wanted[name], 1e-2, 1e-2) for name in wanted)


def _runs(small: Schedule, x: np.ndarray, w: np.ndarray, bias: np.ndarray, got: np.ndarray) -> bool:
    """Fill `got`; whether the workspace was not left, and no value said not to fit."""
    from . import execute

    p, status = small.problem, 0
    weights = direct.pack_weights(small, operand(w, Lanes(small.layout.parts.scalar)))
    for piece in execute.pieces(small, weights, bias, small.skips):
        strides = canonical_strides(x.strides, _AXES), canonical_strides(got.strides, _AXES)
        launch = execute.launch(small, piece.part, *strides, 1, 1)
        workspace, slot = shielded((launch.workspace_bytes,), np.dtype("u1"))
        call = execute.call_of(launch, piece, address_of(x), address_of(got), address_of(slot))
        execute.go(call, launch._replace(seconds=0.0))
        status |= call[CALL_SLOT["status"]]
        if not is_intact(workspace, slot):
            return False
    if p.compute.kind == "c" and p.x_dtype.kind != "c" and p.w_dtype.kind != "c":
        got.imag[...] = 0  # see `exercise.arrays`
    return status == 0 or p.overflow != "raise"


def _packs(address: int, schedule: Schedule, pack: Pack) -> bool:
    """Whether weights, with filters, channels or taps innermost in memory, are packed as NumPy does it."""
    layout = next(exercise.exercises(schedule))
    small = direct.record(layout.parts.problem, layout, machine())
    w = operand(exercise.arrays(small.problem)[1], Lanes(layout.parts.scalar))
    steps, groups, _, per, units, scalar = small.weights_shape
    wanted = direct.pack_weights(small, w)
    for order in (_AXES, (4, 0, 1, 2, 3), (4, 3, 0, 1, 2)):
        given = np.ascontiguousarray(w.transpose(order)).transpose(np.argsort(order))
        space, packed = shielded((groups, units, steps, per), np.dtype(scalar))
        pack(address, small, given, packed)
        if not (is_intact(space, packed) and np.array_equal(packed.ravel(), wanted.ravel())):
            return False
    return True


def shielded(shape: tuple[int, ...], dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Poisoned memory, and an array in the middle of it."""
    size = prod(shape) * dtype.itemsize
    space = np.full(size + 2 * SLACK + ALIGNMENT, _POISON, np.uint8)
    start = SLACK + -address_of(space) % ALIGNMENT
    return space, np.ndarray(shape, dtype, space, start)


def is_intact(space: np.ndarray, array: np.ndarray) -> bool:
    """Whether the memory around an array is as it was."""
    start = address_of(array) - address_of(space)
    return bool((space[:start] == _POISON).all() and (space[start + array.nbytes :] == _POISON).all())


def _agree(p: Problem, got: np.ndarray, wanted: np.ndarray) -> bool:
    """Equal; after the activations that are not part of the promise of equal bits, nearly."""
    if p.activation in direct.RELU:
        return np.array_equal(got, wanted)
    exact, near = wanted.astype(np.float64), np.spacing(np.abs(wanted)) if wanted.dtype.kind == "f" else 0.25
    return bool((np.abs(got.astype(np.float64) - exact) <= 4.0 * near).all())


def _warn(error: KernelError) -> None:
    """Once for each set of kernels, since they are asked for no more."""
    names = ", ".join(sorted(f"{factory}{parameters}" for factory, *parameters in error.kernels))
    about = ", ".join(f"{name} {number}" for name, number in versions().items())
    warnings.warn(
        f"numconv: compiled code {error} twice, and is not used: {names} on the CPU {machine().name} ({about}). "
        f"Results that need it come from numconv.reference: right, and thousands of times slower.",
        RuntimeWarning,
        stacklevel=2,
    )
