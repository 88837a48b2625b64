"""Method `separable`: a column and a row, or two of each, instead of a filter's products: KH + KW for KH * KW.

`rank` finds them, `kernels.separable` says how a block is computed. Here: which problems, tile and blocks, packed taps.
Results are within (KH + KW + 8) * e * S' of the exact ones, S' the sum of |x||column||row| of all terms, plus |bias|: a
chain of KW products, one of KH, two roundings of taps, and weights that are 2e off at most.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import prod

import numpy as np

from .._problem import Problem
from . import cache, children, direct, exercise, rank, tiles
from .direct import RELU, Schedule, code_of
from .machine import machine
from .memory import aligned_empty, cast
from .records import PLAN_SLOT, written
from .schedule import WEIGHTS_SHARE, Parts, laid_out
from .tables import index_tables

RING_BYTES = 448 << 10
"""Budget of the rows between the passes, for each of two terms: they stay in a second-level cache.

Two Zen 5 cores, 3x3 on 2048x2048 float32 in a third-level cache, milliseconds: whole rows in chunks of 32 and of 16
0.59, of 8 0.67, of 4 0.75; half rows in chunks of 32 0.77, a third 0.86, a fourth 1.0.
"""
CHUNKS = (32, 16)
"""Output rows of a chunk, if whole rows of so many fit."""
PARTS_CHUNK, HIGH_CHUNK, HIGH = 32, 64, 32
"""And if not; for filters from HIGH rows on, as many rows are moved from chunk to chunk (101x101: 6.9 ms, not 7.2)."""
LEAST_BLOCKS = 8
"""Blocks of a large sample: work for as many threads."""
LEAST_PRODUCTS, LEAST_OUTPUTS = 10**7, 1 << 16
"""Products of a sample, and outputs of a filter, from which `auto` looks for columns and rows: that takes up to 0.3 us
for each weight of filters that have none."""
NEAR_CHANNELS = 4
"""Channels up to which `auto` takes this method, since rows of more are gathered value by value."""
FACTORING = 2e4
"""Cycles for each row of a filter that is factored."""
UNFIT = rank.UNFIT
HEAD_BYTES = 64


@dataclass(frozen=True)
class Separable:
    """One way to compute a problem by two passes: everything but addresses. Sizes in bytes unless they are counts."""

    parts: Parts
    rows: int  # of a tile of the pass along columns
    vecs: int
    lanes: int
    block: tuple[int, int, int]
    item: int
    most_rows: int  # of a chunk

    method = order = "separable"
    most_units = 1 << 30
    samples = 1
    unit_filters = 1

    @property
    def width(self) -> int:
        """Columns of a strip."""
        return self.vecs * self.lanes

    @property
    def units(self) -> int:
        """Filters."""
        return self.parts.problem.filters

    @property
    def group_units(self) -> int:
        """Filters of a channel."""
        return self.parts.problem.group_filters

    @property
    def blocks(self) -> tuple[int, int, int]:
        """Blocks of a sample along each axis."""
        return self.parts.blocks_of(self.block)

    @property
    def chunk(self) -> int:
        """Output rows between two moves of the ring; all chunks but the last are as high."""
        return min(self.block[1], self.most_rows)

    @property
    def pitches(self) -> dict[str, int]:
        """Bytes of a strip, of all strips of a term, of a packed row."""
        high = self.chunk + self.parts.problem.kernel[1] - 1 + self.rows  # tiles at the end overhang
        strip = high * self.width * self.item + 64  # strips one above the other would meet in few sets of L1
        columns = -(-self.block[2] // self.width) + 1  # the first may overlap the second
        line = (self.block[2] + self.parts.problem.kernel[2] - 1) * self.item
        return {"strip_bytes": strip, "term_bytes": strip * columns, "pk_h": -(-line // 64) * 64 + 64}

    @property
    def sums(self) -> dict[str, int]:
        """Bytes between pixels, rows, lanes and units of the results that `finish` is to store."""
        row = -(-self.block[2] * self.item // 64) * 64
        return {"pixel": self.item, "row": row, "lane": row * self.chunk, "unit": 0}

    @cached_property
    def offsets(self) -> dict[str, int]:
        """Where things lie in the worker's bytes; "slot" is how many it has."""
        pitches = self.pitches
        return laid_out(
            segments=24 * (self.chunk + 1),
            partial=(self.rows + 1) * self.width * self.item,
            packed=2 * pitches["pk_h"],
            acc=self.sums["lane"],
            ring=rank.MOST * pitches["term_bytes"],
        )

    @property
    def unit_bytes(self) -> int:
        """Of the taps of a filter, with room for two terms."""
        _, KH, KW = self.parts.problem.kernel
        return rank.MOST * (KH + KW) * self.item

    @property
    def cycles(self) -> float:
        """Estimated for a sample, with one term."""
        return cycles(self.parts.problem, 1)


def cycles(p: Problem, terms: int) -> float:
    """Estimated for a sample: vectors of both passes, and of what is not a product; rough measurements.

    Rows at the edges of blocks pass twice, so that 101x101 taps on 256x256 are left to `fft`.
    """
    _, KH, KW = p.kernel
    vectors = prod(p.out_spatial) * p.filters / machine().lanes[code_of(p.compute)]
    twice = best(p).blocks[1] * (KH - 1) / p.out_spatial[1]
    factoring = WEIGHTS_SHARE * FACTORING * p.filters * KH
    return vectors * (terms * ((1.25 * KW + 2) * (1 + twice) + 0.7 * KH + 3) + 6) + factoring


def refusal(problem: Problem) -> str:
    """Why a problem cannot be computed by two passes; "" if it can."""
    p = problem
    if p.compute.char not in "fd" or not p.x_dtype == p.compute == p.result:
        return "only float32 and float64, in and out"
    if p.group_channels != 1:
        return "only filters of one channel"
    if p.kernel[0] != 1 or min(p.kernel[1:]) < 2:
        return "only filters of two axes"
    if p.stride[1:] != (1, 1) or p.dilation[1:] != (1, 1):
        return "only stride 1 and dilation 1"
    lanes = machine().lanes[code_of(p.compute)]
    return "" if p.out_spatial[2] >= lanes else f"only rows of {lanes} outputs at least"


def cost(problem: Problem) -> float:
    """Estimated cycles for a sample."""
    return cycles(problem, 1)


def reluctance(problem: Problem) -> str:
    """Why `auto` leaves a problem to others although it could be computed; "" if it does not."""
    p = problem
    outputs = prod(p.out_spatial)
    if outputs < LEAST_OUTPUTS or outputs * p.filters * prod(p.kernel) < LEAST_PRODUCTS:
        return f"only from {LEAST_PRODUCTS:,} products and {LEAST_OUTPUTS:,} outputs of a filter on"
    return "" if p.channels <= NEAR_CHANNELS else f"only up to {NEAR_CHANNELS} channels"


@lru_cache(maxsize=1024)
def best(problem: Problem) -> Separable:
    """Tile and blocks: as wide as the ring allows, and as high as leaves blocks for several threads."""
    cpu, scalar = machine(), code_of(problem.compute)
    lanes, item, (OD, OH, OW) = cpu.lanes[scalar], int(scalar[1]), problem.out_spatial
    _, KH, _ = problem.kernel
    parts = Parts(problem, scalar, 1, 1)
    rows, most = tiles.shapes(tiles.ROWS, cpu)[0]
    chunk = PARTS_CHUNK if KH < HIGH else HIGH_CHUNK
    whole = [height for height in CHUNKS if widest_of(height, KH + rows, item) >= OW]
    if whole:
        chunk, across = whole[0], 1
    else:
        across = -(-OW // max(widest_of(chunk, KH + rows, item), 2 * most * lanes))
    width = -(-OW // across)
    vecs = next(v for v in (most, 4, 3, 2, 1) if v <= most and v * lanes <= width)
    while 0 < OW % width < vecs * lanes:  # the last block, too, is as wide as a strip
        width += 1
    down = max(1, min(-(-LEAST_BLOCKS // (across * OD)), OH // max(32, 4 * KH)))
    down = max(down, OH // max(512, 16 * KH))
    return Separable(parts, rows, vecs, lanes, (1, -(-OH // down), width), item, chunk)


def widest_of(chunk: int, more: int, item: int) -> int:
    """Columns of which a chunk's rows, and so many more, fit the ring."""
    return RING_BYTES // ((chunk + more) * item)


def build(problem: Problem) -> Schedule:
    """Schedule a problem that is not refused."""
    return record(problem, best(problem))


def kernels_of(layout: Separable) -> dict[str, tuple]:
    """Factory and parameters of the kernel of each stage, and of the job that calls them."""
    p, scalar, fused = layout.parts.problem, layout.parts.scalar, machine().fma
    own_pass = p.activation not in RELU
    shape = (scalar, layout.vecs, layout.lanes)
    stages: dict[str, tuple] = {
        "pack": ("separable.line", scalar), "micro": ("separable.rows", *shape, fused),
        "inverse": ("separable.columns", scalar, layout.rows, *shape[1:], fused, p.kernel[1] < layout.rows),
        "exact": ("separable.exact", *shape, fused), "job": ("separable.job", *shape),
        "finish": ("finish.finish", scalar, scalar, "wrap", own_pass, False), "worker": direct.WORKER,
    }  # fmt: skip
    return stages | ({"activate": ("activation.activate", scalar, p.activation, fused)} if own_pass else {})


def layout_of(problem: Problem) -> Separable:
    """Of a problem that is not refused."""
    return best(problem)


def record(p: Problem, layout: Separable) -> Schedule:
    """Schedule a problem in a layout: load or compile its kernels, write its PLAN record."""
    scalar, KH = layout.parts.scalar, p.kernel[1]
    tables = index_tables(p)
    tables["slope"], tables["pad_value"] = np.array([p.slope], scalar), np.array([p.pad_value], scalar)
    tables["taps"] = np.arange(KH, dtype=np.int64) * (layout.width * layout.item)
    tables["direct_chains"] = np.array([begin for begin, _ in layout.parts.chains] + [1 << 62], np.int64)
    every = kernels_of(layout)
    children.share(every.values())
    kernels = {name: cache.address(*kernel) for name, kernel in every.items() if kernel != direct.WORKER}
    job = kernels.pop("job")
    fields = kernels | {name: table.ctypes.data for name, table in tables.items()} | direct.axes_fields(p, layout)
    fields |= layout.pitches | {
        "relu": RELU.get(p.activation, 0), "vector_rows": layout.rows, "unit_bytes": layout.unit_bytes,
        "group_units": layout.group_units, "group_filters": layout.group_units,
    }  # fmt: skip
    used, plan = frozenset(every.values()), written(PLAN_SLOT, fields)
    return Schedule(p, layout, plan, tuple(tables.values()), used, job, scalar, True, p.activation in RELU, False)


def pack(schedule: Schedule, w: np.ndarray, workers: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(taps, weights filter by filter, the same) of canonical weights; None where these have no columns and rows.

    Taps are the number of terms, then the row and the column of each term of each filter.
    """
    p, layout = schedule.problem, schedule.layout
    assert isinstance(layout, Separable)
    own = cast(np.moveaxis(w[0, :, :, 0], 2, 0), p.compute)
    found = rank.factors(own)
    if found is None or (p.method == "auto" and not pays(p, found[0].shape[1])):
        return None
    columns, rows = found
    F, terms, _ = columns.shape
    packed = aligned_empty((HEAD_BYTES + F * layout.unit_bytes,), "u1")
    packed[:HEAD_BYTES].view(np.int64)[0] = terms
    taps = packed[HEAD_BYTES:].view(p.compute).reshape(F, rank.MOST, -1)
    taps[:, :terms, : rows.shape[2]], taps[:, :terms, rows.shape[2] :] = rows, columns
    return packed, own, own


def pays(problem: Problem, terms: int) -> bool:
    """Whether so many terms are clearly faster than `direct`."""
    from .methods import MARGIN, direct_cycles

    return cycles(problem, terms) * MARGIN < direct_cycles(problem)


def small(schedule: Schedule) -> Schedule:
    """That of a problem of two blocks, with two chunks, and a strip that overlaps."""
    layout = schedule.layout
    assert isinstance(layout, Separable)
    problem = exercise.for_separable(schedule.problem, layout.width, layout.rows)
    parts, rows = replace(layout.parts, problem=problem), 2 * layout.rows + 1
    block = (1, rows + layout.rows + 1, layout.width + 3)
    return record(problem, replace(layout, parts=parts, block=block, most_rows=rows))


def describe(schedule: Schedule) -> str:
    """Tile, blocks."""
    layout = schedule.layout
    assert isinstance(layout, Separable)
    block = "x".join(map(str, layout.block))
    return (
        f"rows, then columns, tile {layout.rows}x{layout.vecs}x{layout.lanes} {layout.parts.scalar}, "
        f"{schedule.blocks} blocks of {block} pixels, {schedule.slot_bytes} bytes a worker"
    )
