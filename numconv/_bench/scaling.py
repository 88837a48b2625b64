"""How much faster all threads are than one, beside what multiply-adds in registers gain in the same rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .peaks import MultiplyAdds
from .rounds import enter, interleave, ratio
from .settings import Settings
from .suites import DENSE, DEPTHWISE, IMAGE, LONG
from .table import Table, number, share, times
from .workload import Workload

WORKLOADS = tuple(
    workload
    for workload in (*DENSE, *DEPTHWISE, *IMAGE, *LONG)
    if workload.name
    in (
        "vgg16.conv2_2",
        "resnet50.3_3x3",
        "resnet50.4_3x3",
        "mobilenet.dw1",
        "image.3x3",
        "image.11x11",
        "signal.c64_k9",
    )
)
AIM = 0.93


@dataclass(frozen=True)
class Scaling:
    """Median seconds with one thread and with all; by how much that is faster; the same of multiply-adds."""

    name: str
    one: float
    all: float
    gain: float
    peak_gain: float
    share: float


def measure(workload: Workload, settings: Settings, rounds: Iterable[int]) -> Scaling:
    """A plan, and the peak, each with one thread and with all."""
    x, w = workload.arrays()
    plan = workload.plan(w)
    out = plan(x)
    one, many = (MultiplyAdds(workload.scalar, threads) for threads in (1, settings.threads))
    runs: dict[str, Callable[[], Any]] = {
        "one": lambda: plan(x, out=out, threads=1),
        "all": lambda: plan(x, out=out, threads=settings.threads),
        "peak of one": one,
        "peak of all": many,
    }
    entries = {name: enter(run, settings.rounds, settings.shortest) for name, run in runs.items()}
    seconds = interleave(entries, rounds)
    gains = seconds["one"] / seconds["all"]
    peak_gains = seconds["peak of one"] / seconds["peak of all"] * (many.flops / one.flops)
    return Scaling(
        workload.name,
        float(np.median(seconds["one"])),
        float(np.median(seconds["all"])),
        float(np.median(gains)),
        float(np.median(peak_gains)),
        ratio(gains, peak_gains),
    )


def quick_gain(threads: int) -> float:
    """How much faster multiply-adds are now with so many threads than with one: less where the machine is busy."""
    one, many = MultiplyAdds("f4", 1), MultiplyAdds("f4", threads)
    entries = {"one": enter(one, 3, 0.0), "many": enter(many, 3, 0.0)}
    seconds = interleave(entries, range(3))
    return ratio(seconds["one"], seconds["many"]) * (many.flops / one.flops)


def table(found: Sequence[Scaling], threads: int) -> Table:
    """A row a workload."""
    rows = [
        (
            row.name,
            number(row.one * 1e3),
            number(row.all * 1e3),
            times(row.gain),
            times(row.peak_gain),
            share(row.share),
        )
        for row in found
    ]
    headings = ("", "ms, 1 thread", f"ms, {threads} threads", "gain", "gain of peak", "share")
    return Table("scaling with threads, plans", headings, rows, [("aim", "", "", "", "", f">= {AIM:.0%}")])
