"""The tile of `warpgroup`, as plain numbers: what is chosen, and what the kernel is compiled for."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

ROW = 128
"""Bytes of a row of an operand in shared memory."""


class Tile(NamedTuple):
    """M x N sums of a block, 64 x N of a warpgroup; rows are filters (`left`), or pixels.

    A *stage* is ROW bytes of K of both sides. Pixels of `taps` stages are the same rows of x, each `shift` further on
    than for the stage before: neighbours in a row of the kernel. Each side has slots for as many stages as are on
    their way, in use, or (`lag`) still read by products. `parts`, `fold`: see `warpgroup`.
    """

    M: int
    N: int
    left: bool
    x_slots: int
    w_slots: int
    lag: int
    blocks: int  # of a multiprocessor
    taps: int
    shift: int
    parts: int
    fold: int

    @classmethod
    def fitting(
        cls, M: int, N: int, left: bool, blocks: int, taps: int, shift: int, parts: int, fold: int, room: int
    ) -> Tile | None:
        """With as many slots as there is room for, up to four stages on their way; None where not even one is."""
        for ahead in (4, 3, 2, 1):
            lag = 1 if blocks == 1 and not fold else 0
            x_slots = ahead + 1 + lag if taps == 1 else ceil((ahead + lag) / taps) + 1
            tile = cls(M, N, left, x_slots, ahead + 1 + lag, lag, blocks, taps, shift, parts, fold)
            if tile.dynamic <= room:
                return tile
        return None

    @property
    def pixels(self) -> int:
        """Of a block."""
        return self.N if self.left else self.M

    @property
    def filters(self) -> int:
        """Of a block."""
        return self.M if self.left else self.N

    @property
    def threads(self) -> int:
        """Of a block."""
        return self.M * 2

    @property
    def step(self) -> int:
        """Rows that all threads copy at a time, 8 threads a row."""
        return self.threads // 8

    @property
    def x_rows(self) -> int:
        """Of pixels in a slot, in whole steps."""
        return ceil((self.pixels + (self.taps - 1) * self.shift) / self.step) * self.step

    @property
    def ahead(self) -> int:
        """Stages on their way while one is multiplied."""
        return self.w_slots - 1 - self.lag

    @property
    def x_bytes(self) -> int:
        """Of all slots of x; those of w lie behind them."""
        return self.x_slots * self.parts * self.x_rows * ROW

    @property
    def memory(self) -> int:
        """Bytes of all slots."""
        return self.x_bytes + self.w_slots * self.parts * self.filters * ROW

    @property
    def work(self) -> int:
        """Bytes that first are the slots, then the results."""
        return max(self.memory, self.M * (self.N + 8) * 4, self.N * (self.M + 4) * 4)

    @property
    def dynamic(self) -> int:
        """Bytes of shared memory in all."""
        return self.work + self.pixels * 8 + self.x_rows * 4 + self.filters * 4
