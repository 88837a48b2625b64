"""A job with pixels in lanes: one block of output pixels of one sample, times a range of filter units.

    for region in block           the interior is read where it is, the rim packed
      for groups of the job       some at a time, so that what is packed stays near
        for pass in passes        tap rows whose input, with the halo, fits the workspace: nearly always one
          pack
          for chunk               whole rows of a plane
            micro-kernel          units > tiles > chains
            finish                where the micro-kernel does not store results itself

The stages are kernels of the same signature, called by address, as in `job`.
"""

from __future__ import annotations

from .intrinsics import block_record, call, call_record, inlined, pass_record, plan_record, pointer
from .job import PASS_BYTES, output_rows, place, read_in_place, read_packed

LINE = 64
"""Bytes of a cache line: a store that crosses the border of two takes twice as long, and none goes past the caches."""
ALIGNED = 8
"""Vectors in a row from which the second one begins at a cache line of out."""


@inlined
def interior(first, end, stride, taps, dilation, low, size):
    """The part [a, b) of the outputs [first, end) of an axis whose receptive fields hold no padding."""
    a = min(max(first, (low + stride - 1) // stride), end)
    return a, max(a, min(end, (size - 1 - (taps - 1) * dilation + low) // stride + 1))


@inlined
def interior_of(plan, block, call):
    """(h1, h2, w1, w2): what of the block is to be read in place; nothing where that is not allowed, or hardly pays.

    What is left beside it is as wide as a vector at least.
    """
    h3, w3 = block.h0 + block.bh, block.w0 + block.bw
    h1, h2 = interior(block.h0, h3, plan.sh, plan.KH, plan.dh, plan.lo_h, plan.H)
    w1, w2 = interior(block.w0, w3, plan.sw, plan.KW, plan.dw, plan.lo_w, plan.W)
    if w1 > block.w0:
        w1 = max(w1, block.w0 + plan.lanes)
    if w2 < w3:
        w2 = min(w2, w3 - plan.lanes)
    if call.taps == 0 or w2 - w1 < plan.least_w or h2 - h1 < plan.least_h:
        return h3, h3, w3, w3
    return h1, h2, w1, w2


@inlined
def next_chunk(plan, block, q):
    """The chunk that begins at row q of the block's planes."""
    block.row_0 = q % block.bh
    block.rows = block.bh - block.row_0 if block.direct else min(plan.chunk, block.bh - block.row_0)
    block.pixel_0, block.pixels = q * block.bw, block.rows * block.bw
    return q + block.rows


@inlined
def target_of(plan, block, call, slot):
    """Where the chunk's results go: to `out`, or to the chain sums."""
    if block.direct:
        d = block.d0 + block.pixel_0 // (block.bw * block.bh)
        block.target = call.out + block.n * call.o_n + d * call.o_d
        block.target += (block.h0 + block.row_0) * call.o_h + block.w0 * call.o_w
        block.target_h, block.target_w = call.o_h, call.o_w
    else:
        block.target = slot + plan.at_acc
        block.target_h, block.target_w = plan.acc_row, plan.acc_pixel


@inlined
def positions(plan, block, slot, tables):
    """Where the chunk reads, and `tables` of where the vectors of a band read and write, filled up to whole tiles.

    A band is `stack` rows of vectors, each of which stands for `vector_rows` output rows; the next band is block.band
    rows below. Bands and vectors at the end of rows and columns move back to where they are whole. They may not where
    several passes add to the same sums: these are wide enough for vectors that overhang. In long rows of out the first
    vector overlaps the second, which begins at a cache line.
    """
    d = block.pixel_0 // (block.bw * block.bh)
    block.source = block.left + d * block.left_d + block.row_0 * block.left_h
    height, width, stack = block.rows, block.bw, plan.stack
    columns, first = (width + plan.lanes - 1) // plan.lanes, plan.lanes
    apart = block.target % LINE
    if block.direct and apart > 0 and block.target_h % LINE == 0 and columns >= ALIGNED:
        first = ((LINE - apart) // block.target_w - 1) % plan.lanes + 1  # a line is two vectors of AVX2
        columns = (width - first + plan.lanes - 1) // plan.lanes + 1
    if columns < plan.vecs and plan.pass_count == 1:  # the rim of a wide block
        stack = max(stack, plan.vecs // columns)
    block.vector_rows = plan.vector_rows if plan.vector_rows > 0 else (height + stack - 1) // stack
    block.band = block.vector_rows * stack
    block.last_band = block.rows
    if plan.flat:  # narrow rows: pixels are numbered through the padded rows, and the halo's are not stored
        height, width, stack = 1, (block.rows - 1) * (block.left_h // plan.item) + block.bw, 1
        block.band, block.last_band = block.rows, 0
        columns = (width + plan.lanes - 1) // plan.lanes
    last_row, last_w = height, width
    if plan.pass_count == 1:
        last_row, last_w = max(0, height - block.vector_rows), max(0, width - plan.lanes)
        block.last_band = max(0, height - block.band)
    if not tables:
        return
    count = (columns * stack + plan.vecs - 1) // plan.vecs * plan.vecs
    lefts, outs = pointer(slot + plan.at_left, "i8"), pointer(slot + plan.at_out, "i8")
    row, w, step = 0, 0, first
    for v in range(count):
        h, x = min(row, last_row), min(w, last_w)
        lefts[v] = h * block.left_h + x * block.left_w
        outs[v] = h * block.target_h + x * block.target_w
        w, step = w + step, plan.lanes
        if w >= width and v + 1 < columns * stack:
            row, w, step = row + block.vector_rows, 0, first
    block.vectors = count


@inlined
def pack_into(plan, block, slot, channel_0, channel_1):
    """Point the block at the packed tile of some channels; the others keep their numbers."""
    read_packed(plan, block, slot)
    block.channel_0, block.channel_1 = channel_0, channel_1
    block.packed -= channel_0 * plan.pk_c
    block.left = block.packed
    # Vectors that are moved back to where they are whole stay inside; the others read behind rows and behind the tile.
    inside = plan.pass_count == 1 and plan.flat == 0 and block.bw >= plan.lanes
    inside = inside and (block.bh >= plan.vector_rows if block.direct else plan.vector_rows <= 1)
    block.overrun = 0 if inside else plan.overrun


@inlined
def chunks(plan, block, call_, stage, tables, finished):
    """Compute the units of the block for the chains of its pass."""
    slot, low, high, q = stage[2], block.unit_0, block.unit_1, 0
    while q < block.bd * block.bh:
        q = next_chunk(plan, block, q)
        target_of(plan, block, call_, slot)
        if block.direct:
            positions(plan, block, slot, tables or block.bd > 1)
            call(plan.micro, stage)
            continue
        positions(plan, block, slot, True)
        output_rows(plan, block, call_, slot)
        step = 1 if plan.pass_count == 1 else high - low
        for unit in range(low, high, step):
            block.unit_0, block.unit_1 = unit, unit + step
            call(plan.micro, stage)
            if finished:
                call(plan.finish, stage)
    block.unit_0, block.unit_1 = low, high


@inlined
def region(plan, block, call_, stage):
    """Compute the units of the job for the block, which is a part of the job's."""
    slot = stage[2]
    block.direct = 1 if call_.direct and block.bw >= plan.least_direct else 0
    in_place = block.direct and block.bh >= plan.vector_rows and read_in_place(plan, block, call_)
    per = plan.group_units
    first, end = block.first_unit // per, (block.end_unit - 1) // per + 1
    step = end - first if in_place else plan.pack_groups
    for group in range(first, end, step):
        behind = min(end, group + step)
        block.unit_0, block.unit_1 = max(block.first_unit, group * per), min(block.end_unit, behind * per)
        if not in_place:
            channels = plan.channels // (plan.units // per)
            pack_into(plan, block, slot, group * channels, behind * channels)
        for p in range(plan.pass_count):
            block.tap_pass = plan.passes + p * PASS_BYTES
            tap_pass = pass_record(block.tap_pass)
            block.chain_0, block.chain_1 = tap_pass.chain_0, tap_pass.chain_1
            block.fresh = 1 if group == first or plan.pass_count > 1 else 0
            if not in_place:
                call(plan.pack, stage)
            chunks(plan, block, call_, stage, group == first, p == plan.pass_count - 1)


def job():
    """The kernel of the module's docstring."""

    def kernel(plan_address, call_address, slot_number, job_number):
        plan, call_ = plan_record(plan_address), call_record(call_address)
        slot = call_.workspace + slot_number * call_.slot_bytes
        block = block_record(slot)
        stage = (plan_address, call_address, slot, job_number)
        place(plan, block, call_, job_number)
        h0, h3, w0, w3 = block.h0, block.h0 + block.bh, block.w0, block.w0 + block.bw
        h1, h2, w1, w2 = interior_of(plan, block, call_)
        for i in range(5):  # above, the interior, left of it, right of it (where it has just been read), below
            top, bottom = (h0, h1) if i == 0 else (h2, h3) if i == 4 else (h1, h2)
            left, right = (w1, w2) if i == 1 else (w0, w1) if i == 2 else (w2, w3) if i == 3 else (w0, w3)
            if top < bottom and left < right:
                block.h0, block.bh, block.w0, block.bw = top, bottom - top, left, right - left
                region(plan, block, call_, stage)

    return kernel
