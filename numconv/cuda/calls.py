"""Calls with arrays on a GPU, or with ``device="cuda"``: checked as all others are, computed there."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .._arguments import bank_axes, check_threads, check_weights, kernel_axes
from .._calls import OPTIONS, cooked, recipe
from .._frames import BankFrame
from .._problem import Problem
from .._types import weights_of
from .._views import canonical_weights
from .engine import Engine, Frame
from .extra import require
from .places import Place
from .recall import compute
from .sources import Source
from .weights import Operand, check_device, check_exact, check_integers, operand

_FLIP, _PRECISION = OPTIONS.index("flip"), OPTIONS.index("precision")


def convolve_arrays(
    name: str, ndim: int, x: Any, w: Any, bias: Any, options: tuple, device: str | None, threads: Any, out: Any
) -> Any:
    """`conv1d`, `conv2d` and `conv3d`."""
    require(name)
    check_threads(name, threads)
    make = partial(_convolution, name, ndim, x, w, bias, options, device)
    return compute(name, ("x", "w", "bias"), (x, w, bias), (device, *options), make, out)


def _convolution(
    name: str, ndim: int, x: Any, w: Any, bias: Any, options: tuple, device: str | None
) -> tuple[Engine, Frame, Source]:
    source, weights = Source.of(name, x, device), operand(name, "w", w)
    added = None if bias is None else operand(name, "bias", bias)
    problem, frame = cooked(recipe, name, ndim, source.shape, source.dtype, weights, added, options, None)
    view = canonical_weights(weights.view, ndim, problem.channels_last, options[_FLIP])
    engine = engine_of(name, problem.permitting(options[_PRECISION]), weights, view, added, source.device)
    return engine, frame, source


def filter_array(name: str, x: Any, kernels: Any, axes: Any, options: tuple, where: tuple, bank: bool) -> Any:
    """`filter_bank`, `correlate` and `convolve`; `where`: device, threads, out."""
    device, threads, out = where
    require(name)
    check_threads(name, threads)
    make = partial(_bank, name, x, kernels, axes, options, device, bank)
    arrays, told = (x, kernels, None), (device, axes, bank, *options)
    return compute(name, ("x", weights_of(name), ""), arrays, told, make, out)


def _bank(
    name: str, x: Any, kernels: Any, axes: Any, options: tuple, device: str | None, bank: bool
) -> tuple[Engine, Frame, Source]:
    source, filters = Source.of(name, x, device), operand(name, weights_of(name), kernels)
    along = (bank_axes if bank else kernel_axes)(name, source.shape, filters.shape, axes)
    problem, frame, view = bank_of(name, source.shape, source.dtype, filters, along, options, bank)
    problem = problem.permitting(options[_PRECISION])
    return engine_of(name, problem, filters, view, None, source.device), frame, source


def bank_of(
    name: str, x_shape: tuple, x_dtype: np.dtype, filters: Operand, axes: tuple[int, ...], options: tuple, bank: bool
) -> tuple[Problem, Frame, np.ndarray]:
    """As `_calls.bank_of`, of filters that need not be on the host."""
    ndim, shadow = len(axes), filters.view
    sizes, w = tuple(x_shape[axis] for axis in axes), (shadow if bank else shadow[None])[:, None]
    problem, _ = cooked(recipe, name, ndim, (1, 1, *sizes), x_dtype, w, None, options, None)
    out = problem.out_spatial[3 - ndim :]
    frame = BankFrame(len(x_shape), axes, sizes, problem.filters, out, bank)
    return problem, frame, canonical_weights(w, ndim, False, options[_FLIP])


def engine_of(
    name: str, problem: Problem, w: Operand, view: np.ndarray, bias: Operand | None, device: int, lasting: bool = False
) -> Engine:
    """Weights checked, and copied to the device where they are on the host; `view` are their canonical axes."""
    refuse(name, problem)
    if w.host is not None:
        check_weights(name, problem, w.host)
        w = w._replace(host=view)
    check_exact(name, problem, w, weights_of(name))
    check_integers(name, problem, w, bias)
    check_device(name, weights_of(name), w, device)
    given: Place | np.ndarray = view if w.given is None else Place(w.view, w.given.address).seen(view)
    if bias is None:
        return Engine(name, problem, given, None, device, lasting)
    check_device(name, "bias", bias, device)
    added = bias.host if bias.given is None else Place.of(bias.given)
    return Engine(name, problem, given, added, device, lasting)


def refuse(name: str, problem: Problem) -> None:
    """NotImplementedError for what only CPUs compute."""
    if problem.method not in ("auto", "direct"):
        raise NotImplementedError(f"{name}: method is {problem.method!r}, but a GPU computes 'direct'; use 'auto'")
    if problem.reduce:
        raise NotImplementedError(
            f"{name}: reduce is {problem.reduce!r}, but on a GPU maps are not reduced; reduce the result"
        )
