"""Copying, converting, filling and transposing runs of values: what packing is made of."""

from __future__ import annotations

from numba import literally

from .casts import fill, move, move_apart, move_square
from .intrinsics import inlined, pointer, size_of

SQUARE = 8
"""Rows and lanes of a transposed square: 24 shuffles of 32 bytes move 64 values of four."""


@inlined
def copy_near(source, source_code, target, target_code, count, step):
    """Copy `count` > 4 values, every `step`-th (1 to 4, a literal), by vectors, the last of which overlaps.

    A vector of steps is read whole and shuffled. The last one reads to its last value and no further: it begins
    step - 1 values before its first, and inside the run, since another vector came before it.
    """
    literally(source_code)
    literally(target_code)
    literally(step)
    size, target_size = size_of(source_code) * step, size_of(target_code)
    if count > 16:
        for i in range(0, count - 16, 16):
            move(source + i * size, source_code, target + i * target_size, target_code, 16, step, 0)
        i = count - 16
        move(source + i * size, source_code, target + i * target_size, target_code, 16, step, 1)
    elif count > 8:
        move(source, source_code, target, target_code, 8, step, 0)
        i = count - 8
        move(source + i * size, source_code, target + i * target_size, target_code, 8, step, 1)
    else:
        move(source, source_code, target, target_code, 4, step, 0)
        i = count - 4
        move(source + i * size, source_code, target + i * target_size, target_code, 4, step, 1)


@inlined
def copy_together(source, source_code, target, target_code, count):
    """Copy and convert neighbours to neighbours."""
    literally(source_code)
    literally(target_code)
    if count > 4:
        copy_near(source, source_code, target, target_code, count, 1)
    else:
        copy_apart(source, size_of(source_code), source_code, target, size_of(target_code), target_code, count)


@inlined
def copy_apart(source, source_step, source_code, target, target_step, target_code, count):
    """Copy and convert values at any constant steps, one by one."""
    literally(source_code)
    literally(target_code)
    for i in range(count):
        move(source + i * source_step, source_code, target + i * target_step, target_code, 1, 1, 0)


@inlined
def copy_run(source, source_step, source_code, target, target_step, target_code, count):
    """Copy and convert `count` values at constant steps, by vectors up to every fourth: four times `copy_together`."""
    literally(source_code)
    literally(target_code)
    size = size_of(source_code)
    near = target_step == size_of(target_code) and count > 4
    if near and source_step == size:
        copy_near(source, source_code, target, target_code, count, 1)
    elif near and source_step == 2 * size:
        copy_near(source, source_code, target, target_code, count, 2)
    elif near and source_step == 3 * size:
        copy_near(source, source_code, target, target_code, count, 3)
    elif near and source_step == 4 * size:
        copy_near(source, source_code, target, target_code, count, 4)
    else:
        copy_apart(source, source_step, source_code, target, target_step, target_code, count)


@inlined
def copy_rows(rows, count, skip, source, source_code, target, target_code, width, step):
    """`copy_near` of `width` > 4 values for each pair (source offset, target offset) but those with offset `skip`.

    Rows are the inner loops: what is the same for all is decided once (14 x 14 planes: 4 cycles a row, not 12).
    """
    literally(source_code)
    literally(target_code)
    literally(step)
    size, target_size = size_of(source_code) * step, size_of(target_code)
    if width > 16:
        for r in range(0, count, 2):
            if rows[r] != skip:
                here, there = source + rows[r], target + rows[r + 1]
                for i in range(0, width - 16, 16):
                    move(here + i * size, source_code, there + i * target_size, target_code, 16, step, 0)
                i = width - 16
                move(here + i * size, source_code, there + i * target_size, target_code, 16, step, 1)
    elif width > 8:
        i = width - 8
        for r in range(0, count, 2):
            if rows[r] != skip:
                here, there = source + rows[r], target + rows[r + 1]
                move(here, source_code, there, target_code, 8, step, 0)
                move(here + i * size, source_code, there + i * target_size, target_code, 8, step, 1)
    else:
        i = width - 4
        for r in range(0, count, 2):
            if rows[r] != skip:
                here, there = source + rows[r], target + rows[r + 1]
                move(here, source_code, there, target_code, 4, step, 0)
                move(here + i * size, source_code, there + i * target_size, target_code, 4, step, 1)


@inlined
def copy_rows_apart(rows, count, skip, source, source_code, evens, odds, target_code, pairs):
    """`copy_rows` of `pairs` > 8 neighbours: the first of each pair to `evens`, the second to `odds`."""
    literally(source_code)
    literally(target_code)
    size, target_size = 2 * size_of(source_code), size_of(target_code)
    for r in range(0, count, 2):
        if rows[r] != skip:
            here, even, odd = source + rows[r], evens + rows[r + 1], odds + rows[r + 1]
            if pairs > 16:
                for i in range(0, pairs - 16, 16):
                    at = i * target_size
                    move_apart(here + i * size, source_code, even + at, odd + at, target_code, 16)
                i = pairs - 16
                at = i * target_size
                move_apart(here + i * size, source_code, even + at, odd + at, target_code, 16)
            else:
                i = pairs - 8
                at = i * target_size
                move_apart(here, source_code, even, odd, target_code, 8)
                move_apart(here + i * size, source_code, even + at, odd + at, target_code, 8)


@inlined
def copy_last(rows, count, skip, source, source_code, target, target_code):
    """`copy_rows` of one value."""
    literally(source_code)
    literally(target_code)
    for r in range(0, count, 2):
        if rows[r] != skip:
            move(source + rows[r], source_code, target + rows[r + 1], target_code, 1, 1, 0)


@inlined
def copy_plain(source, step, source_code, target, target_code, count):
    """Copy and convert to neighbours by plain loops, which compile in a quarter of the time."""
    literally(source_code)
    literally(target_code)
    to = pointer(target, target_code)
    if step == size_of(source_code):
        values = pointer(source, source_code)
        for i in range(count):
            to[i] = values[i]
    else:
        for i in range(count):
            to[i] = pointer(source + i * step, source_code)[0]


@inlined
def add_chain(totals, sums, first, count, code):
    """``totals[l] += sums[l]``, or as they are if they are the `first`; and the sums are zero again."""
    literally(code)
    to, chain = pointer(totals, code), pointer(sums, code)
    for lane in range(count):
        to[lane] = chain[lane] if first else to[lane] + chain[lane]
        chain[lane] = 0


@inlined
def fill_run(target, step, code, value, count):
    """Write a value `count` times at constant steps."""
    literally(code)
    if step == size_of(code) and count >= 8:
        for i in range(0, count - 7, 8):
            fill(target + i * step, code, value, 8)
        fill(target + (count - 8) * step, code, value, 8)
    else:
        for i in range(count):
            pointer(target + i * step, code)[0] = value


@inlined
def fill_pixels(target, code, pads, parts, count):
    """Write the pad value to `count` neighbouring real channels; `pads` holds its parts."""
    literally(code)
    size = size_of(code)
    for part in range(parts):
        fill_run(target + part * size, parts * size, code, pads[part], count // parts)


@inlined
def transpose_squares(source, source_code, target, target_code, channels, step, last):
    """Transpose SQUARE pixels of at least as many channels; the last square overlaps."""
    literally(source_code)
    literally(target_code)
    literally(step)
    literally(last)
    for c0 in range(0, channels, SQUARE):
        c = min(c0, channels - SQUARE)
        square, to = (source[0] + c * source[1], source[1]), (target[0] + c * size_of(target_code), target[1])
        move_square(square, source_code, to, target_code, SQUARE, step, last)


@inlined
def transpose_near(source, source_code, target, target_code, pixels, channels):
    """Transpose planes whose pixels are neighbours, SQUARE of both at least, by squares, the last of which overlap."""
    literally(source_code)
    literally(target_code)
    for n in range(0, pixels, SQUARE):
        w = min(n, pixels - SQUARE)
        here, there = (source[0] + w * size_of(source_code), source[1]), (target[0] + w * target[1], target[1])
        transpose_squares(here, source_code, there, target_code, channels, 1, 0)


@inlined
def transpose_every(source, source_code, target, target_code, pixels, channels, step):
    """The same for pixels `step` values apart (a literal), more than SQUARE of them.

    The last square of a plane reads as the last vector of `copy_near` does.
    """
    literally(source_code)
    literally(target_code)
    literally(step)
    size = size_of(source_code) * step
    for w in range(0, pixels - SQUARE, SQUARE):
        here, there = (source[0] + w * size, source[1]), (target[0] + w * target[1], target[1])
        transpose_squares(here, source_code, there, target_code, channels, step, 0)
    w = pixels - SQUARE
    here, there = (source[0] + w * size, source[1]), (target[0] + w * target[1], target[1])
    transpose_squares(here, source_code, there, target_code, channels, step, 1)


@inlined
def transpose(source, step, source_code, target, target_code, pixels, channels):
    """Transpose `channels` planes of `pixels` values `step` bytes apart; both are (address, bytes between rows)."""
    literally(source_code)
    literally(target_code)
    size, target_size = size_of(source_code), size_of(target_code)
    if step == size and pixels >= SQUARE and channels >= SQUARE:
        transpose_near(source, source_code, target, target_code, pixels, channels)
    elif step == 2 * size and pixels > SQUARE and channels >= SQUARE:
        transpose_every(source, source_code, target, target_code, pixels, channels, 2)
    else:
        for c in range(channels):
            here, there = source[0] + c * source[1], target[0] + c * target_size
            copy_apart(here, step, source_code, there, target[1], target_code, pixels)
