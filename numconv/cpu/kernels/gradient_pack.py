"""Packing for gradients of weights: a chunk's share of x and of the output's gradient, cast and laid out, in cache.

As in `packing`, padding and boundary modes are an index table per axis, -1 for the pad value. Lines are the rows of x
that the chunk's outputs see: for each run of output rows in one plane those of all tap planes, interleaved.
"""

from __future__ import annotations

from llvmlite import ir
from numba import literally, types
from numba.extending import intrinsic

from .casts import I32, _load, _store, move
from .gradient import gradient_record, share_record, work_record
from .intrinsics import I64, SIZES, call_record, inlined, pointer, size_of
from .packing import PADDING
from .runs import copy_apart, copy_run, copy_together, fill_pixels, fill_run, transpose

FEW = 16
"""Pixels of which all blocks or panels are packed before the next ones."""


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
def move_line(source, source_code, target, target_code):
    """Convert as many neighbours as fill a cache line."""
    literally(source_code)
    literally(target_code)
    if size_of(target_code) == 4:
        move(source, source_code, target, target_code, 16, 1, 0)
    else:
        move(source, source_code, target, target_code, 8, 1, 0)


@inlined
def run_of(plan, work, run, i):
    """Rows from the chunk's i-th on that lie one behind the other, in an array where `run` rows do."""
    return run - (work.row_0 + i) % run if work.columns == plan.OW else 1


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
        if channels == 64 // target_size:
            for w in range(pixels):
                move_line(origin + w * step, source_code, target[0] + w * target[1], target_code)
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


@intrinsic(prefer_literal=True)
def spread_vector(typingctx, source, target, code, lanes, inputs, outputs):
    """`spread` by shuffles of one vector, which holds all channels; lanes without a filter repeat the first."""
    size, n, C, F = SIZES[code.literal_value], lanes.literal_value, inputs.literal_value, outputs.literal_value

    def codegen(ctx, b, sig, args):
        value = _load(b, args[0], code.literal_value, n)
        for c in range(C):
            mask = [i // F * C + c if i < n // F * F else c for i in range(n)]
            spread = b.shuffle_vector(value, value, ir.Constant(ir.VectorType(I32, n), mask))
            _store(b, spread, b.add(args[1], I64(c * n * size)), code.literal_value)
        return ctx.get_dummy_value()

    return types.void(types.int64, types.int64, code, lanes, inputs, outputs), codegen


@inlined
def spread(plan, source, target, code):
    """A vector for each channel of a group, which has in each lane what the group of its filter has in that channel."""
    literally(code)
    values, size, inputs, outputs = pointer(source, code), size_of(code), plan.group_channels, plan.group_filters
    for c in range(inputs):
        to = pointer(target + c * plan.width * size, code)
        for group in range(plan.width // outputs):
            for i in range(outputs):
                to[group * outputs + i] = values[group * inputs + c]


def pack_x(source, target, lanes, inputs, outputs):
    """The blocks of channels that a job's elements see.

    With `lanes` they are spread, by shuffles where the channels (`inputs`) and filters (`outputs`) of groups are given.
    All blocks of a few pixels, where channels are neighbours: their cache lines come once (1024 channels, all pixels of
    a block at a time: 0.9 ms, not 0.5).
    """
    target_size, spreads, one_vector = SIZES[target], lanes > 0, inputs > 0

    def kernel(plan_address, call_address, slot, _):
        call = call_record(call_address)
        plan, share, work = gradient_record(plan_address), share_record(call.given), work_record(slot)
        pads, lines = pointer(plan.pad_value, target), pointer(slot + share.at_lines, "i8")
        index = pointer(plan.index_w + work.column_0 * plan.sw * 8, "i8")
        list_lines(plan, share, work, call, slot)
        width, step = (work.columns - 1) * plan.ahead_w + (plan.KW - 1) * plan.apart_w + 1, plan.step_w
        before, parts = plan.lo_w - work.column_0 * plan.sw, plan.x_parts
        first = min(width, max(0, before + step - 1) // step)
        last = max(first, min(width, max(0, before + plan.W + step - 1) // step))
        origin = call.x + work.group * plan.group_channels * call.x_c
        origin += work.block_0 * plan.block_inputs // parts * call.x_c
        most = FEW if spreads or (call.x_c == parts * plan.x_size and work.blocks > 1) else 1 << 40
        r = 0
        while r < work.lines:
            line, here, low, pixels = lines[r], slot + share.at_x + r * share.line_bytes, first, width
            together = min(run_of(plan, work, share.x_run, r), work.lines - r)
            if together > 1:
                pixels *= together
            high = last if together == 1 else pixels
            r, j = r + together, 0
            while j < pixels:
                # The pad value (from_w < 0) of a line or of a pixel, a pixel at the border, or a run of samples.
                count, from_w = 1, -1
                if line == PADDING:
                    count = pixels
                elif low <= j and j < high:
                    count, from_w = min(high - j, most), j * step - before
                else:
                    from_w = index[j * step]
                at, to = origin + line + from_w * call.x_w, here + j * plan.pixel_bytes
                for b in range(work.blocks):
                    channels = min(plan.block_inputs, plan.inputs - (work.block_0 + b) * plan.block_inputs)
                    there, pitch = to, plan.pixel_bytes
                    if spreads:
                        there, pitch = slot + share.at_few, plan.block_inputs * target_size
                    if from_w < 0:
                        fill_pixels(to, target, pads, parts, count * plan.pixel_bytes // target_size)
                    else:
                        copy_pixels((at, step * call.x_w, call.x_c), source, (there, pitch), target, count, channels,
                                    parts)  # fmt: skip
                        if plan.negate != 0:
                            negate(to, plan.pixel_bytes, count, channels, target)
                        if spreads:
                            for w in range(count):
                                for c in range(channels, plan.block_inputs):
                                    pointer(there + w * pitch, target)[c] = 0
                                from_, into = there + w * pitch, to + w * plan.pixel_bytes
                                if one_vector:
                                    spread_vector(from_, into, target, lanes, inputs, outputs)
                                else:
                                    spread(plan, from_, into, target)
                    at += channels // parts * call.x_c
                    to += share.block_bytes
                j += count

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
        most = FEW if share.g_f == parts * plan.g_size and work.panels > 1 else 1 << 40
        pixel, every = 0, work.rows * work.columns
        while pixel < every:
            row, w = work.row_0 + pixel // work.columns, pixel % work.columns
            i = pixel // work.columns
            count = min(run_of(plan, work, share.g_run, i), work.rows - i) * work.columns - w
            count = min(count, most)
            plane = row // plan.OH
            at = group + plane // plan.OD * share.g_n + plane % plan.OD * share.g_d + row % plan.OH * share.g_h
            at += (work.column_0 + w) * share.g_w
            for panel in range(work.panels):
                lane = (work.panel_0 + panel) * plan.panel_filters
                lanes = min(plan.panel_filters, plan.filters - lane)
                to = slot + share.at_g + panel * share.panel_bytes + pixel * pitch
                here = at + lane // parts * share.g_f
                copy_pixels((here, share.g_w, share.g_f), source, (to, pitch), target, count, lanes, parts)
                if plan.turn != 0:
                    turn(to, count, lanes, width, plan.turn, target)
                if lanes < plan.width:
                    for p in range(count * plan.steps):
                        fill_run(to + p * width + lanes * target_size, target_size, target, 0.0, plan.width - lanes)
            pixel += count

    return kernel
