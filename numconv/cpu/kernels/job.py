"""A job: one block of output pixels of a sample, or of a few small ones, times a range of units (panels, filter tiles).

    for pass in passes            tap rows whose input, with the block's halo, fits the workspace: nearly always one
        pack                      unless the block's receptive field can be read in place
        for chunk in block        pixels whose chain sums stay in cache: mostly the whole block
            for unit              all units at a time where there are several passes, which need all chain sums
                micro-kernel      chains > tiles
                finish            bias, activation, conversion, store: what the micro-kernel has not stored itself

The stages are kernels of the same signature, called by address; they find what to do in the BLOCK record at the head
of the worker's bytes. A chunk is a range of the block's pixels, in the order of `order`. Filters in lanes; for pixels
see `pixel_job`.
"""

from __future__ import annotations

from ..records import PASS
from .ahead import look_ahead
from .intrinsics import block_record, call, call_record, inlined, pass_record, plan_record, pointer
from .order import border, offsets, segments

PASS_BYTES = PASS.itemsize


@inlined
def place(plan, block, call, job):
    """Which block of which samples, and which units, a job is; units fastest, so that neighbours share the input."""
    job, part = job // call.filter_blocks, job % call.filter_blocks
    job, w = job // plan.NW, job % plan.NW
    job, h = job // plan.NH, job % plan.NH
    n, d = job // plan.ND, job % plan.ND
    block.n, block.d0, block.h0, block.w0 = n * call.sample_block, d * plan.BD, h * plan.BH, w * plan.BW
    block.bn = min(call.sample_block, call.samples - block.n)
    block.bd = min(plan.BD, plan.OD - block.d0)
    block.bh = min(plan.BH, plan.OH - block.h0)
    block.bw = min(plan.BW, plan.OW - block.w0)
    block.first_unit = part * call.unit_block
    block.end_unit = min(plan.units, block.first_unit + call.unit_block)
    block.direct, block.overrun = call.direct, plan.overrun


@inlined
def inside(first, count, stride, taps, dilation, low, size):
    """Whether the receptive field of `count` outputs lies inside an axis."""
    return first * stride >= low and (first + count - 1) * stride + (taps - 1) * dilation - low < size


@inlined
def read_in_place(plan, block, call):
    """Point the block at the input itself, where that is allowed (call.taps) and no padding is read."""
    if call.taps == 0 or not (
        inside(block.d0, block.bd, plan.sd, plan.KD, plan.dd, plan.lo_d, plan.D)
        and inside(block.h0, block.bh, plan.sh, plan.KH, plan.dh, plan.lo_h, plan.H)
        and inside(block.w0, block.bw, plan.sw, plan.KW, plan.dw, plan.lo_w, plan.W)
    ):
        return False
    d, h, w = block.d0 * plan.sd - plan.lo_d, block.h0 * plan.sh - plan.lo_h, block.w0 * plan.sw - plan.lo_w
    block.left = call.x + block.n * call.x_n + d * call.x_d + h * call.x_h + w * call.x_w
    block.left_n, block.left_d = call.x_n, plan.sd * call.x_d
    block.left_h, block.left_w = plan.sh * call.x_h, plan.sw * call.x_w
    block.left_group, block.taps = plan.group_channels * call.x_c, call.taps
    return True


@inlined
def read_packed(plan, block, slot):
    """Point the block at the packed tile, of all channels."""
    block.left = block.packed = slot + plan.at_packed
    block.channel_0, block.channel_1 = 0, plan.channels
    block.left_n, block.left_d = plan.pk_n, plan.ahead_d * plan.pk_d
    block.left_h, block.left_w = plan.ahead_h * plan.pk_h, plan.ahead_w * plan.pk_w
    block.left_group, block.taps = plan.group_bytes, plan.taps


@inlined
def output_rows(plan, block, call, slot):
    """The chunk's output rows, all of one plane: (offset in the chain sums, address in out, pixels)."""
    table, row_0 = pointer(slot + plan.at_segments, "i8"), block.pixel_0 // block.bw
    plane, h = row_0 // block.bh, block.h0 + row_0 % block.bh
    out = call.out + block.n * call.o_n + (block.d0 + plane) * call.o_d + h * call.o_h + block.w0 * call.o_w
    for row in range(block.rows):
        table[3 * row], table[3 * row + 1] = row * plan.acc_row, out + row * call.o_h
        table[3 * row + 2] = block.bw
    block.segments = 3 * block.rows


@inlined
def next_chunk(plan, block, q):
    """The chunk that begins at pixel q of the block."""
    block.pixel_0, block.pixels = q, min(plan.chunk, block.bn * block.bd * block.bh * block.bw - q)
    return q + block.pixels


def job():
    """The kernel of the module's docstring."""

    def kernel(plan_address, call_address, slot_number, job_number):
        plan, call_ = plan_record(plan_address), call_record(call_address)
        slot = call_.workspace + slot_number * call_.slot_bytes
        block = block_record(slot)
        stage = (plan_address, call_address, slot, job_number)
        place(plan, block, call_, job_number)
        border(plan, block, call_)
        in_place = read_in_place(plan, block, call_)
        if not in_place:
            read_packed(plan, block, slot)
        tiles = (block.bn * block.bd * block.bh * block.bw + plan.tile_rows - 1) // plan.tile_rows
        visits = tiles * (block.end_unit - block.first_unit) * plan.chain_count * plan.slices
        look_ahead(plan, block, call_, job_number + call_.workers, visits)
        for p in range(plan.pass_count):
            block.tap_pass = plan.passes + p * PASS_BYTES
            tap_pass = pass_record(block.tap_pass)
            block.chain_0, block.chain_1 = tap_pass.chain_0, tap_pass.chain_1
            if not in_place and call_.kept == 0:
                call(plan.pack, stage)
            q = 0
            while q < block.bn * block.bd * block.bh * block.bw:
                q = next_chunk(plan, block, q)
                segments(plan, block, call_, slot)
                offsets(plan, block, call_, slot)
                step = 1 if plan.pass_count == 1 else block.end_unit - block.first_unit
                for unit in range(block.first_unit, block.end_unit, step):
                    block.unit_0, block.unit_1 = unit, unit + step
                    call(plan.micro, stage)
                    if p == plan.pass_count - 1:
                        call(plan.finish, stage)

    return kernel
