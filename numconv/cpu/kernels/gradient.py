"""Gradients of weights: a job is some elements times some filters of a group, over one segment of chains.

    for chunk of chains              whose pixels, packed, stay in a second-level cache
        pack x and the gradient      with padding, cast, transposed: as few rows as the chunk's outputs see
        for chain
            for panel of filters     its pixels stay in a first-level cache
                for tile             elements x filters: one rank-1 update a pixel, see `gradient_tiles`
    finish                           the segment's sums to out

An element is a (tap, channel) of a group. It meets filters as a pixel meets them in a convolution, and pixels as that
meets taps: the same register tile, other offsets. Elements of a job have any order, and no tile but the last one is
empty in part, whatever the numbers of taps and channels.

Where groups have few filters, lanes are filters of all groups, and x is packed for each of them ("apart"): a tile is
elements x filters as before, and a step a vector of x for each element.

Packed x lies by blocks of channels, a line or less of each pixel: (block, row and plane of taps, column, channel),
with rows that several outputs see only once. Packed gradients lie by panels of filters: (panel, pixel, filter).
"""

from __future__ import annotations

from numba.core import types
from numba.extending import intrinsic

from ..records import GRADIENT, SHARE, WORK
from .gradient_ahead import look_ahead
from .intrinsics import RecordType, call, call_record, inlined, pointer

SEGMENT = 256
"""Chains that are summed in order before they are added to others: part of the definition of a result."""

GRADIENT_T, SHARE_T, WORK_T = (
    RecordType(name, dtype) for name, dtype in (("Gradient", GRADIENT), ("Share", SHARE), ("Work", WORK))
)


@intrinsic
def gradient_record(typingctx, address):
    """The GRADIENT record at an address."""
    return GRADIENT_T(types.int64), lambda ctx, b, sig, args: b.inttoptr(args[0], ctx.get_value_type(GRADIENT_T))


@intrinsic
def share_record(typingctx, address):
    """The SHARE record at an address."""
    return SHARE_T(types.int64), lambda ctx, b, sig, args: b.inttoptr(args[0], ctx.get_value_type(SHARE_T))


@intrinsic
def work_record(typingctx, address):
    """The WORK record at an address."""
    return WORK_T(types.int64), lambda ctx, b, sig, args: b.inttoptr(args[0], ctx.get_value_type(WORK_T))


@inlined
def place(plan, share, work, job):
    """Which elements, filters, group and segment a job has; filters fastest, so that neighbours share x."""
    job, part = job // share.filter_parts, job % share.filter_parts
    work.panel_0 = part * share.filter_part
    every = (plan.filters + plan.panel_filters - 1) // plan.panel_filters
    work.panels = min(share.filter_part, every - work.panel_0)
    job, part = job // share.element_parts, job % share.element_parts
    work.element_0 = part * share.element_part
    work.elements = min(share.element_part, plan.taps * plan.channels - work.element_0)
    work.tiles = (work.elements + plan.tile_rows - 1) // plan.tile_rows
    work.group, work.segment = job % share.groups, job // share.groups
    block = plan.taps * plan.block_channels
    work.block_0 = work.element_0 // block
    work.blocks = (work.element_0 + work.elements - 1) // block + 1 - work.block_0
    if plan.apart != 0:
        work.block_0, work.blocks = work.panel_0, work.panels
    work.fresh = 1


@inlined
def element_of(plan, share, e):
    """(block, channel in it, tap) of an element: in a block taps are outermost, or channels (`by_channel`)."""
    size = plan.taps * plan.block_channels
    block, rest = e // size, e % size
    count = min(plan.block_channels, plan.channels - block * plan.block_channels)
    if share.by_channel != 0:
        return block, rest // plan.taps, rest % plan.taps
    return block, rest % count, rest // count


@inlined
def list_offsets(plan, share, work, slot):
    """Where each element reads of a pixel's packed window; the last tile repeats the last element."""
    table = pointer(slot + share.at_offsets, "i8")
    for i in range(work.elements):
        block, channel, tap = element_of(plan, share, work.element_0 + i)
        kd, kh, kw = tap // (plan.KH * plan.KW), tap // plan.KW % plan.KH, tap % plan.KW
        at = channel * plan.row_bytes + (kh * plan.apart_h * plan.KD + kd) * share.line_bytes
        if plan.apart == 0:
            at += (block - work.block_0) * share.block_bytes
        table[i] = at + kw * plan.apart_w * plan.pixel_bytes
    for i in range(work.elements, work.tiles * plan.tile_rows):
        table[i] = table[work.elements - 1]


@inlined
def next_chunk(plan, share, work, chain, end):
    """The chunk that begins with a chain: whole chains of whole rows, whole rows of chains, or some chains of a row."""
    work.column_0, work.columns = 0, plan.OW
    if plan.pieces == 1:
        work.chains = min(share.chunk_chains, end - chain)
        work.row_0 = chain * plan.chain_rows
        work.rows = min(work.chains * plan.chain_rows, share.rows - work.row_0)
        return chain + work.chains
    work.row_0, first = chain // plan.pieces, chain % plan.pieces
    whole = min(share.chunk_rows, (end - chain) // plan.pieces)
    if first == 0 and whole > 0:
        work.rows, work.chains = whole, whole * plan.pieces
    else:
        work.rows, work.chains = 1, min(share.chunk_chains, min(plan.pieces - first, end - chain))
        work.column_0 = first * plan.piece
        work.columns = min(work.chains * plan.piece, plan.OW - work.column_0)
    return chain + work.chains


@inlined
def list_steps(plan, share, work, slot):
    """Per step of the chunk where its pixel's window begins in packed x; and the first step of each chain."""
    taps, starts = pointer(slot + share.at_taps, "i8"), pointer(slot + share.at_starts, "i8")
    line, i, k = 0, 0, 0
    while i < work.rows:
        first = (work.row_0 + i) % plan.OH
        count = min(plan.OH - first, work.rows - i)
        for j in range(count):
            here = (line + j * plan.ahead_h) * plan.KD * share.line_bytes
            for w in range(work.columns):
                for part in range(plan.steps):
                    taps[k] = here + w * plan.ahead_w * plan.pixel_bytes + part * plan.item
                    k += 1
        line += (count - 1) * plan.ahead_h + (plan.KH - 1) * plan.apart_h + 1
        i += count
    for c in range(work.chains):
        if plan.pieces == 1:
            starts[c] = c * plan.chain_rows * plan.OW * plan.steps
        else:
            row, q = c // plan.pieces, c % plan.pieces
            starts[c] = (row * plan.OW + q * plan.piece) * plan.steps
    starts[work.chains] = k


def job():
    """The kernel of the module's docstring."""

    def kernel(plan_address, call_address, slot_number, job_number):
        plan, call_ = gradient_record(plan_address), call_record(call_address)
        share, slot = share_record(call_.given), call_.workspace + slot_number * call_.slot_bytes
        work, stage = work_record(slot), (plan_address, call_address, slot, job_number)
        place(plan, share, work, job_number)
        list_offsets(plan, share, work, slot)
        chain = (share.first_segment + work.segment) * SEGMENT
        end = min(chain + SEGMENT, share.chains)
        while chain < end:
            chain = next_chunk(plan, share, work, chain, end)
            list_steps(plan, share, work, slot)
            call(plan.pack_x, stage)
            call(plan.pack_g, stage)
            look_ahead(plan, share, work, call_, share.rows)
            call(plan.micro, stage)
            work.fresh = 0
        call(plan.finish, stage)

    return kernel
