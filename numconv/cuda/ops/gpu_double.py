"""Products of float64 by tensor cores, and stores of their results: compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.cuda import cgutils, types
from numba.cuda.extending import intrinsic

from .gpu import _DOUBLE, _GLOBAL, _INT32, _INT64, _global, _neighbours, numba_type

LARGE = 900
"""From this architecture on there is the product of 16 x 16 by 16 x 8; others make it of 8 of 8 x 4 by 4 x 8."""


def multiplying_doubles(body: Callable, size: int, kept: int) -> Any:
    """Products of matrices, ``mma(c, a, b)``, once for each c; `kept` values stay from call to call."""

    def generate(builder: Any, slots: list, a: Callable, b: Callable) -> None:
        is_large = builder.icmp_signed(">=", _architecture(builder), ir.Constant(_INT32, LARGE))
        with builder.if_else(is_large) as branches:  # decided before code is made: nothing is left of the other
            for branch, product in zip(branches, (_large, _small), strict=True):
                with branch:
                    values = [builder.load(slot) for slot in slots]
                    sums, own = values[:size], values[size:]
                    body(sums, own, a, b, lambda *operands, product=product: product(builder, *operands))
                    _store(builder, sums + own, slots)

    return _micro(generate, (size, kept), 8)


def negating(body: Callable, scalar: str, size: int) -> Any:
    """As `unrolled`; the body is also given ``minus(value)``."""

    def generate(builder: Any, slots: list, a: Callable, b: Callable) -> None:
        values = [builder.load(slot) for slot in slots]
        body(values, a, b, builder.fma, lambda value: builder.fsub(ir.Constant(value.type, -0.0), value))
        _store(builder, values, slots)

    return _micro(generate, (size,), numba_type(scalar).bitwidth // 8)


def _micro(make: Callable, sizes: tuple[int, ...], item_bytes: int) -> Any:
    """Of so many elements of one or two arrays in registers, and of two in shared memory, from a place on."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        arrays = [
            context.make_array(kind)(context, builder, value=value).data if hasattr(kind, "dtype") else value
            for kind, value in zip(signature.args, args, strict=True)
        ]
        slots = [
            builder.gep(array, [ir.Constant(_INT64, i)])
            for array, size in zip(arrays, sizes, strict=False)
            for i in range(size)
        ]
        a, at, b, bt = arrays[len(sizes) :]
        sources = [_flipping(builder, array, start, item_bytes) for array, start in ((a, at), (b, bt))]
        make(builder, slots, *sources)
        return context.get_dummy_value()

    if len(sizes) == 1:

        @intrinsic
        def micro(typing: Any, acc: Any, a: Any, at: Any, b: Any, bt: Any) -> tuple:
            return types.void(acc, a, types.int32, b, types.int32), generate

        return micro

    @intrinsic
    def keeping(typing: Any, acc: Any, kept: Any, a: Any, at: Any, b: Any, bt: Any) -> tuple:
        return types.void(acc, kept, a, types.int32, b, types.int32), generate

    return keeping


def _flipping(builder: Any, array: Any, start: Any, item_bytes: int) -> Callable[..., list]:
    """Values behind a place, some bits of which may be flipped."""

    def load(offset: int, n: int, flip: int = 0) -> list:
        at = builder.xor(start, ir.Constant(_INT32, flip)) if flip else start
        return _neighbours(builder, builder.gep(array, [builder.sext(at, _INT64)]), item_bytes)(offset, n)

    return load


def _store(builder: Any, values: list, slots: list) -> None:
    for value, slot in zip(values, slots, strict=True):
        builder.store(value, slot)


def _architecture(builder: Any) -> Any:
    """Ten times the number in "sm_90", which NVVM puts in."""
    text = bytearray(b"__CUDA_ARCH\0")
    kind = ir.ArrayType(ir.IntType(8), len(text))
    name = builder.module.globals.get("numconv_architecture")
    if name is None:
        name = cgutils.add_global_variable(builder.module, kind, "numconv_architecture")
        name.initializer, name.global_constant, name.linkage = ir.Constant(kind, text), True, "internal"
    pointer = ir.IntType(8).as_pointer()
    reflect = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_INT32, [pointer]), "__nvvm_reflect")
    return builder.call(reflect, [builder.bitcast(name, pointer)])


def _large(builder: Any, c: list, a: list, b: list) -> list:
    return _product(builder, "m16n8k16", c, a, b)


def _small(builder: Any, c: list, a: list, b: list) -> list:
    """The same fragments: those of the upper and of the lower 8 rows alternate in `a`."""
    upper, lower = c[:2], c[2:]
    for k in range(4):
        upper = _product(builder, "m8n8k4", upper, a[2 * k : 2 * k + 1], b[k : k + 1])
        lower = _product(builder, "m8n8k4", lower, a[2 * k + 1 : 2 * k + 2], b[k : k + 1])
    return upper + lower


def _product(builder: Any, shape: str, c: list, a: list, b: list) -> list:
    """Of all lanes of a warp: "convergent", not to be copied or moved to where only some of them are."""
    operands, n = [*a, *b, *c], len(c)
    groups, first = [], n
    for part in (a, b, c):
        groups.append("{" + ",".join(f"${first + i}" for i in range(len(part))) + "}")
        first += len(part)
    target = "{" + ",".join(f"${i}" for i in range(n)) + "}"
    text = f"mma.sync.aligned.{shape}.row.col.f64.f64.f64.f64 {', '.join([target, *groups])};"
    function = ir.FunctionType(ir.LiteralStructType([_DOUBLE] * n), [_DOUBLE] * len(operands))
    constraints = ",".join(["=d"] * n + ["d"] * len(operands))
    found = builder.call(ir.InlineAsm(function, text, constraints), operands, attrs=("convergent",))
    return [builder.extract_value(found, i) for i in range(n)]


def both(storage: str) -> Any:
    """Two neighbours of 8 bytes, from an even place on, by the read-only path."""
    kind = numba_type(storage)

    @intrinsic
    def load(typing: Any, pointer: Any, offset: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place = builder.gep(_global(builder, args[0]), [args[1]])
            vector = ir.VectorType(place.type.pointee, 2)
            values = builder.load(builder.bitcast(place, ir.PointerType(vector, _GLOBAL)))
            values.align = 16
            values.set_metadata("invariant.load", builder.module.add_metadata([]))
            parts = [builder.extract_element(values, ir.Constant(_INT32, i)) for i in range(2)]
            return context.make_tuple(builder, signature.return_type, parts)

        return types.UniTuple(kind, 2)(types.CPointer(kind), types.int64), generate

    return load


def scattering(scalar: str, first: int, n: int, offsets: tuple[int, ...]) -> Any:
    """Groups of n accumulators, each in one store."""
    item_bytes = numba_type(scalar).bitwidth // 8

    @intrinsic
    def scatter(typing: Any, array: Any, at: Any, acc: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            target, source = (
                context.make_array(kind)(context, builder, value=args[i]).data for i, kind in ((0, array), (2, acc))
            )
            target = builder.gep(target, [builder.sext(args[1], _INT64)])
            vector = ir.VectorType(target.type.pointee, n)
            for group, offset in enumerate(offsets):
                values = ir.Constant(vector, ir.Undefined)
                for i in range(n):
                    slot = builder.gep(source, [ir.Constant(_INT64, first + group * n + i)])
                    values = builder.insert_element(values, builder.load(slot), ir.Constant(_INT32, i))
                place = builder.gep(target, [ir.Constant(_INT64, offset)])
                builder.store(values, builder.bitcast(place, vector.as_pointer())).align = n * item_bytes
            return context.get_dummy_value()

        return types.void(array, types.int32, acc), generate

    return scatter
