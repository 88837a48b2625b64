"""Passes over feature maps by compiled kernels, of float32 and float64 with channels last; see `kernels.maps`.

Each function returns None (or False) for arrays that are laid out otherwise, or where kernels failed their proof: then
NumPy does the work.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from . import cache, proof, runner
from .cache import KernelError
from .memory import address_of
from .records import CALL_SLOT, PLAN_SLOT, call_with, written

BLOCK = 1 << 14
"""Elements, roughly, of a job that rectifies: 64 KiB of float32."""
SECONDS = 4e-10
"""That one worker takes for an element, roughly."""

_CODES = {"f": "f4", "d": "f8"}
_PLAN, _KERNEL, _X, _OUT, _BIAS, _WEIGHTS, _SAMPLES, _SAMPLE_BLOCK = (
    CALL_SLOT[name] for name in ("plan", "kernel", "x", "out", "bias", "weights", "samples", "sample_block")
)


@lru_cache(maxsize=256)
def windows_record(
    size: tuple[int, ...], out: tuple[int, ...], window: tuple[int, ...], stride: tuple[int, ...],
    before: tuple[int, ...], channels: int,
) -> np.ndarray:  # fmt: skip
    """Where windows lie on maps (W,) or (H, W): sizes of x and of the result, windows, strides, padding before."""
    fields = {"channels": channels}
    named = {"H W": size, "OH OW": out, "KH KW": window, "sh sw": stride, "lo_h lo_w": before}
    for names, values in named.items():
        missing = (0,) if names == "lo_h lo_w" else (1,)
        fields |= dict(zip(names.split(), missing * (2 - len(values)) + values, strict=True))
    return written(PLAN_SLOT, fields)


def rectify_back(g: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """Let a gradient g (..., C) through where y is not <= 0, in place; returns its sums over all but C, of its type."""
    kernel = _kernel("rectify_back", g, y)
    if not kernel or not g.flags.writeable:
        return None
    C = y.shape[-1]
    pixels, block = y.size // C, max(1, BLOCK // C)
    jobs = -(-pixels // block)
    sums, plan = np.empty((jobs, C)), _channels(C)
    _run(kernel, plan, jobs, y.size, {_X: y, _OUT: g, _BIAS: sums}, {_SAMPLES: pixels, _SAMPLE_BLOCK: block})
    return np.add.reduce(sums, axis=0).astype(g.dtype)


def largest(x: np.ndarray, windows: np.ndarray, out: np.ndarray) -> bool:
    """Fill `out` with the largest of each window."""
    kernel = _kernel("largest", x, out)
    if kernel:
        _run(kernel, windows, len(x), x.size, {_X: x, _OUT: out})
    return bool(kernel)


def largest_back(x: np.ndarray, y: np.ndarray, g: np.ndarray, windows: np.ndarray, out: np.ndarray) -> bool:
    """Fill `out` with the gradient of x from that of y, which is used up."""
    kernel = _kernel("largest_back", x, y, g, out) if g.flags.writeable else 0
    if kernel:
        _run(kernel, windows, len(x), 2 * x.size, {_X: x, _WEIGHTS: y, _BIAS: g, _OUT: out})
    return bool(kernel)


def _run(kernel: int, plan: np.ndarray, jobs: int, size: int, arrays: dict, numbers: Any = ()) -> None:
    call = call_with({})
    call[_KERNEL], call[_PLAN] = kernel, plan.ctypes.data
    for slot, array in arrays.items():
        call[slot] = address_of(array)
    for slot in numbers:
        call[slot] = numbers[slot]
    seconds = size * SECONDS
    workers = runner.default_workers() if seconds > runner.HANDOVER else 1
    runner.run(call, call.buffer_info()[0], jobs, workers, seconds)


def _kernel(name: str, *arrays: np.ndarray) -> int:
    """The address of a proved kernel for these arrays; 0 where there is none."""
    code = _CODES.get(arrays[0].dtype.char)
    fits = all(a.dtype == arrays[0].dtype and a.flags.c_contiguous and a.flags.aligned and a.size for a in arrays)
    return _proved(name, code) if code is not None and fits and arrays[0].dtype.isnative else 0


@lru_cache(maxsize=64)
def _channels(C: int) -> np.ndarray:
    return written(PLAN_SLOT, {"channels": C})


@lru_cache(maxsize=16)
def _proved(name: str, code: str) -> int:
    kernel = (f"maps.{name}", code)

    def attempt() -> int:
        address = cache.address(*kernel)
        if not _PROOFS[name](address, np.dtype(code)):
            raise KernelError("computed a wrong pass over maps", [kernel])
        return address

    return proof.twice(attempt) or 0


# ---- proofs: small maps of small numbers, against NumPy; nothing is written beside them


def _rectifies(address: int, dtype: np.dtype) -> bool:
    rng, shape = np.random.default_rng(0), (11, 37)
    y, given = (rng.integers(-4, 5, shape).astype(dtype) for _ in range(2))
    y[3, 4] = np.nan
    space, g = proof.shielded(shape, dtype)
    room, sums = proof.shielded((3, 37), np.dtype("d"))
    g[...] = given
    _run(address, _channels(37), 3, 0, {_X: y, _OUT: g, _BIAS: sums}, {_SAMPLES: 11, _SAMPLE_BLOCK: 4})
    wanted = np.where(y <= 0, 0, given)
    right = np.array_equal(g, wanted) and np.array_equal(sums.sum(axis=0), wanted.sum(axis=0))
    return right and proof.is_intact(space, g) and proof.is_intact(room, sums)


def _pools(address: int, dtype: np.dtype) -> bool:
    x, windows, wanted = _small(dtype)
    space, out = proof.shielded(wanted.shape, dtype)
    _run(address, windows, len(x), 0, {_X: x, _OUT: out})
    return np.array_equal(out, wanted) and proof.is_intact(space, out)


def _pools_back(address: int, dtype: np.dtype) -> bool:
    x, windows, y = _small(dtype)
    g = np.arange(1, y.size + 1).reshape(y.shape).astype(dtype)
    wanted = np.zeros_like(x)
    for n, oh, ow, c in np.ndindex(y.shape):  # windows of 2 x 3 at steps of 2 and 1, from (0, -1)
        block = x[n, 2 * oh : 2 * oh + 2, max(ow - 1, 0) : ow + 2, c]
        h, w = np.unravel_index(block.argmax(), block.shape)
        wanted[n, 2 * oh + h, max(ow - 1, 0) + w, c] += g[n, oh, ow, c]
    space, out = proof.shielded(x.shape, dtype)
    room, used = proof.shielded(g.shape, dtype)
    used[...] = g
    _run(address, windows, len(x), 0, {_X: x, _WEIGHTS: y, _BIAS: used, _OUT: out})
    return np.array_equal(out, wanted) and proof.is_intact(space, out) and proof.is_intact(room, used)


def _small(dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maps, windows that overlap and reach beyond the border, and the largest of each."""
    x = np.random.default_rng(0).integers(-9, 10, (2, 5, 4, 21)).astype(dtype)
    windows = windows_record((5, 4), (2, 4), (2, 3), (2, 1), (0, 1), 21)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0)), constant_values=-np.inf)
    views = np.lib.stride_tricks.sliding_window_view(padded, (2, 3), axis=(1, 2))[:, ::2]
    return x, windows, views.max(axis=(4, 5))


_PROOFS = {"rectify_back": _rectifies, "largest": _pools, "largest_back": _pools_back}
