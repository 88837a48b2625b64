"""What kernels take for granted of a GPU, and the simulator cannot tell: tried once on each device, in each process.

A feature is one instruction whose meaning is in its PTX: which thread holds which element of a matrix, what is zero
where nothing is copied. Its probe is a kernel of one block, compared with NumPy before the first kernel that uses the
feature is taken. Where a probe fails, methods that name its feature are refused, with a RuntimeWarning, and the next
method computes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .._problem import Problem
from .arrays import NUMBA, upload
from .launch import Job, Step, on, prepare
from .places import Place


class Probe(NamedTuple):
    """A kernel below `kernels` of one block, which reads an array and writes another.

    `error`: the largest that is allowed of what it writes, relative to the largest element.
    """

    factory: str
    given: Callable[[], np.ndarray]
    expected: Callable[[np.ndarray], np.ndarray]
    parameters: tuple = ()
    error: float = 0.0


def _numbers() -> np.ndarray:
    """Of which none is zero."""
    return np.arange(1, 225, dtype=np.float32)


def _copies(x: np.ndarray) -> np.ndarray:
    """What `kernels.probes.copies` writes."""
    there = np.arange(32) % 4 != 1
    one, two, four = x[:32] * there, x[32:96] * np.repeat(~there, 2), x[96:] * np.repeat(there, 4)
    at = np.arange(32, 224)
    return np.concatenate([one[np.arange(32) ^ 1], np.concatenate([one, two, four])[at ^ 8]])


def _warpgroup(kind: str, shift: int = 0) -> Probe:
    """Whole numbers, of which any two orders differ; sums are exact. See `kernels.warpgroup_probe`."""
    dtype, (M, N, more) = np.dtype(np.float16 if kind == "f16" else np.float32), (128, 256, 32 if shift else 0)

    def given() -> np.ndarray:
        rows, depth = M + N + 2 * more, 32 if kind == "tf32" else 64
        values = np.random.default_rng(1).integers(-8, 9, (rows, depth)).astype(dtype)
        return values.view(np.uint16)[:, 1::2].copy().view(np.uint8) if kind == "bf16" else values.view(np.uint8)

    def expected(x: np.ndarray) -> np.ndarray:
        if kind == "bf16":
            x = (x.view(np.uint16).astype(np.uint32) << 16).view(np.uint8)
        values = x.view(dtype).astype(np.float32)
        return values[shift : shift + M] @ values[M + more + shift :][:N].T

    return Probe("warpgroup_probe.product", given, expected, (kind, shift))


def _matrix(kind: str) -> Callable[[], np.ndarray]:
    """Whole numbers, whose products and sums are exact: 16 rows and 16 columns of 32 bytes, as float32 words."""

    def given() -> np.ndarray:
        values = np.random.default_rng(5).integers(-8, 9, (32, 8 if kind == "tf32" else 16)).astype(np.float32)
        if kind == "tf32":
            values[:16] -= np.sign(values[:16]) * np.float32(2**-13)  # tf32 has 11 bits: rounded, not cut off
            return values.ravel()
        halves = values.astype(np.float16) if kind == "f16" else (values.view(np.uint32) >> 16).astype(np.uint16)
        return np.ascontiguousarray(halves).view(np.float32).ravel()

    return given


def _products(kind: str) -> Callable[[np.ndarray], np.ndarray]:
    """What `kernels.probes.matrices` writes."""

    def expected(words: np.ndarray) -> np.ndarray:
        if kind == "tf32":
            values = np.rint(words)
        elif kind == "f16":
            values = words.view(np.float16).astype(np.float32)
        else:
            values = (words.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        values = values.reshape(32, -1)
        return (values[:16] @ values[16:].T).ravel()

    return expected


def _doubles() -> np.ndarray:
    """Whole numbers, so that no order of their sums matters."""
    return np.arange(384, dtype=np.float64) % 97 - 40


def _product(x: np.ndarray) -> np.ndarray:
    """What `kernels.double_probe.product` writes."""
    return (x[:256].reshape(16, 16) @ x[256:].reshape(8, 16).T).ravel()


KINDS = ("tf32", "bf16", "f16")
"""Of operands."""
PROBES: dict[str, Probe] = {
    "copies": Probe("probes.copies", _numbers, _copies),
    "doubles": Probe("double_probe.product", _doubles, _product),
    **{kind: Probe("probes.matrices", _matrix(kind), _products(kind), (kind,)) for kind in KINDS},
    **{f"wgmma {kind}": _warpgroup(kind) for kind in KINDS},
    "wgmma rows": _warpgroup("bf16", 3),
}
"""By feature: copies past registers, with zeros; products of matrices of a kind, of a warp and of a warpgroup."""


def missing(method: Any, problem: Problem, device: int) -> str:
    """The first feature that a method needs for a problem, by its `features(problem)`, and a device has not."""
    features = getattr(method, "features", None)
    return "" if features is None else next((name for name in features(problem) if trouble(name, device)), "")


@lru_cache(maxsize=256)
def trouble(feature: str, device: int) -> str:
    """What a device does wrong; "" if it passes. Said once."""
    try:
        reason = _tried(PROBES[feature], device)
    except Exception as error:  # of a compiler or a driver
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
    if reason:
        warnings.warn(
            f"numconv: GPU {device} does not do what kernels with {feature!r} expect of it ({reason}); "
            f"others compute instead, more slowly",
            RuntimeWarning,
            stacklevel=2,
        )
    return reason


def _tried(probe: Probe, device: int) -> str:
    x = probe.given()
    expected = probe.expected(x)
    poison = np.full(expected.shape, np.nan if expected.dtype.kind in "fc" else 77).astype(expected.dtype)
    source, target = upload(x, device), upload(poison, device)
    places = {"x": Place.of(NUMBA.describe(source)), "out": Place.of(NUMBA.describe(target))}
    step = Step.of(Job(probe.factory, probe.parameters, (1, 1, 1), ()), ("x", "out"), places)
    with on(device):  # of which the default stream is meant
        prepare(step, device)(0, [places["x"].address, places["out"].address])
        found = target.copy_to_host()
    largest = float(np.abs(expected).max())
    wrong = ~(np.abs(found - expected) <= probe.error * largest)
    if not wrong.any():
        return ""
    at = np.unravel_index(int(wrong.argmax()), wrong.shape)
    return f"{int(wrong.sum())} of {wrong.size} numbers are wrong, the first {found[at]} and not {expected[at]}"
