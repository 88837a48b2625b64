"""Gradients of weights: how a problem is computed by the kernels of `kernels.gradient`, and its calls.

A problem is that of the convolution, `w_dtype` the type of the output's gradient. Real arithmetic as in `schedule`:
rows are channels of x, lanes filters; with complex x and real gradients the parts of x are rows of their own, with
complex gradients their parts are lanes, and with both a pixel is two steps. Nothing here changes a bit of a result.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from math import gcd, prod
from typing import NamedTuple

import numpy as np

from .._problem import KC, Problem
from . import cache, children, runner, tiles
from .direct import WORKER, code_of
from .execute import LONGEST_JOB
from .machine import Machine, machine
from .memory import borrow_workspace, fill, give_back
from .records import CALL_SLOT, GRADIENT_SLOT, SHARE_SLOT, call_with, written
from .schedule import laid_out
from .tables import index_of

SEGMENT, FEW = 256, 16
"""Chains of a segment, `kernels.gradient`; pixels that are packed together, `kernels.gradient_pack`."""
BLOCK_BYTES = 64
"""Of the channels of a pixel that are packed together; or of all, if they are no more."""
PACKED_BYTES, SUMS_BYTES = 320 << 10, 384 << 10
"""Budgets of a chunk's packed pixels and of a job's sums, in a second-level cache."""
PARTIAL_BYTES = 16 << 20
"""Budget of the sums of segments that wait to be added; those of one segment at least."""
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
    return min(found, key=lambda blocks: _cycles(layout, blocks, samples, threads))


def _with_chunk(layout: Layout, elements: int, panels: int) -> Blocks:
    first, *others = chunks(layout)
    blocks = _blocks_seen(layout, elements, panels)
    fitting = [c for c in others if c.packed_bytes(layout, blocks, panels) <= PACKED_BYTES]
    return Blocks(elements, panels, fitting[-1] if fitting else first)


def _blocks_seen(layout: Layout, elements: int, panels: int) -> int:
    """Blocks of packed channels that a job may meet."""
    if layout.apart:
        return panels
    block, every = layout.taps * layout.block_channels, -(-layout.channels // layout.block_channels)
    return min(every, elements // block + (2 if elements % block else 0))


def _cycles(layout: Layout, blocks: Blocks, samples: int, threads: int) -> float:
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
    seen = _blocks_seen(layout, elements, panels)
    pack = pixels * (seen * halo * PACK_X + panels * layout.width * layout.steps * PACK_G)
    seconds = (compute + pack) / 4e9
    sums = sums_bytes(layout, elements, panels)
    late = max(1.0, seconds / LONGEST_JOB) ** 4 * max(1.0, sums / SUMS_BYTES) ** 0.5
    late *= max(1.0, chunk.packed_bytes(layout, seen, panels) / PACKED_BYTES) ** 0.3
    return -(-jobs // threads) * (compute + pack + 3000) * late


@dataclass(frozen=True, eq=False)
class Schedule:
    """What all calls of a problem share: the GRADIENT record, the tables it points to, addresses of kernels."""

    layout: Layout
    plan: np.ndarray
    tables: tuple[np.ndarray, ...]
    kernels: frozenset[tuple]
    job: int
    launches: dict[tuple, Launch] = field(default_factory=dict)

    @property
    def table_bytes(self) -> int:
        """Of the record and its tables."""
        return self.plan.nbytes + sum(table.nbytes for table in self.tables)


class Launch(NamedTuple):
    """What calls with the same strides, samples and threads have in common."""

    call: array[int]
    share: np.ndarray  # a SHARE record
    jobs: int  # of a segment
    segments: int
    workers: int
    seconds: float  # of one segment, for one worker
    slot_bytes: int


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


def build(problem: Problem, conjugate_x: bool) -> Schedule:
    """Schedule a problem."""
    return record(layout_of(problem, conjugate_x, machine()), machine())


def kernels_of(layout: Layout, cpu: Machine) -> dict[str, tuple]:
    """Factory and parameters of the kernel of each stage."""
    p, scalar, rows = layout.problem, layout.scalar, layout.rows
    spread: tuple[int, ...] = (layout.width, p.group_channels, p.group_filters)
    if not layout.apart or spread[1:] == (1, 1):
        spread = (0, 0, 0)
    return {
        "pack_x": ("gradient_pack.pack_x", code_of(p.x_dtype), scalar, *spread),
        "pack_g": ("gradient_pack.pack_g", code_of(p.w_dtype), scalar),
        "micro": ("gradient_tiles.micro", scalar, rows, layout.vecs, layout.lanes, cpu.fma, layout.apart),
        "finish": ("gradient_finish.finish", scalar, rows),
        "job": ("gradient.job", rows),
        "worker": WORKER,
    }


def record(layout: Layout, cpu: Machine) -> Schedule:
    """Load or compile the kernels of a layout, write its GRADIENT record."""
    p, kernels = layout.problem, kernels_of(layout, cpu)
    children.share(kernels.values())
    stages = {name: cache.address(*kernel) for name, kernel in kernels.items() if kernel != WORKER}
    job = stages.pop("job")
    negate = layout.x_parts == 2 and layout.o_parts == 1 and layout.conjugate_x
    pads = [complex(p.pad_value).real, complex(p.pad_value).imag * (-1 if negate else 1)]
    found = {f"index_{name}": index_of(p, axis) for axis, name in enumerate("dhw")}
    found["pad_value"] = np.array(pads, layout.scalar)
    fields = stages | {name: table.ctypes.data for name, table in found.items()}
    for names, values in (
        ("OD OH OW", p.out_spatial), ("D H W", p.spatial), ("lo_d lo_h lo_w", tuple(lo for lo, _ in p.pads)),
        ("KD KH KW", p.kernel), ("sd sh sw", p.stride),
        ("step_h ahead_h apart_h", layout.spacing[0]), ("step_w ahead_w apart_w", layout.spacing[1]),
        ("chain_rows pieces piece", layout.chain),
    ):  # fmt: skip
        fields |= dict(zip(names.split(), values, strict=True))
    turn = 0
    if layout.o_parts == 2:
        turn = (2 if layout.conjugate_x else 3) if layout.steps == 2 else 0 if layout.conjugate_x else 1
    fields |= {
        "dd": p.dilation[0], "dh": p.dilation[1], "channels": layout.channels,
        "block_channels": layout.block_channels, "taps": layout.taps, "pixel_bytes": layout.pixel_bytes,
        "x_size": int(code_of(p.x_dtype)[1]), "g_size": int(code_of(p.w_dtype)[1]),
        "row_bytes": layout.row_bytes, "steps": layout.steps, "x_parts": layout.x_parts,
        "o_parts": layout.o_parts, "item": layout.item, "filters": layout.filters, "width": layout.width,
        "panel_filters": layout.panel_filters, "block_inputs": layout.block_inputs, "apart": layout.apart,
        "inputs": p.channels if layout.apart else layout.channels * layout.steps,
        "negate": negate, "turn": turn, "group_channels": p.group_channels, "group_filters": p.group_filters,
    }  # fmt: skip
    every, plan = frozenset(kernels.values()), written(GRADIENT_SLOT, fields)
    return Schedule(layout, plan, tuple(found.values()), every, job)


class Operand:
    """A canonical array as kernels read it: where it lies; or, where its type or place is not theirs, in copies."""

    def __init__(self, values: np.ndarray, dtype: np.dtype) -> None:
        self.values, self.dtype = values, dtype
        self.fits = values.dtype == dtype and values.flags.aligned
        self.strides = values.strides if self.fits else np.empty((1, *values.shape[1:]), dtype).strides
        self.copy: np.ndarray | None = None

    def address(self, first: int, last: int) -> int:
        """Where sample 0 would be, if samples from `first` to before `last` are read."""
        if self.fits:
            return self.values.ctypes.data
        self.copy = np.empty((last - first, *self.values.shape[1:]), self.dtype)
        fill(self.copy, self.values[first:last])
        return self.copy.ctypes.data - first * self.strides[0]


def run(schedule: Schedule, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int | None) -> None:
    """Fill `out` (KD, KH, KW, C // G, F), of the computing type or of one that is cast to; all are canonical."""
    p, samples = schedule.layout.problem, len(x)
    threads = runner.default_workers() if threads is None else threads
    source, other = Operand(x, p.x_dtype), Operand(g, p.w_dtype)
    segments = -(-schedule.layout.chains(samples) // SEGMENT)
    if segments == 1 and out.dtype == p.compute and out.flags.aligned:
        launch = launch_of(schedule, source.strides, other.strides, out.strides, 0, samples, threads)
        go(launch, source.address(0, samples), other.address(0, samples), out.ctypes.data)
        return
    together = min(segments, max(1, PARTIAL_BYTES // max(1, out.size * p.compute.itemsize)))
    partial = np.empty((together, *out.shape), p.compute)
    into = partial.strides[1:]
    launch = launch_of(schedule, source.strides, other.strides, into, partial.strides[0], samples, threads)
    total: np.ndarray | None = None
    for first in range(0, segments, together):
        count = min(together, segments - first)
        seen = _samples(schedule.layout, first, count, samples)
        go(launch, source.address(*seen), other.address(*seen), partial.ctypes.data, first, count)
        with np.errstate(all="ignore"):
            for sums in partial[:count]:
                total = sums.copy() if total is None else np.add(total, sums, total)
    with np.errstate(all="ignore"):
        out[...] = total


def _samples(layout: Layout, first: int, count: int, samples: int) -> tuple[int, int]:
    """(first, last + 1) of the samples that some segments read."""
    rows, pieces, _ = layout.chain
    each = prod(layout.problem.out_spatial[:2])
    begin, end = (segment * SEGMENT * rows // pieces for segment in (first, first + count))
    return begin // each, min(samples, end // each + 1)


def launch_of(
    schedule: Schedule,
    x_strides: tuple,
    g_strides: tuple,
    o_strides: tuple,
    part_bytes: int,
    samples: int,
    threads: int,
) -> Launch:
    """The launch of some strides, kept."""
    key = (x_strides, g_strides, o_strides, part_bytes, samples, threads)
    found = schedule.launches.get(key)
    if found is None:
        if len(schedule.launches) >= 64:
            schedule.launches.clear()
        found = schedule.launches[key] = launch(schedule, *key)
    return found


def launch(
    schedule: Schedule,
    x_strides: tuple,
    g_strides: tuple,
    o_strides: tuple,
    part_bytes: int,
    samples: int,
    threads: int,
) -> Launch:
    """Jobs, chunks, and where things lie in a worker's bytes."""
    layout, p = schedule.layout, schedule.layout.problem
    element_part, filter_part, chunk = blocks = blocks_of(layout, samples, threads)
    chains = layout.chains(samples)
    segments = -(-chains // SEGMENT)
    seen = _blocks_seen(layout, element_part, filter_part)
    tile_rows = -(-element_part // layout.rows) * layout.rows
    line, panel = chunk.line_bytes(layout), chunk.steps * layout.width * layout.item
    at = laid_out(
        taps=8 * chunk.steps, starts=8 * (chunk.chains + 1), offsets=8 * tile_rows, lines=8 * chunk.lines,
        few=(FEW * layout.block_inputs + layout.lanes) * layout.item,
        acc=sums_bytes(layout, element_part, filter_part), g=filter_part * panel, x=seen * chunk.lines * line,
    )  # fmt: skip
    parts = -(-layout.elements // element_part), -(-layout.panels // filter_part)
    fields = dict(zip(("g_n", "g_d", "g_h", "g_w", "g_f"), g_strides, strict=True))
    fields |= {f"at_{name}": value for name, value in at.items() if name != "slot"} | {
        "part_bytes": part_bytes, "rows": samples * prod(p.out_spatial[:2]), "chains": chains, "groups": layout.groups,
        "element_parts": parts[0], "element_part": element_part, "filter_parts": parts[1], "filter_part": filter_part,
        "by_channel": _by_channel(layout, o_strides), "chunk_chains": chunk.chains, "chunk_rows": chunk.rows,
        "x_run": _run_of(layout, x_strides) if _is_pointwise(p) else 1, "g_run": _run_of(layout, g_strides),
        "line_bytes": line, "block_bytes": chunk.lines * line, "panel_bytes": panel,
    }  # fmt: skip
    share, jobs = written(SHARE_SLOT, fields), layout.groups * prod(parts)
    seconds = _cycles(layout, blocks, samples, 1) / 4e9
    workers = min(threads, jobs * segments) if seconds > runner.HANDOVER else 1
    call = call_with(
        {
            "kernel": schedule.job, "plan": schedule.plan.ctypes.data, "slot_bytes": at["slot"],
            "given": share.ctypes.data, "workers": workers,
        }
    )  # fmt: skip
    kd, kh, kw, c, f = o_strides
    call[_STRIDES:] = array("q", (*x_strides, c, kd, kh, kw, f))
    return Launch(call, share, jobs, segments, workers, seconds / segments, at["slot"])


def _is_pointwise(p: Problem) -> bool:
    """Whether x is packed as it lies."""
    return p.kernel == p.stride == (1, 1, 1) and not any(map(any, p.pads))


def _run_of(layout: Layout, strides: tuple) -> int:
    """Output rows, from every multiple of so many on, that lie one behind the other in an array of their strides."""
    OD, OH, OW = layout.problem.out_spatial
    n, d, h, w, _ = strides
    if OH > 1 and h != OW * w:
        return 1
    if OD > 1 and d != OH * OW * w:
        return OH
    return 1 << 40 if n == OD * OH * OW * w else OD * OH


def _by_channel(layout: Layout, o_strides: tuple) -> bool:
    """Whether a filter's elements are neighbours in out: channels outermost."""
    KD, KH, KW = layout.problem.kernel
    item, sizes = layout.item, (layout.problem.group_channels, KD, KH, KW)
    if layout.o_parts == 2 or layout.x_parts == 2 or o_strides[4] == item:
        return False
    wanted = (KD * KH * KW * item, KH * KW * item, KW * item, item)
    strides = (o_strides[3], *o_strides[:3])
    return all(n == 1 or a == b for n, a, b in zip(sizes, strides, wanted, strict=True))


def go(launch: Launch, x: int, g: int, out: int, first: int = 0, count: int = 1, slot: int = 0) -> None:
    """Run the jobs of some segments, on addresses; in the workspace of one worker at `slot`, if given."""
    workers = min(launch.workers, launch.jobs * count)
    space, address = (None, slot) if slot else borrow_workspace(workers * launch.slot_bytes)
    call, share = launch.call[:], launch.share
    if share[_FIRST] != first:
        share = share.copy()
        share[_FIRST] = first
        call[_GIVEN] = share.ctypes.data
    call[_WORKSPACE], call[_X], call[_OUT], call[_WEIGHTS] = address, x, out, g
    try:
        runner.run(call, call.buffer_info()[0], launch.jobs * count, workers, launch.seconds * count)
    finally:
        if space is not None:
            give_back(space, address)


_X, _OUT, _WEIGHTS, _GIVEN = (CALL_SLOT[name] for name in ("x", "out", "weights", "given"))
_WORKSPACE, _STRIDES, _FIRST = CALL_SLOT["workspace"], CALL_SLOT["x_n"], SHARE_SLOT["first_segment"]
