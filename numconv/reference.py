"""The slow twin: what method ``direct`` computes, bit for bit, in NumPy alone.

One output element is a sum of *chains*. A chain starts at +0.0 and takes its products one by one with a fused
multiply-add, in the order kd, kh, kw, c; the chain sums are added in order, then the bias; then come the activation
and one conversion to the result type. Here a step is taken for all output elements at once, and the fused
multiply-add, which NumPy lacks, is made of ordinary operations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from numconv._problem import Problem

__all__ = ["activate", "convolve", "fma", "to_result"]

Parts = tuple[np.ndarray, ...]


def convolve(problem: Problem, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """Convolve as `problem` says, in the order that defines the result of ``method="direct"``.

    Parameters
    ----------
    problem : Problem
        Sizes, padding, types, and what follows the sum.
    x : ndarray, shape (N, D, H, W, C)
        Samples, of dtype ``problem.x_dtype``.
    w : ndarray, shape (KD, KH, KW, C // G, F)
        Weights, of dtype ``problem.w_dtype``, already reversed where the caller flips the kernel.
    bias : ndarray, shape (F,), optional
        Cast to the computing type, then added.

    Returns
    -------
    ndarray, shape (N, OD, OH, OW, F)
        C-contiguous, of dtype ``problem.result``; ``OD = floor((D + lo + hi - d*(KD-1) - 1)/s) + 1``, OH and OW alike.

    Raises
    ------
    OverflowError
        An integer result does not hold a value, and ``problem.overflow`` is ``"raise"``.
    """
    with np.errstate(all="ignore"):
        x = _padded(problem, x)
        if problem.exact:
            total = _integer_sum(problem, x, w, bias)
        elif problem.compute.kind == "c":
            total = _complex_sum(problem, x, w)
        else:
            total = _sum(problem, x.astype(problem.compute), w.astype(problem.compute))
        if bias is not None:
            total = total + np.asarray(bias).astype(problem.compute).astype(total.dtype)
    total = activate(total, problem.activation, problem.slope)
    return np.ascontiguousarray(to_result(total, problem.result, problem.overflow))


def _padded(problem: Problem, x: np.ndarray) -> np.ndarray:
    """`x` with its padding, as (N, D + lo + hi, ..., C)."""
    if not any(map(any, problem.pads)):
        return x
    mode: Any = problem.pad_mode
    options: Any = {"constant_values": problem.pad_value} if mode == "constant" else {}
    return np.pad(x, ((0, 0), *problem.pads, (0, 0)), mode, **options)


def _integer_sum(problem: Problem, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """The exact sum, in int64 where nothing can leave it, else in Python integers."""
    largest = w[..., 0].size * _magnitude(x) * _magnitude(w) + (0 if bias is None else _magnitude(np.asarray(bias)))
    kind = np.dtype(np.int64 if largest < 2**63 else object)
    return _sum(problem, x.astype(kind), w.astype(kind))


def _magnitude(a: np.ndarray) -> int:
    """The largest absolute value of an integer array."""
    return max(int(a.max(initial=0)), -int(a.min(initial=0)))


def _complex_sum(problem: Problem, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The complex sum as real convolutions, with no products but those that exist."""
    compute, real = problem.compute, np.finfo(problem.compute).dtype
    x = x.astype(compute if x.dtype.kind == "c" else real, order="C")
    w = w.astype(compute if w.dtype.kind == "c" else real, order="C")
    if x.dtype.kind == w.dtype.kind == "c":
        # Interleaved channels (xr, xi) meet interleaved filters (wr, wi) and (-wi, wr).
        turned = np.empty_like(w)
        turned.real, turned.imag = -w.imag, w.real
        w = np.stack([w, turned], axis=4).reshape(*w.shape[:3], 2 * w.shape[3], w.shape[4])
    if w.dtype.kind == "c":
        return _sum(problem, x.view(real), w.view(real)).view(compute)
    total = np.zeros((len(x), *problem.out_spatial, problem.filters), compute)
    total.real = _sum(problem, x.real, w)
    if x.dtype.kind == "c":
        total.imag = _sum(problem, x.imag, w)
    return total


def _sum(problem: Problem, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """All chains, added in order: (N, OD, OH, OW, F) of the dtype of padded `x` and of `w`, which are real."""
    KD, KH, KW, C, F = w.shape
    G, u = problem.groups, C // problem.group_channels
    x_parts, w_parts, step = _arithmetic(x, w)
    x_parts = tuple(_windows(problem, part) for part in x_parts)
    w_parts = tuple(part.reshape(KD, KH, KW, C, G, F // G) for part in w_parts)
    start = np.zeros((len(x), *problem.out_spatial, G, F // G), x.dtype)

    def chain(first: int, last: int, begin: int, end: int) -> np.ndarray:
        s = start
        for row in range(first, last):
            for column in range(begin * u, end * u):
                tap = (*divmod(row, KH), *divmod(column, C))
                s = step(*(part[tap] for part in x_parts), *(part[tap] for part in w_parts), s)
        return s

    total = reduce(np.add, (chain(*bounds) for bounds in problem.chains()))
    return np.ascontiguousarray(total).reshape(*total.shape[:4], F)


def _windows(problem: Problem, x: np.ndarray) -> np.ndarray:
    """A view of padded `x` as (KD, KH, KW, C // G, N, OD, OH, OW, G, 1): one slice for a tap and channel."""
    G, (sd, sh, sw), (dd, dh, dw) = problem.groups, problem.stride, problem.dilation
    spans = tuple(d * (k - 1) + 1 for d, k in zip(problem.dilation, problem.kernel, strict=True))
    grouped = x.reshape(*x.shape[:4], G, x.shape[4] // G)
    windows = sliding_window_view(grouped, spans, axis=(1, 2, 3))
    windows = windows[:, ::sd, ::sh, ::sw, :, :, ::dd, ::dh, ::dw]
    return windows.transpose(6, 7, 8, 5, 0, 1, 2, 3, 4)[..., np.newaxis]


def _arithmetic(x: np.ndarray, w: np.ndarray) -> tuple[Parts, Parts, Callable[..., np.ndarray]]:
    """(parts of x, parts of w, step) such that ``step(*x_parts, *w_parts, s)`` is the fused ``x*w + s``."""
    if x.dtype == np.float32:
        return (x.astype(np.float64),), (w.astype(np.float64),), _fma32
    if x.dtype != np.float64:
        return (x,), (w,), lambda x, w, s: x * w + s
    if not _calm(x, w):
        return (x,), (w,), _fma64_anywhere
    return (x, *_split(x)), (w, *_split(w)), _fma64


# --- the fused multiply-add -------------------------------------------------------------------------------------------
#
# Rounding to odd (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding
# to odd", IEEE Trans. Computers 57(4), 2008) makes a second rounding harmless. It takes 13 operations; they are
# spared (a factor of 2 in float32, 1.4 in float64) where the values one ulp below and one ulp above, which enclose the
# exact one, round alike.

_BELOW, _ABOVE = 1 - 2.0**-52, 1 + 2.0**-52


def fma(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """``a*b + c`` with a single rounding, elementwise: the fused multiply-add of IEEE 754.

    Parameters
    ----------
    a, b, c : array_like, shapes that broadcast to (...)
        All float32, or of types that promote to float64.

    Returns
    -------
    ndarray, shape (...)
        float32 or float64; equal to C's ``fmaf`` or ``fma`` in every bit, save those that tell one NaN from another.

    Raises
    ------
    TypeError
        The operands promote to another type.

    Examples
    --------
    >>> x = 1 + 2.0**-30
    >>> float(fma(x, x, -1 - 2.0**-29)) == 2.0**-60
    True
    >>> x * x + (-1 - 2.0**-29)
    0.0
    """
    a, b, c = np.asarray(a), np.asarray(b), np.asarray(c)
    dtype, shape = np.result_type(a, b, c), np.broadcast_shapes(a.shape, b.shape, c.shape)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"fma: the operands promote to {dtype}; expected float32 or float64")
    a, b, c = (np.atleast_1d(operand).astype(np.float64) for operand in (a, b, c))
    with np.errstate(all="ignore"):
        result = _fma32(a, b, c) if dtype == np.float32 else _fma64_anywhere(a, b, c)
    return result.reshape(shape)


def _fma32(x: np.ndarray, w: np.ndarray, s: np.ndarray) -> np.ndarray:
    """The float32 fma of float32 values, `x` and `w` of which are held in float64, where products are exact."""
    product = x * w
    total = product + s
    low, high = (total * _BELOW).astype(np.float32), (total * _ABOVE).astype(np.float32)
    return high if (low == high).all() else _odd_sum(product, s).astype(np.float32)


def _fma64(x: Any, x_high: Any, x_low: Any, w: Any, w_high: Any, w_low: Any, s: np.ndarray) -> np.ndarray:
    """The float64 fma where nothing overflows or underflows; `x` and `w` come with their halves."""
    product = x * w
    error = ((x_high * w_high - product) + x_high * w_low + x_low * w_high) + x_low * w_low
    head, rest = _two_sum(product, s)
    tail = rest + error
    low, high = head + tail * _BELOW, head + tail * _ABOVE
    # Either rest is 0 and the tail exact, or head >= |product|/2 and the tail's last bit is far below head's.
    return high if (low == high).all() else head + _odd_sum(rest, error)


def _fma64_anywhere(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """The float64 fma of any operands."""
    a, b, c = np.broadcast_arrays(a, b, c)
    product = a * b
    plain = (a == 0) | (b == 0) | ~np.isfinite(a) | ~np.isfinite(b)
    result = np.where(plain, product + c, _fma64(a, *_split(a), b, *_split(b), c))
    size = np.abs(product)
    largest = reduce(np.maximum, (np.abs(a), np.abs(b), np.abs(c), size))
    wild = ~plain & ~((size > 2.0**-960) & (largest < 2.0**990))
    operands = zip(a[wild].tolist(), b[wild].tolist(), c[wild].tolist(), strict=True)
    result[wild] = [_fma_of_integers(*values) for values in operands]
    return result


def _fma_of_integers(a: float, b: float, c: float) -> float:
    """The float64 fma of finite `a` and `b` other than 0, by definition."""
    if not math.isfinite(c):
        return c
    (a_top, a_low), (b_top, b_low), (c_top, c_low) = (value.as_integer_ratio() for value in (a, b, c))
    top = a_top * b_top * c_low + c_top * a_low * b_low
    try:
        return top / (a_low * b_low * c_low)  # Python rounds a quotient of integers correctly
    except OverflowError:
        return math.inf if top > 0 else -math.inf


def _calm(x: np.ndarray, w: np.ndarray) -> bool:
    """Whether no float64 chain of products of `x` and `w` can overflow, underflow or meet a NaN, whatever the pairs."""
    low = high = 1.0
    for a in (x, w):
        size = np.abs(a[a != 0])
        low, high = low * size.min(initial=1), high * size.max(initial=1)
    return bool(low > 2.0**-960 and high * w[..., 0].size < 2.0**990)


def _split(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two halves of at most 26 bits whose sum is `a`, so that products of halves are exact (Dekker 1971)."""
    scaled = 134217729.0 * a
    high = scaled - (scaled - a)
    return high, a - high


def _two_sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rounded sum and its error (Knuth, TAOCP 2, section 4.2.2)."""
    total = a + b
    b_part = total - a
    return total, (a - (total - b_part)) + (b - b_part)


def _odd_sum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The float64 sum, rounded to odd: towards zero, then the last bit set if the sum is inexact."""
    total, error = _two_sum(a, b)
    above, below = error > 0, error < 0  # both false where the error is NaN: infinities stay as they are
    too_large = np.where(total > 0, below, above)
    return ((total.view(np.int64) - too_large) | (above | below)).view(np.float64)


# --- activation and conversion ----------------------------------------------------------------------------------------


def activate(total: np.ndarray, name: str, slope: float = 0.2) -> np.ndarray:
    """Apply an activation, in the type of `total`.

    Parameters
    ----------
    total : ndarray, shape (...)
        float32 or float64; for ``""`` and ``"relu"`` also integers, for ``""`` also complex.
    name : str
        ``""``: none. ``"relu"``: ``x < 0 ? 0 : x``. ``"leaky_relu"``: ``x < 0 ? slope*x : x``. ``"sigmoid"``.
        ``"tanh"``. ``"silu"``: ``x*sigmoid(x)``. ``"gelu"``: ``x*(1 + erf(x/sqrt(2)))/2``. At -inf the last two are
        their limit, -0.0. A NaN stays NaN in all, and -0.0 stays -0.0 in all but sigmoid.
    slope : float
        Of leaky_relu; rounded to the type of `total`.

    Returns
    -------
    ndarray, shape (...)
        Of the same dtype. The last four have an error below 1 ulp, as they are evaluated in a wider type. Where long
        double is no wider than float64 (Windows, macOS on ARM), it is 2 ulp, 7 in gelu, more where subnormal.

    Examples
    --------
    >>> activate(np.array([-2.0, 3.0]), "leaky_relu", 0.25)
    array([-0.5,  3. ])
    """
    with np.errstate(all="ignore"):
        if not name:
            return total
        if name == "relu":
            return np.where(total < 0, 0, total)
        if name == "leaky_relu":
            return np.where(total < 0, total * total.dtype.type(slope), total)
        wide = np.float64 if total.dtype == np.float32 else np.longdouble
        return _SMOOTH[name](total.astype(wide)).astype(total.dtype)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    """1/(1 + exp(-x)) without overflow."""
    decay = np.exp(-np.abs(x))
    return np.where(x < 0, decay, 1) / (1 + decay)


def _silu(x: np.ndarray) -> np.ndarray:
    """x*sigmoid(x); below -1000, where float64 rounds it to -0.0, as at -1000, which spares -inf*0."""
    return np.maximum(x, -1000) * _sigmoid(x)


def _gelu(x: np.ndarray) -> np.ndarray:
    """x*Phi(x), Phi the normal distribution function; below -120 as in _silu."""
    tail = _normal_tail(np.minimum(np.abs(x), 120))
    return np.maximum(x, -120) * np.where(x < 0, tail, 1 - tail)


def _normal_tail(a: np.ndarray) -> np.ndarray:
    """Phi(-a) = erfc(t)/2, t = a/sqrt(2) >= 0, from the integral of exp(-u*u)/(u*u + t*t) = pi/t * exp(t*t) * erfc(t).

    The midpoint rule with step h leaves a relative error near exp(-(pi/h)**2), 4e-31, once the pole at u = it is taken
    into account (Chiarella and Reichel, Math. Comp. 22, 1968); every term is positive, so nothing cancels.
    """
    step, pi = 0.375, 4 * np.arctan(a.dtype.type(1))
    t, square = a / np.sqrt(a.dtype.type(2)), a * a / 2
    nodes = step * (np.arange(20, dtype=a.dtype) + 0.5)
    integral = sum(np.exp(-u * u) / (u * u + square) for u in nodes)
    pole = np.where(t < pi / step, 1 / (1 + np.exp(2 * pi / step * t)), 0)
    # exp of a rounded square would lose digits in the tail: near has few bits, so that its square is exact.
    near = np.rint(16 * a) / 16
    gauss = np.exp(-near * near / 2) * np.exp(-(a - near) * (a + near) / 2)
    return step / pi * t * gauss * integral + pole


_SMOOTH: dict[str, Callable[..., np.ndarray]] = {"sigmoid": _sigmoid, "tanh": np.tanh, "silu": _silu, "gelu": _gelu}


def to_result(total: np.ndarray, dtype: np.dtype, overflow: str) -> np.ndarray:
    """Convert finished sums to the result type.

    Parameters
    ----------
    total : ndarray, shape (...)
        Floating, complex or integer; an object array holds Python integers of any size.
    dtype : dtype
        Floating and complex types round to nearest even, to infinity where they overflow. Integer types round half to
        even.
    overflow : str
        For values that an integer `dtype` does not hold. ``"raise"``. ``"saturate"``: the nearest limit.
        ``"wrap"``: modulo 2**bits; infinities become 0. NaN becomes 0 with both.

    Returns
    -------
    ndarray, shape (...)
        Of dtype `dtype`.

    Raises
    ------
    OverflowError
        A value, or NaN, does not fit, and `overflow` is ``"raise"``.

    Examples
    --------
    >>> to_result(np.array([2.5, -1.0, 255.5]), np.dtype("uint8"), "saturate")
    array([  2,   0, 255], dtype=uint8)
    """
    dtype = np.dtype(dtype)
    if dtype.kind not in "iu" or np.can_cast(total.dtype, dtype):
        with np.errstate(all="ignore"):
            return total.astype(dtype)
    limits = np.iinfo(dtype)
    values = np.rint(total) if total.dtype.kind == "f" else total
    fitted = [_fitted(value, limits, overflow) for value in values.ravel().tolist()]
    return np.array(fitted, dtype).reshape(total.shape)


def _fitted(value: float, limits: np.iinfo, overflow: str) -> int:
    """The integer to store for `value`, a Python int or a whole float: Python compares the two exactly."""
    if limits.min <= value <= limits.max:
        return int(value)
    if overflow == "raise":
        raise OverflowError(
            f"the result {value!r} does not fit {limits.dtype} ({limits.min} to {limits.max}); "
            'expected smaller values, a wider dtype, overflow="saturate" or overflow="wrap"'
        )
    if value != value:
        return 0
    if overflow == "saturate":
        return limits.max if value > 0 else limits.min
    return 0 if abs(value) == math.inf else (int(value) - limits.min) % 2**limits.bits + limits.min
