"""A plugin of pytest that writes each outcome as it comes, so that what was found survives a run that is cut short."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from .apart import lost

VARIABLE = "NUMCONV_OUTCOMES"
_failing: set[str] = set()
"""Tests that have failed and are not over."""


def pytest_runtest_logreport(report: Any) -> None:
    """Written by the process that started the workers.

    A worker whose GPU context is lost ends, and is replaced: it would fail all that it is given, and at once.
    """
    if report.outcome == "failed":
        _failing.add(report.nodeid)
    if report.when == "teardown" and report.nodeid in _failing:
        _failing.discard(report.nodeid)
        if os.environ.get("PYTEST_XDIST_WORKER") and lost():
            os._exit(3)
    if report.when == "call" or report.outcome != "passed":
        text = "" if report.outcome == "passed" else _reason(report)
        _write(report.nodeid, report.outcome, round(report.duration, 2), text)


def pytest_warning_recorded(warning_message: Any, nodeid: str) -> None:
    """Of ours alone: that a launcher or a feature of the GPU does not work, and others stand in for it."""
    text = str(warning_message.message)
    if text.startswith("numconv"):
        _write(nodeid or "collection", "warned", 0.0, text)


def _write(*line: Any) -> None:
    path = os.environ.get(VARIABLE)
    if path is not None and not os.environ.get("PYTEST_XDIST_WORKER"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _reason(report: Any) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    return (crash.message if crash else str(report.longrepr))[-2000:]


def summary(path: Path) -> dict[str, Any]:
    """By module how many tests had which outcome and how long all took; what failed, and why; warnings of ours."""
    found: dict[str, Any] = {}
    if not path.exists():
        return {"nothing": "no test has ended"}
    failed, warned = {}, set()
    for line in path.read_text(encoding="utf-8").splitlines():
        name, outcome, seconds, reason = json.loads(line)
        if outcome == "warned":
            warned.add(reason[:300])
            continue
        module = Path(name.partition("::")[0]).stem
        counts = found.setdefault(module, Counter())
        counts[outcome] += 1
        counts["seconds"] = round(counts["seconds"] + seconds, 1)
        if outcome == "failed":
            failed[name] = "; ".join(filter(None, [failed.get(name, ""), reason[:1500]]))
    told = {"failed": failed, "warned": sorted(warned)}
    return {module: dict(counts) for module, counts in found.items()} | {
        name: what for name, what in told.items() if what
    }
