"""Layouts with pixels in lanes, for few filters: single images, banks, signals, depthwise layers, channels first.

Four micro-kernels share one job: tiles of filters (order "pixels"), of output rows of one filter ("rows"), the tile
that rolls down a column ("rolling": few tap rows in one chain), and output rows of a plane with all of its few taps in
the code ("planes": depthwise layers). An estimate of cycles decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

from . import tiles
from .axis import Axis, apart
from .machine import Machine
from .schedule import UNIT_SUMS_BYTES, Layout, Parts, laid_out

GROUP_BYTES = 24 << 10
"""Budget of what is packed together of small groups: with their results it should stay in a first-level cache."""
ROLL = 12
"""Input rows by which a tile rolls down a column at a time, in blocks of more than ROLLED_BYTES."""
ROLLED_BYTES = 128 << 10
MOST_PIXELS = 1 << 18
"""Outputs of a block, where a tile rolls down; a fourth of them where rows are read again for each unit."""
FOLDING = 150
"""Cycles to put together the lanes of a row that is reduced."""
WIDE = 16
"""Vectors in a row from which its interior is read in place: packing both rims costs as much as packing 10 vectors."""

WORTH_CODE = 1 << 14
"""Multiply-adds of a sample from which taps of their own in the code pay: half a second to compile, once."""


@dataclass(frozen=True)
class PixelLayout(Layout):
    """A layout with pixels in lanes; see `numconv.cpu.kernels.pixel_job`."""

    @property
    def unit_filters(self) -> int:
        """Filters of a tile."""
        return self.rows if self.order == "pixels" else 1

    @property
    def vector_rows(self) -> int:
        """Output rows for which a vector of a tile stands; 0: as many as there are."""
        return {"pixels": 1, "rolling": 0}.get(self.order, self.rows)

    @property
    def masked(self) -> bool:
        """Whether results of rows narrower than a vector are written through a mask."""
        return self.order == "planes" and self.lanes * self.item == 64

    @property
    def kind(self) -> str:
        """The taps of a plane and where their columns lie: see `kernels.planes`."""
        p, width = self.parts.problem, self.row_of(self.block[2])
        return f"{p.kernel[1]} {p.kernel[2]} {p.stride[1]} {p.dilation[1]} {width.turn} {width.jump}"

    @property
    def flat(self) -> bool:
        """Whether pixels are numbered through the padded rows: where rows are narrow, or vectors may not overlap."""
        return self.order == "pixels" and (self.block[2] < self.lanes or len(self.passes) > 1)

    def row_of(self, outputs: int) -> Axis:
        """A row, with the stride taken apart. Where pixels are numbered through it, its length costs lanes."""
        p = self.parts.problem
        dear = 2.0 if self.order == "pixels" and self.block[2] < self.lanes else 1.0
        return apart(outputs, p.stride[2], p.dilation[2], p.kernel[2], p.stride[2], dear)

    def pitches(self, planes: int, rows: int) -> dict[str, int]:
        """Byte pitches of the packed tile: n, d, h, segments of w, w, c; "groups" of it, "bytes" of a sample."""
        depth, height, width = self.axes(planes, rows)
        h = width.length * self.item
        if self.block[2] >= self.lanes or self.order == "planes":
            h = -(-h // 64) * 64
            h += 64 if h % 1024 == 0 else 0  # the rows of a tile would meet in few sets of L1
        d = height.slots * h
        segment = depth.slots * d
        c = width.segment_count * segment
        c += 64 if c % 4096 == 0 and self.parts.channels > 1 else 0
        group = c * self.parts.channels
        groups = min(self.parts.problem.groups, max(1, GROUP_BYTES // group))
        sizes = {"groups": groups, "bytes": group * groups}
        return {"c": c, "w": self.item, "h": h, "d": d, "segment": segment, "n": 0, **sizes}

    @property
    def samples(self) -> int:
        """One sample a block."""
        return 1

    @property
    def slices(self) -> int:
        """Chains are whole."""
        return 1

    @cached_property
    def chunk(self) -> int:
        """Output rows whose chain sums are kept at a time."""
        _, h, w = self.block
        if len(self.passes) > 1:
            return h
        row = self.acc_item * max(w, self.width) * (self.rows if self.order == "pixels" else 1)
        rows = max(1, UNIT_SUMS_BYTES // 4 // row)
        if self.order == "rolling":
            rows = max(rows, 8 * self.rows)
        return min(h, -(-rows // self.vector_rows) * self.vector_rows if self.vector_rows > 1 else rows)

    @property
    def columns(self) -> int:
        """Vectors in a row of a block."""
        return -(-self.block[2] // self.lanes)

    @cached_property
    def stack(self) -> int:
        """Rows of vectors in a band: as many as fill whole tiles best."""
        if self.flat or len(self.passes) > 1 or self.roll < self.block[1]:
            return 1
        most = -(-self.block[1] // max(1, self.vector_rows))
        return min(range(1, min(self.vecs, most) + 1), key=self.tiles_of)

    def tiles_of(self, stack: int) -> float:
        """Tiles of a block with `stack` rows of vectors in a band; with order "rolling" times the rows they roll."""
        h, tiles_ = self.block[1], -(-self.columns * stack // self.vecs)
        if self.order == "rolling":
            return tiles_ * (-(-h // stack) + (self.rows - 1) / 2 + 2)
        return tiles_ * -(-h // (stack * self.vector_rows))

    @cached_property
    def sums(self) -> dict[str, int]:
        """Bytes between pixels, rows, lanes and units of the chain sums."""
        item, w = self.acc_item, self.block[2]
        if self.order == "pixels":
            row = self.extent["h"] // self.item if self.flat else max(w, self.lanes)
            lane = -(-((self.chunk - 1) * row + max(w, self.lanes)) // self.width) * self.width * item
            return {"pixel": item, "row": row * item, "lane": lane, "unit": self.rows * lane}
        row = -(-w // self.width) * self.width * item
        lane = -(-self.chunk // self.rows) * self.rows * row
        return {"pixel": item, "row": row, "lane": lane, "unit": lane}

    @property
    def most_vectors(self) -> int:
        """Entries of the tables of vectors."""
        columns = -(-((self.chunk - 1) * (self.extent["h"] // self.item) + self.block[2]) // self.lanes)
        count = columns if self.flat else (self.columns + 1) * self.stack
        return -(-count // self.vecs) * self.vecs

    @cached_property
    def offsets(self) -> dict[str, int]:
        """Where things lie in the worker's bytes; "slot" is how many it has."""
        units = 1 if len(self.passes) == 1 else self.most_units
        depth, height, width = self.axes(*self.parts.problem.kernel[:2])
        return laid_out(
            rows=16 * depth.slots * height.slots,
            runs=40 * width.segment_count,
            left=8 * self.most_vectors,
            out=8 * self.most_vectors,
            segments=24 * (self.chunk + 1),
            acc=self.sums["unit"] * units,
            waiting=self.most_vectors * self.rows * self.lanes * self.item if self.roll < 1 << 40 else 0,
            packed=self.extent["bytes"] + self.overrun,
        )

    @property
    def roll(self) -> int:
        """Input rows by which a tile rolls down a column at a time."""
        _, h, w = self.block
        return ROLL if self.order == "rolling" and h * w * self.item > ROLLED_BYTES else 1 << 40

    @property
    def overrun(self) -> int:
        """Bytes past the packed tile that tiles may read, and throw away."""
        return self.rows * self.extent["h"] + 2 * self.width * self.item

    @property
    def fields(self) -> dict[str, int]:
        """What the PLAN record tells kernels about the places of vectors."""
        return {
            "lanes": self.lanes, "vecs": self.vecs, "stack": self.stack, "flat": int(self.flat),
            "vector_rows": self.vector_rows, "roll": self.roll, "pack_groups": self.extent["groups"],
            "same_pads": int(self.parts.problem.pad_mode == "constant" and self.parts.x_parts == 1),
            "least_direct": 1 if self.masked else self.lanes,
            "least_w": WIDE * self.lanes, "least_h": 2 * self.parts.problem.kernel[1],
        }  # fmt: skip

    @property
    def cycles(self) -> float:
        """Estimated cycles for a sample."""
        nd, nh, nw = self.blocks
        if len(self.passes) > 1 and self.block[0] > 1:
            return float("inf")  # chain sums would have to be kept for several planes
        compute = self.block[0] * self.units * self.tile_cycles * self.bands
        weights = self.parts.chains[-1][1] * self.units * self.unit_filters * self.item
        streaming = weights * (0.15 if weights > 1 << 20 else 0.05)
        slot = self.offsets["slot"]
        crowded = 1.0 if slot <= (1 << 20) or self.in_place else 1.25 if slot <= (2 << 20) else 3.0
        blocks = nd * nh * nw
        total = compute + self.packing_cycles + self.finishing_cycles + streaming + 1500
        return crowded * blocks * total * (1 + 0.1 / blocks)

    @property
    def bands(self) -> int:
        """Tiles of a unit in a plane of a block."""
        h = self.block[1]
        if self.flat:
            return -(-((h - 1) * (self.extent["h"] // self.item) + self.block[2]) // self.width)
        tiles_ = -(-self.columns * self.stack // self.vecs)
        return tiles_ if self.order == "rolling" else tiles_ * -(-h // (self.stack * self.vector_rows))

    @property
    def tile_cycles(self) -> float:
        """Cycles of a tile; of a whole column with order "rolling"."""
        p = self.parts.problem
        near = self.order == "pixels" and p.group_channels * p.kernel[0] == 1
        load = tiles.load_from_l1() if near else tiles.LOAD
        chains, step = self.parts.chains, tiles.cycles_of_vectors(self.rows, self.vecs, load)
        steps, row_steps = chains[-1][1], self.parts.row_steps
        if self.order == "rolling":
            rolled = -(-self.block[1] // self.stack)
            return 40 + rolled * self.vecs * 1.5 + (rolled + (self.rows - 1) / 2) * row_steps * step
        if self.order == "planes":
            p = self.parts.problem
            read = p.kernel[2] * ((self.rows - 1) * p.stride[1] + p.kernel[1])
            loads = read * 1.75 * self.vecs + self.rows * steps * (steps > 9)
            # 5x5 and 7x7 taps on wide rows, in tiles that roll: 1.1 to 1.4 times as fast; on 14x14 and 7x7 planes 0.6.
            held = 1.1 if steps <= 9 or self.block[2] < 48 else 1.45
            return 20 + 2 * self.rows + max(self.rows * self.vecs * steps / 2, loads / 2) * held
        if self.order == "rows":  # tap rows at the edges of a tile feed some of its rows only
            few = max(0, self.rows - p.kernel[1])
            step += (self.rows - 1) * row_steps / steps * tiles.LOAD * 2 * self.vecs + few * self.vecs / 2
        return steps * step + len(chains) * (20 + self.rows * self.vecs)

    @property
    def to_out(self) -> bool:
        """Whether tiles may store results themselves."""
        wide = self.block[2] >= self.lanes or self.masked
        return wide and len(self.passes) == 1 and self._is_own and not self.parts.problem.reduce

    @property
    def _is_own(self) -> bool:
        """Whether results are sums as they are, or as integers that hold them."""
        p, parts = self.parts.problem, self.parts
        own = not parts.wide and f"{p.result.kind}{p.result.itemsize}" == parts.sums
        return p.compute.kind != "c" and (own or parts.converted != "")

    @property
    def in_place(self) -> bool:
        """Whether the interior of a wide block is read where it lies: few planes, lest they meet in few sets of L1."""
        p = self.parts.problem
        wide = self.to_out and self.columns >= WIDE + 2 and p.stride[2] == 1
        wide &= self.order != "pixels" or self.block[1] == 1  # for many filters packing costs less than rims
        return wide and p.x_dtype == p.compute and p.group_channels * p.kernel[0] <= 4

    @property
    def packing_cycles(self) -> float:
        """Cycles of packing for a block."""
        p, passes = self.parts.problem, len(self.passes)
        depth, height, width = self.axes(p.kernel[0], p.kernel[1] if passes == 1 else 1)
        rows = depth.slots * height.slots * self.parts.channels * p.groups * (1 if passes == 1 else p.kernel[1])
        rows *= -(-self.units // self.most_units)
        vectors = width.slots / self.lanes
        if p.channels_last and p.channels * self.parts.x_parts > 1:  # gathered value by value
            return rows * (30 * width.segment_count + width.slots * 4)
        if self.in_place:
            return 0.6 * rows * vectors
        return rows * (30 * width.segment_count + vectors * (4 if p.stride[2] == 1 else 8))

    @property
    def finishing_cycles(self) -> float:
        """Cycles of finishing a block: bias, activation and store of chain sums."""
        p = self.parts.problem
        if self.to_out and (not p.channels_last or p.filters == 1):
            return 0.0
        results = self.pixels * p.filters * self.parts.o_parts
        if p.reduce:
            rows = self.block[0] * self.block[1] * p.filters
            return results * (3.0 if "mean" in p.reductions else 0.2) + rows * FOLDING
        return results * self.item * (0.06 if not p.channels_last or p.filters == 1 else 0.6)


def pixel_layouts(parts: Parts, machine: Machine, integers: bool) -> list[PixelLayout]:
    """The best layout of each order with pixels in lanes: first the tile, then its blocks."""
    lanes, item = machine.lanes[parts.scalar], int(parts.scalar[1])
    _, OH, OW = parts.problem.out_spatial
    result = []
    for order, shapes in orders(parts, machine):
        usual = (1, min(OH, 32), OW)
        every = [
            PixelLayout(parts, order, rows, vecs, lanes, usual, item, 8 if integers else item) for rows, vecs in shapes
        ]
        result.append(best_block(min(every, key=lambda layout: layout.cycles)))
    return result


def orders(parts: Parts, machine: Machine) -> Iterable[tuple[str, tiles.Shape]]:
    """Orders that support a problem, with the shapes of their tiles."""
    p = parts.problem
    yield "pixels", tiles.shapes(tiles.PIXELS, machine)
    if one_plane(parts):
        shapes = tiles.planes(p.kernel[1] * p.kernel[2], machine)
        if shapes:
            yield "planes", shapes
    if p.stride[1] == 1 and p.dilation[1] == 1:
        yield "rows", tiles.shapes(tiles.ROWS, machine)
        if p.kernel[0] == 1 and len(parts.chains) == 1:
            shapes = tiles.rolling(p.kernel[1], machine)
            if shapes:
                yield "rolling", shapes


def one_plane(parts: Parts) -> bool:
    """Whether a filter sees one plane, by few taps in one chain, and nothing is converted that a tile may store."""
    p = parts.problem
    real = p.compute == p.result and p.compute.kind == "f" and p.x_dtype.kind != "c"
    taps = p.kernel[1] * p.kernel[2]
    few = p.kernel[1] > 1 and p.kernel[0] == 1 and taps <= tiles.FEW_TAPS
    worth = prod(p.out_spatial) * p.filters * taps >= WORTH_CODE
    return real and few and worth and p.group_channels == 1 and len(parts.chains) == 1


def best_block(layout: PixelLayout) -> PixelLayout:
    """The same layout with the blocks of least estimated cost."""
    every = (replace(layout, block=block) for block in candidate_blocks(layout))
    return min(every, key=lambda other: other.cycles)


def candidate_blocks(layout: PixelLayout) -> list[tuple[int, int, int]]:
    """Blocks to choose from: equal parts of the axes; whole planes together where they are small."""
    OD, OH, OW = layout.parts.problem.out_spatial
    least = 8 * layout.lanes if OH == 1 else 8192  # several blocks beside each other: more rims, shorter streams
    widths = {OW} | {-(-OW // n // layout.lanes) * layout.lanes for n in (2, 4, 16, 64, 256, 1024) if OW // n >= least}
    most = MOST_PIXELS if layout.order == "rolling" else MOST_PIXELS // 4
    result = []
    for w in widths:
        heights = {h for h in (-(-OH // n) for n in (1, 2, 4, 8, 16, 32, 64, 128)) if w * h <= most or h == 1}
        result += [(1, h, w) for h in heights or {max(1, most // w)}]
    if OH * OW <= 256 and OD > 1:
        result += [(min(OD, d), OH, OW) for d in (2, 4, 16)]
    return result
