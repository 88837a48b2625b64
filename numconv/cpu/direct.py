"""Method `direct`: every product in the order of the promise, on the register tile. Supports every problem."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from .._problem import Problem
from . import cache, channels, children, reductions, tables
from .channels import Channels
from .integers import Lanes
from .machine import Machine, machine
from .memory import aligned_empty, aligned_zeros, cast
from .pixel_layouts import PixelLayout, pixel_layouts
from .records import BLOCK, PLAN_SLOT, written
from .schedule import Layout, Parts, estimate, filter_layouts
from .tiles import TOGETHER

if TYPE_CHECKING:
    from .fft import Fft
    from .separable import Separable
    from .winograd import Winograd

RELU = {"": 0, "relu": 1, "leaky_relu": 2}
assert BLOCK.itemsize <= 512


@dataclass(frozen=True, eq=False)
class Schedule:
    """What all calls of a problem share: the PLAN record, the tables it points to, the addresses of kernels."""

    problem: Problem
    layout: Layout | Channels | Winograd | Separable | Fft
    plan: np.ndarray  # int64, PLAN.itemsize // 8 slots
    tables: tuple[np.ndarray, ...]  # kept alive for the record
    kernels: frozenset[tuple]  # (factory, *parameters) of all that a call runs
    job: int
    acc_code: str
    in_place: bool  # the interior of an input with contiguous lanes is read where it is
    direct: bool  # tiles go straight to an out with contiguous lanes
    skips: bool  # products of padding may be skipped where weights are finite
    launches: dict[tuple, Any] = field(default_factory=dict)  # of `execute`
    apart: list[Schedule] = field(default_factory=list)  # the same for channels or filters that lie apart, if needed
    _taps_at: dict[tuple[int, ...], np.ndarray] = field(default_factory=dict)

    @cached_property
    def plan_address(self) -> int:
        """Address of the PLAN record."""
        return self.plan.ctypes.data

    @property
    def table_bytes(self) -> int:
        """Bytes of the tables; those of steps are mostly shared with problems of other sizes."""
        return self.plan.nbytes + sum(table.nbytes for table in self.tables)

    @cached_property
    def seconds(self) -> float:
        """Roughly what one worker takes for a sample: for the choice of runner and the length of slices."""
        if self.layout.method != "direct" or self.layout.order == "channels":
            return self.layout.cycles / 3e9  # type: ignore[union-attr]
        return self.problem.flops / 60e9

    @cached_property
    def blocks(self) -> int:
        """Output blocks of a sample."""
        d, h, w = self.layout.blocks
        return d * h * w

    @property
    def jobs(self) -> int:
        """Jobs of a sample, for all its units: blocks, or rows of them where rows are reduced."""
        return self.blocks // (self.layout.blocks[2] if self.problem.reduce else 1)

    @cached_property
    def weights_shape(self) -> tuple[int, int, int, int, int, str]:
        """Steps, groups, filters of a group and of a unit, units of a group, scalar code."""
        layout = self.layout
        parts = layout.parts
        if isinstance(layout, Channels):
            return parts.chains[-1][1], 1, self.problem.filters, layout.weights_pitch, 1, parts.scalar
        sizes = parts.chains[-1][1], parts.problem.groups, parts.filters, layout.unit_filters, layout.group_units
        return (*sizes, parts.scalar)

    @cached_property
    def least_filter_blocks(self) -> int:
        """Jobs that the units of a block make at least."""
        return -(-self.layout.units // self.layout.most_units)

    @cached_property
    def slot_bytes(self) -> int:
        """Bytes of a worker."""
        return self.layout.offsets["slot"]

    @cached_property
    def x_item(self) -> int:
        """Bytes of a sample, or of a part of a complex one."""
        return int(code_of(self.problem.x_dtype)[1])

    @cached_property
    def out_item(self) -> int:
        """Bytes of a result, or of a part of a complex one."""
        return int(code_of(self.problem.result)[1])

    @cached_property
    def result_bytes(self) -> int:
        """Bytes of the result of a sample."""
        p = self.problem
        return prod(p.out_spatial) * p.filters * p.result.itemsize

    @property
    def lane_axis(self) -> int:
        """The axis of (n, d, h, w, channels) that lies in lanes."""
        return 3 if isinstance(self.layout, PixelLayout) or self.layout.order == "separable" else 4

    def lies_apart(self, x_strides: tuple[int, ...], o_strides: tuple[int, ...]) -> bool:
        """Whether channels or filters lie apart where the kernels expect them together."""
        p, parts = self.problem, self.layout.parts
        if self.layout.order != "filters" or not p.channels_last:
            return False
        x_apart = p.channels > 1 and x_strides[4] != parts.x_parts * self.x_item
        return x_apart or (p.filters > 1 and not p.reduce and o_strides[4] != parts.o_parts * self.out_item)

    def taps_at(self, strides: tuple[int, ...]) -> int:
        """Address of the step offsets in the input itself, for its canonical strides (n, d, h, w, c)."""
        if self.layout.method != "direct" or self.layout.order == "channels":
            return self.plan_address  # each block has a table of its own: anything but 0
        table = self._taps_at.get(strides[1:])
        if table is None:
            if len(self._taps_at) >= 8:
                return 0  # one problem, ever new strides: packing costs less than the memory of more tables
            p, item = self.problem, self.layout.item
            table = self._taps_at[strides[1:]] = tables.taps_in_place(
                p.kernel, p.dilation, strides[1:], p.group_channels, (self.layout.parts.x_parts, item)
            )
        return table.ctypes.data


def code_of(dtype: np.dtype) -> str:
    """Scalar code of a real dtype, or of the parts of a complex one."""
    if dtype.kind == "b":
        return "u1"
    return f"f{dtype.itemsize // 2}" if dtype.kind == "c" else f"{dtype.kind}{dtype.itemsize}"


def build(problem: Problem, lanes: Lanes) -> Schedule:
    """Schedule a problem whose products are made in some lanes."""
    return record(problem, chosen(problem, lanes), machine())


def chosen(problem: Problem, lanes: Lanes) -> Layout | Channels:
    """The layout of least estimated cost."""
    p = problem
    real = p.compute.kind != "c"
    o_parts = 1 if real or p.w_dtype.kind != "c" else 2
    parts = Parts(p, lanes.scalar, 2 if p.complex_products else 1, o_parts, lanes.wide)
    return min(layouts(parts, machine(), lanes.wide), key=cycles)


def layouts(parts: Parts, cpu: Machine, integers: bool) -> list[Layout | Channels]:
    """The best layouts of each order."""
    found: list[Layout | Channels] = [*filter_layouts(parts, cpu, integers), *pixel_layouts(parts, cpu, integers)]
    if not parts.problem.reduce:
        found += channels.layouts(parts, cpu, integers)
    return found


def cycles(layout: Layout | Channels) -> float:
    """Estimated cycles for a sample."""
    return layout.cycles if isinstance(layout, PixelLayout | Channels) else estimate(layout)


_PACK = {
    "filters": "packing.pack_pixels", "pixels": "packing.pack_planes", "rows": "packing.pack_planes",
    "rolling": "packing.pack_planes", "planes": "packing.pack_planes", "channels": "channels.gather",
}  # fmt: skip
_MICRO = {
    "filters": "filters.micro", "pixels": "pixels.filters_by_pixels", "rows": "pixels.rows_by_pixels",
    "rolling": "rolling.rolling", "planes": "planes.planes", "channels": "channels.micro",
}  # fmt: skip
_JOB = dict.fromkeys(("pixels", "rows", "rolling", "planes"), "pixel_job.job")
_JOB |= {"filters": "job.job", "channels": "channels.job"}
WORKER, PHASES = ("worker.worker",), ("phases.job",)


def kernels_of(p: Problem, layout: Layout | Channels, cpu: Machine) -> dict[str, tuple]:
    """Factory and parameters of the kernel of each stage, of the job that calls them, and of the worker."""
    acc_code = layout.parts.sums
    scalar = layout.parts.scalar
    shape: tuple = (scalar, layout.rows, layout.vecs, layout.lanes, cpu.fma)
    if isinstance(layout, Channels):
        shape = (*shape, layout.stack, layout.taps, layout.stride, p.group_channels, p.group_filters)
    elif isinstance(layout, PixelLayout) and layout.order == "planes":
        shape = (*shape, layout.kind)
    else:
        shape = (*shape, layout.parts.wide)
        if isinstance(layout, PixelLayout):
            shape = (*shape, layout.parts.converted)
    if layout.order == "filters":
        shape = (*shape, steps_together(layout.parts))
    own_pass = p.activation not in RELU
    overflow = p.overflow if p.result.kind in "iu" else "wrap"
    apart = (not p.channels_last,) if layout.order == "filters" else ()
    stages: dict[str, tuple] = {
        "pack": (_PACK[layout.order], code_of(p.x_dtype), scalar, *apart),
        "micro": (_MICRO[layout.order], *shape),
        "finish": ("finish.finish", acc_code, code_of(p.result), overflow, own_pass, any(apart)),
        "job": (_JOB[layout.order],),
        "worker": WORKER,
    }
    if p.reduce:
        lanes = (layout.vecs if layout.order == "filters" else 0, layout.lanes)
        names, relu = " ".join(reductions.in_record(p)), RELU.get(p.activation, 0)
        stages["finish"] = ("reduce.reduce", *stages["finish"][1:5], relu, names, *lanes)
        stages |= {"block_job": stages["job"], "job": ("reduce.rows",)}
    return stages | ({"activate": ("activation.activate", acc_code, p.activation, cpu.fma)} if own_pass else {})


def record(p: Problem, layout: Layout | Channels, cpu: Machine) -> Schedule:
    """Schedule a problem in a layout: load or compile its kernels, write its PLAN record."""
    parts = layout.parts
    acc_code, kernels = parts.sums, kernels_of(p, layout, cpu)
    children.share(kernels.values())
    stages = {name: cache.address(*kernel) for name, kernel in kernels.items() if kernel != WORKER}
    job = stages.pop("job")
    # In tiles uint64 would be signed, and what is wide is not the sum.
    own = code_of(p.result) == acc_code and acc_code != "u8" and not parts.wide and p.activation in RELU
    if isinstance(layout, PixelLayout):
        own |= parts.converted != "" and p.activation in RELU
        own &= parts.o_parts == 1 and not layout.flat and len(layout.passes) == 1
    own &= not p.reduce
    in_place = code_of(p.x_dtype) == parts.scalar
    found = tables.index_tables(p) | {"slope": np.array([p.slope], acc_code)}
    segments: list[np.ndarray] = []
    # Where rows are added up, their pixels follow each other.
    skips = layout.order == "filters" and p.pads_zeros and parts.channels >= 16 and not p.reduce
    if isinstance(layout, Channels):
        found |= channels.tables(layout)
        geometry = channels.fields(layout)
    else:
        passes, segments = tables.passes(layout)
        found |= {
            "pad_value": np.array(tables.pad_parts(p), parts.scalar),
            "taps": tables.taps(layout), "chains": tables.chain_starts(layout), "passes": passes,
            "segments_w": tables.segments(layout.axes(1, 1)[2], layout.extent["segment"]),
        }  # fmt: skip
        geometry = _geometry(layout)
        if skips:
            seen, between = tables.skipping(p)
            found, geometry = found | seen, geometry | between
        if isinstance(layout, PixelLayout):
            in_place &= own and layout.in_place
    fields = stages | {name: table.ctypes.data for name, table in found.items()} | axes_fields(p, layout) | geometry
    fields |= {"relu": RELU.get(p.activation, 0)}
    every, plan = frozenset(kernels.values()), written(PLAN_SLOT, fields)
    return Schedule(p, layout, plan, (*found.values(), *segments), every, job, acc_code, in_place, own, skips)


def axes_fields(p: Problem, layout: Layout | Channels | Winograd | Separable) -> dict[str, int]:
    """The fields that mean the same in all lane orders."""
    parts = layout.parts
    fields: dict[str, int] = {}
    for names, values in (
        ("OD OH OW", p.out_spatial), ("BD BH BW", layout.block), ("ND NH NW", layout.blocks), ("D H W", p.spatial),
        ("KD KH KW", p.kernel), ("sd sh sw", p.stride), ("dd dh dw", p.dilation),
        ("lo_d lo_h lo_w", [lo for lo, _ in p.pads]),
    ):  # fmt: skip
        fields |= dict(zip(names.split(), values, strict=True))
    fields |= {f"acc_{name}": value for name, value in layout.sums.items()}
    fields |= {f"at_{name}": value for name, value in layout.offsets.items() if name != "slot"}
    return fields | {
        "channels": parts.channels * p.groups, "x_parts": parts.x_parts, "o_parts": parts.o_parts,
        "x_size": int(code_of(p.x_dtype)[1]), "item": layout.item, "group_channels": p.group_channels,
        "chain_count": len(parts.chains), "steps": parts.chains[-1][1],
        "units": layout.units, "unit_filters": layout.unit_filters, "chunk": layout.chunk,
    }  # fmt: skip


def _geometry(layout: Layout) -> dict[str, int]:
    """The fields of filters and pixels in lanes."""
    parts, extent = layout.parts, layout.extent
    fields: dict[str, int] = {}
    for names, values in (
        ("step_d step_h step_w", [axis.step for axis in layout.axes(1, 1)]),
        ("ahead_d ahead_h ahead_w", [axis.ahead for axis in layout.axes(1, 1)]),
    ):  # fmt: skip
        fields |= dict(zip(names.split(), values, strict=True))
    fields |= {f"pk_{axis}": extent[axis] for axis in "ndhwc"}
    if isinstance(layout, PixelLayout):
        fields |= layout.fields
    return fields | {
        "group_bytes": parts.channels * extent["c"], "segment_count_w": layout.axes(1, 1)[2].segment_count,
        "pass_count": len(layout.passes), "unit_bytes": parts.chains[-1][1] * layout.unit_filters * layout.item,
        "group_units": layout.group_units, "group_filters": parts.filters,
        "tile_rows": layout.rows, "tap_steps": parts.channels, "overrun": layout.overrun, "slices": layout.slices,
        "acc_item": layout.acc_item,
    }  # fmt: skip


def steps_together(parts: Parts) -> int:
    """How many steps share an offset: neighbouring channels, of the same chain; 1 or what `tiles` has."""
    if parts.scalar == "i4" and machine().shorts != "fused":
        return 1  # products have registers of their own: several steps' would not fit
    for count in TOGETHER:
        if parts.channels % count == 0 and all(begin % count == 0 for begin, _ in parts.chains):
            return count
    return 1


def pack_weights(schedule: Schedule, w: np.ndarray) -> np.ndarray:
    """Weights (KD, KH, KW, C // G, F) as units: (units, steps, filters of a unit), the last unit of a group padded."""
    steps, groups, filters, per, units, scalar = schedule.weights_shape
    real = _real_weights(w, schedule.layout.parts)
    if schedule.layout.order == "rolling":  # steps apart, the taps of a column together, the last one first
        columns = real.reshape(real.shape[1], -1, groups * filters)[::-1]
        return np.ascontiguousarray(columns.transpose(2, 1, 0))
    if per == 1:
        return np.ascontiguousarray(real.reshape(steps, groups * filters).T)
    real = real.reshape(steps, groups, filters)
    whole = filters // per
    if whole == 0 and groups == 1:
        packed = aligned_zeros((steps, per), scalar)
        packed[:, :filters] = real[:, 0]
        return packed
    packed = aligned_empty((groups, units, steps, per), scalar)
    if whole:
        packed[:, :whole] = real[:, :, : whole * per].reshape(steps, groups, whole, per).transpose(1, 2, 0, 3)
    if filters % per:
        packed[:, whole, :, filters % per :] = 0  # lanes that hold no filter, and are not stored
        packed[:, whole, :, : filters % per] = real[:, :, whole * per :].transpose(1, 0, 2)
    return packed


def _real_weights(w: np.ndarray, parts: Parts) -> np.ndarray:
    """Weights in lanes' type; a complex product as four real ones: (re, im) of x times (re, im) of the result."""
    if w.dtype.kind != "c":
        return w if w.dtype == parts.scalar else cast(w, parts.scalar)
    w = cast(w, f"c{2 * int(parts.scalar[1])}")
    real = np.stack([w.real, w.imag], axis=-1)  # from a real x, or the real part of x
    if parts.x_parts == 1:
        return real
    return np.stack([real, np.stack([-w.imag, w.real], axis=-1)], axis=-3)  # (..., C, part of x, F, part of result)
