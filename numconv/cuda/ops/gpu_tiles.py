"""Several elements at a time, between memory and registers: compiled."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.cuda import types
from numba.cuda.extending import intrinsic

from .gpu import _INT32, _INT64, _global, _slots, numba_type


def pointing(storage: str) -> Any:
    """A pointer so many elements further on, which LLVM does not take apart again: one addition for an offset to it."""
    kind = types.CPointer(numba_type(storage))

    @intrinsic
    def move(typing: Any, pointer: Any, offset: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            moved = builder.gep(args[0], [args[1]])
            function = ir.FunctionType(moved.type, [moved.type])
            return builder.call(ir.InlineAsm(function, "mov.b64 $0, $1;", "=l,l"), [moved])

        return kind(kind, types.int64), generate

    return move


def looking(storage: str, n: int) -> Any:
    """One load of n neighbours, aligned to all of them; by the read-only path."""
    kind = numba_type(storage)

    @intrinsic
    def read(typing: Any, pointer: Any, offset: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            values = builder.load(_vector(builder, builder.gep(_global(builder, args[0]), [args[1]]), n))
            values.align = n * kind.bitwidth // 8
            values.set_metadata("invariant.load", builder.module.add_metadata([]))
            return context.make_tuple(builder, signature.return_type, _lanes(builder, values, n))

        return types.UniTuple(kind, n)(types.CPointer(kind), types.int64), generate

    return read


def saving(storage: str, n: int) -> Any:
    """One store of a tuple of n, aligned to all of them."""
    kind = numba_type(storage)

    @intrinsic
    def store(typing: Any, pointer: Any, offset: Any, values: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place = _vector(builder, builder.gep(_global(builder, args[0]), [args[1]]), n)
            stored = builder.store(_joined(builder, [builder.extract_value(args[2], i) for i in range(n)]), place)
            stored.align = n * kind.bitwidth // 8
            return context.get_dummy_value()

        return types.void(types.CPointer(kind), types.int64, types.UniTuple(kind, n)), generate

    return store


def outer(acc: list, slow: list, fast: list, fma: Any) -> None:
    """One instruction for each product, within `unrolled`."""
    for i, a in enumerate(slow):
        for j, b in enumerate(fast):
            acc[i * len(fast) + j] = fma(a, b, acc[i * len(fast) + j])


def laying(scalar: str, n: int, pitch: int) -> Any:
    """Stores of accumulators, 16 bytes at a time and `pitch` apart."""
    return _between(scalar, n, pitch, False)


def heaping(scalar: str, n: int, pitch: int) -> Any:
    """The same, added to what lies there."""
    return _between(scalar, n, pitch, True)


def collecting(scalar: str, n: int, pitch: int) -> Any:
    """A tuple of n elements `pitch` apart; neighbours, aligned to all of them, in one load."""
    kind = numba_type(scalar)

    @intrinsic
    def take(typing: Any, array: Any, at: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = context.make_array(array)(context, builder, value=args[0]).data
            data = builder.gep(data, [builder.sext(args[1], _INT64)])
            if pitch == 1:
                together = builder.load(_vector(builder, data, n))
                together.align = n * kind.bitwidth // 8
                values = _lanes(builder, together, n)
            else:
                values = [builder.load(builder.gep(data, [ir.Constant(_INT64, i * pitch)])) for i in range(n)]
            return context.make_tuple(builder, signature.return_type, values)

        return types.UniTuple(kind, n)(array, types.int32), generate

    return take


def _between(scalar: str, n: int, pitch: int, added: bool) -> Any:
    kind = numba_type(scalar)
    lanes = 128 // kind.bitwidth

    @intrinsic
    def lay(typing: Any, array: Any, at: Any, acc: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = context.make_array(array)(context, builder, value=args[0]).data
            data = builder.gep(data, [builder.sext(args[1], _INT64)])
            slots = _slots(context, builder, acc, args[2], 0, n)
            for i in range(n // lanes):
                place = _vector(builder, builder.gep(data, [ir.Constant(_INT64, i * pitch)]), lanes)
                values = [builder.load(slot) for slot in slots[i * lanes : (i + 1) * lanes]]
                if added:
                    before = builder.load(place)
                    before.align = 16
                    values = [builder.fadd(*pair) for pair in zip(_lanes(builder, before, lanes), values, strict=True)]
                builder.store(_joined(builder, values), place).align = 16
            return context.get_dummy_value()

        return types.void(array, types.int32, acc), generate

    return lay


def _vector(builder: Any, place: Any, n: int) -> Any:
    """A pointer to n elements."""
    vector = ir.VectorType(place.type.pointee, n)
    return builder.bitcast(place, vector.as_pointer(place.type.addrspace))


def _lanes(builder: Any, values: Any, n: int) -> list:
    return [builder.extract_element(values, ir.Constant(_INT32, i)) for i in range(n)]


def _joined(builder: Any, values: list) -> Any:
    found = ir.Constant(ir.VectorType(values[0].type, len(values)), ir.Undefined)
    for i, value in enumerate(values):
        found = builder.insert_element(found, value, ir.Constant(_INT32, i))
    return found
