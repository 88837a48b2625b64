"""Micro-kernel of gradients of weights: a tile is ROWS elements x (VECS * LANES) filters.

    chain > panel > tile      a panel's pixels stay in a first-level cache while the job's tiles pass

A step is one pixel: one value of x for each element, a vector of the gradient. Chain sums lie by panels and tiles,
(panel, element, filter), in the worker's bytes.
"""

from __future__ import annotations

from numba import types
from numba.extending import intrinsic

from .gradient import share_record, work_record
from .gradient_ahead import STEPS, ask
from .intrinsics import SIZES, call_record, pointer
from .tile import _multiply_add, _vectors, add_stored, load_offsets, outer, steps_of, store, zeros


@intrinsic
def multiply_vectors(typingctx, tile, left, offsets, right):
    """``tile[i, j] += left[i, j] * right[j]``, with vectors of row i from ``left + offsets[i]`` on."""

    def codegen(ctx, b, sig, args):
        value, left_, offsets_, right_ = args
        vectors = _vectors(b, tile, right_)
        for i in range(tile.rows):
            row = _vectors(b, tile, b.add(left_, b.extract_value(offsets_, i)))
            for j in range(tile.vecs):
                q = i * tile.vecs + j
                total = _multiply_add(b, tile, row[j], vectors[j], b.extract_value(value, q))
                value = b.insert_value(value, total, q)
        return value

    return tile(tile, types.int64, types.UniTuple(types.int64, tile.rows), types.int64), codegen


def micro(scalar, rows, vecs, lanes, fused, apart):
    """Add the chains of a chunk to the sums of the segment."""
    width = vecs * lanes * SIZES[scalar]

    def kernel(plan_address, call_address, slot, _):
        call = call_record(call_address)
        share, work = share_record(call.given), work_record(slot)
        taps, starts = pointer(slot + share.at_taps, "i8"), pointer(slot + share.at_starts, "i8")
        every = steps_of(rows, width)
        for chain in range(work.chains):
            begin, end = starts[chain], starts[chain + 1]
            first = work.fresh != 0 and chain == 0
            for panel in range(work.panels):
                left = slot + share.at_x + (panel * share.block_bytes if apart else 0)
                packed = slot + share.at_g + panel * share.panel_bytes + begin * width
                sums = slot + share.at_acc + panel * work.tiles * (rows * width)
                for t in range(work.tiles):
                    offsets = load_offsets(rows, slot + share.at_offsets + t * (rows * 8))
                    tile, right = zeros(scalar, rows, vecs, lanes, fused), packed
                    for here in range(begin, end, STEPS):
                        ask(work)
                        for k in range(here, min(here + STEPS, end)):
                            if apart:
                                tile = multiply_vectors(tile, left + taps[k], offsets, right)
                            else:
                                tile = outer(tile, left + taps[k], offsets, right)
                            right += width
                    here = sums + t * (rows * width)
                    if not first:
                        tile = add_stored(tile, here, every)
                    store(tile, here, every)

    return kernel
