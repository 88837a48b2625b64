"""The products of `stencil`: taps without loops, or row by row, or in chunks of a long row, and chain by chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from .shapes import CHUNKS, ROWS, Stencil


def summing(s: Stencil, compute: str) -> Any:
    """sum_up(acc, tile, at, filters, first): from behind the totals, if there are several chains."""
    if s.walk == ROWS:
        return _by_rows(s, compute)
    if s.walk == CHUNKS:
        return _by_chunks(s, compute)
    return ops.unrolled(_products(s, s.KH, 0, s.KW), compute, s.sums, fresh=True)


def _by_rows(s: Stencil, compute: str) -> Any:
    """A chain is so many rows of taps, of which there may be fewer in the last."""
    micro, clear, start = ops.unrolled(_products(s, 1, 0, s.KW), compute, s.sums), *_starting(s, compute)
    fold, CHAINS, KH, ROW, STEP = ops.folding(compute, s.sums), s.limit > 0, s.KH, s.row, s.dH * s.tile()[2]
    PER, int32 = max(s.limit // (s.KW * s.C), 1), np.int32

    def sum_up(acc: Any, tile: Any, at: Any, filters: Any, first: Any) -> None:
        clear(acc)
        start(acc)
        left = int32(PER)
        for kh in range(KH):
            if CHAINS and left == 0:
                fold(acc)
                clear(acc)
                left = int32(PER)
            micro(acc, tile, int32(at + kh * STEP), filters, int32(first + kh * ROW))
            left = int32(left - 1)
        if CHAINS:
            fold(acc)

    return ops.device(sum_up)


def _by_chunks(s: Stencil, compute: str) -> Any:
    """One row of taps: of each chain whole chunks in a loop, then the rest; chains of whole chunks in a loop too."""
    clear, start = _starting(s, compute)
    length = s.limit or s.KW
    equal = s.KW // length if s.chains_alike else 0
    chains = [(first, min(length, s.KW - first)) for first in range(equal * length, s.KW, length)]
    fold, CHAINS = ops.folding(compute, s.sums), s.limit > 0
    CHUNK, int32 = s.chunk, np.int32
    STEP, NEXT = CHUNK * s.dW // s.RUN * s.pitch, CHUNK * s.C * s.FB

    def chain_from(i: int) -> Any:
        if i == len(chains):
            return ops.device(_nothing)
        first_tap, taps = chains[i]
        WHOLE, REST = taps // CHUNK, taps % CHUNK
        begin = first_tap + WHOLE * CHUNK
        micro = ops.unrolled(_products(s, 1, first_tap, first_tap + CHUNK), compute, s.sums)
        tail = ops.unrolled(_products(s, 1, begin, begin + REST), compute, s.sums)
        rest = chain_from(i + 1)

        def chain(acc: Any, tile: Any, at: Any, filters: Any, first: Any) -> None:
            clear(acc)
            for chunk in range(WHOLE):
                micro(acc, tile, int32(at + chunk * STEP), filters, int32(first + chunk * NEXT))
            tail(acc, tile, at, filters, first)
            if CHAINS:
                fold(acc)
            rest(acc, tile, at, filters, first)

        return ops.device(chain)

    chain, EQUAL, CHUNKS_OF_CHAIN = chain_from(0), equal, length // CHUNK
    micro = ops.unrolled(_products(s, 1, 0, CHUNK), compute, s.sums)

    def sum_up(acc: Any, tile: Any, at: Any, filters: Any, first: Any) -> None:
        start(acc)
        a, b = at, first
        for _ in range(EQUAL):
            clear(acc)
            for _ in range(CHUNKS_OF_CHAIN):
                micro(acc, tile, a, filters, b)
                a, b = int32(a + STEP), int32(b + NEXT)
            fold(acc)
        chain(acc, tile, at, filters, first)

    return ops.device(sum_up)


def _starting(s: Stencil, compute: str) -> tuple[Any, Any]:
    """Sums are 0.0; totals -0.0, to which any sum can be added."""
    return ops.filling(compute, 0, s.sums, 0.0), ops.filling(compute, s.sums, s.sums * (s.limit > 0), -0.0)


def _products(s: Stencil, KH: int, first: int, last: int) -> Callable:
    """Taps from column `first` to `last` of KH rows: rows of the tile belong to one tap row of each row of a thread."""
    height, _, pitch = s.tile()
    rows, taps = (s.RH - 1) * s.sH + (KH - 1) * s.dH + 1, range(first, last)
    columns = sorted({(j * s.sW + kw * s.dW + s.off) // s.Q * s.Q for j in range(s.RUN) for kw in taps})

    def window(load: Callable, c: int, row: int) -> dict[int, Any]:
        found: dict[int, Any] = {}
        for column in columns:
            values = load((c * height + row) * pitch + column // s.RUN * s.pitch + column % s.RUN, s.Q)
            found |= {column + i - s.off: value for i, value in enumerate(values)}
        return found

    def body(acc: list, tile: Any, filters: Any, fma: Any) -> None:
        for row in range(rows if taps else 0):
            meant = [(i, (row - i * s.sH) // s.dH) for i in range(s.RH) if (row - i * s.sH) % s.dH == 0]
            meant = [(i, kh) for i, kh in meant if 0 <= kh < KH]
            x = [window(tile, c, row) for c in range(s.C)] if meant else []
            for i, kh in meant:
                weights = _Weights(s, filters, kh * s.row)
                for kw in taps:
                    for c in range(s.C):
                        for f in range(s.RF):
                            weight = weights.of((kw * s.C + c) * s.FB + f)
                            for j in range(s.RUN):
                                at = (f * s.RH + i) * s.RUN + j
                                acc[at] = fma(x[c][j * s.sW + kw * s.dW], weight, acc[at])

    return body


class _Weights:
    """Of a row of taps, read 16 bytes at a time where a thread has all of them."""

    def __init__(self, s: Stencil, load: Callable, start: int) -> None:
        self.n = s.Q if s.RF == s.FB or s.RF % s.Q == s.FB % s.Q == 0 else 1
        self.load, self.start, self.found = load, start, dict[int, Any]()

    def of(self, place: int) -> Any:
        if place not in self.found:
            first = place // self.n * self.n
            self.found |= dict(enumerate(self.load(self.start + first, self.n), first))
        return self.found[place]


def _nothing(acc: Any, tile: Any, at: Any, filters: Any, first: Any) -> None:
    """After the last chain."""
