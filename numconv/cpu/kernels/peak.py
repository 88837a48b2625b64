"""The fastest loop that the CPU has: what other kernels are measured against."""

from __future__ import annotations

from .intrinsics import SIZES, call_record
from .tile import add_stored, outer, steps_of, store, zeros


def multiply_adds(scalar, vectors, lanes, fused):
    """``plan`` steps of `vectors` independent multiply-adds, all in registers.

    The accumulators come from ``x`` and go to the worker's bytes: were they constants, or never used, LLVM could see
    that they are all equal, or drop the loop. (Without FMA it takes the product out of the loop: the additions alone
    are as slow where multiplications have a unit of their own.)
    """
    vector_bytes = lanes * SIZES[scalar]

    def kernel(plan, call, slot, job):
        record = call_record(call)
        rows = steps_of(vectors, vector_bytes)
        tile = add_stored(zeros(scalar, vectors, 1, lanes, fused), record.x, rows)
        for _ in range(plan):
            tile = outer(tile, record.x, steps_of(vectors, 0), record.x)
        store(tile, record.workspace + slot * record.slot_bytes, rows)

    return kernel
