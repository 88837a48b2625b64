"""Run the campaign, or parts of it; exit status 1 if anything broke."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from importlib import import_module
from pathlib import Path

from .budget import Budget
from .report import BEGIN, END, Row, about, line, markdown, together

SHARES = {"exact": 4, "bounds": 3, "guard": 2, "stress": 5, "faults": 5, "mutants": 5, "cpus": 1}
"""The parts, and how the time is shared among those that are asked for."""


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1500, help="time for all parts (default: 1500)")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    parser.add_argument("--part", action="append", choices=SHARES, help="only this part; may be repeated")
    parser.add_argument("--processes", type=int, default=0, help="at a time (default: as many as CPUs)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures and failures")
    parser.add_argument(
        "--add",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="and what such a file of an earlier run says",
    )
    parser.add_argument("--markdown", action="store_true", help="print the README's table")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="put that table between the file's markers")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """All parts in turn."""
    options = parse(arguments)
    parts, start, rows = options.part or list(SHARES), time.monotonic(), []
    total = sum(SHARES[part] for part in parts)
    for part in parts:
        budget = Budget(options.seconds * SHARES[part] / total, options.seed, options.processes)
        for row in import_module(f"{__package__}.{part}").run(budget):
            rows.append(row)
            show(row)
    earlier = [json.loads(file.read_text()) for file in options.add]
    rows = together([*([Row(**row) for row in run["rows"]] for run in earlier), rows])
    taken = time.monotonic() - start + sum(run["seconds"] for run in earlier)
    run = about(rows, options.seconds, options.seed, taken, len(earlier))
    if options.json:
        options.json.write_text(json.dumps(run, indent=1) + "\n")
    if options.markdown:
        print(markdown(run))
    if options.readme:
        text = options.readme.read_text(encoding="utf-8")
        between = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
        options.readme.write_text(between.sub(lambda _: markdown(run), text), encoding="utf-8")
    return int(any(row.broke for row in rows))


def show(row: Row) -> None:
    """Print a row as soon as it is there."""
    print(line(row), flush=True)
    for failure in row.failures:
        print(f"         broke: {failure}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
