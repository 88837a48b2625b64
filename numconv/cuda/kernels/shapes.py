"""Tiles of kernels, as plain numbers: what plans choose, and what kernels are compiled for."""

from __future__ import annotations

from typing import NamedTuple

UNROLLED, ROWS, CHUNKS = 0, 1, 2
"""How `stencil` walks through the taps: none, one row of them, or one chunk of a row is the body of a loop."""
CHUNK = 32
"""Taps: with 32 columns, 1024 products to 16 loads of the window and 8 of the filter."""


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
    RUN: int  # columns of a thread
    LX: int  # threads along a row
    T: int  # threads of a block
    Q: int  # elements of 16 bytes
    V: int  # samples that are read at once
    VO: int  # results that are stored at once
    off: int  # columns before the first of the tile, from a multiple of Q on
    walk: int  # UNROLLED, ROWS, CHUNKS
    limit: int  # steps of a chain, if there is more than one
    ragged: int  # whether V samples may be partly padding, or shown by a table

    @property
    def pitch(self) -> int:
        """Words that the columns of a thread take up in shared memory."""
        return self.RUN + self.Q

    @property
    def chunk(self) -> int:
        """Taps of a row in a loop: fewer of more channels."""
        return CHUNK if self.C <= 2 else CHUNK // 2

    @property
    def chains_alike(self) -> bool:
        """Whether chains are whole chunks that begin where a thread's columns do: one loop for all of them."""
        return self.limit > 0 == self.limit % self.chunk

    @property
    def window(self) -> int:
        """Columns that a thread reads at a time."""
        taps = min(self.KW, self.chunk) if self.walk == CHUNKS else self.KW
        return (self.RUN - 1) * self.sW + (taps - 1) * self.dW + 1

    @property
    def sums(self) -> int:
        """Of a thread."""
        return self.RF * self.RH * self.RUN

    @property
    def row(self) -> int:
        """Words of a row of taps."""
        return -(-self.KW * self.C * self.FB // self.Q) * self.Q

    def blocks(self) -> int:
        """Blocks on a multiprocessor that leave registers for window, sums, weights, and about 28 others."""
        weights = 4 + self.KH * self.KW * self.C * (self.walk == UNROLLED and self.RH > 1) if self.RF == 1 else 56
        kept = (self.window + self.off) * self.C + self.sums * (1 + (self.limit > 0)) + weights
        kept *= 4 // self.Q
        return (4 if kept <= 102 else 3 if kept <= 140 else 2) * 128 // self.T

    def tile(self) -> tuple[int, int, int]:
        """(rows, columns, words of a row) of the input tile."""
        rows = (self.T // self.LX * self.RH - 1) * self.sH + (self.KH - 1) * self.dH + 1
        columns = (self.LX * self.RUN - 1) * self.sW + (self.KW - 1) * self.dW + 1 + self.off
        return rows, columns, -(-columns // self.RUN) * self.pitch

    def words(self) -> tuple[int, int, int]:
        """Shared memory, in elements: of the tile, the filters, the stage."""
        rows, _, pitch = self.tile()
        return self.C * rows * pitch, self.KH * self.row, self.T * self.pitch

    def shared_bytes(self) -> int:
        """All of it."""
        return sum(self.words()) * 16 // self.Q


EXISTS = 1 << 30
"""The bit of a pixel that exists, in the mask of its taps."""
WARP, ROW_BYTES = 32, 128
"""Lanes; what `tensor` keeps of a pixel or filter in shared memory of a step."""


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


class Depthwise(NamedTuple):
    """What a kernel with filters in lanes is compiled for: the taps, and what a thread has."""

    KH: int
    KW: int
    sH: int
    sW: int
    dH: int  # 1 where the stride is: rows that are dH apart are neighbours then
    dW: int
    C: int  # channels of a group
    span: int  # channels that the filters of a thread see
    at_once: int  # of which so many are read at once
    VEC: int  # filters of a thread
    TW: int  # columns of a thread
    LC: int  # threads along filters
    T: int  # threads of a block
    many: int  # whether there may be more than one row of the input

    @property
    def columns(self) -> list[int]:
        """Those of its window that a thread reads."""
        return sorted({j * self.sW + kw * self.dW for j in range(self.TW) for kw in range(self.KW)})

    @property
    def rows(self) -> int:
        """Rows of results that a row of the input is part of, or is between."""
        return -(-((self.KH - 1) * self.dH + 1) // self.sH)

    @property
    def sums(self) -> int:
        """Of a row."""
        return self.TW * self.VEC

    @property
    def weights(self) -> int:
        """Of a thread."""
        return self.KH * self.KW * self.C * self.VEC

    def registers(self, item_bytes: int) -> int:
        """An estimate: sums, weights, two rows of the window, and what addresses take."""
        columns, loads = len(self.columns), self.span // self.at_once
        values = (self.rows + self.many) * self.sums + self.weights + (1 + self.many) * columns * self.span
        return values * (item_bytes // 4) + columns * (3 * loads - 2) + 34

    def blocks(self, compute: str) -> int:
        """Blocks on a multiprocessor, of four parts with 512 registers for all threads of a number, with some room."""
        warps = max(int(512 / (self.registers(8 if compute == "float64" else 4) * 1.09)), 2)
        return 4 * warps * 32 // self.T

    def taps(self, phase: int) -> tuple[list[tuple[int, int]], int]:
        """((tap row, slot of the row of results) of a row of the input, the slot that has all products then or -1)."""
        starts = [(kh, phase - kh * self.dH) for kh in range(self.KH)]
        found = [(kh, start // self.sH % self.rows) for kh, start in starts if start % self.sH == 0]
        return found, dict(found).get(self.KH - 1, -1)

    def channel(self, i: int, c: int) -> int:
        """Where in the span channel c of the group of filter i is."""
        return i * self.span // (self.VEC * self.C) * self.C + c


SEGMENT = 256
"""Chains of a gradient of weights that are added up before they are added to others, in the order of the reference."""


class Window(NamedTuple):
    """The taps of a thread of `gradient_thin`, and how many columns of a chain it has at once."""

    KH: int
    KW: int
    stride: int  # along a row
    dilation: int

    @property
    def taps(self) -> int:
        """Sums of a thread."""
        return self.KH * self.KW

    @property
    def span(self) -> int:
        """Columns that a result sees."""
        return (self.KW - 1) * self.dilation + 1

    @property
    def RUN(self) -> int:
        """Columns for which it has x and g in registers."""
        seen = (self.KH * ((run - 1) * self.stride + self.span) for run in (8, 4))
        return 8 if next(seen) <= 32 else 4 if next(seen) <= 48 else 2

    @property
    def columns(self) -> int:
        """Of g, in shared memory: as many as see no more than 32 of x, or a multiple, for each of 32 lanes."""
        fit = (((32 * n - self.span) // self.stride + 1) for n in range(1, 5))
        return min(next((n for n in fit if n >= 8), 8), 32)

    @property
    def wide(self) -> int:
        """Columns of x that they see."""
        return (self.columns - 1) * self.stride + self.span

    @property
    def passes(self) -> int:
        """Of 32 lanes over these."""
        return -(-self.wide // 32)

    @property
    def x_pitch(self) -> int:
        """Elements of a chain's row of x."""
        return self.wide | 1

    @property
    def g_pitch(self) -> int:
        """Elements of a chain's columns of g."""
        return self.columns | 1

    @property
    def x_plane(self) -> int:
        """Elements of one row of x of all chains."""
        return 32 * self.x_pitch

    @property
    def g_plane(self) -> int:
        """Elements of g."""
        return 32 * self.g_pitch

    @property
    def words(self) -> int:
        """Elements in shared memory."""
        return self.KH * self.x_plane + self.g_plane


SPECTRA_TOGETHER, SPECTRA_MARKS, SPECTRA_SAMPLES = 4, 3, 4
"""Filters whose products of spectra a thread sums; numbers that mark a tile; samples that a thread copies."""
