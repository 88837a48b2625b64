"""Moves that convert: from any source type to the computing type, from chain sums to the result type.

Everything is emitted for `lanes` values at a time; one lane is a scalar, and computes the same bits.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..records import NOT_A_NUMBER, OVERFLOW
from .intrinsics import I64, IR_TYPES, NUMBA_TYPES, SIZES

BIT, I32 = ir.IntType(1), ir.IntType(32)


def _wide(kind, lanes):
    return kind if lanes == 1 else ir.VectorType(kind, lanes)


def _like(value, kind):
    """The type of `kind` with as many lanes as a value has."""
    return _wide(kind, value.type.count if isinstance(value.type, ir.VectorType) else 1)


def _constant(kind, number):
    """A number in every lane."""
    return ir.Constant(kind, [number] * kind.count if isinstance(kind, ir.VectorType) else number)


def _load(b, address, code, lanes):
    value = b.load(b.inttoptr(address, _wide(IR_TYPES[code], lanes).as_pointer()))
    value.align = SIZES[code]
    return value


def _store(b, value, address, code):
    b.store(value, b.inttoptr(address, value.type.as_pointer())).align = SIZES[code]


def _splat(b, scalar, lanes):
    if lanes == 1:
        return scalar
    vector = ir.VectorType(scalar.type, lanes)
    one = b.insert_element(ir.Constant(vector, ir.Undefined), scalar, I32(0))
    return b.shuffle_vector(one, one, ir.Constant(ir.VectorType(I32, lanes), None))


def _cast(b, value, source, target):
    """A value of one scalar code in another; integers wrap."""
    kind = _like(value, IR_TYPES[target])
    if source == target:
        return value
    if target[0] == "f":
        if source[0] == "f":
            return (b.fpext if SIZES[source] < SIZES[target] else b.fptrunc)(value, kind)
        return (b.uitofp if source[0] == "u" else b.sitofp)(value, kind)
    if SIZES[source] == SIZES[target]:
        return value
    if SIZES[source] > SIZES[target]:
        return b.trunc(value, kind)
    return (b.zext if source[0] == "u" else b.sext)(value, kind)


@intrinsic(prefer_literal=True)
def load_as(typingctx, address, source, target):
    """The `source` value at an address as a `target` value: one of f4, f8, i8, u8."""

    def codegen(ctx, b, sig, args):
        value = _load(b, args[0], source.literal_value, 1)
        return _cast(b, value, source.literal_value, target.literal_value)

    return NUMBA_TYPES[target.literal_value](types.int64, source, target), codegen


def _load_every(b, address, code, lanes, step, last):
    """`lanes` values, every `step`-th; read are lanes * step: from the address on, or up to the `last` that counts."""
    back = (step - 1) * last
    value = _load(b, b.sub(address, I64(back * SIZES[code])), code, lanes * step)
    if step == 1:
        return value
    return b.shuffle_vector(
        value, value, ir.Constant(ir.VectorType(I32, lanes), [back + i * step for i in range(lanes)])
    )


@intrinsic(prefer_literal=True)
def move(typingctx, source, source_code, target, target_code, lanes, step, last):
    """Convert `lanes` values, every `step`-th from an address on, to neighbours at another address.

    All lanes * step values are read: from the address on, or, where `last`, up to the last one that counts.
    """
    old, new, n = source_code.literal_value, target_code.literal_value, lanes.literal_value

    def codegen(ctx, b, sig, args):
        value = _load_every(b, args[0], old, n, step.literal_value, last.literal_value)
        _store(b, _cast(b, value, old, new), args[2], new)
        return ctx.get_dummy_value()

    return types.void(types.int64, source_code, types.int64, target_code, lanes, step, last), codegen


@intrinsic(prefer_literal=True)
def move_apart(typingctx, source, source_code, evens, odds, target_code, lanes):
    """Convert 2 * `lanes` values from an address on: every second one to neighbours at one address, the others."""
    old, new, n = source_code.literal_value, target_code.literal_value, lanes.literal_value

    def codegen(ctx, b, sig, args):
        values = _load(b, args[0], old, 2 * n)
        for first, target in enumerate(args[2:4]):
            mask = ir.Constant(ir.VectorType(I32, n), [first + 2 * i for i in range(n)])
            _store(b, _cast(b, b.shuffle_vector(values, values, mask), old, new), target, new)
        return ctx.get_dummy_value()

    return types.void(types.int64, source_code, types.int64, types.int64, target_code, lanes), codegen


def _transposed(b, rows):
    """The columns of a square of n vectors of n lanes, n a power of two: log2(n) rounds of swaps between rows.

    Round k swaps bit k of the row's number with bit k of the lane's: row i keeps its lanes whose bit equals its own,
    and takes the others from row ``i ^ 2^k``.
    """
    n, rows = len(rows), list(rows)
    for k in range(n.bit_length() - 1):
        bit = 1 << k
        for i in range(n):
            if i & bit:
                continue
            low, high = rows[i], rows[i | bit]
            for row, kept in ((i, 0), (i | bit, bit)):
                lanes = [j & ~bit | kept if not j & bit else n + (j & ~bit | kept) for j in range(n)]
                mask = ir.Constant(ir.VectorType(I32, n), lanes)
                rows[row] = b.shuffle_vector(low, high, mask)
    return rows


@intrinsic(prefer_literal=True)
def fill(typingctx, target, target_code, value, lanes):
    """Write a value to `lanes` neighbours."""

    def codegen(ctx, b, sig, args):
        _store(b, _splat(b, args[2], lanes.literal_value), args[0], target_code.literal_value)
        return ctx.get_dummy_value()

    return types.void(types.int64, target_code, NUMBA_TYPES[target_code.literal_value], lanes), codegen


@intrinsic(prefer_literal=True)
def move_square(typingctx, source, source_code, target, target_code, lanes, step, last):
    """Convert and transpose a square of `lanes` rows of `lanes` values; both are (address, bytes between rows).

    The rows are read as by `move`.
    """
    every, last_one = step.literal_value, last.literal_value

    def codegen(ctx, b, sig, args):
        old, new, n = source_code.literal_value, target_code.literal_value, lanes.literal_value
        (here, pitch), (there, to_pitch) = ([b.extract_value(args[i], j) for j in range(2)] for i in (0, 2))
        rows = [_load_every(b, b.add(here, b.mul(pitch, I64(i))), old, n, every, last_one) for i in range(n)]
        for i, row in enumerate(_transposed(b, [_cast(b, row, old, new) for row in rows])):
            _store(b, row, b.add(there, b.mul(to_pitch, I64(i))), new)
        return ctx.get_dummy_value()

    pair = types.UniTuple(types.int64, 2)
    return types.void(pair, source_code, pair, target_code, lanes, step, last), codegen


def _call(b, name, value):
    kind = value.type
    if not isinstance(kind, ir.VectorType):
        return b.call(b.module.declare_intrinsic(name, [kind], ir.FunctionType(kind, [kind])), [value])
    name += f".v{kind.count}f{32 if isinstance(kind.element, ir.FloatType) else 64}"
    return b.call(b.module.globals.get(name) or ir.Function(b.module, ir.FunctionType(kind, [kind]), name), [value])


def _wrapped(b, value, kind):
    """An integral float modulo 2^64, cut to an integer type; infinities and NaN give 0.

    Below 2^63 it is an int64. Above, floats are multiples of 2^11 at least, so that dividing by a power of two, taking
    the floor and subtracting are exact.
    """
    full, half, zero = (_constant(value.type, number) for number in (2.0**64, 2.0**63, 0.0))
    wide = _like(value, I64)
    small = b.fcmp_ordered("<", _call(b, "llvm.fabs", value), half)
    rest = b.fsub(value, b.fmul(_call(b, "llvm.floor", b.fdiv(value, full)), full))  # in [0, 2^64), or NaN
    high = b.fcmp_ordered(">=", rest, half)
    folded = b.select(high, b.fsub(rest, half), rest)
    folded = b.select(b.fcmp_ordered("==", folded, folded), folded, zero)
    number = b.fptosi(b.select(small, value, folded), wide)
    turn = b.select(b.and_(high, b.not_(small)), _constant(wide, -(2**63)), _constant(wide, 0))
    number = b.xor(number, turn)
    return number if kind.width == 64 else b.trunc(number, _like(value, kind))


def _float_to_integer(b, value, target, overflow):
    """(the integer, where it does not fit, where it is no number): rounded half to even; NaN gives 0."""
    kind, bits, signed = IR_TYPES[target], 8 * SIZES[target], target[0] == "i"
    never = _constant(_like(value, BIT), 0)
    value = _call(b, "llvm.rint", value)
    if overflow == "wrap":
        return _wrapped(b, value, kind), never, never
    wide = _like(value, kind)
    number = b.fcmp_ordered("==", value, value)
    above = b.fcmp_ordered(">=", value, _constant(value.type, 2.0 ** (bits - signed)))
    below = b.fcmp_ordered("<", value, _constant(value.type, -(2.0 ** (bits - 1)) if signed else 0.0))
    outside = b.or_(above, below)
    safe = b.select(b.and_(number, b.not_(outside)), value, _constant(value.type, 0.0))
    integer = (b.fptosi if signed else b.fptoui)(safe, wide)
    if overflow == "raise":
        return integer, outside, b.not_(number)
    top, bottom = 2 ** (bits - signed) - 1, -(2 ** (bits - 1)) if signed else 0
    integer = b.select(above, _constant(wide, top), b.select(below, _constant(wide, bottom), integer))
    return integer, never, never


def _integer_to_integer(b, value, source, target, overflow):
    """(the integer, where it does not fit, nowhere) of an int32, int64 or uint64."""
    bits = 8 * SIZES[target]
    wide, never = _like(value, IR_TYPES[target]), _constant(_like(value, BIT), 0)
    narrow = _cast(b, value, source, target)
    if overflow == "wrap":
        return narrow, never, never
    top = 2 ** (bits - (target[0] == "i")) - 1
    bottom = -(2 ** (bits - 1)) if target[0] == "i" else 0
    signed = source[0] == "i"
    compare = b.icmp_signed if signed else b.icmp_unsigned
    reach = 2 ** (8 * SIZES[source] - signed) - 1
    above = compare(">", value, _constant(value.type, top)) if top < reach else never
    below = compare("<", value, _constant(value.type, bottom)) if signed and bottom >= -reach else never
    if overflow == "raise":
        return narrow, b.or_(above, below), never
    return b.select(above, _constant(wide, top), b.select(below, _constant(wide, bottom), narrow)), never, never


def _any(b, mask):
    """Whether any lane of a mask is set."""
    if not isinstance(mask.type, ir.VectorType):
        return mask
    lanes = ir.IntType(mask.type.count)
    return b.icmp_unsigned("!=", b.bitcast(mask, lanes), lanes(0))


def _rectified(b, value, kind, slope, signed):
    """Activation 0 none, 1 relu (NaN and -0 stay), 2 leaky relu."""
    zero = _constant(value.type, 0)
    if isinstance(_element(value), ir.IntType):
        below = b.icmp_signed("<", value, zero) if signed else _constant(_like(value, BIT), 0)
        leaky = value
    else:
        below, leaky = b.fcmp_ordered("<", value, zero), b.fmul(value, slope)
    cut = b.select(b.icmp_signed("==", kind, I64(1)), zero, leaky)
    changed = b.select(below, cut, value)
    return b.select(b.icmp_signed("==", kind, I64(0)), value, changed)


def _element(value):
    return value.type.element if isinstance(value.type, ir.VectorType) else value.type


def _with_bias(b, value, acc, address, shared):
    """The values plus the bias at an address (0: none), which all lanes share or which has one for each."""
    n = value.type.count if isinstance(value.type, ir.VectorType) else 1
    before = b.block
    with b.if_then(b.icmp_signed("!=", address, I64(0))):
        with b.if_else(b.icmp_signed("!=", shared, I64(0))) as (one, each):
            with one:
                same, at_same = _splat(b, _load(b, address, acc, 1), n), b.block
            with each:
                own, at_own = _load(b, address, acc, n), b.block
        amount = b.phi(value.type)
        amount.add_incoming(same, at_same)
        amount.add_incoming(own, at_own)
        plus = b.add if acc[0] in "iu" else b.fadd
        total, after = plus(value, amount), b.block
    result = b.phi(value.type)
    result.add_incoming(value, before)
    result.add_incoming(total, after)
    return result


def _finished(b, value, kinds, activation):
    """(result, status bits) of chain sums with their bias; `activation` is (kind, address of the slope)."""
    acc, target, overflow = kinds
    n = value.type.count if isinstance(value.type, ir.VectorType) else 1
    kind, slope = b.extract_value(activation, 0), _load(b, b.extract_value(activation, 1), acc, 1)
    value = _rectified(b, value, kind, _splat(b, slope, n), acc != "u8")
    if target[0] == "f":
        return _cast(b, value, acc, target), I64(0)
    if acc[0] == "f":
        integer, outside, unknown = _float_to_integer(b, value, target, overflow)
    else:
        integer, outside, unknown = _integer_to_integer(b, value, acc, target, overflow)
    status = b.select(_any(b, outside), I64(OVERFLOW), I64(0))
    return integer, b.or_(status, b.select(_any(b, unknown), I64(NOT_A_NUMBER), I64(0)))


def _kinds(literal):
    """("f4", "u1", "saturate") of "f4>u1:saturate"."""
    acc, rest = literal.literal_value.split(">")
    return (acc, *rest.split(":"))


@intrinsic(prefer_literal=True)
def finish_values(typingctx, sums, bias, out, activation, kinds, lanes):
    """Bias, activation, conversion and store of `lanes` neighbouring chain sums; returns CALL.status bits.

    `bias` is (address or 0, whether all lanes share one value), `activation` is (kind, address of the slope), `kinds`
    is "acc>target:overflow", for example "f4>u1:saturate".
    """
    acc, target, _ = names = _kinds(kinds)

    def codegen(ctx, b, sig, args):
        value = _load(b, args[0], acc, lanes.literal_value)
        value = _with_bias(b, value, acc, b.extract_value(args[1], 0), b.extract_value(args[1], 1))
        result, status = _finished(b, value, names, args[3])
        _store(b, result, args[2], target)
        return status

    pair = types.UniTuple(types.int64, 2)
    return types.int64(types.int64, pair, types.int64, pair, kinds, lanes), codegen


@intrinsic(prefer_literal=True)
def finish_apart(typingctx, sums, bias, out, activation, kinds, lanes):
    """The same for results that are not neighbours: `out` is (address, step); each has a bias of its own."""
    acc, target, _ = names = _kinds(kinds)

    def codegen(ctx, b, sig, args):
        value = _with_bias(b, _load(b, args[0], acc, lanes.literal_value), acc, args[1], I64(0))
        result, status = _finished(b, value, names, args[3])
        there, step = (b.extract_value(args[2], i) for i in range(2))
        for i in range(lanes.literal_value):
            _store(b, b.extract_element(result, I32(i)), b.add(there, b.mul(step, I64(i))), target)
        return status

    pair = types.UniTuple(types.int64, 2)
    return types.int64(types.int64, types.int64, pair, pair, kinds, lanes), codegen


@intrinsic(prefer_literal=True)
def finish_square(typingctx, sums, bias, out, activation, kinds, lanes):
    """The same for a square, transposed: `lanes` rows of sums to `lanes` columns of out; one bias a column of sums.

    `sums` and `out` are (address, bytes between rows).
    """
    acc, target, _ = names = _kinds(kinds)

    def codegen(ctx, b, sig, args):
        n, status, rows = lanes.literal_value, I64(0), []
        (here, step), (there, to_step) = ([b.extract_value(args[i], j) for j in range(2)] for i in (0, 2))
        for i in range(n):
            value = _load(b, b.add(here, b.mul(step, I64(i))), acc, n)
            value, more = _finished(b, _with_bias(b, value, acc, args[1], I64(0)), names, args[3])
            rows.append(value)
            status = b.or_(status, more)
        for i, row in enumerate(_transposed(b, rows)):
            _store(b, row, b.add(there, b.mul(to_step, I64(i))), target)
        return status

    pair = types.UniTuple(types.int64, 2)
    return types.int64(pair, types.int64, pair, pair, kinds, lanes), codegen


@intrinsic(prefer_literal=True)
def finish_turned(typingctx, sums, bias, out, activation, kinds, lanes):
    """`finish_square` of sums that lie by filters, `lanes` rows of pixels; biases are neighbours (address 0: none)."""
    acc, target, _ = names = _kinds(kinds)

    def codegen(ctx, b, sig, args):
        n, status, rows = lanes.literal_value, I64(0), []
        (here, step), (there, to_step) = ([b.extract_value(args[i], j) for j in range(2)] for i in (0, 2))
        none = b.icmp_signed("==", args[1], I64(0))
        for i in range(n):
            place = b.add(here, b.mul(step, I64(i)))
            value = _load(b, place, acc, n)
            amount = _load(b, b.select(none, place, b.add(args[1], I64(i * SIZES[acc]))), acc, 1)
            value = b.select(none, value, b.fadd(value, _splat(b, amount, n)))
            value, more = _finished(b, value, names, args[3])
            rows.append(value)
            status = b.or_(status, more)
        for i, row in enumerate(_transposed(b, rows)):
            _store(b, row, b.add(there, b.mul(to_step, I64(i))), target)
        return status

    pair = types.UniTuple(types.int64, 2)
    return types.int64(pair, types.int64, pair, pair, kinds, lanes), codegen
