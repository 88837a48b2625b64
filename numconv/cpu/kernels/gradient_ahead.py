"""Asking for the next chunk's x and gradient while this one is computed, a cache line now and then.

What a chunk is packed from comes from memory, or from a third-level cache; unasked, it is waited for (64 channels and
filters of 224 x 224, 3x3: 18.4 ms a core, not 15.7). Two regions of lines: rows, each some lines, one step apart. Only
hints: where an array is neither channels last nor first, they may be useless.
"""

from __future__ import annotations

from .intrinsics import inlined, prefetch

LINE = 64
STEPS = 16
"""Steps between two times of asking."""


@inlined
def region(channels, pixels, each, address):
    """(first line, lines of a row, rows, step) of neighbouring pixels; a row is a pixel, or a channel.

    `channels` is (number, bytes apart), `pixels` (number, bytes apart), `each` the bytes of a value.
    """
    if channels[1] == each:
        row, rows, step = channels[0] * each, pixels[0], pixels[1]
        if row == step:
            row, rows = row * rows, 1
    elif pixels[1] == each:
        row, rows, step = pixels[0] * each, channels[0], channels[1]
    else:
        row, rows, step = 0, 0, 0
    return address, (row + address % LINE + LINE - 1) // LINE, rows, step


@inlined
def look_ahead(plan, share, work, call, end):
    """Find the two regions of the chunk that follows, and how many lines to ask for at a time."""
    work.ask_rows = work.then_rows = work.ask_count = 0
    row = work.row_0 + work.rows
    rows = min(work.rows, end - row)
    if rows <= 0 or work.columns != plan.OW:
        return
    h, plane = row % plan.OH, row // plan.OH
    n, d = plane // plan.OD, plane % plan.OD
    each = plan.panel_filters // plan.o_parts
    first = work.panel_0 * each
    filters = min(work.panels * each, plan.filters // plan.o_parts - first)
    at = call.weights + (work.group * plan.group_filters + first) * share.g_f
    at += n * share.g_n + d * share.g_d + h * share.g_h
    each = plan.o_parts * plan.g_size
    found = region((filters, share.g_f), (rows * plan.OW, share.g_w), each, at)
    work.then_row, work.then_lines, work.then_rows, work.then_step = found
    each = plan.block_inputs // plan.x_parts
    first = work.block_0 * each
    channels = min(work.blocks * each, plan.inputs // plan.x_parts - first)
    reach = (plan.KH - 1) * plan.dh
    top = (h - 1) * plan.sh + reach + 1 - plan.lo_h if h > 0 else 0
    top = min(max(0, top), plan.H)
    count = min((min(rows, plan.OH - h) - 1) * plan.sh + reach + h * plan.sh - plan.lo_h + 1, plan.H) - top
    d = min(max(0, d * plan.sd + (plan.KD - 1) * plan.dd - plan.lo_d), plan.D - 1)
    at = call.x + (work.group * plan.group_channels + first) * call.x_c
    at += n * call.x_n + d * call.x_d + top * call.x_h
    each = plan.x_parts * plan.x_size
    found = region((channels, call.x_c), (max(0, count) * plan.W, call.x_w), each, at)
    work.ask_row, work.ask_lines, work.ask_rows, work.ask_step = found
    if work.ask_rows == 0 or work.ask_lines == 0:
        work.ask_row, work.ask_lines, work.ask_rows, work.ask_step = (
            work.then_row, work.then_lines, work.then_rows, work.then_step,
        )  # fmt: skip
        work.then_rows = 0
    work.ask_at, work.ask_line = work.ask_row, work.ask_lines
    lines = work.ask_rows * work.ask_lines + work.then_rows * work.then_lines
    times = work.rows * plan.OW * plan.steps * work.panels * work.tiles // STEPS
    work.ask_count = min(lines // max(1, times) + 1, 8) if lines > 0 else 0


@inlined
def ask(work):
    """Ask for some lines of the regions, as long as there are any."""
    at, line = work.ask_at, work.ask_line
    for _ in range(work.ask_count):
        prefetch(at)
        at, line = at + LINE, line - 1
        if line == 0:
            work.ask_rows -= 1
            if work.ask_rows == 0:
                work.ask_row, work.ask_lines, work.ask_rows, work.ask_step = (
                    work.then_row, work.then_lines, work.then_rows, work.then_step,
                )  # fmt: skip
                work.then_rows = 0
                if work.ask_rows == 0 or work.ask_lines == 0:
                    work.ask_count = 0
                    return
            else:
                work.ask_row += work.ask_step
            at, line = work.ask_row, work.ask_lines
    work.ask_at, work.ask_line = at, line
