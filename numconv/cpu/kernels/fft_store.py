"""The last stages of `fft`: results of a pair to out; or, where transforms would not do, in the order of `direct`."""

from __future__ import annotations

from numba import literally

from .casts import finish_turned, finish_values, move
from .fft_pack import origin_of
from .fft_vectors import interleave
from .intrinsics import (
    SIZES,
    block_record,
    call,
    call_record,
    fft_record,
    inlined,
    multiply_add,
    plan_record,
    pointer,
    size_of,
)
from .runs import SQUARE, add_chain, fill_run

CHUNK = 256
"""Results at a time of `exact`; a multiple of all lanes."""


@inlined
def extent(plan, fft, at):
    """Planes of a tile that out has; rows of a plane, results of the last one and of the others."""
    planes, rows = min(fft.VD, plan.OD - at[0]), min(fft.VH, plan.OH - at[1])
    width = min(fft.VW, plan.OW - at[2])
    if fft.flat == 0:
        return planes, rows, width, width
    rows = (width + fft.LW - 1) // fft.LW
    return planes, rows, width - (rows - 1) * fft.LW, fft.LW


@inlined
def place_of(plan, fft, block, i, half):
    """(whether there is one, its first output) of a part of a pair; complex data share a tile."""
    pair = block.pixel_0 + i
    tile = pair if fft.x_parts == 2 else 2 * pair + half
    return tile < fft.tiles, origin_of(plan, fft, tile)


@inlined
def add_bias(tile, row_bytes, rows, bytes_, apart, bias, code, lanes):
    """Add a bias to the rows of a tile, where an activation that is a pass of its own follows."""
    literally(code)
    literally(lanes)
    for r in range(rows):
        for at in range(0, bytes_, apart):
            values = pointer(tile + r * row_bytes + at, code)
            for lane in range(lanes):
                values[lane] += bias


@inlined
def store_part(plan, fft, call, tile, out, bias, size, second, code, lanes, kinds):
    """Finish and store the results of one part of a tile, `size` its `extent`; of both at once, if `second` > 0.

    Where it is < 0, that has been done before.
    """
    literally(code)
    literally(lanes)
    literally(kinds)
    item = size_of(code)
    for r in range(size[0] * size[1]):
        d, h = r // size[1], r % size[1]
        source = tile + d * fft.plane_bytes + h * fft.row_bytes
        to = out + d * call.o_d + (h * fft.LW * call.o_w if fft.flat != 0 else h * call.o_h)
        count = size[2] if h == size[1] - 1 else size[3]
        whole = count // lanes if call.o_w == item or (second != 0 and call.o_w == 2 * item) else 0
        if second != 0 and whole > 0:
            if second > 0:
                interleave(code, lanes, source, to, bias, whole)
        elif bias == 0 and plan.relu == 0:
            for w in range(whole):
                move(source + w * (2 * lanes * item), code, to + w * (lanes * item), code, lanes, 1, 0)
        else:
            for w in range(whole):
                here, there = source + w * (2 * lanes * item), to + w * (lanes * item)
                finish_values(here, (bias, 1), there, (plan.relu, plan.slope), kinds, lanes)
        for w in range(whole * lanes, count):
            here = source + (w // lanes * 2 * lanes + w % lanes) * item
            finish_values(here, (bias, 1), to + w * call.o_w, (plan.relu, plan.slope), kinds, 1)


@inlined
def store_stack(plan, fft, call, tile, out, bias, size, code, lanes, kinds):
    """The same for SQUARE filters, which are neighbours in out, `fft.tile_bytes` apart in tiles."""
    literally(code)
    literally(lanes)
    literally(kinds)
    item, activation = size_of(code), (plan.relu, plan.slope)
    for r in range(size[0] * size[1]):
        d, h = r // size[1], r % size[1]
        source = tile + d * fft.plane_bytes + h * fft.row_bytes
        to = out + d * call.o_d + (h * fft.LW * call.o_w if fft.flat != 0 else h * call.o_h)
        count = size[2] if h == size[1] - 1 else size[3]
        for w in range(0, count, SQUARE):
            here, there = source + (w // lanes * 2 * lanes + w % lanes) * item, to + w * call.o_w
            if w + SQUARE <= count:
                finish_turned((here, fft.tile_bytes), bias, (there, call.o_w), activation, kinds, SQUARE)
                continue
            for i in range((count - w) * SQUARE):
                pixel, q = i // SQUARE, i % SQUARE
                value, own = here + pixel * item + q * fft.tile_bytes, 0 if bias == 0 else bias + q * item
                finish_values(value, (own, 1), there + pixel * call.o_w + q * item, activation, kinds, 1)


def store(scalar, lanes, activated):
    """The results of a pair and of the filters of the block; `activated`: plan.activate runs over them in between."""
    size, kinds = SIZES[scalar], f"{scalar}>{scalar}:wrap"
    vector = lanes * size

    def kernel(plan_address, call_address, slot, i):
        plan, call_, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        fft = fft_record(plan.fft)
        rows, first, biases = fft.LD * fft.LH, slot + fft.at_tile, call_.bias
        if activated:
            for unit in range(block.unit_0, block.unit_1):
                tile = first + (unit - block.unit_0) * fft.tile_bytes
                if biases != 0:
                    value = pointer(biases + unit * size, scalar)[0]
                    add_bias(tile, fft.row_bytes, rows, fft.columns * 2 * vector, vector, value, scalar, lanes)
                for r in range(rows):
                    call(plan.activate, (tile + r * fft.row_bytes, fft.columns * 2 * lanes, 0, 0))
            biases = 0
        stacked = fft.stack > 1 and block.unit_1 - block.unit_0 == fft.stack
        for half in range(2):
            there, at = place_of(plan, fft, block, i, half)
            part, second = (0, 0) if fft.x_parts == 1 else (half, 1 - 2 * half)
            origin = call_.out + block.n * call_.o_n + at[0] * call_.o_d + at[1] * call_.o_h + at[2] * call_.o_w
            for unit in range(block.unit_0, block.unit_1 if there else block.unit_0):
                here = first + (unit - block.unit_0) * fft.tile_bytes + half * vector
                out = origin + unit // fft.o_parts * call_.o_f + (unit % fft.o_parts + part) * size
                bias, shape = 0 if biases == 0 else biases + (unit * fft.x_parts + part) * size, extent(plan, fft, at)
                if stacked:
                    store_stack(plan, fft, call_, here, out, bias, shape, scalar, lanes, kinds)
                    break
                store_part(plan, fft, call_, here, out, bias, shape, second, scalar, lanes, kinds)

    return kernel


@inlined
def add_products(sums, x, w, count, code, fused):
    """``sums[l] += x[l] * w``."""
    literally(code)
    literally(fused)
    to, values = pointer(sums, code), pointer(x, code)
    for lane in range(count):
        to[lane] = multiply_add(values[lane], w, to[lane], fused)


def exact(scalar, lanes, fused):
    """The results of a pair and a filter from its samples, as `analyse` leaves them: (part, channel, row, column).

    Some results of a row at a time, tap by tap: a third of the speed of `direct`.
    """
    size = SIZES[scalar]
    vector = lanes * size

    def kernel(plan_address, call_address, slot, i):
        plan, call, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        fft = fft_record(plan.fft)
        given, starts = pointer(call.given, "i8"), pointer(plan.direct_chains, "i8")
        unit, row = block.unit_0, fft.LW * size
        group, plane = unit // plan.group_units, fft.LH * row
        weights = given[0] + unit // fft.o_parts * given[5] + unit % fft.o_parts * size
        channel = fft.LD * plane
        other = plan.channels * channel
        samples = slot + fft.at_spectra + i * plan.channels * fft.spectrum_bytes
        samples += group * plan.group_channels * channel
        both = 2 if fft.x_parts == 2 and fft.w_parts == 2 and fft.o_parts == 1 else 1  # complex products
        products, steps = both * both, plan.KD * plan.KH * plan.KW * plan.group_channels
        sums = slot + fft.at_sums
        totals, next_sums = sums + CHUNK * size, 2 * CHUNK * size
        fill_run(sums, size, scalar, 0.0, 4 * CHUNK)
        for half in range(0, 2, both):
            there, at = place_of(plan, fft, block, i, half)
            shape = extent(plan, fft, at)
            every = shape[0] * shape[1] if there else 0
            for r in range(every):
                d, h = r // shape[1], r % shape[1]
                width = shape[2] if h == shape[1] - 1 else shape[3]
                here = samples + half * other + d * plane + h * row
                for first in range(0, width, CHUNK):
                    count, chain = min(CHUNK, width - first), 0
                    for step in range(steps + 1):
                        if step == starts[chain + 1]:
                            for part in range(both):
                                to = sums + part * next_sums
                                add_chain(to + CHUNK * size, to, chain == 0, count, scalar)
                            chain += 1
                        if step == steps:
                            break
                        c, k = step % plan.group_channels, step // plan.group_channels
                        kd, kh, kw = k // plan.KW // plan.KH, k // plan.KW % plan.KH, k % plan.KW
                        w = weights + kd * given[1] + kh * given[2] + kw * given[3] + c * given[4]
                        x = here + c * channel + kd * plan.dd * plane + kh * plan.dh * row
                        x += (first + kw * plan.dw) * size
                        for q in range(products):
                            weight = pointer(w, scalar)[1 if q == 1 or q == 2 else 0]
                            weight = -weight if q == 1 else weight
                            to = sums + q // 2 * next_sums
                            add_products(to, x + q % 2 * other, weight, count, scalar, fused)
                    for part in range(both):
                        to = totals + part * next_sums
                        target = block.source + d * fft.plane_bytes + h * fft.row_bytes
                        target += first * 2 * size + (half + part) * vector
                        for n in range(count):
                            value = pointer(to, scalar)[n]
                            pointer(target + n // lanes * 2 * vector, scalar)[n % lanes] = value

    return kernel
