"""Some elements of a result in float64 on the host, from the sums that define them: what every row is checked with."""

from itertools import product

import numpy as np

from .workloads import Workload

SAMPLES = 48


def positions(workload: Workload) -> tuple[np.ndarray, ...]:
    """Indices of some elements: random ones, and the corners of a result."""
    rng, shape = np.random.default_rng(1), workload.result
    count = SAMPLES if workload.kind != "weight gradient" else 8
    random = [rng.integers(0, n, count) for n in shape]
    return tuple(np.concatenate([values, [0, n - 1]]) for values, n in zip(random, shape, strict=True))


def values(workload: Workload, x: np.ndarray, w: np.ndarray, at: tuple[np.ndarray, ...]) -> np.ndarray:
    """The elements `at`; x and w are those of `Workload.arrays`."""
    element = {"forward": _forward, "weight gradient": _weight_gradient}.get(workload.kind, _transposed)
    return np.array([element(workload, x, w, *map(int, where)) for where in zip(*at, strict=True)])


def error(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest, relative to the root of the mean square of what is expected."""
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    return float(np.abs(found.astype(wide) - expected).max() / np.sqrt(np.mean(np.abs(expected) ** 2)))


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def _forward(workload: Workload, x: np.ndarray, w: np.ndarray, n: int, f: int, *out: int) -> complex:
    channels = w.shape[1]
    first = f // (workload.w[0] // workload.groups) * channels
    image = x[n, first : first + channels]
    for axis, (o, k, pad) in enumerate(zip(out, workload.kernel, workload.padding, strict=True), 1):
        size = image.shape[axis]
        at = o * workload.stride - pad + np.arange(k)
        if workload.pad_mode == "constant":
            inside = (at >= 0) & (at < size)
            shape = [-1 if i == axis else 1 for i in range(image.ndim)]
            image = np.take(image, at.clip(0, size - 1), axis) * inside.reshape(shape)
        else:
            shown = np.pad(np.arange(size), pad, workload.pad_mode)  # type: ignore[call-overload]
            image = np.take(image, shown[at + pad], axis)
    return (_wide(image) * _wide(w[f])).sum()


def _transposed(workload: Workload, x: np.ndarray, w: np.ndarray, n: int, c: int, *at: int) -> complex:
    """What a convolution by w, (F, C, *kernel), reads at one of its inputs, from its outputs x."""
    total: complex = 0
    per_group = workload.w[0] // workload.groups
    first = c // workload.w[1] * per_group
    for tap in product(*map(range, workload.kernel)):
        places = [p + pad - k for p, pad, k in zip(at, workload.padding, tap, strict=True)]
        outs = [place // workload.stride for place in places]
        if any(place % workload.stride for place in places) or not all(
            0 <= out < size for out, size in zip(outs, x.shape[2:], strict=True)
        ):
            continue
        samples = _wide(x[(n, slice(first, first + per_group), *outs)])
        total += (samples * _wide(w[(slice(first, first + per_group), c % workload.w[1], *tap)])).sum()
    return total


def _weight_gradient(workload: Workload, x: np.ndarray, g: np.ndarray, f: int, c: int, *tap: int) -> complex:
    channel = f // (workload.w[0] // workload.groups) * workload.w[1] + c
    pads = [(pad, pad) for pad in workload.padding]
    image = np.pad(x[:, channel], [(0, 0), *pads])
    spans = [
        slice(k, k + (o - 1) * workload.stride + 1, workload.stride) for k, o in zip(tap, g.shape[2:], strict=True)
    ]
    return (_wide(image[(slice(None), *spans)]) * _wide(g[:, f])).sum()
