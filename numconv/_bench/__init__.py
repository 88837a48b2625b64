"""Benchmarks: what ``python -m numconv bench`` prints and ``asv_bench`` tracks. Private.

A `Workload` is a convolution with a name; contenders do it: numconv's plan and function, other ways through numconv to
compare with (yardsticks), other libraries (peers). In each round every contender runs once, in one process, and so do
a loop of multiply-adds and a copy: all that is reported is a median of ratios of times taken in the same round, for a
shared machine drifts by a third.
"""

from __future__ import annotations

import os


def passive_threads() -> None:
    """Have OpenMP's threads sleep while they wait. Call it before any library that brings an OpenMP is loaded.

    Otherwise the threads of one contender spin after its turn, in the turn of the next: GNU's for 4 ms. But on idle
    cores one that sleeps is woken in 90 us where one that spins needs 4, and programs call again at once: so GNU's spin
    10,000 times, which is 0.1 ms, less than the call before a timing that is not timed. Where another process has
    one of two cores, a call loses 0.25 ms so (asleep 0.01 ms, with GNU's usual 300,000 times 4.5 ms).
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "passive"
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
