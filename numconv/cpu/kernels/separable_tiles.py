"""Tiles of the two passes of `separable`: taps along rows, and the look at sums that are not finite."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .intrinsics import I64
from .tile import _add, _broadcast, _load, _map, _multiply_add


@intrinsic
def add_tap(typingctx, tile, bases, shift, weight):
    """``tile[i, :] += x[i] * weight``: x[i] are the VECS vectors at ``bases[i] + shift``, weight is at an address."""

    def codegen(ctx, b, sig, args):
        value, bases_, shift_, weight_ = args
        scalar, step = _broadcast(b, tile, weight_), tile.lanes * tile.size
        starts = [b.add(b.extract_value(bases_, i), shift_) for i in range(tile.rows)]

        def update(i, j, total):
            return _multiply_add(b, tile, _load(b, tile, b.add(starts[i], I64(j * step))), scalar, total)

        return _map(b, tile, value, update)

    return tile(tile, types.UniTuple(types.int64, tile.rows), types.int64, types.int64), codegen


@intrinsic
def is_finite(typingctx, tile):
    """Whether all values are: their products with zero have a sum, row by row and then of the rows."""

    def codegen(ctx, b, sig, args):
        zero, total = ir.Constant(tile.vector, None), None
        for i in range(tile.rows):
            row = zero
            for j in range(tile.vecs):
                row = _multiply_add(b, tile, b.extract_value(args[0], i * tile.vecs + j), zero, row)
            total = row if total is None else _add(b, tile, total, row)
        wild = b.bitcast(b.fcmp_unordered("uno", total, total), ir.IntType(tile.lanes))
        return b.zext(b.icmp_unsigned("==", wild, ir.Constant(ir.IntType(tile.lanes), 0)), I64)

    return types.int64(tile), codegen


@intrinsic
def finite_or(typingctx, tile, other):
    """The values of a tile that are finite, those of another tile elsewhere."""

    def codegen(ctx, b, sig, args):
        def choose(i, j, value):
            number = b.fsub(value, value)
            wild = b.fcmp_unordered("uno", number, number)
            return b.select(wild, b.extract_value(args[1], i * tile.vecs + j), value)

        return _map(b, tile, args[0], choose)

    return tile(tile, tile), codegen
