"""Looking ahead: what is read next comes from memory to the second-level cache while the multipliers work.

The weights are walked as they lie. The next job's input is walked segment by segment (neighbours in memory), row by
row, plane by plane (depth, samples or channels). Jobs are drawn in turn, so that the next one is probably as many
further on as there are workers; a wrong guess costs nothing but the lines. Measured on one AVX-512 core with cold
caches (share of the FMA peak, without -> with): VGG 4_2 71 -> 77 %, VGG 5_1 72 -> 77, ResNet 7x7x512 66 -> 75, its 1x1
up 57 -> 66; bursts of prefetches at the beginning of a tile, instead of one every four steps, hold up its loads.
"""

from __future__ import annotations

from .intrinsics import inlined

LINE = 64


@inlined
def clipped(first, count, low, size):
    """(first sample, samples) among `count` padded positions from `first` on."""
    a = min(max(first - low, 0), size)
    return a, max(0, min(first - low + count, size) - a)


@inlined
def look_ahead(plan, block, call, job, visits):
    """Point the block's cursor at the input of a job, to be walked in so many visits; or nowhere."""
    block.ahead = block.ahead_end = 0
    if job >= call.last or job // call.filter_blocks == (job - call.workers) // call.filter_blocks:
        return
    job //= call.filter_blocks
    job, w = job // plan.NW, job % plan.NW
    job, h = job // plan.NH, job % plan.NH
    n, d = job // plan.ND * call.sample_block, job % plan.ND
    samples = min(call.sample_block, call.samples - n)
    d, depth = clipped(d * plan.BD * plan.sd, (plan.BD - 1) * plan.sd + (plan.KD - 1) * plan.dd + 1, plan.lo_d, plan.D)
    h, height = clipped(h * plan.BH * plan.sh, (plan.BH - 1) * plan.sh + (plan.KH - 1) * plan.dh + 1, plan.lo_h, plan.H)
    w, width = clipped(w * plan.BW * plan.sw, (plan.BW - 1) * plan.sw + (plan.KW - 1) * plan.dw + 1, plan.lo_w, plan.W)
    step = plan.x_parts * plan.x_size
    if call.x_c == step:
        planes, pitch = (samples, call.x_n) if samples > 1 else (depth, call.x_d)
    elif call.x_w == step:
        planes, pitch = plan.channels // plan.x_parts, call.x_c
    else:
        return
    length = width * call.x_w
    if length == call.x_h:  # whole rows
        length, height = length * height, min(height, 1)
    if length <= 0 or height <= 0 or planes <= 0:
        return
    block.ahead_plane = call.x + n * call.x_n + d * call.x_d + h * call.x_h + w * call.x_w
    block.ahead_planes, block.ahead_pitch = planes, pitch
    block.ahead_bytes, block.ahead_rows, block.ahead_row = length, height, 0
    block.ahead, block.ahead_end = block.ahead_plane, block.ahead_plane + length
    block.ahead_step = 2 * ((length // LINE + 1) * height * planes // max(1, visits) + 1) * LINE  # at every other visit


@inlined
def next_bytes(block, call, weights, length, visit, visits):
    """(first address, bytes) of what a visit asks for: its share of the weights behind the `length` bytes in use.

    While there is input to ask for, that has every other visit.
    """
    turns = 2 if block.ahead < block.ahead_end else 1
    if visit % turns == 0:
        return weights + length + length * visit // visits, turns * length // visits
    first, end = block.ahead, min(block.ahead + block.ahead_step, block.ahead_end)
    block.ahead = end
    if end == block.ahead_end:
        block.ahead_row += 1
        if block.ahead_row == block.ahead_rows:
            block.ahead_row = 0
            block.ahead_planes -= 1
            block.ahead_plane += block.ahead_pitch
        if block.ahead_planes > 0:
            block.ahead = block.ahead_plane + block.ahead_row * call.x_h
            block.ahead_end = block.ahead + block.ahead_bytes
    return first, end - first
