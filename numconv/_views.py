"""From the caller's arrays to the canonical axes of `_problem.py`: views, never copies."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

Strides = tuple[int, ...]


@lru_cache(maxsize=64)
def data_axes(ndim: int, channels_last: bool, batched: bool) -> tuple[int, ...]:
    """Where N, D, H, W and the channels lie in an x or a result; -1 for an axis that it lacks."""
    first = int(batched) + (not channels_last)
    spatial = [-1] * (3 - ndim) + [first + i for i in range(ndim)]
    return (0 if batched else -1, *spatial, first + ndim if channels_last else int(batched))


@lru_cache(maxsize=64)
def weight_axes(ndim: int, channels_last: bool) -> tuple[int, ...]:
    """Where KD, KH, KW, C // G and F lie in weights; -1 for an axis that they lack."""
    first = 0 if channels_last else 2
    spatial = [-1] * (3 - ndim) + [first + i for i in range(ndim)]
    return (*spatial, ndim, ndim + 1) if channels_last else (*spatial, 1, 0)


@lru_cache(maxsize=1024)
def canonical_strides(strides: Strides, axes: tuple[int, ...]) -> Strides:
    """Byte strides of the canonical axes."""
    return tuple(strides[axis] if axis >= 0 else 0 for axis in axes)


@lru_cache(maxsize=1024)
def flat_strides(strides: Strides, spatial: tuple[int, ...]) -> Strides | None:
    """Canonical strides with all pixels in one row, as (n, 0, 0, step, channels); None where they do not lie so."""
    step, length = strides[3], spatial[2]
    for stride, size in ((strides[2], spatial[1]), (strides[1], spatial[0])):
        if length == 1:
            step = stride
        elif size > 1 and stride != step * length:
            return None
        length *= size
    return (strides[0], 0, 0, step, strides[4])


def canonical(array: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The array as a view with the canonical axes, of size 1 where it has none."""
    present = array.transpose([axis for axis in axes if axis >= 0])
    return present[tuple(slice(None) if axis >= 0 else None for axis in axes)]


def canonical_weights(w: np.ndarray, ndim: int, channels_last: bool, flip: bool) -> np.ndarray:
    """Weights as (KD, KH, KW, C // G, F), reversed in space for a convolution in the mathematician's sense."""
    view = w[(None,) * (3 - ndim)] if channels_last else canonical(w, weight_axes(ndim, channels_last))
    return view[::-1, ::-1, ::-1] if flip else view
