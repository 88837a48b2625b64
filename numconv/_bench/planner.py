"""``python -m numconv bench --planner FILE``: how often `auto` takes the fastest method, over hundreds of problems.

All methods that compute a problem are timed in turns, as plans and as functions. What was measured stays in FILE, and a
later run goes on from there; what `auto` takes is asked anew by each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import numconv

from .._cli.errors import CommandError
from .._cli.files import check_output, write
from .._cli.progress import progress
from .._cli.table import cpu_name
from ..cpu.methods import OTHERS
from .grid import problems
from .rounds import Entry, enter, interleave
from .settings import Settings
from .table import Table, number, share, times
from .workload import Workload

METHODS = ("direct", *OTHERS)
NEAR = 1.25
"""A choice is good if it takes at most so many times as long as the fastest method."""
SLOWER = 1.1
"""A function that takes so many times as long as that of `direct` is slower: it makes its weights ready each time."""
SLOW = 3.0
"""What takes so many times as long as the fastest takes part in one round only."""
ROUNDS, SHORTEST = 5, 0.002
"""As in `Settings`: many problems, of which few are close calls."""
WORST = 12
"""Lines of the table of the worst choices."""

Seconds = dict[str, float]
"""Of a plan by the method's name, and of a function by the name followed by "()"."""


@dataclass(frozen=True)
class Choice:
    """What `auto` takes for a workload, the fastest, and how many times as long the choice takes.

    `function` is how many times as long the function of the chosen method takes as that of `direct`.
    """

    workload: Workload
    taken: str
    fastest: str
    factor: float
    function: float
    seconds: float
    alternatives: int


def run(path: Path, settings: Settings, seconds: float, markdown: bool) -> int:
    """Measure for some `seconds` what `path` lacks, write it there, print the summary of all that it holds."""
    check_output(path, (".json",))
    settings = replace(settings, rounds=ROUNDS, shortest=SHORTEST)
    data = _read(path, settings.threads)
    every = [w for w in problems() if settings.only in w.label]
    with numconv.num_threads(settings.threads):
        try:
            for workload in _in_time(every, data["seconds"], seconds):
                data["seconds"][workload.label] = measured(workload, settings)
        finally:
            _write(path, data)
    found = list(choices(every, data["seconds"]))
    left = len(every) - len(found)
    if found:
        for table in tables(found, settings.threads):
            print("\n" + (table.markdown() if markdown else table.text()))
    print(f"\n{len(found)} problems, {left} to come: the same command goes on.")
    return 0


def _in_time(every: Iterable[Workload], known: Mapping[str, Seconds], seconds: float) -> Iterator[Workload]:
    """Workloads not known yet, until time is up."""
    end = perf_counter() + seconds
    todo = [workload for workload in every if workload.label not in known]
    for workload in progress(todo, "planner"):
        if perf_counter() > end:
            return
        yield workload


def measured(workload: Workload, settings: Settings) -> Seconds:
    """Median seconds of each method, by the rounds of the fastest plan."""
    x, w = workload.arrays()
    runs: dict[str, Any] = {}
    for method in METHODS:
        one = replace(workload, method=method)
        try:
            plan = one.plan(w)
        except NotImplementedError:
            continue
        out = plan(x)
        runs[method] = partial(plan, x, out=out)
        runs[method + "()"] = one.call(x, w, out)
    entries = {name: enter(run, settings.rounds, settings.shortest) for name, run in runs.items()}
    _shorten(entries)
    taken = interleave(entries, range(settings.rounds))
    base = taken[min(entries, key=lambda name: float(np.nanmedian(taken[name])))]
    scale = float(np.nanmedian(base))
    return {name: float(f"{np.nanmedian(seconds / base) * scale:.4g}") for name, seconds in taken.items()}


def _shorten(entries: Mapping[str, Entry]) -> None:
    """One round for what is far slower than the fastest: it tells no more in several."""
    least = min(entry.once for entry in entries.values())
    for entry in entries.values():
        if entry.once > SLOW * least:
            entry.rounds = entry.calls = 1


def choices(every: Iterable[Workload], known: Mapping[str, Seconds]) -> Iterator[Choice]:
    """What `auto` takes for the workloads that have been measured."""
    for workload in every:
        if workload.label not in known:
            continue
        seconds = known[workload.label]
        plans = {name: value for name, value in seconds.items() if not name.endswith("()")}
        taken, fastest = workload.plan(workload.arrays()[1]).method, min(plans, key=plans.__getitem__)
        function = seconds[taken + "()"] / seconds["direct()"]
        yield Choice(workload, taken, fastest, plans[taken] / plans[fastest], function, plans[fastest], len(plans))


def tables(found: list[Choice], threads: int) -> list[Table]:
    """Shares by kind of problem, and the worst choices."""
    kinds: dict[str, list[Choice]] = {}
    for choice in found:
        kinds.setdefault(choice.workload.name.partition("_")[0], []).append(choice)
    rows = [_row(kind, some) for kind, some in kinds.items()]
    used = f"{threads} thread" + "s" * (threads > 1)
    shares = Table(
        f"choices of auto, {used}",
        ("", "problems", f"within {NEAR}x", "with a choice", f"within {NEAR}x", "functions slower than direct's"),
        rows,
        [_row("all", found)],
    )
    ranked = sorted((c for c in found if c.factor > 1), key=lambda c: -c.factor)
    worst = Table(
        f"the worst, {used}",
        ("", "auto", "fastest", "ms", "auto takes", "function, to direct's"),
        [
            (c.workload.label, c.taken, c.fastest, number(c.seconds * 1e3), times(c.factor), times(c.function))
            for c in ranked[:WORST]
        ],
        [],
    )
    return [shares, worst] if ranked else [shares]


def _row(name: str, some: list[Choice]) -> tuple[str, ...]:
    real = [c for c in some if c.alternatives > 1]
    return (
        name,
        str(len(some)),
        share(sum(c.factor <= NEAR for c in some) / len(some)),
        str(len(real)),
        share(sum(c.factor <= NEAR for c in real) / len(real)) if real else "-",
        str(sum(c.function > SLOWER for c in some)),
    )


def _read(path: Path, threads: int) -> dict[str, Any]:
    """What a file holds, which has to come from this machine and as many threads."""
    fresh: dict[str, Any] = {"cpu": cpu_name(), "numconv": numconv.__version__, "threads": threads, "seconds": {}}
    if not path.exists():
        return fresh
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CommandError(f"{path}: {error}") from None
    for name in ("cpu", "threads"):
        if data.get(name) != fresh[name]:
            raise CommandError(f"{path} is of {name} {data.get(name)!r}, not {fresh[name]!r}: name another file")
    return data


def _write(path: Path, data: dict[str, Any]) -> None:
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(seconds)}" for name, seconds in data["seconds"].items())
    head = json.dumps({name: value for name, value in data.items() if name != "seconds"}, indent=1)[:-2]
    text = f'{head},\n "seconds": {{\n{lines}\n }}\n}}\n'
    write(path, lambda target: target.write_text(text, encoding="utf-8"))
