"""Random transposed convolutions, and what they come to by sums over samples and taps, without phases."""

from __future__ import annotations

from typing import Any

import numpy as np

import numconv
from numconv import grad

CONV = {1: numconv.conv1d, 2: numconv.conv2d, 3: numconv.conv3d}
TRANSPOSE = {1: numconv.conv_transpose1d, 2: numconv.conv_transpose2d, 3: numconv.conv_transpose3d}
PLAN = {1: numconv.plan_conv_transpose1d, 2: numconv.plan_conv_transpose2d, 3: numconv.plan_conv_transpose3d}
CONV_INPUT = {1: grad.conv1d_input, 2: grad.conv2d_input, 3: grad.conv3d_input}
TRANSPOSE_INPUT = {1: grad.conv_transpose1d_input, 2: grad.conv_transpose2d_input, 3: grad.conv_transpose3d_input}
NAMES = ("valid", "same", "same_lower", "full")


def random_options(rng: np.random.Generator, ndim: int, names: tuple[str, ...] = NAMES) -> dict[str, Any]:
    """Of a convolution."""

    def each(*values: int) -> tuple[int, ...]:
        return tuple(int(rng.choice(values)) for _ in range(ndim))

    pairs = tuple(zip(each(0, 0, 1, 2, 3), each(0, 0, 1, 2, 3), strict=True))
    return {
        "stride": each(1, 1, 2, 3, 4),
        "dilation": each(1, 1, 1, 2, 3),
        "groups": int(rng.choice([1, 1, 2, 3])),
        "padding": [pairs, *names][rng.integers(1 + len(names))],
        "data_format": str(rng.choice(["channels_last", "channels_first"])),
        "flip": bool(rng.random() < 0.3),
    }


def random_sizes(rng: np.random.Generator, ndim: int, groups: int) -> tuple[tuple, tuple, int, int]:
    """(spatial, kernel, C, F)."""
    most = (14, 7, 5)[ndim - 1]
    spatial, kernel = (tuple(int(n) for n in rng.integers(1, most, ndim)) for _ in range(2))
    kernel = tuple(min(k, 5) for k in kernel)
    each = (int(rng.choice([1, 2, 3, 5, 17])) for _ in range(2))
    return spatial, kernel, *(groups * n for n in each)


def laid_out(array: np.ndarray, options: dict[str, Any], weights: bool = False) -> np.ndarray:
    """A channels-last array, or weights whose channels come last, as the options say."""
    if options["data_format"] == "channels_last":
        return array
    return np.ascontiguousarray(np.moveaxis(array, (-1, -2), (0, 1)) if weights else np.moveaxis(array, -1, 1))


def spread(x: np.ndarray, w: np.ndarray, crops: Any, out: tuple[int, ...], options: dict[str, Any]) -> np.ndarray:
    """Every sample adds its kernel to the result: x (N, *L, C), w (*kernel, F // G, C), channels last."""
    groups, stride, dilation = (options[name] for name in ("groups", "stride", "dilation"))
    kernel, each, C = w.shape[:-2], w.shape[-2], x.shape[-1] // groups
    if options["flip"]:
        w = w[tuple(slice(None, None, -1) for _ in kernel)]
    sizes = zip(x.shape[1:-1], stride, dilation, kernel, crops, out, strict=True)
    whole = [max((L - 1) * s + d * (k - 1) + 1, lo + o) for L, s, d, k, (lo, _), o in sizes]
    result = np.zeros((len(x), *whole, each * groups), np.result_type(x, w))
    for tap in np.ndindex(kernel):
        starts = [t * d for t, d in zip(tap, dilation, strict=True)]
        where = tuple(slice(a, a + (L - 1) * s + 1, s) for a, L, s in zip(starts, x.shape[1:-1], stride, strict=True))
        for g in range(groups):
            mine = slice(g * C, (g + 1) * C)
            result[(slice(None), *where, slice(g * each, (g + 1) * each))] += x[..., mine] @ w[tap][:, mine].T
    return result[(slice(None), *(slice(lo, lo + o) for (lo, _), o in zip(crops, out, strict=True)))]
