"""Overlap-save: a job is some pairs of tiles of a sample, times a range of filters.

    for pair
        analyse                   all channels: pack, columns, rows -> spectra
    for filter                    some together, where they are neighbours in out
        for pair
            synthesise            sum over channels of spectrum * weights, rows, columns -> results of both tiles
            exact                 instead, where the input of a tile is not finite, or could leave the type's range
            store                 bias, activation, to out

A tile is LD x LH x LW samples, of which the results of VD x VH x VW are those of the convolution. Two tiles of real
data are the real and imaginary parts of one: results come apart by themselves, since weights are real. Complex data
are the two parts of one tile.

A tile lies by rows, (vector of columns, part, lane) in each, so that columns are transformed as they lie, along H and
D. Rows are transformed LANES at a time, in lanes: their squares are transposed on the way, and spectra stay as that
leaves them,

    spectrum[block of rows][column][part][row]

with rows and columns in the order of `fft_passes`. A long row of samples ("flat") is a tile of several rows that follow
each other; factors between columns and rows make one transform of theirs (D. H. Bailey, FFTs in external or
hierarchical memory, J. Supercomputing 4, 1990).

T. G. Stockham, High-speed convolution and correlation (AFIPS 28, 1966).
"""

from __future__ import annotations

from .casts import move_square
from .fft_vectors import largest, multiply, turn
from .intrinsics import SIZES, block_record, call, call_record, fft_record, plan_record, pointer


def analyse(scalar, lanes):
    """The spectra of all channels of a pair; or the samples themselves, where `exact` is to have them."""
    vector = lanes * SIZES[scalar]

    def kernel(plan_address, call_address, slot, i):
        plan, block = plan_record(plan_address), block_record(slot)
        fft, stage = fft_record(plan.fft), (plan_address, call_address, slot, i)
        tile, most = slot + fft.at_tile, 0
        spectra = slot + fft.at_spectra + i * plan.channels * fft.spectrum_bytes
        half = plan.channels * fft.spectrum_bytes // 2
        block.target, block.target_h, block.target_w, block.packed = tile, fft.row_bytes, 2 * vector, vector
        for c in range(plan.channels):
            block.channel_0 = c
            call(plan.pack, stage)
            for r in range(fft.LD * fft.LH):
                most = max(most, largest(scalar, lanes, tile + r * fft.row_bytes, fft.columns))
            call(fft.spectrum, (plan_address, tile, spectra + c * fft.spectrum_bytes, 0))
        wild = most != 0 and (most < fft.least or most > fft.most)
        pointer(slot + fft.at_wild, "i8")[i] = 1 if wild else 0
        if wild:
            block.target_h, block.target_w, block.packed = fft.columns * vector, vector, half
            for c in range(plan.channels):
                block.channel_0, block.target = c, spectra + c * (fft.spectrum_bytes // 2)
                call(plan.pack, stage)

    return kernel


def spectrum(scalar, lanes, fused):
    """Transform a tile; it is overwritten."""
    vector = lanes * SIZES[scalar]
    pair = 2 * vector

    def kernel(plan_address, tile, target, _):
        plan = plan_record(plan_address)
        fft = fft_record(plan.fft)
        for d in range(fft.LD):
            call(fft.forward, (fft.passes_h, tile + d * fft.plane_bytes, fft.row_bytes, fft.columns))
        if fft.LD > 1:
            for h in range(fft.LH):
                call(fft.forward, (fft.passes_d, tile + h * fft.row_bytes, fft.plane_bytes, fft.columns))
        if fft.turns != 0:
            for r in range(fft.LH):
                turn(
                    scalar, lanes, fused, -1, tile + r * fft.row_bytes, fft.turns + r * fft.columns * pair, fft.columns
                )
        for rows in range(fft.row_blocks):
            here, there = tile + rows * lanes * fft.row_bytes, target + rows * fft.LW * pair
            for k in range(fft.columns):
                for half in range(2):
                    source = (here + k * pair + half * vector, fft.row_bytes)
                    move_square(source, scalar, (there + k * lanes * pair + half * vector, pair), scalar, lanes, 1, 0)
            call(fft.forward, (fft.passes_w, there, pair, 1))

    return kernel


def synthesise(scalar, lanes, fused):
    """The results of a pair and a filter, in place of the tile."""
    vector = lanes * SIZES[scalar]
    pair = 2 * vector

    def kernel(plan_address, call_address, slot, i):
        plan, call_, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        fft = fft_record(plan.fft)
        group, spectrum_bytes = block.unit_0 // plan.group_units, fft.spectrum_bytes
        x = slot + fft.at_spectra + (i * plan.channels + group * plan.group_channels) * spectrum_bytes
        w = call_.weights + block.unit_0 * plan.group_channels * spectrum_bytes
        scratch, tile = slot + fft.at_scratch, block.source
        for rows in range(fft.row_blocks):
            at = rows * fft.LW * pair
            multiply(scalar, lanes, fused, 1, 1, x + at, w + at, spectrum_bytes, scratch, fft.LW)
            for c in range(1, plan.group_channels - 3, 4):
                more = at + c * spectrum_bytes
                multiply(scalar, lanes, fused, 0, 4, x + more, w + more, spectrum_bytes, scratch, fft.LW)
            for c in range(1 + (plan.group_channels - 1) // 4 * 4, plan.group_channels):
                more = at + c * spectrum_bytes
                multiply(scalar, lanes, fused, 0, 1, x + more, w + more, spectrum_bytes, scratch, fft.LW)
            call(fft.inverse, (fft.passes_w, scratch, pair, 1))
            to = tile + rows * lanes * fft.row_bytes
            for k in range(fft.used_columns):
                for half in range(2):
                    source = (scratch + k * lanes * pair + half * vector, pair)
                    move_square(source, scalar, (to + k * pair + half * vector, fft.row_bytes), scalar, lanes, 1, 0)
        if fft.turns != 0:
            for r in range(fft.LH):
                turn(scalar, lanes, fused, 1, tile + r * fft.row_bytes, fft.turns + r * fft.columns * pair, fft.columns)
        if fft.LD > 1:
            for h in range(fft.LH):
                call(fft.inverse, (fft.passes_d, tile + h * fft.row_bytes, fft.plane_bytes, fft.used_columns))
        for d in range(min(fft.LD, fft.VD)):
            call(fft.inverse, (fft.passes_h, tile + d * fft.plane_bytes, fft.row_bytes, fft.used_columns))

    return kernel


def job(scalar):
    """Pairs of a sample, and a range of filters."""
    size = SIZES[scalar]

    def kernel(plan_address, call_address, slot_number, job_number):
        plan, call_ = plan_record(plan_address), call_record(call_address)
        slot = call_.workspace + slot_number * call_.slot_bytes
        fft, block = fft_record(plan.fft), block_record(slot)
        rest, part = job_number // call_.filter_blocks, job_number % call_.filter_blocks
        block.n, block.pixel_0 = rest // plan.NW, rest % plan.NW * fft.together
        block.pixels = min(fft.together, fft.pairs - block.pixel_0)
        block.first_unit = part * call_.unit_block
        block.end_unit = min(plan.units, block.first_unit + call_.unit_block)
        for i in range(block.pixels):
            call(fft.analyse, (plan_address, call_address, slot, i))
        wild = pointer(slot + fft.at_wild, "i8")
        step = fft.stack if call_.o_f == fft.o_parts * size and call_.o_w != size else 1
        for unit in range(block.first_unit, block.end_unit, step):
            block.unit_1 = min(unit + step, block.end_unit)
            for i in range(block.pixels):
                stage = (plan_address, call_address, slot, i)
                for u in range(unit, block.unit_1):
                    block.unit_0, block.source = u, slot + fft.at_tile + (u - unit) * fft.tile_bytes
                    if wild[i] != 0:
                        call(fft.exact, stage)
                    else:
                        call(fft.synthesise, stage)
                block.unit_0 = unit
                call(fft.store, stage)

    return kernel
