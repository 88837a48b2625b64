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

    Otherwise the threads of one contender spin for a while after its turn, in the turn of the next.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
