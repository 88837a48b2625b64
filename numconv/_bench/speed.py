"""One workload against its peers and against the hardware."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from . import peers
from .contender import Contender, difference, ours
from .peaks import MultiplyAdds, bandwidth
from .rounds import LONG, Entry, Times, enter, interleave, ratio
from .settings import Settings
from .workload import Workload
from .yardsticks import YARDSTICKS

FAR = 2.0
"""A way of a library that takes so many times as long as its best is not timed again."""
SLOW, BUDGET = 4.0, 1.0
"""A way that takes so many times as long as the plan has only so many seconds for 15 rounds: at least one of them.

One that took `rounds.LONG` when its result was checked, and has one round, is not run again."""


@dataclass(frozen=True)
class Figures:
    """Of numconv's plan or function: medians over the rounds.

    Attributes
    ----------
    seconds : of a call.
    rate : FLOP/s.
    shares : of "peak" (multiply-adds) and "roofline" (multiply-adds or memory, whatever binds).
    ratios : seconds of yardsticks and peers (each in its best way) over ours, by name.
    best : the least ratio to a peer; None without peers.
    """

    seconds: float
    rate: float
    shares: dict[str, float]
    ratios: dict[str, float]
    best: float | None


@dataclass(frozen=True)
class Result:
    """A workload measured.

    Attributes
    ----------
    figures : of "plan" and "function".
    seconds : the median of every contender, by name and way.
    peak, bandwidth : FLOP/s and bytes/s in the same rounds.
    bytes : input, weights and result, each once.
    failed : what a peer said when it could not, by name and way.
    """

    workload: Workload
    figures: dict[str, Figures]
    seconds: dict[str, float]
    peak: float
    bandwidth: float
    bytes: int
    failed: dict[str, str] = field(default_factory=dict)


class Race:
    """The contenders of one workload, checked and warmed up."""

    def __init__(self, workload: Workload, settings: Settings, libraries: Iterable[str] = peers.PEERS) -> None:
        x, w = workload.arrays()
        plan, function, expected = ours(workload, x, w)
        self.workload, self.settings = workload, settings
        self.bytes = x.nbytes + w.nbytes + expected.nbytes
        self.failed: dict[str, str] = {}
        self.peak = MultiplyAdds(workload.scalar, settings.threads)
        self.copy = bandwidth(settings.threads, settings.copy_bytes)
        always = [Contender("peak", self.peak), Contender("bandwidth", self.copy), plan, function]
        self.yardsticks = [YARDSTICKS[name](workload, x) for name in workload.yardsticks]
        self.entries = {way.key: self._entry(way) for way in (*always, *self.yardsticks)}
        self.ways: list[Contender] = []
        for library in libraries:
            offered = self._offered(library, x, w)
            self._enter_best({way: first for way in offered if (first := self._checked(way, expected)) is not None})

    def _offered(self, library: str, x: np.ndarray, w: np.ndarray) -> list[Contender]:
        try:
            return peers.contenders_of(library, self.workload, x, w, self.settings.threads)
        except Exception as error:  # what this version of the library does not have
            self._fail(library, error)
            return []

    def _fail(self, key: str, error: Exception) -> None:
        self.failed[key] = " ".join(f"{type(error).__name__}: {error}".split())[:120]

    def _entry(self, way: Contender, first: float = 0.0) -> Entry:
        return enter(way.run, self.settings.rounds, self.settings.shortest, first)

    def _checked(self, way: Contender, expected: np.ndarray) -> float | None:
        """Seconds of the first call; None if a way does not work here, RuntimeError if its result is not numconv's."""
        start = perf_counter()
        try:
            result = way.run()
        except Exception as error:  # a type or shape that this version does not do
            self._fail(way.key, error)
            return None
        seconds = perf_counter() - start
        share = difference(way.array(result), expected) if way.array else 0.0
        if not share <= 1:
            raise RuntimeError(
                f"{self.workload.name}: {way.key} differs from numconv by {share:.1g} times what is allowed; "
                "please report this"
            )
        return seconds

    def _enter_best(self, firsts: dict[Contender, float]) -> None:
        """Enter the ways of a library that are not far slower than its best."""
        entries = {way: self._entry(way, first) for way, first in firsts.items()}
        least = min((entry.once for entry in entries.values()), default=0.0)
        for way, entry in entries.items():
            if entry.once > FAR * least:
                continue
            if entry.once > SLOW * self.entries["plan"].once:
                seconds = max(entry.once * entry.calls, 1e-7)
                entry.rounds = min(entry.rounds, max(1, int(BUDGET * entry.rounds / 15 / seconds)))
                if entry.rounds == 1 and entry.once >= LONG:
                    entry.known = entry.once
            self.entries[way.key] = entry
            self.ways.append(way)

    def run(self, rounds: Iterable[int]) -> Result:
        """Time everybody in each of the rounds."""
        times = interleave(self.entries, rounds)
        return Result(
            self.workload,
            {path: self._figures(times, path) for path in ("plan", "function")},
            {key: float(np.nanmedian(seconds)) for key, seconds in times.items()},
            self.peak.flops / float(np.median(times["peak"])),
            self.copy.bytes / float(np.median(times["bandwidth"])),
            self.bytes,
            self.failed,
        )

    def _figures(self, times: Times, path: str) -> Figures:
        flops, seconds = self.workload.flops, times[path]
        by_peak = times["peak"] * (flops / self.peak.flops)
        by_memory = times["bandwidth"] * (self.bytes / self.copy.bytes)
        shares = {"peak": ratio(by_peak, seconds), "roofline": ratio(np.maximum(by_peak, by_memory), seconds)}
        ratios = {way.name: ratio(times[way.key], seconds) for way in self.yardsticks}
        libraries = {}
        for name in dict.fromkeys(way.name for way in self.ways):
            libraries[name] = min(ratio(times[way.key], seconds) for way in self._rivals(name, path))
        least = float(np.median(seconds))
        best = min(libraries.values(), default=None)
        return Figures(least, flops / least, shares, ratios | libraries, best)

    def _rivals(self, name: str, path: str) -> list[Contender]:
        """The ways of a library; against the function, which packs, only those that pack, if there are such."""
        ways = [way for way in self.ways if way.name == name]
        packing = [way for way in ways if not way.packed]
        return packing if path == "function" and packing else ways
