"""Activations that are a pass of their own over contiguous values: sigmoid, tanh, silu, exact gelu.

Every function is free of branches, uses multiply-adds, divisions and bits only, and names each rounding: vector lanes
and the tail of a loop give the same bits. LLVM vectorises the loop. Errors stay below 4 ulp with and without fused
multiply-add, subnormal results included. Worst found, over all float32 | 72 million float64: sigmoid 2.5 | 2.5,
tanh 2.0 | 2.2, silu 3.3 | 3.3, gelu 3.3 | 3.3.
"""

from __future__ import annotations

import math

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .intrinsics import IR_TYPES, emit_multiply_add, expanded, multiply_add, pointer

ACTIVATIONS = ("sigmoid", "tanh", "silu", "gelu")

CODES = {types.float32: "f4", types.float64: "f8"}
INTEGERS = {"f4": ir.IntType(32), "f8": ir.IntType(64)}
MANTISSA = {"f4": 23, "f8": 52}
BIAS = {"f4": 127, "f8": 1023}

RAISED = 96
"""Small results are computed 2**96 times too large and then scaled down: rounded once where they are subnormal."""

# ln2_high: so few bits that its product with any exponent is exact. limit, gelu_limit: the negative tail is 0 beyond;
# tanh_limit: tanh is 1 beyond (2|x|). pole, centre: see gelu.
NUMBERS = {
    "f4": {
        "half": 0.5, "minus_zero": -0.0, "lowered": 2.0**-RAISED, "shift": 1.5 * 2**23,
        "log2e": 1.4426950408889634, "ln2_high": 0.693145751953125, "ln2_low": 1.42860682030942e-06,
        "limit": 112.0, "tanh_limit": 20.0, "gelu_limit": 14.5, "pole": 2.75, "centre": 0.5,
    },
    "f8": {
        "half": 0.5, "minus_zero": -0.0, "lowered": 2.0**-RAISED, "shift": 1.5 * 2**52,
        "log2e": 1.4426950408889634, "ln2_high": 0.6931471805598903, "ln2_low": 5.497923018708371e-14,
        "limit": 760.0, "tanh_limit": 40.0, "gelu_limit": 39.0, "pole": 4.5, "centre": 0.4375,
    },
}  # fmt: skip

# Remez fits of the relative error, in 40 digits; then the coefficients were rounded one by one, lowest first, and the
# higher ones refitted. Behind each: the largest relative error with the rounded coefficients.
POLYNOMIALS = {
    # (expm1(r) - r)/r**2 for |r| <= ln(2)/2; error of expm1
    ("expm1", "f4"): (0.49999997, 0.16666543, 0.0416675, 0.0083665336, 0.0013864872),  # 2**-26.1
    ("expm1", "f8"): (
        0.5000000000000006, 0.16666666666666594, 0.0416666666665738, 0.008333333333386182, 0.001388888893229767,
        0.00019841269727315908, 2.4801504555905345e-05, 2.755739942682578e-06, 2.7626280544634965e-07,
        2.505651576715564e-08,
    ),  # 2**-55.5
    # (Phi(x) - 1/2)/x in x*x for |x| <= 1/2
    ("middle", "f4"): (0.3989423, -0.06649041, 0.009968553, -0.001139587),  # 2**-25.1
    ("middle", "f8"): (
        0.3989422804014327, -0.06649038006690879, 0.009973557010158327, -0.0011873282172397439, 0.000115434696442682,
        -9.44462947426052e-06, 6.655073377749037e-07, -3.9472525171526306e-08,
    ),  # 2**-53.8
    # Phi(-a)*exp(a*a/2)*(a + pole) in a/(a + pole) - centre for 1/2 <= a <= gelu_limit
    ("tail", "f4"): (
        0.71898603, -0.9487082, 0.72933733, -0.13253583, -0.26309285, 0.10299941, 0.15927395, -0.041916803,
        -0.105515115,
    ),  # 2**-26.5
    ("tail", "f8"): (
        0.8507612290696436, -1.5292983158613829, 2.209994434153868, -2.5141917625032657, 2.1345107039877096,
        -1.1636963364038, 0.14699150466053706, 0.33830196376361205, -0.21576460928324065, -0.07210457479981687,
        0.1208785766657791, 0.01571114769307458, -0.06596318112239327, -0.007775607426507448, 0.038373752040325455,
        0.00919299944367473, -0.023216584673414566, -0.010594533962079824, 0.014404021880211872, 0.007680285662161073,
        -0.008302844090935495,
    ),  # 2**-56.6
}  # fmt: skip


@intrinsic(prefer_literal=True)
def number(typingctx, like, value):
    """A literal int, or an entry of NUMBERS, in the type of `like`."""

    def codegen(ctx, b, sig, args):
        code, literal = CODES[like], value.literal_value
        return ir.Constant(IR_TYPES[code], NUMBERS[code][literal] if isinstance(literal, str) else float(literal))

    return like(like, value), codegen


@intrinsic(prefer_literal=True)
def polynomial(typingctx, x, name, fused):
    """One of POLYNOMIALS by Horner's rule."""

    def codegen(ctx, b, sig, args):
        *lower, total = (ir.Constant(args[0].type, c) for c in POLYNOMIALS[name.literal_value, CODES[x]])
        for coefficient in reversed(lower):
            total = emit_multiply_add(b, total, args[0], coefficient, fused.literal_value)
        return total

    return x(x, name, fused), codegen


@intrinsic(prefer_literal=True)
def power_of_two(typingctx, shifted, raised):
    """``2**(n + raised)`` of ``n + shift``: the shift leaves the integer n in the lowest bits."""

    def codegen(ctx, b, sig, args):
        code = CODES[shifted]
        integer = INTEGERS[code]
        exponent = b.add(b.bitcast(args[0], integer), integer(BIAS[code] + raised.literal_value))
        return b.bitcast(b.shl(exponent, integer(MANTISSA[code])), IR_TYPES[code])

    return shifted(shifted, raised), codegen


@intrinsic
def upper_half(typingctx, x):
    """`x` without the lower half of its bits: the square of the rest is exact."""

    def codegen(ctx, b, sig, args):
        code = CODES[x]
        integer = INTEGERS[code]
        cleared = (MANTISSA[code] + 2) // 2
        return b.bitcast(b.and_(b.bitcast(args[0], integer), integer(-1 << cleared)), IR_TYPES[code])

    return x(x), codegen


@expanded
def at_most(x, limit):
    """The smaller one; NaN stays."""
    return limit if x > limit else x


@expanded
def decay(y, rest, raised, fused):
    """``exp(-(y + rest))``, y >= 0, as (p, power): ``(1 + p) * power * 2**-raised``, where p = expm1(r), |p| < 0.42."""
    shifted = multiply_add(y + rest, -number(y, "log2e"), number(y, "shift"), fused)
    n = shifted - number(y, "shift")
    r = multiply_add(n, -number(y, "ln2_high"), -y, fused) - rest
    r = multiply_add(n, -number(y, "ln2_low"), r, fused)
    return multiply_add(r * r, polynomial(r, "expm1", fused), r, fused), power_of_two(shifted, raised)


@expanded
def logistic(x, fused):
    """``sigmoid(x)`` as a product (value, scale), that the value may be multiplied before it becomes subnormal."""
    one, lowered = number(x, 1), number(x, "lowered")
    p, power = decay(at_most(math.fabs(x), number(x, "limit")), number(x, 0), RAISED, fused)
    z = multiply_add(power, p, power, fused)
    return (z if x < 0 else one) / (one + z * lowered), lowered if x < 0 else one


@expanded
def sigmoid(x, fused):
    """``1/(1 + exp(-x))``."""
    value, scale = logistic(x, fused)
    return value * scale


@expanded
def silu(x, fused):
    """``x*sigmoid(x)``; -0.0 for -inf."""
    value, scale = logistic(x, fused)
    lowest = -number(x, "limit")
    return value * (lowest if x < lowest else x) * scale


@expanded
def tanh(x, fused):
    """``-expm1(-2|x|)/(2 + expm1(-2|x|))`` with the sign of x; the exponent is negative, so nothing cancels."""
    one, a = number(x, 1), math.fabs(x)
    p, power = decay(at_most(a + a, number(x, "tanh_limit")), number(x, 0), 0, fused)
    return math.copysign(multiply_add(-power, p, one - power, fused) / multiply_add(power, p, one + power, fused), x)


@expanded
def gelu(x, fused):
    """``x*Phi(x)``, Phi the normal distribution: by its series where |x| < 1/2, else max(x, 0) - |x|*Phi(-|x|).

    ``Phi(-a) = exp(-a*a/2)*g(a)/(a + pole)``, where g is smooth in a/(a + pole). The exponent is the exact square of
    a's upper half plus a rest, as its rounding error would be the relative error of the tail; this needs no fma.
    The series is there for accuracy (without it 4.7 ulp near x = -0.33) and adds a tenth to the time.
    """
    half, minus_zero = number(x, "half"), number(x, "minus_zero")
    a = at_most(math.fabs(x), number(x, "gelu_limit"))
    upper = upper_half(a)
    p, power = decay(half * upper * upper, half * (a + upper) * (a - upper), RAISED, fused)
    b = a / (a + number(x, "pole"))
    tail = b * polynomial(b - number(x, "centre"), "tail", fused) * power
    tail = multiply_add(tail, p, tail, fused) * number(x, "lowered")
    middle = x * multiply_add(x, polynomial(x * x, "middle", fused), half, fused)
    return middle if math.fabs(x) < half else (minus_zero if x < 0 else x) - tail


def activate(code, name, fused):
    """Kernel ``(address, count, _, _)``: one of ACTIVATIONS in place over `count` contiguous f4 or f8 values."""
    if name not in ACTIVATIONS:
        raise ValueError(f"no activation {name!r}; there are {', '.join(ACTIVATIONS)}")

    def kernel(address, count, _0, _1):
        values = pointer(address, code)
        for i in range(count):
            if name == "sigmoid":
                values[i] = sigmoid(values[i], fused)
            elif name == "tanh":
                values[i] = tanh(values[i], fused)
            elif name == "silu":
                values[i] = silu(values[i], fused)
            else:
                values[i] = gelu(values[i], fused)

    return kernel
