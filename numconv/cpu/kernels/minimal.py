"""Minimal filtering: the transforms of Winograd's F(m, r), m outputs of an r-tap filter from m + r - 1 samples.

    y = A' [ (G w) * (B' d) ]        one axis; two axes one after the other

S. Winograd, Arithmetic complexity of computations (SIAM, 1980); A. Lavin, S. Gray, Fast algorithms for convolutional
neural networks (CVPR 2016), whose points these are: 0, 1, -1, and for four outputs 2, -2; for five taps 1/2, -1/2 as
well. An axis of one tap is itself.

Formulas are written once, on any arithmetic `a` with ``add``, ``sub`` and ``multiply_add(constant, x, y)``: vectors in
kernels, fractions in tests. One order of operations, the same in every kernel: it fixes the bits.
"""

from __future__ import annotations

FORMS = {"1": (1, 1), "2": (2, 3), "4": (4, 3), "4_5": (4, 5)}
"""Outputs and taps of an axis, by its name."""

TOGETHER = 8
"""Channels whose weights are transformed together."""

WEIGHTS = {
    "1": ((1.0,),),
    "2": ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0)),
    "4": (
        (1 / 4, 0.0, 0.0),
        (-1 / 6, -1 / 6, -1 / 6),
        (-1 / 6, 1 / 6, -1 / 6),
        (1 / 24, 1 / 12, 1 / 6),
        (1 / 24, -1 / 12, 1 / 6),
        (0.0, 0.0, 1.0),
    ),
    "4_5": (
        (1.0, 0.0, 0.0, 0.0, 0.0),
        (-2 / 9, -2 / 9, -2 / 9, -2 / 9, -2 / 9),
        (-2 / 9, 2 / 9, -2 / 9, 2 / 9, -2 / 9),
        (32 / 45, 16 / 45, 8 / 45, 4 / 45, 2 / 45),
        (32 / 45, -16 / 45, 8 / 45, -4 / 45, 2 / 45),
        (1 / 90, 1 / 45, 2 / 45, 4 / 45, 8 / 45),
        (1 / 90, -1 / 45, 2 / 45, -4 / 45, 8 / 45),
        (0.0, 0.0, 0.0, 0.0, 1.0),
    ),
}
"""G, as float64."""


def points(form):
    """Samples that a tile reads along an axis."""
    outputs, taps = FORMS[form]
    return outputs + taps - 1


def forward(form, a, d):
    """B' d."""
    if form == "1":
        return d
    if form == "2":
        return [a.sub(d[0], d[2]), a.add(d[1], d[2]), a.sub(d[2], d[1]), a.sub(d[1], d[3])]
    if form == "4_5":
        return _forward_of_five(a, d)
    even, odd = a.multiply_add(-4, d[2], d[4]), a.multiply_add(-4, d[1], d[3])
    near, far = a.sub(d[4], d[2]), a.sub(d[3], d[1])
    return [
        a.multiply_add(4, d[0], a.multiply_add(-5, d[2], d[4])),
        a.add(even, odd),
        a.sub(even, odd),
        a.multiply_add(2, far, near),
        a.multiply_add(-2, far, near),
        a.multiply_add(4, d[1], a.multiply_add(-5, d[3], d[5])),
    ]


def _forward_of_five(a, d):
    """B' d at 0, 1, -1, 1/2, -1/2, 2, -2 and infinity: of a point and its opposite the even and the odd part."""
    near = a.multiply_add(-4.25, d[4], a.add(d[2], d[6])), a.multiply_add(-4.25, d[3], a.add(d[1], d[5]))
    half = (
        a.multiply_add(4, d[2], a.multiply_add(-5, d[4], d[6])),
        a.multiply_add(4, d[1], a.multiply_add(-5, d[3], d[5])),
    )
    far = (
        a.multiply_add(0.25, d[2], a.multiply_add(-1.25, d[4], d[6])),
        a.multiply_add(0.25, d[1], a.multiply_add(-1.25, d[3], d[5])),
    )
    return [
        a.multiply_add(5.25, a.sub(d[4], d[2]), a.sub(d[0], d[6])),
        a.add(*near),
        a.sub(*near),
        a.multiply_add(0.5, half[1], half[0]),
        a.multiply_add(-0.5, half[1], half[0]),
        a.multiply_add(2, far[1], far[0]),
        a.multiply_add(-2, far[1], far[0]),
        a.multiply_add(5.25, a.sub(d[3], d[5]), a.sub(d[7], d[1])),
    ]


def inverse(form, a, m):
    """A' m."""
    if form == "1":
        return m
    if form == "2":
        return [a.add(a.add(m[0], m[1]), m[2]), a.sub(a.sub(m[1], m[2]), m[3])]
    sum_1, difference_1 = a.add(m[1], m[2]), a.sub(m[1], m[2])
    sum_2, difference_2 = a.add(m[3], m[4]), a.sub(m[3], m[4])
    if form == "4_5":
        sum_4, difference_4 = a.add(m[5], m[6]), a.sub(m[5], m[6])
        return [
            a.add(a.add(m[0], sum_1), a.add(sum_2, sum_4)),
            a.multiply_add(2, difference_4, a.multiply_add(0.5, difference_2, difference_1)),
            a.multiply_add(4, sum_4, a.multiply_add(0.25, sum_2, sum_1)),
            a.add(a.multiply_add(8, difference_4, a.multiply_add(0.125, difference_2, difference_1)), m[7]),
        ]
    return [
        a.add(a.add(m[0], sum_1), sum_2),
        a.multiply_add(2, difference_2, difference_1),
        a.multiply_add(4, sum_2, sum_1),
        a.add(a.multiply_add(8, difference_2, difference_1), m[5]),
    ]


def weights(form, a, w):
    """G w."""
    result = []
    for row in WEIGHTS[form]:
        total = None
        for factor, tap in zip(row, w, strict=True):
            if factor != 0:
                total = a.multiply(factor, tap) if total is None else a.multiply_add(factor, tap, total)
        result.append(total)
    return result


def both(transform, high, wide, a, square):
    """A transform along both axes of a list of lists: columns first, then rows."""
    columns = [transform(high, a, list(column)) for column in zip(*square, strict=True)]
    return [transform(wide, a, list(row)) for row in zip(*columns, strict=True)]
