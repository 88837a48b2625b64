"""Calls that ask for reductions of feature maps: an engine run sample by sample or all at once, without the maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import reference
from ._arguments import check_out
from ._frames import BankFrame, ConvFrame
from ._problem import Problem
from ._reductions import put_together, reduce_maps, type_of
from ._shapes import listed
from ._views import canonical, canonical_strides
from .cpu import execute, integers, reductions
from .cpu.memory import address_of

if TYPE_CHECKING:
    from ._plan import Engine

Results = list[np.ndarray]
"""(N, F) for each reduction, in the caller's order."""


def reduced(engine: Engine, frame: ConvFrame | BankFrame, x: np.ndarray, out: Any, threads: int | None) -> Any:
    """Reduce the maps of x into `out`, or into new arrays: one, or a tuple where several reductions are asked for."""
    problem, shape = engine.problem, frame.out_shape(x.shape)
    several = isinstance(problem.reduce, tuple)
    dtypes = [type_of(problem, name) for name in problem.reductions]
    outs = () if out is None else outs_of(engine.name, problem, out)
    for array, dtype in zip(outs, dtypes, strict=out is not None):
        check_out(engine.name, array, shape, dtype)
    results = [np.empty(shape, dtype) for dtype in dtypes]  # small, and no input of the caller's lies in them
    if 0 not in shape:
        try:
            _fill(engine, frame, x, results, threads)
        except OverflowError as error:
            raise error if str(error).startswith(engine.name) else OverflowError(f"{engine.name}: {error}") from None
        except MemoryError as error:
            raise MemoryError(f"{engine.name}: no memory to work in, for x {x.shape}: {error}") from None
    for target, result in zip(outs, results, strict=out is not None):
        target[...] = result
    return out if out is not None else tuple(results) if several else results[0]


def outs_of(name: str, problem: Problem, out: Any) -> tuple[Any, ...]:
    """`out` as a tuple, of as many arrays as there are results."""
    if not isinstance(problem.reduce, tuple):
        return (out,)
    names = problem.reductions
    if not isinstance(out, tuple) or len(out) != len(names):
        raise TypeError(f"{name}: out is of type {type(out).__name__}, expected a tuple of arrays: {listed(names)}")
    return out


def _fill(engine: Engine, frame: ConvFrame | BankFrame, x: np.ndarray, results: Results, threads: int | None) -> None:
    if isinstance(frame, ConvFrame):
        filters = engine.problem.filters
        return _run(engine, x, frame.axes, [result.reshape(-1, filters) for result in results], threads)
    for runs in zip(*(frame.runs(x, result) for result in results), strict=True):
        source, axes, *_ = runs[0]
        _run(engine, source, axes, [run[2] for run in runs], threads)


def _run(engine: Engine, x: np.ndarray, x_axes: tuple, results: Results, threads: int | None) -> None:
    """Fill (N, F) results."""
    problem = engine.problem
    if engine.pieces is None or (problem.exact and not integers.sums_fit(problem, x, engine.w, engine.bias)):
        for n, sample in enumerate(canonical(x, x_axes)):
            maps = reference.convolve(problem, sample[None], engine.w, engine.bias)
            _store(results, slice(n, n + 1), reduce_maps(problem, maps), problem.reductions)
    elif x.dtype == problem.x_dtype and x.flags.aligned:
        _run_piece(engine, x, x_axes, results, threads)
    else:
        source = canonical(x, x_axes)
        slab = np.empty((1, *source.shape[1:]), problem.x_dtype)
        for n, sample in enumerate(source):
            slab[0] = sample
            _run_piece(engine, slab, (0, 1, 2, 3, 4), [result[n : n + 1] for result in results], threads)


def _run_piece(engine: Engine, x: np.ndarray, x_axes: tuple, results: Results, threads: int | None) -> None:
    """As many samples at a time as have room for the results of their rows."""
    assert engine.pieces is not None
    (piece,), problem = engine.pieces, engine.problem
    strides, address = canonical_strides(x.strides, x_axes), address_of(x)
    samples, status = len(results[0]), 0
    step = reductions.samples_together(piece.schedule)
    for n in range(0, samples, step):
        count = min(step, samples - n)
        records = reductions.records(piece.schedule, count)
        places = records.places
        where = (address + n * strides[0], strides, address_of(places), places.strides)
        status |= execute.run(piece, *where, count, threads)
        _store(results, slice(n, n + count), put_together(problem, records.rows()), problem.reductions)
    if status:
        execute.raise_overflow(engine.name, problem, status)


def _store(results: Results, where: slice, values: dict[str, np.ndarray], names: tuple[str, ...]) -> None:
    for result, name in zip(results, names, strict=True):
        result[where] = values[name]
