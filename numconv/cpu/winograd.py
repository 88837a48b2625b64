"""Method `winograd`: minimal filtering F(2x2, 3x3) and F(4x4, 3x3), in 4/9 and 1/4 of the multiplications.

Along one axis F(2, 3), F(4, 3) and F(4, 5), in 2/3, 1/2 and 2/5. (Two Zen 5 cores, float32, 64 to 512 channels last,
direct / this: 3 taps 1.5 to 1.8, 5 taps 2.0 to 2.2; float64 1.4 to 1.7 and 1.6 to 2.0. With channels first, which are
transposed on the way, 4096 samples of 128 channels 1.3 and 1.7, 16384 of 64 1.0 and 1.5.)

`kernels.winograd` says how a block is computed, `kernels.minimal` has the transforms. Here: which problems, which
form, tile and blocks, the transformed weights. Results are within 256 * e * T of the exact ones, T the sum over
channels of the largest |x| in a tile times the sum of |w|; measured in float32 are at most 16 * e * T with F(2x2), 54
with F(4x4) (log-normal data; normal 9), 47 with F(4, 3) and 60 with F(4, 5) (normal 6 and 4).

One Zen 5 core, float32, channels last, direct / this: 224x224x64 2.6, 56x56x256 2.8, 28x28x512 1.5, 14x14x256 1.8,
14x14x512 1.7, 7x7x512 in batches 1.2. Products run at the speed of `direct` from blocks of some 12 tiles on; V and M
of a block may take most of a second-level cache: of V only a value is read for each row of filters. From 512 channels
on F(4x4) waits for its 38 MB of weights, which every block reads from memory (16 GB/s).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod

import numpy as np

from .._problem import KC, Problem
from . import cache, children, direct, exercise, runner, tiles
from .direct import RELU, Schedule, code_of
from .kernels import minimal
from .machine import machine
from .memory import address_of, aligned_empty, borrow_workspace, cast, give_back
from .records import CALL_SLOT, PLAN_SLOT, call_with, written
from .schedule import SLICE_BYTES, WEIGHTS_SHARE, Parts, laid_out
from .tables import index_tables

MOST_BYTES = 2 << 20
"""Most that a worker may have: blocks of many channels come near it."""
NEAR_WEIGHTS_BYTES = 24 << 20
"""Transformed weights that a third-level cache holds; beyond, all blocks read them from memory."""
FAR, NEAR = 0.12, 0.03
"""Cycles to read a byte of weights from memory, and from a third-level cache."""
SLICE_CHANNELS = 64
"""Channels that are made innermost at a time."""
UNFIT = "a filter is not finite, or all of it is too small or too large"
"""Why weights cannot be transformed."""
LEAST_CHANNELS = 16
"""And filters, of a group, from which `auto` takes this method."""
TRANSFORM = 0.25
"""Cycles for a byte of transformed weights: up to 1, but small images, where they count, are faster than estimated."""
FORMS = {(3, 3): (("4", "4"), ("2", "2")), (1, 3): (("1", "4"), ("1", "2")), (1, 5): (("1", "4_5"),)}
"""Forms along H and W by (KH, KW): `minimal`."""


@dataclass(frozen=True)
class Winograd:
    """One way to compute a problem by minimal filtering: everything but addresses. Sizes in bytes unless counts."""

    parts: Parts
    form: tuple[str, str]  # along H and W
    rows: int  # of the micro-kernel's tile: tiles of the image
    vecs: int
    lanes: int
    block: tuple[int, int, int]
    samples: int  # of a block
    item: int

    method = order = "winograd"
    most_units = 1 << 30

    @property
    def width(self) -> int:
        """Filters of a panel."""
        return self.vecs * self.lanes

    unit_filters = width

    @property
    def name(self) -> str:
        """F(4x4, 3x3); of a row of taps F(4, 3)."""
        outputs, taps = zip(*(minimal.FORMS[form] for form in self.form), strict=True)
        if taps[0] == 1:
            return f"F({outputs[1]}, {taps[1]})"
        return f"F({outputs[0]}x{outputs[1]}, {taps[0]}x{taps[1]})"

    @property
    def group_units(self) -> int:
        """Panels of a group."""
        return -(-self.parts.filters // self.width)

    @property
    def units(self) -> int:
        """Panels of all groups."""
        return self.group_units * self.parts.problem.groups

    @property
    def blocks(self) -> tuple[int, int, int]:
        """Blocks of a sample along each axis."""
        return self.parts.blocks_of(self.block)

    @property
    def outputs(self) -> tuple[int, int]:
        """Of a tile, along H and W."""
        high, wide = (minimal.FORMS[form][0] for form in self.form)
        return high, wide

    @property
    def points(self) -> int:
        """Products for each channel and filter of a tile."""
        return minimal.points(self.form[0]) * minimal.points(self.form[1])

    @property
    def tiles(self) -> int:
        """Tiles of a block."""
        (_, h, w), (high, wide) = self.block, self.outputs
        return self.samples * -(-h // high) * -(-w // wide)

    @property
    def chunk(self) -> int:
        """Output pixels of a block."""
        return self.samples * prod(self.block)

    @property
    def channels(self) -> int:
        """Of all groups."""
        return self.parts.problem.channels

    @cached_property
    def chains(self) -> list[int]:
        """First channel of each chain of products, and the last + 1: a function of the problem alone."""
        C = self.parts.channels
        parts = -(-C // KC)
        per = -(-C // parts // 4) * 4
        return [*range(0, C, per), C]

    @property
    def slices(self) -> int:
        """Into how many slices a chain is cut, so that a panel's part of it stays in L1."""
        return -(-(self.chains[1] - self.chains[0]) * self.width * self.item // SLICE_BYTES)

    @property
    def sums(self) -> dict[str, int]:
        """Bytes between pixels, rows, lanes and units of the results that `finish` is to store."""
        return {"pixel": self.width * self.item, "row": 0, "lane": self.item, "unit": 0}

    @property
    def slice_channels(self) -> int:
        """Channels made innermost at a time."""
        return -(-self.channels // -(-self.channels // SLICE_CHANNELS))

    @property
    def pitches(self) -> dict[str, int]:
        """Bytes between tiles and points of V, points of M, rows and samples of the tables, pixels made innermost.

        Points are an odd number of cache lines apart, or all meet in one set of L1; so are pixels.
        """
        whole, outputs = -(-self.tiles // self.rows) * self.rows, self.outputs
        rows, columns = (
            -(-size // out) * out + minimal.points(form) - out
            for size, out, form in zip(self.block[1:], outputs, self.form, strict=True)
        )
        v = self.channels * self.item
        return {
            "v_tile": v, "v_point": _odd_lines(self.tiles * v), "m_point": _odd_lines(whole * self.width * self.item),
            "table_w": 8 * columns, "table_h": 8 * columns * rows,
            "pk_w": _odd_lines(self.slice_channels * self.item),
        }  # fmt: skip

    @cached_property
    def offsets(self) -> dict[str, int]:
        """Where things lie in the worker's bytes; "slot" is how many it has."""
        pitches, whole = self.pitches, -(-self.tiles // self.rows) * self.rows
        table, width = self.samples * pitches["table_h"], self.width * self.item
        return laid_out(
            left=8 * whole,
            segments=24 * (self.samples * self.block[1] + 1),
            rows=table,
            runs=table,
            partial=max((2 * prod(self.outputs) + 1) * width, whole * width * (self.slices > 1)),
            acc=self.chunk * width,
            v=self.points * pitches["v_point"],
            m=self.points * pitches["m_point"],
            packed=table // 8 * pitches["pk_w"],
        )

    @property
    def weights_bytes(self) -> int:
        """Of the transformed weights."""
        return self.units * self.unit_bytes

    @property
    def unit_bytes(self) -> int:
        """Of a panel."""
        return self.points * self.parts.channels * self.width * self.item

    @cached_property
    def cycles(self) -> float:
        """Estimated for a sample; constants are rough measurements."""
        nd, nh, nw = self.blocks
        blocks, count = nd * nh * nw / self.samples, self.tiles
        step = -(-count // self.rows) * tiles.cycles_a_step(self.rows, self.vecs)
        products = self.points * self.units * (self.parts.channels * step + len(self.chains) * count * 8)
        vectors = self.points * self.item / (self.lanes * self.item)
        forward = count * self.channels * vectors * 5.0
        inverse = count * self.units * self.width * vectors * 4.0
        # Of a row, transforms weigh more beside products: 4096 x 128 in blocks of 0.9 MB 1.6 x direct, of 1.8 MB 1.5.
        crowded = 1 + (0.1 if self.form[0] == "1" else 0.02) * self.offsets["slot"] / (1 << 20)
        again = FAR if self.weights_bytes > NEAR_WEIGHTS_BYTES else NEAR
        streaming = self.weights_bytes * (FAR / self.samples + again * (nd * nh * nw - 1))
        return blocks * (products * crowded + forward + inverse + 3000) + streaming


def _odd_lines(size: int) -> int:
    """Bytes of an odd number of cache lines."""
    return (-(-size // 64) | 1) * 64


def refusal(problem: Problem) -> str:
    """Why a problem cannot be computed by Winograd; "" if it can."""
    p = problem
    if p.compute.char not in "fd" or not p.x_dtype == p.compute == p.result:
        return "only float32 and float64, in and out"
    if p.kernel[0] != 1 or p.kernel[1:] not in FORMS:
        return "only kernels of 3x3, and rows of 3 or 5 taps"
    if p.stride != (1, 1, 1) or p.dilation[1:] != (1, 1):
        return "only stride 1 and dilation 1"
    if p.channels < machine().lanes[code_of(p.compute)]:
        return f"only from {machine().lanes[code_of(p.compute)]} channels on"
    return "" if best(p) is not None else "only as many channels as fit a block of the workspace"


def cost(problem: Problem) -> float:
    """Estimated cycles for a sample."""
    found = best(problem)
    return float("inf") if found is None else found[1] + WEIGHTS_SHARE * TRANSFORM * found[0].weights_bytes


def reluctance(problem: Problem) -> str:
    """Why `auto` leaves a problem to others although it could be computed; "" if it does not."""
    if min(problem.group_channels, problem.group_filters) < LEAST_CHANNELS:
        return f"only from {LEAST_CHANNELS} channels and filters of a group on"
    return ""


def layouts(problem: Problem, form: tuple[str, str]) -> list[Winograd]:
    """Candidates: tiles of the micro-kernel, blocks of equal parts of the image, samples together where it is small."""
    cpu, scalar = machine(), code_of(problem.compute)
    parts, item = Parts(problem, scalar, 1, 1), int(scalar[1])
    found = []
    for rows, vecs in tiles.shapes(tiles.FILTERS, cpu):
        for block, samples in blocks(problem, form, item):
            found.append(Winograd(parts, form, rows, vecs, cpu.lanes[scalar], block, samples, item))
    return [layout for layout in found if layout.offsets["slot"] <= MOST_BYTES]


def blocks(problem: Problem, form: tuple[str, str], item: int) -> list[tuple[tuple[int, int, int], int]]:
    """(block, samples) worth a look: not so few tiles that weights are read for little, and room for what they read."""
    _, OH, OW = problem.out_spatial
    high, wide = (minimal.FORMS[name][0] for name in form)
    TH, TW = -(-OH // high), -(-OW // wide)
    whole = TH * TW
    tile_bytes = minimal.points(form[0]) * minimal.points(form[1]) * problem.channels * item
    most = MOST_BYTES // tile_bytes
    found = []
    longer = (256, 1024, 4096, 1 << 14) if OH == 1 else ()
    for w in sorted({-(-TW // n) for n in (1, 2, 3, 4, 8, 16, 64, *longer)}):
        for h in sorted({-(-TH // n) for n in (1, 2, 3, 4, 5, 7, 10, 14, 20, 28, 40, 56, 80)}):
            block = (1, min(h * high, OH), min(w * wide, OW))
            if h * w <= most and (h * w >= 12 or 4 * h * w >= most or h * w == whole):
                found.append((block, 1))
    if 2 * whole <= most:
        found += [((1, OH, OW), n) for n in (2, 3, 4, 6, 8, 12, 16) if n * whole <= min(most, 128)]
    return found


@lru_cache(maxsize=1024)
def best(problem: Problem) -> tuple[Winograd, float] | None:
    """The layout of least estimated cost, and the cycles of a single sample, which choose its form.

    Samples share the weights that they read, but a form must not depend on how many there are.
    """
    every = [layout for form in FORMS[problem.kernel[1:]] for layout in layouts(problem, form)]
    every.sort(key=lambda layout: layout.cycles)
    alone = next((layout for layout in every if layout.samples == 1), None)
    return None if alone is None else (next(layout for layout in every if layout.form == alone.form), alone.cycles)


def build(problem: Problem) -> Schedule:
    """Schedule a problem that is not refused."""
    return record(problem, layout_of(problem))


def layout_of(problem: Problem) -> Winograd:
    """Of a problem that is not refused."""
    found = best(problem)
    assert found is not None
    return found[0]


def small(schedule: Schedule) -> Schedule | None:
    """That of a problem with tails of both transforms."""
    layout = schedule.layout
    assert isinstance(layout, Winograd)
    problem = exercise.for_winograd(schedule.problem)
    found = next((other for other in layouts(problem, layout.form) if kernels_of(other) == kernels_of(layout)), None)
    return None if found is None else record(problem, found)


def describe(schedule: Schedule) -> str:
    """Form, tile, blocks."""
    layout = schedule.layout
    assert isinstance(layout, Winograd)
    block = "x".join(map(str, layout.block))
    return (
        f"{layout.name}, tile {layout.rows}x{layout.vecs}x{layout.lanes} {layout.parts.scalar}, "
        f"{schedule.blocks} blocks of {block} pixels, {schedule.slot_bytes} bytes a worker"
    )


def kernels_of(layout: Winograd) -> dict[str, tuple]:
    """Factory and parameters of the kernel of each stage, of the job that calls them, and of the packing of weights."""
    p, scalar, fused = layout.parts.problem, layout.parts.scalar, machine().fma
    own_pass = p.activation not in RELU
    forms = (scalar, layout.lanes, fused, *layout.form)
    micro = (scalar, layout.rows, layout.vecs, layout.lanes, fused, False, _together(layout))
    stages: dict[str, tuple] = {
        "pack": ("winograd.forward", *forms), "micro": ("filters.micro", *micro),
        "inverse": ("winograd.inverse", *forms), "exact": ("winograd_exact.exact", scalar, fused, *layout.form),
        "finish": ("finish.finish", scalar, scalar, "wrap", own_pass, not p.channels_last), "worker": direct.WORKER,
        "job": ("winograd.job", *layout.form),
        "weights": ("winograd_weights.weights", scalar, fused, *layout.form),
    }  # fmt: skip
    return stages | ({"activate": ("activation.activate", scalar, p.activation, fused)} if own_pass else {})


def record(p: Problem, layout: Winograd) -> Schedule:
    """Schedule a problem in a layout: load or compile its kernels, write its PLAN record."""
    scalar = layout.parts.scalar
    pitches, at = layout.pitches, layout.offsets
    tables = index_tables(p)
    tables["slope"] = np.array([p.slope], scalar)
    tables["pad_value"] = np.concatenate([np.full(p.channels, p.pad_value, scalar), np.zeros(p.channels, scalar)])
    tables["taps"] = np.arange(layout.parts.channels, dtype=np.int64) * layout.item
    tables["chains"] = np.array(layout.chains, np.int64)
    tables["direct_chains"] = np.array([begin for begin, _ in layout.parts.chains] + [1 << 62], np.int64)
    every = kernels_of(layout)
    children.share(every.values())
    kernels = {name: cache.address(*kernel) for name, kernel in every.items() if kernel != direct.WORKER}
    job, _ = kernels.pop("job"), kernels.pop("weights")
    shared = {name: table.ctypes.data for name, table in tables.items()} | direct.axes_fields(p, layout)
    shared |= {
        "chain_count": len(layout.chains) - 1, "slices": layout.slices, "acc_item": layout.item,
        "tile_rows": layout.rows,
    }  # fmt: skip
    gemm = written(PLAN_SLOT, shared | {
        "group_units": 1, "unit_bytes": layout.unit_bytes // layout.points, "acc_unit": pitches["m_point"],
        "at_acc": at["m"],
    })  # fmt: skip
    plan = written(PLAN_SLOT, kernels | shared | pitches | {
        "gemm": gemm.ctypes.data, "relu": RELU.get(p.activation, 0),
        "zeros": shared["pad_value"] + p.channels * layout.item,
        "padded_h": p.spatial[1] + sum(p.pads[1]), "padded_w": p.spatial[2] + sum(p.pads[2]),
        "slice_channels": layout.slice_channels, "group_bytes": layout.parts.channels * layout.item,
        "group_units": layout.group_units, "group_filters": p.group_filters, "unit_bytes": layout.unit_bytes,
    })  # fmt: skip
    used = frozenset(every.values())
    direct_ = p.activation in RELU
    return Schedule(p, layout, plan, (*tables.values(), gemm), used, job, scalar, True, direct_, False)


def _together(layout: Winograd) -> int:
    """Steps that share an offset: channels are neighbours."""
    return next((n for n in tiles.TOGETHER if all(begin % n == 0 for begin in layout.chains)), 1)


def pack(schedule: Schedule, w: np.ndarray, workers: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(transformed weights, those of the computing type, where these lie) of canonical weights.

    None where some filter is not finite, or so small or large that its products could leave the type's range.
    """
    layout = schedule.layout
    assert isinstance(layout, Winograd)
    scalar = layout.parts.scalar
    if w.dtype != scalar or not w.flags.aligned:
        w = cast(w, scalar)
    packed = aligned_empty((layout.weights_bytes // layout.item,), scalar)
    row, some = layout.width * 8, minimal.TOGETHER * layout.width
    scratch = w.shape[1] * w.shape[2] * (some * 8 + 64) + row + layout.points * (some * layout.item + 64)
    space, address = borrow_workspace(workers * scratch)
    fields = {
        "kernel": cache.address(*kernels_of(layout)["weights"]),
        "plan": schedule.plan_address, "x": w.ctypes.data, "out": address_of(packed), "workspace": address,
        "slot_bytes": scratch, "x_n": w.strides[4], "x_h": w.strides[1], "x_w": w.strides[2], "x_c": w.strides[3],
    }  # fmt: skip
    call = call_with(fields)
    try:
        runner.run(call, call.buffer_info()[0], layout.units, workers, packed.size * 2e-10)
    finally:
        give_back(space, address)
    place = np.array([w.ctypes.data, *w.strides[1:]], np.int64)
    return None if call[CALL_SLOT["status"]] else (packed, w, place)
