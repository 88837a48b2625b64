"""Random problems, bit for bit: `direct` against the reference, dozens of problems in one call of it.

Problems of one geometry are the groups of one grouped convolution: the reference computes all of them at once, each
with an input, weights and a bias of its own, and its 3 ms a call are shared. numconv computes them one by one, with
strides, threads, runners and tiles by chance.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np

import numconv
from numconv.cpu import layer, runner

from ..forced import forced, shapes
from ..problems import Case, any_strides, arrays, poisoned, random_case, same_bits
from .budget import Budget
from .child import calls
from .report import Row

CONV = {1: numconv.conv1d, 2: numconv.conv2d, 3: numconv.conv3d}
PLAN = {1: numconv.plan_conv1d, 2: numconv.plan_conv2d, 3: numconv.plan_conv3d}
TOGETHER = 64
"""Problems in one call of the reference, at most."""
WORK = 400_000
"""Products in one call of the reference, about."""
LARGEST = 40_000
"""Products of one problem, at most; ordinary tests have 20,000 problems of any size."""


def small_case(rng: np.random.Generator) -> tuple[Case, int]:
    """A random problem of few products, and how many."""
    while True:
        case = random_case(rng)
        products = _products(case)
        if products <= LARGEST:
            return case, products


def _products(case: Case) -> int:
    """No fewer than the products of a problem."""
    out = [size + 2 * k * 3 for size, k in zip(case.spatial, case.kernel, strict=True)]
    if case.options["padding"] in ("valid", "same", "same_lower"):
        out = list(case.spatial)
    strides = np.prod(case.options["stride"])
    each = case.n * case.filters * int(np.prod(case.kernel)) * (case.channels // case.groups)
    return int(np.prod(out)) * each // int(strides)


@contextmanager
def circumstances(rng: np.random.Generator, tiles: bool) -> Iterator[None]:
    """For a fifth of all geometries parallel runs however small; for a tenth, if asked, a tile by chance."""
    with ExitStack() as stack:
        if rng.random() < 0.2:
            stack.enter_context(mock.patch.multiple(runner, HANDOVER=0.0, KEEP_GIL=0.0))
            if rng.random() < 0.5:
                stack.enter_context(mock.patch.object(layer, "parallel", lambda: None))
        if tiles and rng.random() < 0.1:
            every = shapes()
            block = tuple(int(b) for b in rng.integers(1, 9, 3)) if rng.random() < 0.5 else None
            stack.enter_context(forced(*every[rng.integers(len(every))], block=block))
        yield


def spoil(x: np.ndarray, rng: np.random.Generator) -> None:
    """A few values that are no ordinary numbers."""
    if x.dtype.kind not in "fc" or rng.random() > 0.05:
        return
    odd = [np.nan, np.inf, -np.inf, -0.0, 0.0]
    if x.dtype != np.float64 and x.dtype != np.complex128:  # there the reference takes integers for each
        odd.append(np.finfo(x.dtype).smallest_subnormal)
    x.flat[rng.integers(0, x.size, 1 + x.size // 50)] = odd[rng.integers(len(odd))]


def geometry(case: Case, count: int, rng: np.random.Generator, tally: Counter, wrong: list[str]) -> None:
    """`count` problems of one geometry."""
    together = replace(case, channels=case.channels * count, filters=case.filters * count, groups=case.groups * count)
    x, w, bias = arrays(together, rng)
    spoil(x, rng)
    conv = CONV[case.ndim]
    try:
        expected = conv(x, w, bias, **together.keywords, method="reference")
    except (ValueError, TypeError, OverflowError) as refused:
        tally["refused"] += 1
        try:
            conv(x, w, bias, **together.keywords, method="direct")
        except type(refused):
            return
        wrong.append(f"not refused: {case}")
        return
    got = poisoned(expected.shape, expected.dtype)
    planned = rng.random() < 0.1
    for b in range(count):
        parts = one(case, b, x, w, bias)
        if rng.random() < 0.5:
            parts = any_strides(parts[0], rng), *parts[1:]
        target, threads = got[axis_slice(case, case.filters, b)], int(rng.integers(1, 5))
        if planned:
            plan = PLAN[case.ndim](parts[0].shape, *parts[1:], x_dtype=x.dtype, **case.keywords, method="direct")
            plan(parts[0], out=target, threads=threads)
        elif b % 2:
            conv(*parts, **case.keywords, method="direct", threads=threads, out=target)
        else:
            target[...] = conv(*parts, **case.keywords, method="direct", threads=threads)
    tally["problems"] += count
    tally["geometries"] += 1
    tally[f"{case.x_dtype} {case.w_dtype or case.x_dtype}"] += count
    if not same_bits(got, expected):
        for b in range(count):
            where = axis_slice(case, case.filters, b)
            if not same_bits(got[where], expected[where]):
                wrong.append(f"problem {b} of {case}")


def axis_slice(case: Case, size: int, b: int) -> tuple:
    """Problem b's channels of x or of the result."""
    part = slice(b * size, (b + 1) * size)
    return (..., part) if case.channels_last else (slice(None), part)


def one(case: Case, b: int, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None) -> tuple:
    """x, w and bias of problem b: views, so with strides."""
    part = slice(b * case.filters, (b + 1) * case.filters)
    weights = w[..., part] if case.channels_last else w[part]
    return x[axis_slice(case, case.channels, b)], weights, None if bias is None else bias[part]


def work(seed: int, worker: int, seconds: float, tiles: bool) -> dict[str, Any]:
    """In a process: problems until the time is up."""
    end, tally, wrong, number = time.monotonic() + seconds, Counter(), [], 0  # type: ignore[var-annotated]
    while time.monotonic() < end or tally["problems"] == 0:
        rng = np.random.default_rng([seed, worker, number])
        number += 1
        case, products = small_case(rng)
        with circumstances(rng, tiles):
            geometry(case, int(np.clip(WORK // max(products, 1), 2, TOGETHER)), rng, tally, wrong)
    return {"tally": tally, "wrong": wrong[:20], "broke": len(wrong)}


def run(budget: Budget) -> Iterator[Row]:
    """Rows: problems."""
    seconds = budget.seconds
    jobs = [
        {
            "target": f"{__name__}:work", "limit": seconds * 1.5 + 120, "seed": budget.seed, "worker": worker,
            "seconds": max(0.5, seconds - 3), "tiles": seconds > 120,
        }
        for worker in range(budget.processes)
    ]  # fmt: skip
    row, tally = Row("exact", "random problems, bit for bit against the reference", 0), Counter()  # type: ignore[var-annotated]
    for outcome in calls(jobs, budget.processes):
        if outcome.died:
            row.fail(f"{outcome.died}: {outcome.output[-500:]}")
            continue
        tally.update(outcome.value["tally"])
        row.broke += outcome.value["broke"]
        row.failures += outcome.value["wrong"]
    row.tried = tally.pop("problems", 0)
    row.note = "{geometries:,} geometries; {refused:,} more refused by both"
    row.figures = {"geometries": 0, "refused": 0} | dict(tally)
    yield row
