"""`warm_up`: kernels compiled before they are needed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ._arguments import as_dtype, native
from ._calls import recipe
from ._cli.progress import progress
from ._plan import kernel_problem
from ._problem import Problem
from ._threads import get_num_threads
from .cpu import cache, children, direct, execute, methods
from .cpu.cache import Kernel
from .cpu.integers import operand
from .cpu.machine import machine
from .cpu.measure import peak_kernel

_LAYERS: dict[int, list[tuple[tuple, tuple, int]]] = {
    1: [((4096, 1), (31, 1, 8), 1), ((1024, 64), (5, 64, 64), 1), ((1024, 64), (5, 1, 64), 64)],
    2: [
        ((56, 56, 64), (3, 3, 64, 64), 1), ((112, 112, 3), (3, 3, 3, 32), 1), ((28, 28, 256), (1, 1, 256, 128), 1),
        ((128, 128, 3), (5, 5, 3, 4), 1), ((56, 56, 64), (3, 3, 1, 64), 64), ((28, 28, 64), (5, 5, 1, 64), 64),
        ((512, 512, 1), (3, 3, 1, 1), 1), ((512, 512, 1), (5, 5, 1, 16), 1), ((512, 512, 1), (21, 21, 1, 1), 1),
    ],
    3: [((16, 32, 32, 16), (3, 3, 3, 16, 32), 1), ((32, 64, 64, 1), (3, 3, 3, 1, 4), 1)],
}  # fmt: skip
"""Samples (*spatial, C), weights (*kernel, C // G, F) and groups: between them they need what usual problems need."""


def warm_up(dtypes: DTypeLike | Iterable[DTypeLike] = ("float32", "float64"), ndims: Iterable[int] = (1, 2, 3)) -> int:
    """Compile ahead what usual problems need, so that first calls need not.

    Kernels that a process compiles are kept on disk (see `show_config` for where) and found there by all others, so
    once is enough for a machine: in the image of a container, say, or before a job starts on many nodes. What is kept
    already is not compiled again. A progress bar appears on stderr after a second, where tqdm is installed. The same as
    ``python -m numconv cache warm``.

    Parameters
    ----------
    dtypes : dtype or iterable of dtype, default ("float32", "float64")
        Of both x and w.
    ndims : iterable of int, default (1, 2, 3)
        For `conv1d`, `conv2d`, `conv3d` and filters of as many axes.

    Returns
    -------
    int
        How many kernels were compiled.

    Raises
    ------
    TypeError
        A dtype that numconv does not compute in.
    ValueError
        A number of dimensions that is not 1, 2 or 3.
    RuntimeError
        A kernel cannot be compiled.

    Notes
    -----
    Compiling runs in as many processes as `get_num_threads` says; without a cache (``NUMCONV_CACHE=0``) in this one,
    for this one. Unusual shapes of filters may still need a kernel that was not foreseen: a third of a second each.

    Examples
    --------
    >>> import numconv
    >>> numconv.warm_up("float32", [2])  # doctest: +SKIP
    21
    """
    missing = [kernel for kernel in kernels_for(dtypes, ndims) if not cache.is_kept(kernel)]
    work = children.compile_all(missing, get_num_threads())
    return sum(1 for _ in progress(work, "kernels", len(missing)))


def kernels_for(dtypes: Any, ndims: Iterable[int]) -> list[Kernel]:
    """The kernels that `warm_up` compiles, each once."""
    many: list[Any] = [dtypes] if isinstance(dtypes, (str, type, np.dtype)) else list(dtypes)
    found: dict[Kernel, None] = {}
    ndims = tuple(ndims)
    for dtype in [native("warm_up", "dtypes", as_dtype("warm_up", "dtypes", dtype)) for dtype in many]:
        for ndim in ndims:
            if ndim not in _LAYERS:
                raise ValueError(f"warm_up: ndims has {ndim!r}, expected 1, 2 or 3")
            for problem in _problems(dtype, ndim):
                found |= dict.fromkeys(_kernels(problem))
    if found:
        found |= dict.fromkeys((peak_kernel(), direct.PHASES))  # for `Plan.explain` and transposed convolutions
    return list(found)


def _problems(dtype: np.dtype, ndim: int) -> Iterable[Problem]:
    for x_shape, w_shape, groups in _LAYERS[ndim]:
        for data_format in ("channels_last", "channels_first"):
            if data_format == "channels_first":
                x_shape, w_shape = (x_shape[-1], *x_shape[:-1]), (w_shape[-1], w_shape[-2], *w_shape[:-2])
            options = (
                1, "same", 1, groups, "constant", 0, data_format, None, False, None, "raise", "auto", "ieee", None,
            )  # fmt: skip
            shapes = ((1, *x_shape), dtype, w_shape, dtype)
            yield recipe(f"conv{ndim}d", ndim, *shapes, None, None, "", *options)[0]


def _kernels(problem: Problem) -> list[Kernel]:
    """Of a problem by `direct`, with the packing of its weights, and by the methods that `auto` tries first."""
    p = (problem if machine().f16c else kernel_problem(problem)).flat
    w = np.ones((*p.kernel, p.group_channels, p.filters), p.w_dtype)
    lanes = execute.lanes_of(p, w, None)
    w, layout = operand(w, lanes), direct.chosen(p, lanes)
    kernels = list(direct.kernels_of(p, layout, machine()).values())
    kernels += [kernel for kernel in [execute.packing_of(layout, w, lanes.scalar)] if kernel is not None]
    for method in [methods.OTHERS[name] for name in methods.chosen(p) if name in methods.OTHERS]:
        kernels += method.kernels_of(method.layout_of(p)).values()
    return kernels
