"""The demo's table of times."""

from __future__ import annotations

import platform
import textwrap
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numconv

from .measure import Measurement

WIDTH = 110
"""Characters in a line of the notes."""
_HEADINGS = ("layer", "input", "filters", "output", "method", "ms", "GFLOP/s", "of peak", "vs SciPy")


def table(measured: Sequence[Measurement]) -> str:
    """Aligned columns, then what the numbers mean."""
    peak = max(m.peak for m in measured)
    rows = [_HEADINGS, *(_row(m, peak) for m in measured)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADINGS))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join(
        [*lines, "", *(textwrap.fill(note, WIDTH, subsequent_indent="  ") for note in _notes(measured, peak))]
    )


def _row(m: Measurement, peak: float) -> tuple[str, ...]:
    return (
        m.layer.title,
        _shape(m.layer.x.shape),
        _shape(m.layer.w.shape),
        _shape(m.layer.maps.shape),
        m.layer.plan.method,
        f"{m.seconds * 1e3:.2f}",
        f"{m.flops / 1e9:.1f}",
        f"{m.flops / peak:.0%}",
        "-" if m.ratio is None else f"{m.ratio:.3g}x",
    )


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    """Words to the left, numbers to the right."""
    cells = [
        cell.ljust(width) if i < 5 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _notes(measured: Sequence[Measurement], peak: float) -> list[str]:
    threads = numconv.get_num_threads()
    used = f"{threads} thread{'s' if threads > 1 else ''}"
    first = sum(m.layer.first_call for m in measured)
    notes = [
        f"{cpu_name()}, {used}, float32, numconv {numconv.__version__}.",
        f"Peak of fused multiply-adds, measured between the layers: {peak / 1e9:.0f} GFLOP/s with {used}.",
        f"ms: median of {min(m.rounds for m in measured)} or more timings, weights packed before, `out` reused. "
        f"First calls, with planning and compiling or loading kernels: {first:.2f} s together.",
    ]
    if all(m.ratio is None for m in measured):
        return [*notes, "vs SciPy: SciPy is not installed."]
    notes.append(
        "vs SciPy: median ratio of times taken in turn, after checking that both give the same maps. SciPy runs on one "
        "thread, in the fastest of three ways, on some of the filters (scaled to all) where all would take long: "
        + "; ".join(m.scipy for m in measured)
        + "."
    )
    return notes


def cpu_name() -> str:
    """What the processor calls itself, and what LLVM calls it."""
    sections = numconv.show_config(mode="dicts") or {}
    model = platform.processor() or platform.machine()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
    return f"{model} ({sections['cpu']['name']})"
