"""Reducing a chunk instead of finishing it: each output row's share of the maps becomes a few numbers in its record.

    record of a row of a sample    sums (float64) | numbers of positive values (int64) | largest values

each of all units' filters, of what is asked for. A record begins with what changes nothing, and is updated chunk by
chunk, from left to right. So the blocks of a row are one job, `rows`, which calls the job of the lane order for each;
other rows have records of their own, and nothing depends on who computed what when.

Filters in lanes: a vector of the state holds the filters of a vector of chain sums. Pixels in lanes: a vector goes over
a row for the reductions that know no order, and is folded at its end; sums are added one by one.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..records import CALL_SLOT
from .casts import _cast, _constant, _finished, _load, _splat, _store, _wide
from .finish import add_bias
from .intrinsics import I64, IR_TYPES, SIZES, block_record, call, call_record, fetch_or, plan_record, pointer

STATUS = 8 * CALL_SLOT["status"]


def work_code(target):
    """What finished elements are compared in: float16 as float32, integers in 64 bits."""
    if target[0] == "f":
        return "f8" if target == "f8" else "f4"
    return "u8" if target == "u8" else "i8"


class _Largest:
    """The largest of some values so far. Floating ones by their bits, for NaN and the signs of zeros.

    The largest signed integer is the largest value if that is positive or +0.0, or shows a positive NaN; the least
    unsigned one is the largest value if all are negative; the largest unsigned one shows a negative NaN. No masks are
    made, of which AVX-512 makes few in a cycle: max and ppv of 1,000 filters of 9 taps on 128 x 512 samples take 5.9 ms
    on two cores, by compare instructions 7.5.
    """

    def __init__(self, b, code, lanes):
        self.b, self.code = b, code
        self.bits = _wide(ir.IntType(8 * SIZES[code]), lanes)

    def start(self, top):
        return [top] if self.code[0] != "f" else [self.b.bitcast(top, self.bits)] * 3

    def step(self, state, value):
        b = self.b

        def chosen(compare, sign, old):
            return b.select(compare(sign, value, old), value, old)

        if self.code[0] != "f":
            return [chosen(b.icmp_signed if self.code[0] == "i" else b.icmp_unsigned, ">", state[0])]
        value = b.bitcast(value, self.bits)
        signed, least, largest = state
        return [
            chosen(b.icmp_signed, ">", signed), chosen(b.icmp_unsigned, "<", least),
            chosen(b.icmp_unsigned, ">", largest),
        ]  # fmt: skip

    def end(self, state):
        b = self.b
        if self.code[0] != "f":
            return state[0]
        signed, least, largest = state
        kind = _wide(IR_TYPES[self.code], self.bits.count if isinstance(self.bits, ir.VectorType) else 1)
        infinity = (0x7F8 << 20) if self.code == "f4" else (0x7FF << 52)
        top = b.select(b.icmp_signed(">=", signed, _constant(self.bits, 0)), signed, least)
        positive = b.icmp_signed(">", signed, _constant(self.bits, infinity))
        negative = b.icmp_unsigned(">", largest, _constant(self.bits, infinity | 1 << (8 * SIZES[self.code] - 1)))
        return b.select(b.or_(positive, negative), _constant(kind, float("nan")), b.bitcast(top, kind))


class _State:
    """One vector of every reduction in `names`, in variables that LLVM keeps in registers."""

    def __init__(self, b, target, names, lanes):
        self.b, self.names, self.lanes, self.target, self.code = b, names, lanes, target, work_code(target)
        self.largest = _Largest(b, self.code, lanes)
        self.number = _wide(ir.IntType(8 * SIZES[self.code]), lanes)
        self.kept = {}

    def _keep(self, name, values):
        if name not in self.kept:
            self.kept[name] = [cgutils.alloca_once(self.b, value.type) for value in values]
        for place, value in zip(self.kept[name], values, strict=True):
            self.b.store(value, place)

    def _get(self, name):
        return [self.b.load(place) for place in self.kept[name]]

    def begin(self, at, folded):
        """From the record; `at` are addresses by name."""
        lanes = 1 if folded else self.lanes
        for name in self.names:
            if name == "max":
                top = _load(self.b, at[name], self.code, lanes)
                self._keep(name, self.largest.start(_splat(self.b, top, self.lanes) if folded else top))
            elif name == "mean":
                self._keep(name, [_load(self.b, at[name], "f8", self.lanes)])
            else:
                self._keep(name, [_constant(self.number, 0)])

    def update(self, value):
        """By finished elements."""
        b = self.b
        value = _cast(b, value, self.target, self.code)
        for name in self.names:
            if name == "max":
                self._keep(name, self.largest.step(self._get(name), value))
            elif name == "mean":
                self._keep(name, [b.fadd(self._get(name)[0], _cast(b, value, self.code, "f8"))])
            else:
                self._keep(name, [b.add(self._get(name)[0], self._positive(value))])

    def _positive(self, value):
        """1 where a value is positive, else 0."""
        b, zero = self.b, _constant(value.type, 0)
        if self.code[0] == "f":
            positive = b.fcmp_ordered(">", value, zero)
        else:
            positive = (b.icmp_signed if self.code == "i8" else b.icmp_unsigned)(">", value, zero)
        return b.zext(positive, self.number)

    def end(self, at, folded):
        """Into the record."""
        b = self.b
        for name in self.names:
            if name == "max":
                top = self.largest.end(self._get(name))
                _store(b, self._folded_top(top) if folded else top, at[name], self.code)
            elif name == "mean":
                _store(b, self._get(name)[0], at[name], "f8")
            else:
                count = _cast(b, self._get(name)[0], f"i{SIZES[self.code]}", "i8")
                count = self._folded_count(count) if folded else count
                lanes = 1 if folded else self.lanes
                _store(b, b.add(_load(b, at[name], "i8", lanes), count), at[name], "i8")

    def _each(self, vector):
        if self.lanes == 1:
            return [vector]
        return [self.b.extract_element(vector, ir.IntType(32)(i)) for i in range(self.lanes)]

    def _folded_top(self, top):
        first, *others = self._each(top)
        scalar = _Largest(self.b, self.code, 1)
        state = scalar.start(first)
        for value in (first, *others):
            state = scalar.step(state, value)
        return scalar.end(state)

    def _folded_count(self, count):
        first, *others = self._each(count)
        for value in others:
            first = self.b.add(first, value)
        return first


def _biases(b, acc, address, shared, vecs, lanes):
    """A vector of biases for each of chain sums; where there are none, what changes no bit: -0.0."""
    kind = _wide(IR_TYPES[acc], lanes)
    kept = [cgutils.alloca_once_value(b, _constant(kind, -0.0 if acc[0] == "f" else 0)) for _ in range(vecs)]
    with b.if_then(b.icmp_signed("!=", address, I64(0))):
        for j, place in enumerate(kept):
            at = b.add(address, I64(j * lanes * SIZES[acc]))
            b.store(_splat(b, _load(b, at, acc, 1), lanes) if shared else _load(b, at, acc, lanes), place)
    return [b.load(place) for place in kept]


def _places(b, names, target, base, block, first):
    """Where a record has a filter's numbers, by name."""
    sizes = {"max": SIZES[work_code(target)]}
    return {
        name: b.add(b.add(base, b.mul(block, I64(i))), b.mul(first, I64(sizes.get(name, 8))))
        for i, name in enumerate(names)
    }


@intrinsic(prefer_literal=True)
def accumulate(typingctx, sums, count, bias, slope, record, kinds, names, vecs, lanes, folded):
    """Update a record by `count` steps of chain sums, VECS vectors of neighbours each; returns CALL.status bits.

    `sums` is (address, bytes from step to step), `bias` an address or 0, `slope` that of leaky_relu, `record` is
    (address, bytes of a block of 64-bit numbers of all filters, first filter), `kinds` "acc>target:overflow:relu",
    `names` "those of a record|those to be updated". `folded`: all lanes, of one vector, are of one filter.
    """
    acc, rest = kinds.literal_value.split(">")
    target, overflow, relu = rest.split(":")
    every, wanted = (text.split() for text in names.literal_value.split("|"))
    n, V, size = lanes.literal_value, vecs.literal_value, SIZES[acc]

    def codegen(ctx, b, sig, args):
        (here, step), (base, block, first) = cgutils.unpack_tuple(b, args[0]), cgutils.unpack_tuple(b, args[4])
        is_folded = bool(folded.literal_value)
        biases = _biases(b, acc, args[2], is_folded, V, n)
        activation = cgutils.pack_array(b, [I64(int(relu)), args[3]], I64)
        places = [_places(b, every, target, base, block, b.add(first, I64(j * n))) for j in range(V)]
        states = [_State(b, target, wanted, n) for _ in places]
        status = cgutils.alloca_once_value(b, I64(0))
        for state, at in zip(states, places, strict=True):
            state.begin(at, is_folded)
        plus = b.fadd if acc[0] == "f" else b.add
        with cgutils.for_range(b, args[1]) as loop:
            left = b.add(here, b.mul(loop.index, step))
            for j, state in enumerate(states):
                value = plus(_load(b, b.add(left, I64(j * n * size)), acc, n), biases[j])
                value, more = _finished(b, value, (acc, target, overflow), activation)
                b.store(b.or_(b.load(status), more), status)
                state.update(value)
        for state, at in zip(states, places, strict=True):
            state.end(at, is_folded)
        return b.load(status)

    pair, triple = types.UniTuple(types.int64, 2), types.UniTuple(types.int64, 3)
    plain = types.int64
    return plain(pair, plain, plain, plain, triple, kinds, names, vecs, lanes, folded), codegen


def reduce(acc, target, overflow, activated, relu, names, vecs, lanes):
    """`acc`, `target`, `overflow` and `activated` as of `finish`; `relu` as in PLAN, `names` in the order of a record.

    `vecs`: vectors of a unit, filters in lanes; 0: pixels in lanes.
    """
    acc_size = SIZES[acc]
    kinds, every = f"{acc}>{target}:{overflow}:{relu}", f"{names}|{names}"
    unordered = " ".join(name for name in names.split() if name != "mean")
    loose, summed = f"{names}|{unordered}", f"{names}|mean"
    has_loose, has_sums, down = unordered != "", "mean" in names, vecs > 0

    def kernel(plan_address, call_address, slot, _):
        plan, call_, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        table, status = pointer(slot + plan.at_segments, "i8"), 0
        numbers = plan.units * plan.unit_filters * 8
        for unit in range(block.unit_0, block.unit_1):
            first = unit * plan.unit_filters
            sums = slot + plan.at_acc + (unit - block.unit_0) * plan.acc_unit
            bias = 0 if call_.bias == 0 else call_.bias + first * acc_size
            for s in range(0, block.segments, 3):
                here, record, count = sums + table[s], table[s + 1], table[s + 2]
                if activated:
                    for lane in range(plan.unit_filters):
                        row = here + lane * plan.acc_lane
                        if bias != 0:
                            add_bias((row, plan.acc_pixel), (bias + lane * acc_size, 0), count, acc)
                        if not down:
                            call(plan.activate, (row, count, 0, 0))
                    if down:  # the lanes of a pixel lie together, and pixels one after the other
                        call(plan.activate, (here, count * plan.unit_filters, 0, 0))
                    left = 0
                else:
                    left = bias
                if down:
                    status |= accumulate(
                        (here, plan.acc_pixel), count, left, plan.slope, (record, numbers, first), kinds, every,
                        vecs, lanes, 0,
                    )  # fmt: skip
                    continue
                for lane in range(plan.unit_filters):
                    row, own = here + lane * plan.acc_lane, 0 if left == 0 else left + lane * acc_size
                    to, whole = (record, numbers, first + lane), count // lanes
                    if has_loose:
                        status |= accumulate(
                            (row, lanes * acc_size), whole, own, plan.slope, to, kinds, loose, 1, lanes, 1
                        )  # fmt: skip
                        rest = whole * lanes
                        status |= accumulate(
                            (row + rest * acc_size, acc_size), count - rest, own, plan.slope, to, kinds, loose, 1, 1, 1
                        )  # fmt: skip
                    if has_sums:
                        status |= accumulate((row, acc_size), count, own, plan.slope, to, kinds, summed, 1, 1, 1)
        if status != 0:
            fetch_or(call_address + STATUS, status)

    return kernel


def rows():
    """The job of a whole row of blocks, by the job of a block: `plan.block_job`."""

    def kernel(plan_address, call_address, slot, job):
        plan, call_ = plan_record(plan_address), call_record(call_address)
        part, row = job % call_.filter_blocks, job // call_.filter_blocks
        for w in range(plan.NW):
            block = (row * plan.NW + w) * call_.filter_blocks + part
            call(plan.block_job, (plan_address, call_address, slot, block))

    return kernel
