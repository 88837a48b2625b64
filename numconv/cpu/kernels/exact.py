"""Tiles of exact integers: lanes of float32, float64 or int32 that become int32 or int64 as they are stored."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .intrinsics import I64, SIZES
from .places import _place, _places, _store_past_caches
from .tile import I32, _add, _cells, _each, _offsets

MAGIC = 6755399441055744.0
"""1.5 * 2^52: float64 that have it added are integers in their last 52 bits."""


def _integers(b, tile, vector, bits):
    """A vector of exact sums as int32 or int64, which hold them.

    float32 goes through int32, since AVX2 has no conversion to int64; the integer of a float64 below 2^51 is read off
    the bits after adding 1.5 * 2^52.
    """
    short, long = (ir.VectorType(ir.IntType(n), tile.lanes) for n in (32, 64))
    if tile.scalar == "f8":
        magic = ir.Constant(tile.vector, [MAGIC] * tile.lanes)
        return b.sub(b.bitcast(b.fadd(vector, magic), long), b.bitcast(magic, long))
    if tile.scalar == "f4":
        vector = b.fptosi(vector, short)
    return vector if bits == 32 else b.sext(vector, long)


def _sums(b, tile, vector):
    """The inverse of `_integers`."""
    if tile.scalar == "f8":
        magic = ir.Constant(tile.vector, [MAGIC] * tile.lanes)
        return b.fsub(b.bitcast(b.add(vector, b.bitcast(magic, vector.type)), tile.vector), magic)
    short = ir.VectorType(I32, tile.lanes)
    vector = vector if vector.type == short else b.trunc(vector, short)
    return b.sitofp(vector, tile.vector) if tile.scalar == "f4" else vector


def _accumulate(b, tile, vector, address, fresh):
    """A vector's exact sums added to the int64 at an address, and where they go; see `accumulate_integers`."""
    wide = ir.VectorType(I64, tile.lanes)
    vector = _integers(b, tile, vector, 64)
    cell = b.inttoptr(address, wide.as_pointer())
    old = b.load(cell)
    old.align = 8
    old = b.select(b.icmp_signed("!=", fresh, I64(0)), ir.Constant(wide, None), old)
    return b.add(old, vector), cell


@intrinsic
def accumulate_integers(typingctx, tile, address, offsets, fresh):
    """Convert the exact chain sums of float lanes to int64 and add them (store them, if `fresh`) at twice the width.

    Offsets are those of a tile of the int64 accumulator. |sum| <= 2^24 (float32) or < 2^51 (float64).
    """

    def codegen(ctx, b, sig, args):
        value, base, offsets_, fresh_ = args
        scale = 8 // tile.size
        for q, cell in _cells(b, tile, offsets_, I64(0)):
            total, to = _accumulate(b, tile, b.extract_value(value, q), b.add(base, b.mul(cell, I64(scale))), fresh_)
            b.store(total, to).align = 8
        return ctx.get_dummy_value()

    return types.void(tile, types.int64, _offsets(tile), types.int64), codegen


@intrinsic
def place_integers(typingctx, tile, places, offsets, fresh):
    """`accumulate_integers` at ``places[j] + offsets[i]``, in bytes of the int64 accumulator.

    Vectors may overlap, or fill a tile up with one of its own again: all are read before the first is written.
    """

    def codegen(ctx, b, sig, args):
        value, places_, offsets_, fresh_ = args
        cells = list(_places(b, tile, offsets_, places_))
        for total, to in [_accumulate(b, tile, b.extract_value(value, q), cell, fresh_) for q, cell in cells]:
            b.store(total, to).align = 8
        return ctx.get_dummy_value()

    return types.void(tile, _each(tile.vecs), _offsets(tile), types.int64), codegen


@intrinsic(prefer_literal=True)
def add_converted(typingctx, tile, places, offsets, target):
    """`add_placed` for sums that lie there as integers of code `target`."""
    kind, size = _vector_of(tile, target.literal_value)

    def codegen(ctx, b, sig, args):
        value, places_, offsets_, _ = args
        for q, cell in _places(b, tile, offsets_, places_) if size else ():
            there = b.load(b.inttoptr(cell, kind.as_pointer()))
            there.align = size
            value = b.insert_value(value, _add(b, tile, _sums(b, tile, there), b.extract_value(value, q)), q)
        return value

    return tile(tile, _each(tile.vecs), _offsets(tile), target), codegen


@intrinsic(prefer_literal=True)
def place_converted(typingctx, tile, places, offsets, count, target, past):
    """`place` as integers of code `target`, 32 or 64 bits, that hold every sum; `past` (a literal): past the caches."""
    kind, size = _vector_of(tile, target.literal_value)

    def store(b, tile, value, address):
        value = _integers(b, tile, value, 8 * size)
        if past.literal_value:
            _store_past_caches(b, value, address)
        else:
            b.store(value, b.inttoptr(address, kind.as_pointer())).align = size

    def codegen(ctx, b, sig, args):
        if size:
            _place(b, tile, args[:4], store)
        return ctx.get_dummy_value()

    return types.void(tile, _each(tile.vecs), _offsets(tile), types.int64, target, past), codegen


def _vector_of(tile, target):
    """(vector of as many integers of a code as a tile's has lanes, bytes of one); 0 bytes of code "", none."""
    size = SIZES.get(target, 0)
    return ir.VectorType(ir.IntType(8 * size), tile.lanes), size
