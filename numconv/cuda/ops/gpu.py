"""The face of `ops` that is compiled: intrinsics written in LLVM and PTX."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from llvmlite import ir
from numba import cuda
from numba.cuda import cgutils, types
from numba.cuda.extending import intrinsic

_INT32, _INT64 = ir.IntType(32), ir.IntType(64)
_FLOAT, _DOUBLE = ir.FloatType(), ir.DoubleType()
_GLOBAL, _SHARED = 1, 3  # LLVM's numbers of address spaces


_numbers = count()


def numba_type(name: str) -> Any:
    """Numba's type of a scalar, or of an element in memory; bool is a byte, float16 two."""
    return getattr(types, {"bool": "uint8", "float16": "uint16"}.get(name, name))


def device(function: Callable) -> Any:
    """A function that kernels call."""
    return cuda.jit(device=True)(function)


def reader(storage: str, scalar: str) -> Any:
    """Loads by the read-only path: nothing that a kernel reads is written by it."""

    @intrinsic
    def load(typing: Any, pointer: Any, offset: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place = builder.gep(_global(builder, args[0]), [args[1]])
            value = builder.load(place)
            value.set_metadata("invariant.load", builder.module.add_metadata([]))
            return _converted(builder, value, storage, scalar)

        return numba_type(scalar)(types.CPointer(numba_type(storage)), types.int64), generate

    return load


def writer(storage: str, scalar: str) -> Any:
    """Stores; integers are cut to the width of `storage`, floats rounded once."""

    @intrinsic
    def store(typing: Any, pointer: Any, offset: Any, value: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            value = args[2]
            if storage == "float16":
                kind = ir.FunctionType(ir.IntType(16), [value.type])
                bits, letter = (64, "d") if scalar == "float64" else (32, "f")
                value = builder.call(ir.InlineAsm(kind, f"cvt.rn.f16.f{bits} $0, $1;", f"=h,{letter}"), [value])
            elif storage == "float32" and scalar == "float64":
                value = builder.fptrunc(value, _FLOAT)
            elif storage != scalar and scalar in ("int64", "uint64"):
                bits = numba_type(storage).bitwidth
                value = value if bits == 64 else builder.trunc(value, ir.IntType(bits))
            builder.store(value, builder.gep(_global(builder, args[0]), [args[1]]))
            return context.get_dummy_value()

        pointer_type = types.CPointer(numba_type(storage))
        return types.void(pointer_type, types.int64, numba_type(scalar)), generate

    return store


def multiply_add(scalar: str) -> Any:
    """One instruction for floats, never two."""

    @intrinsic
    def step(typing: Any, a: Any, b: Any, c: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            if scalar in ("int64", "uint64"):
                return builder.add(builder.mul(args[0], args[1]), args[2])
            return builder.fma(*args)

        kind = numba_type(scalar)
        return kind(kind, kind, kind), generate

    return step


def unrolled(body: Callable, scalar: str, size: int, fresh: bool = False) -> Any:
    """`size` accumulators are loaded (`fresh`: zeros), updated and stored: registers, as every index is constant."""
    kind = numba_type(scalar)

    @intrinsic
    def micro(typing: Any, acc: Any, a: Any, at: Any, b: Any, bt: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = [
                context.make_array(array)(context, builder, value=args[i]).data
                for i, array in zip((0, 1, 3), (acc, a, b), strict=True)
            ]
            slots = [builder.gep(data[0], [ir.Constant(_INT64, i)]) for i in range(size)]
            values = [ir.Constant(slot.type.pointee, 0.0) if fresh else builder.load(slot) for slot in slots]
            sources = [
                _neighbours(builder, builder.gep(array, [builder.sext(start, _INT64)]), kind.bitwidth // 8)
                for array, start in ((data[1], args[2]), (data[2], args[4]))
            ]
            body(values, *sources, builder.fma)
            for slot, value in zip(slots, values, strict=True):
                builder.store(value, slot)
            return context.get_dummy_value()

        return types.void(acc, a, types.int32, b, types.int32), generate

    return micro


def shared(scalar: str, size: int) -> Any:
    """Of 16 bytes' alignment."""
    kind = numba_type(scalar)

    @intrinsic
    def array(typing: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            name = f"shared_{next(_numbers)}_{scalar}_{size}"  # modules are linked: unique in all of them
            memory = cgutils.add_global_variable(
                builder.module, ir.ArrayType(context.get_data_type(kind), size), name, addrspace=_SHARED
            )
            memory.align = 16
            memory.initializer = ir.Constant(memory.type.pointee, ir.Undefined)
            data = builder.bitcast(
                builder.addrspacecast(memory, ir.PointerType(memory.type.pointee)),
                context.get_data_type(kind).as_pointer(),
            )
            return array_of(context, builder, signature.return_type, data, size)

        return types.Array(kind, 1, "C")(), generate

    return array


def array_of(context: Any, builder: Any, kind: Any, data: Any, size: int) -> Any:
    """Numba's array of memory."""
    found, item_bytes = context.make_array(kind)(context, builder), kind.dtype.bitwidth // 8
    number = lambda value: context.get_constant(types.intp, value)  # noqa: E731
    context.populate_array(
        found, data=data, shape=[number(size)], strides=[number(item_bytes)], itemsize=number(item_bytes), meminfo=None
    )
    return found._getvalue()


def placing(scalar: str) -> Any:
    """A store without the test for negative indices that Python's has."""

    @intrinsic
    def place(typing: Any, array: Any, at: Any, value: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = context.make_array(array)(context, builder, value=args[0]).data
            builder.store(args[2], builder.gep(data, [builder.sext(args[1], _INT64)]))
            return context.get_dummy_value()

        return types.void(array, types.int32, numba_type(scalar)), generate

    return place


def taking(scalar: str) -> Any:
    """A load without that test."""

    @intrinsic
    def take(typing: Any, array: Any, at: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = context.make_array(array)(context, builder, value=args[0]).data
            return builder.load(builder.gep(data, [builder.sext(args[1], _INT64)]))

        return numba_type(scalar)(array, types.int32), generate

    return take


def putting(scalar: str, first: int, n: int) -> Any:
    """Stores n accumulators, 16 bytes at a time."""
    item_bytes = numba_type(scalar).bitwidth // 8
    lanes = 16 // item_bytes

    @intrinsic
    def put(typing: Any, array: Any, at: Any, acc: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            target, source = (
                context.make_array(kind)(context, builder, value=args[i]).data for i, kind in ((0, array), (2, acc))
            )
            target = builder.gep(target, [builder.sext(args[1], _INT64)])
            vector = ir.VectorType(target.type.pointee, lanes)
            for i in range(0, n, lanes):
                values = ir.Constant(vector, ir.Undefined)
                for j in range(lanes):
                    value = builder.load(builder.gep(source, [ir.Constant(_INT64, first + i + j)]))
                    values = builder.insert_element(values, value, ir.Constant(_INT32, j))
                place = builder.gep(target, [ir.Constant(_INT64, i)])
                stored = builder.store(values, builder.bitcast(place, vector.as_pointer()))
                stored.align = 16
            return context.get_dummy_value()

        return types.void(array, types.int32, acc), generate

    return put


def filling(scalar: str, first: int, n: int, value: float) -> Any:
    """Accumulators from `first` on."""

    @intrinsic
    def fill(typing: Any, acc: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            for slot in _slots(context, builder, acc, args[0], first, n):
                builder.store(ir.Constant(slot.type.pointee, value), slot)
            return context.get_dummy_value()

        return types.void(acc), generate

    return fill


def folding(scalar: str, n: int) -> Any:
    """The first n accumulators are added to the n behind them."""

    @intrinsic
    def fold(typing: Any, acc: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            slots = _slots(context, builder, acc, args[0], 0, 2 * n)
            for source, target in zip(slots[:n], slots[n:], strict=True):
                builder.store(builder.fadd(builder.load(target), builder.load(source)), target)
            return context.get_dummy_value()

        return types.void(acc), generate

    return fold


@device
def sync_warp() -> None:
    """The barrier of 32 threads."""
    cuda.syncwarp()


@intrinsic
def divide(typing: Any, a: Any, b: Any) -> tuple:
    """The quotient of int32 that are not negative: a third of the instructions of 64 bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.udiv(*args)

    return types.int32(types.int32, types.int32), generate


@intrinsic
def nearest(typing: Any, value: Any) -> tuple:
    """The nearest whole number of a float64, half to even."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(_DOUBLE, [_DOUBLE])
        return builder.call(ir.InlineAsm(kind, "cvt.rni.f64.f64 $0, $1;", "=d,d"), args)

    return types.float64(types.float64), generate


# Of float64, whatever the type of a result: errors of 1, 2 and 5 units in the last place, for float32 less than one.
exponential, hyperbolic, normal = cuda.libdevice.exp, cuda.libdevice.tanh, cuda.libdevice.normcdf


def _slots(context: Any, builder: Any, kind: Any, array: Any, first: int, n: int) -> list:
    """Pointers to elements of an array, at constant places."""
    data = context.make_array(kind)(context, builder, value=array).data
    return [builder.gep(data, [ir.Constant(_INT64, first + i)]) for i in range(n)]


def _global(builder: Any, pointer: Any) -> Any:
    return builder.addrspacecast(pointer, ir.PointerType(pointer.type.pointee, _GLOBAL))


def _neighbours(builder: Any, base: Any, item_bytes: int) -> Callable[[int, int], list]:
    """Values behind `base`, in vector loads where there are 16 bytes and the place allows them."""

    def load(offset: int, n: int) -> list:
        place = builder.gep(base, [ir.Constant(_INT64, offset)])
        if n == 1:
            return [builder.load(place)]
        vector = ir.VectorType(place.type.pointee, n)
        values = builder.load(builder.bitcast(place, vector.as_pointer()))
        values.align = n * item_bytes
        return [builder.extract_element(values, ir.Constant(_INT32, i)) for i in range(n)]

    return load


def _converted(builder: Any, value: Any, storage: str, scalar: str) -> Any:
    """An element as a scalar, by one rounding."""
    if storage == "float16":
        kind = ir.FunctionType(_FLOAT, [ir.IntType(16)])
        value, storage = builder.call(ir.InlineAsm(kind, "cvt.f32.f16 $0, $1;", "=f,h"), [value]), "float32"
    if storage.startswith("float"):
        if storage == scalar:
            return value
        return builder.fpext(value, _DOUBLE) if scalar == "float64" else builder.fptrunc(value, _FLOAT)
    unsigned = storage == "bool" or storage.startswith("u")
    if scalar.startswith("float"):
        target = _DOUBLE if scalar == "float64" else _FLOAT
        return builder.uitofp(value, target) if unsigned else builder.sitofp(value, target)
    if value.type.width == 64:
        return value
    return builder.zext(value, _INT64) if unsigned else builder.sext(value, _INT64)
