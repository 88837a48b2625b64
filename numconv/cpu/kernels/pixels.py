"""Micro-kernels with pixels in lanes: input rows are vectors, the weights are broadcast.

Each vector of a tile has a place of its own: the job's tables (`positions` in pixel_job) say where it reads and where
its results go, so that a tile may hold neighbours of a row, pieces of several rows, or rows far apart.

`filters_by_pixels`: a tile is ROWS filters x VECS vectors. Weights: ``weights + unit * unit_bytes + (step * ROWS + i) *
size``.

`rows_by_pixels`: a tile is ROWS output rows of one filter, which share every input vector they read:

    input row i         feeds output rows  max(0, i - taps + 1) <= r <= min(i, ROWS - 1)  with tap row  i - r
    i < ROWS - 1        head: rows 0 .. i
    i < taps            steady: all rows
    otherwise           tail: rows i - taps + 1 .. ROWS - 1

Every output row still adds its products in the order of the taps. Row ranges are literals, so that the tile stays in
registers. Measured for one filter (one AVX2 core, float32, peak 102 GFLOP/s): one row at a time 57-60 GFLOP/s, since
every multiply-add needs a load of its own; 2x4 or 3x3 tiles 77-87 from 7x7 on.

The chains of a tile follow each other: what the earlier ones add up to waits where the result goes, which is `out`
itself (block.direct) or the chain sums. Nothing is read back from another tile, so tiles may overlap.
"""

from __future__ import annotations

from .exact import add_converted, place_converted, place_integers
from .intrinsics import SIZES, block_record, call_record, expanded, plan_record, pointer
from .places import add_placed, moved, place, place_past_caches, steps_within, together
from .tile import add_rows, leaky_relu, load_offsets, outer_vectors, relu, rows_of, steps_of, zeros

LINE = 64
"""Bytes of a cache line, and of the vectors that go past the caches."""


@expanded
def put(tile, places, steps, count, first, ending, biases, integers, code, stream):
    """Add a chain's sums to what the tile's chains before it left, and write them back.

    `steps` lead from row to row, `count` rows are there. `ending` is (whether these become results, address of a bias
    or 0, activation, address of its slope, whether the place is an out of other integers, of code `code`); `biases`
    leads from row to row of the bias. `stream`: past the caches.
    """
    if integers:
        place_integers(tile, places, steps, 1 if first else 0)
    else:
        if not first:
            if ending[4]:
                tile = add_converted(tile, places, steps, code)
            else:
                tile = add_placed(tile, places, steps)
        if ending[0]:
            if ending[1] != 0:
                tile = add_rows(tile, ending[1], biases)
            if ending[2] == 1:
                tile = relu(tile)
            elif ending[2] == 2:
                tile = leaky_relu(tile, ending[3])
        if ending[4]:
            if stream:
                place_converted(tile, places, steps, count, code, True)
            else:
                place_converted(tile, places, steps, count, code, False)
        elif stream:
            place_past_caches(tile, places, steps, count)
        else:
            place(tile, places, steps, count)


def filters_by_pixels(scalar, rows, vecs, lanes, fused, integers, code):
    """`integers`: float lanes whose chain sums are exact integers, added up in int64.

    `code`: of the integers that lanes become in out, or "" where lanes are results.
    """
    size, converts = SIZES[scalar], code != ""

    def kernel(plan_address, call_address, slot, _):
        plan, call, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        taps, chains = pointer(block.taps, "i8"), pointer(plan.chains, "i8")
        for unit in range(block.unit_0, block.unit_1):
            group, panel = unit // plan.group_units, unit % plan.group_units
            filter_0 = group * plan.group_filters + panel * rows
            bias, count, step = 0, rows, plan.acc_lane
            target = block.target + (unit - block.unit_0) * plan.acc_unit
            if block.direct:
                bias = 0 if call.bias == 0 else call.bias + filter_0 * size
                count, step = min(rows, plan.group_filters - panel * rows), call.o_f
                target = block.target + filter_0 * call.o_f
            steps, biases = steps_within(rows, step, count), steps_within(rows, size, count)
            source = block.source + group * block.left_group
            for b in range(0, block.rows, block.band):
                row = min(b, block.last_band)
                for v in range(0, block.vectors, vecs):
                    sources = moved(load_offsets(vecs, slot + plan.at_left + v * 8), source + row * block.left_h)
                    places = moved(load_offsets(vecs, slot + plan.at_out + v * 8), target + row * block.target_h)
                    stream = call.stream and block.direct and (together(places) | step) % LINE == 0
                    for chain in range(block.chain_0, block.chain_1):
                        begin, end = chains[chain], chains[chain + 1]
                        weights = call.weights + unit * plan.unit_bytes + begin * (rows * size)
                        tile = zeros(scalar, rows, vecs, lanes, fused)
                        for k in range(begin, end):
                            tile = outer_vectors(tile, weights, 0, -size, sources, taps[k], 0, rows)
                            weights += rows * size
                        last = block.direct != 0 and chain == plan.chain_count - 1
                        ending = (last, bias, plan.relu, plan.slope, converts and block.direct != 0)
                        put(tile, places, steps, count, chain == 0, ending, biases, integers, code, stream)

    return kernel


@expanded
def tap_row(tile, left, back, sources, x, taps, steps, low, high):
    """Steps of an input row for output rows low .. high - 1 (literals); `left` holds the taps of output row 0."""
    offsets = pointer(taps, "i8")
    for s in range(steps):
        tile = outer_vectors(tile, left, s, back, sources, x + offsets[s], low, high)
    return tile


@expanded
def few_taps(tile, left, back, sources, taps, steps, pitch, count):
    """A piece of fewer tap rows than the tile has rows: one output row after the other."""
    for i in range(count):
        row, x = left + i * back, i * pitch
        tile = tap_row(tile, row, 0, sources, x, taps, steps, 0, 1)
        tile = tap_row(tile, row, 0, sources, x + pitch, taps, steps, 1, 2)
        tile = tap_row(tile, row, 0, sources, x + 2 * pitch, taps, steps, 2, 3)
        tile = tap_row(tile, row, 0, sources, x + 3 * pitch, taps, steps, 3, 4)
    return tile


@expanded
def many_taps(tile, left, back, sources, taps, steps, pitch, count):
    """A piece of at least as many tap rows as the tile has rows: head, steady part, tail."""
    rows = rows_of(tile)
    for i in range(rows - 1):
        row, x = left + i * back, i * pitch
        if i == 0:
            tile = tap_row(tile, row, back, sources, x, taps, steps, 0, 1)
        elif i == 1:
            tile = tap_row(tile, row, back, sources, x, taps, steps, 0, 2)
        else:
            tile = tap_row(tile, row, back, sources, x, taps, steps, 0, 3)
    steady = (rows - 1) * steps  # from here on, tap rows follow each other in weights and offsets: one long loop
    tile = tap_row(tile, left + (rows - 1) * back, back, sources, 0, taps + steady * 8, count * steps - steady, 0, 4)
    for i in range(rows - 1):
        row, x = left + (count + i) * back, (count + i) * pitch
        if i == 0:
            tile = tap_row(tile, row, back, sources, x, taps, steps, 1, 4)
        elif i == 1:
            tile = tap_row(tile, row, back, sources, x, taps, steps, 2, 4)
        else:
            tile = tap_row(tile, row, back, sources, x, taps, steps, 3, 4)
    return tile


def rows_by_pixels(scalar, rows, vecs, lanes, fused, integers, code):
    """One filter a unit; stride and dilation of rows are 1; at most four rows."""
    size, converts = SIZES[scalar], code != ""

    def kernel(plan_address, call_address, slot, _):
        plan, call, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        chains = pointer(plan.chains, "i8")
        row_steps = plan.steps // (plan.KD * plan.KH)
        pitch, back = block.left_h, row_steps * size
        count = min(rows, block.rows) if block.direct else rows
        steps, biases = steps_within(rows, block.target_h, count), steps_of(rows, 0)
        for unit in range(block.unit_0, block.unit_1):
            bias, target = 0, block.target + (unit - block.unit_0) * plan.acc_unit
            if block.direct:
                bias, target = 0 if call.bias == 0 else call.bias + unit * size, block.target + unit * call.o_f
            source = block.source + unit // plan.group_units * block.left_group
            for b in range(0, block.rows, block.band):
                row = min(b, block.last_band)
                for v in range(0, block.vectors, vecs):
                    sources = moved(load_offsets(vecs, slot + plan.at_left + v * 8), source + row * pitch)
                    places = moved(load_offsets(vecs, slot + plan.at_out + v * 8), target + row * block.target_h)
                    stream = call.stream and block.direct and (together(places) | block.target_h) % LINE == 0
                    for chain in range(block.chain_0, block.chain_1):
                        tile, begin = zeros(scalar, rows, vecs, lanes, fused), chains[chain]
                        while begin < chains[chain + 1]:  # the chain's tap rows in one plane, or its part of a row
                            cut = min(row_steps, chains[chain + 1] - begin)
                            taps = min(chains[chain + 1] - begin, row_steps * plan.KH - begin % (row_steps * plan.KH))
                            taps = max(1, taps // row_steps)
                            left = call.weights + unit * plan.unit_bytes + begin * size
                            if taps < rows:
                                tile = few_taps(tile, left, back, sources, block.taps + begin * 8, cut, pitch, taps)
                            else:
                                tile = many_taps(tile, left, back, sources, block.taps + begin * 8, cut, pitch, taps)
                            begin += taps * cut
                        last = block.direct != 0 and chain == plan.chain_count - 1
                        ending = (last, bias, plan.relu, plan.slope, converts and block.direct != 0)
                        put(tile, places, steps, count, chain == 0, ending, biases, integers, code, stream)

    return kernel
