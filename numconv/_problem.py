"""What is to be computed, in one canonical form: every convolution is 3-D inside.

A `Problem` describes one sample: the batch size N, memory layout and threads are not part of it, so that
whatever fixes the bits of a result is a function of the problem (and of the weights) alone.

Canonical arrays are views with these axes, whatever the caller's layout; missing spatial axes have size 1:

    x    (N, D, H, W, C)
    w    (KD, KH, KW, C // G, F)      already reversed where ``flip=True``
    bias (F,)
    out  (N, OD, OH, OW, F)
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from math import prod
from typing import Any, Self

import numpy as np

KC = 256
"""Longest chain of fused multiply-adds: part of the definition of a result, the same on every CPU and type."""

Triple = tuple[int, int, int]
Pads = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Problem:
    """One convolution of one sample; hashable, so that all planning is cached by it.

    Attributes
    ----------
    ndim : 1, 2 or 3: what the caller sees; the last `ndim` of the three spatial axes are theirs.
    spatial, kernel, stride, dilation : (D, H, W) triples.
    pads : ``(lo, hi)`` for D, H, W.
    channels, filters, groups : C, F, G.
    pad_mode : NumPy's name: constant, edge, reflect, symmetric or wrap.
    pad_value : Python scalar that x's type holds (0 where `pad_mode` is not constant).
    x_dtype, w_dtype : native NumPy dtypes of the arrays.
    compute : float32, float64, complex64 or complex128; int64 or uint64 where both operands are integer (exact).
    result : dtype of the result.
    channels_last : the caller's data format, for messages and for the choice of lane order.
    bias : whether a bias is added.
    activation : "" or the name; `slope` belongs to leaky_relu.
    overflow : raise, saturate or wrap, where an integer result does not hold a value.
    method : auto, direct, winograd, separable, fft or reference.
    reduce : "" or one of the names of `_reductions`, or a tuple of them: what is made of each feature map.
    precision : ieee, 3xtf32, tf32 or bf16: the least that products of float32 may have; on a CPU always ieee.
    """

    ndim: int
    spatial: Triple
    kernel: Triple
    channels: int
    filters: int
    groups: int
    stride: Triple
    dilation: Triple
    pads: Pads
    pad_mode: str
    pad_value: complex
    x_dtype: np.dtype
    w_dtype: np.dtype
    compute: np.dtype
    result: np.dtype
    channels_last: bool
    bias: bool
    activation: str
    slope: float
    overflow: str
    method: str
    reduce: str | tuple[str, ...] = ""
    precision: str = "ieee"

    def __reduce__(self) -> tuple:
        """Copies and pickles hold the problem alone: schedules are full of addresses of this process."""
        return type(self), tuple(getattr(self, field.name) for field in fields(self))

    @cached_property
    def schedules(self) -> dict[Any, Any]:
        """How the problem was scheduled, by type of lanes: kept with the problem, which callers cache."""
        return {}

    def permitting(self, precision: str) -> Self:
        """The same with another precision, kept with this one so that its schedules are, too."""
        if precision == self.precision:
            return self
        found: Self | None = self.schedules.get(("precision", precision))
        return found or self.schedules.setdefault(("precision", precision), replace(self, precision=precision))

    @cached_property
    def out_spatial(self) -> Triple:
        """(OD, OH, OW): ``floor((L + lo + hi - d*(k-1) - 1)/s) + 1`` an axis."""
        sizes = zip(self.spatial, self.pads, self.dilation, self.kernel, self.stride, strict=True)
        d, h, w = ((L + lo + hi - dil * (k - 1) - 1) // s + 1 for L, (lo, hi), dil, k, s in sizes)
        return d, h, w

    @property
    def pads_zeros(self) -> bool:
        """Whether there is padding, and all of it zeros."""
        return self.pad_mode == "constant" and self.pad_value == 0 and any(map(any, self.pads))

    @cached_property
    def flat(self) -> Problem:
        """A pointwise problem with all its pixels in one row; any other problem, or one that sums rows, is itself."""
        pointwise = self.kernel == self.stride == (1, 1, 1) and not any(map(any, self.pads)) and not self.reduce
        if not pointwise or self.spatial[:2] == (1, 1):
            return self
        return replace(self, ndim=1, spatial=(1, 1, prod(self.spatial)))

    @property
    def reductions(self) -> tuple[str, ...]:
        """The names in `reduce`."""
        return self.reduce if isinstance(self.reduce, tuple) else (self.reduce,) if self.reduce else ()

    @property
    def group_channels(self) -> int:
        """C // G."""
        return self.channels // self.groups

    @property
    def group_filters(self) -> int:
        """F // G."""
        return self.filters // self.groups

    @property
    def complex_products(self) -> bool:
        """Both operands are complex: a step is two fused multiply-adds for each part (u = 2)."""
        return self.compute.kind == "c" and self.x_dtype.kind == "c" and self.w_dtype.kind == "c"

    @property
    def exact(self) -> bool:
        """Integers: exact, so that no order of summation applies."""
        return self.compute.kind in "iu"

    @cached_property
    def flops(self) -> int:
        """Floating-point (or integer) operations for one sample: 2 a product, 8 a complex product, 4 a mixed one."""
        out_d, out_h, out_w = self.out_spatial
        products = out_d * out_h * out_w * self.filters * self.group_channels * int(np.prod(self.kernel, dtype=object))
        complexes = (self.x_dtype.kind == "c") + (self.w_dtype.kind == "c") if self.compute.kind == "c" else 0
        return products * (2, 4, 8)[complexes]

    def chains(self) -> list[tuple[int, int, int, int]]:
        """The chains of an output element, in order: (first tap row, last + 1, first step, last + 1).

        Tap rows are numbered ``kd * KH + kh``; a step is one (column, channel) pair, channel fastest. A chain is
        whole tap rows (steps 0 to KW * C // G), or a part of one row where a row is longer than KC products.
        """
        KD, KH, KW = self.kernel
        steps, rows = KW * self.group_channels, KD * KH
        row = steps * (2 if self.complex_products else 1)
        if row <= KC:
            per = KC // row
            return [(r, min(r + per, rows), 0, steps) for r in range(0, rows, per)]
        parts = -(-row // KC)
        per = -(-steps // parts)
        return [(r, r + 1, s, min(s + per, steps)) for r in range(rows) for s in range(0, steps, per)]
