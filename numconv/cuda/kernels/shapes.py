"""Tiles of kernels, as plain numbers: what plans choose, and what kernels are compiled for."""

from __future__ import annotations

from typing import NamedTuple

RUN, PITCH = 8, 12
"""Columns of a thread of `stencil`; words that they take up in shared memory."""


class Stencil(NamedTuple):
    """What a kernel is compiled for: the taps (KH, KW, their strides, dilations, channels) and the tile."""

    KH: int
    KW: int
    sH: int
    sW: int
    dH: int
    dW: int
    C: int
    FB: int  # filters of a block
    RF: int  # filters of a thread at a time
    RH: int  # rows of a thread
    LX: int  # threads along a row
    T: int  # threads of a block

    @property
    def window(self) -> int:
        """Columns that a thread reads."""
        return (RUN - 1) * self.sW + (self.KW - 1) * self.dW + 1

    @property
    def blocks(self) -> int:
        """Blocks of 128 threads on a multiprocessor: as many as leave the registers for window and sums."""
        kept = self.window * self.C + self.RF * self.RH * RUN
        return 4 if kept <= 48 else 3 if kept <= 90 else 2

    def tile(self) -> tuple[int, int, int]:
        """(rows, columns, words of a row) of the input tile."""
        rows = (self.T // self.LX * self.RH - 1) * self.sH + (self.KH - 1) * self.dH + 1
        columns = (self.LX * RUN - 1) * self.sW + (self.KW - 1) * self.dW + 1
        return rows, columns, -(-columns // RUN) * PITCH

    def words(self) -> int:
        """Shared memory, in elements."""
        rows, _, pitch = self.tile()
        return self.C * rows * pitch + self.KH * self.KW * self.C * self.FB + self.T * PITCH


EXISTS = 1 << 30
"""The bit of a pixel that exists, in the mask of its taps."""
WARP, ROW_BYTES, CHUNK_BYTES = 32, 128, 16
"""Lanes; what `tensor` keeps of a pixel or filter in shared memory at a time; what is copied at once."""


class Matrix(NamedTuple):
    """The tile of `tensor`: of a block, of a warp; pixels by filters."""

    kind: str  # of operands: tf32, bf16 or f16
    split: bool  # tf32 in two parts
    BP: int
    BF: int
    WP: int
    WF: int
    STAGES: int  # of the pipeline
    BLOCKS: int  # that are to fit a multiprocessor

    @property
    def storage(self) -> str:
        """The dtype of operands in memory; bfloat16, which NumPy does not have, are its bits."""
        return {"bf16": "uint16", "f16": "float16"}.get(self.kind, "float32")

    @property
    def chunk(self) -> int:
        """Elements of 16 bytes."""
        return 4 if self.kind == "tf32" else 8

    @property
    def threads(self) -> int:
        """Of a block."""
        return self.BP // self.WP * (self.BF // self.WF) * WARP

    @property
    def stage(self) -> int:
        """Elements of a stage."""
        return (self.BP + self.BF) * 8 * self.chunk
