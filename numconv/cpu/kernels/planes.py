"""Micro-kernel for one filter of few taps in one plane: depthwise layers of channels-first data, with any stride.

A tile is ROWS output rows x VECS vectors. Every input row is read once for all of them, in the order

    for input row i of the tile                      all rows unrolled
        for tap column kw                            as well
            x = VECS vectors of row i, from kw on
            tile[r] += x * weights[kh, kw]           all (r, kh) with r * stride + kh * dilation = i

so that every output row adds its products in the order of the taps. Places of vectors are those of `pixels`, but rows
may be narrower than a vector: their results are written through a mask.

Measured (float32, one AVX-512 core of 262 GFLOP/s, microseconds, with tiles that roll or of filters before): 3x3 on
512 planes of 14x14 110 -> 29, 64 of 112x112 with stride 2 181 -> 93; 5x5 on 240 of 28x28 100 -> 75, 144 of 56x56 with
stride 2 166 -> 80; 7x7 on 96 of 56x56 199 -> 180, with stride 2 155 -> 77. Half of that gain is that of packing plane
by plane (`packing.pack_planes`). Tiles, for the 7x7: 4x4 180, 7x4 192 (it spills), 7x3 208, 8x3 232; for the 14x14:
14x1 and 7x2 29, 14x2 and 7x4 37. Packing is 15 % of what is left for 7x7, 60 % for 3x3 with stride 2.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .intrinsics import I64, SIZES, block_record, call_record, plan_record
from .pixels import LINE
from .places import _place, moved, place, place_past_caches, steps_within, together
from .tile import (
    I32,
    _broadcast,
    _each,
    _load,
    _multiply_add,
    _offsets,
    add_rows,
    leaky_relu,
    load_offsets,
    relu,
    steps_of,
    zeros,
)

KEPT = 9
"""Weights that stay in registers; more of them are read again for each input row."""


@intrinsic(prefer_literal=True)
def plane_rows(typingctx, tile, weights, taps, sources, pitch, kind):
    """All taps of a tile. `taps` holds their offsets, `pitch` is from an output row's input to the next one's.

    `kind` is "KH KW stride dilation turn jump": of rows, and where columns lie, as in `axis`.
    """
    KH, KW, stride, dilation, turn, jump = map(int, kind.literal_value.split())

    def codegen(ctx, b, sig, args):
        value, weights_, taps_, sources_, pitch_ = args[:5]
        offsets = b.inttoptr(taps_, I64.as_pointer())
        tap = [b.load(b.gep(offsets, [I64(k)])) for k in range(0, KH * KW, KW)]
        segment = b.sub(b.load(b.gep(offsets, [I64(1)])), tap[0]) if turn > 1 and KW > 1 else I64(0)
        lefts = [b.extract_value(sources_, j) for j in range(tile.vecs)]
        for i in range((tile.rows - 1) * stride + (KH - 1) * dilation + 1):
            pairs = [(r, kh) for r in range(tile.rows) for kh in range(KH) if r * stride + kh * dilation == i]
            if not pairs:
                continue
            row = b.add(tap[pairs[0][1]], b.mul(pitch_, I64(pairs[0][0])))
            right = weights_ if KH * KW <= KEPT else _opaque(b, weights_)
            for kw in range(KW):
                x = b.add(b.add(row, b.mul(segment, I64(kw % turn))), I64(kw // turn * jump * tile.size))
                vectors = [_load(b, tile, b.add(left, x)) for left in lefts]
                for r, kh in pairs:
                    weight = _broadcast(b, tile, b.add(right, I64((kh * KW + kw) * tile.size)))
                    for j, vector in enumerate(vectors):
                        n = r * tile.vecs + j
                        total = _multiply_add(b, tile, vector, weight, b.extract_value(value, n))
                        value = b.insert_value(value, total, n)
        return value

    return tile(tile, *[types.int64] * 2, _each(tile.vecs), types.int64, kind), codegen


def _opaque(b, value):
    """The same value, of which LLVM knows nothing: it would keep what lies there in registers that it has not."""
    return b.asm(ir.FunctionType(I64, [I64]), "", "=r,0", [value], True)


@intrinsic
def place_narrow(typingctx, tile, places, offsets, count, width):
    """`place` for the first `width` lanes of each vector."""

    def codegen(ctx, b, sig, args):
        lanes = ir.VectorType(I32, tile.lanes)
        one = b.insert_element(ir.Constant(lanes, ir.Undefined), b.trunc(args[4], I32), I32(0))
        width_ = b.shuffle_vector(one, ir.Constant(lanes, ir.Undefined), ir.Constant(lanes, None))
        mask = b.icmp_signed("<", ir.Constant(lanes, list(range(tile.lanes))), width_)
        kind = ir.FunctionType(ir.VoidType(), [tile.vector, tile.vector.as_pointer(), I32, mask.type])
        name = f"llvm.masked.store.v{tile.lanes}f{8 * tile.size}.p0"
        function = b.module.globals.get(name) or ir.Function(b.module, kind, name)

        def masked(b, tile, value, address):
            b.call(function, [value, b.inttoptr(address, tile.vector.as_pointer()), I32(tile.size), mask])

        _place(b, tile, args[:4], masked)
        return ctx.get_dummy_value()

    return types.void(tile, _each(tile.vecs), _offsets(tile), types.int64, types.int64), codegen


def planes(scalar, rows, vecs, lanes, fused, kind):
    """One filter a unit, in one plane and one chain."""
    size = SIZES[scalar]

    def kernel(plan_address, call_address, slot, _):
        plan, call, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        count = min(rows, block.rows) if block.direct else rows
        steps, biases = steps_within(rows, block.target_h, count), steps_of(rows, 0)
        narrow, activation = block.direct != 0 and block.bw < lanes, plan.relu if block.direct else 0
        for unit in range(block.unit_0, block.unit_1):
            bias, target = 0, block.target + (unit - block.unit_0) * plan.acc_unit
            if block.direct:
                bias, target = 0 if call.bias == 0 else call.bias + unit * size, block.target + unit * call.o_f
            source = block.source + unit // plan.group_units * block.left_group
            weights = call.weights + unit * plan.unit_bytes
            for b in range(0, block.rows, block.band):
                row = min(b, block.last_band)
                for v in range(0, block.vectors, vecs):
                    sources = moved(load_offsets(vecs, slot + plan.at_left + v * 8), source + row * block.left_h)
                    places = moved(load_offsets(vecs, slot + plan.at_out + v * 8), target + row * block.target_h)
                    tile = zeros(scalar, rows, vecs, lanes, fused)
                    tile = plane_rows(tile, weights, block.taps, sources, block.left_h, kind)
                    if bias != 0:
                        tile = add_rows(tile, bias, biases)
                    if activation == 1:
                        tile = relu(tile)
                    elif activation == 2:
                        tile = leaky_relu(tile, plan.slope)
                    if narrow:
                        place_narrow(tile, places, steps, count, block.bw)
                    elif call.stream and block.direct and (together(places) | block.target_h) % LINE == 0:
                        place_past_caches(tile, places, steps, count)
                    else:
                        place(tile, places, steps, count)

    return kernel
