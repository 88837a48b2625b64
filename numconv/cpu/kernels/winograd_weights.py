"""Transforming weights into panels, one panel a job: ``U[panel][point][channel][lane]``.

    for some channels
        gather                their taps, as rows of filters
        transform             to a place of their own, in a near cache
        copy                  point by point: a run of all these channels

Points are far apart in U, by a power of two as a rule: lines written one by one meet in few sets of the caches. (Two
Zen 5 cores, milliseconds, line by line / so: 512 channels 3.2 / 1.5, 256 0.56 / 0.20, 128 0.50 / 0.15, 64 0.22 / 0.08.
To write past the caches, or to memory that was used before, gains nothing: arithmetic takes most of it.)

Computed in float64 and rounded once. The CALL record describes the weights as it does for `weights.pack`; its status
tells whether the sum of |w| of some filter is neither zero nor between LEAST and its inverse: products of such a filter
could overflow or underflow. NaN and infinity are such.
"""

from __future__ import annotations

from llvmlite import ir
from numba import literally, types
from numba.extending import intrinsic

from ..records import CALL_SLOT
from . import minimal
from .intrinsics import I64, IR_TYPES, SIZES, call_record, fetch_or, inlined, plan_record, pointer, size_of
from .runs import SQUARE, copy_plain, copy_together, fill_run, transpose_near
from .tile import TileType, _load
from .winograd_tiles import Vectors

LEAST = {"f4": 2.0**-50, "f8": 2.0**-400}
STATUS = 8 * CALL_SLOT["status"]
LANES = 8
"""Float64 weights at a time."""


@intrinsic(prefer_literal=True)
def transform(typingctx, scalar, fused, high, wide, source, row, target, point):
    """G w G' of LANES filters, whose taps lie `row` bytes apart as float64, to results `point` bytes apart."""
    forms = high.literal_value, wide.literal_value
    height, width = (minimal.FORMS[form][1] for form in forms)
    tile = TileType("f8", 1, 1, LANES, fused.literal_value)
    result = ir.VectorType(IR_TYPES[scalar.literal_value], LANES)

    def codegen(ctx, b, sig, args):
        source_, row_, target_, point_ = args[4:]
        taps = [_load(b, tile, b.add(source_, b.mul(row_, I64(k)))) for k in range(height * width)]
        square = [taps[i * width : (i + 1) * width] for i in range(height)]
        rows = minimal.both(minimal.weights, *forms, Vectors(b, tile), square)
        for e, vector in enumerate(vector for line in rows for vector in line):
            value = vector if scalar.literal_value == "f8" else b.fptrunc(vector, result)
            place = b.inttoptr(b.add(target_, b.mul(point_, I64(e))), result.as_pointer())
            b.store(value, place).align = SIZES[scalar.literal_value]
        return ctx.get_dummy_value()

    return types.void(scalar, fused, high, wide, *[types.int64] * 4), codegen


@inlined
def gather(call, source, scalar, shape, near, to, lanes, channels):
    """Rows of float64 of some channels of some filters: ``to`` is (address, bytes between channels, and taps)."""
    literally(scalar)
    target, row, pitch = to
    taps, across = shape
    if near:
        for k in range(taps):
            at = source + k // across * call.x_h + k % across * call.x_w
            transpose_near((at, call.x_n), scalar, (target + k * pitch, row), "f8", channels, lanes)
    elif call.x_n == size_of(scalar):
        for k in range(taps):
            at = source + k // across * call.x_h + k % across * call.x_w
            for c in range(channels):
                copy_plain(at + c * call.x_c, call.x_n, scalar, target + k * pitch + c * row, "f8", lanes)
    else:  # filter by filter: taps are neighbours, and filters far apart
        for lane in range(lanes):
            for c in range(channels):
                for k in range(taps):
                    at = source + lane * call.x_n + c * call.x_c + k // across * call.x_h + k % across * call.x_w
                    pointer(target + k * pitch + c * row + lane * 8, "f8")[0] = pointer(at, scalar)[0]


@inlined
def add_sizes(taps, sums, count):
    """``sums[l] += |taps[l]|``."""
    values, totals = pointer(taps, "f8"), pointer(sums, "f8")
    for lane in range(count):
        totals[lane] += abs(values[lane])


@inlined
def unfit(sums, count, least):
    """Whether some filter is out of range."""
    totals, bad = pointer(sums, "f8"), 0
    for lane in range(count):
        size = totals[lane]
        bad += 0 if size == 0 or (size >= least and size * least <= 1) else 1
    return bad


def weights(scalar, fused, high, wide):
    """From weights of the computing type."""
    size, taps = SIZES[scalar], minimal.FORMS[high][1] * minimal.FORMS[wide][1]
    across, least = minimal.FORMS[wide][1], LEAST[scalar]
    points = minimal.points(high) * minimal.points(wide)

    def kernel(plan_address, call_address, slot_number, unit):
        plan, call = plan_record(plan_address), call_record(call_address)
        scratch = call.workspace + slot_number * call.slot_bytes
        group, panel = unit // plan.group_units, unit % plan.group_units
        lanes = min(plan.unit_filters, plan.group_filters - panel * plan.unit_filters)
        filters = call.x + (group * plan.group_filters + panel * plan.unit_filters) * call.x_n
        row, width, C = plan.unit_filters * 8, plan.unit_filters * size, plan.group_channels
        pitch = minimal.TOGETHER * row + 64  # between taps, which should not meet in one set of L1; nor should points
        sums, apart = scratch + taps * pitch, minimal.TOGETHER * width + 64
        done = sums + row
        fill_run(scratch, 8, "f8", 0.0, taps * (pitch // 8) + plan.unit_filters)
        near = call.x_n != size and call.x_c == size and C >= minimal.TOGETHER and lanes >= SQUARE
        for block in range(0, C, minimal.TOGETHER):
            first = min(block, C - minimal.TOGETHER) if near else block
            count, begin = min(minimal.TOGETHER, C - first), block - first
            to = (scratch, row, pitch)
            gather(call, filters + first * call.x_c, scalar, (taps, across), near, to, lanes, count)
            for c in range(begin, count):
                here = scratch + c * row
                for tap in range(taps):
                    add_sizes(here + tap * pitch, sums, lanes)
                for lane in range(0, plan.unit_filters, LANES):
                    there = done + c * width + lane * size
                    transform(scalar, fused, high, wide, here + lane * 8, pitch, there, apart)
            out = call.out + unit * plan.unit_bytes + block * width
            for e in range(points):
                source = done + begin * width + e * apart
                copy_together(source, scalar, out + e * C * width, scalar, (count - begin) * plan.unit_filters)
        if unfit(sums, lanes, least) != 0:
            fetch_or(call_address + STATUS, 1)

    return kernel
