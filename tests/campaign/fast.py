"""Errors of the methods that multiply less, within their own bounds: five kinds of data, and one sample that is odd.

The sums, the bounds and the tiles they speak of are those of the tests (`test_winograd` and so on), here on random
shapes. A NaN or an infinity in one sample has to reach the results that see it and no others, which stay within the
bounds of the samples without it; 1e30 has to stay within the bounds, and in float32, where tiles that see it are those
of `direct`, so have the results that do not see it as if it was not there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import numconv
from tests import test_fft, test_separable, test_winograd, test_winograd_rows
from tests.problems import DATA

ODD = (None, None, np.nan, np.inf, 1e30)
"""What one sample is."""
DTYPES = {"fft": ("float32", "float64", "complex64", "complex128")}
"""Of a method, if not float32 and float64."""
CONV = {1: numconv.conv1d, 2: numconv.conv2d, 3: numconv.conv3d}


class Case(NamedTuple):
    """x and weights with channels last, keywords of the call, and shares of the bound of results by x."""

    x: np.ndarray
    w: np.ndarray
    bias: np.ndarray
    options: dict[str, Any]
    shares: Callable[[np.ndarray, np.ndarray], np.ndarray]

    def compute(self, x: np.ndarray, method: str) -> np.ndarray:
        """By a method."""
        return CONV[x.ndim - 2](x, self.w, self.bias, **self.options, method=method)


def _fft(rng: np.random.Generator, dtype: str, kind: str) -> Case:
    """Along one to three axes, but not of one tap: pixels would be one row, and tiles others than those of the test."""
    ndim, channels = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    kernel = tuple(int(k) for k in rng.integers(2, (300, 20, 6)[ndim - 1], ndim))
    sizes = tuple(k + int(n) for k, n in zip(kernel, rng.integers(0, (900, 50, 12)[ndim - 1], ndim), strict=True))
    more = {"padding": int(rng.integers(0, 3)), "dilation": 1 if ndim > 1 else int(rng.integers(1, 3))}
    sizes = tuple((n - 1) * more["dilation"] + 1 for n in sizes)
    filters, seed = int(rng.integers(1, 5)), int(rng.integers(1 << 30))
    p = test_fft.Problem((1, *sizes, channels), kernel, filters, dtype, None, seed, kind, **more)

    def shares(x: np.ndarray, found: np.ndarray) -> np.ndarray:
        p.x = x
        error = found - p.exact()
        return np.maximum(abs(error.real), abs(error.imag)) / p.bound()

    return Case(p.x, p.w, p.bias, more, shares)


def _winograd(rng: np.random.Generator, dtype: str, kind: str) -> Case:
    """3x3; groups and channels that fill no vector."""
    groups, each = int(rng.integers(1, 3)), int(rng.integers(16, 40))
    shape = (1, *(int(n) for n in rng.integers(1, 20, 2)), groups * each)
    x, w, bias, options = test_winograd.problem(
        shape, groups * int(rng.integers(1, 40)), dtype, int(rng.integers(1 << 30)), groups, kind, padding=1
    )
    w = abs(w) if kind == "constant" else w
    form = f"F{_layout(x, w, options).outputs[0]}"

    def shares(x: np.ndarray, found: np.ndarray) -> np.ndarray:
        error = abs(found - test_winograd.exact(x, w, bias, options))
        return error / test_winograd.bound(x, w, bias, options, form)

    return Case(x, w, bias, options, shares)


def _rows(rng: np.random.Generator, dtype: str, kind: str) -> Case:
    """Signals of 3 and 5 taps."""
    form = ("F(4, 3)", "F(4, 5)")[rng.integers(2)]
    shape, filters = (1, int(rng.integers(1, 90)), int(rng.integers(16, 40))), int(rng.integers(1, 40))
    x, w, bias, options = test_winograd_rows.problem(form, shape, filters, dtype, kind, seed=int(rng.integers(1 << 30)))
    del options["method"]
    form = _layout(x, w, options).name

    def shares(x: np.ndarray, found: np.ndarray) -> np.ndarray:
        return test_winograd_rows.shares_of_bound(found, x, w, bias, options, form)

    return Case(x, w, bias, options, shares)


def _separable(rng: np.random.Generator, dtype: str, kind: str) -> Case:
    """Of one channel; Gaussians or random products, or kernels of two rows."""
    high, wide = (int(k) for k in rng.integers(2, 24, 2))
    high, terms = (2, 2) if rng.random() < 0.3 else (high, 1)
    sizes = (high + int(rng.integers(0, 60)), wide + 16 + int(rng.integers(0, 90)))
    x, w, bias, options = test_separable.problem(
        (1, 1, *sizes), (high, wide), dtype, terms, int(rng.integers(1, 4)), int(rng.integers(1 << 30)), kind
    )

    def shares(x: np.ndarray, found: np.ndarray) -> np.ndarray:
        return np.moveaxis(
            test_separable.shares(np.moveaxis(found, 3, 1), np.moveaxis(x, 3, 1), w, bias, options), 1, 3
        )

    return Case(np.moveaxis(x, 1, 3).copy(), w.transpose(2, 3, 1, 0).copy(), bias, {}, shares)


CASES = {"winograd": _winograd, "winograd of signals": _rows, "separable": _separable, "fft": _fft}


def _layout(x: np.ndarray, w: np.ndarray, options: dict[str, Any]) -> Any:
    """Of a plan by `winograd`."""
    plan = (numconv.plan_conv1d if x.ndim == 3 else numconv.plan_conv2d)(x.shape, w, method="winograd", **options)
    return plan._engine.pieces[0].schedule.layout


def check(rng: np.random.Generator, name: str, dtype: str, kind: str, odd: float | None) -> tuple[float, str]:
    """The largest share of the bound, and what is wrong."""
    case, method = CASES[name](rng, dtype, kind), name.partition(" ")[0]
    words = f"{name} {dtype} {kind} {odd}: x {case.x.shape}, w {case.w.shape}, {case.options}"
    if odd is None:
        share = float(case.shares(case.x, case.compute(case.x, method)).max())
        return share, words if not share <= 1 else ""
    x, mark = case.x.copy(), np.zeros(case.x.shape, np.int64)
    at = tuple(rng.integers(n) for n in x.shape)
    x[at], mark[at] = odd, 1
    seen = case._replace(w=np.ones(case.w.shape, np.int64), bias=None).compute(mark, "direct") > 0
    with np.errstate(all="ignore"):
        found = case.compute(x, method)
        whole = case.shares(x, found) if odd == 1e30 else np.zeros(found.shape)
    x[at] = 0
    share = float(max(whole.max(), 0 if odd == 1e30 and dtype != "float32" else _largest(case.shares(x, found)[~seen])))
    reaches = odd == 1e30 or np.array_equal(np.isfinite(found), ~seen)
    return share, "" if share <= 1 and reaches else words


def _largest(shares: np.ndarray) -> float:
    return float(shares.max()) if shares.size else 0.0


def work(seed: int, worker: int, seconds: float) -> dict[str, Any]:
    """In a process: all methods, types, kinds of data and odd samples in turn until the time is up."""
    end, number, tally, wrong = time.monotonic() + seconds, 0, {}, []  # type: ignore[var-annotated]
    every = [
        (name, dtype, kind, odd)
        for kind in DATA
        for odd in ODD
        for name in CASES
        for dtype in DTYPES.get(name, ("float32", "float64"))
    ]
    order = np.random.default_rng(seed).permutation(len(every))
    while time.monotonic() < end or number < len(CASES):
        chosen = (
            every[order[number % len(every)]]
            if number >= len(CASES)
            else (list(CASES)[number], "float32", "normal", None)
        )
        share, beyond = check(np.random.default_rng([seed, worker, number]), *chosen)
        number += 1
        old = tally.get(chosen[0], (0, 0.0))
        tally[chosen[0]] = old[0] + 1, max(old[1], share)
        wrong += [(chosen[0], beyond)] * bool(beyond)
    return {"tally": tally, "wrong": wrong}
