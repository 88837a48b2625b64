"""Gradients of weights and biases with arrays on a GPU, or with ``device="cuda"``."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .._arguments import as_array, check_out, check_threads
from .._calls import gradient_cooked
from .._problem import Problem
from .._types import native
from .._views import canonical, weight_axes
from .._weight_gradients import CONV, BiasCall, Recipe, _recipe
from . import gradient_methods
from .arrays import NUMBA, Given, Library, library_of, upload
from .binding import Prepared, queued
from .calls import refuse
from .engine import KEPT
from .extra import require
from .launch import Step, on, prepare, recording
from .lent import lend
from .places import WIDEST, Place
from .recent import Recent
from .sources import Source, given_out, number_of
from .weights import described


class Bound(NamedTuple):
    """Launches prepared, the bytes of memory that they use, and the tables that they read."""

    steps: list[Prepared]
    scratch: int
    tables: dict[str, Any]


def weight_gradient(
    name: str, ndim: int, x: Any, weight_shape: Any, grad_output: Any, names: tuple, options: tuple, device: str | None,
    threads: Any, out: Any,
) -> Any:  # fmt: skip
    """As `_weight_gradients.weight_gradient`: the result is of the library and on the device of x, else `grad_output`.

    An array of the host is copied to the device.
    """
    require(name)
    check_threads(name, threads)
    sources = _sources(name, {"x": x, "grad_output": grad_output}, device)
    given = sources["x"].shape, sources["x"].dtype, sources["grad_output"].shape, sources["grad_output"].dtype
    recipe = gradient_cooked(_recipe, name, ndim, weight_shape, given, names, options)
    problem = recipe.problem.permitting(options[names.index("precision")])
    refuse(name, problem)
    first = next((source for source in sources.values() if source.given is not None), sources["x"])

    def run(library: Library, target: Given, stream: int) -> None:
        kept = {argument: _placed(source) for argument, source in sources.items()}
        places = {argument: place.seen(canonical(place.view, recipe.axes)) for argument, (place, _) in kept.items()}
        place = Place.of(target)
        view = canonical(place.view, weight_axes(problem.ndim, problem.channels_last))
        places["out"] = place.seen(view[::-1, ::-1, ::-1] if recipe.flip else view)
        x, g = places.pop("x"), places.pop("grad_output")
        if recipe.view is not None:  # the roles are swapped
            x, g = g.seen(g.view[recipe.view]), x
        places |= {"x": x, "g": g}
        queue(name, problem, places, "x" if recipe.view is None else "w", first.device, stream, library)

    return _result(first, sources, recipe.shape, problem.result, out, run)


def bias_gradient(grad_output: Any, data_format: Any, device: str | None) -> Any:
    """As `_weight_gradients.bias_gradient`."""
    require("bias")
    source = _sources("bias", {"grad_output": grad_output}, device)["grad_output"]
    call = BiasCall.of(source.shape, source.dtype, data_format)
    arrays = call.x_shape, np.dtype(np.float64), call.g_shape, source.dtype
    recipe: Recipe = gradient_cooked(_recipe, "bias", call.ndim, call.weight_shape, arrays, CONV, call.options)
    problem = _rounded(recipe.problem, native("bias", "grad_output", source.dtype))

    def run(library: Library, target: Given, stream: int) -> None:
        place, _kept = _placed(source)
        one, result = _one(source.device), Place.of(target)
        ones = np.broadcast_to(one.view, call.x_shape)
        places = {
            "x": Place(canonical(ones, recipe.axes), one.address),
            "g": place.seen(canonical(call.seen(place.view), recipe.axes)),
            "out": result.seen(result.view[None, None, None, None]),
        }
        queue("bias", problem, places, "", source.device, stream, library)

    return _result(source, {"grad_output": source}, (problem.filters,), problem.result, None, run)


@lru_cache(maxsize=1024)
def _rounded(problem: Problem, result: np.dtype) -> Problem:
    """The problem with a narrower result."""
    return replace(problem, result=result)


@lru_cache(maxsize=16)
def _one(device: int) -> Place:
    """What the samples are whose weights are a bias."""
    array = upload(np.ones(1), device)
    _ones.append(array)
    return Place.of(NUMBA.describe(array))


_ones: list[Any] = []
"""They are read as long as the process lives."""


def _sources(name: str, arguments: dict[str, Any], device: str | None) -> dict[str, Source]:
    """The arrays, all for one device: that of those which are on one."""
    given = {argument: (library_of(value), value) for argument, value in arguments.items()}
    there = {
        argument: described(name, argument, library, value) for argument, (library, value) in given.items() if library
    }
    numbers = {argument: place.device for argument, place in there.items()}
    number = next(iter(numbers.values())) if numbers else number_of(device)
    for argument, other in numbers.items():
        if device is not None and ":" in device and number_of(device) != other:
            raise ValueError(f"{name}: device is {device!r}, but {argument} is on GPU {other}")
        if other != number:
            raise ValueError(f"{name}: {argument} is on GPU {other}, but {next(iter(numbers))} is on GPU {number}")
    found = {}
    for argument, (library, value) in given.items():
        if library is None:
            host = as_array(name, argument, value)
            found[argument] = Source(name, host, None, None, host.shape, host.dtype, number)
            continue
        place = there[argument]
        if place.address & Place.of(place).mask:
            raise NotImplementedError(f"{name}: {argument} is not aligned to its elements; copy it")
        found[argument] = Source(name, value, library, place, place.shape, place.dtype, number)
    return found


def _placed(source: Source) -> tuple[Place, Any]:
    """(where it is on the device, what has to be kept for it)."""
    if source.given is not None:
        return Place.of(source.given), source.value
    host = np.ascontiguousarray(source.value, native(source.name, "x", source.dtype))
    copy = upload(host, source.device)
    return Place.of(NUMBA.describe(copy)), copy


def _result(
    first: Source, sources: dict[str, Source], shape: tuple[int, ...], dtype: np.dtype, out: Any, run: Any
) -> Any:
    """`out` or a new array, after `run` has queued what fills it."""
    if first.given is None or first.library is None:
        if out is None:
            out = np.empty(shape, dtype)
        else:
            check_out(first.name, out, shape, dtype)
        made = NUMBA.empty(shape, dtype, first.device)
        run(NUMBA, NUMBA.describe(made), 0)
        with on(first.device):  # whose default stream the copy waits for
            out[...] = made.copy_to_host()
        return out
    library, device, stream = first.library, first.device, first.library.stream(first.value, first.device)
    target = library.empty(shape, dtype, device, stream) if out is None else out
    found = library.describe(target) if out is None else given_out(first.name, out, shape, dtype, device)
    place = Place.of(found)
    if found.address & place.mask:
        raise NotImplementedError(f"{first.name}: out is not aligned to its elements; copy it")
    given = [Place.of(source.given) for source in sources.values() if source.given is not None]
    if any(_overlap(place, other) for other in given):
        apart = library.empty(shape, dtype, device, stream)
        run(library, library.describe(apart), stream)
        library.assign(target, apart)
    else:
        run(library, found, stream)
    return target


def _overlap(one: Place, other: Place) -> bool:
    """Whether the two may share memory."""
    (low, high), (first, last) = one.extent, other.extent
    return one.address + low < other.address + last and other.address + first < one.address + high


def queue(
    name: str, problem: Problem, places: dict[str, Place], conjugate: str, device: int, stream: int, library: Library
) -> None:
    """Queue all kernels of a gradient: of canonical x, g and out."""
    kinds = (
        kind for place in places.values() for kind in (place.view.shape, place.view.strides, place.address % WIDEST)
    )
    key, kept = (device, conjugate, *kinds), problem.schedules.setdefault("cuda weights", Recent(KEPT))
    bound: Bound | None = kept.get(key)
    if bound is None:
        if recording(stream, device):
            raise RuntimeError(
                f"{name}: a CUDA graph is being recorded, and nothing is prepared yet for arrays of these shapes and "
                f"strides, which takes copies to the GPU; call it once with such arrays before"
            )
        bound = kept[key] = _bound(name, problem, places, conjugate, device)
    if stream and recording(stream, device):
        _recorded.append(bound)
    bases = {"": 0} | {whose: place.address for whose, place in places.items()}
    with on(device):
        memory = None
        if bound.scratch:
            bases["scratch"], memory = lend(library, bound.scratch, device, stream)
        queued(bound.steps, bases, stream)
        del memory  # while the device is current whose stream it goes back on


_recorded: list[Bound] = []
"""Graphs may read their tables as long as the process lives, however many shapes come after them."""


def _bound(name: str, problem: Problem, places: dict[str, Place], conjugate: str, device: int) -> Bound:
    """The launches for arrays that lie like these."""
    method = gradient_methods.KERNELS[gradient_methods.chosen(name, problem, places, device)]
    tables = {key: upload(table, device) for key, table in method.tables(problem, places).items()}
    placed = {key: Place.of(NUMBA.describe(table)) for key, table in tables.items()}
    found = method.launches(problem, places | placed, conjugate)

    def prepared(step: Step) -> Prepared:
        where = []
        for whose in step.pointers:
            owner, _, offset = whose.partition("+")
            where.append(("", placed[whose].address) if whose in placed else (owner, int(offset or 0)))
        return prepare(step, device), tuple(where)

    return Bound(list(map(prepared, found.steps)), found.scratch, tables)
