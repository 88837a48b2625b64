"""How `direct` computes a problem: lane order, tile, blocks, passes, layout of the worker's bytes.

Everything here is Python, pure and cached by the problem; nothing here changes a bit of the result.

Tried and left (float32, one AVX-512 core): filter panels inside chains instead of outside (VGG 3_2 at 137 GFLOP/s
instead of 152: chain sums of all panels leave L2); blocks of about 16 tiles (152 instead of 167: every block reads all
weights); a packed rim around an interior that is read in place (0.97 to 1.01x of packing everything: the data has to
come from memory once either way).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

from .._problem import Problem
from . import tiles
from .axis import Axis, apart, together
from .machine import Machine

PACKED_BYTES = 768 << 10
"""Budget of a packed input tile: with chain sums and weights it should stay in a second-level cache."""
FEW_PIXELS = 160
"""Pixels from which a block has enough work for the weights that it reads."""
SLICE_BYTES = 32 << 10
"""Budget of a panel's slice in a first-level cache."""
UNIT_SUMS_BYTES = 256 << 10
"""Budget of the chain sums of one unit for a chunk."""
REDUCED_BYTES = 16 << 10
"""The same where they are reduced at once and a unit's weights are no more: all stays in a first-level cache."""
WEIGHTS_SHARE = 0.25
"""Of the work of transforming or factoring weights that methods count for a sample: a function does it for every call,
a plan never.

(Over 324 problems, one core: with a tenth 17 functions are slower than those of `direct`, with a half 11; but then 15
plans, not 11, miss the fastest by more than a fourth.)"""
SUMS_BYTES = 512 << 10
"""Budget of the chain sums of all units of a job, where several passes add to them."""


@dataclass(frozen=True)
class Parts:
    """A problem as real arithmetic: interleaved parts of complex numbers are channels and filters of their own."""

    problem: Problem
    scalar: str  # code of the computing type's parts: f4, f8; of integers also i4 and i8, see `integers`
    x_parts: int
    o_parts: int
    wide: bool = False  # chain sums are added up in int64

    @property
    def sums(self) -> str:
        """Scalar code of the sums of chains."""
        if self.wide or self.scalar == "i8":
            return "u8" if self.problem.compute.kind == "u" else "i8"
        return self.scalar

    @property
    def converted(self) -> str:
        """Code of a result of wider or other integers than the lanes, which no sum can leave; "" for all others."""
        p = self.problem
        result = f"{p.result.kind}{p.result.itemsize}"
        if not p.exact or self.wide or self.scalar == "i8" or result == self.scalar:
            return ""
        holds = p.result.itemsize == 8 or (p.result.itemsize == 4 and self.scalar != "f8")
        return result if holds and p.result.kind in ("i", p.compute.kind) else ""

    @property
    def channels(self) -> int:
        """Real channels of a group."""
        return self.problem.group_channels * self.x_parts

    @property
    def filters(self) -> int:
        """Real filters of a group."""
        return self.problem.group_filters * self.o_parts

    def blocks_of(self, block: tuple[int, int, int]) -> tuple[int, int, int]:
        """Blocks of a size in a sample's output, along each axis."""
        d, h, w = (-(-out // size) for out, size in zip(self.problem.out_spatial, block, strict=True))
        return d, h, w

    @cached_property
    def row_steps(self) -> int:
        """Steps of a tap row."""
        return self.problem.kernel[2] * self.channels

    @cached_property
    def chains(self) -> list[tuple[int, int]]:
        """(first step, last + 1) of each chain."""
        steps = self.row_steps
        return [
            (a * steps + begin * self.x_parts, (b - 1) * steps + end * self.x_parts)
            for a, b, begin, end in self.problem.chains()
        ]


@dataclass(frozen=True)
class Layout:
    """One way to compute a problem: everything but addresses. Sizes in bytes unless they are counts.

    This one has filters in lanes; `pixel_layouts` derives those with pixels in lanes.
    """

    parts: Parts
    order: str  # "filters" (in lanes), or pixels in lanes: "pixels" (rows are filters), "rows", "rolling", "planes"
    rows: int
    vecs: int
    lanes: int
    block: tuple[int, int, int]
    item: int
    acc_item: int

    method = "direct"

    @property
    def width(self) -> int:
        """Lanes of a tile."""
        return self.vecs * self.lanes

    @property
    def unit_filters(self) -> int:
        """Filters of a panel."""
        return self.width

    @property
    def group_units(self) -> int:
        """Units of a group."""
        return -(-self.parts.filters // self.unit_filters)

    @property
    def units(self) -> int:
        """Units of all groups."""
        return self.group_units * self.parts.problem.groups

    @property
    def blocks(self) -> tuple[int, int, int]:
        """Blocks of a sample along each axis."""
        return self.parts.blocks_of(self.block)

    def axes(self, planes: int, rows: int) -> tuple[Axis, Axis, Axis]:
        """What a block reads for some tap planes and rows, along D, H and W."""
        p = self.parts.problem
        d, h = (
            apart(self.block[i], p.stride[i], p.dilation[i], taps, p.stride[i]) for i, taps in enumerate((planes, rows))
        )
        return d, h, self.row_of(self.block[2])

    def row_of(self, outputs: int) -> Axis:
        """What so many outputs of a row read."""
        p = self.parts.problem
        return together(outputs, p.stride[2], p.dilation[2], p.kernel[2])

    def pitches(self, planes: int, rows: int) -> dict[str, int]:
        """Byte pitches of the packed tile: n, d, h, segments of w, w, c; "groups" of it, "bytes" of a sample."""
        item, channels, groups = self.item, self.parts.channels, self.parts.problem.groups
        depth, height, width = self.axes(planes, rows)
        w = channels * groups * item
        if not self.parts.problem.channels_last and w % 4096 == 0:
            w += 64  # pixels that are written one after the other meet in one set of L1 (1x1, 1024 channels: 6 %)
        segment = width.length * w
        h = width.segment_count * segment
        d = height.slots * h
        size = depth.slots * d
        n = -(-size // 64) * 64
        return {"c": item, "w": w, "segment": segment, "h": h, "d": d, "n": n, "groups": groups, "bytes": size}

    @cached_property
    def passes(self) -> list[tuple[int, int, int, int, int, int]]:
        """(first chain, last + 1, kd0, kd1, kh0, kh1): consecutive chains whose input fits the budget together."""
        KD, KH, _ = self.parts.problem.kernel
        chains = self.parts.problem.chains()

        def box(first: int, last: int) -> tuple[int, int, int, int]:
            a, b = chains[first][0], chains[last][1]
            kd0, kd1 = a // KH, (b - 1) // KH + 1
            return (kd0, kd1, a - kd0 * KH, b - kd0 * KH) if kd1 - kd0 == 1 else (kd0, kd1, 0, KH)

        def fits(first: int, last: int) -> bool:
            kd0, kd1, kh0, kh1 = box(first, last)
            return self.pitches(kd1 - kd0, kh1 - kh0)["bytes"] <= PACKED_BYTES

        if self.pitches(KD, KH)["bytes"] <= PACKED_BYTES:
            return [(0, len(chains), 0, KD, 0, KH)]
        result, first = [], 0
        while first < len(chains):
            last = first
            # The chains that a long tap row is cut into read the same input: they always go together.
            while last + 1 < len(chains) and (box(first, last + 1) == box(first, last) or fits(first, last + 1)):
                last += 1
            result.append((first, last + 1, *box(first, last)))
            first = last + 1
        return result

    @cached_property
    def extent(self) -> dict[str, int]:
        """Pitches of the packed tile, large enough for every pass."""
        every = [self.pitches(kd1 - kd0, kh1 - kh0) for _, _, kd0, kd1, kh0, kh1 in self.passes]
        return max(every, key=lambda pitch: pitch["bytes"])

    @property
    def pixels(self) -> int:
        """Output pixels of a block of one sample."""
        d, h, w = self.block
        return d * h * w

    @cached_property
    def samples(self) -> int:
        """Samples that a block may span, where one has few pixels: they share the weights that come from memory."""
        if self.blocks != (1, 1, 1) or len(self.passes) > 1:
            return 1
        return max(1, min(-(-FEW_PIXELS // self.pixels), PACKED_BYTES // self.extent["n"]))

    @cached_property
    def chunk(self) -> int:
        """Pixels whose chain sums are kept at a time."""
        if len(self.passes) > 1:
            return self.pixels
        weights = self.parts.chains[-1][1] * self.width * self.item
        budget = REDUCED_BYTES if self.parts.problem.reduce and weights <= REDUCED_BYTES else UNIT_SUMS_BYTES
        most = max(1, budget // (self.width * self.acc_item * self.rows)) * self.rows
        return min(self.pixels * self.samples, most)

    @cached_property
    def sums(self) -> dict[str, int]:
        """Bytes between pixels, rows, lanes and units of the chain sums."""
        item, pixels = self.acc_item, -(-self.chunk // self.rows) * self.rows
        step = self.width * item
        return {"pixel": step, "row": 0, "lane": item, "unit": pixels * step}

    @cached_property
    def slices(self) -> int:
        """Into how many slices a chain is cut, so that a panel's part of it stays in L1."""
        longest = max(end - begin for begin, end in self.parts.chains)
        return -(-longest * self.width * self.item // SLICE_BYTES)

    @cached_property
    def most_units(self) -> int:
        """Units that one job may take: where there are several passes, their chain sums have to fit the budget."""
        if len(self.passes) == 1:
            return self.units
        return max(1, min(self.units, SUMS_BYTES // self.sums["unit"]))

    @cached_property
    def offsets(self) -> dict[str, int]:
        """Where things lie in the worker's bytes; "slot" is how many it has."""
        depth, height, width = self.axes(*self.parts.problem.kernel[:2])
        return laid_out(
            left=8 * (self.chunk + self.rows),
            out=8 * (self.chunk + self.rows),
            boxes=64 * (-(-self.chunk // self.rows)) if self.parts.problem.pads_zeros else 0,
            segments=24 * self.most_runs,
            rows=16 * depth.slots * height.slots,
            runs=40 * width.segment_count,
            acc=self.sums["unit"] * (1 if len(self.passes) == 1 else self.most_units),
            partial=(self.chunk + self.rows) * self.width * self.item if self.slices > 1 else 0,
            packed=self.samples * self.extent["n"],
        )

    @property
    def most_runs(self) -> int:
        """Runs of neighbours in out that a chunk may be cut into, with the pixels of columns at the border alone."""
        p = self.parts.problem
        border = 0
        if p.pads_zeros:
            border = sum(-(-pad // p.stride[2]) for pad in p.pads[2])
        height = self.samples * self.block[0] * self.block[1]
        return min(self.chunk, height * (min(border, self.block[2]) + 1)) + 1

    @property
    def overrun(self) -> int:
        """Bytes past the packed tile that are read, and thrown away."""
        return 0


def laid_out(**needs: int) -> dict[str, int]:
    """Offsets of areas of so many bytes, on cache lines of their own; "slot" is where the last one ends."""
    at, size = {}, 512  # the BLOCK record
    for name, amount in needs.items():
        at[name] = size
        size += -(-amount // 64) * 64
    return at | {"slot": size}


def filter_layouts(parts: Parts, machine: Machine, integers: bool) -> list[Layout]:
    """Layouts with filters in lanes: the tiles of about the least work, each with its best blocks."""
    lanes, item = machine.lanes[parts.scalar], int(parts.scalar[1])
    shapes = tiles.shapes(tiles.FILTERS, machine)
    every = [Layout(parts, "filters", r, v, lanes, (1, 1, 1), item, 8 if integers else item) for r, v in shapes]
    least = min(map(tile_cost, every))
    return [best_block(layout) for layout in every if tile_cost(layout) <= 1.1 * least]


def tile_cost(layout: Layout) -> float:
    """Cycles of the multiply-adds of a sample in one block, with the waste of lanes and rows that hold nothing."""
    pixels = prod(layout.parts.problem.out_spatial)
    count = -(-min(pixels, 4096) // layout.rows) / min(pixels, 4096)
    return count * pixels * layout.units * cycles_a_tile(layout)


def cycles_a_tile(layout: Layout) -> float:
    """Cycles of all steps of one tile, and of beginning and adding up its chains."""
    chains = layout.parts.chains
    steps = chains[-1][1] * tiles.cycles_a_step(layout.rows, layout.vecs)
    return steps + len(chains) * layout.slices * (20 + layout.rows * layout.vecs)


def best_block(layout: Layout) -> Layout:
    """The same layout with the blocks of least estimated cost."""
    return min((replace(layout, block=block) for block in candidate_blocks(layout)), key=estimate)


def candidate_blocks(layout: Layout) -> list[tuple[int, int, int]]:
    """Blocks to choose from: equal parts of the axes; whole planes together where they are small."""
    OD, OH, OW = layout.parts.problem.out_spatial
    low = 2 * layout.rows
    widths = {-(-OW // n) for n in (1, 2, 4, 16, 64, 256, 1024) if OW // n >= low or n == 1}
    result = []
    for w in widths:
        heights = {-(-OH // n) for n in (1, 2, 4, 8, 16, 32, 64) if w * -(-OH // n) <= 8192} | {min(OH, 4), 1}
        result += [(1, h, w) for h in heights]
    if OH * OW <= 256 and OD > 1:
        result += [(min(OD, d), OH, OW) for d in (2, 4, 16)]
    result.append((1, 1, min(OW, low)))
    return result


def estimate(layout: Layout) -> float:
    """Cycles for a sample: multiply-adds with their waste, packing, finishing; constants are rough measurements."""
    p = layout.parts.problem
    nd, nh, nw = layout.blocks
    blocks = nd * nh * nw
    d, h, w = layout.block
    count = -(-layout.pixels // layout.rows)
    results = layout.pixels * p.filters * layout.parts.o_parts
    straight = p.channels_last
    finishing = results * layout.item * (0.06 if straight or p.filters == 1 or p.reduce else 0.1 + 0.05 * layout.vecs)
    if not straight and not p.reduce:
        finishing += 20 * p.filters * (1 if w == p.out_spatial[2] else d * h)  # runs of neighbours in out
    weights = layout.parts.chains[-1][1] * layout.units * layout.unit_filters * layout.item
    streaming = weights / layout.samples * (0.15 if weights > 1 << 20 else 0.05)  # from L3 or L2
    slot = layout.offsets["slot"]
    crowded = 1 + 0.05 * (slot / (512 << 10)) ** 2 if slot <= (2 << 20) else 3.0
    compute = count * layout.units * cycles_a_tile(layout)
    return crowded * blocks * (compute + packing(layout) + finishing + streaming + 1500) * (1 + 0.1 / blocks)


def packing(layout: Layout) -> float:
    """Cycles of packing a block: few planes are transposed value by value."""
    p, passes = layout.parts.problem, len(layout.passes)
    planes, rows, width = layout.axes(p.kernel[0], p.kernel[1] if passes == 1 else 1)
    count = planes.slots * rows.slots * width.slots * layout.parts.channels * p.groups
    count *= (1 if passes == 1 else p.kernel[1]) * -(-layout.units // layout.most_units)
    return count * layout.item * (0.1 if p.channels_last or p.channels == 1 else 0.2 if p.channels >= 8 else 0.5)
