"""Copies into shared memory that do not pass through registers, and shared memory beyond 48 KB: compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.cuda import types
from numba.cuda.extending import intrinsic

from .gpu import _GLOBAL, _INT32, _INT64, _SHARED, array_of, numba_type

_DYNAMIC = "numconv_dynamic"


def dynamic(scalar: str, size: int, first: int) -> Any:
    """`size` scalars from byte `first` on of the memory that a launch gives to a block."""
    kind = numba_type(scalar)

    @intrinsic
    def array(typing: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            memory = builder.module.globals.get(_DYNAMIC)
            if memory is None:
                memory = ir.GlobalVariable(builder.module, ir.ArrayType(ir.IntType(8), 0), _DYNAMIC, _SHARED)
                memory.linkage, memory.align = "external", 1024
            start = builder.gep(
                builder.addrspacecast(memory, ir.PointerType(memory.type.pointee)),
                [ir.Constant(_INT32, 0), ir.Constant(_INT32, first)],
            )
            data = builder.bitcast(start, context.get_data_type(kind).as_pointer())
            return array_of(context, builder, signature.return_type, data, size)

        return types.Array(kind, 1, "C")(), generate

    return array


def copying(storage: str, n: int, near: bool = False) -> Any:
    """So many neighbours, of 4, 8 or 16 bytes; zeros where there is nothing to read."""
    return copying_each(storage, n, ((0, 0),), near)


def copying_each(storage: str, n: int, shifts: tuple[tuple[int, int], ...], near: bool = False) -> Any:
    """Copies of n elements, for each of `shifts` (elements in shared memory, elements in memory), as immediates."""
    kind, item_bytes = numba_type(storage), np.dtype(storage).itemsize
    size = n * item_bytes
    way = "cg" if size == 16 and not near else "ca"
    text = " ".join(
        f"cp.async.{way}.shared.global [$0+{to * item_bytes}], [$1+{source * item_bytes}], {size}, $2;"
        for to, source in shifts
    )

    @intrinsic
    def copy(typing: Any, array: Any, at: Any, pointer: Any, offset: Any, there: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = context.make_array(array)(context, builder, value=args[0]).data
            target = _address(builder, builder.gep(data, [builder.sext(args[1], _INT64)]), _SHARED)
            source = _address(builder, builder.gep(args[2], [args[3]]), _GLOBAL)
            count = builder.select(args[4], ir.Constant(_INT32, size), ir.Constant(_INT32, 0))
            function = ir.FunctionType(ir.VoidType(), [_INT32, _INT64, _INT32])
            builder.call(
                ir.InlineAsm(function, text, "r,l,r,~{memory}", side_effect=True),
                [builder.trunc(target, _INT32), source, count],
            )
            return context.get_dummy_value()

        return types.void(array, types.int32, types.CPointer(kind), types.int64, types.boolean), generate

    return copy


def waiting(groups: int) -> Any:
    """Until all but the last so many groups of this thread's copies are there."""
    return _statement(f"cp.async.wait_group {groups};")


def _statement(text: str) -> Any:
    @intrinsic
    def statement(typing: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            function = ir.FunctionType(ir.VoidType(), [])
            assembly = ir.InlineAsm(function, text, "~{memory}", side_effect=True)
            builder.call(assembly, [], attrs=("convergent",))
            return context.get_dummy_value()

        return types.void(), generate

    return statement


commit = _statement("cp.async.commit_group;")


def _address(builder: Any, pointer: Any, space: int) -> Any:
    return builder.ptrtoint(builder.addrspacecast(pointer, ir.PointerType(pointer.type.pointee, space)), _INT64)
