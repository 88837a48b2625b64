"""Times taken in rounds: every contender once in each, so that what drifts drifts for all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from timeit import Timer
from typing import Any

import numpy as np

COLD = 0.02
"""Seconds below which a timing is preceded by a call that is not timed: the last contender had the caches."""
LONG = 0.5
"""Seconds of a first call from which it tells how long a call takes: there is no second one to warm up."""

Clock = Callable[[], float]
Times = dict[str, np.ndarray]
"""Seconds of a call by contender and round; NaN where it did not take part."""


@dataclass
class Entry:
    """A contender in the rounds: how many calls make a timing by which clock, and in how many rounds it takes part."""

    run: Callable[[], Any]
    once: float
    calls: int
    rounds: int
    clock: Clock = perf_counter
    known: float | None = None  # seconds of the first timing, which was taken before
    seconds: list[float] = field(default_factory=list)

    def time(self) -> None:
        """Take one timing: the mean of its calls."""
        if len(self.seconds) >= self.rounds:
            self.seconds.append(float("nan"))
            return
        if self.known is not None and not self.seconds:
            self.seconds.append(self.known)
            return
        if self.once < COLD:
            self.run()
        self.seconds.append(Timer(self.run, timer=self.clock).timeit(self.calls) / self.calls)


def enter(
    run: Callable[[], Any], rounds: int, shortest: float, first: float = 0.0, clock: Clock = perf_counter
) -> Entry:
    """Warm up, and see how long a call takes (`first` is what it took before): `shortest` seconds make a timing."""
    once = first
    if once < LONG:
        once = Timer(run, timer=clock).timeit(1)
    calls = _calls(once, shortest)
    if calls > 10:  # the first calls of microseconds are slow
        once = Timer(run, timer=clock).timeit(calls // 10) / (calls // 10)
        calls = _calls(once, shortest)
    return Entry(run, once, calls, rounds, clock)


def _calls(once: float, shortest: float) -> int:
    return max(1, round(shortest / max(once, 1e-7)))


def interleave(entries: Mapping[str, Entry], rounds: Iterable[int]) -> Times:
    """Time all of them in each round, in an order that turns with the rounds."""
    names = list(entries)
    for number in rounds:
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            entries[name].time()
    return {name: np.array(entry.seconds) for name, entry in entries.items()}


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> float:
    """The median over the rounds in which both took part."""
    return float(np.nanmedian(numerator / denominator))
