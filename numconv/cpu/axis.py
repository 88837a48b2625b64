"""One axis of a block: the padded positions that its outputs read, and where they lie when packed.

Output o of a block reads, with tap k, the position ``o * stride + k * dilation`` behind the block's first. Only what
is read is packed, in segments: of neighbours `step` apart, each segment as long as the longest.

    step 1           as they lie; the next output's sample is `stride` slots ahead
    step = stride    phases of the stride taken apart; the next output's sample is the next slot

Taps whose samples interleave share a segment, else each has its own (a block of 4 outputs, dilation 16: three
segments of 4 positions instead of one of 36). Where the length of a segment costs more than its bytes do, they share
one only if that halves the positions.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import NamedTuple


class Axis(NamedTuple):
    """Where the positions of an axis lie. Slot i of a segment that begins at position p holds ``p + i * step``."""

    step: int
    ahead: int  # slots from an output's sample to the next output's
    reach: int  # slots from the first output's sample to behind the last's
    taps: int
    dilation: int
    turn: int  # every `turn` taps share a segment,
    jump: int  # in which they lie so many slots apart

    @property
    def segment_count(self) -> int:
        """How many segments there are."""
        return min(self.turn, self.taps)

    @property
    def length(self) -> int:
        """Slots that each segment has: those of the first, which is the longest."""
        return (self.taps - 1) // self.turn * self.jump + self.reach

    @property
    def slots(self) -> int:
        """Slots of all segments."""
        return self.segment_count * self.length

    @property
    def segments(self) -> list[tuple[int, int]]:
        """(first position, slots that the block reads) of each."""
        taps = self.taps
        return [
            (k * self.dilation, (taps - 1 - k) // self.turn * self.jump + self.reach) for k in range(self.segment_count)
        ]

    @property
    def places(self) -> list[tuple[int, int]]:
        """(segment, slot in it) of each tap, for the first output."""
        return [(k % self.turn, k // self.turn * self.jump) for k in range(self.taps)]


@lru_cache(maxsize=1024)
def apart(block: int, stride: int, dilation: int, taps: int, step: int, dear: float = 1.0) -> Axis:
    """The axis with positions `step` (1 or the stride) apart in a segment; `dear`: positions that it costs to share."""
    ahead, common = stride // step, gcd(step, dilation)
    reach = (block - 1) * ahead + 1
    shared = Axis(step, ahead, reach, taps, dilation, step // common, dilation // common)
    if taps * reach <= dear * sum(slots for _, slots in shared.segments):
        return shared._replace(turn=taps)
    return shared


@lru_cache(maxsize=1024)
def together(block: int, stride: int, dilation: int, taps: int) -> Axis:
    """As they lie, to be copied in long runs, unless taking the phases apart saves a quarter."""
    near, far = (apart(block, stride, dilation, taps, step) for step in (1, stride))
    return near if near.slots * 3 <= far.slots * 4 else far
