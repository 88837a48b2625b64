"""Channels in lanes: depthwise convolution, and groups of few channels, of an input whose channels are innermost.

A lane is a filter and a vector holds the filters of several groups, whose channels are neighbours in x: no input is
transposed. A tile is ROWS output pixels of a row x (VECS * LANES) filters, and an input pixel is read once for all
(output pixel, tap) pairs that it takes part in; the weights of TAPS columns stay in registers meanwhile:

    for each tap row, TAPS of its columns at a time
        for q in (ROWS - 1) * stride + TAPS input pixels, ascending
            for c in channels of a group                       one, for depthwise: the vector as it is
                x = the vector of pixel q, lane l taking channel c of the group of filter l
                tile[i] += x * weights[k, c]                   all i * stride + k = q

so that every output pixel adds its products in the order of the taps.

Where pixels lie stands in a table of addresses, one for each padded position of the block, made once for all tap rows
and filters: padding, whatever its mode, is an address of a row of pad values or of another pixel. It costs one scalar
load a pixel, and makes the input's strides and a packed input the same to the micro-kernel. Dilation d takes the table
apart into d phases, and ROWS pixels that see the same phase make a tile.
"""

from __future__ import annotations

from itertools import product

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .intrinsics import I64, SIZES, block_record, call, call_record, expanded, inlined, plan_record, pointer
from .job import output_rows, place
from .pixel_job import next_chunk
from .places import prefetch
from .runs import copy_run
from .tile import (
    I32,
    _load,
    _multiply_add,
    add_lanes,
    add_stored,
    leaky_relu,
    load_offsets,
    relu,
    steps_of,
    store,
    zeros,
)

AHEAD = 2
"""Tiles by which long rows are asked for before they are read and written (see `channels.FAR_BYTES`)."""


@intrinsic(prefer_literal=True)
def columns(typingctx, tile, table, channel, weights, pitch, back, kind, low, high):
    """Add some columns of tap rows to output rows `low` to `high` - 1 of the tile (literals).

    `table` holds the addresses of the input pixels, `channel` is an offset to them. The weights of a (column, channel)
    are VECS * LANES values, `pitch` bytes from the next ones; those at ``weights - h * back`` are for output row h.
    `kind` is "columns stride channels filters stack": channels and filters of a group, output rows of the tile.
    """
    K, S, C, F, H = map(int, kind.literal_value.split())
    rows = range(low.literal_value, high.literal_value)

    def codegen(ctx, b, sig, args):
        value, table_, channel_, weights_, pitch_, back_ = args[:6]
        right = {}
        for h in rows:
            row = b.sub(weights_, b.mul(back_, I64(h)))
            for n in range(K * C):
                at = b.add(row, b.mul(pitch_, I64(n)))
                right[h, n] = [_load(b, tile, b.add(at, I64(j * tile.lanes * tile.size))) for j in range(tile.vecs)]
        read = tile.lanes // F * C  # channels that a vector of filters sees
        pixels = tile.rows // H
        table_ = b.inttoptr(table_, I64.as_pointer())
        for q in range((pixels - 1) * S + K):
            pairs = [(i, q - i * S) for i in range(pixels) if 0 <= q - i * S < K]
            if not pairs:
                continue
            pixel = b.add(b.load(b.gep(table_, [I64(q)])), channel_)
            vectors = [_load_part(b, tile, b.add(pixel, I64(j * read * tile.size)), read) for j in range(tile.vecs)]
            for c in range(C):
                left = vectors if F == 1 else [_spread(b, tile, vector, C, F, c) for vector in vectors]
                for (i, k), h, j in product(pairs, rows, range(tile.vecs)):
                    n = (h * pixels + i) * tile.vecs + j
                    total = _multiply_add(b, tile, left[j], right[h, k * C + c][j], b.extract_value(value, n))
                    value = b.insert_value(value, total, n)
        return value

    return tile(tile, *[types.int64] * 5, kind, low, high), codegen


@intrinsic(prefer_literal=True)
def grid_of(typingctx, pixels, step, stack, row):
    """The offsets of `pixels` pixels `step` bytes apart, in `stack` rows that are `row` bytes apart."""

    def codegen(ctx, b, sig, args):
        columns = range(pixels.literal_value)
        values = [
            b.add(b.mul(args[1], I64(i)), b.mul(args[3], I64(h))) for h in range(stack.literal_value) for i in columns
        ]
        return cgutils.pack_array(b, values, I64)

    count = pixels.literal_value * stack.literal_value
    return types.UniTuple(types.int64, count)(pixels, types.int64, stack, types.int64), codegen


def _load_part(b, tile, address, count):
    """`count` lanes."""
    value = b.load(b.inttoptr(address, ir.VectorType(tile.element, count).as_pointer()))
    value.align = tile.size
    return value


def _spread(b, tile, vector, channels, filters, c):
    """Channel `c` of each lane's group."""
    lanes = ir.VectorType(I32, tile.lanes)
    mask = ir.Constant(lanes, [lane // filters * channels + c for lane in range(tile.lanes)])
    return b.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)


@inlined
def address(plan, origin, step, w):
    """Of a sample of a row, or of the pad values."""
    return plan.pad_value if w < 0 else origin + w * step


@inlined
def point(plan, block, call, slot):
    """Fill the table of addresses: planes, rows, phases of the dilation, pixels."""
    index_d, index_h = pointer(plan.index_d, "i8"), pointer(plan.index_h, "i8")
    depth, height, width = extent(plan, block)
    first_w = block.w0 * plan.sw
    index_w = pointer(plan.index_w + first_w * 8, "i8")
    low = min(max(plan.lo_w - first_w, 0), width)
    high = max(low, min(plan.lo_w + plan.W - first_w, width))
    phases, pixels, step = plan.dw, plan.table_w // 8, call.x_w
    for d in range(depth):
        from_d = index_d[block.d0 * plan.sd + d]
        for h in range(height):
            from_h = index_h[block.h0 * plan.sh + h]
            origin = call.x + block.n * call.x_n + from_d * call.x_d + from_h * call.x_h
            outside = from_d < 0 or from_h < 0
            for phase in range(phases):
                table = pointer(slot + plan.at_left + d * plan.table_d + h * plan.table_h + phase * plan.table_w, "i8")
                begin = 0 if outside else max(0, (low - phase + phases - 1) // phases)
                end = 0 if outside else max(begin, (high - phase + phases - 1) // phases)
                for i in range(begin):
                    table[i] = address(plan, origin, step, index_w[i * phases + phase])
                here, stride = origin + (first_w + begin * phases + phase - plan.lo_w) * step, phases * step
                for i in range(begin, end):
                    table[i] = here
                    here += stride
                for i in range(end, pixels):
                    w = i * phases + phase
                    inner = w < width and not outside
                    table[i] = address(plan, origin, step, index_w[w]) if inner else plan.pad_value


@inlined
def extent(plan, block):
    """Padded positions that the block's receptive field spans: depth, height, width."""
    depth = (block.bd - 1) * plan.sd + (plan.KD - 1) * plan.dd + 1
    height = (block.bh - 1) * plan.sh + (plan.KH - 1) * plan.dh + 1
    return depth, height, (block.bw - 1) * plan.sw + (plan.KW - 1) * plan.dw + 1


def gather(source, target):
    """Packing: copy and convert what the table points to, for the filters of the job, and point there."""
    target_size = SIZES[target]

    def kernel(plan_address, call_address, slot, _):
        plan, call, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        width, each = plan.unit_filters, plan.FG
        first = min(block.first_unit * width, plan.F - width) // each * plan.group_channels
        count = min(block.end_unit * width, plan.F) // each * plan.group_channels - first
        depth, height, _ = extent(plan, block)
        here = slot + plan.at_packed
        for d in range(depth):
            for h in range(height):
                table = pointer(slot + plan.at_left + d * plan.table_d + h * plan.table_h, "i8")
                for i in range(plan.table_h // 8):
                    if table[i] != plan.pad_value:
                        copy_run(table[i] + first * call.x_c, call.x_c, source, here, target_size, target, count)
                        table[i] = here - first * target_size
                        here += plan.pk_w

    return kernel


def job():
    """A block of output pixels of one sample, times a range of units: VECS * LANES filters each, the last overlaps."""

    def kernel(plan_address, call_address, slot_number, job_number):
        plan, call_ = plan_record(plan_address), call_record(call_address)
        slot = call_.workspace + slot_number * call_.slot_bytes
        block = block_record(slot)
        stage = (plan_address, call_address, slot, job_number)
        place(plan, block, call_, job_number)
        block.unit_0, block.unit_1 = block.first_unit, block.end_unit
        point(plan, block, call_, slot)
        if call_.taps == 0:
            call(plan.pack, stage)
        q = 0
        while q < block.bd * block.bh:
            q = next_chunk(plan, block, q)
            call(plan.micro, stage)
            if call_.direct == 0:
                output_rows(plan, block, call_, slot)
                call(plan.finish, stage)

    return kernel


@expanded
def finished(tile, plan, call, filter_bytes):
    """Chain sums with bias and activation."""
    if call.direct != 0:
        if call.bias != 0:
            tile = add_lanes(tile, call.bias + filter_bytes)
        if plan.relu == 1:
            tile = relu(tile)
        elif plan.relu == 2:
            tile = leaky_relu(tile, plan.slope)
    return tile


@inlined
def destination(plan, call, block, slot, row):
    """Where the block's first pixel of an output row goes; bytes between pixels, rows, units (beyond those of lanes).

    Chain sums that `finish` is to convert lie by units. What the last unit computes a second time lies before its own,
    in the last lanes of another pixel, which nobody reads.
    """
    if call.direct != 0:
        d = block.d0 + block.pixel_0 // (block.bw * block.bh)
        out = call.out + block.n * call.o_n + d * call.o_d + (block.h0 + row) * call.o_h + block.w0 * call.o_w
        return out, call.o_w, call.o_h, 0
    sums = slot + plan.at_acc + (row - block.row_0) * plan.acc_row - block.unit_0 * plan.acc_unit
    return sums, plan.acc_pixel, plan.acc_row, plan.acc_unit - plan.acc_pixel


@expanded
def one_row(tile, table, channel, weights, pitch, piece, kind, single):
    """The tap rows of a chain, each in pieces of columns and single ones more, for one output row."""
    here, right = table + piece[0], weights + piece[1]
    for _ in range(piece[2]):
        tile = columns(tile, here, channel, right, pitch, 0, kind, 0, 1)
        here += piece[4]
        right += piece[5]
    for _ in range(piece[3]):
        tile = columns(tile, here, channel, right, pitch, 0, single, 0, 1)
        here += 8
        right += piece[6]
    return tile


@expanded
def two_rows(tile, table, channel, weights, pitch, piece, kind):
    """The tap rows of a chain for two output rows: the first are for one, the last for the other, the rest for both."""
    here, right, row, back = table + piece[0], weights + piece[1], piece[4], piece[3] * piece[5]
    for _ in range(piece[3]):
        tile = columns(tile, here, channel, right, pitch, back, kind, 0, 1)
        here += row
        right += piece[5]
    for _ in range(piece[2] - piece[3]):
        tile = columns(tile, here, channel, right, pitch, back, kind, 0, 2)
        here += row
        right += piece[5]
    for _ in range(piece[3]):
        tile = columns(tile, here, channel, right, pitch, back, kind, 1, 2)
        here += row
        right += piece[5]
    return tile


def micro(scalar, pixels, vecs, lanes, fused, stack, taps, stride, channels, filters):
    """`pixels` of each of `stack` output rows; `stride` between them, in a phase; `channels`, `filters` of a group."""
    size = SIZES[scalar]
    width, rows, seen = vecs * lanes, pixels * stack, pixels * stride
    tile_row = width * size
    kind, single = f"{taps} {stride} {channels} {filters} {stack}", f"1 {stride} {channels} {filters} {stack}"

    def kernel(plan_address, call_address, slot, _):
        plan, call, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        chains, pitch = pointer(plan.chains, "i8"), plan.unit_bytes
        plane = slot + plan.at_left + block.pixel_0 // (block.bw * block.bh) * plan.sd * plan.table_d
        partial = slot + plan.at_partial
        for row in range(block.row_0, block.row_0 + block.rows, stack):
            r = min(row, block.row_0 + block.rows - stack)
            out, pixel, down, apart = destination(plan, call, block, slot, r)
            for phase in range(plan.spacing):
                count = (block.bw - phase + plan.spacing - 1) // plan.spacing
                table = plane + r * plan.sh * plan.table_h
                table += phase * plan.sw % plan.dw * plan.table_w + phase * plan.sw // plan.dw * 8
                for t in range(0, count, pixels):
                    i = max(0, min(t, count - pixels))  # the last tile overlaps
                    ahead = table + max(0, min(t + AHEAD * pixels, count - pixels)) * (8 * stride)
                    for unit in range(block.unit_0, block.unit_1):
                        filter_0 = min(unit * width, plan.F - width)
                        channel = filter_0 // filters * channels * size
                        left, right = table + i * (8 * stride), call.weights + filter_0 * size
                        if plan.far != 0:
                            prefetch(load_offsets(seen, ahead), channel, 2, 0)
                        for chain in range(plan.chain_count):
                            tile = zeros(scalar, rows, vecs, lanes, fused)
                            for p in range(chains[chain], chains[chain + 1]):
                                piece = load_offsets(7, plan.taps + p * 56)
                                if stack == 1:
                                    tile = one_row(tile, left, channel, right, pitch, piece, kind, single)
                                else:
                                    tile = two_rows(tile, left, channel, right, pitch, piece, kind)
                            if chain > 0:
                                tile = add_stored(tile, partial, steps_of(rows, tile_row))
                            if chain < plan.chain_count - 1:
                                store(tile, partial, steps_of(rows, tile_row))
                                continue
                            tile = finished(tile, plan, call, filter_0 * size)
                            here = out + (i * plan.spacing + phase) * pixel + unit * apart + filter_0 * size
                            step = plan.spacing * pixel
                            if count >= pixels:
                                places = grid_of(pixels, step, stack, down)
                                store(tile, here, places)
                                if plan.far != 0:
                                    prefetch(places, here + AHEAD * pixels * step, 2, 1)
                                continue
                            store(tile, partial, steps_of(rows, tile_row))
                            for n in range(stack * count):
                                sums = partial + (n // count * pixels + n % count) * tile_row
                                there = here + n // count * down + n % count * step
                                copy_run(sums, size, scalar, there, size, scalar, width)

    return kernel
