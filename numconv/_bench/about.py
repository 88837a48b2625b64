"""What was measured, on what, with what: above and below the tables, and in the file of figures."""

from __future__ import annotations

import os
import platform
import textwrap
from datetime import UTC, datetime
from typing import Any

import numconv

from .._cli.table import WIDTH, cpu_name
from . import peers
from .scaling import quick_gain
from .settings import Settings

SCHEMA = 1
"""Raised when a name in the file of figures changes its meaning."""
BUSY = 0.8
"""Share of an ideal gain by threads below which other processes, or the other half of a core, are in the way."""


def heading(settings: Settings) -> list[str]:
    """The machine and the versions."""
    used = f"{settings.threads} thread{'s' * (settings.threads > 1)}"
    named = ", ".join(f"{name} {version}" for name, version in _versions().items())
    absent = peers.missing()
    lines = [f"{cpu_name()}, {used}, {platform.system()}.", f"{named}."]
    if settings.threads > 1 and (gain := quick_gain(settings.threads)) < BUSY * settings.threads:
        lines.append(
            f"The machine is busy: {used} do multiply-adds {gain:.2f} times as fast as one. Expect odd figures."
        )
    if absent:
        lines.append(f"Not installed, so not compared with: {', '.join(absent)} (python -m pip install ...).")
    return [line for text in lines for line in textwrap.wrap(text, WIDTH)]


def notes(settings: Settings) -> list[str]:
    """What the columns mean."""
    texts = (
        f"Every figure is a median over {settings.rounds} rounds in one process, in each of which every contender ran "
        f"once; those that are slow ran in fewer. Calls shorter than {settings.shortest * 1e3:g} ms are timed several "
        "at a time. Results were compared before.",
        "of peak: of a loop of multiply-adds in registers. of roofline: of that loop, or of the time in which a large "
        "np.copyto moves input, weights and result once, whichever is longer; what lies in a cache may beat it.",
        "Ratios are their time over ours: 2.00x is twice as fast as they are. A library is timed in all of its ways "
        "and compared by its fastest. plan: weights packed before, also PyTorch's and ONNX Runtime's. function: packed "
        "in the call, also by PyTorch; ONNX Runtime always packs before.",
        "The result goes to an array that is allocated before; PyTorch and scipy.signal allocate theirs in each call. "
        "SciPy runs on one thread.",
    )
    return [line for text in texts for line in textwrap.wrap(text, WIDTH, subsequent_indent="  ")]


def about(settings: Settings) -> dict[str, Any]:
    """The same for the file of figures."""
    return {
        "schema": SCHEMA,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu_name(),
        "threads": settings.threads,
        "rounds": settings.rounds,
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY"),
        "versions": _versions(),
        "missing": list(peers.missing()),
    }


def _versions() -> dict[str, str]:
    sections = numconv.show_config(mode="dicts") or {}
    own = {name: version for name, version in sections["versions"].items() if name != "llvmlite"}
    return own | peers.versions()
