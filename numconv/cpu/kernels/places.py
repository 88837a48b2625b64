"""Where tiles go that are not neighbours in memory: vectors at places of their own, past the caches, asked for ahead.

Places are addresses of a tile's vectors in its first row, offsets the bytes from there to its other rows.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .ahead import LINE
from .intrinsics import I64
from .tile import I32, _add, _each, _load, _offsets, _store


def _store_past_caches(b, value, address):
    store = b.store(value, b.inttoptr(address, value.type.as_pointer()))
    store.align = LINE
    store.set_metadata("nontemporal", b.module.add_metadata([I32(1)]))


def _places(b, tile, offsets, places):
    """(index of a vector, its address) for vectors at ``places[j] + offsets[i]``."""
    for i in range(tile.rows):
        for j in range(tile.vecs):
            yield i * tile.vecs + j, b.add(b.extract_value(places, j), b.extract_value(offsets, i))


@intrinsic(prefer_literal=True)
def steps_within(typingctx, count, step, limit):
    """The offsets (0, step, 2 * step, ...) of `count` rows; those from row `limit` on stay at the row before it."""

    def codegen(ctx, b, sig, args):
        last = b.sub(args[2], I64(1))
        rows = [b.select(b.icmp_signed("<", I64(i), last), I64(i), last) for i in range(count.literal_value)]
        return cgutils.pack_array(b, [b.mul(args[1], row) for row in rows], I64)

    return types.UniTuple(types.int64, count.literal_value)(count, types.int64, types.int64), codegen


@intrinsic
def moved(typingctx, offsets, base):
    """Offsets as addresses: each plus `base`."""

    def codegen(ctx, b, sig, args):
        values = [b.add(b.extract_value(args[0], i), args[1]) for i in range(offsets.count)]
        return cgutils.pack_array(b, values, I64)

    return offsets(offsets, types.int64), codegen


@intrinsic
def add_placed(typingctx, tile, places, offsets):
    """What lies at ``places[j] + offsets[i]`` plus this tile's vector (i, j)."""

    def codegen(ctx, b, sig, args):
        value, places_, offsets_ = args
        for q, place in _places(b, tile, offsets_, places_):
            value = b.insert_value(value, _add(b, tile, _load(b, tile, place), b.extract_value(value, q)), q)
        return value

    return tile(tile, _each(tile.vecs), _offsets(tile)), codegen


def _place(b, tile, args, how):
    value, places, offsets, count = args
    cells = list(_places(b, tile, offsets, places))
    for i in range(tile.rows):
        with b.if_then(b.icmp_signed("<", I64(i), count), likely=True):
            for q, cell in cells[i * tile.vecs : (i + 1) * tile.vecs]:
                how(b, tile, b.extract_value(value, q), cell)


@intrinsic
def place(typingctx, tile, places, offsets, count):
    """Write vector (i, j) to ``places[j] + offsets[i]``, for the first `count` rows."""

    def codegen(ctx, b, sig, args):
        _place(b, tile, args, _store)
        return ctx.get_dummy_value()

    return types.void(tile, _each(tile.vecs), _offsets(tile), types.int64), codegen


@intrinsic
def together(typingctx, tuple_):
    """All bits that are set in any of some int64."""

    def codegen(ctx, b, sig, args):
        value = I64(0)
        for i in range(tuple_.count):
            value = b.or_(value, b.extract_value(args[0], i))
        return value

    return types.int64(tuple_), codegen


@intrinsic
def place_past_caches(typingctx, tile, places, offsets, count):
    """`place` for results that caches do not hold anyway: whole lines are written without reading them first.

    All addresses are multiples of a vector's bytes.
    """

    def codegen(ctx, b, sig, args):
        _place(b, tile, args, lambda b, tile, value, address: _store_past_caches(b, value, address))
        return ctx.get_dummy_value()

    return types.void(tile, _each(tile.vecs), _offsets(tile), types.int64), codegen


@intrinsic(prefer_literal=True)
def prefetch(typingctx, addresses, shift, locality, write):
    """Ask for the cache lines at ``addresses[j] + shift``, to be read soon: into L1 (locality 3) or L2 (2)."""

    def codegen(ctx, b, sig, args):
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, I32, I32, I32])
        function = b.module.globals.get("llvm.prefetch.p0") or ir.Function(b.module, kind, "llvm.prefetch.p0")
        for j in range(addresses.count):
            place = b.inttoptr(b.add(b.extract_value(args[0], j), args[1]), byte)
            b.call(function, [place, I32(write.literal_value), I32(locality.literal_value), I32(1)])
        return ctx.get_dummy_value()

    return types.void(addresses, types.int64, locality, write), codegen
