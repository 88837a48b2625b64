"""Micro-kernel for one filter with few tap rows: a tile is the KH output rows that an input row feeds, and rolls down.

    input row i feeds output rows i - KH + 1 .. i with tap rows KH - 1 .. 0: tile rows 0 .. KH - 1

After each input row the first tile row is complete: it is finished and stored, the others move up (renamed
registers). So every input vector is loaded once a column of taps, for KH multiply-adds, where tiles of R output rows
load KH + R - 1 input rows for R. Weights: ``weights + unit * unit_bytes + (step * KH + tile row) * size``.

A column is rolled down by plan.roll rows, then the next one; unfinished tile rows wait in memory, unrounded. More
rows at a time are more streams than a CPU prefetches, and with the pitch of a large image they meet in few sets of its
caches (7x7 on 2048x2048, AVX-512: 16 rows 3.4 ms, 32 4.9). The next row is asked into L1 (55 -> 60 % of the peak).

At both ends of a column some tile rows are no output rows. Half of the tile is left out there, by literal ranges, and
what the rest adds up is thrown away.
"""

from __future__ import annotations

from .intrinsics import SIZES, block_record, call_record, plan_record, pointer
from .pixels import LINE, put
from .places import moved, prefetch, together
from .tile import load, load_offsets, outer_vectors, steps_of, store, top_row, without_top_row, zeros


def rolling(scalar, rows, vecs, lanes, fused, integers, code):
    """One filter of `rows` tap rows a unit, in one plane and one chain; stride and dilation of rows are 1."""
    size, converts = SIZES[scalar], code != ""
    half = rows // 2
    most = rows - half
    bytes_ = vecs * lanes * size

    def kernel(plan_address, call_address, slot, _):
        plan, call, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        pitch, steps, taps = block.left_h, plan.steps // rows, pointer(block.taps, "i8")
        first = min(most, rows - 1)  # input rows for which the lower half of the tile does
        end = block.vector_rows + rows - 1
        ahead = plan.roll if plan.roll < end else 1
        last = end - most if block.vector_rows >= most else end  # from here on the upper half does
        for unit in range(block.unit_0, block.unit_1):
            bias, target = 0, block.target + (unit - block.unit_0) * plan.acc_unit
            if block.direct:
                bias, target = 0 if call.bias == 0 else call.bias + unit * size, block.target + unit * call.o_f
            ending = (block.direct != 0, bias, plan.relu, plan.slope, converts and block.direct != 0)
            source = block.source + unit // plan.group_units * block.left_group
            weights = call.weights + unit * plan.unit_bytes
            for i0 in range(0, end, plan.roll):
                i1 = min(end, i0 + plan.roll)
                for v in range(0, block.vectors, vecs):
                    sources = moved(load_offsets(vecs, slot + plan.at_left + v * 8), source)
                    places = moved(load_offsets(vecs, slot + plan.at_out + v * 8), target)
                    stream = call.stream and block.direct and (together(places) | block.target_h) % LINE == 0
                    waiting = slot + plan.at_waiting + v * (rows * lanes * size)
                    tile = zeros(scalar, rows, vecs, lanes, fused)
                    if i0 > 0:
                        tile = load(tile, waiting, steps_of(rows, bytes_))
                    for i in range(i0, min(i1, first)):
                        prefetch(sources, (i + 1) * pitch, 3, 0)
                        prefetch(sources, (i + ahead) * pitch, 2, 0)
                        for s in range(steps):
                            tile = outer_vectors(
                                tile, weights, s * rows, -size, sources, i * pitch + taps[s], half, rows
                            )
                        tile = without_top_row(tile)
                    for i in range(max(i0, first), min(i1, last)):
                        prefetch(sources, (i + 1) * pitch, 3, 0)
                        prefetch(sources, (i + ahead) * pitch, 2, 0)
                        for s in range(steps):
                            tile = outer_vectors(tile, weights, s * rows, -size, sources, i * pitch + taps[s], 0, rows)
                        if i >= rows - 1:
                            y = (i - rows + 1) * block.target_h
                            put(top_row(tile), places, (y,), 1, True, ending, (0,), integers, code, stream)
                        tile = without_top_row(tile)
                    for i in range(max(i0, last), i1):
                        for s in range(steps):
                            tile = outer_vectors(tile, weights, s * rows, -size, sources, i * pitch + taps[s], 0, most)
                        y = (i - rows + 1) * block.target_h
                        put(top_row(tile), places, (y,), 1, True, ending, (0,), integers, code, stream)
                        tile = without_top_row(tile)
                    if i1 < end:
                        store(tile, waiting, steps_of(rows, bytes_))

    return kernel
