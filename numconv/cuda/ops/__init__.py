"""What kernels need beside plain Python, with two faces: instructions of a GPU, and Python for the simulator.

Kernels import nothing of a backend but this and Numba's `cuda` (indices of threads, arrays in registers, the
barrier). Memory of the caller is a *pointer*: an address that only `reader` and `writer` look behind, at an offset in
elements. All that is compiled into one kernel is specialised by these factories:

    reader(storage, scalar)           load(pointer, offset): an element of dtype `storage` as a `scalar`
    writer(storage, scalar)           store(pointer, offset, value)
    multiply_add(scalar)              f(a, b, c): a*b + c, fused for floats, modulo 2**64 for integers
    unrolled(body, scalar, size)      micro(acc, a, at, b, bt): `body` without loops, its accumulators in registers
    shared(scalar, size)              array(): memory of a block, the same for all of its threads
    placing(scalar), taking(scalar)   place(array, at, value), take(array, at): without Python's negative indices
    putting(scalar, first, n)         put(array, at, acc): n accumulators from `first` on, in stores of 16 bytes
    filling(scalar, first, n, value)  fill(acc): n accumulators from `first` on
    folding(scalar, n)                fold(acc): the first n accumulators are added to the n behind them
    device(function)                  a function that kernels call
    dynamic(scalar, size, first)      as `shared`, from byte `first` on of the memory that `Kernel.dynamic` asks for
    copying(storage, n, near)         copy(array, at, pointer, offset, there): n elements (4, 8 or 16 bytes) into shared
                                      memory, without registers; zeros where not `there`; `near`: 16 bytes stay in the
                                      nearest cache for others, as fewer do
    guarded(bodies, scalar, size)     micro(acc, a, b, low, high): `unrolled` of arrays in registers, those bodies whose
                                      numbers lie between
    getting(scalar, first, n)         get(array, at, acc): the reverse of `put`
    picking(scalar, i), keeping(scalar, i)    pick(acc), keep(acc, value): element i of an array in registers
    windowing(storage, scalar, first, places, loads, n, padded)    window(acc, pointer, offset, at, there, pad): to
                                      elements from `first` on, `loads` times n neighbours at each offset + at[i], an
                                      int32 array; `pad` where there are none (not `padded`: zeros)
    locating(offsets, n, table)       locate(at, first, step, last, size, scale, pointer, start): `at` for n neighbours
                                      at positions first + step * offset (at most `last`) along an axis: where the
                                      samples lie that they show, by the table behind its element `start` or without
    boxing(storage, scalar, sizes)    box(acc, pointer, offset, steps): elements of several axes, the last one fastest
    storing(storage, scalar, first, n)    store(pointer, offset, acc): n neighbours at once
    moving(scalar, first, to, n)      move(acc, other): n elements of an array in registers to another
    copying_each(storage, n, shifts)  the same for each of `shifts`: elements in (shared memory, memory)
    pointing(storage)                 point(pointer, offset): a pointer so many elements further on
    looking(storage, n)               look(pointer, offset): a tuple of n neighbours, in one load
    saving(storage, n)                save(pointer, offset, tuple), in one store
    laying(scalar, n, pitch)          lay(array, at, acc): n accumulators, 16 bytes at a time, those `pitch` apart
    heaping(scalar, n, pitch)         the same, added to what lies there
    collecting(scalar, n, pitch)      take(array, at): a tuple of n elements `pitch` apart, of neighbours in one load
    waiting(groups)                   wait(): until all but the last groups of copies of this thread are there
    copying_rows(storage, n, count, pitch)
                                      copy(array, at, pointer, offset, plane, there): `count` of these, places apart
                                      by `plane` elements, to rows of `pitch`: row e to (at ^ (e & 3) * 8) + e * pitch
    matrices(body, kind, size, words) step(acc, memory, rows, columns): products of a warp, see below
    unloading(first, n, pitch)        put(array, at, acc): fragments of accumulators, side by side
    leaving(n, pitch)                 leave(pointer, offset, acc): n accumulators, `pitch` elements apart
    taking_up(n, pitch)               add(acc, pointer, offset): those that were left are added
    lifting(n)                        lift(values, array, at): n float32, all at once
    storing_as(kind, storage, n)      store(pointer, offset, values): n float32 as neighbours of a kind, all at once
    delivering(scalar, rows, columns, n)
                                      deliver(pointer, at, pitch, height, width, acc): an accumulator for each of `rows`
                                      (times `pitch`) and `columns` below height and width, n neighbours at a time
    multiplying_doubles(body, size, kept)
                                      micro(acc, own, a, at, b, bt): as `unrolled`, of float64 by tensor cores:
                                      ``body(acc, own, a, b, mma)``, of which `own` are `kept` values from call to call;
                                      in ``a(offset, n, flip)``, bits of the place are flipped before `offset` is added
    negating(body, scalar, size)      as `unrolled`, the body also given ``minus(value)``
    both(storage)                     load(pointer, offset): two neighbours of 8 bytes at once, from an even place on
    scattering(scalar, first, n, offsets)  put(array, at, acc): a store of n accumulators to each offset
`commit`: a group of copies ends. What was waited for is seen by other threads behind a barrier.

Products of *warpgroups*, 128 threads (`kind`: bf16, f16 or tf32; `memory`: dynamic, of uint8):

    descriptor(memory, at)            of an operand: rows of 128 bytes of K from byte `at` on, swizzled
    multiplying(kind, N, pairs)       product(acc, a, b, more): 64 x N sums, 128 bytes of K, begun, a group of its own;
                                      the operands of each pair lie so many bytes behind a and b; unless `more`, sums
                                      start anew
    finished(groups)                  wait(): until all but the last groups of products have read their operands
    settling(N)                       settle(acc): until all are finished; nothing else touches accumulators before
    spreading(N, first, down, right)  spread(array, at, acc): this thread's sums, acc[first] on; steps of rows, columns
    gathering(n, pitch)               gather(memory, at, pointer, origins, piece, there): 16 bytes n times, from piece
                                      origins[i] + piece on to byte at + i*pitch; zeros where not `there`
    streaming(n, pitch)               stream(memory, at, pointer, offset): the same, `pitch` bytes apart on both sides
    fetching(storage, first, n)       fetch(values, pointer, offset): n elements as float32 in one load
    pouring(kind, part)               pour(pointer, offset, values): 16 bytes of rounded values, or of what is left
`fence_copies`: copies of this thread that were waited for are seen by products behind a barrier.

`sync_warp` (which all threads of a block have to call), `divide` (int32 that are not negative), `nearest` (half to
even), `exponential`, `hyperbolic`, `normal`.

`body(acc, a, b, fma)` is plain Python, run once while a kernel is compiled: its loops leave no trace but instructions.
``outer(acc, slow, fast, fma)`` in it updates acc by all products of two lists.
`acc` is a list of values to update in place; ``a(offset, n)`` and ``b(offset, n)`` are n neighbours in the two arrays,
`offset` an int beyond the place given at run time.

The body of `matrices` is ``body(acc, rows, columns, warp)``, for operands of a kind "tf32", "bf16" or "f16".
``rows(offset, flip)`` are four registers, the lane's parts of four matrices of 8 rows of 16 bytes; the lane's row lies
at (place ^ flip) + offset, in bytes. `columns` are the same, or a word of 32 bits there (`words`).
``warp.multiply(sums, rows, columns)`` adds products of 16 rows by 8 columns (4 and 2 registers; ``mma.m16n8k8`` or
``k16``) to 4 accumulators; `warp.zeros`, `add`, `rounded` (float32 to tf32) and `split` (float32 to two tf32) are of a
register.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import Any

from ..extra import simulated

SIMULATED = simulated()
_PARTS = ("", "_copies", "_vectors", "_tensor", "_warpgroup", "_sums", "_double", "_tiles")


@lru_cache(maxsize=1)
def _faces() -> list[Any]:
    """Imported when a kernel is made: what there is to say of a GPU that is missing is said without numba-cuda."""
    return [import_module(f".{'simulated' if SIMULATED else 'gpu'}{part}", __package__) for part in _PARTS]


def __getattr__(name: str) -> Any:
    """What the first of the parts has that has it."""
    for face in [] if name.startswith("__") else _faces():
        if hasattr(face, name):
            return getattr(face, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
