"""Gradients of weights: schedules of problems on the kernels of `kernels.gradient`, and their calls.

A problem is that of the convolution, `w_dtype` the type of the output's gradient.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from math import prod
from typing import NamedTuple

import numpy as np

from .._problem import Problem
from . import cache, children, runner
from .direct import WORKER, code_of
from .machine import Machine, machine
from .memory import borrow_workspace, fill, give_back
from .records import CALL_SLOT, GRADIENT_SLOT, SHARE_SLOT, call_with, written
from .schedule import laid_out
from .tables import index_of
from .weights_layout import FEW, SEGMENT, Layout, blocks_of, blocks_seen, cycles, layout_of, sums_bytes

PARTIAL_BYTES = 16 << 20
"""Budget of the sums of segments that wait to be added; those of one segment at least."""


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


def build(problem: Problem, conjugate_x: bool) -> Schedule:
    """Schedule a problem."""
    return record(layout_of(problem, conjugate_x, machine()), machine())


def kernels_of(layout: Layout, cpu: Machine) -> dict[str, tuple]:
    """Factory and parameters of the kernel of each stage."""
    p, scalar = layout.problem, layout.scalar
    C, F, spread = p.group_channels, p.group_filters, (0, 0, 0)
    if layout.apart and (C, F) != (1, 1):  # kernels of their own are for the sizes of layers
        spread = (layout.width, C, F) if C <= F and F & (F - 1) == C & (C - 1) == 0 else (layout.width, 0, 0)
    return {
        "pack_x": ("gradient_pack.pack_x", code_of(p.x_dtype), scalar, *spread),
        "pack_g": ("gradient_pack.pack_g", code_of(p.w_dtype), scalar),
        "micro": ("gradient_tiles.micro", scalar, layout.rows, layout.vecs, layout.lanes, cpu.fma, layout.apart),
        "finish": ("gradient_finish.finish", scalar),
        "job": ("gradient.job",),
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
        "o_parts": layout.o_parts, "item": layout.item,
        "tile_rows": layout.rows, "filters": layout.filters, "width": layout.width,
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
    seen = blocks_seen(layout, element_part, filter_part)
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
    seconds = cycles(layout, blocks, samples, 1) / 4e9
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
