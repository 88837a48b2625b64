"""Gradients of samples that padding shows once more: what is padded has a gradient, whose borders are added inside."""

from __future__ import annotations

from math import prod

import numpy as np

from .._plan import Ready
from .._problem import Problem
from .._views import canonical
from ..cpu.memory import fill
from ..cpu.tables import index_of

TOGETHER_BYTES = 4 << 20
"""Samples whose padded gradients fit here are computed together: they should stay in cache until they are folded."""
_AXES = (0, 1, 2, 3, 4)


class Folded:
    """An engine of a padded gradient, which is folded into the result some samples at a time."""

    bias: np.ndarray | None
    problem: Problem

    def __init__(self, padded: Ready, p: Problem) -> None:
        """`padded` makes the gradient of all that the convolution `p` pads, of its own computing type."""
        self.name, self.problem, self.w, self.bias, self.padded = padded.name, p, padded.w, None, padded

    def run(self, x: np.ndarray, x_axes: tuple, out: np.ndarray, o_axes: tuple, threads: int | None) -> None:
        """Fill `out`."""
        source, target, problem = canonical(x, x_axes), canonical(out, o_axes), self.padded.problem
        size = prod(problem.out_spatial) * problem.filters * problem.result.itemsize
        step = min(len(source), max(1, TOGETHER_BYTES // size))
        space = _like(self.problem, (step, *problem.out_spatial, problem.filters), problem.result)
        inside = tuple(slice(lo, lo + n) for (lo, _), n in zip(self.problem.pads, self.problem.spatial, strict=True))
        for n in range(0, len(source), step):
            padded = space[: len(source) - n]
            self.padded.run(source[n : n + step], _AXES, padded, _AXES, threads)
            fold(self.problem, padded)
            with np.errstate(over="ignore"):
                fill(target[n : n + step], padded[(slice(None), *inside)])


def _like(p: Problem, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """A canonical array that lies in memory as the caller's."""
    if p.channels_last:
        return np.empty(shape, dtype)
    return np.moveaxis(np.empty((shape[0], shape[4], *shape[1:4]), dtype), 1, 4)


def fold(p: Problem, padded: np.ndarray) -> None:
    """Add what lies beyond the borders, axis by axis, to the samples that it shows; only these and borders change."""
    for axis in range(3):
        low, size = p.pads[axis][0], p.spatial[axis]
        along = np.moveaxis(padded, axis + 1, 0)
        for position, sample in enumerate(index_of(p, axis)):
            if not low <= position < low + size:
                along[low + sample] += along[position]
        padded = np.moveaxis(along[low : low + size], 0, axis + 1)
