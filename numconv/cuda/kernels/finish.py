"""After the sum: bias, activation and conversion, as the result is stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from .kernel import storage_of


def activating(scalar: str, activation: str) -> Callable:
    """activate(total, slope), in the type of the sum; smooth functions by way of float64."""
    kind = _kind(scalar)
    exponential, hyperbolic, normal, float64 = ops.exponential, ops.hyperbolic, ops.normal, np.float64

    def none(total: Any, slope: Any) -> Any:
        return total

    def relu(total: Any, slope: Any) -> Any:
        return kind(0) if total < kind(0) else total

    def leaky_relu(total: Any, slope: Any) -> Any:
        return kind(total * kind(slope)) if total < kind(0) else total

    def tanh(total: Any, slope: Any) -> Any:
        return kind(hyperbolic(float64(total)))

    def sigmoid(total: Any, slope: Any) -> Any:
        value = float64(total)
        decay = exponential(-abs(value))
        return kind((decay if value < 0.0 else 1.0) / (1.0 + decay))

    def silu(total: Any, slope: Any) -> Any:
        value = max(float64(total), -1000.0) if total == total else float64(total)  # -0.0 below: no -inf * 0
        decay = exponential(-abs(value))
        return kind(value * ((decay if value < 0.0 else 1.0) / (1.0 + decay)))

    def gelu(total: Any, slope: Any) -> Any:
        value = max(float64(total), -120.0) if total == total else float64(total)
        return kind(value * normal(value))

    functions = (relu, leaky_relu, tanh, sigmoid, silu, gelu)
    return ops.device({function.__name__: function for function in functions}.get(activation, none))


def adding(bias: str, compute: str, scalar: str) -> Any:
    """Add the bias of a filter, if there is one."""
    load, kind = ops.reader(storage_of(bias or compute), scalar), getattr(np, scalar)

    def none(re: Any, im: Any, bias: Any, at: Any) -> Any:
        return re, im

    def real(re: Any, im: Any, bias: Any, at: Any) -> Any:
        return re + load(bias, at), im + kind(0)  # of a real bias, which turns -0.0 into 0.0

    def both(re: Any, im: Any, bias: Any, at: Any) -> Any:
        return re + load(bias, at), im + load(bias, at + 1)

    return ops.device(none if not bias else both if bias[0] == "c" else real)


def converting(scalar: str, storage: str, overflow: str) -> tuple[Callable, str]:
    """(convert(total), the scalar that it returns and that a writer of `storage` takes)."""
    target = np.dtype(storage)
    if target.kind not in "iu" or (scalar in ("int64", "uint64") and overflow != "saturate"):
        return ops.device(_as_it_is), scalar
    if scalar in ("int64", "uint64"):
        return _clipping(scalar, target), scalar
    return (_saturating if overflow == "saturate" else _wrapping)(target), "uint64" if storage == "uint64" else "int64"


def _as_it_is(total: Any) -> Any:
    return total


def _kind(scalar: str) -> Any:
    return getattr(np, scalar)


def _clipping(scalar: str, target: np.dtype) -> Callable:
    """Integers to the nearest limit."""
    kind, own, info = _kind(scalar), np.iinfo(scalar), np.iinfo(target)
    low, high = kind(max(info.min, own.min)), kind(min(info.max, own.max))

    def clip(total: Any) -> Any:
        return low if total < low else high if total > high else total

    return ops.device(clip)


def _saturating(target: np.dtype) -> Callable:
    """Floats to the nearest integer, or to the nearest limit; NaN to 0."""
    info, kind = np.iinfo(target), np.uint64 if target == np.uint64 else np.int64
    low, high = kind(info.min), kind(info.max)
    below, above = float(info.min), float(int(info.max) + 1)
    nearest, float64 = ops.nearest, np.float64

    def saturate(total: Any) -> Any:
        value = nearest(float64(total))
        if value != value:
            return kind(0)
        return low if value <= below else high if value >= above else kind(value)

    return ops.device(saturate)


def _wrapping(target: np.dtype) -> Callable:
    """Floats to the nearest integer modulo 2**64, of which a writer takes the low bits; NaN and infinities to 0."""
    nearest, float64, int64, uint64 = ops.nearest, np.float64, np.int64, np.uint64
    kind = uint64 if target == np.uint64 else int64

    def wrap(total: Any) -> Any:
        value = nearest(float64(total))
        if -(2.0**63) <= value < 2.0**63:
            return kind(int64(value))
        if not abs(value) < 2.0**117:  # multiples of 2**64, infinities and NaN
            return kind(0)
        turns = float64(int64(value * 2.0**-64))
        rest = value - turns * 2.0**64  # exact, as `value` is a multiple of 2**11
        return kind(uint64(rest) if rest >= 0.0 else uint64(rest + 2.0**64))

    return ops.device(wrap)
