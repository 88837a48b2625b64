"""The transpose of a convolution as convolutions: one for each phase of the stride, without a stuffed zero or a copy.

Convolution reads, for its output o and tap k, the position ``t = o * stride + k * dilation`` of its padded input. The
transpose adds up, for a position t, what every pair (o, k) with that sum contributes. Along one axis, with s and d for
stride and dilation and g their greatest common divisor,

    t = r + q * s        the phase r, 0 <= r < s, of the positions
    k = k0 + m * (s/g)   its taps, k0 * d congruent r modulo s; a phase that g does not divide has none
    o = (r - k0 * d) / s + q - m * (d/g)

so the outputs of a phase, s samples apart, are a convolution at stride 1 and dilation d/g of the samples as they lie,
with every (s/g)th tap, the last one first: samples ascend. Positions that no sample has are padded with zeros, samples
that no output reads are left out of the view. Phases of several axes multiply.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from itertools import product
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from ._problem import Problem, Triple

Slices = tuple[slice, ...]


class AxisPhase(NamedTuple):
    """One phase of an axis."""

    outputs: slice  # in the result
    samples: slice  # of the input that they read
    pads: tuple[int, int]  # zeros around these
    taps: slice
    kernel: int
    dilation: int


class Phase(NamedTuple):
    """Outputs (N, OD, OH, OW) that one convolution makes of some samples and taps, all of them slices."""

    problem: Problem
    outputs: Slices
    samples: Slices
    taps: Slices


@dataclass(frozen=True)
class Transposed(Problem):
    """The transpose of a convolution: `channels` and `spatial` are of its own input, what the convolution put out.

    `pads` are what the convolution pads and the transpose crops; the second one may be negative: samples that the
    convolution never read. Canonical weights are those of the convolution: (KD, KH, KW, F // G, C).
    """

    @cached_property
    def out_spatial(self) -> Triple:
        """(OD, OH, OW): ``(L - 1)*s + d*(k - 1) + 1 - lo - hi`` an axis."""
        sizes = zip(self.spatial, self.pads, self.dilation, self.kernel, self.stride, strict=True)
        d, h, w = ((L - 1) * s + dil * (k - 1) + 1 - lo - hi for L, (lo, hi), dil, k, s in sizes)
        return d, h, w

    @property
    def flat(self) -> Problem:
        """Itself: phases have to be made first."""
        return self

    @cached_property
    def flops(self) -> int:
        """Operations for one sample, padding included."""
        return sum(phase.problem.flops for phase in self.phases)

    @cached_property
    def phases(self) -> tuple[Phase, ...]:
        """All that have taps and outputs."""
        axes = zip(self.spatial, self.kernel, self.stride, self.dilation, self.pads, self.out_spatial, strict=True)
        every = [axis_phases(L, k, s, d, lo, out) for L, k, s, d, (lo, _), out in axes]
        made: dict[Problem, Problem] = {}  # phases that differ in their outputs alone share schedules
        phases = [self._phase(*along) for along in product(*every)]
        return tuple(phase._replace(problem=made.setdefault(phase.problem, phase.problem)) for phase in phases)

    @cached_property
    def has_gaps(self) -> bool:
        """Whether some outputs belong to no phase: nothing reaches them."""
        axes = zip(self.kernel, self.stride, self.dilation, self.pads, self.out_spatial, strict=True)
        return any(len(axis_phases(1, k, s, d, lo, out)) < min(s, out) for k, s, d, (lo, _), out in axes)

    def _phase(self, *axes: AxisPhase) -> Phase:
        problem = convolution(
            self,
            spatial=tuple(axis.samples.stop - axis.samples.start for axis in axes),
            kernel=tuple(axis.kernel for axis in axes),
            stride=(1, 1, 1),
            dilation=tuple(axis.dilation for axis in axes),
            pads=tuple(axis.pads for axis in axes),
        )
        batch = (slice(None),)
        outputs, samples = batch + tuple(axis.outputs for axis in axes), batch + tuple(axis.samples for axis in axes)
        return Phase(problem, outputs, samples, tuple(axis.taps for axis in axes))


def axis_phases(samples: int, taps: int, stride: int, dilation: int, crop: int, outputs: int) -> list[AxisPhase]:
    """The phases of an axis that have taps, in the order of their first outputs; `crop` positions come before these."""
    common = gcd(stride, dilation)
    step, dilated = stride // common, dilation // common
    found = []
    for tap in range(min(taps, step)):
        first = (tap * dilation - crop) % stride
        if first >= outputs:
            continue
        kernel = -(-(taps - tap) // step)
        count = -(-(outputs - first) // stride)
        last = (first + crop - tap * dilation) // stride  # sample that the first output reads with the last of its taps
        view, pads = window(last - (kernel - 1) * dilated, last + count, samples)
        reverse = slice(tap + (kernel - 1) * step, None, -step)
        found.append(AxisPhase(slice(first, None, stride), view, pads, reverse, kernel, dilated))
    return sorted(found, key=lambda phase: phase.outputs.start)


def window(first: int, end: int, samples: int) -> tuple[slice, tuple[int, int]]:
    """The samples of an axis in [first, end), and how many positions of it lie before and behind them."""
    low, high = max(first, 0), min(end, samples)
    if low >= high:
        return slice(0, 0), (end - first, 0)
    return slice(low, high), (low - first, end - high)


def convolution(p: Problem, **changes: Any) -> Problem:
    """The convolution with the sizes and types of a problem, a transposed one too, but for some `changes`."""
    return Problem(**{field.name: getattr(p, field.name) for field in fields(p)} | changes)


def transposed(p: Problem, first: tuple[int, ...], sizes: tuple[int, ...]) -> Transposed:
    """The transpose of a convolution: of its padded input, `sizes` positions from `first` on."""
    axes = zip(p.out_spatial, p.stride, p.dilation, p.kernel, first, sizes, strict=True)
    return Transposed(
        **{field.name: getattr(p, field.name) for field in fields(p)}
        | {
            "spatial": p.out_spatial,
            "channels": p.filters,
            "filters": p.channels,
            "pads": tuple((lo, (L - 1) * s + d * (k - 1) + 1 - lo - size) for L, s, d, k, lo, size in axes),
            "pad_mode": "constant",
            "pad_value": 0,
        }
    )


def of_transposed(p: Transposed) -> tuple[Problem, Slices]:
    """The convolution that `p` is the transpose of, and the samples (N, D, H, W) of its input that it reads."""
    axes = zip(p.spatial, p.stride, p.dilation, p.kernel, p.pads, p.out_spatial, strict=True)
    views = [window(-lo, (L - 1) * s + d * (k - 1) + 1 - lo, out) for L, s, d, k, (lo, _), out in axes]
    samples = tuple(view for view, _ in views)
    problem = convolution(
        p,
        spatial=tuple(view.stop - view.start for view in samples),
        channels=p.filters,
        filters=p.channels,
        pads=tuple(pads for _, pads in views),
    )
    return problem, (slice(None), *samples)


def swapped(w: np.ndarray, groups: int) -> np.ndarray:
    """Canonical weights (KD, KH, KW, C // G, F) with channels for filters, group by group; a view where it can be one.

    Of several groups it cannot, but with a single channel and filter in each.
    """
    if groups == 1:
        return w.swapaxes(3, 4)
    *taps, C, F = w.shape
    return w if C == 1 and groups == F else by_group(w, groups).reshape(*taps, F // groups, groups * C)


def by_group(w: np.ndarray, groups: int) -> np.ndarray:
    """What `swapped` has in memory, as a view: (KD, KH, KW, F // G, G, C // G)."""
    *taps, C, F = w.shape
    return w.reshape(*taps, C, groups, F // groups).transpose(0, 1, 2, 5, 4, 3)
