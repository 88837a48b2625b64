"""Winograd's minimal filtering: a job is a block of tiles times a range of panels of filters.

    point                     addresses of the input pixels of all tiles, with their halo
    for channels              all of them, where x has them innermost
        gather                else those of a slice become so
        forward               V[point][tile][channel]: channels in lanes
    for panel
        micro                 M[point] = V[point] @ U[panel][point]: the micro-kernel of `filters`, points as its units
        inverse               filters in lanes; bias, activation, straight to out where that has filters innermost
        finish                else, and for a panel that is not full

A tile is so many outputs of a sample, counted from the sample's first: whatever block it is computed in, its bits are
the same. Two records describe the work: PLAN as everywhere, and another one to the micro-kernel (PLAN.gemm).

Tiles whose results are `suspect` are computed again by `exact`, in the order of `direct`: all results of a panel.
"""

from __future__ import annotations

from . import minimal
from .ahead import look_ahead
from .channels import grid_of
from .intrinsics import SIZES, block_record, call, call_record, inlined, plan_record, pointer
from .job import place
from .order import segments
from .packing import copy_planes
from .runs import copy_plain
from .tile import add_lanes, leaky_relu, relu, steps_of, store
from .winograd_tiles import forward_tile, inverse_tile, suspect


@inlined
def point(plan, block, call, slot):
    """Fill the table of addresses of the block's pixels, sample by sample; behind what is padded there are zeros."""
    low, end = plan.lo_w - block.w0, plan.lo_w + plan.W - block.w0
    index_h, index_w = pointer(plan.index_h, "i8"), pointer(plan.index_w, "i8")
    height, width = plan.table_h // plan.table_w, plan.table_w // 8
    from_d = pointer(plan.index_d, "i8")[block.d0]
    for row in range(block.bn * height):
        n, h = block.n + row // height, block.h0 + row % height
        table = pointer(slot + plan.at_rows + row * plan.table_w, "i8")
        from_h = index_h[h] if h < plan.padded_h else -1
        outside = plan.pad_value if h < plan.padded_h else plan.zeros
        origin = call.x + n * call.x_n + from_d * call.x_d + from_h * call.x_h
        for w in range(width):
            if block.w0 + w >= plan.padded_w:
                table[w] = plan.zeros
            elif from_d < 0 or from_h < 0:
                table[w] = outside
            elif low <= w and w < end:
                table[w] = origin + (w - low) * call.x_w
            else:
                at = index_w[block.w0 + w]
                table[w] = outside if at < 0 else origin + at * call.x_w


@inlined
def is_constant(plan, place):
    """Whether an address is not that of a pixel of x, but of pad values or zeros, whose channels are neighbours."""
    return place == plan.pad_value or place == plan.zeros


@inlined
def gather(plan, block, call, slot, code):
    """Make the channels of a slice innermost: copy what the table points to, and point to the copies in another table.

    Neighbours in x go together.
    """
    channels, width = block.channel_1 - block.channel_0, plan.table_w // 8
    shift = block.channel_0 * call.x_c
    for row in range(block.bn * (plan.table_h // plan.table_w)):
        table = pointer(slot + plan.at_rows + row * plan.table_w, "i8")
        copies = pointer(slot + plan.at_runs + row * plan.table_w, "i8")
        here = slot + plan.at_packed + row * width * plan.pk_w
        w = 0
        while w < width:
            first = w
            w += 1
            if is_constant(plan, table[first]):
                copies[first] = table[first]
                continue
            while w < width and table[w] == table[w - 1] + call.x_w and not is_constant(plan, table[w]):
                w += 1
            to = here + first * plan.pk_w
            copy_planes(call, table[first] + shift, call.x_w, code, (to, plan.pk_w), code, w - first, channels, 1)
            for i in range(first, w):
                copies[i] = here + i * plan.pk_w


def forward(scalar, lanes, fused, high, wide):
    """Transform the channels of a slice of all tiles of the block: V[point][tile][channel]."""
    size, vector = SIZES[scalar], lanes * SIZES[scalar]
    down, across = minimal.FORMS[high][0], minimal.FORMS[wide][0] * 8
    points = minimal.points(high) * minimal.points(wide)

    def kernel(plan_address, call_address, slot, _):
        plan, call, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        table, channel = slot + plan.at_rows, block.channel_0 * size
        if call.taps == 0:
            gather(plan, block, call, slot, scalar)
            table, channel = slot + plan.at_runs, 0
        length = (block.channel_1 - block.channel_0) * size
        target = slot + plan.at_v + block.channel_0 * size
        for n in range(block.bn):
            for i in range(0, block.bh, down):
                row = table + n * plan.table_h + i * plan.table_w
                for _ in range(0, block.bw, across // 8):
                    for c in range(0, length, vector):
                        at = min(c, length - vector)  # the last vector overlaps
                        tile = forward_tile(scalar, lanes, fused, high, wide, row, plan.table_w, channel + at)
                        store(tile, target + at, steps_of(points, plan.v_point))
                    row += across
                    target += plan.v_tile

    return kernel


@inlined
def tiles_of(block, down, across):
    """Tiles of a sample along both axes."""
    return (block.bh + down - 1) // down, (block.bw + across - 1) // across


@inlined
def destination(plan, block, call, slot, t, down, across):
    """Where the panel's results of a tile go: address, bytes between pixels and rows, rows and columns there are."""
    high, wide = tiles_of(block, down, across)
    n, i, j = t // (high * wide), t // wide % high * down, t % wide * across
    unit = block.unit_0
    filter_0 = unit // plan.group_units * plan.group_filters + unit % plan.group_units * plan.unit_filters
    rows, columns = min(down, block.bh - i), min(across, block.bw - j)
    if straight(plan, block, unit):
        out = call.out + (block.n + n) * call.o_n + block.d0 * call.o_d + (block.h0 + i) * call.o_h
        return out + (block.w0 + j) * call.o_w + filter_0 * plan.item, call.o_w, call.o_h, rows, columns
    pixel = (n * block.bh + i) * block.bw + j
    return slot + plan.at_acc + pixel * plan.acc_pixel, plan.acc_pixel, block.bw * plan.acc_pixel, rows, columns


@inlined
def straight(plan, block, unit):
    """Whether the results of a panel go straight to out: it is full, and out has filters innermost."""
    return block.direct != 0 and (unit % plan.group_units + 1) * plan.unit_filters <= plan.group_filters


def inverse(scalar, lanes, fused, high, wide):
    """Transform the sums of a panel back, for all tiles of the block."""
    size, vector = SIZES[scalar], lanes * SIZES[scalar]
    down, across = minimal.FORMS[high][0], minimal.FORMS[wide][0]
    results = down * across

    def kernel(plan_address, call_address, slot, job):
        plan, call_, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        unit, there = block.unit_0, slot + plan.at_partial
        to_out = straight(plan, block, unit)
        filter_0 = unit // plan.group_units * plan.group_filters + unit % plan.group_units * plan.unit_filters
        bias = call_.bias + filter_0 * size if call_.bias != 0 and to_out else 0
        for t in range(block.pixels):
            to, right, below, rows, columns = destination(plan, block, call_, slot, t, down, across)
            source, again = slot + plan.at_m + t * plan.acc_pixel, 0
            for v in range(0, plan.acc_pixel, vector):
                tile = inverse_tile(scalar, lanes, fused, high, wide, source + v, plan.m_point)
                again |= suspect(tile)
                if bias != 0:
                    tile = add_lanes(tile, bias + v)
                if to_out:
                    if plan.relu == 1:
                        tile = relu(tile)
                    elif plan.relu == 2:
                        tile = leaky_relu(tile, plan.slope)
                if rows == down and columns == across:
                    store(tile, to + v, grid_of(across, right, down, below))
                    continue
                store(tile, there, steps_of(results, vector))
                for i in range(rows):
                    for j in range(columns):
                        result = there + (i * across + j) * vector
                        copy_plain(result, size, scalar, to + v + i * below + j * right, scalar, lanes)
            if again != 0:
                call(plan.exact, (plan_address, call_address, slot, t))

    return kernel


@inlined
def offsets(plan, block, slot, whole):
    """Where the tiles begin in V, as the micro-kernel reads it; the last tile repeats."""
    table = pointer(slot + plan.at_left, "i8")
    for t in range(whole):
        table[t] = min(t, block.pixels - 1) * plan.v_tile


def job(high, wide):
    """The kernel of the module's docstring."""
    down, across = minimal.FORMS[high][0], minimal.FORMS[wide][0]
    points = minimal.points(high) * minimal.points(wide)

    def kernel(plan_address, call_address, slot_number, job_number):
        plan, call_ = plan_record(plan_address), call_record(call_address)
        slot = call_.workspace + slot_number * call_.slot_bytes
        block = block_record(slot)
        stage = (plan_address, call_address, slot, job_number)
        place(plan, block, call_, job_number)
        point(plan, block, call_, slot)
        block.skip, block.pixel_0, block.pixels = 0, 0, block.bn * block.bh * block.bw
        segments(plan, block, call_, slot)
        high_, wide_ = tiles_of(block, down, across)
        block.pixels = block.bn * high_ * wide_
        visits = (block.pixels + plan.tile_rows - 1) // plan.tile_rows
        offsets(plan, block, slot, visits * plan.tile_rows)
        step = plan.channels if call_.taps != 0 else plan.slice_channels
        for channel in range(0, plan.channels, step):
            block.channel_0, block.channel_1 = channel, min(channel + step, plan.channels)
            call(plan.pack, stage)
        visits *= points * plan.chain_count * plan.slices * (block.end_unit - block.first_unit)
        look_ahead(plan, block, call_, job_number + call_.workers, visits)
        block.chain_0, block.chain_1, block.taps = 0, plan.chain_count, plan.taps
        block.left_group = plan.v_point
        for unit in range(block.first_unit, block.end_unit):
            block.unit_0, block.unit_1 = unit * points, (unit + 1) * points
            block.left = slot + plan.at_v + unit // plan.group_units * plan.group_bytes - block.unit_0 * plan.v_point
            call(plan.micro, (plan.gemm, call_address, slot, job_number))
            block.unit_0, block.unit_1 = unit, unit + 1
            call(plan.inverse, stage)
            call(plan.finish, stage)

    return kernel
