"""The order in which a block's pixels are visited, filters in lanes, and which taps each tile needs of them.

Products of padding add nothing: from +0.0 on, adding ``0 * w`` leaves a chain's sum as it is while w is finite, but for
a sum of -0.0, which becomes +0.0 (and that only comes of a product below the smallest subnormal). So the taps that
all pixels of a tile would read in the padding are skipped where the weights are finite (`Piece.skip`); a tile that
ends with a -0.0 sets `SIGNED_ZERO` in the status, and the call is done again without skipping. No bit changes.

A tile can skip a tap that none of its pixels sees. The columns at the left and right border come first, one after the
other, so that tiles lie along them; what is between them follows row by row:

    0 5 .......... 9      the block of an image of 5 rows: columns 0-4 and 5-9, then
    1 6 .......... .      rows of the interior; samples of a block are innermost in columns,
    2 7            .      and next to rows

Skipped at 14x14 are 9 % of the products, at 7x7 18, at 33x33 under a dilation of 6 23.
"""

from __future__ import annotations

from .intrinsics import inlined, plan_record, pointer

BOX_BYTES = 64
"""Of a tile: [first, last + 1) of the taps that any pixel sees along D, H and W, and whether these are not all."""


@inlined
def border(plan, block, call):
    """Which columns of the block lie between those at the border; all of them, where nothing is skipped."""
    block.skip, block.inner_0, block.inner_1 = call.skip, 0, block.bw
    if call.skip != 0:
        block.inner_0 = min(max(plan.inner_0 - block.w0, 0), block.bw)
        block.inner_1 = min(max(plan.inner_1 - block.w0, block.inner_0), block.bw)


@inlined
def run_at(block, q):
    """(n, d, h, w, count) of the run of neighbours along W that begins with pixel q, in coordinates of the block."""
    if block.skip == 0:
        w, row = q % block.bw, q // block.bw
        h, plane = row % block.bh, row // block.bh
        return plane // block.bd, plane % block.bd, h, w, block.bw - w
    height = block.bn * block.bd * block.bh
    inner = block.inner_1 - block.inner_0
    border = (block.bw - inner) * height
    if q < border:
        column, rest = q // height, q % height
        w, count = column if column < block.inner_0 else column + inner, 1
        n, rest = rest % block.bn, rest // block.bn
        return n, rest // block.bh, rest % block.bh, w, count
    w, row = (q - border) % inner, (q - border) // inner
    n, rest = row % block.bn, row // block.bn
    return n, rest // block.bh, rest % block.bh, block.inner_0 + w, inner - w


@inlined
def address(block, call, at):
    """Where the result of the first pixel of a run goes."""
    row = call.out + (block.n + at[0]) * call.o_n + (block.d0 + at[1]) * call.o_d
    return row + (block.h0 + at[2]) * call.o_h + (block.w0 + at[3]) * call.o_w


@inlined
def segments(plan, block, call, slot):
    """Cut the chunk where its pixels are no neighbours in out: (offset in the chain sums, address in out, pixels)."""
    table, count, i, end = pointer(slot + plan.at_segments, "i8"), 0, 0, -1
    while i < block.pixels:
        at = run_at(block, block.pixel_0 + i)
        pixels, out = min(at[4], block.pixels - i), address(block, call, at)
        if out == end:
            table[count - 1] += pixels
        else:
            table[count], table[count + 1], table[count + 2] = i * plan.acc_pixel, out, pixels
            count += 3
        i += pixels
        end = out + pixels * call.o_w
    block.segments = count


@inlined
def offsets(plan, block, call, slot):
    """Per pixel of the chunk, where its receptive field and its output begin; the last tile repeats the last pixel."""
    lefts, outs = pointer(slot + plan.at_left, "i8"), pointer(slot + plan.at_out, "i8")
    i, rows = 0, plan.tile_rows
    while i < block.pixels:
        at = run_at(block, block.pixel_0 + i)
        n, d, h, w, count = at
        left = n * block.left_n + d * block.left_d + h * block.left_h + w * block.left_w
        out, count = address(block, call, at), min(count, block.pixels - i)
        for j in range(count):
            lefts[i + j], outs[i + j] = left + j * block.left_w, out + j * call.o_w
        if block.skip != 0:
            for t in range(i // rows, (i + count - 1) // rows + 1):
                widen(plan, block, slot + plan.at_boxes + t * BOX_BYTES, at, i <= t * rows)
        i += count
    for j in range(i, (i + rows - 1) // rows * rows):
        lefts[j], outs[j] = lefts[i - 1], outs[i - 1]


@inlined
def widen(plan, block, box_address, at, fresh):
    """Add the taps that a run's pixels see to a tile's box, or begin it with them; all of a run see the same."""
    box = pointer(box_address, "i8")
    seen_d = pointer(plan.seen_d + (block.d0 + at[1]) * 16, "i8")
    seen_h = pointer(plan.seen_h + (block.h0 + at[2]) * 16, "i8")
    seen_w = pointer(plan.seen_w + (block.w0 + at[3]) * 16, "i8")
    if fresh:
        box[0], box[1], box[2], box[3], box[4], box[5] = (
            seen_d[0], seen_d[1], seen_h[0], seen_h[1], seen_w[0], seen_w[1],
        )  # fmt: skip
    else:
        box[0], box[1] = min(box[0], seen_d[0]), max(box[1], seen_d[1])
        box[2], box[3] = min(box[2], seen_h[0]), max(box[3], seen_h[1])
        box[4], box[5] = min(box[4], seen_w[0]), max(box[5], seen_w[1])
    whole = (box[1] - box[0]) * (box[3] - box[2]) * (box[5] - box[4]) == plan.KD * plan.KH * plan.KW
    box[6] = 0 if whole else 1


@inlined
def span(plan_address, box_address, step, end):
    """(first, last + 1, where the next tap row begins) of the steps from `step` on that a tile's box asks for."""
    plan, box = plan_record(plan_address), pointer(box_address, "i8")
    row = plan.KW * plan.tap_steps
    tap_row = step // row
    origin = tap_row * row
    behind = min(end, origin + row)
    kd, kh = tap_row // plan.KH, tap_row % plan.KH
    if kd < box[0] or kd >= box[1] or kh < box[2] or kh >= box[3]:
        return step, step, behind
    return max(step, origin + box[4] * plan.tap_steps), min(behind, origin + box[5] * plan.tap_steps), behind
