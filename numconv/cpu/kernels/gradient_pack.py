"""Packing for gradients of weights: a chunk's share of x and of the output's gradient, cast and laid out, in cache.

As in `packing`, padding and boundary modes are an index table per axis, -1 for the pad value. Lines are the rows of x
that the chunk's outputs see: for each run of output rows in one plane those of all tap planes, interleaved.
"""

from __future__ import annotations

from numba import literally

from .casts import move
from .gradient import gradient_record, share_record, work_record
from .intrinsics import SIZES, call_record, inlined, pointer, size_of
from .packing import PADDING
from .runs import copy_apart, copy_run, copy_together, fill_pixels, fill_run, transpose


@inlined
def list_lines(plan, share, work, call, slot):
    """(bytes from x, or PADDING) of each line, in the order in which they are packed."""
    table, line, i = pointer(slot + share.at_lines, "i8"), 0, 0
    index_d, index_h = pointer(plan.index_d, "i8"), pointer(plan.index_h, "i8")
    while i < work.rows:
        first, plane = (work.row_0 + i) % plan.OH, (work.row_0 + i) // plan.OH
        count = min(plan.OH - first, work.rows - i)
        sample, d = plane // plan.OD * call.x_n, plane % plan.OD * plan.sd
        for h in range((count - 1) * plan.ahead_h + (plan.KH - 1) * plan.apart_h + 1):
            from_h = index_h[first * plan.sh + h * plan.step_h]
            for kd in range(plan.KD):
                from_d = index_d[d + kd * plan.dd]
                outside = from_d < 0 or from_h < 0
                table[line] = PADDING if outside else sample + from_d * call.x_d + from_h * call.x_h
                line += 1
        i += count
    work.lines = line


@inlined
def copy_pixels(source, source_code, target, target_code, pixels, channels, parts):
    """Copy the channels of pixels, to where they lie together.

    `source` is (address, bytes between pixels, between channels), `target` the first two of these.
    """
    literally(source_code)
    literally(target_code)
    size, target_size = size_of(source_code), size_of(target_code)
    origin, step, apart = source
    if apart == parts * size:
        if channels == 8:
            for w in range(pixels):
                move(origin + w * step, source_code, target[0] + w * target[1], target_code, 8, 1, 0)
        elif step == channels * size and target[1] == channels * target_size:
            copy_together(origin, source_code, target[0], target_code, pixels * channels)
        else:
            for w in range(pixels):
                copy_together(origin + w * step, source_code, target[0] + w * target[1], target_code, channels)
    elif parts == 2:
        for w in range(pixels):
            for part in range(parts):
                here, there = origin + w * step + part * size, target[0] + w * target[1] + part * target_size
                copy_apart(here, apart, source_code, there, parts * target_size, target_code, channels // parts)
    elif channels == 1:
        copy_run(origin, step, source_code, target[0], target[1], target_code, pixels)
    else:
        transpose((origin, apart), step, source_code, target, target_code, pixels, channels)


@inlined
def negate(address, step, pixels, lanes, code):
    """Change the sign of every second value, the imaginary parts."""
    literally(code)
    for w in range(pixels):
        values = pointer(address + w * step, code)
        for i in range(1, lanes, 2):
            values[i] = -values[i]


def pack_x(source, target):
    """The blocks of channels that a job's elements see."""

    def kernel(plan_address, call_address, slot, _):
        call = call_record(call_address)
        plan, share, work = gradient_record(plan_address), share_record(call.given), work_record(slot)
        pads, lines = pointer(plan.pad_value, target), pointer(slot + share.at_lines, "i8")
        index = pointer(plan.index_w + work.column_0 * plan.sw * 8, "i8")
        list_lines(plan, share, work, call, slot)
        pixels, step = (work.columns - 1) * plan.ahead_w + (plan.KW - 1) * plan.apart_w + 1, plan.step_w
        before = plan.lo_w - work.column_0 * plan.sw
        low = min(pixels, max(0, before + step - 1) // step)
        high = max(low, min(pixels, max(0, before + plan.W + step - 1) // step))
        group, parts = call.x + work.group * plan.group_channels * call.x_c, plan.x_parts
        for b in range(work.blocks):
            channel = (work.block_0 + b) * plan.block_channels
            channels = min(plan.block_channels, plan.channels - channel) * plan.steps
            origin, block = group + channel * plan.steps // parts * call.x_c, slot + share.at_x + b * share.block_bytes
            for r in range(work.lines):
                here = block + r * share.line_bytes
                if lines[r] == PADDING:
                    for w in range(pixels):
                        fill_pixels(here + w * plan.pixel_bytes, target, pads, parts, channels)
                    continue
                # One call for the run of samples (i = -1) and for each border pixel, as in `packing`.
                for i in range(-1 if low < high else 0, pixels - (high - low)):
                    count, j, from_w = high - low, low, low * step - before
                    if i >= 0:
                        count, j = min(1, pixels), i if i < low else i + (high - low)
                        from_w = index[j * step]
                        if from_w < 0:
                            fill_pixels(here + j * plan.pixel_bytes, target, pads, parts, channels)
                            continue
                    at = (origin + lines[r] + from_w * call.x_w, step * call.x_w, call.x_c)
                    to = (here + j * plan.pixel_bytes, plan.pixel_bytes)
                    copy_pixels(at, source, to, target, count, channels, parts)
                    if plan.negate != 0:
                        negate(to[0], to[1], count, channels, target)

    return kernel


@inlined
def turn(address, pixels, lanes, width, kind, code):
    """Signs of interleaved complex gradients (kind 1: conjugates), and the second step of a pixel (2, 3).

    Kind 2, for conj(x) * g: xr times (gr, gi), then xi times (gi, -gr). Kind 3, for x * conj(g): xr times (gr, -gi),
    then xi times (gi, gr).
    """
    literally(code)
    for _ in range(pixels):
        first = pointer(address, code)
        if kind > 1:
            second = pointer(address + width, code)
            for i in range(0, lanes, 2):
                second[i] = first[i + 1]
                second[i + 1] = -first[i] if kind == 2 else first[i]
        if kind != 2:
            for i in range(1, lanes, 2):
                first[i] = -first[i]
        address += width if kind == 1 else 2 * width


def pack_g(source, target):
    """The panels of filters of a job; lanes without a filter are zeros."""
    target_size = SIZES[target]

    def kernel(plan_address, call_address, slot, _):
        call = call_record(call_address)
        plan, share, work = gradient_record(plan_address), share_record(call.given), work_record(slot)
        parts, width = plan.o_parts, plan.width * target_size
        pitch, group = width * plan.steps, call.weights + work.group * plan.group_filters * share.g_f
        for panel in range(work.panels):
            lane = (work.panel_0 + panel) * plan.width
            lanes = min(plan.width, plan.filters - lane)
            origin = group + lane // parts * share.g_f + work.column_0 * share.g_w
            to = slot + share.at_g + panel * share.panel_bytes
            for i in range(work.rows):
                h, plane = (work.row_0 + i) % plan.OH, (work.row_0 + i) // plan.OH
                row = origin + plane // plan.OD * share.g_n + plane % plan.OD * share.g_d + h * share.g_h
                copy_pixels((row, share.g_w, share.g_f), source, (to, pitch), target, work.columns, lanes, parts)
                if plan.turn != 0:
                    turn(to, work.columns, lanes, width, plan.turn, target)
                if lanes < plan.width:
                    for w in range(work.columns * plan.steps):
                        fill_run(to + w * width + lanes * target_size, target_size, target, 0.0, plan.width - lanes)
                to += work.columns * pitch

    return kernel
