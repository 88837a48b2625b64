"""How gradients of weights are computed: tile, order of lanes, chunks, what a job is. Nothing here changes a bit.

Real arithmetic as in `schedule`: rows are channels of x, lanes filters; with complex x and real gradients the parts of
x are rows of their own, with complex gradients their parts are lanes, and with both a pixel is two steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import gcd, prod
from typing import NamedTuple

from .._problem import KC, Problem
from . import tiles
from .direct import code_of
from .execute import LONGEST_JOB
from .machine import Machine

SEGMENT, FEW = 256, 16
"""Chains of a segment, `kernels.gradient`; pixels that are packed together, `kernels.gradient_pack`."""
BLOCK_BYTES = 64
"""Of the channels of a pixel that are packed together; or of all, if they are no more."""
CROWDED_BYTES = 1 << 20
"""Of both together, from which they leave a second-level cache."""
PACKED_BYTES, SUMS_BYTES = 320 << 10, 384 << 10
"""Budgets of a chunk's packed pixels and of a job's sums, in a second-level cache."""
MOST_SPREAD = 8
"""Channels of a group up to which lanes may be filters of several groups."""
PACK_X, PACK_G = 0.3, 0.15
"""Rough cycles of packing a value of x and of the gradient."""


@dataclass(frozen=True)
class Layout:
    """A problem as real arithmetic on one tile shape."""

    problem: Problem
    rows: int
    vecs: int
    lanes: int
    conjugate_x: bool  # else the gradient
    apart: bool = False  # lanes are filters of all groups

    @cached_property
    def scalar(self) -> str:
        """Code of the computing type's parts."""
        return code_of(self.problem.compute)

    @cached_property
    def item(self) -> int:
        """Bytes of one."""
        return int(self.scalar[1])

    @property
    def x_parts(self) -> int:
        """Real parts of a sample."""
        return 2 if self.problem.x_dtype.kind == "c" else 1

    @property
    def o_parts(self) -> int:
        """Real parts of a gradient."""
        return 2 if self.problem.w_dtype.kind == "c" else 1

    @property
    def steps(self) -> int:
        """Of a pixel."""
        return 2 if self.x_parts == self.o_parts == 2 else 1

    @property
    def width(self) -> int:
        """Lanes of a panel."""
        return self.vecs * self.lanes

    @property
    def groups(self) -> int:
        """That jobs have for themselves."""
        return 1 if self.apart else self.problem.groups

    @property
    def channels(self) -> int:
        """Rows of a tap, of a group."""
        return self.problem.group_channels * self.x_parts // self.steps

    @property
    def filters(self) -> int:
        """Real filters of a group, or of all."""
        return (self.problem.filters if self.apart else self.problem.group_filters) * self.o_parts

    @property
    def panel_filters(self) -> int:
        """Real filters of a panel: whole groups, where there are several."""
        each = self.problem.group_filters
        return self.width // each * each if self.apart else self.width

    @property
    def panels(self) -> int:
        """Of a group."""
        return -(-self.filters // self.panel_filters)

    @property
    def taps(self) -> int:
        """Of the kernel."""
        return prod(self.problem.kernel)

    @property
    def elements(self) -> int:
        """Of a group: rows of all taps."""
        return self.taps * self.channels

    @property
    def block_channels(self) -> int:
        """Channels of a packed block."""
        return self.channels if self.apart else min(self.channels, BLOCK_BYTES // (self.steps * self.item))

    @property
    def block_inputs(self) -> int:
        """Real channels of x that a packed block has."""
        if self.apart:
            return self.panel_filters // self.problem.group_filters * self.channels
        return self.block_channels * self.steps

    @property
    def row_bytes(self) -> int:
        """Of a channel of a packed pixel."""
        return self.item * (self.width if self.apart else self.steps)

    @property
    def pixel_bytes(self) -> int:
        """Of a packed pixel."""
        return self.block_channels * self.row_bytes

    @cached_property
    def spacing(self) -> tuple[tuple[int, int, int], ...]:
        """Along H and W: positions between packed slots, slots between outputs, slots between taps."""
        p = self.problem
        found = []
        for k, s, d, out in zip(p.kernel[1:], p.stride[1:], p.dilation[1:], p.out_spatial[1:], strict=True):
            step = s if k == 1 else d if out == 1 else gcd(s, d)
            found.append((step, s // step, d // step))
        return tuple(found)

    @cached_property
    def chain(self) -> tuple[int, int, int]:
        """(output rows of a chain, chains of a row, pixels of these)."""
        OW = self.problem.out_spatial[2]
        row = OW * self.steps
        if row <= KC:
            return KC // row, 1, OW
        piece = -(-OW // -(-row // KC))
        return 1, -(-OW // piece), piece

    def chains(self, samples: int) -> int:
        """Of so many samples."""
        rows, pieces, _ = self.chain
        return -(-samples * prod(self.problem.out_spatial[:2]) // rows) * pieces


class Chunk(NamedTuple):
    """Chains that are packed together: those of a row, whole rows where a row has several; what they need."""

    chains: int
    rows: int  # whole ones, where a row has several chains
    columns: int
    lines: int
    steps: int

    def line_bytes(self, layout: Layout) -> int:
        """Of a packed line of a block."""
        _, ahead, apart = layout.spacing[1]
        return ((self.columns - 1) * ahead + (layout.problem.kernel[2] - 1) * apart + 1) * layout.pixel_bytes

    def packed_bytes(self, layout: Layout, blocks: int, panels: int) -> int:
        """Of so many blocks of channels and panels of filters."""
        g = panels * self.steps * layout.width * layout.item
        return g + blocks * self.lines * self.line_bytes(layout)


def chunks(layout: Layout) -> list[Chunk]:
    """Chunks to choose from, the smallest first."""
    rows, pieces, piece = layout.chain
    OW = layout.problem.out_spatial[2]

    def of_rows(count: int, chains: int, whole: int) -> Chunk:
        return Chunk(chains, whole, OW, _lines(layout, count), count * OW * layout.steps)

    if pieces == 1:
        return [of_rows(n * rows, n, 0) for n in (1, 2, 4, 8, 16)]  # a segment begins with one
    parts = [n for n in (1, 2, 4, 8, 16) if n < pieces]
    small = [Chunk(n, 0, n * piece, _lines(layout, 1), n * piece * layout.steps) for n in parts]
    return (
        small + [of_rows(1, pieces, 1)] + [of_rows(n, pieces * n, n) for n in (2, 4, 8) if SEGMENT % (n * pieces) == 0]
    )


def _lines(layout: Layout, rows: int) -> int:
    """Lines that so many output rows see at most, the first being any multiple of their number."""
    p, (_, ahead, apart) = layout.problem, layout.spacing[0]
    OH, span = p.out_spatial[1], (p.kernel[1] - 1) * apart + 1
    step = gcd(rows, OH)
    planes = [1 + max(0, -(-(rows + first - OH) // OH)) for first in range(0, OH, step)]
    return p.kernel[0] * max((rows - count) * ahead + count * span for count in planes)


class Blocks(NamedTuple):
    """How the elements and filters of a group are shared out to jobs."""

    element_part: int
    filter_part: int  # panels
    chunk: Chunk


def sums_bytes(layout: Layout, elements: int, panels: int) -> int:
    """Of a job's sums."""
    return -(-elements // layout.rows) * layout.rows * panels * layout.width * layout.item


def blocks_of(layout: Layout, samples: int, threads: int) -> Blocks:
    """Jobs of least estimated time."""
    every = -(-layout.channels // layout.block_channels)
    block = layout.taps * layout.block_channels
    counts = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 128)
    elements = {min(layout.elements, -(-every // n) * block) for n in counts}
    share = min(layout.elements, block)
    elements |= {-(-share // n // layout.rows) * layout.rows for n in counts if share // n >= layout.rows}
    panels = {-(-layout.panels // n) for n in counts}
    found = [_with_chunk(layout, e, f) for e, f in product(sorted(elements), sorted(panels))]
    return min(found, key=lambda blocks: cycles(layout, blocks, samples, threads))


def _with_chunk(layout: Layout, elements: int, panels: int) -> Blocks:
    first, *others = chunks(layout)
    blocks = blocks_seen(layout, elements, panels)
    fitting = [c for c in others if c.packed_bytes(layout, blocks, panels) <= PACKED_BYTES]
    return Blocks(elements, panels, fitting[-1] if fitting else first)


def blocks_seen(layout: Layout, elements: int, panels: int) -> int:
    """Blocks of packed channels that a job may meet."""
    if layout.apart:
        return panels
    block, every = layout.taps * layout.block_channels, -(-layout.channels // layout.block_channels)
    return min(every, elements // block + (2 if elements % block else 0))


def cycles(layout: Layout, blocks: Blocks, samples: int, threads: int) -> float:
    """Estimated for a call: jobs one after the other, as many at a time as there are threads."""
    p, (elements, panels, chunk) = layout.problem, blocks
    chains = layout.chains(samples)
    segments = -(-chains // SEGMENT)
    jobs = segments * layout.groups * -(-layout.elements // elements) * -(-layout.panels // panels)
    pixels = samples * prod(p.out_spatial) / segments
    tile_count = -(-elements // layout.rows) * panels
    step = max(4.0, (layout.rows + 1) / 2) if layout.apart else tiles.cycles_a_step(layout.rows, layout.vecs)
    compute = tile_count * pixels * layout.steps * step
    compute += tile_count * chains / segments * (20 + 2 * layout.rows * layout.vecs)
    rows = chunk.steps / layout.steps / chunk.columns
    halo = chunk.lines * chunk.line_bytes(layout) / layout.item / (rows * chunk.columns)
    seen = blocks_seen(layout, elements, panels)
    pack = pixels * (seen * halo * PACK_X + panels * layout.width * layout.steps * PACK_G)
    seconds = (compute + pack) / 4e9
    sums = sums_bytes(layout, elements, panels)
    late = max(1.0, seconds / LONGEST_JOB) ** 4 * max(1.0, sums / SUMS_BYTES) ** 0.5
    late *= max(1.0, (chunk.packed_bytes(layout, seen, panels) + sums) / CROWDED_BYTES) ** 0.5
    return -(-jobs // threads) * (compute + pack + 3000) * late


def layout_of(problem: Problem, conjugate_x: bool, cpu: Machine) -> Layout:
    """The layout of least work."""
    lanes = cpu.lanes[code_of(problem.compute)]
    every = [Layout(problem, rows, vecs, lanes, conjugate_x) for rows, vecs in tiles.shapes(tiles.GRADIENTS, cpu)]
    real = problem.compute.kind != "c"
    if problem.groups > 1 and real and problem.group_channels <= MOST_SPREAD and problem.group_filters <= lanes:
        shapes = tiles.shapes(tiles.GRADIENTS_APART, cpu)
        every += [Layout(problem, rows, vecs, lanes, conjugate_x, apart=True) for rows, vecs in shapes]
    return min(every, key=_work)


def _work(layout: Layout) -> float:
    """Estimated cycles of a pixel, and of packing it."""
    if layout.apart:
        step = max(4.0, (layout.rows + 1) / 2)
        return layout.panels * (-(-layout.elements // layout.rows) * step + layout.lanes * layout.channels * PACK_X)
    rest = layout.elements / layout.rows
    count = rest if rest > 8 else -(-rest // 1)
    step = tiles.cycles_a_step(layout.rows, layout.vecs)
    return layout.groups * (count * layout.panels * step + layout.panels * layout.width * PACK_G)
