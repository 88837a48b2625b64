"""Loads and stores that convert: from any source type to the computing type, from chain sums to the result type."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..records import NOT_A_NUMBER, OVERFLOW
from .intrinsics import I64, IR_TYPES, NUMBA_TYPES, SIZES

BIT = ir.IntType(1)


def _at(b, address, code):
    return b.inttoptr(address, IR_TYPES[code].as_pointer())


def _cast(b, value, source, target):
    """A value of one scalar code in another; integers become int64 by wrapping."""
    kind = IR_TYPES[target]
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
        value = b.load(_at(b, args[0], source.literal_value))
        value.align = SIZES[source.literal_value]
        return _cast(b, value, source.literal_value, target.literal_value)

    return NUMBA_TYPES[target.literal_value](types.int64, source, target), codegen


def _call(b, name, *args):
    kind = args[0].type
    function = b.module.declare_intrinsic(name, [kind], ir.FunctionType(kind, [kind] * len(args)))
    return b.call(function, args)


def _wrapped(b, value, kind):
    """An integral float modulo 2^64, cut to an integer type; infinities and NaN give 0.

    Below 2^63 it is an int64. Above, floats are multiples of 2^11 at least, so that dividing by a power of two, taking
    the floor and subtracting are exact.
    """
    full, half = ir.Constant(value.type, 2.0**64), ir.Constant(value.type, 2.0**63)
    zero = ir.Constant(value.type, 0.0)
    small = b.fcmp_ordered("<", _call(b, "llvm.fabs", value), half)
    rest = b.fsub(value, b.fmul(_call(b, "llvm.floor", b.fdiv(value, full)), full))  # in [0, 2^64), or NaN
    high = b.fcmp_ordered(">=", rest, half)
    folded = b.select(high, b.fsub(rest, half), rest)
    folded = b.select(b.fcmp_ordered("==", folded, folded), folded, zero)
    number = b.fptosi(b.select(small, value, folded), I64)
    number = b.xor(number, b.select(b.and_(high, b.not_(small)), I64(-(2**63)), I64(0)))
    return number if kind.width == 64 else b.trunc(number, kind)


def _float_to_integer(b, value, target, overflow):
    """(the integer, status bits): rounded half to even; NaN gives 0."""
    kind, bits, signed = IR_TYPES[target], 8 * SIZES[target], target[0] == "i"
    low = ir.Constant(value.type, -(2.0 ** (bits - 1)) if signed else 0.0)
    end = ir.Constant(value.type, 2.0 ** (bits - signed))
    zero = ir.Constant(value.type, 0.0)
    value = _call(b, "llvm.rint", value)
    number = b.fcmp_ordered("==", value, value)
    if overflow == "wrap":
        return _wrapped(b, value, kind), I64(0)
    above, below = b.fcmp_ordered(">=", value, end), b.fcmp_ordered("<", value, low)
    safe = b.select(b.and_(number, b.not_(b.or_(above, below))), value, zero)
    integer = (b.fptosi if signed else b.fptoui)(safe, kind)
    if overflow == "saturate":
        top, bottom = 2 ** (bits - signed) - 1, -(2 ** (bits - 1)) if signed else 0
        return b.select(above, kind(top), b.select(below, kind(bottom), integer)), I64(0)
    status = b.select(b.or_(above, below), I64(OVERFLOW), I64(0))
    return integer, b.or_(status, b.select(number, I64(0), I64(NOT_A_NUMBER)))


def _integer_to_integer(b, value, source, target, overflow):
    """(the integer, status bits) of an int64 or uint64."""
    kind, bits = IR_TYPES[target], 8 * SIZES[target]
    narrow = b.trunc(value, kind) if bits < 64 else value
    if overflow == "wrap":
        return narrow, I64(0)
    top = 2 ** (bits - (target[0] == "i")) - 1
    bottom = -(2 ** (bits - 1)) if target[0] == "i" else 0
    compare = b.icmp_signed if source == "i8" else b.icmp_unsigned
    reach = 2**63 - 1 if source == "i8" else 2**64 - 1
    above = compare(">", value, I64(top)) if top < reach else BIT(0)
    below = compare("<", value, I64(bottom)) if source == "i8" else BIT(0)
    if overflow == "saturate":
        return b.select(above, kind(top), b.select(below, kind(bottom), narrow)), I64(0)
    return narrow, b.select(b.or_(above, below), I64(OVERFLOW), I64(0))


@intrinsic(prefer_literal=True)
def store_as(typingctx, address, value, source, target, overflow):
    """Convert a chain sum (`source`: f4, f8, i8, u8) to `target` and store it; returns CALL.status bits."""

    def codegen(ctx, b, sig, args):
        old, new = source.literal_value, target.literal_value
        if new[0] == "f":
            result, status = _cast(b, args[1], old, new), I64(0)
        elif old[0] == "f":
            result, status = _float_to_integer(b, args[1], new, overflow.literal_value)
        else:
            result, status = _integer_to_integer(b, args[1], old, new, overflow.literal_value)
        b.store(result, _at(b, args[0], new)).align = SIZES[new]
        return status

    return types.int64(types.int64, value, source, target, overflow), codegen
