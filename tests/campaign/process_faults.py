"""What happens to a process in the middle of a call: Ctrl-C, no memory, forks while it compiles, Numba without JIT."""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
import warnings
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import numconv
from numconv.cpu import cache

from .work import known, some_calls


def interrupts(seconds: float, threads: int, seed: int) -> dict[str, Any]:
    """Ctrl-C at random moments of calls long and short; the process computes as before afterwards."""
    rng, wrong, taken = np.random.default_rng(seed), [], []
    numconv.set_num_threads(threads)
    known()
    x, w = np.ones((1, 256, 256, 32), np.float32), np.ones((9, 9, 32, 32), np.float32)
    numconv.conv2d(x[:, :16, :16], w)
    end = time.monotonic() + seconds
    while time.monotonic() < end or not taken:
        delay = float(rng.uniform(0.001, 0.1))
        sent: list[float] = []

        def press(delay: float = delay, sent: list[float] = sent) -> None:
            time.sleep(delay)
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=press)
        try:
            thread.start()
            while True:
                numconv.conv2d(x, w, padding="same")
        except KeyboardInterrupt:
            taken.append(time.perf_counter() - sent[0])
        thread.join()
        if some_calls(7)[1]:
            wrong.append(f"wrong after an interrupt at {delay:.3f} s")
    if median(taken) > 0.2 or max(taken) > 1.0:  # never more than 0.2 s where the machine is idle
        wrong.append(f"interrupts took {median(taken):.2f} s, up to {max(taken):.2f} s")
    return {"tried": len(taken), "wrong": wrong, "latest": max(taken)}


def interrupted_compilations(count: int, seed: int) -> dict[str, Any]:
    """Ctrl-C while kernels are compiled: the next call compiles them, and is right."""
    from .cache_faults import scaled

    rng, wrong = np.random.default_rng(seed), []
    scaled(2)
    for number in range(count):

        def press(delay: float = float(rng.uniform(0, 0.1))) -> None:
            time.sleep(delay)
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=press)
        try:
            thread.start()
            for factor in range(100):
                scaled(1000 * number + factor + 10)
        except KeyboardInterrupt:
            pass
        thread.join()
        if not scaled(1000 * number + 10) or not scaled(1000 * number + 11):
            wrong.append(f"interrupt {number}")
    return {"tried": count, "wrong": wrong}


def little_memory(megabytes: int) -> dict[str, Any]:
    """An address space with little room: a MemoryError or the right result, and then right results without it."""
    known()
    some_calls(7)
    x, w = np.ones((4, 512, 512, 3), np.float32), np.ones((5, 5, 3, 16), np.float32)
    expected = numconv.conv2d(x, w)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    outcome = "right"
    try:
        resource.setrlimit(resource.RLIMIT_AS, (used + (megabytes << 20), hard))
        got = numconv.conv2d(x, w)
        outcome = "right" if np.array_equal(got, expected) else "wrong"
    except MemoryError as error:
        outcome = "refused" if str(error) else "MemoryError without a word"
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    wrong = [] if outcome in ("right", "refused") else [outcome]
    if some_calls(7)[1]:
        wrong.append("wrong afterwards")
    return {"tried": 1, "wrong": wrong, "outcome": outcome}


def forks_while_compiling(seconds: float) -> dict[str, Any]:
    """Children forked while another thread compiles: they compile too."""
    from .cache_faults import _fork, scaled

    warnings.simplefilter("ignore", DeprecationWarning)
    done: list[bool] = []
    compiled, wrong, tried = [0], [], 0

    def compile_many() -> None:
        while not done:
            cache.address("tests.runner_kernels:scale", 10_000 + compiled[0], False)
            compiled[0] += 1

    scaled(1)
    thread = threading.Thread(target=compile_many)
    thread.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end or tried == 0:
        child = _fork(partial(scaled, 100 + tried))
        status = os.waitpid(child, 0)[1]
        if status:
            wrong.append(f"child {tried}: status {status}")
        tried += 1
    done.append(True)
    thread.join()
    return {"tried": tried, "wrong": wrong}


def plain() -> dict[str, Any]:
    """Right results, in circumstances that the environment makes."""
    numconv.set_num_threads(4)
    calls, wrong = some_calls(14)
    return {"tried": 1, "wrong": [f"{wrong} of {calls} wrong"] * bool(wrong)}
