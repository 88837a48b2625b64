"""The tile of a block of `gradient_dense`, as plain numbers: what lies where, and which thread copies what."""

from __future__ import annotations

from typing import NamedTuple

STAGE_BYTES, STAGES = 64, 3
"""Of each row and column that are in a stage (16 pixels of float32); stages in shared memory."""
WIDEST = 256
"""Pixels of a chain."""
GAP = 4
"""Elements between pixels of a stage: 8 pixels by 4 channels, which come at once where pixels lie next to each other,
do not meet in a bank."""


class Tile(NamedTuple):
    """BM rows (taps and channels) by BN columns (filters); a warp has 32 by 64 of them, a thread 8 by 8.

    Lanes are dealt out so that neighbours share what they read on one side or the other, as in CUTLASS.
    """

    BM: int
    BN: int
    item_bytes: int

    @property
    def threads(self) -> int:
        """Of a block."""
        return self.BM * self.BN // 64

    @property
    def blocks(self) -> int:
        """On a multiprocessor, by registers: 128 of each thread, 255 for float64."""
        return max(1, (512 if self.item_bytes == 4 else 256) // self.threads)

    @property
    def depth(self) -> int:
        """Pixels of a stage."""
        return STAGE_BYTES // self.item_bytes

    @property
    def sides(self) -> tuple[int, int]:
        """Elements of all stages of rows, and of columns."""
        return STAGES * self.depth * (self.BM + GAP), STAGES * self.depth * (self.BN + GAP)

    @property
    def shared_bytes(self) -> int:
        """Both sides."""
        return sum(self.sides) * self.item_bytes


class Way(NamedTuple):
    """How a side of B rows or columns is copied: WIDTH neighbours at once, LK lanes along pixels.

    A thread has every (T // LK)-th group of neighbours, or all of them for some of the pixels.
    """

    WIDTH: int
    LK: int
    B: int
    T: int
    DEPTH: int

    @classmethod
    def of(cls, name: str, tile: Tile, B: int) -> Way:
        """By what lies next to each other: "pixels", "channels", or "quads" of them, aligned to 16 bytes."""
        width, lanes = {"pixels": (1, 8), "channels": (1, 1), "quads": (16 // tile.item_bytes, 1)}[name]
        return cls(width, lanes, B, tile.threads, tile.depth)

    @property
    def across(self) -> int:
        """Threads along rows or columns."""
        return min(self.B // self.WIDTH, self.T // self.LK)

    @property
    def groups(self) -> int:
        """Of neighbours, that a thread copies of a pixel."""
        return self.B // self.WIDTH // self.across

    @property
    def down(self) -> int:
        """Threads along pixels."""
        return self.T // self.across

    @property
    def pixels(self) -> int:
        """Of a stage, that a thread copies; those of threads without any are beyond the last."""
        return -(-self.DEPTH // self.down)

    @property
    def held(self) -> int:
        """Pixels whose places a thread has in registers at once."""
        return 2 if self.pixels % 2 == 0 else 1
