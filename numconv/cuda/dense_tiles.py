"""Which tile of `dense` a problem gets, and whether blocks share out its chains: by an estimate of clocks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .kernels.dense_tile import STAGE_BYTES, SUMS, Tile

MULTIPROCESSORS = 132
TILES = ((128, 128), (64, 128), (128, 64), (64, 64), (32, 128), (32, 64))
"""Filters and pixels."""
BUSY = (0.7, 0.85, 0.9, 0.93)
"""Share of the clocks in which one of 1, 2, 3, 4 warps has an instruction to issue."""
FIXED, LAUNCH = 1000, 4000
"""Instructions of a thread before and behind its stages; clocks of another kernel."""
LEVEL_TWO, SCRATCH_BYTES = 20, 64 << 20
"""Bytes in a clock from the second level of caches to a multiprocessor; what sums of chains may take up."""


class Size(NamedTuple):
    """Of a problem: pixels of all samples, filters of a group, groups, chains, stages of all and of the longest."""

    pixels: int
    filters: int
    groups: int
    chains: int
    stages: int
    longest: int


def best(size: Size, pixels_fast: bool, gather: str, item_bytes: int) -> tuple[Tile, bool]:
    """(tile, whether blocks compute one chain each)."""
    tiles = TILES if item_bytes == 4 else ((64, 64),)
    found = [
        (estimate(size, tile, split), -tile.threads, split, tile)
        for BF, BP in tiles
        if BF >= 64 or gather in ("units", "singles")
        for tile in [Tile(BF, BP, pixels_fast or BF < 64, gather == "units", item_bytes)]
        for split in ((False, True) if shareable(size, item_bytes) else (False,))
    ]
    *_, split, tile = min(found)
    return tile, split


def shareable(size: Size, item_bytes: int) -> bool:
    """Whether the sums of all chains may lie in memory until they are added up."""
    results = size.pixels * size.filters * size.groups
    return 1 < size.chains < 2**16 and results < 2**28 and results * size.chains * item_bytes <= SCRATCH_BYTES


def estimate(size: Size, tile: Tile, split: bool) -> float:
    """Clocks, of a GPU that does nothing else."""
    blocks = -(-size.pixels // tile.BP) * -(-size.filters // tile.BF) * size.groups
    stages = size.longest if split else size.stages
    blocks *= size.chains if split else 1
    warps, instructions = tile.threads / 32, FIXED + stages * _of_stage(tile)
    rounds, rest = divmod(-(-blocks // MULTIPROCESSORS), tile.blocks)

    def clocks(together: int) -> float:
        """Of so many blocks on a multiprocessor, whose warps four schedulers share."""
        each = max(1.0, together * warps / 4)
        moved = together * stages * (tile.BF + tile.BP) * STAGE_BYTES / LEVEL_TWO
        return max(each * instructions / float(np.interp(each, (1, 2, 3, 4), BUSY)), moved)

    total = rounds * clocks(tile.blocks) + (clocks(rest) if rest else 0.0)
    if split:
        moved = size.pixels * size.filters * size.groups * (2 * size.chains + 1) * tile.item_bytes
        total += LAUNCH + moved / (MULTIPROCESSORS * LEVEL_TWO)
    return total


def _of_stage(tile: Tile) -> float:
    """Instructions of a thread: products, a load of 16 bytes for each 16 of them, copies and what belongs to them."""
    products = SUMS * tile.depth * (1 if tile.item_bytes == 4 else 2)
    copies = tile.BP * (4 if tile.units else 2 * tile.depth) / tile.threads + tile.BF * 4 / tile.threads
    return products * (1 + 1 / 16) + 1.5 * copies + 30
