"""The tile of a block of `dense`, as plain numbers: what lies where in shared memory, and which thread has what."""

from __future__ import annotations

from typing import NamedTuple

EACH = 8
"""Filters, and pixels, of a thread."""
SUMS = EACH * EACH
STAGE_BYTES = 64
"""Of each pixel and filter that are in a stage: 16 steps of float32."""

NOTHING, RAGGED = -(2**31), 1 << 30
"""Bits of steps, see `dense_gather`."""
NOWHERE = -(2**62)
"""Instead of the place of a weight, which may be negative."""
PACKING, WEIGHTS = 256, 16
"""Threads of a block that packs weights, or adds up chains; weights of such a thread."""
SHARED_BYTES = 227 << 10
"""Of a multiprocessor; a block takes 1 KB besides what it asks for."""


class Tile(NamedTuple):
    """BF filters by BP pixels; the *fast* side is a multiple of 64, the other one of 32.

    A warp has 64 by 32 results. Lanes are dealt out so that among 16 of them, the least that shared memory serves at a
    time where loads are of 16 bytes, neighbours share what they read on one side or the other (lanes i and i + 1 on
    the fast one, i and i + 2 on the slow one): each load takes two turns instead of four.
    """

    BF: int
    BP: int
    pixels_fast: bool
    units: bool
    """x comes by 16 bytes along channels and lies [unit][pixel][VECTOR], of VECTOR steps a unit; else [step][pixel]."""
    item_bytes: int

    @property
    def threads(self) -> int:
        """Of a block."""
        return self.BF * self.BP // SUMS

    @property
    def blocks(self) -> int:
        """On a multiprocessor, by registers, 128 of each thread, 255 for float64, and by shared memory."""
        by_registers = (512 if self.item_bytes == 4 else 256) // self.threads
        return max(1, min(by_registers, SHARED_BYTES // (self.shared_bytes + 1024)))

    @property
    def vector(self) -> int:
        """Elements of 16 bytes."""
        return 16 // self.item_bytes

    @property
    def depth(self) -> int:
        """Steps of a stage."""
        return STAGE_BYTES // self.item_bytes

    @property
    def unit_pitch(self) -> int:
        """Elements from one unit to the next: 64 bytes more than there are, so that copies do not meet in a bank."""
        return self.BP * self.vector + STAGE_BYTES // self.item_bytes

    @property
    def x_size(self) -> int:
        """Elements of x in a stage, in front of those of w."""
        return STAGE_BYTES // 16 * self.unit_pitch if self.units else self.depth * self.BP

    @property
    def w_size(self) -> int:
        """Elements of w in a stage: [step][BF]."""
        return self.depth * self.BF

    @property
    def stage(self) -> int:
        """Elements of a stage, of which there are two."""
        return self.x_size + self.w_size

    @property
    def shared_bytes(self) -> int:
        """Sums of all chains so far, [SUMS / VECTOR][thread][VECTOR]; two stages; the place of each pixel."""
        return self.item_bytes * (self.BF * self.BP + 2 * self.stage) + 8 * self.BP

    @property
    def parts(self) -> int:
        """Threads that copy what lies of one pixel in a stage: two fetch 32 bytes at once."""
        return 2 if self.units else max(1, self.threads // self.BP)

    @property
    def pixels(self) -> int:
        """Pixels for which a thread copies."""
        return self.BP * self.parts // self.threads
