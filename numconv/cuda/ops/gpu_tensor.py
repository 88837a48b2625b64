"""Matrix products of a warp by tensor cores, and vectors of 16 bytes: compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.cuda import types
from numba.cuda.extending import intrinsic

from .gpu import _FLOAT, _INT32, _INT64, _SHARED, _global, _slots, numba_type
from .gpu_copies import _address

_PRODUCTS = {"tf32": "m16n8k8.row.col.f32.tf32.tf32.f32", "bf16": "m16n8k16.row.col.f32.bf16.bf16.f32",
             "f16": "m16n8k16.row.col.f32.f16.f16.f32"}  # fmt: skip
_SPLIT = """{
.reg .pred p; .reg .f32 size, high;
abs.f32 size, $2; setp.lt.f32 p, size, 0f7F7FF000;
mov.b32 $0, $2; add.u32 $0, $0, 4096; and.b32 $0, $0, 0xFFFFE000; selp.b32 $0, $0, 0, p;
mov.b32 high, $0; sub.f32 $1, $2, high;
}"""
_PAIRS = {"bf16": "cvt.rn.bf16x2.f32 $0, $1, $2;", "f16": "cvt.rn.f16x2.f32 $0, $1, $2;"}


def matrices(body: Callable, kind: str, size: int, words: bool = False) -> Any:
    """`size` accumulators of a lane are loaded, updated and stored, as by `unrolled`."""

    @intrinsic
    def step(typing: Any, acc: Any, memory: Any, rows: Any, columns: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            slots = _slots(context, builder, acc, args[0], 0, size)
            values = [builder.load(slot) for slot in slots]
            data = context.make_array(memory)(context, builder, value=args[1]).data
            left, right = (_places(builder, data, at) for at in args[2:])
            body(
                values,
                _fragments(builder, left),
                (_words if words else _fragments)(builder, right),
                _Warp(builder, kind),
            )
            for slot, value in zip(slots, values, strict=True):
                builder.store(value, slot)
            return context.get_dummy_value()

        return types.void(acc, memory, types.int32, types.int32), generate

    return step


def _places(builder: Any, data: Any, at: Any) -> Callable[[int, int], Any]:
    """The address in shared memory of (place ^ flip) + offset, in bytes."""
    place = builder.gep(data, [builder.sext(at, _INT64)])
    flipped = {0: builder.trunc(_address(builder, place, _SHARED), _INT32)}

    def address(offset: int, flip: int) -> Any:
        if flip not in flipped:
            flipped[flip] = builder.xor(flipped[0], ir.Constant(_INT32, flip))
        return builder.add(flipped[flip], ir.Constant(_INT32, offset))

    return address


def _fragments(builder: Any, address: Callable) -> Callable[[int, int], list]:
    """Four 8 x 8 matrices of 16-bit words, of which a lane names a row."""
    function = ir.FunctionType(ir.LiteralStructType([_INT32] * 4), [_INT32])
    text = "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {$0, $1, $2, $3}, [$4];"
    assembly = ir.InlineAsm(function, text, "=r,=r,=r,=r,r,~{memory}", side_effect=True)

    def load(offset: int, flip: int) -> list:
        found = builder.call(assembly, [address(offset, flip)], attrs=("convergent",))
        return [builder.extract_value(found, i) for i in range(4)]

    return load


def _words(builder: Any, address: Callable) -> Callable[[int, int], Any]:
    """A word of 32 bits."""
    function = ir.FunctionType(_INT32, [_INT32])
    assembly = ir.InlineAsm(function, "ld.shared.b32 $0, [$1];", "=r,r,~{memory}", side_effect=True)
    return lambda offset, flip: builder.call(assembly, [address(offset, flip)])


class _Warp:
    """What a body is given beside its operands.

    Products are "convergent", as loads of fragments are: not to be copied or moved to where only some lanes are.
    """

    def __init__(self, builder: Any, kind: str) -> None:
        self._builder = builder
        function = ir.FunctionType(ir.LiteralStructType([_FLOAT] * 4), [_INT32] * 6 + [_FLOAT] * 4)
        text = f"mma.sync.aligned.{_PRODUCTS[kind]} {{$0,$1,$2,$3}}, {{$4,$5,$6,$7}}, {{$8,$9}}, {{$10,$11,$12,$13}};"
        self._multiply = ir.InlineAsm(function, text, ",".join(["=f"] * 4 + ["r"] * 6 + ["f"] * 4))
        self._round = ir.InlineAsm(ir.FunctionType(_INT32, [_FLOAT]), "cvt.rna.tf32.f32 $0, $1;", "=r,f")
        function = ir.FunctionType(ir.LiteralStructType([_INT32, _FLOAT]), [_FLOAT])
        self._split = ir.InlineAsm(function, _SPLIT, "=&r,=&f,f")

    def zeros(self) -> list:
        """Four accumulators."""
        return [ir.Constant(_FLOAT, 0.0)] * 4

    def multiply(self, sums: list, rows: list, columns: list) -> list:
        """The sums and the products of fragments."""
        found = self._builder.call(self._multiply, [*rows, *columns, *sums], attrs=("convergent",))
        return [self._builder.extract_value(found, i) for i in range(4)]

    def add(self, a: Any, b: Any) -> Any:
        return self._builder.fadd(a, b)

    def rounded(self, word: Any) -> Any:
        """float32 to tf32, half away from zero."""
        return self._builder.call(self._round, [self._builder.bitcast(word, _FLOAT)])

    def split(self, word: Any) -> tuple[Any, Any]:
        """float32 as a sum of two tf32, but for its last bit; what is not finite is the second alone.

        The first is rounded: what is left has 12 bits, of which products take 11.
        """
        builder = self._builder
        found = builder.call(self._split, [builder.bitcast(word, _FLOAT)])
        return builder.extract_value(found, 0), builder.bitcast(builder.extract_value(found, 1), _INT32)


def copying_rows(storage: str, n: int, count: int, pitch: int) -> Any:
    """As `copying`, `count` times from places `plane` apart; row e goes to (at ^ (e & 3) * 8) + e * pitch."""
    kind = numba_type(storage)
    size = n * kind.bitwidth // 8
    text = f"cp.async.{'cg' if size == 16 else 'ca'}.shared.global [$0], [$1], {size}, $2;"
    assembly = ir.InlineAsm(
        ir.FunctionType(ir.VoidType(), [_INT32, _INT64, _INT32]), text, "r,l,r,~{memory}", side_effect=True
    )

    @intrinsic
    def copy(typing: Any, array: Any, at: Any, pointer: Any, offset: Any, plane: Any, there: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            target = _places(builder, context.make_array(array)(context, builder, value=args[0]).data, args[1])
            item_bytes = ir.Constant(_INT64, kind.bitwidth // 8)
            source = builder.ptrtoint(_global(builder, builder.gep(args[2], [args[3]])), _INT64)
            step = builder.mul(args[4], item_bytes)
            given = builder.select(args[5], ir.Constant(_INT32, size), ir.Constant(_INT32, 0))
            for e in range(count):
                place = target(e * pitch * kind.bitwidth // 8, (e & 3) * kind.bitwidth)
                builder.call(assembly, [place, source, given])
                source = builder.add(source, step)
            return context.get_dummy_value()

        return types.void(array, types.int32, types.CPointer(kind), types.int64, types.int64, types.boolean), generate

    return copy


def unloading(first: int, n: int, pitch: int) -> Any:
    """put(array, at, acc): n fragments of 16 x 8 accumulators, from `first` on, side by side in rows of `pitch`."""

    @intrinsic
    def put(typing: Any, array: Any, at: Any, acc: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = context.make_array(array)(context, builder, value=args[0]).data
            data = builder.gep(data, [builder.sext(args[1], _INT64)])
            slots = _slots(context, builder, acc, args[2], first, 4 * n)
            for i in range(2 * n):
                pair = ir.Constant(ir.VectorType(_FLOAT, 2), ir.Undefined)
                for j in range(2):
                    pair = builder.insert_element(pair, builder.load(slots[2 * i + j]), ir.Constant(_INT32, j))
                place = builder.gep(data, [ir.Constant(_INT64, i // 2 * 8 + i % 2 * 8 * pitch)])
                builder.store(pair, builder.bitcast(place, pair.type.as_pointer())).align = 8
            return context.get_dummy_value()

        return types.void(array, types.int32, acc), generate

    return put


def leaving(n: int, pitch: int) -> Any:
    """leave(pointer, offset, acc): n accumulators, `pitch` apart."""

    @intrinsic
    def leave(typing: Any, pointer: Any, offset: Any, acc: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            first = builder.gep(_global(builder, args[0]), [args[1]])
            for i, slot in enumerate(_slots(context, builder, acc, args[2], 0, n)):
                builder.store(builder.load(slot), builder.gep(first, [ir.Constant(_INT64, i * pitch)]))
            return context.get_dummy_value()

        return types.void(types.CPointer(types.float32), types.int64, acc), generate

    return leave


def taking_up(n: int, pitch: int) -> Any:
    """add(acc, pointer, offset): what was left so is added."""

    @intrinsic
    def add(typing: Any, acc: Any, pointer: Any, offset: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            first = builder.gep(_global(builder, args[1]), [args[2]])
            places = [builder.gep(first, [ir.Constant(_INT64, i * pitch)]) for i in range(n)]
            values = [builder.load(place) for place in places]
            for slot, value in zip(_slots(context, builder, acc, args[0], 0, n), values, strict=True):
                builder.store(builder.fadd(builder.load(slot), value), slot)
            return context.get_dummy_value()

        return types.void(acc, types.CPointer(types.float32), types.int64), generate

    return add


def lifting(n: int) -> Any:
    """lift(values, array, at): n neighbours of float32, all at once."""

    @intrinsic
    def lift(typing: Any, values: Any, array: Any, at: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = context.make_array(array)(context, builder, value=args[1]).data
            data = builder.gep(data, [builder.sext(args[2], _INT64)])
            vector = builder.load(builder.bitcast(data, ir.VectorType(_FLOAT, n).as_pointer()))
            vector.align = 4 * n
            for i, slot in enumerate(_slots(context, builder, values, args[0], 0, n)):
                builder.store(builder.extract_element(vector, ir.Constant(_INT32, i)), slot)
            return context.get_dummy_value()

        return types.void(values, array, types.int32), generate

    return lift


def storing_as(kind: str, storage: str, n: int) -> Any:
    """store(pointer, offset, values): n float32 as neighbours of a kind (float32, tf32, bf16, f16), all at once."""

    @intrinsic
    def store(typing: Any, pointer: Any, offset: Any, values: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            found = [builder.load(slot) for slot in _slots(context, builder, values, args[2], 0, n)]
            words = _packed(builder, kind, found)
            vector = ir.Constant(ir.VectorType(_INT32, len(words)), ir.Undefined)
            for i, word in enumerate(words):
                vector = builder.insert_element(vector, word, ir.Constant(_INT32, i))
            place = _global(builder, builder.gep(args[0], [args[1]]))
            builder.store(vector, builder.bitcast(place, ir.PointerType(vector.type, 1))).align = 4 * len(words)
            return context.get_dummy_value()

        return types.void(types.CPointer(numba_type(storage)), types.int64, values), generate

    return store


def _packed(builder: Any, kind: str, values: list) -> list:
    """Words of 32 bits."""
    if kind == "tf32":
        function = ir.FunctionType(_INT32, [_FLOAT])
        return [builder.call(ir.InlineAsm(function, "cvt.rna.tf32.f32 $0, $1;", "=r,f"), [v]) for v in values]
    if kind not in _PAIRS:
        return [builder.bitcast(value, _INT32) for value in values]
    pair = ir.InlineAsm(ir.FunctionType(_INT32, [_FLOAT, _FLOAT]), _PAIRS[kind], "=r,f,f")
    return [builder.call(pair, [high, low]) for low, high in zip(values[::2], values[1::2], strict=True)]
