"""Packing: the block's input tile with its halo, padded, cast and laid out for the micro-kernel, in cache.

Boundary modes and padding are one index table per axis: ``index[p]`` is the sample at padded position p, -1 stands for
the pad value. There is one kernel per (source type, computing type) and lane order:

    filters in lanes    (d, h, w, c)     pixels apart pk_w, their channels together
    pixels in lanes     (c, d, h, w)     stride s de-interleaved: position p of an axis lies at (p % s) * phase + p // s

Real channel c of interleaved complex numbers is part c % x_parts of channel c // x_parts.
"""

from __future__ import annotations

from numba import literally

from .casts import fill, load_as, move, move_square
from .intrinsics import SIZES, block_record, call_record, inlined, plan_record, pointer, size_of

PLANES = 16
"""Planes that are transposed together: a cache line of float32."""
SQUARE = 8
"""Rows and lanes of a transposed square: 24 shuffles of 32 bytes move 64 values of four."""


@inlined
def copy_run(source, source_step, source_code, target, target_step, target_code, count):
    """Copy and convert `count` values at constant steps. Neighbours go by vectors, the last of which overlaps."""
    literally(source_code)
    literally(target_code)
    size, target_size = size_of(source_code), size_of(target_code)
    if target_step == target_size and source_step == size and count >= 4:
        if count >= 16:
            for i in range(0, count - 15, 16):
                move(source + i * size, source_code, target + i * target_size, target_code, 16)
            i = count - 16
            move(source + i * size, source_code, target + i * target_size, target_code, 16)
        else:
            for i in range(0, count - 3, 4):
                move(source + i * size, source_code, target + i * target_size, target_code, 4)
            i = count - 4
            move(source + i * size, source_code, target + i * target_size, target_code, 4)
    else:
        for i in range(count):
            move(source + i * source_step, source_code, target + i * target_step, target_code, 1)


@inlined
def fill_run(target, step, code, value, count):
    """Write the pad value `count` times."""
    literally(code)
    if step == size_of(code) and count >= 8:
        for i in range(0, count - 7, 8):
            fill(target + i * step, code, value, 8)
        fill(target + (count - 8) * step, code, value, 8)
    else:
        for i in range(count):
            pointer(target + i * step, code)[0] = value


@inlined
def fill_pixels(target, code, pads, parts, count):
    """Write the pad value to `count` neighbouring real channels; `pads` holds its parts."""
    literally(code)
    size = size_of(code)
    for part in range(parts):
        fill_run(target + part * size, parts * size, code, pads[part], count // parts)


@inlined
def halo(plan, block):
    """Padded input that the block reads for the tap planes and rows of its pass: depth, height, width."""
    depth = (block.bd - 1) * plan.sd + (block.kd1 - block.kd0 - 1) * plan.dd + 1
    height = (block.bh - 1) * plan.sh + (block.kh1 - block.kh0 - 1) * plan.dh + 1
    return depth, height, (block.bw - 1) * plan.sw + (plan.KW - 1) * plan.dw + 1


@inlined
def interior(first, count, low, size):
    """The positions [a, b) among `count` from `first` on that are samples, not padding: there index[p] = p - low."""
    a = min(max(low - first, 0), count)
    return a, max(a, min(low + size - first, count))


@inlined
def copy_squares(source, source_code, target, target_code, pixels, channels):
    """Transpose `channels` planes of `pixels` neighbours; both are (address, bytes between rows)."""
    literally(source_code)
    literally(target_code)
    size, target_size = size_of(source_code), size_of(target_code)
    if pixels >= SQUARE and channels >= SQUARE:
        for w0 in range(0, pixels, SQUARE):
            w = min(w0, pixels - SQUARE)
            for c0 in range(0, channels, SQUARE):
                c = min(c0, channels - SQUARE)
                here = (source[0] + c * source[1] + w * size, source[1])
                there = (target[0] + w * target[1] + c * target_size, target[1])
                move_square(here, source_code, there, target_code, SQUARE)
    else:
        for c in range(channels):
            here, there = source[0] + c * source[1], target[0] + c * target_size
            for w in range(pixels):
                move(here + w * size, source_code, there + w * target[1], target_code, 1)


@inlined
def copy_pixels(call, origin, source_code, target, target_code, pixels, channels, parts):
    """Copy the channels of `pixels` neighbours, `target` being (address, bytes between pixels)."""
    literally(source_code)
    literally(target_code)
    size, target_size = size_of(source_code), size_of(target_code)
    if call.x_c == parts * size:
        if call.x_w == channels * size and target[1] == channels * target_size:
            copy_run(origin, size, source_code, target[0], target_size, target_code, pixels * channels)
        else:
            for w in range(pixels):
                here = origin + w * call.x_w
                copy_run(here, size, source_code, target[0] + w * target[1], target_size, target_code, channels)
    elif call.x_w == size and parts == 1:
        copy_squares((origin, call.x_c), source_code, target, target_code, pixels, channels)
    else:
        for w in range(pixels):
            for part in range(parts):
                here, there = origin + w * call.x_w + part * size, target[0] + w * target[1] + part * target_size
                copy_run(here, call.x_c, source_code, there, parts * target_size, target_code, channels // parts)


def pack_pixels(source, target):
    """Channels of a pixel together: for filters in lanes.

    Planes are transposed in squares of eight, a few planes at a time with all their rows: neighbours in memory come
    together (56 x 56 x 256 floats: 1.3 cycles a value row by row).
    """
    size, target_size = SIZES[source], SIZES[target]

    def kernel(plan_address, call_address, slot, _):
        plan, call, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        pads = pointer(plan.pad_value + call.part * target_size, target)  # of the real and the imaginary part
        parts, every = plan.x_parts, plan.channels
        index_d, index_h = pointer(plan.index_d, "i8"), pointer(plan.index_h, "i8")
        first_w = block.w0 * plan.sw
        index_w = pointer(plan.index_w + first_w * 8, "i8")
        depth, height, width = halo(plan, block)
        a, b = interior(first_w, width, plan.lo_w, plan.W)
        step = PLANES if call.x_w == size and call.x_c != parts * size else every
        for channel in range(0, every, step):
            channels, shift = min(step, every - channel), channel // parts * call.x_c
            for row in range(block.bn * depth * height):
                n, d, h = row // height // depth, row // height % depth, row % height
                from_d = index_d[block.d0 * plan.sd + block.kd0 * plan.dd + d]
                from_h = index_h[block.h0 * plan.sh + block.kh0 * plan.dh + h]
                packed = slot + plan.at_packed + n * plan.pk_n + d * plan.pk_d + h * plan.pk_h
                if from_d < 0 or from_h < 0:
                    if channel == 0:
                        fill_pixels(packed, target, pads, parts, width * every)
                    continue
                origin = call.x + (block.n + n) * call.x_n + from_d * call.x_d + from_h * call.x_h + shift
                w = 0
                while w < width:
                    start, here = origin + index_w[w] * call.x_w, packed + w * plan.pk_w + channel * target_size
                    pixels = b - w if w == a and a < b else 1
                    if index_w[w] < 0:
                        fill_pixels(here, target, pads, parts, channels)
                    else:
                        copy_pixels(call, start, source, (here, plan.pk_w), target, pixels, channels, parts)
                    w += pixels

    return kernel


def pack_planes(source, target):
    """One plane a channel, rows contiguous, phases of a stride apart: for pixels in lanes, and channels-first input."""
    size, target_size = SIZES[source], SIZES[target]

    def kernel(plan_address, call_address, slot, _):
        plan, call, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        pads = pointer(plan.pad_value + call.part * target_size, target)  # of the real and the imaginary part
        index_d, index_h = pointer(plan.index_d, "i8"), pointer(plan.index_h, "i8")
        first_w = block.w0 * plan.sw
        index_w = pointer(plan.index_w + first_w * 8, "i8")
        depth, height, width = halo(plan, block)
        a, b = interior(first_w, width, plan.lo_w, plan.W)
        fh, fw = plan.fh, plan.fw
        channel_0, channel_1 = 0, plan.channels
        if plan.group_units > 0:  # only the groups whose filters this job computes
            per = plan.channels // (plan.units // plan.group_units)
            channel_0 = block.first_unit // plan.group_units * per
            channel_1 = ((block.end_unit - 1) // plan.group_units + 1) * per
        # Lanes read what lies behind the tile, and between the phases of a stride. Their results are thrown away, but
        # denormal numbers left there by another call would cost a hundred cycles a product (a kernel on 8 x 8 samples:
        # 2.5 us instead of 0.9; a strided layer in float64: 20 times its time).
        cleared = channel_0 if fh * fw > 1 else channel_1
        count = ((channel_1 - cleared) * plan.pk_c + plan.overrun) // target_size
        fill_run(slot + plan.at_packed + cleared * plan.pk_c, target_size, target, 0.0, count)
        for c in range(channel_0, channel_1):
            pad = pads[c % plan.x_parts]
            plane = call.x + block.n * call.x_n + c // plan.x_parts * call.x_c + c % plan.x_parts * size
            for d in range(depth):
                from_d = index_d[block.d0 * plan.sd + block.kd0 * plan.dd + d]
                for h in range(height):
                    from_h = index_h[block.h0 * plan.sh + block.kh0 * plan.dh + h]
                    row = (
                        slot + plan.at_packed + c * plan.pk_c + d * plan.pk_d + h % fh * plan.ph_h + h // fh * plan.pk_h
                    )
                    origin = plane + from_d * call.x_d + from_h * call.x_h
                    for phase in range(min(fw, width)):
                        here, count = row + phase * plan.ph_w, (width - phase + fw - 1) // fw
                        if from_d < 0 or from_h < 0:
                            fill_run(here, plan.pk_w, target, pad, count)
                            continue
                        i0 = min(count, (max(a - phase, 0) + fw - 1) // fw)
                        i1 = max(i0, (max(b - phase, 0) + fw - 1) // fw)
                        copy_run(
                            origin + index_w[phase + i0 * fw] * call.x_w if i0 < i1 else origin, fw * call.x_w, source,
                            here + i0 * plan.pk_w, plan.pk_w, target, i1 - i0,
                        )  # fmt: skip
                        for i in range(count - (i1 - i0)):
                            j = i if i < i0 else i + (i1 - i0)
                            w = index_w[phase + j * fw]
                            value = pad if w < 0 else load_as(origin + w * call.x_w, source, target)
                            pointer(here + j * plan.pk_w, target)[0] = value

    return kernel
