"""Packing a pair of tiles for `fft`: with padding, in any mode, and zeros beyond it."""

from __future__ import annotations

from numba import literally

from .casts import fill, load_as, move
from .fft_vectors import take_apart
from .intrinsics import SIZES, block_record, call_record, fft_record, inlined, plan_record, pointer, size_of
from .runs import copy_plain


@inlined
def origin_of(plan, fft, t):
    """First output of a tile along D, H and W."""
    row = t // fft.TW
    return row // fft.TH * fft.VD, row % fft.TH * fft.VH, t % fft.TW * fft.VW


@inlined
def pack_part(plan, fft, call, origin, at, pad, target, steps, second, code, lanes):
    """One part of a tile, from padded position `at` on; `steps` are the bytes between rows, and vectors of a row.

    What lies beyond the padding is zeros. `second`: bytes to the other part of complex numbers, which are taken apart
    once for both where they lie together; < 0: that has been done.
    """
    literally(code)
    literally(lanes)
    size = size_of(code)
    index_d, index_h, index_w = pointer(plan.index_d, "i8"), pointer(plan.index_h, "i8"), pointer(plan.index_w, "i8")
    end_w = plan.lo_w + plan.W
    for r in range(fft.LD * fft.LH):
        d, h, w = at[0] + r // fft.LH, at[1] + r % fft.LH, at[2]
        if fft.flat != 0:
            d, h, w = at[0], at[1], at[2] + r * fft.LW
        inside = d < fft.padded_d and h < fft.padded_h
        from_d, from_h = (index_d[d], index_h[h]) if inside else (-1, -1)
        row = origin + from_d * call.x_d + from_h * call.x_h - plan.lo_w * call.x_w
        width, sample = fft.padded_w if inside else 0, from_d >= 0 and from_h >= 0
        to = target + r * steps[0]
        low = min(max(plan.lo_w - w + lanes - 1, 0) // lanes, fft.columns) if sample else fft.columns
        high = max(low, min((end_w - w) // lanes, fft.columns))  # vectors [low, high) hold samples alone
        here = row + (w + low * lanes) * call.x_w
        if call.x_w == 2 * size and second != 0:
            if second > 0:
                take_apart(code, lanes, here, to + low * steps[1], second, steps[1], high - low)
        elif call.x_w == size:
            for k in range(low, high):
                move(here, code, to + k * steps[1], code, lanes, 1, 0)
                here += lanes * size
        else:
            for k in range(low, high):
                copy_plain(here, call.x_w, code, to + k * steps[1], code, lanes)
                here += lanes * call.x_w
        for k in range(fft.columns - (high - low)):
            k += high - low if k >= low else 0
            p, there = w + k * lanes, to + k * steps[1]
            if p >= width:
                fill(there, code, 0.0, lanes)
                continue
            for i in range(lanes):
                q = p + i
                from_w = index_w[q] if sample and q < width else -1
                value = pad if q < width else 0.0
                if from_w >= 0:
                    value = load_as(row + (from_w + plan.lo_w) * call.x_w, code, code)
                pointer(there, code)[i] = value


def pack(scalar, lanes):
    """Both parts of pair `i` of the block and channel `block.channel_0`.

    To block.target, rows target_h bytes apart, vectors of a row target_w, the second part `packed`.
    """
    size = SIZES[scalar]

    def kernel(plan_address, call_address, slot, i):
        plan, call, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        fft, pair = fft_record(plan.fft), block.pixel_0 + i
        for half in range(2):
            tile, part = (pair, half) if fft.x_parts == 2 else (2 * pair + half, 0)
            to, steps = block.target + half * block.packed, (block.target_h, block.target_w)
            if tile < fft.tiles:
                second = 0 if fft.x_parts == 1 else -1 if half == 1 else block.packed
                pad, at = pointer(plan.pad_value, scalar)[part], origin_of(plan, fft, tile)
                source = call.x + block.n * call.x_n + block.channel_0 * call.x_c + part * size
                pack_part(plan, fft, call, source, at, pad, to, steps, second, scalar, lanes)
            else:
                for r in range(fft.LD * fft.LH):
                    for k in range(fft.columns):
                        fill(to + r * steps[0] + k * steps[1], scalar, 0.0, lanes)

    return kernel
