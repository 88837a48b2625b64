"""``python -m numconv bench``: suites measured, tables printed, figures written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from difflib import get_close_matches
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import numconv

from .._cli.errors import CommandError
from .._cli.files import check_output, write
from .._cli.progress import progress
from . import overhead, scaling, training
from .about import about, heading, notes
from .settings import Settings
from .speed import Race
from .suites import SUITES, Group
from .table import Table
from .tables import means_of, speed_table
from .workload import Workload

NAMES = (*SUITES, "training", "overhead", "threads")
"""All suites, in the order in which they run."""

Part = tuple[Table, dict[str, Any]]
"""A table, and the same as data."""


def run(names: Sequence[str], settings: Settings, markdown: bool, target: Path | None) -> int:
    """Measure suites, all if none is named; print each table as it is done, and write the figures to `target`."""
    chosen = [_known(name) for name in names] or list(NAMES)
    if target is not None:
        check_output(target, (".json",))
    _check_only(chosen, settings.only)
    import_module("numba")  # so that threads are Numba's, as in a program that has run for a while
    print("\n".join(heading(settings)), flush=True)
    suites: dict[str, list[dict[str, Any]]] = {}
    with numconv.num_threads(settings.threads):
        for name in dict.fromkeys(chosen):
            suites[name] = []
            for table, data in _suite(name, settings, markdown):
                print("\n" + (table.markdown() if markdown else table.text()), flush=True)
                suites[name].append(data)
    if target is not None:
        text = json.dumps({**about(settings), "suites": suites}, indent=1)
        write(target, lambda path: path.write_text(text + "\n", encoding="utf-8"))
    print("\n" + "\n".join(notes(settings)))
    return 0


def _known(name: str) -> str:
    if name not in NAMES:
        nearest = get_close_matches(name, NAMES, n=1, cutoff=0)[0]
        raise CommandError(f"unknown suite {name!r}: did you mean {nearest}? ({', '.join(NAMES)})")
    return name


def _check_only(chosen: Iterable[str], only: str) -> None:
    every = [w.name for name in chosen for group in _groups(name) for w in group.workloads]
    if only and not any(only in name for name in every):
        nearest = get_close_matches(only, every, n=1, cutoff=0)
        raise CommandError(f"no workload is named {only!r}" + "".join(f": did you mean {name}?" for name in nearest))


def _groups(name: str) -> tuple[Group, ...]:
    special: dict[str, Any] = {"training": training.NETWORKS, "overhead": overhead.TINY, "threads": scaling.WORKLOADS}
    return (Group(name, special[name]),) if name in special else SUITES[name]


def _suite(name: str, settings: Settings, markdown: bool) -> Iterator[Part]:
    for group in _groups(name):
        workloads = tuple(workload for workload in group.workloads if settings.only in workload.name)
        if workloads and name == "overhead":
            yield from _overhead(workloads, settings)
        elif workloads and name == "training":
            yield _training(workloads, settings)
        elif workloads and name == "threads":
            yield _scaling(workloads, settings)
        elif workloads:
            yield _speed(replace(group, workloads=workloads), settings, markdown)


def _each(title: str, workloads: Sequence[Any], settings: Settings) -> Iterator[tuple[Any, Iterator[int]]]:
    """Workloads with their rounds, to be used up in turn: one bar shows how far all have come."""
    steps = progress(range(len(workloads) * (settings.rounds + 1)), title)
    for workload in workloads:
        next(steps)  # it is prepared
        yield workload, islice(steps, settings.rounds)
    next(steps, None)  # the bar ends


def _speed(group: Group, settings: Settings, markdown: bool) -> Part:
    each = _each(group.title, group.workloads, settings)
    results = [Race(workload, settings).run(rounds) for workload, rounds in each]
    table = speed_table(group, results, compact=markdown)
    return table, {
        "title": group.title,
        "aims": group.aims,
        "means": means_of(results),
        "results": [asdict(result) for result in results],
    }


def _overhead(workloads: Sequence[Workload], settings: Settings) -> list[Part]:
    each = _each("overhead", workloads, settings)
    called = [overhead.calls(workload, settings, rounds) for workload, rounds in each]
    woken = overhead.dispatch(settings, range(settings.rounds))
    first, second = overhead.tables(called, woken)
    return [
        (first, {"title": first.title, "results": [asdict(row) for row in called]}),
        (second, {"title": second.title, "results": [asdict(woken)]}),
    ]


def _training(networks: Sequence[Any], settings: Settings) -> Part:
    each = _each("training", networks, settings)
    found = [training.measure(network, settings, rounds) for network, rounds in each]
    table = training.table(found)
    return table, {"title": table.title, "results": [asdict(row) for row in found]}


def _scaling(workloads: Sequence[Workload], settings: Settings) -> Part:
    each = _each("threads", workloads, settings)
    found = [scaling.measure(workload, settings, rounds) for workload, rounds in each]
    table = scaling.table(found, settings.threads)
    return table, {"title": table.title, "results": [asdict(row) for row in found]}
