"""The sums of a job's elements and filters, moved from panels to where weights lie."""

from __future__ import annotations

from .gradient import element_of, gradient_record, share_record, work_record
from .intrinsics import SIZES, call_record
from .runs import copy_run, transpose


def finish(scalar):
    """Elements of a filter that are neighbours in out (`by_channel`) are transposed; else filters are copied."""
    size = SIZES[scalar]

    def kernel(plan_address, call_address, slot, _):
        call = call_record(call_address)
        plan, share, work = gradient_record(plan_address), share_record(call.given), work_record(slot)
        width, parts = plan.width * size, plan.o_parts
        x_parts = plan.x_parts // plan.steps  # parts of a number that are elements of their own
        out = call.out + work.segment * share.part_bytes + work.group * plan.group_filters * call.o_f
        for panel in range(work.panels):
            sums = slot + share.at_acc + panel * work.tiles * plan.tile_rows * width
            lane = (work.panel_0 + panel) * plan.panel_filters
            lanes, to = min(plan.panel_filters, plan.filters - lane), out + lane // parts * call.o_f
            if share.by_channel != 0:
                target = (to + work.element_0 * size, call.o_f)
                transpose((sums, width), size, scalar, target, scalar, lanes, work.elements)
                continue
            for i in range(work.elements):
                block, channel, tap = element_of(plan, share, work.element_0 + i)
                kd, kh, kw = tap // (plan.KH * plan.KW), tap // plan.KW % plan.KH, tap % plan.KW
                channel += block * plan.block_channels
                at = to + kd * call.o_d + kh * call.o_h + kw * call.o_w
                at += channel // x_parts * call.o_n + channel % x_parts * size
                if call.o_f == parts * size:
                    copy_run(sums + i * width, size, scalar, at, size, scalar, lanes)
                    continue
                for part in range(parts):
                    here = sums + i * width + part * size
                    copy_run(here, parts * size, scalar, at + part * size, call.o_f, scalar, lanes // parts)

    return kernel
