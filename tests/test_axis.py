"""Packed axes: every output finds its samples, and no more is packed than a dense axis would hold."""

from __future__ import annotations

from itertools import product

from numconv.cpu.axis import apart, together

SIZES = list(product((1, 2, 3, 7, 16), (1, 2, 3, 4, 6), (1, 2, 3, 4, 6, 16), (1, 2, 3, 5)))


def check(axis, block, stride, dilation, taps):
    segments = axis.segments
    assert len(segments) == axis.segment_count
    for k, (segment, slot) in enumerate(axis.places):
        first, slots = segments[segment]
        assert slots <= axis.length
        for o in range(block):
            i = slot + o * axis.ahead
            assert i < slots
            assert first + i * axis.step == o * stride + k * dilation
    for first, slots in segments:
        assert first + (slots - 1) * axis.step <= (block - 1) * stride + (taps - 1) * dilation


def test_every_output_finds_its_samples():
    for size in SIZES:
        block, stride, dilation, taps = size
        for step in (1, stride):
            axis = apart(*size, step)
            check(axis, *size)
            dense = (block - 1) * stride + (taps - 1) * dilation + 1
            assert sum(slots for _, slots in axis.segments) <= dense
            check(apart(*size, step, 2.0), *size)
        check(together(*size), *size)


def test_only_what_is_read():
    assert apart(4, 1, 16, 3, 1).slots == 12
    assert apart(24, 1, 16, 3, 1).slots == 56
    assert apart(7, 2, 1, 3, 2).segments == [(0, 8), (1, 7)]
    assert together(7, 2, 1, 1).slots == 7
    assert together(7, 2, 1, 3).step == 1
