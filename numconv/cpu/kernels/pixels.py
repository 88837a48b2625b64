"""Micro-kernels with pixels in lanes: the input tile is planar, its rows are vectors, the weights are broadcast.

`filters_by_pixels`: a tile is ROWS filters x (VECS * LANES) pixels. The pixels of a plane are numbered through its
padded rows (pitch pk_h), so that a tile runs over the ends of rows: narrow images fill the lanes, and what is computed
for the halo columns is not stored. Weights: ``weights + unit * unit_bytes + (step * ROWS + i) * size``.

`rows_by_pixels`: a tile is ROWS output rows of one filter, which share every input vector they read:

    input row i         feeds output rows  max(0, i - taps + 1) <= r <= min(i, ROWS - 1)  with tap row  i - r
    i < ROWS - 1        head: rows 0 .. i
    i < taps            steady: all rows
    otherwise           tail: rows i - taps + 1 .. ROWS - 1

Every output row still adds its products in the order of the taps. Row ranges are literals, so that the tile stays in
registers. Measured for one filter (one AVX2 core, float32, peak 102 GFLOP/s): one row at a time 57-60 GFLOP/s, since
every multiply-add needs a load of its own; 2x4 or 3x3 tiles 77-87 from 7x7 on.
"""

from __future__ import annotations

from .intrinsics import SIZES, block_record, call_record, expanded, plan_record, pointer
from .tile import accumulate_integers, add_stored, outer, outer_rows, rows_of, steps_of, store, zeros


@expanded
def put(tile, sums, step, first, integers):
    """Add a finished chain to the chain sums, whose rows are `step` bytes apart."""
    if integers:
        accumulate_integers(tile, sums, step, 1 if first else 0)
    else:
        if not first:
            tile = add_stored(tile, sums, step)
        store(tile, sums, step)


def filters_by_pixels(scalar, rows, vecs, lanes, fused, integers):
    """`integers`: float lanes whose chain sums are exact integers, added up in int64."""
    size = SIZES[scalar]
    width = vecs * lanes

    def kernel(plan_address, call_address, slot, _):
        plan, call, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        taps, chains = pointer(block.taps, "i8"), pointer(plan.chains, "i8")
        d = block.pixel_0 // (block.bw * block.bh)
        first_row = block.left + d * block.left_d + block.row_0 * block.left_h
        pixels = (block.rows - 1) * (block.left_h // size) + block.bw
        offsets = steps_of(rows, size)
        for unit in range(block.unit_0, block.unit_1):
            plane = first_row + unit // plan.group_units * block.left_group
            sums = slot + plan.at_acc + (unit - block.unit_0) * plan.acc_unit
            for chain in range(block.chain_0, block.chain_1):
                begin, end = chains[chain], chains[chain + 1]
                weights = call.weights + unit * plan.unit_bytes + begin * (rows * size)
                for p in range(0, pixels, width):
                    tile, left = zeros(scalar, rows, vecs, lanes, fused), weights
                    here = plane + p * size
                    for k in range(begin, end):
                        tile = outer(tile, left, offsets, here + taps[k])
                        left += rows * size
                    step = steps_of(rows, plan.acc_lane // (plan.acc_item // size))
                    put(tile, sums + p * plan.acc_item, step, chain == 0, integers)

    return kernel


@expanded
def tap_row(tile, left, back, right, taps, steps, low, high):
    """Steps of input for output rows low .. high - 1 (literals); `left` holds the taps of output row 0."""
    offsets = pointer(taps, "i8")
    for s in range(steps):
        tile = outer_rows(tile, left, s, back, right + offsets[s], low, high)
    return tile


@expanded
def few_taps(tile, left, back, right, taps, steps, pitch, count):
    """A piece of fewer tap rows than the tile has rows: one output row after the other."""
    for i in range(count):
        row, x = left + i * back, right + i * pitch
        tile = tap_row(tile, row, 0, x, taps, steps, 0, 1)
        tile = tap_row(tile, row, 0, x + pitch, taps, steps, 1, 2)
        tile = tap_row(tile, row, 0, x + 2 * pitch, taps, steps, 2, 3)
        tile = tap_row(tile, row, 0, x + 3 * pitch, taps, steps, 3, 4)
    return tile


@expanded
def many_taps(tile, left, back, right, taps, steps, pitch, count):
    """A piece of at least as many tap rows as the tile has rows: head, steady part, tail."""
    rows = rows_of(tile)
    for i in range(rows - 1):
        row, x = left + i * back, right + i * pitch
        if i == 0:
            tile = tap_row(tile, row, back, x, taps, steps, 0, 1)
        elif i == 1:
            tile = tap_row(tile, row, back, x, taps, steps, 0, 2)
        else:
            tile = tap_row(tile, row, back, x, taps, steps, 0, 3)
    steady = (rows - 1) * steps  # from here on, tap rows follow each other in weights and offsets: one long loop
    tile = tap_row(tile, left + (rows - 1) * back, back, right, taps + steady * 8, count * steps - steady, 0, 4)
    for i in range(rows - 1):
        row, x = left + (count + i) * back, right + (count + i) * pitch
        if i == 0:
            tile = tap_row(tile, row, back, x, taps, steps, 1, 4)
        elif i == 1:
            tile = tap_row(tile, row, back, x, taps, steps, 2, 4)
        else:
            tile = tap_row(tile, row, back, x, taps, steps, 3, 4)
    return tile


def rows_by_pixels(scalar, rows, vecs, lanes, fused, integers):
    """One filter a unit; stride and dilation of rows are 1; at most four rows."""
    size = SIZES[scalar]
    width = vecs * lanes

    def kernel(plan_address, call_address, slot, _):
        plan, call, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        chains = pointer(plan.chains, "i8")
        d = block.pixel_0 // (block.bw * block.bh)
        first_row = block.left + d * block.left_d + block.row_0 * block.left_h
        row_steps = plan.steps // (plan.KD * plan.KH)
        pitch, back = block.left_h, row_steps * size
        for unit in range(block.unit_0, block.unit_1):
            plane = first_row + unit // plan.group_units * block.left_group
            sums = slot + plan.at_acc + (unit - block.unit_0) * plan.acc_unit
            for chain in range(block.chain_0, block.chain_1):
                for r in range(0, block.rows, rows):
                    for w in range(0, block.bw, width):
                        tile, begin = zeros(scalar, rows, vecs, lanes, fused), chains[chain]
                        while begin < chains[chain + 1]:  # the chain's tap rows in one plane, or its part of a row
                            steps = min(row_steps, chains[chain + 1] - begin)
                            count = min(chains[chain + 1] - begin, row_steps * plan.KH - begin % (row_steps * plan.KH))
                            count = max(1, count // row_steps)
                            left = call.weights + unit * plan.unit_bytes + begin * size
                            taps, x = block.taps + begin * 8, plane + r * pitch + w * size
                            if count < rows:
                                tile = few_taps(tile, left, back, x, taps, steps, pitch, count)
                            else:
                                tile = many_taps(tile, left, back, x, taps, steps, pitch, count)
                            begin += count * steps
                        here = sums + r * plan.acc_row + w * plan.acc_item
                        put(tile, here, steps_of(rows, plan.acc_row // (plan.acc_item // size)), chain == 0, integers)

    return kernel
