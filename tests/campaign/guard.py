"""Guard pages: every kernel, every length of tail, both ends of every buffer.

Buffers of x, w, bias, out, packed weights and workspaces end at (or begin behind) a page that nobody may touch, so that
a byte too far is a SIGSEGV. Each tile of each lane order computes every length of tail on its own axis, in the types
that its lanes serve.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from numconv.cpu.machine import machine

from .. import guarded
from ..forced import forced, shapes
from ..problems import CASES, IMAGES, LAYERS, Case
from .budget import Budget
from .child import Outcome, call
from .report import Row

FIRST: dict[str, Any] = {"data_format": "channels_first"}
LANES = {"f4": ("float32", "complex64", "float16", "uint8"), "f8": ("float64", "complex128"), "i8": ("int64",)}


def tails(order: str, rows: int, vecs: int) -> list[Case]:
    """Every length of tail of a tile: of its pixels and of its filters."""
    cases = []
    for scalar, dtypes in LANES.items():
        lanes = machine().lanes[scalar]
        for number, dtype in enumerate(dtypes):
            width = vecs * lanes
            step = 1 if number == 0 and scalar != "i8" else 3  # other types pack otherwise: fewer lengths
            for n in range(1, 2 * width + 2, step):
                cases += _along_lanes(order, n, dtype)
            for n in range(1, 2 * max(rows, 1) + 2, step):
                cases += _along_rows(order, n, dtype)
    return cases


def _along_lanes(order: str, n: int, dtype: str) -> list[Case]:
    if order == "filters":
        return [Case(f"filters{n}", 1, (7,), 3, n, (2,), x_dtype=dtype, bias=True)]
    if order == "channels":
        return [Case(f"channels{n}", 1, (7,), n, n, (3,), n, x_dtype=dtype, bias=True)]
    rows = 1 if order == "rolling" else 3
    return [Case(f"pixels{n}", 1, (rows + 2, n + 2), 1, 1, (3, 3), x_dtype=dtype, bias=True, options=dict(FIRST))]


def _along_rows(order: str, n: int, dtype: str) -> list[Case]:
    if order == "filters":
        return [Case(f"pixels{n}", 1, (n + 1,), 3, 5, (2,), x_dtype=dtype, options={"padding": "valid"})]
    if order == "channels":
        return [Case(f"pixels{n}", 1, (n + 2,), 5, 5, (3,), 5, x_dtype=dtype)]
    if order == "pixels":
        return [Case(f"filters{n}", 1, (20,), 2, n, (3,), x_dtype=dtype, options=dict(FIRST))]
    return [Case(f"rows{n}", 1, (n + 2, 20), 1, 1, (3, 3), x_dtype=dtype, options=dict(FIRST))]


def work(where: str, skip: int, seed: int, seconds: float, log: str) -> dict[str, Any]:
    """In a process: tiles in an order by chance, from number `skip` on, until the time is up.

    `log` is a file that says how far it came, for the case that it does not return.
    """
    end, done, tiles = time.monotonic() + seconds, 0, 0
    guarded.shielded(where == "end")
    every = [*shapes(), ("channels", 0, 1), ("chosen", 0, 0)]
    for number in np.random.default_rng(seed).permutation(len(every))[skip:]:
        if time.monotonic() > end and tiles:
            break
        order, rows, vecs = every[number]
        cases = tails(order, rows, vecs) if vecs else CASES + [case.small() for case in LAYERS + IMAGES]
        with forced(order, rows, vecs):
            for case in cases:
                with open(log, "a") as file:
                    print(skip + tiles, order, rows, vecs, case, file=file)
                guarded.check(case, done, where == "end")
                done += 1
        tiles += 1
    return {"problems": done, "tiles": tiles, "of": len(every)}


def run(budget: Budget) -> Iterator[Row]:
    """Rows: both ends."""
    for where in ("end", "start"):
        row = Row("guard", f"guard pages at the {where} of every buffer", 0)
        share, tiles, of = budget.share(0.5 if where == "end" else 1.0), 0, 1
        while tiles < of and (tiles == 0 or share.left > 5):
            outcome, last = attempt(where, tiles, share)
            if outcome.died:
                row.fail(f"{outcome.died} at {last}")
                tiles = int(last.split()[0]) + 1 if last else of
                continue
            row.tried += outcome.value["problems"]
            tiles, of = tiles + outcome.value["tiles"], outcome.value["of"]
        row.note = f"{tiles} of {of} tiles, every length of tail"
        yield row


def attempt(where: str, skip: int, budget: Budget) -> tuple[Outcome, str]:
    """(outcome, last line of the log)."""
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "log")
        outcome = call(
            f"{__name__}:work", budget.left + 240, where=where, skip=skip, seed=budget.seed, seconds=budget.left,
            log=str(log),
        )  # fmt: skip
        lines = log.read_text().splitlines() if log.exists() else []
        return outcome, lines[-1] if lines else ""
