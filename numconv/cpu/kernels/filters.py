"""Micro-kernel with filters in lanes: a tile is ROWS pixels x (VECS * LANES) filters.

    panel > chain > slice > tile          a panel's slice stays in L1 while the chunk's tiles pass

A chain whose part of the panel is too long for L1 is cut into slices; between them its tiles wait in memory, unrounded,
so that cutting changes no bit (AVX-512, 6x4 tiles, 256 steps: 64 KB a panel; in two slices 175 GFLOP/s, else 167).

Weights lie in panels of NR = VECS * LANES filters, step by step: ``weights + panel * unit_bytes + step * NR * size``.
Each chain starts from a zero tile and is added to the chain sums, panel by panel (pixels, NR), in the worker's bytes;
the last chain goes straight to `out`, with bias and activation, where a panel is full and out's pixels hold contiguous
filters of the accumulator's type.
"""

from __future__ import annotations

from ..records import CALL_SLOT, SIGNED_ZERO
from .ahead import LINE, next_bytes
from .exact import accumulate_integers
from .intrinsics import SIZES, block_record, call_record, fetch_or, inlined, plan_record, pointer, prefetch
from .order import BOX_BYTES, span
from .tile import (
    add_lanes,
    add_stored,
    leaky_relu,
    load,
    load_offsets,
    negative_zero,
    outer,
    relu,
    steps_of,
    store,
    zeros,
)

STATUS = 8 * CALL_SLOT["status"]


@inlined
def cut(begin, end, part, parts):
    """Where a part of a chain begins: parts are about equal, and multiples of 12 steps but for the last."""
    return end if part == parts else begin + (end - begin) * part // (parts * 12) * 12


def micro(scalar, rows, vecs, lanes, fused, integers, together):
    """`integers`: float lanes whose chain sums are exact integers, added up in int64; `together`: see `tiles`."""
    size, width = SIZES[scalar], vecs * lanes * SIZES[scalar]
    floats = scalar[0] == "f" and not integers
    looking = together > 1 and rows <= 8  # more rows leave no registers for it

    def kernel(plan_address, call_address, slot, _):
        plan, call, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        taps, chains = pointer(block.taps, "i8"), pointer(plan.chains, "i8")
        tiles, skipped = (block.pixels + rows - 1) // rows, 0
        for unit in range(block.unit_0, block.unit_1):
            group, panel = unit // plan.group_units, unit % plan.group_units
            filter_0 = group * plan.group_filters + panel * plan.unit_filters
            full = panel * plan.unit_filters + plan.unit_filters <= plan.group_filters
            left = block.left + group * block.left_group
            sums = slot + plan.at_acc + (unit - block.unit_0) * plan.acc_unit
            bias = 0 if call.bias == 0 else call.bias + filter_0 * size
            for chain in range(block.chain_0, block.chain_1):
                first, last = chain == 0, chain == plan.chain_count - 1
                begin, end = chains[chain], chains[chain + 1]
                to_out = last and full and call.direct != 0
                for part in range(plan.slices):
                    low, high = cut(begin, end, part, plan.slices), cut(begin, end, part + 1, plan.slices)
                    weights = call.weights + unit * plan.unit_bytes + low * width
                    for t in range(tiles):
                        partial = slot + plan.at_partial + t * (rows * width)
                        offsets = load_offsets(rows, slot + plan.at_left + t * (rows * 8))
                        tile = zeros(scalar, rows, vecs, lanes, fused)
                        if part > 0:
                            tile = load(tile, partial, steps_of(rows, width))
                        ahead, step = 0, 0
                        if looking:
                            ahead, length = next_bytes(block, call, weights, (high - low) * width, t, tiles)
                            step = min(length * together // max(1, high - low) + 1, 2 * LINE)
                        box = slot + plan.at_boxes + t * BOX_BYTES
                        skip = block.skip != 0 and pointer(box, "i8")[6] != 0
                        behind = low
                        while behind < high:
                            start, stop, behind = behind, high, high
                            if skip:
                                start, stop, behind = span(plan_address, box, start, high)
                            right = weights + (start - low) * width
                            for k in range(start, stop, together):
                                if looking:
                                    prefetch(ahead)
                                    prefetch(ahead + LINE)
                                    ahead += step
                                here = left + taps[k]
                                tile = outer(tile, here, offsets, right)
                                if together >= 3:
                                    tile = outer(tile, here + size, offsets, right + width)
                                    tile = outer(tile, here + 2 * size, offsets, right + 2 * width)
                                if together == 4:
                                    tile = outer(tile, here + 3 * size, offsets, right + 3 * width)
                                right += together * width
                        if part < plan.slices - 1:
                            store(tile, partial, steps_of(rows, width))
                            continue
                        if skip and floats:
                            skipped |= negative_zero(tile)
                        here = sums + t * rows * plan.acc_pixel
                        if integers:
                            accumulate_integers(tile, here, steps_of(rows, width), 1 if first else 0)
                            continue
                        if not first:
                            tile = add_stored(tile, here, steps_of(rows, width))
                        if not to_out:
                            store(tile, here, steps_of(rows, width))
                            continue
                        if bias != 0:
                            tile = add_lanes(tile, bias)
                        if plan.relu == 1:
                            tile = relu(tile)
                        elif plan.relu == 2:
                            tile = leaky_relu(tile, plan.slope)
                        store(tile, filter_0 * size, load_offsets(rows, slot + plan.at_out + t * (rows * 8)))
        if skipped != 0:
            fetch_or(call_address + STATUS, SIGNED_ZERO)

    return kernel
