"""Layouts by choice instead of by estimate: any lane order, tile shape, block and budget gives the same bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from numconv import _conv_transpose_calls
from numconv._calls import recipe
from numconv.cpu import direct, pixel_layouts, schedule, tiles
from numconv.cpu.machine import machine

TABLES = {"filters": tiles.FILTERS, "pixels": tiles.PIXELS, "rows": tiles.ROWS, "planes": tiles.PLANES}


def shapes() -> list[tuple[str, int, int]]:
    """(order, rows, vecs) of every tile in the tables for this CPU; one that rolls has as many rows as there are."""
    every = [(order, *shape) for order, table in TABLES.items() for shape in tiles.shapes(table, machine())]
    return every + [("rolling", 0, vecs) for vecs in (1, 3)]


@contextmanager
def forced(order: str, rows: int, vecs: int, block: tuple[int, int, int] | None = None, **budgets: int) -> Iterator:
    """Compute all problems with one tile; `block` at most, and with other constants of `schedule`, if given.

    A problem that the order does not support is left to the others.
    """

    def layouts(parts: Any, cpu: Any, integers: bool) -> list:
        p = parts.problem
        supported = dict(pixel_layouts.orders(parts, cpu)) | {"filters": ()}
        if order not in supported:
            return chosen(parts, cpu, integers)
        item, kind = int(parts.scalar[1]), schedule.Layout if order == "filters" else pixel_layouts.PixelLayout
        best = schedule.best_block if order == "filters" else pixel_layouts.best_block
        taps = p.kernel[1] if order == "rolling" else rows
        lanes = cpu.lanes[parts.scalar]
        layout = kind(parts, order, taps, vecs, lanes, (1, 1, 1), item, 8 if integers else item)
        if block is None:
            return [best(layout)]
        smaller = tuple(min(b, out) for b, out in zip(block, p.out_spatial, strict=True))
        with_block = schedule.replace(layout, block=smaller)
        return [with_block if direct.cycles(with_block) < float("inf") else best(layout)]

    chosen = direct.layouts
    _forget()
    try:
        constants = {name: value for name, value in budgets.items() if name in vars(schedule)}
        with (
            mock.patch.object(direct, "layouts", layouts),
            mock.patch.dict(vars(schedule), constants),
            mock.patch.dict(vars(pixel_layouts), {"WORTH_CODE": 0} | budgets),
        ):
            yield
    finally:
        _forget()


def _forget() -> None:
    """Problems, which keep their schedules."""
    recipe.cache_clear()
    _conv_transpose_calls.recipe.cache_clear()
