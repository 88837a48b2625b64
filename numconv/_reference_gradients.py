"""The slow twin of gradients of weights: what the kernels compute, bit for bit, in NumPy alone.

An element adds its products in the order n, od, oh, ow. Output rows are numbered through samples and planes; a chain is
as many whole rows as have at most KC products, or an equal part of a row that has more. Chains start at +0.0 and take
one fused multiply-add a product; 256 of them, added in order, are a segment; segments are added in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ._problem import KC, Problem
from .reference import Parts, _arithmetic, _padded

SEGMENT = 256
"""Chains of a segment."""
_TOGETHER = 1 << 20
"""Sums that grow together."""


def weight_gradient(p: Problem, x: np.ndarray, g: np.ndarray, conjugate_x: bool = True) -> np.ndarray:
    """Gradient of the weights of a convolution.

    Parameters
    ----------
    p : Problem
        The convolution; ``p.w_dtype`` is the type of `g`.
    x : ndarray, shape (N, D, H, W, C)
        Samples.
    g : ndarray, shape (N, OD, OH, OW, F)
        Gradient of the result.
    conjugate_x : bool
        Conjugate x; else `g`.

    Returns
    -------
    ndarray, shape (KD, KH, KW, C // G, F)
        Of dtype ``p.result``.
    """
    real = np.finfo(p.compute).dtype
    with np.errstate(all="ignore"):
        x = _padded(p, x).astype(p.compute if x.dtype.kind == "c" else real)
        g = g.astype(p.compute if g.dtype.kind == "c" else real)
        x, g = (x.conj(), g) if conjugate_x else (x, g.conj())
        if g.dtype.kind != "c":
            total = _sums(p, [x.real], [g])
            if x.dtype.kind == "c":
                total = total + 1j * 0
                total.imag = _sums(p, [x.imag], [g])
        elif x.dtype.kind != "c":
            total = _sums(p, [x], [_parts(g.real, g.imag)])
        else:
            total = _sums(p, [x.real, x.imag], [_parts(g.real, g.imag), _parts(-g.imag, g.real)])
        if g.dtype.kind == "c":
            total = total.view(p.compute)
        return total.astype(p.result)


def _parts(even: np.ndarray, odd: np.ndarray) -> np.ndarray:
    """Real filters, two for each complex one."""
    return np.stack([even, odd], -1).reshape(*even.shape[:-1], -1)


def chains(p: Problem, samples: int, steps: int) -> Iterator[tuple[int, int]]:
    """(first output pixel, last + 1) of each chain, with so many steps a pixel."""
    OD, OH, OW = p.out_spatial
    rows, row = samples * OD * OH, OW * steps
    if row <= KC:
        for r in range(0, rows, KC // row):
            yield r * OW, min(r + KC // row, rows) * OW
        return
    piece = -(-OW // -(-row // KC))
    for r in range(rows):
        for w in range(0, OW, piece):
            yield r * OW + w, r * OW + min(w + piece, OW)


def _sums(p: Problem, xs: list[np.ndarray], gs: list[np.ndarray]) -> np.ndarray:
    """Real sums (KD, KH, KW, C // G, F) of one product a pixel for each pair of a padded x and a gradient."""
    found = list(chains(p, len(gs[0]), len(gs)))
    windows = [_windows(p, x) for x in xs]
    segments = (_segment(p, windows, gs, found[i : i + SEGMENT]) for i in range(0, len(found), SEGMENT))
    total = reduce(np.add, segments)
    return np.ascontiguousarray(total).reshape(*total.shape[:4], -1)


def _windows(p: Problem, x: np.ndarray) -> np.ndarray:
    """A view (N, OD, OH, OW, KD, KH, KW, C // G, G, 1) of padded x."""
    spans = tuple(d * (k - 1) + 1 for d, k in zip(p.dilation, p.kernel, strict=True))
    (sd, sh, sw), (dd, dh, dw) = p.stride, p.dilation
    windows = sliding_window_view(x.reshape(*x.shape[:4], p.groups, -1), spans, axis=(1, 2, 3))
    windows = windows[:, ::sd, ::sh, ::sw, :, :, ::dd, ::dh, ::dw]
    return windows.transpose(0, 1, 2, 3, 6, 7, 8, 5, 4)[..., np.newaxis]


def _segment(p: Problem, xs: list[np.ndarray], gs: list[np.ndarray], found: list[tuple[int, int]]) -> np.ndarray:
    """The sum of a segment's chains, in order."""
    size = int(np.prod(xs[0].shape[4:])) * (gs[0].shape[4] // p.groups)
    step = max(1, _TOGETHER // size)
    together = [_chains(p, xs, gs, np.array(found[i : i + step])) for i in range(0, len(found), step)]
    return reduce(np.add, (chain for several in together for chain in several))


def _chains(p: Problem, xs: list[np.ndarray], gs: list[np.ndarray], found: np.ndarray) -> np.ndarray:
    """(chains, KD, KH, KW, C // G, G, F // G): a step is taken for all that are as long."""
    shape = len(found), *xs[0].shape[4:9], gs[0].shape[4] // p.groups
    sums, places = np.zeros(shape, xs[0].dtype), (len(gs[0]), *p.out_spatial)
    for i in range(int((found[:, 1] - found[:, 0]).max())):
        going = np.flatnonzero(found[:, 0] + i < found[:, 1])
        at = np.unravel_index(found[going, 0] + i, places)
        for x, g in zip(xs, gs, strict=True):
            values = g[at].reshape(len(going), 1, 1, 1, 1, p.groups, -1)
            sums[going] = _step(x[at], values, sums[going])
    return sums


def _step(x: np.ndarray, g: np.ndarray, s: np.ndarray) -> np.ndarray:
    """The fused ``x * g + s``."""
    x_parts: Parts
    x_parts, g_parts, step = _arithmetic(x, g)
    return step(*x_parts, *g_parts, s)
