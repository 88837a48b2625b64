"""What Fourier transforms need besides butterflies: sums of products, factors, the largest size of a value."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .fft_passes import Pairs
from .intrinsics import I64
from .tile import TileType, _broadcast, _load, _multiply_add, _store


def _tile(scalar, lanes, fused):
    return TileType(scalar.literal_value, 1, 1, lanes.literal_value, fused.literal_value)


def _pair(b, tile, address):
    return _load(b, tile, address), _load(b, tile, b.add(address, I64(tile.lanes * tile.size)))


def _put(b, tile, value, address):
    _store(b, tile, value[0], address)
    _store(b, tile, value[1], b.add(address, I64(tile.lanes * tile.size)))


@intrinsic(prefer_literal=True)
def multiply(typingctx, scalar, lanes, fused, fresh, channels, x, w, apart, sums, count):
    """``sums = x * w`` (fresh), or added, for `count` pairs and so many `channels`, whose x and w lie `apart`."""
    tile = _tile(scalar, lanes, fused)
    pair = 2 * tile.lanes * tile.size

    def add(b, x, w, total):
        re, im = total
        re = _multiply_add(b, tile, x[0], w[0], re)
        re = _multiply_add(b, tile, b.fneg(x[1]), w[1], re)
        im = _multiply_add(b, tile, x[0], w[1], im)
        return re, _multiply_add(b, tile, x[1], w[0], im)

    def codegen(ctx, b, sig, args):
        x_, w_, apart_, sums_, count_ = args[5:]
        with cgutils.for_range(b, count_) as loop:
            at = b.mul(loop.index, I64(pair))
            place = b.add(sums_, at)
            total = None if fresh.literal_value else _pair(b, tile, place)
            for c in range(channels.literal_value):
                here = b.add(at, b.mul(apart_, I64(c)))
                value, weight = _pair(b, tile, b.add(x_, here)), _pair(b, tile, b.add(w_, here))
                total = Pairs(b, tile, 1).times(value, *weight) if total is None else add(b, value, weight, total)
            _put(b, tile, total, place)
        return ctx.get_dummy_value()

    return types.void(scalar, lanes, fused, fresh, channels, *[types.int64] * 5), codegen


@intrinsic(prefer_literal=True)
def turn(typingctx, scalar, lanes, fused, sign, values, factors, count):
    """Multiply `count` pairs by factors (sign -1), or by their conjugates (+1)."""
    tile, conjugate = _tile(scalar, lanes, fused), sign.literal_value > 0
    pair = 2 * tile.lanes * tile.size

    def codegen(ctx, b, sig, args):
        with cgutils.for_range(b, args[6]) as loop:
            at = b.mul(loop.index, I64(pair))
            place = b.add(args[4], at)
            c, s = _pair(b, tile, b.add(args[5], at))
            value = Pairs(b, tile, 1).times(_pair(b, tile, place), c, b.fneg(s) if conjugate else s)
            _put(b, tile, value, place)
        return ctx.get_dummy_value()

    return types.void(scalar, lanes, fused, sign, *[types.int64] * 3), codegen


@intrinsic(prefer_literal=True)
def interleave(typingctx, scalar, lanes, source, target, shift, count):
    """Write `count` pairs as complex numbers, `shift` being the address of one to add to all, or 0."""
    tile = _tile(scalar, lanes, lanes)
    step = I64(2 * tile.lanes * tile.size)
    masks = [
        ir.Constant(ir.VectorType(ir.IntType(32), tile.lanes), [i // 2 + i % 2 * tile.lanes for i in half])
        for half in (range(tile.lanes), range(tile.lanes, 2 * tile.lanes))
    ]

    def codegen(ctx, b, sig, args):
        zero = ir.Constant(tile.vector, None)
        added = [cgutils.alloca_once_value(b, zero) for _ in range(2)]
        with b.if_then(b.icmp_signed("!=", args[4], I64(0))):
            for part, place in enumerate(added):
                b.store(_broadcast(b, tile, b.add(args[4], I64(part * tile.size))), place)
        more = [b.load(place) for place in added]
        none = b.icmp_signed("==", args[4], I64(0))
        with cgutils.for_range(b, args[5]) as loop:
            at = b.mul(loop.index, step)
            values = _pair(b, tile, b.add(args[2], at))
            values = [b.select(none, v, b.fadd(v, m)) for v, m in zip(values, more, strict=True)]
            _put(b, tile, [b.shuffle_vector(*values, mask) for mask in masks], b.add(args[3], at))
        return ctx.get_dummy_value()

    return types.void(scalar, lanes, *[types.int64] * 4), codegen


@intrinsic(prefer_literal=True)
def take_apart(typingctx, scalar, lanes, source, target, second, step, count):
    """The inverse: `lanes` complex numbers at a time to a vector at `target` and one `second` bytes behind it.

    The targets are `step` bytes apart.
    """
    tile = _tile(scalar, lanes, lanes)
    number = ir.VectorType(ir.IntType(32), tile.lanes)
    masks = [ir.Constant(number, list(range(part, 2 * tile.lanes, 2))) for part in range(2)]

    def codegen(ctx, b, sig, args):
        with cgutils.for_range(b, args[6]) as loop:
            values = _pair(b, tile, b.add(args[2], b.mul(loop.index, I64(2 * tile.lanes * tile.size))))
            to = b.add(args[3], b.mul(loop.index, args[5]))
            _store(b, tile, b.shuffle_vector(*values, masks[0]), to)
            _store(b, tile, b.shuffle_vector(*values, masks[1]), b.add(to, args[4]))
        return ctx.get_dummy_value()

    return types.void(scalar, lanes, *[types.int64] * 5), codegen


@intrinsic(prefer_literal=True)
def largest(typingctx, scalar, lanes, address, count):
    """The bits of the largest |value| of `count` pairs; infinities and NaN are larger than all numbers."""
    tile = _tile(scalar, lanes, lanes)
    bits = ir.IntType(8 * tile.size)
    vector = ir.VectorType(bits, tile.lanes)

    def codegen(ctx, b, sig, args):
        every = [cgutils.alloca_once_value(b, ir.Constant(vector, None)) for _ in range(2)]
        sizes = ir.Constant(vector, [(1 << (8 * tile.size - 1)) - 1] * tile.lanes)
        with cgutils.for_range(b, args[3]) as loop:
            place = b.add(args[2], b.mul(loop.index, I64(2 * tile.lanes * tile.size)))
            for most, value in zip(every, _pair(b, tile, place), strict=True):
                value, old = b.and_(b.bitcast(value, vector), sizes), b.load(most)
                b.store(b.select(b.icmp_signed(">", value, old), value, old), most)
        first, second = map(b.load, every)
        first, result = b.select(b.icmp_signed(">", first, second), first, second), bits(0)
        for lane in range(tile.lanes):
            value = b.extract_element(first, ir.IntType(32)(lane))
            result = b.select(b.icmp_signed(">", value, result), value, result)
        return result if bits.width == 64 else b.zext(result, I64)

    return types.int64(scalar, lanes, types.int64, types.int64), codegen
