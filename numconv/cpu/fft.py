"""Method `fft`: overlap-save, products of spectra instead of sums of products; for kernels of many taps.

`kernels.fft` says how a tile is computed. Here: which problems, the size of a tile, the spectra of weights. Results
are within 8 * e * log2(L) * |x|_2 * |w|_2 of the exact ones, L the samples of a tile, the norms over all channels of
what is transformed together: of real data, two tiles that are neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod

import numpy as np

from .._problem import Problem, Triple
from . import cache, children, direct, exercise, runner, transforms, winograd
from .direct import RELU, Schedule, code_of
from .machine import machine
from .memory import address_of, aligned_empty, borrow_workspace, cast, give_back
from .records import FFT_SLOT, PLAN_SLOT, call_with, written
from .schedule import WEIGHTS_SHARE, Parts, laid_out
from .tables import index_tables

UNFIT = "a filter is not finite, or all of it is too small or too large"
"""Why weights have no spectra here."""
RANGE = {"f4": (40, 40), "f8": (300, 400)}
"""Exponents of two: largest and, negative, smallest size of the samples of a tile, and of the sum of a filter's.

Between them no product of spectra leaves the type's range, nor comes near its smallest numbers.
"""
MOST_BYTES = 24 << 20
"""Most that a worker may have."""
TOGETHER_BYTES = 256 << 10
"""Of spectra of tiles that are computed together, so that they read the weights' from near."""
STACK, STACK_BYTES = 8, 4 << 20
"""Filters that are stored together where they are neighbours, unless their tiles are too large; `kernels.runs.SQUARE`.

One by one, channels last takes 3.6 times as long (16 filters of 48 taps on 65536 samples)."""
MOST_WEIGHTS = 1 << 30
"""Bytes of spectra of weights."""
MEMORY, CACHED_BYTES = 0.15, 8 << 20
"""Cycles a byte of input and results that caches do not hold (2048x2048: 11x11 as fast as `direct`, 15x15 1.75x)."""
DEEP = 50.0
"""Cycles more for a vector of a tile with three axes, which are far apart."""
LEAST_TAPS = 20
"""From which `auto` thinks of this method. (5x5 taps: 64 channels and filters as fast as direct, one 0.3 times.)"""
LENGTHS = (1, 4, 5, 8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 640, 768, 1024)
"""Transforms along one axis that are thought of: more would make thinking slow."""


@dataclass(frozen=True)
class Fft:
    """One way to compute a problem by overlap-save: everything but addresses. Sizes in bytes unless counts."""

    parts: Parts
    shape: Triple  # samples of a tile along D, H, W
    flat: bool  # a tile is one row of samples, in `shape[1]` rows
    lanes: int
    item: int

    method = order = "fft"
    most_units = 1 << 30
    unit_filters = 1
    samples = 1  # of a block

    @property
    def reach(self) -> Triple:
        """Samples that a result depends on, along each axis."""
        p = self.parts.problem
        d, h, w = ((k - 1) * dil + 1 for k, dil in zip(p.kernel, p.dilation, strict=True))
        return d, h, w

    @property
    def block(self) -> Triple:
        """Results of a tile."""
        if self.flat:
            return 1, 1, prod(self.shape) - self.reach[2] + 1
        d, h, w = (size - reach + 1 for size, reach in zip(self.shape, self.reach, strict=True))
        return d, h, w

    @property
    def tiles(self) -> Triple:
        """Of a sample along each axis."""
        d, h, w = (-(-out // size) for out, size in zip(self.parts.problem.out_spatial, self.block, strict=True))
        return d, h, w

    @property
    def x_parts(self) -> int:
        """Parts of a value of x."""
        return 2 if self.parts.problem.x_dtype.kind == "c" else 1

    @property
    def pairs(self) -> int:
        """Of tiles, or complex tiles, in a sample."""
        return -(-prod(self.tiles) // (3 - self.x_parts))

    @property
    def together(self) -> int:
        """Pairs of a block."""
        channels = self.parts.problem.channels
        return max(1, min(self.pairs, 64, TOGETHER_BYTES // (channels * self.spectrum_bytes)))

    @property
    def together_bytes(self) -> int:
        """Of the spectra of a block."""
        return self.together * self.parts.problem.channels * self.spectrum_bytes

    @property
    def blocks(self) -> Triple:
        """Of a sample."""
        return 1, 1, -(-self.pairs // self.together)

    @property
    def group_units(self) -> int:
        """Filters of a group; those with two parts are two where x has one."""
        return self.parts.filters

    @property
    def units(self) -> int:
        """Of all groups."""
        return self.group_units * self.parts.problem.groups

    @property
    def spectrum_bytes(self) -> int:
        """Of a channel, or of weights."""
        return 2 * prod(self.shape) * self.item

    @property
    def weights_bytes(self) -> int:
        """Of all spectra."""
        return self.units * self.parts.problem.group_channels * self.spectrum_bytes

    @property
    def tile_bytes(self) -> int:
        """Of a tile as it lies by rows."""
        return self.shape[0] * self.shape[1] * self.row_bytes

    @property
    def stack(self) -> int:
        """Filters whose results are kept, to be stored together where they are neighbours."""
        together = self.parts.problem.channels_last and self.x_parts == 1 and self.units >= STACK
        return STACK if together and STACK * self.tile_bytes <= STACK_BYTES else 1

    @property
    def row_bytes(self) -> int:
        """Between rows of a tile: an odd number of pairs of vectors, or all meet in one set of L1."""
        return 2 * self.lanes * self.item * (self.shape[2] // self.lanes | 1)

    @cached_property
    def offsets(self) -> dict[str, int]:
        """Where things lie in the worker's bytes; "slot" is how many it has."""
        return laid_out(
            wild=8 * self.together,
            sums=4 * 256 * self.item,
            scratch=2 * self.lanes * self.shape[2] * self.item,
            tile=self.stack * self.tile_bytes,
            spectra=self.together_bytes,
        )

    @cached_property
    def cycles(self) -> float:
        """Estimated for a sample."""
        return cycles(self)


def cycles(layout: Fft) -> float:
    """Estimated for a sample."""
    p, size = layout.parts.problem, prod(layout.shape)
    vectors = size / layout.lanes
    passes = sum(len(transforms.radices(n) or ()) for n in layout.shape if n > 1)
    deep = DEEP * (layout.shape[0] > 1)
    forward = p.channels * (vectors * (25 + 3.5 * passes + deep) + 500)
    inverse = layout.units * (vectors * (15 + 3.5 * passes + 5 * layout.flat + deep) + 500)
    products = layout.units * (p.group_channels - 1) * 8.0 * vectors
    far = 1 + 0.85 * min(1.0, max(0.0, (layout.spectrum_bytes - (150 << 10)) / (600 << 10)))
    again = winograd.FAR if layout.weights_bytes > winograd.NEAR_WEIGHTS_BYTES else winograd.NEAR
    streaming = layout.weights_bytes * (winograd.FAR + again * (layout.blocks[2] - 1))
    weights = layout.units * p.group_channels * (vectors * (45 + 3.5 * passes) + 500)
    moved = (prod(p.spatial) * p.channels + prod(p.out_spatial) * p.filters) * layout.item
    memory = MEMORY * moved if moved > CACHED_BYTES else 0.0
    return layout.pairs * far * (forward + inverse + products) + streaming + WEIGHTS_SHARE * weights + memory


def refusal(problem: Problem) -> str:
    """Why a problem cannot be computed by Fourier transforms; "" if it can."""
    p = problem
    if p.compute.kind not in "fc" or code_of(p.x_dtype) != code_of(p.compute) or p.result != p.compute:
        return "only float32, float64, complex64 and complex128, in and out"
    if p.compute.kind == "c" and p.x_dtype.kind != "c" and p.w_dtype.kind != "c":
        return "complex results of complex numbers only"
    if p.stride != (1, 1, 1):
        return "only stride 1"
    return "" if any(map(_fits, layouts(p))) else "only kernels and channels whose tiles fit the workspace"


def reluctance(problem: Problem) -> str:
    """Why `auto` leaves a problem to others although it could be computed; "" if it does not."""
    return f"only from {LEAST_TAPS} taps on" if prod(problem.kernel) < LEAST_TAPS else ""


def cost(problem: Problem) -> float:
    """Estimated cycles for a sample."""
    found = best(problem)
    return float("inf") if found is None else found.cycles


def layouts(problem: Problem) -> Iterator[Fft]:
    """Tiles worth a look."""
    p, scalar = problem, code_of(problem.compute)
    lanes, item = machine().lanes[scalar], int(scalar[1])
    parts = Parts(p, scalar, 1, 1 if p.x_dtype.kind == "c" or p.w_dtype.kind != "c" else 2)
    reach = [(k - 1) * dil + 1 for k, dil in zip(p.kernel, p.dilation, strict=True)]
    if p.out_spatial[0] == p.out_spatial[1] == 1 and p.kernel[0] == p.kernel[1] == 1:
        whole = p.out_spatial[2] + reach[2] - 1
        every = [n for n in LENGTHS if n % lanes == 0]
        pairs = [(h, w) for h in every for w in every if h <= w <= 8 * h and h * w >= reach[2]]
        most = max(min(2 * whole, 48 * reach[2] + 4096), min((h * w for h, w in pairs), default=0))
        yield from (Fft(parts, (1, h, w), True, lanes, item) for h, w in pairs if h * w <= most)
    deep = p.kernel[0] > 1
    for d in _lengths(reach[0], p.out_spatial[0], deep, 1) if deep else (1,):
        for h in _lengths(reach[1], p.out_spatial[1], deep, lanes):
            if d * h % lanes == 0:
                for w in _lengths(reach[2], p.out_spatial[2], deep, lanes):
                    if w % lanes == 0:
                        yield Fft(parts, (d, h, w), False, lanes, item)


def _lengths(reach: int, out: int, deep: bool, lanes: int) -> list[int]:
    """For an axis, ascending: none much longer than what all results need, or than pays."""
    enough = next((n for n in LENGTHS if n >= out + reach - 1 and n % lanes == 0), LENGTHS[-1])
    most = min(max(enough, 16), 4 * reach + 16 if deep else 12 * reach + 64)
    return [n for n in LENGTHS if reach <= n <= max(most, 16)]


@lru_cache(maxsize=1024)
def best(problem: Problem) -> Fft | None:
    """The tile of least estimated cost: part of what fixes the bits, so that no cache or layout has a say."""
    return min(filter(_fits, layouts(problem)), key=lambda layout: layout.cycles, default=None)


def _fits(layout: Fft) -> bool:
    """Whether a worker's tiles and the weights' spectra are not too large."""
    return layout.tile_bytes + layout.together_bytes <= MOST_BYTES and layout.weights_bytes <= MOST_WEIGHTS


def build(problem: Problem) -> Schedule:
    """Schedule a problem that is not refused."""
    return record(problem, layout_of(problem))


def layout_of(problem: Problem) -> Fft:
    """Of a problem that is not refused."""
    found = best(problem)
    assert found is not None
    return found


def kernels_of(layout: Fft) -> dict[str, tuple]:
    """Factory and parameters of the kernel of each stage, of the job that calls them, and of the packing of weights."""
    p, scalar, fused = layout.parts.problem, layout.parts.scalar, machine().fma
    own_pass, how = p.activation not in RELU, (scalar, layout.lanes, fused)
    stages: dict[str, tuple] = {
        "analyse": ("fft.analyse", scalar, layout.lanes), "pack": ("fft_pack.pack", scalar, layout.lanes),
        "spectrum": ("fft.spectrum", *how), "synthesise": ("fft.synthesise", *how),
        "exact": ("fft_store.exact", *how), "store": ("fft_store.store", scalar, layout.lanes, own_pass),
        "forward": ("fft_passes.forward", *how), "inverse": ("fft_passes.inverse", *how), "job": ("fft.job", scalar),
        "weights": ("fft_weights.weights", scalar, layout.lanes), "worker": direct.WORKER,
    }  # fmt: skip
    return stages | ({"activate": ("activation.activate", scalar, p.activation, fused)} if own_pass else {})


def record(p: Problem, layout: Fft) -> Schedule:
    """Schedule a problem in a layout: load or compile its kernels, write its records."""
    scalar, pair = layout.parts.scalar, 2 * layout.lanes * layout.item
    (LD, LH, LW), size = layout.shape, prod(layout.shape)
    every = kernels_of(layout)
    children.share(every.values())
    kernels = {name: cache.address(*kernel) for name, kernel in every.items() if kernel != direct.WORKER}
    job, _ = kernels.pop("job"), kernels.pop("weights")
    tables = index_tables(p)
    tables["slope"] = np.array([p.slope, 1 / size], scalar)
    pad = complex(p.pad_value)
    tables["pad_value"] = np.array([pad.real, pad.imag], scalar)
    tables["direct_chains"] = np.array([0, *(end for _, end in layout.parts.chains), 0], np.int64)
    passes = {f"passes_{axis}": transforms.passes(n, scalar) for axis, n in zip("dhw", layout.shape, strict=True)}
    turns = transforms.turns(LH, LW, layout.lanes, scalar) if layout.flat else None
    bits = np.dtype(f"i{layout.item}")
    most, least = (int(np.array(2.0**e, scalar).view(bits)) for e in (RANGE[scalar][0], -RANGE[scalar][0]))
    block, tiles, at = layout.block, layout.tiles, layout.offsets
    fields = {name: kernels[name] for name in kernels if name in FFT_SLOT}
    fields |= {name: table.ctypes.data for name, (table, _) in passes.items()}
    fields |= _axes(("L", layout.shape), ("V", block), ("T", tiles))
    fields |= {f"padded_{axis}": n + sum(p.pads[i]) for i, (axis, n) in enumerate(zip("dhw", p.spatial, strict=True))}
    fields |= {f"at_{name}": at[name] for name in ("tile", "scratch", "spectra", "wild", "sums")}
    fields |= {
        "tiles": prod(tiles), "pairs": layout.pairs, "together": layout.together, "flat": layout.flat,
        "turns": 0 if turns is None else turns.ctypes.data, "row_bytes": layout.row_bytes,
        "plane_bytes": LH * layout.row_bytes, "columns": LW // layout.lanes,
        "used_columns": LW // layout.lanes if layout.flat else -(-block[2] // layout.lanes),
        "stack": layout.stack, "tile_bytes": layout.tile_bytes,
        "row_blocks": LD * LH // layout.lanes, "spectrum_bytes": layout.spectrum_bytes, "x_parts": layout.x_parts,
        "w_parts": 2 if p.w_dtype.kind == "c" else 1, "o_parts": layout.parts.o_parts, "least": least, "most": most,
    }  # fmt: skip
    assert pair * (LW // layout.lanes) <= layout.row_bytes
    fft = written(FFT_SLOT, fields)
    d, h, w = p.spatial
    plan = written(PLAN_SLOT, {
        "fft": fft.ctypes.data, "relu": RELU.get(p.activation, 0), "channels": p.channels, "D": d, "H": h, "W": w,
        **{name: table.ctypes.data for name, table in tables.items()},
        **_axes(("O", p.out_spatial), ("K", p.kernel)),
        **dict(zip(("dd", "dh", "dw"), p.dilation, strict=True)),
        "lo_w": p.pads[2][0], "NW": layout.blocks[2], "group_channels": p.group_channels, "units": layout.units,
        "group_units": layout.group_units, "activate": kernels.get("activate", 0), "pack": kernels["pack"],
    })  # fmt: skip
    kept = [*tables.values(), fft, *(array for table, more in passes.values() for array in (table, *more))]
    kept += [] if turns is None else [turns]
    return Schedule(p, layout, plan, tuple(kept), frozenset(every.values()), job, scalar, True, True, False)


def _axes(*every: tuple[str, Triple]) -> dict[str, int]:
    """Fields of all axes."""
    return {name + axis: n for name, sizes in every for axis, n in zip("DHW", sizes, strict=True)}


def pack(schedule: Schedule, w: np.ndarray, workers: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(spectra, weights of the computing type, where these lie) of canonical weights; None: see `UNFIT`."""
    layout = schedule.layout
    assert isinstance(layout, Fft)
    scalar, compute = layout.parts.scalar, schedule.problem.compute
    wanted = compute if w.dtype.kind == "c" else np.dtype(scalar)
    if w.dtype != wanted or not w.flags.aligned:
        w = cast(w, wanted)
    with np.errstate(all="ignore"):
        sums = np.abs(w).sum(axis=(0, 1, 2, 3), dtype=np.float64)
    limit = 2.0 ** RANGE[scalar][1]
    if not ((sums == 0) | ((sums <= limit) & (sums * limit >= 1))).all():
        return None
    packed = aligned_empty((layout.weights_bytes // layout.item,), scalar)
    tile_bytes = layout.tile_bytes
    space, address = borrow_workspace(workers * tile_bytes)
    strides = dict(zip("dhwcn", w.strides, strict=True))
    fields = {
        "kernel": cache.address(*kernels_of(layout)["weights"]), "plan": schedule.plan_address, "x": w.ctypes.data,
        "out": address_of(packed), "workspace": address, "slot_bytes": tile_bytes,
        **{f"x_{axis}": stride for axis, stride in strides.items()},
    }  # fmt: skip
    call = call_with(fields)
    jobs = layout.units * schedule.problem.group_channels
    try:
        runner.run(call, call.buffer_info()[0], jobs, workers, packed.size * 2e-9)
    finally:
        give_back(space, address)
    return packed, w, np.array([w.ctypes.data, *w.strides], np.int64)


def small(schedule: Schedule) -> Schedule | None:
    """That of a problem of several tiles, whose last are not whole."""
    layout = schedule.layout
    assert isinstance(layout, Fft)
    p = exercise.for_fft(schedule.problem, layout.flat, layout.lanes)
    parts = Parts(p, layout.parts.scalar, 1, layout.parts.o_parts)
    shape = (1, layout.lanes, 3 * layout.lanes)
    return record(p, Fft(parts, shape, layout.flat, layout.lanes, layout.item))


def describe(schedule: Schedule) -> str:
    """Tiles, pairs of them."""
    layout = schedule.layout
    assert isinstance(layout, Fft)
    size = str(prod(layout.shape)) if layout.flat else "x".join(map(str, layout.shape[3 - schedule.problem.ndim :]))
    return (
        f"{prod(layout.tiles)} tiles of {size} {layout.parts.scalar}, {layout.together} "
        f"{'pairs ' * (layout.x_parts == 1)}together, {schedule.slot_bytes} bytes a worker"
    )
