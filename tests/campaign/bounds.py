"""Errors against sums in a wider type: within the bound of the documentation, on data of five kinds.

As in `exact`, dozens of problems of one geometry are summed together; here by NumPy's einsum over windows, which shares
nothing with `numconv.reference`. e is the roundoff of the computing type, n the products of a real sum, S the sum of
their sizes: |error| <= (KC + 2n/KC + 3) * e * S, plus n subnormals, plus a rounding where the result is narrower.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import numconv
from numconv._problem import KC

from . import fast
from .budget import Budget
from .child import Outcome, calls
from .report import Row

DTYPES = ("float16", "float32", "float64", "complex64", "complex128")
CONV = {1: numconv.conv1d, 2: numconv.conv2d}
TOGETHER = 48
WORK = 300_000

Values = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def _sparse(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape) * (rng.random(shape) < 0.1)


def _half_dark(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """An image with shadows: half near 1, half near 1e-3."""
    return rng.random(shape) * np.where(rng.random(shape) < 0.5, 1.0, 1e-3)


DATA: dict[str, Values] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "constant": lambda rng, shape: np.full(shape, rng.uniform(0.1, 2.0)),
    "sparse": _sparse,
    "half dark": _half_dark,
    "log-normal": lambda rng, shape: rng.lognormal(0.0, 2.0, shape),
}


class Shape:
    """A random geometry and how many problems of it are computed together."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.ndim = int(rng.integers(1, 3))
        self.kernel = tuple(int(k) for k in rng.integers(1, (24, 6)[self.ndim - 1], self.ndim))
        self.channels = int(rng.choice([1, 2, 3, 8, 17, 70 if max(self.kernel) < 6 else 4]))
        self.filters = int(rng.choice([1, 2, 3, 9, 17]))
        self.out = tuple(int(n) for n in rng.integers(1, (20, 5)[self.ndim - 1], self.ndim))
        self.stride, self.dilation = int(rng.integers(1, 4)), int(rng.integers(1, 3))
        self.pad = int(rng.integers(0, 3))
        self.taps = int(np.prod(self.kernel)) * self.channels
        each = self.taps * self.filters * int(np.prod(self.out))
        self.count = int(np.clip(WORK // each, 2, TOGETHER))
        self.last = bool(rng.integers(2))

    def sizes(self) -> tuple[int, ...]:
        """Of x along each axis: as long as the output needs, but for the padding."""
        spans = [
            (n - 1) * self.stride + (k - 1) * self.dilation + 1 for n, k in zip(self.out, self.kernel, strict=True)
        ]
        return tuple(max(1, span - 2 * self.pad) for span in spans)


def sums(shape: Shape, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """All sums in the type of the operands: x (B, C, *sizes), w (B, F, C, *kernel) -> (B, F, *out)."""
    axes = tuple(range(2, 2 + shape.ndim))
    x = np.pad(x, [(0, 0)] * 2 + [(shape.pad, shape.pad)] * shape.ndim)
    windows = sliding_window_view(x, [(k - 1) * shape.dilation + 1 for k in shape.kernel], axes)
    steps = [slice(None)] * 2 + [slice(None, None, shape.stride)] * shape.ndim
    windows = windows[(*steps, *[slice(None, None, shape.dilation)] * shape.ndim)]
    outer, inner = "hw"[: shape.ndim], "yz"[: shape.ndim]
    return np.einsum(f"bc{outer}{inner},bfc{inner}->bf{outer}", windows, w)


def exact_sums(shape: Shape, x: np.ndarray, w: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Per part of the result: the sums, and the sums of sizes, in a wider type."""
    wide = np.float64 if np.finfo(x.dtype).bits <= 32 else np.longdouble
    if x.dtype.kind != "c":
        x, w = x.astype(wide), w.astype(wide)
        return [(sums(shape, x, w), sums(shape, abs(x), abs(w)))]
    xr, xi, wr, wi = (a.astype(wide) for a in (x.real, x.imag, w.real, w.imag))
    sizes = [sums(shape, abs(a), abs(b)) for a, b in ((xr, wr), (xi, wi), (xr, wi), (xi, wr))]
    real = sums(shape, xr, wr) - sums(shape, xi, wi), sizes[0] + sizes[1]
    return [real, (sums(shape, xr, wi) + sums(shape, xi, wr), sizes[2] + sizes[3])]


def directly(shape: Shape, x: np.ndarray, w: np.ndarray, threads: int) -> np.ndarray:
    """The same sums by numconv, one problem at a time."""
    options = {"stride": shape.stride, "dilation": shape.dilation, "padding": shape.pad, "method": "direct"}
    results = []
    for b in range(shape.count):
        if shape.last:
            y = CONV[shape.ndim](
                np.moveaxis(x[b], 0, -1), np.moveaxis(w[b], (1, 0), (-2, -1)), threads=threads, **options
            )
            results.append(np.moveaxis(y, -1, 0))
        else:
            results.append(CONV[shape.ndim](x[b], w[b], data_format="channels_first", threads=threads, **options))
    return np.stack(results)


def check(rng: np.random.Generator, dtype: str, data: str) -> tuple[int, float, float, str]:
    """(problems, worst error / (e * S), worst error / bound, geometry if beyond the bound)."""
    shape, kind = Shape(rng), np.dtype(dtype)
    x = _values(rng, DATA[data], (shape.count, shape.channels, *shape.sizes()), kind)
    w = _values(rng, DATA[data], (shape.count, shape.filters, shape.channels, *shape.kernel), kind)
    if kind == np.float16:
        x, w = x / kind.type(8), w / kind.type(8)
    got = directly(shape, x, w, int(rng.integers(1, 3)))
    compute = np.dtype({"e": "f4", "F": "f4", "D": "f8"}.get(kind.char, kind))
    info, n = np.finfo(compute), shape.taps * (2 if kind.kind == "c" else 1)
    e, worst, share = info.eps / 2, 0.0, 0.0
    parts = (got.real, got.imag) if kind.kind == "c" else (got,)
    for part, (exact, size) in zip(parts, exact_sums(shape, x, w), strict=True):
        error = abs(part - exact)
        bound = (KC + 2 * n / KC + 3) * e * size + n * info.smallest_subnormal
        if kind == np.float16:
            half = np.finfo(np.float16)
            rounding = np.maximum((abs(exact) + bound) * (half.eps / 2), float(half.smallest_subnormal) / 2)
            error, bound = np.where(np.isfinite(part), error, 0.0), bound + rounding
        else:
            worst = max(worst, float((error / np.maximum(e * size, info.smallest_subnormal)).max()))
        share = max(share, float((error / bound).max()))
    return shape.count, worst, share, f"{vars(shape)} {dtype} {data}" if not share <= 1 else ""


def _values(rng: np.random.Generator, values: Values, shape: tuple[int, ...], kind: np.dtype) -> np.ndarray:
    if kind.kind != "c":
        return values(rng, shape).astype(kind)
    return (values(rng, shape) + 1j * values(rng, shape)).astype(kind)


def work(seed: int, worker: int, seconds: float) -> dict[str, Any]:
    """In a process: all types and kinds of data in turn until the time is up."""
    end, number, tally, wrong = time.monotonic() + seconds, 0, {}, []  # type: ignore[var-annotated]
    pairs = [(dtype, data) for data in DATA for dtype in DTYPES]
    while time.monotonic() < end or number < len(pairs):
        dtype, data = pairs[number % len(pairs)]
        count, worst, share, beyond = check(np.random.default_rng([seed, worker, number]), dtype, data)
        number += 1
        old = tally.get(dtype, (0, 0.0, 0.0))
        tally[dtype] = old[0] + count, max(old[1], worst), max(old[2], share)
        wrong += [beyond] * bool(beyond)
    return {"tally": tally, "wrong": wrong}


def run(budget: Budget) -> Iterator[Row]:
    """Rows: problems per type by `direct`, in the first half of the time, and per method."""
    yield from _by_direct(budget)
    yield from _by_others(budget)


def _outcomes(budget: Budget, target: str) -> Iterator[Outcome]:
    """Of one worker a process, in half of the time."""
    jobs = [
        {
            "target": target, "limit": budget.seconds * 1.5 + 120, "seed": budget.seed, "worker": worker,
            "seconds": max(0.5, budget.seconds / 2 - 3),
        }
        for worker in range(budget.processes)
    ]  # fmt: skip
    yield from calls(jobs, budget.processes)


def _by_others(budget: Budget) -> Iterator[Row]:
    what = "within its bound, five kinds of data; one sample NaN, inf, 1e30"
    rows = {name: Row("bounds", f"{name} {what}", 0) for name in fast.CASES}
    worst = dict.fromkeys(rows, 0.0)
    for outcome in _outcomes(budget, f"{fast.__name__}:work"):
        if outcome.died:
            rows["winograd"].fail(f"{outcome.died}: {outcome.output[-500:]}")
            continue
        for name, (count, share) in outcome.value["tally"].items():
            rows[name].tried += count
            worst[name] = max(worst[name], share)
        for name, words in outcome.value["wrong"]:
            rows[name].fail(words)
    for name, row in rows.items():
        row.note = "worst: {worst_share_of_bound:.1%} of the bound"
        row.figures = {"method": name, "worst_share_of_bound": worst[name]}
        yield row


def _by_direct(budget: Budget) -> Iterator[Row]:
    rows = {dtype: Row("bounds", f"{dtype} within the error bound, five kinds of data", 0) for dtype in DTYPES}
    worst = dict.fromkeys(DTYPES, (0.0, 0.0))
    for outcome in _outcomes(budget, f"{__name__}:work"):
        if outcome.died:
            rows["float32"].fail(f"{outcome.died}: {outcome.output[-500:]}")
            continue
        for dtype, (count, error, share) in outcome.value["tally"].items():
            rows[dtype].tried += count
            worst[dtype] = max(worst[dtype][0], error), max(worst[dtype][1], share)
        for beyond in outcome.value["wrong"]:
            rows[next(d for d in DTYPES if f" {d} " in beyond)].fail(beyond)
    for dtype, row in rows.items():
        error, share = worst[dtype]
        units = "{worst_error_in_eS:.1f} e S, " if error else ""
        row.note = f"direct, worst: {units}{{worst_share_of_bound:.1%}} of the bound"
        row.figures = {"method": "direct", "worst_error_in_eS": error, "worst_share_of_bound": share}
        yield row
