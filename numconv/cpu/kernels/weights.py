"""Packing real weights into units, one unit a job: ``packed[unit, step, lane]``, steps (kd, kh, kw, c) as everywhere.

The CALL record describes the weights as it does an input: strides x_n of filters, x_d, x_h, x_w of taps, x_c of
channels; where `skip` is set, `status` tells whether any weight is not finite. NumPy's strided copies take 10 ms for
512 x 512 x 3 x 3 filters-first weights, this 2. Where channels are innermost, as in weights whose filters and channels
are swapped for an input gradient, squares are transposed (the same weights so: 4.3 ms value by value, 0.7 by squares).
"""

from __future__ import annotations

from numba import literally

from ..records import CALL_SLOT
from .intrinsics import SIZES, call_record, fetch_or, inlined, plan_record, pointer
from .runs import SQUARE, copy_apart, copy_together, fill_run, transpose_near

STATUS = 8 * CALL_SLOT["status"]


@inlined
def not_finite(address, code, count):
    """How many values are infinite or NaN."""
    literally(code)
    found = 0
    for i in range(count):
        value = pointer(address, code)[i]
        found += 0 if value - value == 0 else 1
    return found


def pack(source, target):
    """From a source type to the computing type."""
    size, target_size = SIZES[source], SIZES[target]

    def kernel(plan_address, call_address, _, unit):
        plan, call = plan_record(plan_address), call_record(call_address)
        group, panel = unit // plan.group_units, unit % plan.group_units
        lanes = min(plan.unit_filters, plan.group_filters - panel * plan.unit_filters)
        filters = call.x + (group * plan.group_filters + panel * plan.unit_filters) * call.x_n
        row = plan.unit_filters * target_size  # one step
        to = call.out + unit * plan.unit_bytes
        C, taps = plan.group_channels, plan.KD * plan.KH * plan.KW
        for tap in range(taps if call.x_n == size else 0):  # filters innermost: their rows as they lie
            kd, kh, kw = tap // (plan.KH * plan.KW), tap // plan.KW % plan.KH, tap % plan.KW
            at = filters + kd * call.x_d + kh * call.x_h + kw * call.x_w
            for c in range(C):
                here = to + (tap * C + c) * row
                copy_together(at + c * call.x_c, source, here, target, lanes)
                fill_run(here + lanes * target_size, target_size, target, 0.0, plan.unit_filters - lanes)
        near = call.x_n != size and call.x_c == size and C >= SQUARE and lanes >= SQUARE
        for tap in range(taps if near else 0):  # channels innermost
            kd, kh, kw = tap // (plan.KH * plan.KW), tap // plan.KW % plan.KH, tap % plan.KW
            at = filters + kd * call.x_d + kh * call.x_h + kw * call.x_w
            here = to + tap * C * row
            transpose_near((at, call.x_n), source, (here, row), target, C, lanes)
            for c in range(C if lanes < plan.unit_filters else 0):
                fill_run(here + c * row + lanes * target_size, target_size, target, 0.0, plan.unit_filters - lanes)
        for c in range(0 if call.x_n == size or near else C):  # taps innermost: all that is near in memory
            for tap in range(taps):
                kd, kh, kw = tap // (plan.KH * plan.KW), tap // plan.KW % plan.KH, tap % plan.KW
                at = filters + kd * call.x_d + kh * call.x_h + kw * call.x_w + c * call.x_c
                here = to + (tap * C + c) * row
                copy_apart(at, call.x_n, source, here, target_size, target, lanes)
                fill_run(here + lanes * target_size, target_size, target, 0.0, plan.unit_filters - lanes)
        if call.skip != 0 and not_finite(to, target, plan.unit_bytes // target_size) > 0:
            fetch_or(call_address + STATUS, 1)

    return kernel
