"""Columns and rows of filters: as exact as the weights, or none."""

from __future__ import annotations

import numpy as np
import pytest

from numconv.cpu import rank

SIZES = (2, 3, 5, 7, 15, 31, 101)


def bell(size, sigma):
    """One axis of a Gaussian."""
    x = np.arange(size) - size // 2
    g = np.exp(-x * x / (2 * sigma * sigma))
    return g / g.sum()


def error(w, found):
    """The largest error of any weight, in roundoffs of the sizes of its products."""
    columns, rows = (part.astype(np.longdouble) for part in found)
    products = columns[:, :, :, None] * rows[:, :, None, :]
    sizes = np.abs(products).sum(axis=1)
    off = np.abs(w - products.sum(axis=1))
    assert (off[sizes == 0] == 0).all()
    return float((off / np.where(sizes == 0, 1, sizes)).max() / (np.finfo(w.dtype).eps / 2))


def terms(*filters):
    """How many products some filters are; 0 if none."""
    w = np.stack(filters)
    given = w.copy()
    found = rank.factors(w)
    assert np.array_equal(w, given, equal_nan=True)
    if found is None:
        return 0
    assert found[0].dtype == found[1].dtype == w.dtype
    assert error(w, found) <= 4.01
    return found[0].shape[1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", SIZES)
def test_products(size, dtype):
    rng = np.random.default_rng(size)
    for width in (size, size + 4):
        wide, narrow = bell(size, size / 2), bell(width, width / 9)
        a, b = (rng.standard_normal(n).astype(dtype) for n in (size, width))
        x = np.arange(width) - width // 2
        assert terms(np.outer(wide, narrow).astype(dtype)) == 1
        assert terms(np.outer(wide.astype(dtype), narrow.astype(dtype))) == 1
        assert terms(np.outer(a, b), np.outer(2 * a, b[::-1])) == 1
        assert terms(np.outer(wide, narrow * np.cos(0.7 * x)).astype(dtype)) == 1  # Gabor along an axis
        assert terms(np.full((size, width), 1 / 49, dtype)) == 1
        assert size < 5 or terms(np.outer(wide, narrow).astype(dtype) / dtype(wide.sum() * 1.7)) == 1
        if dtype is np.float32 and size <= 31:
            assert terms(np.outer(wide, bell(width, 3)).astype(dtype) - np.outer(wide[::-1], narrow).astype(dtype)) <= 2
        if size > 2:
            assert terms(rng.standard_normal((size, width)).astype(dtype)) == 0


WHOLE = {
    "sobel": ([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], 1),
    "prewitt": ([[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]], 1),
    "scharr": ([[-3, 0, 3], [-10, 0, 10], [-3, 0, 3]], 1),
    "sobel / 8": (np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8, 1),
    "sobel sum": ([[-2, -2, 0], [-2, 0, 2], [0, 2, 2]], 2),
    "laplacian": ([[0, 1, 0], [1, -4, 1], [0, 1, 0]], 2),
    "laplacian 8": ([[1, 1, 1], [1, -8, 1], [1, 1, 1]], 2),
    "nothing": (np.zeros((3, 3)), 1),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", WHOLE)
def test_whole_weights_are_exact(name, dtype):
    values, count = WHOLE[name]
    w = np.array(values, dtype)
    assert terms(w) == count and error(w[None], rank.factors(w[None])) == 0
    assert terms(w, np.outer([1, 2, 1], [1, 2, 1]).astype(dtype), 0 * w) == count


def test_laplacian_of_gaussian():
    for size in (5, 9, 15):
        x = np.arange(size) - size // 2
        r, s = x[:, None] ** 2 + x**2, (size / 6) ** 2
        assert terms(((r - 2 * s) * np.exp(-r / (2 * s))).astype("float32")) == 2


def test_corners_of_gaussians():
    """1e-7 of the centre and less, where a plain decomposition has few digits right."""
    w = np.outer(bell(31, 3), bell(31, 3))
    assert w.min() < 1e-7 * w.max() and terms(w) == 1
    u, s, v = np.linalg.svd(w)
    assert (abs(np.outer(u[:, 0] * s[0], v[0]) - w) > 2**-50 * w).any()
    off = w.copy()
    off[0, 0] *= 1 + 2**-48
    assert terms(off) != 1


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e-42])
def test_numbers_out_of_range(value):
    w = np.ones((3, 5), "float32")
    w[1, 2] = value
    assert terms(w) == 0 and terms(np.ones_like(w), w) == 0
    assert terms(np.outer([1e-30, 1, 1e-30], [1, 1, 1e-30]).astype("float32")) == 0
    assert terms(np.outer([1e-25, 1, 1e-25], [1, 1, 1e-10]).astype("float32")) == 1


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
def test_scale(scale):
    """Columns stay below 1/2: sums of rows are then in the range of results."""
    w = np.outer(bell(7, 2), bell(9, 2)) * scale
    columns, rows = rank.factors(w[None])
    assert terms(w) == 1 and 0.25 <= abs(columns).max() <= 0.5
    assert np.isfinite(rows).all()
