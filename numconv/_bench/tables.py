"""The tables of the suites that time workloads."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import geometric_mean

from .peers import PEERS
from .speed import Figures, Result
from .suites import Group
from .table import Row, Table, number, share, times
from .yardsticks import YARDSTICKS

PATHS = ("plan", "function")
SHARES = {"of peak": "peak", "of roofline": "roofline"}
BEST = "best peer"


def speed_table(group: Group, results: Sequence[Result], compact: bool = False) -> Table:
    """Two rows a workload, for plan and function; compact: one row, with "plan / function" where they differ."""
    names = _compared(results)
    last = (BEST,) if any(name in PEERS for name in names) else ()
    headings = ("ms", "GFLOP/s", *SHARES, *names, *last)
    rows = [
        (result.workload.name, {path: _cells(result.figures[path], headings) for path in PATHS}) for result in results
    ]
    means = {path: _mean_cells(means_of(results)[path], headings) for path in PATHS}
    lay = _joined if compact else _stacked
    feet = lay("geometric mean", means)
    aims = ("aim",) + ("",) * (not compact) + tuple(_aim(group.aims.get(heading), heading) for heading in headings)
    return Table(
        group.title,
        ("", *(() if compact else ("by",)), *headings),
        [row for name, cells in rows for row in lay(name, cells)],
        [*feet, *([aims] if group.aims else [])],
        words=1 if compact else 2,
        notes=[f"{r.workload.name}: {key} failed: {why}" for r in results for key, why in r.failed.items()],
    )


def means_of(results: Sequence[Result]) -> dict[str, dict[str, float]]:
    """Geometric means of shares and ratios by path and heading, each over the workloads that have it."""
    means: dict[str, dict[str, float]] = {}
    for path in PATHS:
        gathered: dict[str, list[float]] = {}
        for result in results:
            for heading, value in _ratios(result.figures[path]).items():
                gathered.setdefault(heading, []).append(value)
        means[path] = {heading: geometric_mean(values) for heading, values in gathered.items()}
    return means


def _compared(results: Sequence[Result]) -> tuple[str, ...]:
    """Yardsticks and peers that appear, in the order of their tables."""
    found = {name for result in results for name in result.figures["plan"].ratios}
    return tuple(name for name in (*YARDSTICKS, *PEERS) if name in found)


def _ratios(figures: Figures) -> dict[str, float]:
    """Whatever has a geometric mean, by heading."""
    found = {heading: figures.shares[key] for heading, key in SHARES.items()} | figures.ratios
    return found if figures.best is None else found | {BEST: figures.best}


def _format(heading: str, value: float | None) -> str:
    return share(value) if heading in SHARES else times(value)


def _cells(figures: Figures, headings: Row) -> Row:
    ratios = _ratios(figures)
    return (
        number(figures.seconds * 1e3),
        number(figures.rate / 1e9),
        *(_format(heading, ratios.get(heading)) for heading in headings[2:]),
    )


def _mean_cells(means: dict[str, float], headings: Row) -> Row:
    return ("", "", *(_format(heading, means.get(heading)) for heading in headings[2:]))


def _aim(value: float | None, heading: str) -> str:
    return "" if value is None else ">= " + _format(heading, value)


def _stacked(name: str, cells: dict[str, Row]) -> list[Row]:
    return [(name if path == PATHS[0] else "", path, *cells[path]) for path in PATHS]


def _joined(name: str, cells: dict[str, Row]) -> list[Row]:
    pairs = zip(*(cells[path] for path in PATHS), strict=True)
    return [(name, *(plan if plan == function else f"{plan} / {function}" for plan, function in pairs))]
