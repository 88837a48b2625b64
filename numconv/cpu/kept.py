"""Schedules are kept with their problems, which callers cache by the thousand: up to a number of bytes, oldest out.

What is dropped is built again when it is needed (1 to 4 ms); plans hold on to their own.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Protocol, TypeVar

from .._forks import around_forks
from .._problem import Problem
from . import proof
from .direct import Schedule
from .integers import Lanes


class _Kept(Protocol):
    @property
    def table_bytes(self) -> int:
        """Bytes of tables."""


S = TypeVar("S", bound=_Kept)

MOST_BYTES = 32 << 20
"""Tables and objects of all schedules kept; a layer counts 12 to 60 KB, shared tables with each."""
OBJECT_BYTES = 8 << 10
"""Of a schedule besides its tables: records, layout, launches."""


def build(problem: Problem, lanes: Lanes) -> Schedule | None:
    """Build the schedule of a problem in some lanes, and keep it; None (kept too) where its kernels fail."""
    return keep(problem, lanes, proof.build(problem, lanes))


def build_other(problem: Problem, method: str) -> Schedule | None:
    """The same for a method besides `direct`; under its name."""
    return keep(problem, method, proof.build_other(problem, method))


def keep(problem: Problem, lanes: Any, schedule: S | None) -> S | None:
    """Keep a schedule with its problem, by its lanes or whatever else tells it from others."""
    global _bytes
    if schedule is None:
        problem.schedules[lanes] = None
        return None
    size = schedule.table_bytes + OBJECT_BYTES
    with _lock:
        problem.schedules[lanes] = schedule
        _order.append((problem, lanes, size))
        _bytes += size
        while _bytes > MOST_BYTES and len(_order) > 1:
            old, its_lanes, freed = _order.popleft()
            old.schedules.pop(its_lanes, None)
            _bytes -= freed
    return schedule


def _reset() -> None:
    """At first, and in a forked child, where a thread that is not there may have had the lock."""
    global _order, _bytes, _lock
    _order, _bytes, _lock = deque(), 0, threading.Lock()


_order: deque[tuple[Problem, Any, int]]
_bytes: int
_lock: threading.Lock
_reset()
around_forks(after_in_child=_reset)
