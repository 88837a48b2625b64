"""Microseconds: calls on a handful of samples, making a plan, waking a second thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .peaks import MultiplyAdds
from .rounds import enter, interleave
from .settings import Settings
from .speed import Race
from .table import Table, number
from .workload import Workload

TINY = (
    Workload("conv1d, 8 samples", (8,), (3,)),
    Workload("conv2d, 8x8 samples", (8, 8), (3, 3)),
    Workload("filter_bank, 8x8 samples", (8, 8), (3, 3), padding=1, bank=True),
)
AIMS = {"function": 12.0, "plan": 5.0}
"""Microseconds, on an idle machine."""
DISPATCH_AIM = 10.0
"""Microseconds by which a call with two threads may be slower than the serial one, both with nothing to do."""


@dataclass(frozen=True)
class Overhead:
    """Median seconds of a call by what does it, of conv1d or conv2d on next to nothing; or of dispatch."""

    name: str
    seconds: dict[str, float]


def calls(workload: Workload, settings: Settings, rounds: Iterable[int]) -> Overhead:
    """Seconds of plan and function, which allocate the result, of making the plan, and of each peer in its best way."""
    x, w = workload.arrays()
    own: dict[str, Callable[[], Any]] = {
        "function": workload.call(x, w),
        "plan": partial(workload.plan(w), x),
        "making a plan": partial(workload.plan, w),
    }
    race = Race(workload, settings)
    race.entries |= {name: enter(run, settings.rounds, settings.shortest) for name, run in own.items()}
    medians = {name: float(np.nanmedian(seconds)) for name, seconds in interleave(race.entries, rounds).items()}
    best = {way.name: min(medians[other.key] for other in race.ways if other.name == way.name) for way in race.ways}
    return Overhead(workload.name, {name: medians[name] for name in own} | best)


def dispatch(settings: Settings, rounds: Iterable[int]) -> Overhead:
    """Two jobs with nothing to do: in this thread, and in two. "over": the median difference."""
    runs = {name: _nothing(threads) for name, threads in (("serial", 1), ("two threads", 2))}
    entries = {name: enter(run, settings.rounds, settings.shortest) for name, run in runs.items()}
    times = interleave(entries, rounds)
    medians = {name: float(np.median(seconds)) for name, seconds in times.items()}
    return Overhead("dispatch", medians | {"over": float(np.median(times["two threads"] - times["serial"]))})


def _nothing(threads: int) -> MultiplyAdds:
    return MultiplyAdds("f4", threads, steps=1, jobs=2 // threads)


def tables(called: Sequence[Overhead], dispatched: Overhead) -> tuple[Table, Table]:
    """One of calls, one of dispatch, in microseconds."""
    names = list(dict.fromkeys(name for row in called for name in row.seconds))
    rows = [(row.name, *(_microseconds(row.seconds.get(name)) for name in names)) for row in called]
    aims = ("aim", *(f"<= {AIMS[name]:.0f}" if name in AIMS else "" for name in names))
    last = tuple(_microseconds(dispatched.seconds[name]) for name in ("serial", "two threads", "over"))
    return (
        Table("overhead of a call, microseconds", ("", *names), rows, [aims]),
        Table(
            "waking a thread, microseconds",
            ("", "serial", "two threads", "difference"),
            [("two jobs with nothing to do", *last)],
            [("aim", "", "", f"<= {DISPATCH_AIM:.0f}")],
        ),
    )


def _microseconds(seconds: float | None) -> str:
    return number(None if seconds is None else seconds * 1e6)
