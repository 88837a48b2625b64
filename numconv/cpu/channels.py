"""Channels in lanes: how `direct` computes depthwise convolutions, and groups of few channels, of channels-last data.

The layout beside those of `schedule`; `kernels.channels` says how it goes. Here: which problems, which tile, blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import gcd, prod

import numpy as np

from .._problem import Problem
from . import tiles
from .machine import Machine
from .schedule import Parts

MOST_TAPS = 11
"""Columns at a time, where there are registers for their weights."""
NEAR_BYTES = 36 << 10
"""Budget of the input that the tap rows of an output row read: it should stay in a first-level cache."""
TABLE_BYTES = 16 << 10
"""Budget of a block's table of addresses."""
PACKED_BYTES = 256 << 10
"""Budget of a packed block."""
FAR_BYTES = 1 << 20
"""Input with one tap row from which it is asked for ahead: 16384 x 64, 33 taps, beyond the caches 0.62 -> 0.46 ms.
Layers with several tap rows, whose rows come more than once, lose up to a tenth by that."""
SUMS_BYTES = 256 << 10
"""Budget of chain sums that `finish` is to convert."""


@dataclass(frozen=True)
class Channels:
    """One way to compute a problem with channels in lanes: everything but addresses. Sizes in bytes unless counts."""

    parts: Parts
    rows: int
    vecs: int
    lanes: int
    stack: int  # output rows of a tile, `rows` pixels of each
    taps: int  # columns whose weights are in registers
    block: tuple[int, int, int]
    most_units: int  # of a job
    item: int

    method, order = "direct", "channels"

    @property
    def width(self) -> int:
        """Lanes of a tile: filters of a unit. The last unit overlaps the one before."""
        return self.vecs * self.lanes

    unit_filters = width
    samples = 1
    """Of a block."""
    group_units = 1
    """Units that a job cannot share with another: every one stands alone."""

    @property
    def units(self) -> int:
        """Units of all filters."""
        return -(-self.parts.problem.filters // self.width)

    @property
    def blocks(self) -> tuple[int, int, int]:
        """Blocks of a sample along each axis."""
        return self.parts.blocks_of(self.block)

    @property
    def spacing(self) -> int:
        """Output pixels from one row of a tile to the next: they see the same phase of the dilation."""
        p = self.parts.problem
        return p.dilation[2] // gcd(p.stride[2], p.dilation[2])

    @property
    def stride(self) -> int:
        """From the pixels of one row of a tile to those of the next, in a phase."""
        p = self.parts.problem
        return p.stride[2] // gcd(p.stride[2], p.dilation[2])

    @property
    def lag(self) -> int:
        """Tap rows by which the second of stacked output rows is behind the first."""
        p = self.parts.problem
        return p.stride[1] // p.dilation[1]

    def row_pixels(self, width: int) -> int:
        """Addresses in the table for a padded row of a block so wide, in each phase."""
        p = self.parts.problem
        last = (max(-(-width // self.spacing), self.rows) - 1) * self.stride
        return last + (self.spacing - 1) * p.stride[2] // p.dilation[2] + p.kernel[2]

    def table_rows(self, height: int) -> int:
        """Padded rows of a plane for a block so high."""
        p = self.parts.problem
        return (height - 1) * p.stride[1] + (p.kernel[1] - 1) * p.dilation[1] + 1

    @cached_property
    def table(self) -> dict[str, int]:
        """Byte pitches of the table of addresses: planes, rows, phases; "bytes" in all, "pixels" in all."""
        p = self.parts.problem
        w = 8 * self.row_pixels(self.block[2])
        h = p.dilation[2] * w
        d = self.table_rows(self.block[1]) * h
        size = ((p.kernel[0] - 1) * p.dilation[0] + 1) * d
        return {"d": d, "h": h, "w": w, "bytes": size, "pixels": size // 8}

    @property
    def packed_pixel(self) -> int:
        """Bytes from one packed pixel to the next: an odd number of cache lines."""
        return (-(-self.channel_bytes(self.most_units) // 64) | 1) * 64

    @property
    def chunk(self) -> int:
        """Output rows whose chain sums are kept at a time, where they do not go to `out` themselves."""
        row = self.block[2] * self.width * self.item * self.most_units
        return min(self.block[1], max(1, SUMS_BYTES // row))

    @cached_property
    def sums(self) -> dict[str, int]:
        """Bytes between pixels, rows, lanes and units of the chain sums. A pixel before a unit's own takes overlaps."""
        pixel = self.width * self.item
        row = self.block[2] * pixel
        return {"pixel": pixel, "row": row, "lane": self.item, "unit": self.chunk * row + pixel}

    @cached_property
    def offsets(self) -> dict[str, int]:
        """Where things lie in the worker's bytes; "slot" is how many it has."""
        at, size = {}, 512  # the BLOCK record
        needs = [
            ("left", self.table["bytes"]),
            ("segments", 24 * (self.chunk + 1)),
            ("partial", self.stack * self.rows * self.width * self.item),
            ("acc", self.most_units * self.sums["unit"]),
            ("packed", self.table["pixels"] * self.packed_pixel),
        ]
        for name, amount in needs:
            at[name] = size
            size += -(-amount // 64) * 64
        at["slot"] = size
        at["acc"] += self.sums["pixel"]
        return at

    @cached_property
    def weights_pitch(self) -> int:
        """Filters from one step's weights to the next's: an odd number of cache lines, or all meet in one set of L1."""
        return (-(-self.parts.problem.filters * self.item // 64) | 1) * 64 // self.item

    @property
    def registers(self) -> int:
        """Accumulators, weights, an input vector and, of a group, what its lanes take of it."""
        p = self.parts.problem
        weights = self.taps * p.group_channels * self.vecs * self.stack
        return self.rows * self.vecs * self.stack + weights + self.vecs + (p.group_filters > 1)

    def channel_bytes(self, units: int) -> int:
        """Of a pixel, what so many units see."""
        p = self.parts.problem
        return min(units * self.width, p.filters) // p.group_filters * p.group_channels * self.item

    def fits(self, block: tuple[int, int, int], units: int) -> bool:
        """Whether blocks fit the budgets of a worker; tables of the least blocks may be as large as they are."""
        _, bh, bw = block
        p = self.parts.problem
        planes = (p.kernel[0] - 1) * p.dilation[0] + 1
        pixels = planes * self.table_rows(bh) * self.row_pixels(bw) * p.dilation[2]
        last = p.out_spatial[1] % bh or bh
        return (
            (8 * pixels <= TABLE_BYTES or bh <= self.stack)
            and pixels * (self.channel_bytes(units) + 64) <= PACKED_BYTES
            and last >= self.stack
            and (self.stack == 1 or bh * bw * self.width * self.item * units <= SUMS_BYTES)
        )

    @cached_property
    def pieces(self) -> tuple[list[int], list[tuple[int, ...]]]:
        """First piece of each chain, and the pieces.

        A piece is a tap row: where it begins in the table and in the weights, how many times `taps` columns it has,
        how many single ones more, and the bytes of `taps` columns in both, of a column in the weights. Where rows are
        stacked it is the tap rows of a plane: where the first begins, how many there are, the lag, and the bytes of a
        row in both.
        """
        p, starts = self.parts.problem, [0]
        pieces: list[tuple[int, ...]] = []
        pitch = self.weights_pitch * self.item * p.group_channels  # of a column
        for a, b, begin, end in p.chains():
            first, last = begin // p.group_channels, end // p.group_channels
            tap_row = a
            while tap_row < b:
                kd, kh = divmod(tap_row, p.kernel[1])
                table = kd * p.dilation[0] * self.table["d"] + kh * p.dilation[1] * self.table["h"] + 8 * first
                weights = (tap_row * p.kernel[2] + first) * pitch
                if self.stack > 1:
                    count = min(b - tap_row, p.kernel[1] - kh)
                    row = p.dilation[1] * self.table["h"]
                    pieces.append((table, weights, count, self.lag, row, p.kernel[2] * pitch, pitch))
                else:
                    count = 1
                    full, rest = divmod(last - first, self.taps)
                    pieces.append((table, weights, full, rest, 8 * self.taps, self.taps * pitch, pitch))
                tap_row += count
            starts.append(len(pieces))
        return starts, pieces

    @cached_property
    def cycles(self) -> float:
        """Estimated for a sample."""
        return self.estimate(self.block, self.most_units)

    def estimate(self, block: tuple[int, int, int], units: int) -> float:
        """Cycles for a sample in blocks of some size and jobs of some units; constants are rough measurements.

        Tiles; a tenth more where what the tap rows of an output row read is beyond L1; lines of the input, which mostly
        begin and end within a vector, for every block with its halo; the table, and packing where types differ.
        """
        p = self.parts.problem
        OD, OH, OW = p.out_spatial
        _, bh, bw = block
        parts, jobs = -(-self.units // units), OD * -(-OH // bh) * -(-OW // bw)
        row, seen = self.row_pixels(bw) * p.dilation[2], self.channel_bytes(units)
        taps = p.kernel[0] * p.kernel[1]
        near = row * p.kernel[0] * (p.kernel[1] + (self.stack - 1) * p.stride[1]) * seen
        near += taps * p.kernel[2] * p.group_channels * units * self.width * self.item
        tiles = jobs * -(-bh // self.stack) * self.spacing * -(-bw // self.spacing // self.rows)
        pixels = ((p.kernel[0] - 1) * p.dilation[0] + 1) * self.table_rows(bh) * row
        cost = 0.7 + 2.0 * (seen // 64 + 1)
        if p.x_dtype.itemsize != self.item:
            cost += 10 + 0.1 * seen
        compute = tiles * self.units * self.tile_cycles * (1.1 if near > NEAR_BYTES else 1.0)
        return compute + jobs * parts * (pixels * cost + 400) + 0.03 * OD * OH * OW * p.filters * self.item

    @cached_property
    def tile_cycles(self) -> float:
        """Of a tile."""
        p = self.parts.problem
        result = 30.0 + 2 * self.rows * self.vecs * self.stack
        for a, b, begin, end in p.chains():
            columns = (end - begin) // p.group_channels
            if self.stack > 1:
                both = b - a - self.lag * len(range(a // p.kernel[1], (b - 1) // p.kernel[1] + 1))
                result += both * self._columns(columns, 2) + 2 * (b - a - both) * self._columns(columns, 1)
            else:
                full, rest = divmod(columns, self.taps)
                result += (b - a) * (full * self._columns(self.taps, 1) + rest * self._columns(1, 1))
        return result

    def _columns(self, taps: int, output_rows: int) -> float:
        """Cycles of `taps` columns on a tile. A vector of the input mostly crosses a cache line: two loads."""
        p = self.parts.problem
        C = p.group_channels
        pixels = len({i * self.stride + k for i in range(self.rows) for k in range(taps)})
        shuffles = pixels * C * self.vecs if p.group_filters > 1 else 0
        loads = pixels * (1 + 2 * self.vecs) + taps * C * self.vecs * output_rows
        multiply_adds = self.rows * self.vecs * taps * C * output_rows
        return max((multiply_adds + shuffles) / 2, shuffles) + 0.35 * loads


def layouts(parts: Parts, machine: Machine, integers: bool) -> list[Channels]:
    """The best layout with channels in lanes: first the tile with least work, then its blocks; none where none can be.

    The filters of a group lie in one vector, and so do its channels, and chains begin with whole pixels.
    """
    p, lanes = parts.problem, machine.lanes[parts.scalar]
    if (
        not p.channels_last
        or p.groups == 1
        or integers
        or p.compute.kind == "c"
        or p.filters < lanes
        or lanes % p.group_filters
        or p.group_filters % p.group_channels
        or any(begin % p.group_channels for _, _, begin, _ in p.chains())
    ):
        return []
    every = [tile for shape in tiles.shapes(tiles.CHANNELS, machine) for tile in of_shape(parts, shape, machine)]
    whole = parts.problem.out_spatial
    every.sort(key=lambda tile: tile.estimate(whole, tile.units))
    return next(([replace(tile, block=b[0], most_units=b[1])] for tile in every if (b := best_block(tile))), [])


def of_shape(parts: Parts, shape: tuple[int, ...], machine: Machine) -> Iterator[Channels]:
    """Tiles of a shape of `tiles.CHANNELS` that fit the problem and the registers: any number of taps at a time."""
    p, lanes = parts.problem, machine.lanes[parts.scalar]
    rows, vecs, stack = shape
    if vecs * lanes > p.filters or (stack > 1 and not stackable(p)):
        return
    for taps in range(p.kernel[2] if stack > 1 else 1, min(p.kernel[2], MOST_TAPS) + 1):
        tile = Channels(parts, rows, vecs, lanes, stack, taps, (1, 1, 1), 1, int(parts.scalar[1]))
        if tile.registers < machine.registers:
            yield tile


def stackable(p: Problem) -> bool:
    """Whether two output rows can share a tile: they see the same input rows, and chains are whole tap rows."""
    lag, other = divmod(p.stride[1], p.dilation[1])
    if other or p.out_spatial[1] < 2:
        return False
    whole = p.kernel[2] * p.group_channels
    pieces = [(a, b) for a, b, begin, end in p.chains() if end - begin == whole]
    cuts = sorted(
        {0, p.kernel[0] * p.kernel[1], *(a for a, _ in pieces), *range(0, p.kernel[0] * p.kernel[1], p.kernel[1])}
    )
    return len(pieces) == len(p.chains()) and all(b - a > lag for a, b in pairwise(cuts))


def best_block(tile: Channels) -> tuple[tuple[int, int, int], int] | None:
    """(block, units of a job) of least estimated cost: equal parts of both axes and of the units."""
    _, OH, OW = tile.parts.problem.out_spatial
    step = tile.rows * tile.spacing
    widths = {OW} | {min(OW, -(-OW // n // step) * step) for n in (2, 4, 8, 64) if n * step // 2 < OW}
    heights = {-(-OH // n) for n in (1, 2, 4, 8, 16, 32)} | {min(OH, tile.stack)}
    units = {-(-tile.units // n) for n in (1, 2, 3, 4, 8, 16, 64)}
    choices = [((1, h, w), u) for w in sorted(widths) for h in sorted(heights) for u in sorted(units)]
    fitting = (choice for choice in choices if tile.fits(*choice))
    return min(fitting, key=lambda choice: tile.estimate(*choice), default=None)


def tables(layout: Channels) -> dict[str, np.ndarray]:
    """Of the PLAN record, where they are not those of the other layouts: a pixel of pad values, chains, pieces."""
    p = layout.parts.problem
    starts, pieces = layout.pieces
    return {
        "pad_value": np.full(p.channels, p.pad_value, layout.parts.scalar),
        "chains": np.array(starts, np.int64),
        "taps": np.array(pieces, np.int64),
    }


def fields(layout: Channels) -> dict[str, int]:
    """Of the PLAN record, where they are not those of the other layouts."""
    p, table = layout.parts.problem, layout.table
    return {
        "table_d": table["d"], "table_h": table["h"], "table_w": table["w"],
        "far": p.kernel[0] * p.kernel[1] == 1 and prod(p.spatial) * p.channels * layout.item >= FAR_BYTES,
        "pk_w": layout.packed_pixel,
        "F": p.filters, "FG": p.group_filters, "spacing": layout.spacing, "acc_item": layout.item,
        "group_units": layout.units, "group_filters": p.filters, "unit_bytes": layout.weights_pitch * layout.item,
    }  # fmt: skip
