"""Several neighbours at once between global memory and registers: compiled."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.cuda import types
from numba.cuda.extending import intrinsic

from .gpu import _GLOBAL, _INT32, _INT64, _converted, _global, _neighbours, _slots, numba_type

NOWHERE = -(2**31)
"""The place of what is padding."""
_REGISTERS = {1: ("h", "u8", 16), 2: ("h", "b16", 16), 4: ("r", "b32", 32), 8: ("l", "b64", 64)}
"""By bytes of an element: the constraint, the type in PTX and the bits of a register that takes it."""


def windowing(storage: str, scalar: str, first: int, places: int, loads: int, n: int, padded: bool) -> Any:
    """`loads` times n neighbours at each of so many places, to places from `first` on; `pad` where one is NOWHERE."""
    source = _Source(storage, scalar, n)

    @intrinsic
    def window(typing: Any, array: Any, pointer: Any, offset: Any, at: Any, there: Any, pad: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            slots = _slots(context, builder, array, args[0], first, places * loads * n)
            address = builder.ptrtoint(_global(builder, builder.gep(args[1], [args[2]])), _INT64)
            for i, slot in enumerate(_slots(context, builder, at, args[3], 0, places)):
                place = builder.load(slot)
                for j in range(loads):
                    which = slots[(i * loads + j) * n : (i * loads + j + 1) * n]
                    source.load(builder, which, address, (place, j * n), args[4], args[5] if padded else None)
            return context.get_dummy_value()

        kinds = array, types.CPointer(numba_type(storage)), types.int64, at, types.boolean
        return types.void(*kinds, numba_type(scalar)), generate

    return window


def locating(offsets: tuple[int, ...], n: int, table: bool) -> Any:
    """Where n samples lie that positions along an axis show, `scale` elements apart: into an int32 array."""

    @intrinsic
    def locate(
        typing: Any, at: Any, first: Any, step: Any, last: Any, size: Any, scale: Any, pointer: Any, start: Any
    ) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            zero, size = ir.Constant(_INT32, 0), args[4]
            for offset, slot in zip(offsets, _slots(context, builder, at, args[0], 0, len(offsets)), strict=True):
                position = builder.add(args[1], builder.mul(args[2], ir.Constant(_INT32, offset)))
                position = builder.select(builder.icmp_signed(">", position, args[3]), args[3], position)
                before = builder.icmp_signed("<", position, zero)
                beyond = builder.icmp_signed(">", position, builder.sub(size, ir.Constant(_INT32, n)))
                outside = builder.or_(before, beyond)
                if table:
                    shown = builder.select(before, position, builder.sub(position, size))
                    shown = builder.add(builder.select(outside, shown, zero), args[7])
                    row = builder.load(builder.gep(_global(builder, args[6]), [builder.sext(shown, _INT64)]))
                    position = builder.select(outside, builder.trunc(row, _INT32), position)
                place = builder.mul(position, args[5])
                builder.store(place if table else builder.select(outside, ir.Constant(_INT32, NOWHERE), place), slot)
            return context.get_dummy_value()

        return types.void(at, *[types.int32] * 5, types.CPointer(types.int64), types.int32), generate

    return locate


def boxing(storage: str, scalar: str, sizes: tuple[int, ...]) -> Any:
    """A box of elements into an array in registers, the last axis fastest; `steps`: between neighbours of an axis."""

    @intrinsic
    def box(typing: Any, array: Any, pointer: Any, offset: Any, steps: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            slots = _slots(context, builder, array, args[0], 0, int(np.prod(sizes)))
            start = builder.gep(_global(builder, args[1]), [args[2]])
            steps_of = [builder.extract_value(args[3], axis) for axis in range(len(sizes))]
            for slot, index in zip(slots, product(*map(range, sizes)), strict=True):
                at: Any = ir.Constant(_INT64, 0)
                for step, i in zip(steps_of, index, strict=True):
                    at = builder.add(at, builder.mul(step, ir.Constant(_INT64, i)))
                value = builder.load(builder.gep(start, [at]))
                value.set_metadata("invariant.load", builder.module.add_metadata([]))
                builder.store(_converted(builder, value, storage, scalar), slot)
            return context.get_dummy_value()

        kinds = array, types.CPointer(numba_type(storage)), types.int64, types.UniTuple(types.int64, len(sizes))
        return types.void(*kinds), generate

    return box


def storing(storage: str, scalar: str, first: int, n: int) -> Any:
    """One store of n neighbours from places `first` and on of an array in registers."""

    @intrinsic
    def store(typing: Any, pointer: Any, offset: Any, array: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            values = [
                _stored(builder, builder.load(slot), storage, scalar)
                for slot in _slots(context, builder, array, args[2], first, n)
            ]
            place = builder.gep(_global(builder, args[0]), [args[1]])
            if n == 1:
                builder.store(values[0], place)
                return context.get_dummy_value()
            vector = ir.VectorType(values[0].type, n)
            packed: Any = ir.Constant(vector, ir.Undefined)
            for i, value in enumerate(values):
                packed = builder.insert_element(packed, value, ir.Constant(_INT32, i))
            stored = builder.store(packed, builder.bitcast(place, ir.PointerType(vector, _GLOBAL)))
            stored.align = n * np.dtype(storage).itemsize
            return context.get_dummy_value()

        return types.void(types.CPointer(numba_type(storage)), types.int64, array), generate

    return store


def picking(scalar: str, i: int) -> Any:
    """Element i of an array in registers."""

    @intrinsic
    def pick(typing: Any, array: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.load(_slots(context, builder, array, args[0], i, 1)[0])

        return numba_type(scalar)(array), generate

    return pick


def keeping(scalar: str, i: int) -> Any:
    """A value becomes element i of an array in registers."""

    @intrinsic
    def keep(typing: Any, array: Any, value: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            builder.store(args[1], _slots(context, builder, array, args[0], i, 1)[0])
            return context.get_dummy_value()

        return types.void(array, numba_type(scalar)), generate

    return keep


def getting(scalar: str, first: int, n: int) -> Any:
    """Elements of shared memory, 16 bytes at a time, to places from `first` on of an array in registers."""
    item_bytes = np.dtype(scalar).itemsize

    @intrinsic
    def get(typing: Any, array: Any, at: Any, acc: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = context.make_array(array)(context, builder, value=args[0]).data
            near = _neighbours(builder, builder.gep(data, [builder.sext(args[1], _INT64)]), item_bytes)
            values = [value for i in range(0, n, 16 // item_bytes) for value in near(i, 16 // item_bytes)]
            for slot, value in zip(_slots(context, builder, acc, args[2], first, n), values, strict=True):
                builder.store(value, slot)
            return context.get_dummy_value()

        return types.void(array, types.int32, acc), generate

    return get


def moving(scalar: str, first: int, to: int, n: int) -> Any:
    """Elements of one array in registers to another."""

    @intrinsic
    def move(typing: Any, source: Any, target: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            sources = _slots(context, builder, source, args[0], first, n)
            for slot, place in zip(sources, _slots(context, builder, target, args[1], to, n), strict=True):
                builder.store(builder.load(slot), place)
            return context.get_dummy_value()

        return types.void(source, target), generate

    return move


def guarded(bodies: dict[int, Callable], scalar: str, size: int) -> Any:
    """As `unrolled`, of arrays in registers: those bodies whose numbers are not below `low` nor above `high`."""
    item_bytes = np.dtype(scalar).itemsize

    @intrinsic
    def micro(typing: Any, acc: Any, a: Any, b: Any, low: Any, high: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            slots = _slots(context, builder, acc, args[0], 0, size)
            sources = [
                _neighbours(builder, context.make_array(kind)(context, builder, value=value).data, item_bytes)
                for kind, value in ((a, args[1]), (b, args[2]))
            ]
            for number, body in bodies.items():
                this = ir.Constant(_INT32, number)
                between = builder.and_(
                    builder.icmp_signed("<=", args[3], this), builder.icmp_signed(">=", args[4], this)
                )
                with builder.if_then(between):
                    values = [builder.load(slot) for slot in slots]
                    body(values, *sources, builder.fma)
                    for slot, value in zip(slots, values, strict=True):
                        builder.store(value, slot)
            return context.get_dummy_value()

        return types.void(acc, a, b, types.int32, types.int32), generate

    return micro


class _Source(NamedTuple):
    """Loads of n neighbours under a predicate, not a branch: a window is one sequence without jumps."""

    storage: str
    scalar: str
    n: int

    def load(self, builder: Any, slots: list, address: Any, place: tuple[Any, int], there: Any, pad: Any) -> None:
        """From `place` (elements at run time, and a constant) behind an address, if it is not NOWHERE.

        The sum of the two is in PTX: as LLVM's, it was kept in two registers for each place through all rows.
        """
        item_bytes, n = np.dtype(self.storage).itemsize, self.n
        letter, kind, bits = _REGISTERS[item_bytes]
        names = [f"${i}" for i in range(n)]
        targets = names[0] if n == 1 else "{" + ", ".join(names) + "}"
        load = f"@p ld.global.nc{f'.v{n}' if n > 1 else ''}.{kind} {targets},"
        zeros = " ".join(f"mov.b{bits} {name}, 0;" for name in names)
        least = builder.select(there, ir.Constant(_INT32, NOWHERE), ir.Constant(_INT32, 2**31 - 1))
        there = builder.icmp_signed(">", place[0], least)
        text = (
            f"setp.gt.s32 p, ${n + 1}, ${n + 2}; mad.wide.s32 a, ${n + 1}, {item_bytes}, ${n}; "
            f"{zeros} {load} [a + {place[1] * item_bytes}];"
        )
        args = [address, place[0], least]
        register = ir.IntType(bits)
        function = ir.FunctionType(
            register if n == 1 else ir.LiteralStructType([register] * n), [arg.type for arg in args]
        )
        constraints = ",".join([f"={letter}"] * n + ["l", "r", "r"])
        text = f"{{ .reg .pred p; .reg .s64 a; {text} }}"
        found = builder.call(ir.InlineAsm(function, text, constraints), args)
        for i, slot in enumerate(slots):
            value = _typed(builder, found if n == 1 else builder.extract_value(found, i), self.storage)
            value = _converted(builder, value, self.storage, self.scalar)
            builder.store(value if pad is None else builder.select(there, value, pad), slot)


def _typed(builder: Any, bits: Any, storage: str) -> Any:
    """The bits of a register as the element that they are."""
    if storage in ("float32", "float64"):
        return builder.bitcast(bits, ir.FloatType() if storage == "float32" else ir.DoubleType())
    width = 8 * np.dtype(storage).itemsize
    return bits if bits.type.width == width else builder.trunc(bits, ir.IntType(width))


def _stored(builder: Any, value: Any, storage: str, scalar: str) -> Any:
    """As `writer` converts."""
    if storage == "float16":
        kind = ir.FunctionType(ir.IntType(16), [ir.FloatType()])
        return builder.call(ir.InlineAsm(kind, "cvt.rn.f16.f32 $0, $1;", "=h,f"), [value])
    if storage != scalar and scalar in ("int64", "uint64"):
        bits = numba_type(storage).bitwidth
        return value if bits == 64 else builder.trunc(value, ir.IntType(bits))
    return value
