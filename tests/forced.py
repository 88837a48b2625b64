"""Layouts by choice instead of by estimate: any lane order, tile shape, block and budget gives the same bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from numconv._calls import recipe
from numconv.cpu import direct, schedule, tiles
from numconv.cpu.machine import machine

TABLES = {"filters": tiles.FILTERS, "pixels": tiles.PIXELS, "rows": tiles.ROWS}


def shapes() -> list[tuple[str, int, int]]:
    """(order, rows, vecs) of every tile in the tables for this CPU."""
    return [(order, *shape) for order, table in TABLES.items() for shape in tiles.shapes(table, machine())]


@contextmanager
def forced(order: str, rows: int, vecs: int, block: tuple[int, int, int] | None = None, **budgets: int) -> Iterator:
    """Compute all problems with one tile; `block` at most, and with other constants of `schedule`, if given.

    A problem that the order does not support (output rows with a stride or dilation of rows) is left to the others.
    """

    def layouts(parts: Any, cpu: Any, integers: bool) -> list:
        p = parts.problem
        if order == "rows" and (p.stride[1] != 1 or p.dilation[1] != 1):
            return chosen(parts, cpu, integers)
        item = int(parts.scalar[1])
        layout = schedule.Layout(
            parts, order, rows, vecs, cpu.lanes[parts.scalar], (1, 1, 1), item, 8 if integers else item
        )
        if block is None:
            return [schedule.best_block(layout)]
        smaller = tuple(min(b, out) for b, out in zip(block, p.out_spatial, strict=True))
        with_block = schedule.replace(layout, block=smaller)
        return [with_block if schedule.estimate(with_block) < float("inf") else schedule.best_block(layout)]

    chosen = direct.layouts
    recipe.cache_clear()  # problems keep their schedules
    try:
        with mock.patch.object(direct, "layouts", layouts), mock.patch.dict(vars(schedule), budgets):
            yield
    finally:
        recipe.cache_clear()
