"""Packing: what the block reads of the input, padded, cast and laid out for the micro-kernel, in cache.

Boundary modes and padding are one index table per axis: ``index[p]`` is the sample at padded position p, -1 stands for
the pad value. Which positions of an axis are packed, and where, say its segments (`numconv.cpu.axis`): a stride is
taken apart here, and positions between the taps of a dilation are left out. There is one kernel per (source type,
computing type) and lane order:

    filters in lanes    (n, d, h, segment of w, w, c)    pixels apart pk_w, their channels together
    pixels in lanes     (c, segment of w, d, h, w)       planes, for the channels of the job's groups

Both begin with two lists for the block, so that little is left to do for each row of each channel: the rows, and the
runs that each of them falls into. Real channel c of interleaved complex numbers is part c % x_parts of channel
c // x_parts.
"""

from __future__ import annotations

from numba import literally

from .casts import load_as
from .intrinsics import SIZES, block_record, call_record, inlined, pass_record, plan_record, pointer, size_of
from .runs import (
    copy_apart,
    copy_last,
    copy_rows,
    copy_rows_apart,
    copy_run,
    copy_together,
    fill_pixels,
    fill_run,
    transpose,
)

PADDING = -(1 << 62)
"""Instead of the offset of a row that is padding."""
PLANES = 16
"""Planes that are transposed together: a cache line of float32."""


@inlined
def list_rows(plan, block, call, slot):
    """(bytes from the sample, or PADDING; bytes from the tile) of the rows to pack; returns how many numbers."""
    table, count, tap_pass = pointer(slot + plan.at_rows, "i8"), 0, pass_record(block.tap_pass)
    segments_d, segments_h = pointer(tap_pass.segments_d, "i8"), pointer(tap_pass.segments_h, "i8")
    less_d, less_h = (plan.BD - block.bd) * plan.ahead_d, (plan.BH - block.bh) * plan.ahead_h
    for s in range(0, 3 * tap_pass.count_d, 3):
        first_d = block.d0 * plan.sd + tap_pass.first_d + segments_d[s]
        for i in range(segments_d[s + 1] - less_d):
            from_d = pointer(plan.index_d, "i8")[first_d + i * plan.step_d]
            for t in range(0, 3 * tap_pass.count_h, 3):
                first_h = block.h0 * plan.sh + tap_pass.first_h + segments_h[t]
                for j in range(segments_h[t + 1] - less_h):
                    from_h = pointer(plan.index_h, "i8")[first_h + j * plan.step_h]
                    outside = from_d < 0 or from_h < 0
                    table[count] = PADDING if outside else from_d * call.x_d + from_h * call.x_h
                    table[count + 1] = (segments_d[s + 2] + i) * plan.pk_d + (segments_h[t + 2] + j) * plan.pk_h
                    count += 2
    return count


@inlined
def list_runs(plan, block, call, slot):
    """Per segment of W: slots, those [low, high) that are samples, bytes to the first of them, address in index_w."""
    table, segments = pointer(slot + plan.at_runs, "i8"), pointer(plan.segments_w, "i8")
    less, step = (plan.BW - block.bw) * plan.ahead_w, plan.step_w
    for s in range(plan.segment_count_w):
        first, count = block.w0 * plan.sw + segments[3 * s], segments[3 * s + 1] - less
        low = min(count, max(0, plan.lo_w - first + step - 1) // step)
        high = max(low, min(count, max(0, plan.lo_w + plan.W - first + step - 1) // step))
        table[5 * s], table[5 * s + 1], table[5 * s + 2] = count, low, high
        table[5 * s + 3] = (first + low * step - plan.lo_w) * call.x_w
        table[5 * s + 4] = plan.index_w + first * 8


@inlined
def copy_pixels(call, origin, step, source_code, target, target_code, pixels, channels, parts):
    """Copy the channels of pixels `step` bytes apart, `target` being (address, bytes between pixels).

    By vectors where they lie together.
    """
    literally(source_code)
    literally(target_code)
    size, target_size = size_of(source_code), size_of(target_code)
    if call.x_c == parts * size:
        if step == channels * size and target[1] == channels * target_size:
            copy_together(origin, source_code, target[0], target_code, pixels * channels)
        else:
            for w in range(pixels):
                here = origin + w * step
                copy_together(here, source_code, target[0] + w * target[1], target_code, channels)
    else:
        for w in range(pixels):
            for part in range(parts):
                here, there = origin + w * step + part * size, target[0] + w * target[1] + part * target_size
                copy_apart(here, call.x_c, source_code, there, parts * target_size, target_code, channels // parts)


@inlined
def copy_planes(call, origin, step, source_code, target, target_code, pixels, channels, parts):
    """The same, by squares where they lie in planes."""
    literally(source_code)
    literally(target_code)
    if parts == 1 and call.x_c != size_of(source_code):
        transpose((origin, call.x_c), step, source_code, target, target_code, pixels, channels)
    else:
        copy_pixels(call, origin, step, source_code, target, target_code, pixels, channels, parts)


def pack_pixels(source, target, apart):
    """Channels of a pixel together: for filters in lanes.

    Where they lie `apart`, planes are transposed in squares of eight, a few planes at a time with all their rows:
    neighbours in memory come together (56 x 56 x 256 floats: 1.3 cycles a value row by row). Without that the kernel
    compiles in two thirds of the time, and copies what lies apart value by value.
    """
    size, target_size = SIZES[source], SIZES[target]

    def kernel(plan_address, call_address, slot, _):
        plan, call, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        pads = pointer(plan.pad_value + call.part * target_size, target)  # of the real and the imaginary part
        rows, segments = pointer(slot + plan.at_rows, "i8"), pointer(plan.segments_w, "i8")
        count = list_rows(plan, block, call, slot)
        list_runs(plan, block, call, slot)
        step, parts, every = plan.step_w * call.x_w, plan.x_parts, plan.channels
        together = PLANES if call.x_w == size and call.x_c != parts * size else every
        for channel in range(0, every, together):
            channels, shift = min(together, every - channel), channel // parts * call.x_c
            for row in range(block.bn * (count // 2)):
                n, r = row // (count // 2), row % (count // 2) * 2
                packed = slot + plan.at_packed + n * plan.pk_n + rows[r + 1]
                origin = call.x + (block.n + n) * call.x_n + rows[r] + shift
                for s in range(plan.segment_count_w):
                    run = pointer(slot + plan.at_runs + 40 * s, "i8")
                    pixels, low, high, index = run[0], run[1], run[2], pointer(run[4], "i8")
                    if rows[r] == PADDING:
                        for i in range(pixels if channel == 0 else 0):
                            fill_pixels(packed + segments[3 * s + 2] + i * plan.pk_w, target, pads, parts, every)
                        continue
                    here = packed + segments[3 * s + 2] + channel * target_size
                    # One call for the run of samples (i = -1) and for each border pixel: inlined twice, it would
                    # take twice as long to compile, and so would a literal 1.
                    for i in range(-1 if low < high else 0, pixels - (high - low)):
                        run_pixels, j, from_w = high - low, low, run[3]
                        if i >= 0:
                            run_pixels, j = min(1, pixels), i if i < low else i + (high - low)
                            sample = index[j * plan.step_w]
                            if sample < 0:
                                fill_pixels(here + j * plan.pk_w, target, pads, parts, channels)
                                continue
                            from_w = sample * call.x_w
                        to = (here + j * plan.pk_w, plan.pk_w)
                        if apart:
                            copy_planes(call, origin + from_w, step, source, to, target, run_pixels, channels, parts)
                        else:
                            copy_pixels(call, origin + from_w, step, source, to, target, run_pixels, channels, parts)

    return kernel


@inlined
def paired(plan, call, slot, target_size):
    """A row taken apart in two: bytes to its first sample, pairs, where the first and second of each go, one more."""
    if plan.segment_count_w != 2:
        return 0, 0, 0, 0, 0
    segments, runs = pointer(plan.segments_w, "i8"), pointer(slot + plan.at_runs, "i8")
    first, second = (0, 1) if runs[3] < runs[8] else (1, 0)
    here = segments[3 * first + 2] + runs[5 * first + 1] * target_size
    there = segments[3 * second + 2] + runs[5 * second + 1] * target_size
    counts = runs[5 * first + 2] - runs[5 * first + 1], runs[5 * second + 2] - runs[5 * second + 1]
    pairs = min(counts[0], counts[1])
    if runs[5 * second + 3] - runs[5 * first + 3] != call.x_w or counts[0] - pairs > 1:
        return 0, 0, 0, 0, 0
    return runs[5 * first + 3], pairs, here, there, counts[0] - pairs


def pack_planes(source, target):
    """Rows of a channel together, of the groups whose filters the job computes: for pixels in lanes.

    Lanes read what lies between the rows and behind the tile. Their results are thrown away, but denormal numbers left
    there by another call would cost a hundred cycles a product (a kernel on 8 x 8 samples: 2.5 us instead of 0.9; a
    strided layer in float64: 20 times its time): the tile is cleared before. The first planes of a block (block.fresh)
    leave the lists, and the pad values where these are the same for all, to those that come after them.
    """
    size, target_size = SIZES[source], SIZES[target]

    def kernel(plan_address, call_address, slot, _):
        plan, call, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        pads = pointer(plan.pad_value + call.part * target_size, target)  # of the real and the imaginary part
        rows, segments = pointer(slot + plan.at_rows, "i8"), pointer(plan.segments_w, "i8")
        first = block.packed + block.channel_0 * plan.pk_c
        if block.fresh:
            block.packed_rows = list_rows(plan, block, call, slot)
            list_runs(plan, block, call, slot)
            if block.overrun > 0:
                end = block.packed + block.channel_1 * plan.pk_c + block.overrun
                fill_run(first, target_size, target, 0.0, (end - first) // target_size)
        step, parts, pads_too = plan.step_w * call.x_w, plan.x_parts, block.fresh != 0 or plan.same_pads == 0
        listed, pairs = block.packed_rows, paired(plan, call, slot, target_size)
        quick = not pads_too and (step == size or step == 2 * size)
        for s in range(plan.segment_count_w):
            run = pointer(slot + plan.at_runs + 40 * s, "i8")
            quick = quick and run[2] - run[1] > 4
        for c in range(block.channel_0, block.channel_1):
            pad = pads[c % parts]
            plane = call.x + block.n * call.x_n + c // parts * call.x_c + c % parts * size
            if quick and step == 2 * size and plan.segment_count_w == 2 and pairs[1] > 8:
                here, even, odd = plane + pairs[0], first + pairs[2], first + pairs[3]
                copy_rows_apart(rows, listed, PADDING, here, source, even, odd, target, pairs[1])
                if pairs[4] > 0:
                    here, even = here + pairs[1] * step, even + pairs[1] * target_size
                    copy_last(rows, listed, PADDING, here, source, even, target)
                first += plan.pk_c
                continue
            if quick:
                for s in range(plan.segment_count_w):
                    run = pointer(slot + plan.at_runs + 40 * s, "i8")
                    width, here = run[2] - run[1], first + segments[3 * s + 2] + run[1] * target_size
                    if step == size:
                        copy_rows(rows, listed, PADDING, plane + run[3], source, here, target, width, 1)
                    else:
                        copy_rows(rows, listed, PADDING, plane + run[3], source, here, target, width, 2)
                first += plan.pk_c
                continue
            for r in range(0, listed, 2):
                if rows[r] == PADDING and not pads_too:
                    continue
                for s in range(plan.segment_count_w):
                    run = pointer(slot + plan.at_runs + 40 * s, "i8")
                    columns, low, high, shift, index = run[0], run[1], run[2], run[3], pointer(run[4], "i8")
                    here = first + segments[3 * s + 2] + rows[r + 1]
                    if rows[r] == PADDING:
                        fill_run(here, target_size, target, pad, columns)
                        continue
                    origin = plane + rows[r]
                    copy_run(origin + shift, step, source, here + low * target_size, target_size, target, high - low)
                    if pads_too:
                        for i in range(columns - (high - low)):
                            j = i if i < low else i + (high - low)
                            w = index[j * plan.step_w]
                            value = pad if w < 0 else load_as(origin + w * call.x_w, source, target)
                            pointer(here + j * target_size, target)[0] = value
            first += plan.pk_c

    return kernel
