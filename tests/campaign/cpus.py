"""Other kinds of CPU, by the code that is made for them: the same bits with fused multiply-adds, the bound without."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

import numconv
from numconv.cpu.machine import machine

from ..problems import CASES, IMAGES, LAYERS, arrays
from .budget import Budget
from .child import Outcome, calls
from .report import Row

CONV = {1: numconv.conv1d, 2: numconv.conv2d, 3: numconv.conv3d}
FUSED = ("haswell", "skylake", "skylake-avx512", "znver3")
"""CPUs with fused multiply-adds. AVX-512 for those that can run it; numconv's own choice of width for the others."""


def digest(part: int, parts: int) -> dict[str, Any]:
    """SHA-256 of the results of every so many-th of the named problems, in both data formats and lane orders."""
    if not machine().fma:
        raise RuntimeError("this CPU is to have fused multiply-adds")
    cases = CASES + [case.small() for case in LAYERS + IMAGES]
    result, count = hashlib.sha256(), 0
    for number, case in enumerate(cases):
        if number % parts != part:
            continue
        x, w, bias = arrays(case, np.random.default_rng(number))
        result.update(CONV[case.ndim](x, w, bias, **case.keywords, method="direct", threads=1).tobytes())
        count += 1
    return {"digest": result.hexdigest(), "tried": count}


def bounded(seconds: float, seed: int) -> dict[str, Any]:
    """Without fused multiply-adds: within the bound."""
    from .bounds import work

    if machine().fma:
        raise RuntimeError("this CPU is to have no fused multiply-adds")
    return work(seed, 1000, seconds)


def run(budget: Budget) -> Iterator[Row]:
    """Rows: with and without fused multiply-adds."""
    parts = 1 if budget.seconds > 120 else 12
    cpus = [cpu for cpu in ("", *FUSED) if cpu != "skylake-avx512" or machine().registers == 32]
    named = [{"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""} if cpu else {} for cpu in cpus]
    jobs = [
        {
            "target": f"{__name__}:digest", "limit": 900.0, "environment": environment,
            "part": budget.seed % parts, "parts": parts,
        }
        for environment in named
    ]  # fmt: skip
    jobs.append(
        {
            "target": f"{__name__}:bounded", "limit": budget.seconds + 300, "seconds": budget.seconds / 4,
            "seed": budget.seed, "environment": {"NUMBA_CPU_NAME": "nehalem", "NUMBA_CPU_FEATURES": ""},
        }
    )  # fmt: skip
    *outcomes, last = calls(jobs, budget.processes)
    yield same(cpus, outcomes)
    yield within(last)


def same(cpus: list[str], outcomes: list[Outcome]) -> Row:
    """One row for all CPUs with fused multiply-adds."""
    row = Row("cpus", f"same bits, same sha256: {', '.join(cpus[1:])}", 0)
    for cpu, outcome in zip(cpus, outcomes, strict=True):
        if outcome.died:
            row.fail(f"{cpu or 'this CPU'}: {outcome.died}: {outcome.output[-500:]}")
            continue
        row.tried += outcome.value["tried"]
        if not outcomes[0].died and outcome.value["digest"] != outcomes[0].value["digest"]:
            row.fail(f"{cpu}: another digest")
    row.note = f"this CPU: {machine().name}"
    return row


def within(outcome: Outcome) -> Row:
    """The row of the CPU without."""
    row = Row("cpus", "nehalem, without fused multiply-adds: within the error bound", 0)
    if outcome.died:
        row.fail(f"{outcome.died}: {outcome.output[-500:]}")
        return row
    row.tried = sum(count for count, _, _ in outcome.value["tally"].values())
    for beyond in outcome.value["wrong"]:
        row.fail(beyond)
    row.note = f"worst: {max(share for _, _, share in outcome.value['tally'].values()):.1%} of the bound"
    return row
