"""Seeded faults: each is put into a copy of the package, and the ordinary tests have to notice.

Tests that likely notice soonest come first, then the rest of those that see kernels; an abort or a hang is noticed too.
A mutant that no longer fits the source breaks `tests/test_campaign.py`, not the campaign.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from .budget import Budget
from .child import ROOT, _finish
from .mutant_list import MUTANTS, Mutant
from .report import Row

ALL = (
    "test_arguments.py", "test_direct.py", "test_same_bits.py", "test_values.py", "test_types.py", "test_reference.py",
    "test_guard.py", "test_fft.py", "test_separable.py", "test_winograd.py", "test_winograd_rows.py", "test_reduce.py",
)  # fmt: skip
"""The tests that see kernels."""
LIMIT = 900.0


def place_of(mutant: Mutant, package: Path) -> Path | None:
    """The file that the mutant changes; None unless its text occurs exactly once."""
    path = package / mutant.file
    files = sorted(path.glob("*.py")) if path.is_dir() else [path] * path.is_file()
    counts = {file: file.read_text().count(mutant.old) for file in files}
    return next((f for f, n in counts.items() if n), None) if sum(counts.values()) == 1 else None


def seed(mutant: Mutant, package: Path) -> tuple[Path, str]:
    """Put the fault in; returns the file and its text before."""
    path = place_of(mutant, package)
    if path is None:
        raise LookupError(f"{mutant.name}: the text is not there exactly once")
    before = path.read_text()
    path.write_text(before.replace(mutant.old, mutant.new))
    return path, before


def tested(copy: Path, first: str, cache: str) -> str:
    """How the tests noticed, or nothing."""
    common = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--no-header"]
    environment = os.environ | {"PYTHONPATH": str(copy), "NUMCONV_CACHE_DIR": cache}
    files = [f"tests/{name}" for name in ALL]
    for selected in ([*files, "-k", first], files):
        output, died = _finish(common + selected, environment, copy, LIMIT)
        if died and "exit status 5" not in died:  # 5: no test was selected
            failed = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
            if died == "exit status 1" and not failed:
                raise RuntimeError(f"pytest did not run: {output[-500:]}")
            return failed[0][:160] if failed else died
    return ""


def tried(mutant: Mutant, cache: str) -> tuple[str, float]:
    """(how it was noticed, seconds) in a copy of the package and its tests.

    Mutants share a kernel cache: its keys hold the sources of kernels, so only those that change none find code there.
    """
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory)
        for folder in ("numconv", "tests"):
            shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        seed(mutant, copy / "numconv")
        return tested(copy, mutant.first, cache), time.monotonic() - start


def stale(fitting: int) -> str:
    """What is to be said where not all mutants fit the source any more."""
    return "" if fitting == len(MUTANTS) else f"; {fitting} of {len(MUTANTS)} mutants fit"


def run(budget: Budget) -> Iterator[Row]:
    """One row: mutants that the tests let live are what broke."""
    row, end = Row("mutants", "faults seeded into kernels and packing, to be noticed by the tests", 0), budget.end
    fitting = [mutant for mutant in MUTANTS if place_of(mutant, ROOT / "numconv") is not None]
    order = [fitting[i] for i in np.random.default_rng(budget.seed).permutation(len(fitting))]

    def one(number: int) -> None:
        if number >= budget.processes and time.monotonic() > end:
            return
        try:
            noticed, seconds = tried(order[number], cache)
        except (RuntimeError, subprocess.SubprocessError) as error:
            noticed, seconds = "", 0.0
            row.fail(f"{order[number].name}: {error}", 0)
        row.tried += 1
        row.figures[order[number].name] = [noticed, round(seconds, 1)]
        if not noticed:
            row.fail(f"{order[number].name}: not noticed")

    with tempfile.TemporaryDirectory() as cache, ThreadPoolExecutor(budget.processes) as pool:
        list(pool.map(one, range(len(order))))
    row.figures["noticed"], row.note = row.tried - row.broke, "{noticed} noticed" + stale(len(fitting))
    yield row
