"""What `DevicePlan.explain` says: which kernel computes, how it is launched, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .._plan import descriptor
from .._problem import Problem
from .._transposed import Transposed
from . import launch, methods
from .arrays import Given, contiguous
from .binding import Binding, Frame, runs
from .compile import make
from .places import Place


def lines(binding: Binding, frame: Frame) -> Iterator[str]:
    """For contiguous arrays, of one sample where a plan takes any number; of each phase of a transposed problem."""
    problem = binding.problem
    x, out = _arrays(binding, frame)
    if problem.reduce:
        yield f"maps are reduced to {', '.join(problem.reductions)}, some samples at a time"
    for number, (part, places) in enumerate(binding.parts(x, out)):
        if isinstance(problem, Transposed):
            first = ", ".join(str(outputs.start) for outputs in problem.phases[number].outputs[4 - problem.ndim :])
            yield f"from output ({first}) on: {descriptor(part)}"
        yield from _considered(part, places, binding.device)


def workspace_bytes(binding: Binding, frame: Frame) -> int:
    """What a call with contiguous arrays borrows, of one sample where a plan takes any number."""
    x, out = _arrays(binding, frame)
    most = 0
    for problem, places in binding.parts(x, out):
        name = methods.chosen(binding.name, problem, places["x"], places["out"], binding.device)
        found = _launches(methods.considered(problem)[name], problem, places)
        tiles = 0 if found.tiling is None else max(found.turns) * found.tiling.tile_bytes
        most = max(most, found.scratch + tiles)
    return most + (out.view.nbytes if binding.problem.reduce else 0)


def _arrays(binding: Binding, frame: Frame) -> tuple[Place, Place]:
    """X and what is convolved into: the result, or maps."""
    problem = binding.problem
    x_shape = tuple(size or 1 for size in frame.expected()[0])
    whole, result = (_contiguous(shape, dtype) for shape, dtype in
                     ((x_shape, problem.x_dtype), (frame.out_shape(x_shape), problem.result)))  # fmt: skip
    x, (out,) = next(runs(frame, whole, (result,), bool(problem.reduce)))
    return x, binding.maps(len(x.view), problem.result) if problem.reduce else out


def _launches(method: methods.Method, problem: Problem, places: dict[str, Place]) -> launch.Launches:
    tables = method.tables(problem, places)
    return method.launches(problem, places | {name: _contiguous(t.shape, t.dtype) for name, t in tables.items()})


def _considered(problem: Problem, places: dict[str, Place], device: int) -> Iterator[str]:
    taken, width = False, max(map(len, methods.considered(problem)))
    for name, method in methods.considered(problem).items():
        reason = methods.reason_against(method, problem, places["x"], places["out"], device)
        if reason:
            yield f"{name:<{width}} computes {reason}"
        elif taken:
            yield f"{name:<{width}} would compute it too"
        else:
            taken = True
            yield f"{name:<{width}} computes it on GPU {device}, one sample by"
            yield from (f"  {line}" for line in _launched(method, problem, places, device))


def _contiguous(shape: tuple[int, ...], dtype: np.dtype) -> Place:
    return Place.of(Given(shape, contiguous(shape, dtype.itemsize), dtype, 0, 0))


def _launched(method: methods.Method, problem: Problem, places: dict[str, Place], device: int) -> Iterator[str]:
    """A line for each kernel, and for the memory that they take."""
    found = _launches(method, problem, places)
    for what, steps in (("once, ", found.packing), ("", found.steps)):
        for step in steps:
            job = step.job
            kernel = make(job.factory, *job.parameters)
            registers = launch.registers(device, job)
            told = ", ".join(str(value) for value in job.parameters if value != "")
            yield (
                f"{what}{job.factory.partition('.')[0]}({told}): {' x '.join(map(str, job.grid))} blocks of "
                f"{kernel.threads} threads" + (f", {registers} registers" if registers else "")
            )
    if found.tiling is not None:
        tiling, tiles = found.tiling, max(found.turns)
        yield (
            f"memory: {tiling.filter_bytes} bytes of spectra of filters, {tiles * tiling.tile_bytes} for {tiles} tiles "
            f"of {' x '.join(map(str, tiling.shape))} samples, and what the transforms take"
        )
    elif found.packed or found.scratch:
        yield f"memory: {found.packed} bytes of packed weights, {found.scratch} of workspace"
