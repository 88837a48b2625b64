"""Micro-kernel of gradients of weights: a tile is ROWS elements x (VECS * LANES) filters.

    chain > panel > tile      a panel's pixels stay in a first-level cache while the job's tiles pass

A step is one pixel: one value of x for each element, a vector of the gradient. Chain sums lie by panels and tiles,
(panel, element, filter), in the worker's bytes.
"""

from __future__ import annotations

from .gradient import share_record, work_record
from .gradient_ahead import STEPS, ask
from .intrinsics import SIZES, call_record, pointer
from .tile import add_stored, load_offsets, outer, steps_of, store, zeros


def micro(scalar, rows, vecs, lanes, fused):
    """Add the chains of a chunk to the sums of the segment."""
    width = vecs * lanes * SIZES[scalar]

    def kernel(plan_address, call_address, slot, _):
        call = call_record(call_address)
        share, work = share_record(call.given), work_record(slot)
        taps, starts = pointer(slot + share.at_taps, "i8"), pointer(slot + share.at_starts, "i8")
        left, every = slot + share.at_x, steps_of(rows, width)
        for chain in range(work.chains):
            begin, end = starts[chain], starts[chain + 1]
            first = work.fresh != 0 and chain == 0
            for panel in range(work.panels):
                packed = slot + share.at_g + panel * share.panel_bytes + begin * width
                sums = slot + share.at_acc + panel * work.tiles * (rows * width)
                for t in range(work.tiles):
                    offsets = load_offsets(rows, slot + share.at_offsets + t * (rows * 8))
                    tile, right = zeros(scalar, rows, vecs, lanes, fused), packed
                    for here in range(begin, end, STEPS):
                        ask(work)
                        for k in range(here, min(here + STEPS, end)):
                            tile = outer(tile, left + taps[k], offsets, right)
                            right += width
                    here = sums + t * (rows * width)
                    if not first:
                        tile = add_stored(tile, here, every)
                    store(tile, here, every)

    return kernel
