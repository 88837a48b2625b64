"""What a warp does with a step of `tensor`: fragments are loaded, rounded or split, multiplied and added up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .shapes import ROW_BYTES, Matrix


def body_of(shape: Matrix, pixels_down: bool, rounded: bool, planes: int) -> Callable:
    """A step of a warp, or half of it if operands are split: products of 16 x 8, for each 32 bytes of a row."""
    WR, WC = (shape.WP, shape.WF) if pixels_down else (shape.WF, shape.WP)
    MI, NI = WR // 16, WC // 8
    pairs = _columns_of_planes(shape.BP, NI) if planes else _columns_of_rows(NI)
    down, across = (not rounded and pixels_down), (not rounded and not pixels_down)
    if shape.split:
        return _split_body(MI, NI, pairs)

    def body(acc: list, rows: Any, columns: Any, warp: Any) -> None:
        for k in range(0, ROW_BYTES, 32):
            left = [rows(16 * ROW_BYTES * i, k) for i in range(MI)]
            right = pairs(columns, k)
            if down:
                left = [[warp.rounded(word) for word in words] for words in left]
            if across:
                right = [[warp.rounded(word) for word in words] for words in right]
            for i in range(MI):
                for j in range(NI):
                    at = 4 * (i * NI + j)
                    acc[at : at + 4] = warp.multiply(acc[at : at + 4], left[i], right[j])

    return body


def _split_body(MI: int, NI: int, pairs: Callable) -> Callable:
    """Three products instead of one, the two small ones first, into sums of their own.

    A tensor core cuts off what does not fit a sum: errors of one sign, which add up. So no sum takes more than the
    large products of half a step, two of a tensor core, and sums are added as float32 are (Ootomo and Yokota, 2022).
    All of a step at once took 7 % fewer instructions, and more registers than there are.
    """

    def body(acc: list, rows: Any, columns: Any, warp: Any) -> None:
        right = [[[warp.split(word) for word in pair] for pair in pairs(columns, k)] for k in (0, 32)]
        for i in range(MI):
            left = [[warp.split(word) for word in rows(16 * ROW_BYTES * i, k)] for k in (0, 32)]
            sums = [warp.zeros() for _ in range(NI)]
            for part, other in ((1, 0), (0, 1), (0, 0)):
                for a, b in zip(left, right, strict=True):
                    chosen = [word[part] for word in a]
                    sums = [warp.multiply(sums[j], chosen, [word[other] for word in b[j]]) for j in range(NI)]
            for at, total in enumerate(total for four in sums for total in four):
                acc[4 * i * NI + at] = warp.add(acc[4 * i * NI + at], total)

    return body


def _columns_of_rows(NI: int) -> Callable:
    """Two registers for each eight columns of a product, from rows of their own."""

    def pairs(columns: Any, k: int) -> list:
        fours = [columns(16 * ROW_BYTES * j, k) for j in range(NI // 2)]
        return [four[half : half + 2] for four in fours for half in (0, 2)]

    return pairs


def _columns_of_planes(BP: int, NI: int) -> Callable:
    """The same from rows of a step, in which columns are neighbours: a word each."""

    def pairs(columns: Any, k: int) -> list:
        lows = [(k // 4 * BP * 4 + j // 4 * ROW_BYTES, j % 4 * 32) for j in range(NI)]
        return [[columns(low, flip), columns(low + 16 * BP, flip)] for low, flip in lows]

    return pairs
