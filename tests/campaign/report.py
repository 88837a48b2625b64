"""Rows of the campaign's table: printed, in Markdown, and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import numba
import numpy as np

import numconv
from numconv._cli.table import cpu_name

BEGIN, END = "<!-- campaign table: begin -->", "<!-- campaign table: end -->"


@dataclass
class Row:
    """One thing that was tried: how often, what broke, and what else is to be said, `note` with `figures` in it."""

    part: str
    what: str
    tried: int
    broke: int = 0
    note: str = ""
    failures: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def fail(self, what: str, count: int = 1) -> None:
        """Count failures and keep the words for the first few."""
        self.broke += count
        if len(self.failures) < 20:
            self.failures.append(what)

    @property
    def text(self) -> str:
        """The note."""
        return self.note.format(**self.figures)

    def add(self, other: Row) -> None:
        """Take in the same row of another run: figures are summed, the worst of those with that name kept."""
        self.tried += other.tried
        self.broke += other.broke
        self.failures = (self.failures + other.failures)[:20]
        for name, value in other.figures.items():
            if name.startswith("worst"):
                self.figures[name] = max(self.figures.get(name, value), value)
            elif isinstance(value, int):
                self.figures[name] = self.figures.get(name, 0) + value
            else:
                self.figures.setdefault(name, value)


def together(runs: list[list[Row]]) -> list[Row]:
    """The rows of several runs, each row once, in the order of the first run that has it."""
    rows: dict[tuple[str, str], Row] = {}
    for row in (row for run in runs for row in run):
        if (row.part, row.what) in rows:
            rows[row.part, row.what].add(row)
        else:
            rows[row.part, row.what] = row
    return list(rows.values())


def about(rows: list[Row], seconds: float, seed: int, taken: float, earlier: int = 0) -> dict[str, Any]:
    """All of a run, and of so many earlier ones, for the JSON file."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "seconds": round(taken),
        "command": f"python -m tests.campaign --seconds {seconds:g} --seed {seed}",
        "earlier": earlier,
        "rows": [asdict(row) for row in rows],
    }


def machine() -> str:
    """CPU, threads, versions."""
    threads = numconv.get_num_threads()
    return (
        f"{cpu_name()}, {threads} thread{'s' * (threads != 1)}, numconv {numconv.__version__}, "
        f"numba {numba.__version__}, numpy {np.__version__}"
    )


def line(row: Row) -> str:
    """One row as text."""
    return f"{row.part:8} {row.what:66.66} {row.tried:>11,} {row.broke:>6,}  {row.text}"


def markdown(run: dict[str, Any]) -> str:
    """The table of a run for the README, with its markers."""
    before = f" and {run['earlier']} runs of its parts" if run["earlier"] else ""
    lines = [
        BEGIN,
        "| what was tried | how often | broke | |",
        "| :-- | --: | --: | :-- |",
        *(f"| {r.what} | {r.tried:,} | {r.broke:,} | {r.text} |" for r in (Row(**row) for row in run["rows"])),
        "",
        f"{run['date'][:10]}, {run['machine']}: `{run['command']}`{before}, {run['seconds'] / 60:.0f} minutes.",
        END,
    ]
    return "\n".join(lines)
