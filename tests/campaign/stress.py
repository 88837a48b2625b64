"""Threads, forks, start methods, schedulers and other libraries, under every threading layer."""

from __future__ import annotations

import importlib.metadata
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

from .budget import Budget
from .child import ROOT, Outcome, call
from .report import Row

LAYERS = ("omp", "tbb", "workqueue", "none")
THREADS = (1, 2, 4, 16)
METHODS = ("fork", "double fork", "spawn", "forkserver", "fork pool")
BESIDE = {"omp": METHODS, "tbb": ("spawn", "forkserver")}
"""Start methods with which Numba functions of the user's own may run meanwhile: under TBB they alone hang a fork."""
SCHEDULERS = {"dask_threads": "dask", "dask_processes": "dask", "joblib_threading": "joblib", "joblib_loky": "joblib"}
LIBRARIES = {"torch": "torch", "opencv": "cv2", "sklearn": "sklearn"}

# Python imports it at its start, also in spawned children: as on a system without libgomp and libtbb.
WITHOUT_LAYERS = """
import sys
for name in ("omppool", "tbbpool"):
    sys.modules[f"numba.np.ufunc.{name}"] = None
"""


def environment(layer: str, directory: Path) -> dict[str, str | None] | None:
    """What makes Numba use a layer; None if it cannot be had."""
    common: dict[str, str | None] = {"OMP_WAIT_POLICY": "passive", "NUMBA_NUM_THREADS": "16", "OMP_NUM_THREADS": None}
    if layer == "none":
        (directory / "sitecustomize.py").write_text(WITHOUT_LAYERS)
        path = os.pathsep.join([str(ROOT), str(directory)])
        return common | {"PYTHONPATH": path, "NUMBA_THREADING_LAYER": "default"}
    if layer == "tbb":
        library = libtbb()
        if library is None:
            return None
        path = os.pathsep.join(filter(None, [str(library), os.environ.get("LD_LIBRARY_PATH")]))
        return common | {"LD_LIBRARY_PATH": path, "NUMBA_THREADING_LAYER": "tbb"}
    return common | {"NUMBA_THREADING_LAYER": layer}


def libtbb() -> Path | None:
    """The directory of the libtbb that pip installed; Numba does not look there."""
    try:
        files = importlib.metadata.files("tbb") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((Path(str(f.locate())).resolve().parent for f in files if f.name.startswith("libtbb.so")), None)


def run(budget: Budget) -> Iterator[Row]:
    """Rows: start methods and nested calls by layer, schedulers, other libraries."""
    with tempfile.TemporaryDirectory() as directory:
        environments = {layer: environment(layer, Path(directory)) for layer in LAYERS}
        mixed = budget.share(0.75)
        for number, layer in enumerate(LAYERS):
            yield mixtures(layer, environments[layer], mixed.share(1 / (len(LAYERS) - number)))
        nested = [(layer, "scenarios:nested", {"seconds": max(1.0, budget.seconds / 150)}) for layer in LAYERS]
        yield several("calls inside calls: signal handlers, finalisers, pools in pools", nested, environments, budget)
        for title, table in (
            ("under dask's and joblib's threads and processes", SCHEDULERS),
            ("beside PyTorch, OpenCV, scikit-learn: their threads and results", LIBRARIES),
        ):
            here = [(layer, f"neighbours:{name}", {}) for name in table if find_spec(table[name]) for layer in LAYERS]
            absent = sorted({table[name] for name in table if not find_spec(table[name])})
            row = several(title, here, environments, budget)
            row.note += f"; not installed: {', '.join(absent)}" * bool(absent)
            yield row


def mixtures(layer: str, environment: dict | None, budget: Budget) -> Row:
    """Every number of threads with every start method, as often as there is time for."""
    title = "no OpenMP, no TBB" if layer == "none" else layer
    row, totals = Row("stress", f"{title}: threads 1, 2, 4, 16; fork, spawn, forkserver, double fork", 0), Counter()  # type: ignore[var-annotated]
    if environment is None:
        row.note = "not installed"
        return row
    scenarios = list(product(THREADS, METHODS))
    seconds = max(0.5, budget.left / len(scenarios) - 4)
    for number in range(len(scenarios)):
        if number and budget.left < 3:
            break
        # Few of them are a mixture still, and the first one differs between layers: two threads, all methods but one.
        threads, method = scenarios[(6 + LAYERS.index(layer) + number * 7 + budget.seed) % len(scenarios)]
        outcome = call(
            f"{__package__}.scenarios:mixture", seconds + 120, environment, threads=threads, method=method,
            seconds=seconds, wanted=layer, users=number % 2 == 0 and method in BESIDE.get(layer, ()),
        )  # fmt: skip
        _take(row, totals, outcome, f"{layer}, {threads} threads, {method}")
    _count(row, totals)
    return row


def several(title: str, scenarios: list[tuple[str, str, dict]], environments: dict, budget: Budget) -> Row:
    """Scenarios with one and several threads; those that there is time for, at least two."""
    row, totals = Row("stress", title, 0), Counter()  # type: ignore[var-annotated]
    every: list[tuple[int, tuple[str, str, dict[str, Any]]]] = [
        (threads, scenario) for threads in (4, 1) for scenario in scenarios if environments[scenario[0]] is not None
    ]
    for number in range(len(every)):
        if number > 1 and budget.left < 3:
            break
        threads, (layer, target, keywords) = every[(number * 5 + budget.seed) % len(every)]
        outcome = call(f"{__package__}.{target}", 180, environments[layer], threads=threads, **keywords)
        _take(row, totals, outcome, f"{target}, {layer}, {threads} threads")
    _count(row, totals)
    return row


def _take(row: Row, totals: Counter, outcome: Outcome, what: str) -> None:
    totals["scenarios"] += 1
    if outcome.died:
        row.fail(f"{what}: {outcome.died}: {outcome.output[-700:]}")
    else:
        totals.update(outcome.value)


def _count(row: Row, totals: Counter) -> None:
    row.tried, row.figures = totals["calls"], {"scenarios": 0, "forks": 0} | dict(totals)
    row.note = "calls in {scenarios:,} scenarios" + ", {forks:,} forks" * bool(totals["forks"])
