"""The records that compiled kernels read: how Python speaks to them.

Every kernel is ``void(plan, call, slot, job)`` on four int64: the addresses of two records, the number of the running
worker and the number of the job. `PLAN` is immutable and shared by all calls of a plan; `CALL` belongs to one call;
the worker `slot` owns the bytes ``workspace + slot * slot_bytes`` and nothing else.

All fields are int64: addresses, counts, byte strides. A record is written as a plain int64 array (0.2 us a slot, 3.5 us
for 30 named fields), `PLAN_SLOT["name"]` and `CALL_SLOT["name"]` give the index of a field.
"""

from __future__ import annotations

from array import array

import numpy as np


def _record(names: str) -> tuple[np.dtype, dict[str, int]]:
    fields = names.split()
    return np.dtype([(name, np.int64) for name in fields]), {name: i for i, name in enumerate(fields)}


def written(slots: dict[str, int], fields: dict[str, int]) -> np.ndarray:
    """A record of which some fields are given; the others are 0."""
    record = np.zeros(len(slots), np.int64)
    for name, value in fields.items():
        record[slots[name]] = value
    return record


def call_with(fields: dict[str, int]) -> array[int]:
    """A CALL record, as an array that is fast to copy and to write."""
    return array("q", written(CALL_SLOT, fields).tobytes())


# The runner's part comes first. `next`, the job counter that all workers write, has a cache line of its own.
CALL, CALL_SLOT = _record("""
    kernel plan last workspace slot_bytes line_5 line_6 line_7
    next next_1 next_2 next_3 next_4 next_5 next_6 next_7
    status x out bias weights taps direct part stream skip given kept
    filter_blocks unit_block samples sample_block workers
    x_n x_d x_h x_w x_c o_n o_d o_h o_w o_f
    """)

# Axes are D, H, W; "real" channels and filters count the parts of interleaved complex numbers separately.
#   stages      addresses of the kernels that a job calls
#   axes        output, its blocks (extent, count), input, kernel, stride, dilation, padding below, index tables;
#               of packed segments: positions between slots, slots between outputs
#   packed      real channels; bytes of an item; pitches; segments of W; whether channels are planes
#   chains      step offsets, first step of each chain, passes (PASS)
#   filters     units (panels or filter tiles), their weights, how many a group has, filters in a group and in a unit
#               rows of a tile of pixels or of winograd's tiles
#   skipping    steps of a tap; columns between the borders; tables of the taps that outputs see; see `order`
#   pixel lanes lanes of a vector, vectors of a tile; how they are placed, see `pixel_job`
#   chain sums  bytes of an item, and between pixels, rows, lanes and units; `at_...`: offsets in the worker's bytes
#   channels    in lanes: all filters, those of a group, pixels from one of a tile to the next, table of addresses
#               (far: whether rows are asked for ahead)
#   winograd    PLAN of the micro-kernel; kernels; bytes between tiles and points of V and M; a pixel of zeros; sizes
#               with padding; channels made innermost at a time; first step of each chain of `direct`
#   separable   bytes of a strip of intermediate rows, and of all strips of a term
PLAN, PLAN_SLOT = _record("""
    pack micro finish activate block_job
    OD OH OW BD BH BW ND NH NW D H W KD KH KW sd sh sw dd dh dw lo_d lo_h lo_w index_d index_h index_w
    step_d step_h step_w ahead_d ahead_h ahead_w
    channels x_parts x_size o_parts pad_value item group_channels group_bytes pk_n pk_d pk_h pk_w pk_c overrun
    segments_w segment_count_w
    taps chains passes pass_count chain_count
    steps unit_bytes units group_units group_filters unit_filters
    tile_rows chunk relu slope slices at_partial
    lanes vecs vector_rows stack flat pack_groups same_pads least_w least_h least_direct roll at_waiting
    acc_item acc_pixel acc_row acc_lane acc_unit
    tap_steps inner_0 inner_1 seen_d seen_h seen_w at_boxes
    at_left at_out at_segments at_rows at_runs at_acc at_packed
    F FG spacing table_d table_h table_w far
    gemm inverse exact v_tile v_point m_point at_v at_m zeros padded_h padded_w slice_channels direct_chains
    at_ring strip_bytes term_bytes
    fft
    """)

# What a job tells its stages (pack, micro-kernel, finish): the head of the worker's own bytes.
BLOCK, BLOCK_SLOT = _record("""
    n d0 h0 w0 bn bd bh bw first_unit end_unit unit_0 unit_1
    tap_pass chain_0 chain_1
    left left_n left_d left_h left_w left_group taps
    pixel_0 pixels row_0 rows segments
    ahead ahead_end ahead_step ahead_bytes ahead_row ahead_rows ahead_plane ahead_planes ahead_pitch
    direct packed channel_0 channel_1 overrun fresh packed_rows
    skip inner_0 inner_1
    source target target_h target_w vectors vector_rows band last_band
    """)

# One pass: its chains; along D and H the first position of its first tap, and its packed segments. A segment is (first
# position, slots, where it begins in the tile: its number of the slot, of W in bytes).
PASS, PASS_SLOT = _record("chain_0 chain_1 first_d segments_d count_d first_h segments_h count_h")

# What PLAN.fft points to, see `kernels.fft`.
#   kernels     stages of a job, and passes of transforms
#   tiles       samples along each axis, outputs, number; pairs of them in a sample and in a block; whether a tile is
#               one row of samples that lies in several; padded sizes
#   axes        tables of passes; factors between those of columns and rows, 0 where there are none
#   bytes       between rows and planes of a tile; vectors of a row; blocks of rows; those of a spectrum
#   parts       of the values of x and of weights; where an x has one, those of filters that have two; bits of the
#               least and largest size; filters whose tiles are kept to be stored together, bytes between these
FFT, FFT_SLOT = _record("""
    analyse spectrum synthesise exact store forward inverse
    LD LH LW VD VH VW TD TH TW tiles pairs together flat padded_d padded_h padded_w
    passes_d passes_h passes_w turns
    row_bytes plane_bytes columns used_columns row_blocks spectrum_bytes
    x_parts w_parts o_parts least most stack tile_bytes
    at_tile at_scratch at_spectra at_wild at_sums
    """)

# The plan of a gradient of weights, see `kernels.gradient`. Real rows and lanes: parts of complex numbers count apart.
#   axes        output, input, kernel, stride, padding below along W, index tables; positions between packed slots,
#               slots between outputs, between taps
#   rows        of a group: real channels of x that are rows, of a packed block, blocks, taps; bytes of a packed pixel
#               and of a row's share of it; steps of a pixel; real parts of x's and of the gradient's numbers
#   lanes       real filters of a group, lanes of a panel and how many of them are filters; real channels that are
#               packed, and those of a block; whether lanes see channels apart; signs, see `gradient_pack`
#   chains      output rows of a chain, or chains of a row and pixels of each
GRADIENT, GRADIENT_SLOT = _record("""
    pack_x pack_g micro finish pad_value
    OD OH OW D H W KD KH KW sd sh sw dd dh lo_d lo_h lo_w index_d index_h index_w
    step_h step_w ahead_h ahead_w apart_h apart_w
    channels block_channels taps pixel_bytes row_bytes steps x_parts o_parts x_size g_size item
    tile_rows filters width panel_filters inputs block_inputs apart negate turn
    chain_rows pieces piece group_channels group_filters
    """)

# What the calls of one such plan with the same strides share: its strides, segments, parts of the weights, chunks.
SHARE, SHARE_SLOT = _record("""
    g_n g_d g_h g_w g_f part_bytes
    rows chains first_segment groups
    element_parts element_part filter_parts filter_part by_channel x_run g_run
    chunk_chains chunk_rows line_bytes block_bytes panel_bytes
    at_taps at_starts at_offsets at_lines at_few at_acc at_g at_x
    """)

# What a job of such a plan tells its stages: the head of the worker's own bytes.
WORK, WORK_SLOT = _record("""
    group element_0 elements tiles block_0 blocks panel_0 panels segment
    row_0 rows column_0 columns chains lines fresh
    ask_at ask_row ask_line ask_lines ask_rows ask_step
    then_row then_lines then_rows then_step ask_count
    """)

OVERFLOW, NOT_A_NUMBER, SIGNED_ZERO = 1, 2, 4
"""Bits of ``CALL.status``: an integer result does not hold a value; a NaN was to become an integer; see `order`."""
