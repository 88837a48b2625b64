"""Runs a call: its jobs, drawn by workers, in this thread or in several, and stopped by Ctrl-C.

Three runners, one machine code: this thread alone; the parallel function under OpenMP; the pool. They differ in
how long they take to begin, never in the result. Serial calls touch no threading layer, so a process that uses one
thread can fork as it likes.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from array import array
from collections.abc import Callable
from functools import lru_cache
from time import perf_counter

from .._forks import around_forks
from .._threads import get_num_threads
from . import cache, layer, pool
from .records import CALL_SLOT

_NEXT, _LAST = CALL_SLOT["next"], CALL_SLOT["last"]

LOOK = 0.02
"""Seconds between two looks at the keyboard."""
KEEP_GIL = 2e-5
"""Seconds up to which a serial call keeps the GIL: getting it back from a busy thread takes up to 5e-3."""
HANDOVER = 4e-5
"""Seconds of work below which no second thread is woken for it."""

_running: set[int] = set()  # the threads that are inside `run`


def run(call: array[int], call_address: int, jobs: int, workers: int, seconds: float) -> None:
    """Run jobs 0 to `jobs` of a call record with at most `workers` workers; `seconds` is what one of them would take.

    KeyboardInterrupt (and whatever else a signal handler raises) comes through within 0.2 s, when no worker runs any
    more. A call from inside another, by a signal handler or a finaliser, is serial.
    """
    if seconds < KEEP_GIL:
        call[_NEXT], call[_LAST] = 0, jobs
        _worker()[2](call_address, 0)
        return
    thread = threading.get_ident()
    if thread in _running or pool.inside():
        _serial(call, call_address, jobs, seconds)
        return
    try:
        _running.add(thread)
        if workers <= 1 or jobs <= 1 or seconds < HANDOVER:
            _serial(call, call_address, jobs, seconds)
        else:
            _parallel(call, call_address, jobs, min(workers, jobs), seconds)
    finally:
        _running.discard(thread)


def default_workers() -> int:
    """The worker threads of a call that asks for none: calls that run at the same time share them."""
    return max(1, get_num_threads() // (len(_running) + 1))


def _serial(call: array[int], call_address: int, jobs: int, seconds: float) -> None:
    call[_NEXT], call[_LAST] = 0, jobs
    _own(_worker()[1], call, call_address, jobs, seconds)


def _parallel(call: array[int], call_address: int, jobs: int, workers: int, seconds: float) -> None:
    address, work, _ = _worker()
    call[_NEXT], call[_LAST] = 0, jobs
    compiled = None if _looks(seconds) else layer.parallel()
    if compiled is None or not layer.has_room(workers):
        pool.run(work, call, call_address, workers, lambda: _own(work, call, call_address, jobs, seconds))
    else:
        _numba(compiled, address, call_address, workers)


def _numba(compiled: layer.Parallel, worker_address: int, call_address: int, workers: int) -> None:
    """Under Numba's threads: as many of them as there are workers, and the user's own setting again afterwards."""
    numba = sys.modules["numba"]
    before = numba.get_num_threads()
    wanted = min(workers, numba.config.NUMBA_NUM_THREADS)
    try:
        if wanted != before:
            numba.set_num_threads(wanted)
        compiled(worker_address, call_address, workers)
    finally:
        if wanted != before:
            numba.set_num_threads(before)


def _own(work: Callable[[int, int], None], call: array[int], call_address: int, jobs: int, seconds: float) -> None:
    """The share of the calling thread; in the main thread it looks at the keyboard now and then.

    Then a few jobs at a time, which no other worker waits for: first by the estimate, as if it were eight times too low
    (pages never touched before are that slow), then by the clock.
    """
    if not _looks(seconds):
        work(call_address, 0)
        return
    count = max(1, int(jobs * LOOK / 8 / seconds))
    while call[_NEXT] < call[_LAST]:
        start = perf_counter()
        work(call_address, count << 32)
        pace = LOOK / max(perf_counter() - start, 1e-6)
        count = max(1, int(min(pace, 2.0) * count))


def _looks(seconds: float) -> bool:
    """Whether a call of this thread looks at the keyboard before it has ended."""
    return seconds > 2 * LOOK and threading.current_thread() is threading.main_thread()


@lru_cache(maxsize=1)
def _worker() -> tuple[int, Callable[[int, int], None], Callable[[int, int], None]]:
    """The worker: its address, as a function without the GIL, and with it."""
    address = cache.address("worker.worker")
    arguments = (None, ctypes.c_int64, ctypes.c_int64)
    return address, ctypes.CFUNCTYPE(*arguments)(address), ctypes.PYFUNCTYPE(*arguments)(address)


def forget_worker() -> None:
    """Ask the cache for the worker again: the one it gave was dropped."""
    _worker.cache_clear()


around_forks(after_in_child=_running.clear)
