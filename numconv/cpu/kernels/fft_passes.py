"""Passes of a Fourier transform over vectors: many transforms side by side, one in each lane.

An element of a transform is a pair of vectors, real and imaginary parts of all lanes. `forward` decimates in
frequency, in place: natural order in, spectra in the order that the radices leave them in. `inverse` is its mirror
image, decimation in time, and takes them in that order: what only multiplies spectra never has to know it.

A table of int64 describes a length: the number of passes, and for each

    radix  gap  blocks  twiddles          elements gap apart are combined, in blocks of radix * gap

Behind `twiddles` lie, for each of the gap elements of a block, radix - 1 factors (re, im); the last pass has a gap of 1
and needs none.

J. W. Cooley, J. W. Tukey, An algorithm for the machine calculation of complex Fourier series (Mathematics of
Computation 19, 1965); W. M. Gentleman, G. Sande, Fast Fourier transforms for fun and profit (AFIPS 29, 1966).
"""

from __future__ import annotations

from math import cos, pi, sin, sqrt

from llvmlite import ir
from numba import literally, types
from numba.extending import intrinsic

from .intrinsics import I64, SIZES, inlined, pointer, size_of
from .tile import TileType, _broadcast, _load, _multiply_add, _store

RADICES = (8, 5, 4, 3)


class Pairs:
    """Complex arithmetic on pairs of vectors; `sign` is that of the exponent."""

    def __init__(self, b, tile, sign):
        self.b, self.tile, self.sign = b, tile, sign

    def add(self, x, y):
        """``x + y``."""
        return self.b.fadd(x[0], y[0]), self.b.fadd(x[1], y[1])

    def sub(self, x, y):
        """``x - y``."""
        return self.b.fsub(x[0], y[0]), self.b.fsub(x[1], y[1])

    def turned(self, x, y, sign):
        """``x + sign * i * y``, sign being relative to the transform's."""
        if sign * self.sign > 0:
            return self.b.fsub(x[0], y[1]), self.b.fadd(x[1], y[0])
        return self.b.fadd(x[0], y[1]), self.b.fsub(x[1], y[0])

    def fma(self, constant, x, y):
        """``constant * x + y``, the constant real."""
        number = ir.Constant(self.tile.vector, [float(constant)] * self.tile.lanes)
        return tuple(_multiply_add(self.b, self.tile, number, p, q) for p, q in zip(x, y, strict=True))

    def turned_fma(self, constant, x, y):
        """``sign * i * constant * x + y``."""
        (re, im), vector = x, self.tile.vector
        up, down = (ir.Constant(vector, [k * float(constant) * self.sign] * self.tile.lanes) for k in (1, -1))
        return _multiply_add(self.b, self.tile, down, im, y[0]), _multiply_add(self.b, self.tile, up, re, y[1])

    def times(self, x, c, s):
        """``x * (c + i * s)``."""
        re = _multiply_add(self.b, self.tile, x[0], c, self.b.fneg(self.b.fmul(x[1], s)))
        return re, _multiply_add(self.b, self.tile, x[0], s, self.b.fmul(x[1], c))


def _of_3(a, x):
    t, d = a.add(x[1], x[2]), a.sub(x[1], x[2])
    m = a.fma(-0.5, t, x[0])
    return [a.add(x[0], t), a.turned_fma(sqrt(0.75), d, m), a.turned_fma(-sqrt(0.75), d, m)]


def _of_4(a, x):
    t, d, u, e = a.add(x[0], x[2]), a.sub(x[0], x[2]), a.add(x[1], x[3]), a.sub(x[1], x[3])
    return [a.add(t, u), a.turned(d, e, 1), a.sub(t, u), a.turned(d, e, -1)]


def _of_5(a, x):
    c, s = ([f(2 * pi * k / 5) for k in (1, 2)] for f in (cos, sin))
    t, u, d, e = a.add(x[1], x[4]), a.add(x[2], x[3]), a.sub(x[1], x[4]), a.sub(x[2], x[3])
    m, n = a.fma(c[0], t, a.fma(c[1], u, x[0])), a.fma(c[1], t, a.fma(c[0], u, x[0]))
    p, q = a.fma(s[1] / s[0], e, d), a.fma(-s[0] / s[1], e, d)
    first, last = a.turned_fma(s[0], p, m), a.turned_fma(-s[0], p, m)
    return [a.add(x[0], a.add(t, u)), first, a.turned_fma(s[1], q, n), a.turned_fma(-s[1], q, n), last]


def _of_8(a, x):
    e, o, h = _of_4(a, x[::2]), _of_4(a, x[1::2]), sqrt(0.5)
    u, v = a.turned(o[1], o[1], 1), a.turned(o[3], o[3], -1)
    return [
        a.add(e[0], o[0]), a.fma(h, u, e[1]), a.turned(e[2], o[2], 1), a.fma(-h, v, e[3]),
        a.sub(e[0], o[0]), a.fma(-h, u, e[1]), a.turned(e[2], o[2], -1), a.fma(h, v, e[3]),
    ]  # fmt: skip


_DFT = {3: _of_3, 4: _of_4, 5: _of_5, 8: _of_8}


@intrinsic(prefer_literal=True)
def butterfly(typingctx, scalar, lanes, fused, radix, sign, turns, address, step, twiddles):
    """Transform `radix` elements `step` bytes apart in place; `turns`: with factors, behind (-1) or before (+1)."""
    n, direction, turned = radix.literal_value, sign.literal_value, turns.literal_value
    tile = TileType(scalar.literal_value, 1, 1, lanes.literal_value, fused.literal_value)

    def codegen(ctx, b, sig, args):
        a, half = Pairs(b, tile, direction), I64(tile.lanes * tile.size)
        places = [b.add(args[6], b.mul(args[7], I64(i))) for i in range(n)]

        def turn(values):
            factors = []
            for k in range(n - 1):
                c, s = (_broadcast(b, tile, b.add(args[8], I64((2 * k + j) * tile.size))) for j in range(2))
                factors.append((c, b.fneg(s) if direction > 0 else s))
            return values[:1] + [a.times(x, c, s) for x, (c, s) in zip(values[1:], factors, strict=True)]

        values = [(_load(b, tile, place), _load(b, tile, b.add(place, half))) for place in places]
        if turned and direction > 0:
            values = turn(values)
        values = _DFT[n](a, values)
        if turned and direction < 0:
            values = turn(values)
        for (re, im), place in zip(values, places, strict=True):
            _store(b, tile, re, place)
            _store(b, tile, im, b.add(place, half))
        return ctx.get_dummy_value()

    given = scalar, lanes, fused, radix, sign, turns
    return types.void(*given, *[types.int64] * 3), codegen


@inlined
def one_pass(scalar, lanes, fused, radix, sign, base, pitch, gap, blocks, twiddles):
    """All blocks of a pass."""
    literally(scalar)
    literally(lanes)
    literally(fused)
    literally(radix)
    literally(sign)
    if gap == 1:
        for i in range(blocks):
            butterfly(scalar, lanes, fused, radix, sign, 0, base + i * radix * pitch, pitch, 0)
        return
    factors = 2 * (radix - 1) * size_of(scalar)
    for i in range(blocks):
        here = base + i * radix * gap * pitch
        for j in range(gap):
            butterfly(scalar, lanes, fused, radix, sign, 1, here + j * pitch, gap * pitch, twiddles + j * factors)


def forward(scalar, lanes, fused):
    """`count` neighbouring transforms by the passes of a table, elements `pitch` bytes apart."""
    pair = 2 * lanes * SIZES[scalar]

    def kernel(table_address, first, pitch, count):
        table = pointer(table_address, "i8")
        for i in range(count):
            base = first + i * pair
            for p in range(table[0]):
                radix, gap, blocks, twiddles = table[4 * p + 1], table[4 * p + 2], table[4 * p + 3], table[4 * p + 4]
                if radix == 8:
                    one_pass(scalar, lanes, fused, 8, -1, base, pitch, gap, blocks, twiddles)
                elif radix == 4:
                    one_pass(scalar, lanes, fused, 4, -1, base, pitch, gap, blocks, twiddles)
                elif radix == 5:
                    one_pass(scalar, lanes, fused, 5, -1, base, pitch, gap, blocks, twiddles)
                else:
                    one_pass(scalar, lanes, fused, 3, -1, base, pitch, gap, blocks, twiddles)

    return kernel


def inverse(scalar, lanes, fused):
    """The same backwards, not scaled."""
    pair = 2 * lanes * SIZES[scalar]

    def kernel(table_address, first, pitch, count):
        table = pointer(table_address, "i8")
        for i in range(count):
            base = first + i * pair
            for q in range(table[0]):
                p = table[0] - 1 - q
                radix, gap, blocks, twiddles = table[4 * p + 1], table[4 * p + 2], table[4 * p + 3], table[4 * p + 4]
                if radix == 8:
                    one_pass(scalar, lanes, fused, 8, 1, base, pitch, gap, blocks, twiddles)
                elif radix == 4:
                    one_pass(scalar, lanes, fused, 4, 1, base, pitch, gap, blocks, twiddles)
                elif radix == 5:
                    one_pass(scalar, lanes, fused, 5, 1, base, pitch, gap, blocks, twiddles)
                else:
                    one_pass(scalar, lanes, fused, 3, 1, base, pitch, gap, blocks, twiddles)

    return kernel
