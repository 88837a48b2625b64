"""The tile of `double`: how its two sides lie in shared memory."""

from __future__ import annotations

from typing import NamedTuple

DEPTH = 16
"""Steps at a time."""
AHEAD = 3
"""So many times DEPTH steps may be copied ahead."""
GROUPS = 4
"""Parts of the products of DEPTH steps, between which copies of later ones begin."""


class Tile(NamedTuple):
    """P pixels by F filters of elements of 8 bytes: float64, or pairs of float32.

    `unit`: so many neighbouring steps of a pixel are copied at once, to rows of steps; single ones to rows of pixels.
    Rows of steps for tensor cores are quads of them in another order for each of four pixels (`flipped`).
    `along`: neighbouring threads copy steps of a pixel, not pixels of a step.
    """

    scalar: str
    P: int
    F: int
    unit: int
    along: bool
    pixels_fast: bool

    @property
    def tensor(self) -> bool:
        """By tensor cores."""
        return self.scalar == "float64"

    @property
    def T(self) -> int:
        """Threads: each has 32 results, each warp of `tensor` 32 x 32."""
        return self.P * self.F // 32

    @property
    def stages(self) -> int:
        """How many times DEPTH steps lie in shared memory at once: 99 KB are there on every GPU."""
        return AHEAD + 1 if self.tensor else AHEAD

    @property
    def flipped(self) -> bool:
        """Whether the quad of steps q of pixel p lies where q ^ (p & 3) would."""
        return self.tensor and self.unit == 2

    @property
    def x_steps(self) -> tuple[int, int]:
        """Elements to the next pixel and to the next step, so that what a warp reads lies in different banks."""
        if self.unit == 1:
            return 1, self.P + (4 if self.tensor else 0)
        return DEPTH + (0 if self.tensor else 2), 1

    @property
    def x_size(self) -> int:
        """Elements of DEPTH steps."""
        return DEPTH * self.x_steps[1] if self.unit == 1 else self.P * self.x_steps[0]

    @property
    def w_size(self) -> int:
        """Elements of DEPTH steps."""
        return DEPTH * self.F

    @property
    def fast(self) -> int:
        """Results that are neighbours in memory."""
        return self.P if self.pixels_fast else self.F

    @property
    def pitch(self) -> int:
        """Elements from one row of finished sums to the next."""
        return self.fast + 8

    @property
    def size(self) -> int:
        """Elements of shared memory: finished sums replace the two sides."""
        return max(self.stages * (self.x_size + self.w_size), self.P * self.F // self.fast * self.pitch)
