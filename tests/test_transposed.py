"""The arithmetic of phases, by counting: which samples and taps meet in which output."""

from __future__ import annotations

import pickle
from itertools import product

import numpy as np
import pytest

from numconv._arguments import conv_problem
from numconv._conv_transpose_problem import transposed_problem
from numconv._transposed import axis_phases, of_transposed, swapped, transposed, window

F4 = np.dtype("f4")
AXES = [
    (samples, taps, stride, dilation, crop, outputs)
    for samples, taps, stride, dilation, crop, more in product(
        (1, 2, 5), (1, 2, 3, 4, 7), (1, 2, 3, 4, 6), (1, 2, 3, 4), (0, 1, 2, 5), (-2, 0, 3)
    )
    if (outputs := (samples - 1) * stride + dilation * (taps - 1) + 1 - crop + more) > 0
]


def pairs(phases, samples, taps, outputs):
    """By output, the (sample, tap) pairs that are multiplied, in their order; None for a sample that does not exist."""
    found = {}
    for phase in phases:
        low, high = phase.pads
        row = [None] * low + list(range(samples))[phase.samples] + [None] * high
        order = list(range(taps))[phase.taps]
        mine = range(outputs)[phase.outputs]
        assert len(order) == phase.kernel
        assert len(row) == len(mine) + (phase.kernel - 1) * phase.dilation
        for number, output in enumerate(mine):
            assert output not in found
            found[output] = [(row[number + j * phase.dilation], tap) for j, tap in enumerate(order)]
    return found


def test_phases_multiply_what_the_convolution_multiplies():
    """And nothing else but samples that do not exist; samples ascend."""
    for samples, taps, stride, dilation, crop, outputs in AXES:
        found = pairs(axis_phases(samples, taps, stride, dilation, crop, outputs), samples, taps, outputs)
        wanted = {output: [] for output in range(outputs)}
        for o, k in product(range(samples), range(taps)):
            if 0 <= (output := o * stride + k * dilation - crop) < outputs:
                wanted[output].append((o, k))
        for output, expected in wanted.items():
            exist = [pair for pair in found.get(output, []) if pair[0] is not None]
            assert exist == sorted(expected), (samples, taps, stride, dilation, crop, outputs)


def test_phases_are_few_where_strides_are_long():
    """As many as taps: nothing is tried for each of a million remainders."""
    assert [phase.outputs.start for phase in axis_phases(3, 2, 10**6, 1, 0, 2 * 10**6)] == [0, 1]


def test_window():
    assert window(2, 5, 10) == (slice(2, 5), (0, 0))
    assert window(-2, 5, 3) == (slice(0, 3), (2, 2))
    assert window(-2, -1, 3) == window(4, 5, 3) == (slice(0, 0), (1, 0))


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_swapped(groups):
    """Within each group filters become channels; twice is nothing."""
    w = np.arange(2 * 4 * 6).reshape(1, 1, 2, 4, 6)
    turned = swapped(w, groups)
    each = 6 // groups
    for g, c, f in np.ndindex(groups, 4, each):
        assert (turned[0, 0, :, f, g * 4 + c] == w[0, 0, :, c, g * each + f]).all()
    assert (swapped(turned, groups) == w).all()
    assert np.shares_memory(turned, w) == (groups == 1)


def test_depthwise_weights_are_not_copied():
    w = np.ones((1, 3, 3, 1, 8))
    assert swapped(w, 8) is w


def test_the_transpose_of_the_transpose():
    """Is the convolution; of its input, what nothing read is cut off."""
    p, _ = conv_problem("conv2d", 2, (1, 11, 12, 4), F4, (3, 2, 2, 6), F4, stride=(3, 2), padding="same", groups=2)
    t = transposed(p, tuple(lo for lo, _ in p.pads), p.spatial)
    assert (t.spatial, t.channels, t.filters, t.out_spatial) == (p.out_spatial, p.filters, p.channels, p.spatial)
    again, samples = of_transposed(t)
    assert again == p
    assert samples[1:] == (slice(0, 1), slice(0, 11), slice(0, 12))
    t, _ = transposed_problem("f", 1, (1, 3, 1), F4, (2, 1, 1), F4, stride=2, dilation=4, output_padding=3)
    again, samples = of_transposed(t)
    assert (again.spatial[2], again.out_spatial[2], samples[3]) == (9, 3, slice(0, 9))


def test_problems_are_keys_and_pickle():
    """As what they are: a transposed one is no convolution of the same sizes."""
    p, _ = conv_problem("conv1d", 1, (1, 9, 1), F4, (3, 1, 1), F4)
    t = transposed(p, (0, 0, 0), p.spatial)
    again = pickle.loads(pickle.dumps(t))
    assert again == t and hash(again) == hash(t) and type(again) is type(t)
    assert again.phases == t.phases
    assert t.flops == 2 * 9 * 3
