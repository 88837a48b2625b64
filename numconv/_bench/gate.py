"""``python -m numconv bench --gate FILE``: which workloads are slower than a file of costs says.

Noise makes a cost larger far more often than smaller, and where a process has its memory matters as well. So medians of
several processes are stored, and a workload that looks slow is measured again in a fresh process: it is slow if all of
them say so. (The least costs are no better to store: some are met by one process in five.)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numconv

from .._cli.errors import CommandError
from .._cli.files import check_output, write
from .._cli.table import cpu_name
from . import gauge
from .table import Table, number, times

FACTOR = 1.2
"""By how much the cost of a workload may grow."""
PROCESSES = 5
"""That must agree that a workload is slow; whose medians are stored."""

Costs = dict[str, float]
Measure = Callable[[Collection[str]], Costs]


def save(path: Path, measure: Measure | None = None) -> int:
    """Store the median costs of `PROCESSES` processes."""
    check_output(path, (".json",))
    found = [(measure or _measured)(gauge.NAMES) for _ in range(PROCESSES)]
    costs = {name: round(median(costs[name] for costs in found), 4) for name in gauge.NAMES}
    text = json.dumps({"cpu": cpu_name(), "numconv": numconv.__version__, "costs": costs}, indent=1)
    write(path, lambda target: target.write_text(text + "\n", encoding="utf-8"))
    print(f"costs of {len(costs)} workloads: {path}")
    return 0


def check(path: Path, measure: Measure | None = None, factor: float = FACTOR) -> int:
    """Print costs beside the stored ones; 1 if some workload's grew by more than `factor` in all processes, else 0."""
    stored = _read(path)
    found, slow = compared(stored, measure or _measured, factor)
    print(_table(stored, found, slow).text())
    print(f"\n{len(slow)} of {len(stored)} workloads are slower than {factor:g} times what {path} says.")
    return 1 if slow else 0


def compared(stored: Mapping[str, float], measure: Measure, factor: float) -> tuple[Costs, list[str]]:
    """Return the least costs found, and the workloads that were too slow in every one of `PROCESSES` processes."""
    found = {name: float("inf") for name in stored}
    slow = list(stored)
    for _ in range(PROCESSES):
        for name, cost in measure(slow).items():
            found[name] = min(found[name], cost)
        slow = [name for name in slow if not found[name] <= factor * stored[name]]
        if not slow:
            break
    return found, slow


def _measured(names: Collection[str]) -> Costs:
    """Costs from a process of its own."""
    command = [sys.executable, "-m", gauge.__name__, *names]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # of the product that multiply-adds are compared with
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    costs: Costs = json.loads(done.stdout)
    return costs


def _read(path: Path) -> Costs:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        cpu, costs = data["cpu"], dict(data["costs"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(f"cannot read costs from {path}: {error} (--save writes such a file)") from error
    if cpu != cpu_name():
        raise CommandError(f"{path} holds costs of {cpu}, and this is {cpu_name()}: store this machine's with --save")
    if missing := set(costs) ^ set(gauge.NAMES):
        raise CommandError(f"{path} holds other workloads ({', '.join(sorted(missing))}): store costs anew with --save")
    return costs


def _table(stored: Costs, found: Costs, slow: Collection[str]) -> Table:
    rows = [
        (name, number(stored[name]), number(found[name]), times(found[name] / stored[name]), "SLOW" * (name in slow))
        for name in stored
    ]
    return Table("costs: CPU time over that of the yardstick", ("", "stored", "now", "now / stored", ""), rows)
