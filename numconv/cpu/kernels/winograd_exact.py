"""One tile of one panel in the order of `direct`, from the weights as given: for the few tiles where Winograd fails.

Chain sums and totals are rows of filters in the worker's bytes. A block of such tiles takes about twice the time that
`direct` would.
"""

from __future__ import annotations

from numba import literally

from . import minimal
from .intrinsics import SIZES, block_record, call_record, inlined, multiply_add, plan_record, pointer
from .runs import add_chain, copy_plain, fill_run
from .winograd import destination, is_constant, straight


@inlined
def add_product(sums, x, weights, count, scalar, fused):
    """``sums[l] += x * weights[l]``."""
    literally(scalar)
    literally(fused)
    to, w = pointer(sums, scalar), pointer(weights, scalar)
    for lane in range(count):
        to[lane] = multiply_add(x, w[lane], to[lane], fused)


@inlined
def activate(values, bias, count, kind, slope, scalar):
    """Add a bias (0: none); relu (1) or leaky_relu (2)."""
    literally(scalar)
    value = pointer(values, scalar)
    for lane in range(count):
        if bias != 0:
            value[lane] += pointer(bias, scalar)[lane]
        if kind != 0 and value[lane] < 0:
            value[lane] = value[lane] * pointer(slope, scalar)[0] if kind == 2 else 0


@inlined
def sample(plan, call, place, channel, scalar):
    """One channel of the pixel at an address: pad values are all alike."""
    literally(scalar)
    if is_constant(plan, place):
        return pointer(place, scalar)[0]
    return pointer(place + channel * call.x_c, scalar)[0]


def exact(scalar, fused, high, wide):
    """Tile `t` of the block, panel `block.unit_0`."""
    size = SIZES[scalar]
    down, across = minimal.FORMS[high][0], minimal.FORMS[wide][0]
    results = down * across

    def kernel(plan_address, call_address, slot, t):
        plan, call, block = plan_record(plan_address), call_record(call_address), block_record(slot)
        to, right, below, rows, columns = destination(plan, block, call, slot, t, down, across)
        group, panel = block.unit_0 // plan.group_units, block.unit_0 % plan.group_units
        count = rows * across
        lanes = min(plan.unit_filters, plan.group_filters - panel * plan.unit_filters)
        filter_0 = group * plan.group_filters + panel * plan.unit_filters
        given, starts = pointer(call.given, "i8"), pointer(plan.direct_chains, "i8")
        weights = given[0] + filter_0 * given[4]
        high_, wide_ = (block.bh + down - 1) // down, (block.bw + across - 1) // across
        i, j = t // wide_ % high_ * down, t % wide_ * across
        table = slot + plan.at_rows + t // (high_ * wide_) * plan.table_h + i * plan.table_w + j * 8
        width = plan.acc_pixel
        tap, sums = slot + plan.at_partial, slot + plan.at_partial + width
        totals = sums + results * width
        fill_run(sums, size, scalar, 0.0, 2 * results * width // size)
        chain = 0
        for step in range(plan.KH * plan.KW * plan.group_channels):
            c, k = step % plan.group_channels, step // plan.group_channels
            kh, kw = k // plan.KW, k % plan.KW
            if step == starts[chain + 1]:
                for q in range(count):
                    add_chain(totals + q * width, sums + q * width, chain == 0, lanes, scalar)
                chain += 1
            at = weights + kh * given[1] + kw * given[2] + c * given[3]
            copy_plain(at, given[4], scalar, tap, scalar, lanes)
            for q in range(count):
                place = pointer(table + (q // across + kh) * plan.table_w + (q % across + kw) * 8, "i8")[0]
                x = sample(plan, call, place, group * plan.group_channels + c, scalar)
                add_product(sums + q * width, x, tap, lanes, scalar, fused)
        for q in range(count):
            total = totals + q * width
            add_chain(total, sums + q * width, chain == 0, lanes, scalar)
            if q % across >= columns:
                continue
            if straight(plan, block, block.unit_0):
                bias = 0 if call.bias == 0 else call.bias + filter_0 * size
                activate(total, bias, lanes, plan.relu, plan.slope, scalar)
            copy_plain(total, size, scalar, to + q // across * below + q % across * right, scalar, lanes)

    return kernel
