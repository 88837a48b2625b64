"""Threads, forks and start methods: what one process of the stress part does, and its counts."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numba  # so that its threading layer is used where it may be

import numconv
from numconv.cpu import cache, layer

from .work import fresh_calls, in_threads, known, some_calls

EXPECTED = {"omp": "omp", "tbb": None, "workqueue": None, "none": None}
"""The threading layer that numconv's calls start."""


def mixture(threads: int, method: str, seconds: float, wanted: str, users: bool) -> Counter:
    """Callers in four threads, and children made by a start method, until the time is up.

    `users`: numba functions of the user's own run beside ours, where their layer allows it.
    """
    warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads: what this is about
    counts: Counter = Counter()
    numconv.set_num_threads(threads)
    if method in ("fork", "double fork"):
        _fork(counts, lambda: some_calls(7), 0)  # before any parallel call
    known()
    _add(counts, some_calls(14))
    if threads > 1 and layer.name() != EXPECTED[wanted]:
        raise RuntimeError(f"threading layer {layer.name()}, expected {EXPECTED[wanted]}")
    done: list[bool] = []
    beside: list[Callable[[], None]] = [lambda: _add(counts, some_calls(10))] * 3
    beside.append(lambda: _compile(counts, done))
    if users:
        beside.append(_user_function(threads))
    workers = [threading.Thread(target=_until, args=(done, action), daemon=True) for action in beside]
    for worker in workers:
        worker.start()
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            _add(counts, some_calls(7))
            START[method](counts)
    finally:
        done.append(True)
    for worker in workers:
        worker.join()
    _add(counts, some_calls(14))
    if counts["wrong"]:
        raise RuntimeError(f"wrong results: {counts['wrong']} of {counts['calls']}")
    return counts


def _add(counts: Counter, result: tuple[int, int]) -> None:
    counts["calls"] += result[0]
    counts["wrong"] += result[1]


def _until(done: list[bool], action: Callable[[], None]) -> None:
    while not done:
        action()


def _compile(counts: Counter, done: list[bool]) -> None:
    """A kernel that nobody has compiled yet."""
    cache.address("tests.runner_kernels:scale", 1_000_000 + os.getpid() * 1000 + counts["compilations"], False)
    counts["compilations"] += 1
    time.sleep(0.05)


def _user_function(threads: int) -> Callable[[], None]:
    import numpy as np

    @numba.njit(parallel=True)
    def double(a: Any) -> Any:
        for i in numba.prange(len(a)):
            a[i] *= 2
        return a

    double(np.ones(100))
    before = numba.get_num_threads()

    def action() -> None:
        if not (double(np.ones(1000)) == 2).all() or numba.get_num_threads() != before:
            os.kill(os.getpid(), signal.SIGABRT)

    return action


def _child() -> tuple[int, int]:
    """In a forked child: calls in two threads at once and alone; nothing may hang, so there is an alarm."""
    results = [*in_threads(2, lambda: some_calls(7)), some_calls(7)]
    cache.address("tests.runner_kernels:scale", 500_000 + os.getpid(), True)
    return sum(calls for calls, _ in results), sum(wrong for _, wrong in results)


def _fork(counts: Counter, action: Callable[[], tuple[int, int]], depth: int) -> None:
    """Fork; the child acts, and forks again if `depth`."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.alarm(60)
            calls, wrong = action()
            if depth:
                _fork(Counter(), action, depth - 1)
            status = 0 if calls and not wrong else 2
        except BaseException as error:
            print(repr(error), file=sys.stderr)
        finally:
            os._exit(status)
    status = os.waitpid(pid, 0)[1]
    if status:
        raise RuntimeError(f"a forked child ended with status {status}")
    counts["forks"] += 1 + depth
    counts["calls"] += 21 * (1 + depth)


def _forks(counts: Counter) -> None:
    for _ in range(4):
        _fork(counts, _child, 0)


def _double(counts: Counter) -> None:
    for _ in range(2):
        _fork(counts, _child, 1)


def _spawned(method: str) -> Callable[[Counter], None]:
    def start(counts: Counter) -> None:
        """A pool of two, as users make it."""
        with multiprocessing.get_context(method).Pool(2) as pool:
            for result in pool.map(fresh_calls, [7] * 4, chunksize=1):
                _add(counts, result)
        counts["forks"] += 2

    return start


START = {
    "fork": _forks, "double fork": _double,
    "spawn": _spawned("spawn"), "forkserver": _spawned("forkserver"), "fork pool": _spawned("fork"),
}  # fmt: skip


def nested(threads: int, seconds: float) -> Counter:
    """Calls inside calls: by a signal handler, by finalisers, by tasks of a pool inside a pool."""
    from concurrent.futures import ThreadPoolExecutor

    from .work import collect_garbage_inside

    counts: Counter = Counter()
    numconv.set_num_threads(threads)
    known()

    def handler(*_: Any) -> None:
        _add(counts, some_calls(3))

    def task() -> tuple[int, int]:
        with ThreadPoolExecutor(2) as inner:
            results = list(inner.map(some_calls, [7, 7]))
        collect_garbage_inside()
        return sum(r[0] for r in results), sum(r[1] for r in results)

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.011)
    end = time.monotonic() + seconds
    with ThreadPoolExecutor(3) as outer:
        while time.monotonic() < end:
            for future in [outer.submit(task) for _ in range(3)]:
                _add(counts, some_calls(7))
                _add(counts, future.result())
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    if counts["wrong"]:
        raise RuntimeError(f"wrong results: {counts['wrong']} of {counts['calls']}")
    return counts
