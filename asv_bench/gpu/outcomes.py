"""A plugin of pytest that writes each outcome as it comes, so that what was found survives a run that is cut short."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

VARIABLE = "NUMCONV_OUTCOMES"


def pytest_runtest_logreport(report: Any) -> None:
    """With workers, in the process that started them."""
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
            failed[name] = reason[:1500]
    told = {"failed": failed, "warned": sorted(warned)}
    return {module: dict(counts) for module, counts in found.items()} | {
        name: what for name, what in told.items() if what
    }
