"""Filters that are sums of one or two products of a column and a row: a pass along rows, then one along columns.

A job is a block of outputs of one sample times a range of filters:

    for filter
        for chunk of output rows      the rows between the passes stay in a second-level cache
            rows                      input rows, two at a time, as far as no earlier chunk has had them
            columns                   strips of the block: tiles of output rows, as in `pixels.rows_by_pixels`
            finish                    where tiles do not go straight to out

    ring                              [term][strip][row of the chunk, its halo behind it][column of the strip]

A strip is as wide as a tile; the last one overlaps. In a strip all rows are neighbours, so that a tile that goes down
reads one stream from a first-level cache. The KH - 1 rows that two chunks share move to the front of the ring.

Input rows are read where they lie, but for strips that see padding, and where samples of a row are no neighbours. Each
output depends on what it sees alone, by one chain of products for each pass and term: no block, strip or tile changes a
bit. Sums that are not finite are computed again by `exact`, in the order of `direct`: these sums alone.
"""

from __future__ import annotations

from .intrinsics import SIZES, block_record, call, call_record, inlined, plan_record, pointer
from .job import output_rows, place
from .pixel_job import LINE, target_of
from .pixels import few_taps, many_taps, put
from .places import moved, prefetch, steps_within, together
from .runs import copy_run, fill_run
from .separable_tiles import add_tap, finite_or, is_finite
from .tile import add_stored, load, steps_of, store, zeros

HEAD = 64
"""Bytes before the weights: the number of terms."""


@inlined
def column_of(block, strip, width):
    """First column of a strip, from the block's first on. In between they begin where lines of out begin."""
    return min(max(0, block.band + (strip - 1) * width), block.bw - width)


@inlined
def strips(plan, block, call, width, size):
    """Cut the block into strips."""
    apart, first = block.target % LINE, width
    if block.direct and apart > 0 and block.target_h % LINE == 0 and width * size % LINE == 0:
        first = width - apart // size
    block.band = first
    block.vectors = 1 + (max(0, block.bw - first) + width - 1) // width


@inlined
def read_line(plan, block, stage, source, to, first, end):
    """Pack columns [first, end) of a row whose first sample is at `source` (0: a row of pad values)."""
    block.source, block.packed, block.channel_0, block.channel_1 = source, to, first, end
    call(plan.pack, stage)


def line(scalar):
    """Kernel of `read_line`."""
    size = SIZES[scalar]

    def kernel(plan_address, call_address, slot, _):
        plan, call, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        source, to, first, end = block.source, block.packed, block.channel_0, block.channel_1
        pad, index, values = pointer(plan.pad_value, scalar)[0], pointer(plan.index_w, "i8"), pointer(to, scalar)
        if source == 0:
            fill_run(to + first * size, size, scalar, pad, end - first)
            return
        low = min(end, max(first, plan.lo_w - block.w0))
        high = max(low, min(end, plan.lo_w + plan.W - block.w0))
        for i in range(end - first - (high - low)):
            w = first + i if first + i < low else first + i + high - low
            at = index[block.w0 + w]
            values[w] = pad if at < 0 else pointer(source + at * call.x_w, scalar)[0]
        here = source + (block.w0 + low - plan.lo_w) * call.x_w
        copy_run(here, call.x_w, scalar, to + low * size, size, scalar, high - low)

    return kernel


@inlined
def row_of(plan, block, call, channel, row):
    """Address of the first sample of a row, from the block's first on, or 0 for a row of padding."""
    d, h = pointer(plan.index_d, "i8")[block.d0], pointer(plan.index_h, "i8")[block.h0 + row]
    return 0 if d < 0 or h < 0 else call.x + block.n * call.x_n + d * call.x_d + h * call.x_h + channel * call.x_c


@inlined
def between(plan, block, call, width, columns):
    """Strips [first, last) that may be read in place."""
    first, last = 0, block.vectors
    while first < last and (call.taps == 0 or block.w0 + column_of(block, first, width) < plan.lo_w):
        first += 1
    end = plan.W + plan.lo_w - block.w0 - (columns - block.bw) - width
    while first < last and column_of(block, last - 1, width) > end:
        last -= 1
    return first, last


@inlined
def opened(plan, block, call, stage, source, to, part, columns, width):
    """Pack what cannot be read in place of a row; returns where the block's first column is, or would be, in it."""
    if source == 0 or part[0] >= part[1]:
        read_line(plan, block, stage, source, to, 0, columns)
        return to
    if part[0] > 0:
        end = column_of(block, part[0] - 1, width) + width + columns - block.bw
        read_line(plan, block, stage, source, to, 0, end)
    if part[1] < block.vectors:
        read_line(plan, block, stage, source, to, column_of(block, part[1], width), columns)
    return source + (block.w0 - plan.lo_w) * call.x_w


def rows(scalar, vecs, lanes, fused):
    """The pass along rows."""
    size, width = SIZES[scalar], vecs * lanes
    pitch = width * size

    def kernel(plan_address, call_address, slot, job):
        plan, call_, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        stage, KW = (plan_address, call_address, slot, job), plan.KW
        channel, columns = block.unit_0 // plan.group_filters, block.bw + KW - 1
        weights, terms = call_.weights + HEAD + block.unit_0 * plan.unit_bytes, pointer(call_.weights, "i8")[0]
        part = between(plan, block, call_, width, columns)
        line_0, line_1 = slot + plan.at_packed, slot + plan.at_packed + plan.pk_h
        end = block.rows + plan.KH - 1
        for i in range(plan.KH - 1 if block.row_0 > 0 else 0, end, 2):
            above = row_of(plan, block, call_, channel, block.row_0 + i)
            below = row_of(plan, block, call_, channel, block.row_0 + min(i + 1, end - 1))
            above = opened(plan, block, call_, stage, above, line_0, part, columns, width)
            below = opened(plan, block, call_, stage, below, line_1, part, columns, width)
            steps = steps_within(2, pitch, end - i)
            for s in range(block.vectors):
                shift = column_of(block, s, width) * size
                there = part[0] <= s and s < part[1]
                bases = (above if there else line_0) + shift, (below if there else line_1) + shift
                ring = slot + plan.at_ring + s * plan.strip_bytes + i * pitch
                for term in range(terms):
                    taps = weights + term * plan.KH * size + term * KW * size
                    tile = zeros(scalar, 2, vecs, lanes, fused)
                    for k in range(KW):
                        tile = add_tap(tile, bases, k * size, taps + k * size)
                    store(tile, ring + term * plan.term_bytes, steps)

    return kernel


def columns(scalar, rows, vecs, lanes, fused, few):
    """The pass along columns; `few`: there are fewer tap rows than a tile has rows."""
    size, width = SIZES[scalar], vecs * lanes
    pitch, vector = width * size, lanes * size

    def kernel(plan_address, call_address, slot, _):
        plan, call_, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        unit, KH, scratch = block.unit_0, plan.KH, slot + plan.at_partial
        weights, terms = call_.weights + HEAD + unit * plan.unit_bytes, pointer(call_.weights, "i8")[0]
        bias, target, own = 0, block.target, steps_of(rows, pitch)
        if block.direct:
            bias, target = 0 if call_.bias == 0 else call_.bias + unit * size, block.target + unit * call_.o_f
        ending, biases = (block.direct != 0, bias, plan.relu, plan.slope, False), steps_of(rows, 0)
        for s in range(block.vectors):
            strip = slot + plan.at_ring + s * plan.strip_bytes
            places = moved(steps_of(vecs, vector), target + column_of(block, s, width) * size)
            stream = call_.stream and block.direct and (together(places) | block.target_h) % LINE == 0
            shift = (block.w0 - plan.lo_w) * call_.x_w + column_of(block, s, width) * size
            for row in range(0, block.rows, rows):
                if call_.taps != 0:
                    first = block.row_0 + block.rows + KH - 1 + row
                    for i in range(first, min(first + rows, block.bh + KH - 1)):
                        source = row_of(plan, block, call_, unit // plan.group_filters, i)
                        prefetch(moved(steps_of(vecs, vector), source + shift), 0, 2, 0)
                tile = zeros(scalar, rows, vecs, lanes, fused)
                for term in range(terms):
                    if term > 0:
                        store(tile, scratch, own)
                    left = weights + (term * KH + (term + 1) * plan.KW) * size
                    sources = moved(steps_of(vecs, vector), strip + term * plan.term_bytes + row * pitch)
                    tile = zeros(scalar, rows, vecs, lanes, fused)
                    if few:
                        tile = few_taps(tile, left, size, sources, plan.taps, 1, pitch, KH)
                    else:
                        tile = many_taps(tile, left, size, sources, plan.taps, 1, pitch, KH)
                    if term > 0:
                        tile = add_stored(tile, scratch, own)
                count = min(rows, block.rows - row)
                if is_finite(tile) == 0:
                    store(tile, scratch, own)
                    for r in range(count):
                        block.source = scratch + r * pitch
                        call(plan.exact, (plan_address, call_address, slot, (row + r) * block.vectors + s))
                    tile = load(tile, scratch, own)
                put(tile, moved(places, row * block.target_h), steps_within(rows, block.target_h, count), count, True,
                    ending, biases, False, "", stream)  # fmt: skip
            if block.row_0 + block.rows < block.bh:
                for term in range(terms):
                    ring = strip + term * plan.term_bytes
                    for i in range(KH - 1):
                        kept = zeros(scalar, 1, vecs, lanes, fused)
                        kept = load(kept, ring + (block.rows + i) * pitch, steps_of(1, 0))
                        store(kept, ring + i * pitch, steps_of(1, 0))

    return kernel


def exact(scalar, vecs, lanes, fused):
    """The sums of row ``t // block.vectors`` of the chunk and strip ``t % block.vectors`` that are not finite."""
    size, width = SIZES[scalar], vecs * lanes
    pitch = width * size

    def kernel(plan_address, call_address, slot, t):
        plan, call_, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        unit, KW, sums, stage = block.unit_0, plan.KW, block.source, (plan_address, call_address, slot, 0)
        row, first = block.row_0 + t // block.vectors, column_of(block, t % block.vectors, width)
        packed, total = slot + plan.at_packed, slot + plan.at_partial + plan.vector_rows * pitch
        weights, starts = call_.given + unit * plan.KH * KW * size, pointer(plan.direct_chains, "i8")
        here, chain = steps_of(1, 0), 0
        tile = zeros(scalar, 1, vecs, lanes, fused)
        for kh in range(plan.KH):
            source = row_of(plan, block, call_, unit // plan.group_filters, row + kh)
            read_line(plan, block, stage, source, packed, first, first + width + KW - 1)
            kw = 0
            while kw < KW:
                if kh * KW + kw == starts[chain + 1]:
                    if chain > 0:
                        tile = add_stored(tile, total, here)
                    store(tile, total, here)
                    tile = zeros(scalar, 1, vecs, lanes, fused)
                    chain += 1
                until = min(KW, starts[chain + 1] - kh * KW)
                for k in range(kw, until):
                    weight = weights + (kh * KW + k) * size
                    tile = add_tap(tile, (packed + first * size,), k * size, weight)
                kw = until
        if chain > 0:
            tile = add_stored(tile, total, here)
        found = zeros(scalar, 1, vecs, lanes, fused)
        found = load(found, sums, here)
        store(finite_or(found, tile), sums, here)

    return kernel


@inlined
def passes(plan, block, call_, stage):
    """All chunks of a filter."""
    row = 0
    while row < block.bh:
        block.row_0, block.rows = row, min(plan.chunk, block.bh - row)
        block.pixel_0 = row * block.bw
        target_of(plan, block, call_, stage[2])
        call(plan.micro, stage)
        call(plan.inverse, stage)
        if block.direct == 0:
            output_rows(plan, block, call_, stage[2])
            call(plan.finish, stage)
        row += block.rows


def job(scalar, vecs, lanes):
    """The kernel of the module's docstring."""
    size, width = SIZES[scalar], vecs * lanes

    def kernel(plan_address, call_address, slot_number, job_number):
        plan, call_ = plan_record(plan_address), call_record(call_address)
        slot = call_.workspace + slot_number * call_.slot_bytes
        block = block_record(slot)
        stage = (plan_address, call_address, slot, job_number)
        place(plan, block, call_, job_number)
        for unit in range(block.first_unit, block.end_unit):
            block.unit_0, block.unit_1 = unit, unit + 1
            block.pixel_0 = block.row_0 = 0
            target_of(plan, block, call_, slot)
            block.target += unit * call_.o_f if block.direct else 0
            strips(plan, block, call_, width, size)
            passes(plan, block, call_, stage)

    return kernel
