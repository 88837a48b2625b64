"""Sums of a thread that go straight to memory: compiled."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.cuda import types
from numba.cuda.extending import intrinsic

from .gpu import _INT32, _INT64, _global, _slots, numba_type


def delivering(scalar: str, rows: tuple[int, ...], columns: tuple[int, ...], together: int) -> Any:
    """One accumulator for each row and column that there is, `together` neighbours at a time."""
    kind = numba_type(scalar)
    lanes = max(1, min(together, 128 // kind.bitwidth))

    @intrinsic
    def deposit(typing: Any, pointer: Any, at: Any, pitch: Any, height: Any, width: Any, acc: Any) -> tuple:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            base, slots = _global(builder, args[0]), _slots(context, builder, acc, args[5], 0, len(rows) * len(columns))

            def within(offset: int, limit: Any) -> Any:
                return builder.icmp_signed("<", ir.Constant(_INT32, offset), limit)

            def store(first: int, place: Any) -> None:
                """`lanes` of them."""
                if lanes == 1:
                    builder.store(builder.load(slots[first]), place)
                    return
                vector = ir.VectorType(place.type.pointee, lanes)
                values = ir.Constant(vector, ir.Undefined)
                for i in range(lanes):
                    values = builder.insert_element(values, builder.load(slots[first + i]), ir.Constant(_INT32, i))
                builder.store(values, builder.bitcast(place, vector.as_pointer(place.type.addrspace))).align = 16

            for i, row in enumerate(rows):
                with builder.if_then(within(row, args[3])):
                    line = builder.mul(ir.Constant(_INT64, row), args[2])
                    start = builder.gep(base, [builder.add(args[1], line)])
                    for j in range(0, len(columns), together):
                        with builder.if_then(within(columns[j], args[4])):
                            for k in range(j, j + together, lanes):
                                place = builder.gep(start, [ir.Constant(_INT64, columns[k])])
                                store(i * len(columns) + k, place)
            return context.get_dummy_value()

        int32, int64 = types.int32, types.int64
        return types.void(types.CPointer(kind), int64, int64, int32, int32, acc), generate

    return deposit
