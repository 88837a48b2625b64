"""Filters as sums of one or two products of a column and a row, as exact as their weights are.

Found are columns and rows with |w - sum of column*row| <= 2e|w| for every weight, e the roundoff of its type, before
both are rounded to that type; this costs another 2e of |column||row|. A singular value decomposition does not do: its
errors are relative to the largest weight, those in the corners of a Gaussian are 1e-7 of it. Instead, a filter is taken
apart by crosses: its largest weight, with the column and row that meet there, is a product that leaves zeros in both;
errors of what is left are relative to single weights. They are up to 3e where the weights are rounded products: half
the range of the ratios in each row, for columns, makes them 2e at most; where they are rounded once more (divided by
their sum), means of ratios do. Two products are fitted by turns, by least
squares of relative errors (columns for given rows, rows for given columns).

All in NumPy's longdouble, many filters at a time. Where that is no wider than float64, few filters of that type pass.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

MOST = 2
"""Products of a filter."""
ROUNDS = 12
"""Of fitting two products."""
NEAR = 1e-4
"""Relative to the largest weight: what may be left by two crosses if fitting is to help."""
WHOLE = 1024.0
"""Weights that are whole numbers times this get whole columns and rows: whole images keep exact results."""

Factors = tuple[np.ndarray, np.ndarray]
"""Columns (F, terms, KH) and rows (F, terms, KW)."""

UNFIT = "a filter is no sum of one or two products of a column and a row, or holds numbers out of range"


def factors(w: np.ndarray) -> Factors | None:
    """Columns and rows of filters (F, KH, KW), float32 or float64, in their type; None if there are none."""
    tiny = np.finfo(w.dtype).tiny
    sizes = np.abs(w)
    if not np.isfinite(w).all() or ((sizes > 0) & (sizes < tiny)).any():
        return None
    if _is_hopeless(w[0]) or (len(w) > 1 and factors(w[:1]) is None):  # most banks are nothing of the kind
        return None
    with np.errstate(all="ignore"):
        found = _found(w.astype(np.longdouble), _allowed(w))
    return None if found is None else _rounded(*found, w.dtype)


def _is_hopeless(w: np.ndarray) -> bool:
    """Whether two crosses leave far more of a filter (KH, KW) than rounding can: a call finds out in 20 us, not 300."""
    rest, largest = w.astype(np.float64), float(np.abs(w).max())
    for _ in range(MOST):
        i, j = divmod(int(np.abs(rest).argmax()), rest.shape[1])
        if rest[i, j] == 0:
            return False
        rest = rest - np.outer(rest[:, j] / rest[i, j], rest[i])
    return bool(np.abs(rest).max() > 1e-3 * largest)


def _found(w: np.ndarray, allowed: tuple[float, float]) -> Factors | None:
    """Columns and rows of one product, or of two."""
    c, r = _cross(w)
    rest = w - _product(c, r)
    for one in _ones(w, c, r):
        if _fits(w, one, allowed):
            return one
    two = (np.stack(pair, axis=1) for pair in zip((c, r), _cross(rest), strict=True))
    columns, rows = two
    for _ in range(ROUNDS):
        if _fits(w, (columns, rows), allowed):
            return columns, rows
        rest = w - _sum(columns, rows)
        if (np.abs(rest).max(axis=(1, 2)) > NEAR * np.abs(w).max(axis=(1, 2))).any():
            return None
        columns = columns + _step(w, rest, rows)
        rest = (w - _sum(columns, rows)).swapaxes(1, 2)
        rows = rows + _step(w.swapaxes(1, 2), rest, columns)
    return None


def _product(c: np.ndarray, r: np.ndarray) -> np.ndarray:
    return c[:, :, None] * r[:, None, :]


def _sum(columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The filters of columns and rows."""
    return (columns[:, :, :, None] * rows[:, :, None, :]).sum(axis=1)


def _allowed(w: np.ndarray) -> tuple[float, float]:
    """Errors relative to a weight, and to the sizes of its products: what rounding in longdouble is to them."""
    e, own = float(np.finfo(w.dtype).eps) / 2, float(np.finfo(np.longdouble).eps)
    return 2 * e, 8 * own if 64 * own <= e else 0.0


def _fits(w: np.ndarray, found: Factors, allowed: tuple[float, float]) -> bool:
    """Whether products add up to the weights."""
    columns, rows = found
    sizes = _sum(np.abs(columns), np.abs(rows))
    return bool((np.abs(w - _sum(columns, rows)) <= allowed[0] * np.abs(w) + allowed[1] * sizes).all())


def _cross(w: np.ndarray) -> Factors:
    """The column and row of each filter's largest weight, the column divided by it; zeros of a filter of zeros."""
    every = np.arange(len(w))
    p, q = np.divmod(np.abs(w).reshape(len(w), -1).argmax(axis=1), w.shape[2])
    c, r, pivot = w[every, :, q], w[every, p, :], w[every, p, q][:, None]
    scaled = r * WHOLE
    whole = (scaled == np.rint(scaled)).all(axis=1) & (np.abs(scaled).max(axis=1) < 1 << 31)
    share = np.where(whole, np.gcd.reduce(np.where(whole[:, None], scaled, 0).astype(np.int64), axis=1), WHOLE)[:, None]
    share = np.where(share == 0, 1, share / np.longdouble(WHOLE))
    safe = np.where(pivot == 0, 1, pivot)
    return c / (safe / share), r / share


def _ones(w: np.ndarray, c: np.ndarray, r: np.ndarray) -> Iterator[Factors]:
    """Columns and rows near a cross: itself, with the middles of ratios, and with their means by turns."""
    yield c[:, None], r[:, None]
    yield _ratio(w, r, False)[:, None], r[:, None]
    c = _ratio(w, r, True)
    r = _ratio(w.swapaxes(1, 2), c, True)
    yield _ratio(w, r, True)[:, None], r[:, None]
    yield _ratio(w, r, False)[:, None], r[:, None]


def _ratio(w: np.ndarray, r: np.ndarray, mean: bool) -> np.ndarray:
    """Of each row of each filter the mean of its ratios to `r`, or the middle between the least and the largest."""
    given = r[:, None, :] != 0
    ratios = w / np.where(given, r[:, None, :], 1)
    if mean:
        found = np.where(given, ratios, 0).sum(axis=2) / given.sum(axis=2)
    else:
        found = (np.where(given, ratios, np.inf).min(axis=2) + np.where(given, ratios, -np.inf).max(axis=2)) / 2
    return np.where(given.any(axis=2), found, 0)


def _step(w: np.ndarray, rest: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """What is to be added to two columns: least squares of `rest` relative to the weights, row by row of a filter."""
    sizes = np.abs(w)
    least = np.where(sizes > 0, sizes, np.inf).min(axis=(1, 2), keepdims=True)
    weight = 1 / np.maximum(sizes, least * 1e-3) ** 2
    first, second = rows[:, 0, :, None], rows[:, 1, :, None]
    a, b, d = weight @ first**2, weight @ (first * second), weight @ second**2
    u, v = (weight * rest) @ first, (weight * rest) @ second
    divisor = a * d - b * b
    divisor = np.where(divisor == 0, np.inf, divisor)
    return np.stack([(d * u - b * v)[..., 0], (a * v - b * u)[..., 0]], axis=1) / divisor.swapaxes(1, 2)


def _rounded(columns: np.ndarray, rows: np.ndarray, dtype: np.dtype) -> Factors | None:
    """In a type; columns up to 1/2, so that what rows lose by underflow does not grow. None where numbers get lost."""
    largest = np.abs(columns).max(axis=2, keepdims=True)
    _, exponent = np.frexp(np.where(largest == 0, 1, largest))
    columns, rows = np.ldexp(columns, -exponent - 1), np.ldexp(rows, exponent + 1)
    rows = np.where(largest == 0, 0, rows)
    with np.errstate(over="ignore", under="ignore"):
        found = columns.astype(dtype), rows.astype(dtype)
    for exact, own in zip((columns, rows), found, strict=True):
        sizes = np.abs(own)
        if not np.isfinite(own).all() or ((exact != 0) & (sizes < np.finfo(dtype).tiny)).any():
            return None
    return found
