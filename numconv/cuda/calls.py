"""Calls with arrays on a GPU, or with ``device="cuda"``: checked as all others are, computed there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import numpy as np

from .._arguments import bank_axes, check_threads, check_weights, kernel_axes
from .._calls import OPTIONS, cooked, gradient_cooked
from .._calls import recipe as bank_recipe
from .._frames import BankFrame
from .._problem import Problem
from .._reductions import type_of
from .._transposed import Transposed
from .._types import weights_of
from .._views import canonical_weights
from . import folds, reductions, spectra
from .binding import After, Frame
from .engine import Engine
from .extra import require
from .generic import MOST_PIXELS
from .places import Place
from .rearranged import rearranged
from .recall import compute
from .sources import Source
from .weights import Operand, check_device, check_exact, check_integers, operand

Recipe = Callable[..., Any]
"""What shapes, dtypes and options come to."""


def convolve_arrays(
    recipe: Recipe, names: tuple[str, ...], name: str, ndim: int, x: Any, w: Any, bias: Any, options: tuple,
    device: str | None, threads: Any, out: Any,
) -> Any:  # fmt: skip
    """`conv1d` and the like, `conv_transpose1d` and the like, by their recipe of options with these names."""
    require(name)
    check_threads(name, threads)
    make = partial(_convolution, recipe, names, name, ndim, x, w, bias, options, device)
    return compute(name, ("x", "w", "bias"), (x, w, bias), (device, *options), make, out)


def _convolution(
    recipe: Recipe, names: tuple[str, ...], name: str, ndim: int, x: Any, w: Any, bias: Any, options: tuple,
    device: str | None,
) -> tuple[Engine, Frame, Source]:  # fmt: skip
    source, weights = Source.of(name, x, device), operand(name, "w", w)
    added = None if bias is None else operand(name, "bias", bias)
    problem, frame = cooked(recipe, name, ndim, source.shape, source.dtype, weights, added, options, None)
    problem = problem.permitting(options[names.index("precision")])
    view = canonical_weights(weights.view, ndim, problem.channels_last, options[names.index("flip")])
    return engine_of(name, problem, weights, view, added, source.device), frame, source


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
    problem = problem.permitting(options[OPTIONS.index("precision")])
    return engine_of(name, problem, filters, view, None, source.device), frame, source


def bank_of(
    name: str, x_shape: tuple, x_dtype: np.dtype, filters: Operand, axes: tuple[int, ...], options: tuple, bank: bool
) -> tuple[Problem, Frame, np.ndarray]:
    """As `_calls.bank_of`, of filters that need not be on the host."""
    ndim, shadow = len(axes), filters.view
    sizes, w = tuple(x_shape[axis] for axis in axes), (shadow if bank else shadow[None])[:, None]
    problem, _ = cooked(bank_recipe, name, ndim, (1, 1, *sizes), x_dtype, w, None, options, None)
    out = () if problem.reduce else problem.out_spatial[3 - ndim :]
    frame = BankFrame(len(x_shape), axes, sizes, problem.filters, out, bank)
    return problem, frame, canonical_weights(w, ndim, False, options[OPTIONS.index("flip")])


def input_gradient(
    recipe: Recipe, names: tuple[str, ...], name: str, ndim: int, input_shape: Any, w: Any, grad_output: Any,
    options: tuple, device: str | None, threads: Any, out: Any,
) -> Any:  # fmt: skip
    """All gradients with respect to inputs."""
    require(name)
    check_threads(name, threads)
    make = partial(_input_gradient, recipe, names, name, ndim, input_shape, w, grad_output, options, device)
    return compute(name, ("grad_output", "w", ""), (grad_output, w, None), (device, input_shape, *options), make, out)


def _input_gradient(
    recipe: Recipe, names: tuple[str, ...], name: str, ndim: int, input_shape: Any, w: Any, grad_output: Any,
    options: tuple, device: str | None,
) -> tuple[Engine, Frame, Source]:  # fmt: skip
    source, weights = Source.of(name, grad_output, device, "grad_output"), operand(name, "w", w)
    arrays = weights.shape, weights.dtype, source.shape, source.dtype
    found = gradient_cooked(recipe, name, ndim, input_shape, arrays, names, options)
    problem, folded = found.problem.permitting(options[names.index("precision")]), found.folds
    view = canonical_weights(weights.view, ndim, problem.channels_last, options[names.index("flip")])
    after = None if folded is None else After(folds, folded, problem.result, (folded.result,))
    more = {"after": after, "part": found.view, "argument": source.argument}
    return engine_of(name, problem, weights, view, None, source.device, True, **more), found.frame, source


def engine_of(
    name: str, problem: Problem, w: Operand, view: np.ndarray, bias: Operand | None, device: int,
    conjugate: bool = False, **more: Any,
) -> Engine:  # fmt: skip
    """Weights checked, and copied to the device where they are on the host; `view` are their canonical axes."""
    if problem.method == "fft" and not isinstance(problem, Transposed):
        _check_spectra(name, problem)
    else:
        refuse(name, problem)
    given = view if w.given is None else Place(w.view, w.given.address).seen(view)
    weights = rearranged(name, problem, given, conjugate)
    if w.host is not None and isinstance(weights.array, np.ndarray):
        check_weights(name, problem, w.host)
        w = w._replace(host=weights.array)
    check_exact(name, problem, w, weights_of(name))
    check_integers(name, problem, w, bias)
    check_device(name, weights_of(name), w, device, more.get("argument", "x"))
    if problem.reduce:
        results = tuple(type_of(problem, reduction) for reduction in problem.reductions)
        more["after"] = After(reductions, problem, problem.result, results)
    if bias is None:
        return Engine(name, problem, weights, None, device, **more)
    check_device(name, "bias", bias, device)
    added = bias.host if bias.given is None else Place.of(bias.given)
    return Engine(name, problem, weights, added, device, **more)


def _check_spectra(name: str, problem: Problem) -> None:
    """NotImplementedError where transforms are no way to compute it."""
    if reason := spectra.unfit(problem):
        raise NotImplementedError(f"{name}: method is 'fft', which a GPU computes {reason}; use 'auto'")


def refuse(name: str, problem: Problem) -> None:
    """NotImplementedError for what only CPUs compute."""
    if problem.method not in ("auto", "direct"):
        also = "" if problem.method == "fft" else ", and convolutions by 'fft'"
        raise NotImplementedError(
            f"{name}: method is {problem.method!r}, but a GPU computes 'direct'{also}; use 'auto'"
        )
    if problem.reduce and prod(problem.out_spatial[:2]) * problem.filters >= MOST_PIXELS:
        raise NotImplementedError(f"{name}: a GPU reduces maps of up to 2**31 - 1 rows; reduce the result")
