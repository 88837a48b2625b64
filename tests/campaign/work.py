"""Calls whose right results are known, for threads and processes that disturb each other."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

import numconv

from ..problems import Case, arrays, same_bits

FIRST: dict[str, Any] = {"data_format": "channels_first"}
CONV = {1: numconv.conv1d, 2: numconv.conv2d, 3: numconv.conv3d}
PLAN = {1: numconv.plan_conv1d, 2: numconv.plan_conv2d, 3: numconv.plan_conv3d}
CASES = [
    Case("layer", 2, (20, 20), 16, 40, (3, 3), bias=True, options={"padding": "same", "activation": "relu"}),
    Case("image", 1, (150, 170), 1, 3, (5, 5), options={"padding": "same", "pad_mode": "reflect", **FIRST}),
    Case("depthwise", 1, (40, 40), 32, 32, (3, 3), 32, options={"padding": 1}),
    Case("signal", 1, (4000,), 1, 8, (33,), x_dtype="float64", options=dict(FIRST)),
    Case("complex", 1, (24, 24), 5, 9, (3, 3), x_dtype="complex64"),
    Case("integers", 1, (60, 60), 3, 8, (3, 3), x_dtype="uint8", w_dtype="int8"),
    Case("tiny", 1, (8, 8), 1, 1, (3, 3)),
]


class Known:
    """One problem: its arrays, a plan that all threads share, and the right result."""

    def __init__(self, case: Case, seed: int) -> None:
        self.case = case
        self.x, self.w, self.bias = arrays(case, np.random.default_rng(seed))
        self.right = CONV[case.ndim](self.x, self.w, self.bias, **case.keywords, method="reference")
        self.plan = PLAN[case.ndim](self.x.shape, self.w, self.bias, x_dtype=self.x.dtype, **case.keywords)

    def is_right(self, planned: bool, threads: int | None = None) -> bool:
        """Compute it again and compare."""
        if planned:
            return same_bits(self.plan(self.x, threads=threads), self.right)
        got = CONV[self.case.ndim](self.x, self.w, self.bias, **self.case.keywords, threads=threads)
        return same_bits(got, self.right)


@lru_cache(maxsize=1)
def known() -> list[Known]:
    """The problems; made once, so that forked children have them."""
    return [Known(case, seed) for seed, case in enumerate(CASES)]


def some_calls(times: int, threads: int | None = None) -> tuple[int, int]:
    """(calls, wrong results)."""
    wrong = 0
    for i in range(times):
        wrong += not known()[i % len(CASES)].is_right(i % 2 == 0, threads)
    return times, wrong


def fresh_calls(times: int) -> tuple[int, int]:
    """`some_calls` for a process that knows nothing yet: top level, so that it can be pickled by name."""
    return some_calls(times)


def in_threads(count: int, function: Callable[[], Any]) -> list[Any]:
    """What a function returns in several threads at once; what it raises is raised here."""
    results: list[Any] = []
    errors: list[BaseException] = []

    def target() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=target) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


class Finalised:
    """Calls numconv when it is collected: inside whatever the thread is doing then."""

    def __init__(self) -> None:
        self.loop = self
        weakref.finalize(self, some_calls, 2)


def collect_garbage_inside() -> None:
    """A finaliser that calls numconv in the middle of a call."""
    Finalised()
    gc.collect()
