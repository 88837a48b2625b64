"""What Numba's Python lacks: records and pointers from addresses, calls by address, atomics, one fused multiply-add.

All of them are module-level and parametrised by literals (ints and strings that a kernel factory closes over). Loads
and stores carry the alignment of the item, never that of the vector.
"""

from __future__ import annotations

from llvmlite import ir
from numba import from_dtype, types
from numba.extending import intrinsic, models, register_model

from ..records import BLOCK, CALL, FFT, PASS, PLAN
from ..target import expanded, inlined

__all__ = ["expanded", "inlined"]

I64 = ir.IntType(64)


class RecordType(types.Record):
    """A record under a short name: Numba's holds all fields, 5 KB that each call of a function would spell out."""

    def __init__(self, name, dtype):
        plain = from_dtype(dtype)
        super().__init__([(key, field._asdict()) for key, field in plain.fields.items()], plain.size, plain.aligned)
        self.name = name

    def __repr__(self):
        return self.name


register_model(RecordType)(models.RecordModel)
PLAN_T, CALL_T, BLOCK_T, PASS_T, FFT_T = (
    RecordType(name, dtype)
    for name, dtype in (("Plan", PLAN), ("Call", CALL), ("Block", BLOCK), ("Pass", PASS), ("Fft", FFT))
)

IR_TYPES = {
    "f2": ir.HalfType(), "f4": ir.FloatType(), "f8": ir.DoubleType(),
    "i1": ir.IntType(8), "i2": ir.IntType(16), "i4": ir.IntType(32), "i8": I64,
    "u1": ir.IntType(8), "u2": ir.IntType(16), "u4": ir.IntType(32), "u8": I64,
}  # fmt: skip
NUMBA_TYPES = {
    "f4": types.float32, "f8": types.float64,
    "i1": types.int8, "i2": types.int16, "i4": types.int32, "i8": types.int64,
    "u1": types.uint8, "u2": types.uint16, "u4": types.uint32, "u8": types.uint64,
}  # fmt: skip
SIZES = {code: int(code[1]) for code in IR_TYPES}


@intrinsic
def call_record(typingctx, address):
    """The CALL record at an address (`carray` would leave Python symbols in the object code)."""
    return CALL_T(types.int64), lambda ctx, b, sig, args: b.inttoptr(args[0], ctx.get_value_type(CALL_T))


@intrinsic
def plan_record(typingctx, address):
    """The PLAN record at an address."""
    return PLAN_T(types.int64), lambda ctx, b, sig, args: b.inttoptr(args[0], ctx.get_value_type(PLAN_T))


@intrinsic
def block_record(typingctx, address):
    """The BLOCK record at an address."""
    return BLOCK_T(types.int64), lambda ctx, b, sig, args: b.inttoptr(args[0], ctx.get_value_type(BLOCK_T))


@intrinsic
def pass_record(typingctx, address):
    """The PASS record at an address."""
    return PASS_T(types.int64), lambda ctx, b, sig, args: b.inttoptr(args[0], ctx.get_value_type(PASS_T))


@intrinsic
def fft_record(typingctx, address):
    """The FFT record at an address."""
    return FFT_T(types.int64), lambda ctx, b, sig, args: b.inttoptr(args[0], ctx.get_value_type(FFT_T))


@intrinsic(prefer_literal=True)
def pointer(typingctx, address, code):
    """A typed pointer to index: ``pointer(address, "f4")[i]``."""
    target = types.CPointer(NUMBA_TYPES[code.literal_value])
    return target(types.int64, code), lambda ctx, b, sig, args: b.inttoptr(args[0], ctx.get_value_type(target))


@intrinsic(prefer_literal=True)
def size_of(typingctx, code):
    """Bytes of a scalar, as a constant that LLVM sees."""
    size = SIZES[code.literal_value]
    return types.int64(code), lambda ctx, b, sig, args: I64(size)


@intrinsic
def prefetch(typingctx, address):
    """Ask for the cache line at an address, to the second-level cache; any address will do."""

    def codegen(ctx, b, sig, args):
        byte, i32 = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, i32, i32, i32])
        function = b.module.globals.get("llvm.prefetch.p0") or ir.Function(b.module, kind, "llvm.prefetch.p0")
        b.call(function, [b.inttoptr(args[0], byte), i32(0), i32(2), i32(1)])
        return ctx.get_dummy_value()

    return types.void(types.int64), codegen


@intrinsic
def call(typingctx, function, args):
    """Call the ``void(int64, ...)`` function at an address with a tuple of int64."""

    def codegen(ctx, b, sig, values):
        kind = ir.FunctionType(ir.VoidType(), [I64] * args.count)
        b.call(b.inttoptr(values[0], kind.as_pointer()), [b.extract_value(values[1], i) for i in range(args.count)])
        return ctx.get_dummy_value()

    return types.void(types.int64, args), codegen


@intrinsic
def fetch_add(typingctx, address, value):
    """Add to the int64 at an address in one atomic step, and return what was there."""

    def codegen(ctx, b, sig, args):
        return b.atomic_rmw("add", b.inttoptr(args[0], I64.as_pointer()), args[1], "monotonic")

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def fetch_or(typingctx, address, bits):
    """Set bits of the int64 at an address in one atomic step, and return what was there."""

    def codegen(ctx, b, sig, args):
        return b.atomic_rmw("or", b.inttoptr(args[0], I64.as_pointer()), args[1], "monotonic")

    return types.int64(types.int64, types.int64), codegen


def emit_multiply_add(builder, a, b, c, fused):
    """IR of ``a * b + c``; unfused where the CPU has no such instruction (there `llvm.fma` is a call of libm)."""
    if not fused:
        return builder.fadd(builder.fmul(a, b), c)
    function = builder.module.declare_intrinsic("llvm.fma", [a.type], ir.FunctionType(a.type, [a.type] * 3))
    return builder.call(function, [a, b, c])


@intrinsic
def fma(typingctx, a, b, c):
    """``a * b + c`` in one rounding, for float32 or float64 scalars; LLVM vectorises loops of it."""
    if a not in (types.float32, types.float64) or not a == b == c:
        return None
    return a(a, a, a), lambda ctx, builder, sig, args: emit_multiply_add(builder, args[0], args[1], args[2], True)


@intrinsic(prefer_literal=True)
def multiply_add(typingctx, a, b, c, fused):
    """`fma` where the literal `fused` is true, else a product and a sum, each rounded."""
    if a not in (types.float32, types.float64) or not a == b == c:
        return None

    def codegen(ctx, builder, sig, args):
        return emit_multiply_add(builder, args[0], args[1], args[2], fused.literal_value)

    return a(a, a, a, fused), codegen
