"""Tiles of Winograd's transforms: one vector for each pixel or point, and the look at results that cannot be right.

Results are computed again by `winograd_exact` where an overflow or a value that is not finite has reached them, or
where they are so small that products may have underflowed. Nothing that is not finite is lost on the way, so that it is
enough to look at the results, at one multiply-add each: the sum of their squares is finite, and not below `LEAST`. The
largest |x| of a tile, known before, would take half as many instructions as `forward_tile` once more.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from . import minimal
from .intrinsics import I64
from .tile import TileType, _add, _load, _multiply_add, _splat

LEAST = {"f4": 2.0**-120, "f8": 2.0**-960}
"""Of the sum of squares in some lane: results above 2^-60 (2^-480) are far above what products lose by underflow."""


class Vectors:
    """Arithmetic of `minimal` on vectors."""

    def __init__(self, b, tile):
        self.b, self.tile = b, tile

    def add(self, x, y):
        """``x + y``."""
        return _add(self.b, self.tile, x, y)

    def sub(self, x, y):
        """``x - y``."""
        return self.b.fsub(x, y)

    def multiply(self, constant, x):
        """``constant * x``."""
        return self.b.fmul(self.constant(constant), x)

    def multiply_add(self, constant, x, y):
        """``constant * x + y``, rounded once where the CPU can."""
        return _multiply_add(self.b, self.tile, self.constant(constant), x, y)

    def constant(self, value):
        """A number in every lane."""
        return ir.Constant(self.tile.vector, [float(value)] * self.tile.lanes)


def _tile_of(b, kind, rows):
    """Vectors, row by row, as a tile."""
    value = ir.Constant(ir.ArrayType(kind.vector, kind.rows), ir.Undefined)
    for i, vector in enumerate(vector for row in rows for vector in row):
        value = b.insert_value(value, vector, i)
    return value


@intrinsic(prefer_literal=True)
def forward_tile(typingctx, scalar, lanes, fused, high, wide, table, pitch, channel):
    """B' d B of pixels whose addresses lie in a table with rows `pitch` bytes apart, at an offset to all of them."""
    forms = high.literal_value, wide.literal_value
    height, width = map(minimal.points, forms)
    tile = TileType(scalar.literal_value, height * width, 1, lanes.literal_value, fused.literal_value)

    def codegen(ctx, b, sig, args):
        square = []
        for i in range(height):
            row = b.inttoptr(b.add(args[5], b.mul(args[6], I64(i))), I64.as_pointer())
            places = [b.add(b.load(b.gep(row, [I64(j)])), args[7]) for j in range(width)]
            square.append([_load(b, tile, place) for place in places])
        return _tile_of(b, tile, minimal.both(minimal.forward, *forms, Vectors(b, tile), square))

    return tile(scalar, lanes, fused, high, wide, *[types.int64] * 3), codegen


@intrinsic(prefer_literal=True)
def inverse_tile(typingctx, scalar, lanes, fused, high, wide, source, point):
    """A' m A of vectors `point` bytes apart."""
    forms = high.literal_value, wide.literal_value
    height, width = map(minimal.points, forms)
    rows = minimal.FORMS[forms[0]][0] * minimal.FORMS[forms[1]][0]
    tile = TileType(scalar.literal_value, rows, 1, lanes.literal_value, fused.literal_value)

    def codegen(ctx, b, sig, args):
        vectors = [_load(b, tile, b.add(args[5], b.mul(args[6], I64(e)))) for e in range(height * width)]
        square = [vectors[i * width : (i + 1) * width] for i in range(height)]
        return _tile_of(b, tile, minimal.both(minimal.inverse, *forms, Vectors(b, tile), square))

    return tile(scalar, lanes, fused, high, wide, types.int64, types.int64), codegen


def _any(b, lanes):
    """Whether any of some bits is set."""
    bits = ir.IntType(lanes.type.count)
    return b.icmp_unsigned("!=", b.bitcast(lanes, bits), ir.Constant(bits, 0))


@intrinsic
def suspect(typingctx, tile):
    """Whether a tile holds anything but zeros, and its squares have no finite sum, or one below LEAST in all lanes."""

    def codegen(ctx, b, sig, args):
        vectors = [b.extract_value(args[0], i) for i in range(tile.rows)]
        squares = zero = ir.Constant(tile.vector, None)
        for vector in vectors:
            squares = _multiply_add(b, tile, vector, vector, squares)
        least = _splat(b, tile.vector, ir.Constant(tile.element, LEAST[tile.scalar]))
        infinite = _splat(b, tile.vector, ir.Constant(tile.element, float("inf")))
        wild = _any(b, b.not_(b.fcmp_ordered("<", squares, infinite)))
        tiny = b.not_(_any(b, b.fcmp_ordered(">=", squares, least)))
        with b.if_else(tiny, likely=False) as (small, large):
            with small:
                other = [b.fcmp_unordered("!=", vector, zero) for vector in vectors]
                bits = other[0]
                for more in other[1:]:
                    bits = b.or_(bits, more)
                some, small_block = _any(b, bits), b.block
            with large:
                large_block = b.block
        answer = b.phi(ir.IntType(1))
        answer.add_incoming(some, small_block)
        answer.add_incoming(wild, large_block)
        return b.zext(answer, I64)

    return types.int64(tile), codegen
