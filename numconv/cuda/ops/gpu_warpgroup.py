"""Products of 128 threads whose operands lie in shared memory (wgmma, sm_90a), and what feeds them: compiled."""

from __future__ import annotations

from itertools import product as product_of
from typing import Any

from llvmlite import ir
from numba.cuda import types
from numba.cuda.extending import intrinsic

from .gpu import _FLOAT, _GLOBAL, _INT32, _INT64, _SHARED, _converted, _global, _slots, numba_type
from .gpu_copies import _address, _statement

_KINDS = {"bf16": (16, "bf16"), "f16": (16, "f16"), "tf32": (8, "tf32")}
_LAYOUT = 1 << 62 | 1024 >> 4 << 32 | 1 << 16  # swizzle of 128 bytes; 1024 bytes from 8 rows to the next


@intrinsic
def descriptor(typing: Any, array: Any, at: Any) -> tuple:
    """Of rows of 128 bytes from byte `at` on, swizzled."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        low = builder.and_(_shared(context, builder, array, args), ir.Constant(_INT32, 0x3FFFF))
        low = builder.zext(builder.lshr(low, ir.Constant(_INT32, 4)), _INT64)
        return builder.or_(low, ir.Constant(_INT64, _LAYOUT))

    return types.uint64(array, types.int32), generate


def multiplying(kind: str, N: int, pairs: tuple[tuple[int, int], ...] = ((0, 0),)) -> Any:
    """128 bytes of K, four instructions for each pair of operands so many bytes further on; a group of their own.

    The first ones may start sums anew: zeros in registers that products are to add to took two instructions each.
    """
    depth, name = _KINDS[kind]
    count = N // 2
    registers, ends = ", ".join(f"${i}" for i in range(count)), "" if kind == "tf32" else ", 0, 0"
    text = (
        f"{{ .reg .pred p; setp.ne.b64 p, ${2 * count + 2}, 0; "
        f"wgmma.mma_async.sync.aligned.m64n{N}k{depth}.f32.{name}.{name} "
        f"{{{registers}}}, ${2 * count}, ${2 * count + 1}, p, 1, 1{ends}; }}"
    )

    @intrinsic
    def product(typing: Any, acc: Any, a: Any, b: Any, more: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            _say(builder, "wgmma.fence.sync.aligned;")
            added = builder.zext(args[3], _INT64)
            for pair, step in product_of(pairs, range(4)):
                ahead = [ir.Constant(_INT64, (offset >> 4) + 2 * step) for offset in pair]
                operands = [builder.add(each, further) for each, further in zip(args[1:3], ahead, strict=True)]
                _tied(context, builder, acc, args[0], count, text, [*operands, added])
                added = ir.Constant(_INT64, 1)
            _say(builder, "wgmma.commit_group.sync.aligned;")
            return context.get_dummy_value()

        return types.void(acc, types.uint64, types.uint64, types.int32), generate

    return product


def settling(N: int) -> Any:
    """Until all groups are finished; the accumulators are used behind it, not before."""

    @intrinsic
    def settle(typing: Any, acc: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            _tied(context, builder, acc, args[0], N // 2, "wgmma.wait_group.sync.aligned 0;", [])
            return context.get_dummy_value()

        return types.void(acc), generate

    return settle


def finished(groups: int) -> Any:
    """Until all but the last so many groups of products have read what they read."""
    return _statement(f"wgmma.wait_group.sync.aligned {groups};")


fence_copies = _statement("fence.proxy.async.shared::cta;")


def gathering(n: int, pitch: int) -> Any:
    """Copies of 16 bytes to n rows `pitch` bytes apart."""
    text = "cp.async.cg.shared.global [$0 + {}], [$1], 16, $2;"

    @intrinsic
    def gather(typing: Any, array: Any, at: Any, pointer: Any, origins: Any, piece: Any, there: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            target = _shared(context, builder, array, args)
            size = builder.select(args[5], ir.Constant(_INT32, 16), ir.Constant(_INT32, 0))
            base = _address(builder, args[2], _GLOBAL)
            for i, slot in enumerate(_slots(context, builder, origins, args[3], 0, n)):
                sum_of = builder.sext(builder.add(builder.load(slot), args[4]), _INT64)
                source = builder.add(base, builder.shl(sum_of, ir.Constant(_INT64, 4)))
                function = ir.FunctionType(ir.VoidType(), [_INT32, _INT64, _INT32])
                _call(builder, function, text.format(i * pitch), "r,l,r,~{memory}", [target, source, size])
            return context.get_dummy_value()

        byte = types.CPointer(types.uint8)
        return types.void(array, types.int32, byte, origins, types.int32, types.boolean), generate

    return gather


def streaming(n: int, pitch: int) -> Any:
    """Copies of 16 bytes, `pitch` bytes apart on both sides."""

    @intrinsic
    def stream(typing: Any, array: Any, at: Any, pointer: Any, offset: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            target = _shared(context, builder, array, args)
            source = builder.add(_address(builder, args[2], _GLOBAL), args[3])
            for i in range(0, n * pitch, pitch):
                function = ir.FunctionType(ir.VoidType(), [_INT32, _INT64])
                text = f"cp.async.cg.shared.global [$0 + {i}], [$1 + {i}], 16;"
                _call(builder, function, text, "r,l,~{memory}", [target, source])
            return context.get_dummy_value()

        return types.void(array, types.int32, types.CPointer(types.uint8), types.int64), generate

    return stream


def spreading(N: int, first: int, down: int, right: int) -> Any:
    """A thread's part of 64 x N sums: one at a time, or in pairs where columns are neighbours."""

    @intrinsic
    def spread(typing: Any, array: Any, at: Any, acc: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = context.make_array(array)(context, builder, value=args[0]).data
            target = builder.gep(data, [builder.sext(args[1], _INT64)])
            slots, pair = _slots(context, builder, acc, args[2], first, N // 2), ir.VectorType(_FLOAT, 2)
            for i in range(0, N // 2, 2):
                offset = i // 4 * 8 * right + i // 2 % 2 * 8 * down
                values = [builder.load(slots[i + e]) for e in range(2)]
                places = [builder.gep(target, [ir.Constant(_INT64, offset + e * right)]) for e in range(2)]
                if right > 1:
                    for value, place in zip(values, places, strict=True):
                        builder.store(value, place)
                    continue
                both = ir.Constant(pair, ir.Undefined)
                for e, value in enumerate(values):
                    both = builder.insert_element(both, value, ir.Constant(_INT32, e))
                builder.store(both, builder.bitcast(places[0], pair.as_pointer())).align = 8
            return context.get_dummy_value()

        return types.void(array, types.int32, acc), generate

    return spread


def fetching(storage: str, first: int, n: int) -> Any:
    """Neighbours of the caller's memory, of up to 16 bytes, as float32 from number `first` of `values` on."""
    kind = numba_type(storage)

    @intrinsic
    def fetch(typing: Any, values: Any, pointer: Any, offset: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            source = builder.gep(_global(builder, args[1]), [args[2]])
            vector = ir.VectorType(source.type.pointee, n)
            found = builder.load(builder.bitcast(source, ir.PointerType(vector, _GLOBAL)))
            found.align = n * kind.bitwidth // 8
            found.set_metadata("invariant.load", builder.module.add_metadata([]))
            for i, slot in enumerate(_slots(context, builder, values, args[0], first, n)):
                value = builder.extract_element(found, ir.Constant(_INT32, i))
                builder.store(_converted(builder, value, storage, "float32"), slot)
            return context.get_dummy_value()

        return types.void(values, types.CPointer(kind), types.int64), generate

    return fetch


def pouring(kind: str, part: int) -> Any:
    """Values rounded to a kind (`part` 1: what that leaves of them), 16 bytes; two of 16 bits by one instruction."""
    each = 1 if kind == "tf32" else 2
    function = ir.FunctionType(_INT32, [_FLOAT] * each)
    name, constraints = ("rna.tf32", "=r,f") if each == 1 else (f"rn.{kind}x2", "=r,f,f")
    text = f"cvt.{name}.f32 $0, {', '.join(f'${each - i}' for i in range(each))};"

    def word(builder: Any, values: list) -> Any:
        return _call(builder, function, text, constraints, values, False)

    @intrinsic
    def pour(typing: Any, pointer: Any, offset: Any, values: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            loaded = [builder.load(slot) for slot in _slots(context, builder, values, args[2], 0, 4 * each)]
            if part:
                high = [builder.bitcast(word(builder, [value]), _FLOAT) for value in loaded]
                loaded = [builder.fsub(value, most) for value, most in zip(loaded, high, strict=True)]
            vector = ir.VectorType(_INT32, 4)
            found = ir.Constant(vector, ir.Undefined)
            for i in range(4):
                one = word(builder, loaded[each * i : each * (i + 1)])
                found = builder.insert_element(found, one, ir.Constant(_INT32, i))
            place = builder.gep(_global(builder, args[0]), [args[1]])
            builder.store(found, builder.bitcast(place, ir.PointerType(vector, _GLOBAL))).align = 16
            return context.get_dummy_value()

        return types.void(types.CPointer(types.uint8), types.int64, values), generate

    return pour


def _tied(context: Any, builder: Any, kind: Any, acc: Any, n: int, text: str, others: list) -> None:
    """An instruction that may change n accumulators."""
    slots = _slots(context, builder, kind, acc, 0, n)
    values = [builder.load(slot) for slot in slots]
    function = ir.FunctionType(ir.LiteralStructType([_FLOAT] * n), [_FLOAT] * n + [_INT64] * len(others))
    constraints = ",".join([*["=f"] * n, *map(str, range(n)), *["l"] * len(others), "~{memory}"])
    found = _call(builder, function, text, constraints, [*values, *others])
    for i, slot in enumerate(slots):
        builder.store(builder.extract_value(found, i), slot)


def _shared(context: Any, builder: Any, array: Any, args: Any) -> Any:
    """The address (int32, in the window of shared memory) of element args[1] of array args[0]."""
    data = context.make_array(array)(context, builder, value=args[0]).data
    place = builder.gep(data, [builder.sext(args[1], _INT64)])
    return builder.trunc(_address(builder, place, _SHARED), _INT32)


def _say(builder: Any, text: str) -> None:
    _call(builder, ir.FunctionType(ir.VoidType(), []), text, "~{memory}", [])


def _call(builder: Any, function: Any, text: str, constraints: str, args: list, effects: bool = True) -> Any:
    """What has effects is done by all threads of a warp together: not to be moved to where some of them are not."""
    attributes = ("convergent",) if effects else ()
    return builder.call(ir.InlineAsm(function, text, constraints, side_effect=effects), args, attrs=attributes)
