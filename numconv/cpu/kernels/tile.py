"""The register tile: ROWS x (VECS * LANES) accumulators as one Numba value, with the operations on it.

A tile lowers to an LLVM array of vectors, which LLVM keeps in registers, so that the loops around it are plain Python
and a micro-kernel reads like its formula. `outer` is the heart: one rank-1 update

    tile[i, :] += left[i] * right[0 : VECS * LANES]          i = 0 .. ROWS - 1

where ``left[i]`` is the scalar at ``left + offsets[i]`` and ``right`` is contiguous. With filters in lanes, left is the
input and right a weight panel; with pixels in lanes, left is a weight panel and right the input.

All addresses and offsets are in bytes. A tile is "fused" where the CPU has fused multiply-add (elsewhere `llvm.fma` is
a call of libm at 1 % of the speed: those CPUs round twice and stand outside the promise of equal bits).

Lanes "i4" hold pairs of int16: a step adds the products of both halves. One product a step is a left operand that is
a sign-extended int16, and a right one whose upper half is 0, or the other way round.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from .intrinsics import I64, IR_TYPES, SIZES

I32 = ir.IntType(32)


class TileType(types.Type):
    """Accumulators of one scalar code ("f4", "f8", "i4" or "i8")."""

    def __init__(self, scalar, rows, vecs, lanes, fused):
        self.scalar, self.rows, self.vecs, self.lanes, self.fused = scalar, rows, vecs, lanes, fused
        self.element, self.size = IR_TYPES[scalar], SIZES[scalar]
        self.vector = ir.VectorType(self.element, lanes)
        self.integral = scalar[0] == "i"
        super().__init__(name=f"Tile({scalar},{rows}x{vecs}x{lanes},{fused})")


@register_model(TileType)
class TileModel(models.PrimitiveModel):
    """An array of rows * vecs vectors, row by row."""

    def __init__(self, manager, tile):
        super().__init__(manager, tile, ir.ArrayType(tile.vector, tile.rows * tile.vecs))


def _each(count):
    return types.UniTuple(types.int64, count)


def _offsets(tile):
    return _each(tile.rows)


def _load(b, tile, address):
    value = b.load(b.inttoptr(address, tile.vector.as_pointer()))
    value.align = tile.size
    return value


def _store(b, tile, value, address):
    b.store(value, b.inttoptr(address, tile.vector.as_pointer())).align = tile.size


def _splat(b, vector, scalar):
    one = b.insert_element(ir.Constant(vector, ir.Undefined), scalar, I32(0))
    return b.shuffle_vector(one, ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(I32, vector.count), None))


def _broadcast(b, tile, address):
    scalar = b.load(b.inttoptr(address, tile.element.as_pointer()))
    scalar.align = tile.size
    return _splat(b, tile.vector, scalar)


def _vectors(b, tile, address):
    step = tile.lanes * tile.size
    return [_load(b, tile, b.add(address, I64(j * step))) for j in range(tile.vecs)]


def _multiply_add(b, tile, x, y, total):
    if tile.scalar == "i4":
        return b.add(_short_products(b, tile, x, y), total)
    if tile.scalar == "i8":
        return b.add(b.mul(x, y), total)
    if not tile.fused:
        return b.fadd(b.fmul(x, y), total)
    name = f"llvm.fma.v{tile.lanes}f{8 * tile.size}"
    kind = ir.FunctionType(tile.vector, [tile.vector] * 3)
    function = b.module.globals.get(name) or ir.Function(b.module, kind, name)
    return b.call(function, [x, y, total])


def _short_products(b, tile, x, y):
    """Each lane's low half times low half plus high half times high half; LLVM makes one instruction of it and a sum.

    (`vpmulld` is two instructions on Intel's CPUs, at half the rate each.)
    """
    name = {4: "llvm.x86.sse2.pmadd.wd", 8: "llvm.x86.avx2.pmadd.wd", 16: "llvm.x86.avx512.pmaddw.d.512"}[tile.lanes]
    halves = ir.VectorType(ir.IntType(16), 2 * tile.lanes)
    kind = ir.FunctionType(tile.vector, [halves] * 2)
    function = b.module.globals.get(name) or ir.Function(b.module, kind, name)
    return b.call(function, [b.bitcast(x, halves), b.bitcast(y, halves)])


def _add(b, tile, x, y):
    return b.add(x, y) if tile.integral else b.fadd(x, y)


def _negative(b, tile, x):
    zero = ir.Constant(tile.vector, None)
    return b.icmp_signed("<", x, zero) if tile.integral else b.fcmp_ordered("<", x, zero)


def _map(b, tile, value, function):
    """A tile whose vector at (row, vec) is ``function(row, vec, vector)``."""
    for i in range(tile.rows):
        for j in range(tile.vecs):
            q = i * tile.vecs + j
            value = b.insert_value(value, function(i, j, b.extract_value(value, q)), q)
    return value


def _cells(b, tile, offsets, base):
    """(index of a vector, its address) for rows at ``base + offsets[i]``."""
    step = tile.lanes * tile.size
    for i in range(tile.rows):
        row = b.add(base, b.extract_value(offsets, i))
        for j in range(tile.vecs):
            yield i * tile.vecs + j, b.add(row, I64(j * step))


@intrinsic(prefer_literal=True)
def zeros(typingctx, scalar, rows, vecs, lanes, fused):
    """A tile of zeros."""
    tile = TileType(*(literal.literal_value for literal in (scalar, rows, vecs, lanes, fused)))

    def codegen(ctx, b, sig, args):
        return ir.Constant(ir.ArrayType(tile.vector, tile.rows * tile.vecs), None)

    return tile(scalar, rows, vecs, lanes, fused), codegen


@intrinsic
def rows_of(typingctx, tile):
    """ROWS, as a constant that LLVM sees."""
    return types.int64(tile), lambda ctx, b, sig, args: I64(tile.rows)


@intrinsic(prefer_literal=True)
def steps_of(typingctx, count, step):
    """The offsets (0, step, 2 * step, ...) as a tuple of `count` int64; constant where `step` is a literal."""

    def codegen(ctx, b, sig, args):
        values = [b.mul(args[1], I64(i)) for i in range(count.literal_value)]
        return cgutils.pack_array(b, values, I64)

    return types.UniTuple(types.int64, count.literal_value)(count, types.int64), codegen


@intrinsic(prefer_literal=True)
def load_offsets(typingctx, count, address):
    """A tuple of `count` int64 from memory."""

    def codegen(ctx, b, sig, args):
        base = b.inttoptr(args[1], I64.as_pointer())
        return cgutils.pack_array(b, [b.load(b.gep(base, [I64(i)])) for i in range(count.literal_value)], I64)

    return types.UniTuple(types.int64, count.literal_value)(count, types.int64), codegen


@intrinsic
def outer(typingctx, tile, left, offsets, right):
    """The rank-1 update of the module's docstring."""

    def codegen(ctx, b, sig, args):
        value, left_, offsets_, right_ = args
        vectors = _vectors(b, tile, right_)
        for i in range(tile.rows):
            scalar = _broadcast(b, tile, b.add(left_, b.extract_value(offsets_, i)))
            for j, vector in enumerate(vectors):
                q = i * tile.vecs + j
                value = b.insert_value(value, _multiply_add(b, tile, scalar, vector, b.extract_value(value, q)), q)
        return value

    return tile(tile, types.int64, _offsets(tile), types.int64), codegen


@intrinsic(prefer_literal=True)
def outer_vectors(typingctx, tile, left, step, back, rights, shift, low, high):
    """``tile[i, j] += left[i] * right[j]`` for low <= i < high (literals), vector by vector.

    left[i] is item `step` at ``left - i * back``, right[j] the vector at ``rights[j] + shift``.
    """
    first, last = low.literal_value, min(high.literal_value, tile.rows)

    def codegen(ctx, b, sig, args):
        value, left_, step_, back_, rights_, shift_ = args[:6]
        vectors = [_load(b, tile, b.add(b.extract_value(rights_, j), shift_)) for j in range(tile.vecs)]
        item = b.add(left_, b.mul(step_, I64(tile.size)))
        for i in range(first, last):
            scalar = _broadcast(b, tile, b.sub(item, b.mul(back_, I64(i))))
            for j, vector in enumerate(vectors):
                q = i * tile.vecs + j
                value = b.insert_value(value, _multiply_add(b, tile, scalar, vector, b.extract_value(value, q)), q)
        return value

    return tile(tile, *[types.int64] * 3, _each(tile.vecs), types.int64, low, high), codegen


@intrinsic
def negative_zero(typingctx, tile):
    """1 if any value is -0.0, else 0: of all numbers, its bits are the least integer."""
    bits = ir.IntType(8 * tile.size)
    kind = ir.VectorType(bits, tile.lanes)

    def codegen(ctx, b, sig, args):
        least = ir.Constant(kind, [0] * tile.lanes)
        for q in range(tile.rows * tile.vecs):
            value = b.bitcast(b.extract_value(args[0], q), kind)
            least = b.select(b.icmp_signed("<", value, least), value, least)
        zero = ir.Constant(kind, [-(1 << (8 * tile.size - 1))] * tile.lanes)
        equal = b.bitcast(b.icmp_signed("==", least, zero), ir.IntType(tile.lanes))
        return b.zext(b.icmp_unsigned("!=", equal, ir.Constant(ir.IntType(tile.lanes), 0)), I64)

    return types.int64(tile), codegen


@intrinsic
def add_stored(typingctx, tile, address, offsets):
    """The stored chain sums plus this tile's."""

    def codegen(ctx, b, sig, args):
        value, base, offsets_ = args
        for q, cell in _cells(b, tile, offsets_, base):
            value = b.insert_value(value, _add(b, tile, _load(b, tile, cell), b.extract_value(value, q)), q)
        return value

    return tile(tile, types.int64, _offsets(tile)), codegen


@intrinsic
def load(typingctx, tile, address, offsets):
    """The tile stored at ``address + offsets[i]``, of the same shape as `tile`."""

    def codegen(ctx, b, sig, args):
        value, base, offsets_ = args
        for q, cell in _cells(b, tile, offsets_, base):
            value = b.insert_value(value, _load(b, tile, cell), q)
        return value

    return tile(tile, types.int64, _offsets(tile)), codegen


@intrinsic
def store(typingctx, tile, address, offsets):
    """Write row i to ``address + offsets[i]``."""

    def codegen(ctx, b, sig, args):
        value, base, offsets_ = args
        for q, cell in _cells(b, tile, offsets_, base):
            _store(b, tile, b.extract_value(value, q), cell)
        return ctx.get_dummy_value()

    return types.void(tile, types.int64, _offsets(tile)), codegen


@intrinsic
def top_row(typingctx, tile):
    """The first row, as a tile."""
    row = TileType(tile.scalar, 1, tile.vecs, tile.lanes, tile.fused)

    def codegen(ctx, b, sig, args):
        return cgutils.pack_array(b, [b.extract_value(args[0], j) for j in range(tile.vecs)], tile.vector)

    return row(tile), codegen


@intrinsic
def without_top_row(typingctx, tile):
    """Each row moved up by one; the last one is zero."""

    def codegen(ctx, b, sig, args):
        vectors = [b.extract_value(args[0], q) for q in range(tile.vecs, tile.rows * tile.vecs)]
        return cgutils.pack_array(b, vectors + [ir.Constant(tile.vector, None)] * tile.vecs, tile.vector)

    return tile(tile), codegen


@intrinsic
def add_rows(typingctx, tile, address, offsets):
    """Add the value at ``address + offsets[i]`` (a bias with pixels in lanes) to row i."""

    def codegen(ctx, b, sig, args):
        values = [_broadcast(b, tile, b.add(args[1], b.extract_value(args[2], i))) for i in range(tile.rows)]
        return _map(b, tile, args[0], lambda i, j, v: _add(b, tile, v, values[i]))

    return tile(tile, types.int64, _offsets(tile)), codegen


@intrinsic
def add_lanes(typingctx, tile, address):
    """Add a vector of VECS * LANES values (a bias with filters in lanes) to every row."""

    def codegen(ctx, b, sig, args):
        vectors = _vectors(b, tile, args[1])
        return _map(b, tile, args[0], lambda i, j, v: _add(b, tile, v, vectors[j]))

    return tile(tile, types.int64), codegen


@intrinsic
def relu(typingctx, tile):
    """``x < 0 ? 0 : x``: NaN and -0 stay."""

    def codegen(ctx, b, sig, args):
        zero = ir.Constant(tile.vector, None)
        return _map(b, tile, args[0], lambda i, j, v: b.select(_negative(b, tile, v), zero, v))

    return tile(tile), codegen


@intrinsic
def leaky_relu(typingctx, tile, slope):
    """``x < 0 ? x * slope : x``, with the slope at an address."""

    def codegen(ctx, b, sig, args):
        factor, times = _broadcast(b, tile, args[1]), b.mul if tile.integral else b.fmul
        return _map(b, tile, args[0], lambda i, j, v: b.select(_negative(b, tile, v), times(v, factor), v))

    return tile(tile, types.int64), codegen
