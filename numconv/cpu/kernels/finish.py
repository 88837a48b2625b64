"""Finishing a chunk: chain sums + bias, activation, one conversion, store; in the order of out's memory."""

from __future__ import annotations

from numba import literally

from ..records import CALL_SLOT
from .casts import finish_apart, finish_square, finish_values
from .intrinsics import SIZES, block_record, call, call_record, fetch_or, inlined, plan_record, pointer, size_of
from .runs import SQUARE

TOGETHER = 64
"""Pixels that are transposed for eight filters after the other: their sums stay in L1, and so do the lines of eight
planes, which collide there where planes are a multiple of 4096 bytes apart."""
STATUS = 8 * CALL_SLOT["status"]


@inlined
def finish_run(sums, bias, out, count, activation, kinds, acc, target):
    """Finish `count` values; sums, bias and out are (address, step), activation is (kind, slope's address)."""
    literally(kinds)
    literally(acc)
    literally(target)
    status = 0
    if sums[1] == size_of(acc) and out[1] == size_of(target) and count >= 8:
        shared = 1 if bias[1] == 0 else 0
        for n in range(0, count, 8):
            i = min(n, count - 8)  # the last vector overlaps
            here = 0 if bias[0] == 0 else bias[0] + i * bias[1]
            status |= finish_values(sums[0] + i * sums[1], (here, shared), out[0] + i * out[1], activation, kinds, 8)
    else:
        for i in range(count):
            here = 0 if bias[0] == 0 else bias[0] + i * bias[1]
            status |= finish_values(sums[0] + i * sums[1], (here, 1), out[0] + i * out[1], activation, kinds, 1)
    return status


@inlined
def finish_squares(sums, bias, out, lanes, count, activation, kinds, acc, target):
    """Finish `lanes` filters of `count` pixels whose filters lie together in the sums, and whose pixels in out.

    `sums` is (address, bytes between pixels), `out` (address, bytes between filters); eight of both at least.
    """
    literally(kinds)
    literally(acc)
    literally(target)
    status = 0
    for first in range(0, count, TOGETHER):
        end = min(first + TOGETHER, count)
        for lane_0 in range(0, lanes, SQUARE):
            lane = min(lane_0, lanes - SQUARE)
            value = 0 if bias == 0 else bias + lane * size_of(acc)
            for n in range(first, end, SQUARE):
                i = min(n, count - SQUARE)
                square = (sums[0] + i * sums[1] + lane * size_of(acc), sums[1])
                to = (out[0] + lane * out[1] + i * size_of(target), out[1])
                status |= finish_square(square, value, to, activation, kinds, SQUARE)
    return status


@inlined
def add_bias(sums, bias, count, acc):
    """Add a bias in place, where an activation that is a pass of its own follows; both are (address, step)."""
    literally(acc)
    for i in range(count):
        pointer(sums[0] + i * sums[1], acc)[0] += pointer(bias[0] + i * bias[1], acc)[0]


def finish(acc, target, overflow, activated, apart):
    """`acc`: code of the chain sums; `target`: of out; `activated`: plan.activate runs over the sums in between.

    Filters that lie together in the sums and `apart` in out are taken eight at a time; without that the kernel compiles
    in three quarters of the time, and stores them value by value.
    """
    acc_size, out_size = SIZES[acc], SIZES[target]
    kinds = f"{acc}>{target}:{overflow}"

    def kernel(plan_address, call_address, slot, _):
        plan, call_, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        table, status = pointer(slot + plan.at_segments, "i8"), 0
        activation = (plan.relu, plan.slope)
        lanes_together = call_.o_f == plan.o_parts * out_size and plan.acc_lane == acc_size
        pixels_together = call_.o_w == out_size and plan.acc_pixel == acc_size
        for unit in range(block.unit_0, block.unit_1):
            group, panel = unit // plan.group_units, unit % plan.group_units
            lanes = min(plan.unit_filters, plan.group_filters - panel * plan.unit_filters)
            if lanes == plan.unit_filters and block.direct != 0:
                continue
            filter_0 = group * plan.group_filters + panel * plan.unit_filters
            sums = slot + plan.at_acc + (unit - block.unit_0) * plan.acc_unit
            bias = 0 if call_.bias == 0 else call_.bias + filter_0 * acc_size
            out = filter_0 // plan.o_parts * call_.o_f + filter_0 % plan.o_parts * out_size
            for s in range(0, block.segments, 3):
                here, there, count = sums + table[s], table[s + 1] + out, table[s + 2]
                if activated:
                    for lane in range(lanes):
                        row = (here + lane * plan.acc_lane, plan.acc_pixel)
                        if bias != 0:
                            add_bias(row, (bias + lane * acc_size, 0), count, acc)
                    # Values between lanes and pixels that belong to nobody are activated too: that harms nothing.
                    last = (count - 1) * plan.acc_pixel + (lanes - 1) * plan.acc_lane
                    if plan.acc_pixel >= plan.acc_lane:
                        call(plan.activate, (here, last // acc_size + 1, 0, 0))
                    else:
                        for lane in range(lanes):
                            call(plan.activate, (here + lane * plan.acc_lane, count, 0, 0))
                    bias_left = 0
                else:
                    bias_left = bias
                if lanes_together:
                    for i in range(count):
                        status |= finish_run(
                            (here + i * plan.acc_pixel, acc_size), (bias_left, acc_size),
                            (there + i * call_.o_w, out_size), lanes, activation, kinds, acc, target,
                        )  # fmt: skip
                    continue
                if apart and plan.acc_lane == acc_size and plan.o_parts == 1 and lanes >= SQUARE:
                    if call_.o_w == out_size and count >= SQUARE:
                        status |= finish_squares(
                            (here, plan.acc_pixel), bias_left, (there, call_.o_f), lanes, count, activation,
                            kinds, acc, target,
                        )  # fmt: skip
                        continue
                    for lane_0 in range(0, lanes, SQUARE):  # phases of a stride: pixels that are not neighbours in out
                        lane = min(lane_0, lanes - SQUARE)
                        value = 0 if bias_left == 0 else bias_left + lane * acc_size
                        for i in range(count):
                            at = here + i * plan.acc_pixel + lane * acc_size
                            to = (there + i * call_.o_w + lane * call_.o_f, call_.o_f)
                            status |= finish_apart(at, value, to, activation, kinds, SQUARE)
                    continue
                for lane in range(lanes):
                    f = filter_0 + lane
                    shift = f // plan.o_parts * call_.o_f + f % plan.o_parts * out_size - out
                    row = (here + lane * plan.acc_lane, acc_size if pixels_together else plan.acc_pixel)
                    to = (there + shift, out_size if pixels_together else call_.o_w)
                    value = 0 if bias_left == 0 else bias_left + lane * acc_size
                    status |= finish_run(row, (value, 0), to, count, activation, kinds, acc, target)
        if status != 0:
            fetch_or(call_address + STATUS, status)

    return kernel
