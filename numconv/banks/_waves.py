"""Filters for signals: averages, bumps, slopes, wavelets; shape (F, K)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from ._sampling import gauss, samples, unit_contrast


def _odd_widths(widths: int | Sequence[int], largest: int, name: str) -> np.ndarray:
    found = np.atleast_1d(widths)
    if found.dtype.kind not in "iu" or (found % 2 == 0).any() or found.min() < 1 or found.max() > largest:
        raise ValueError(f"{name}: widths is {widths}, expected odd integers from 1 to {largest}")
    return found


def moving_average(
    size: int = 9, widths: int | Sequence[int] = (3, 5, 9), *, dtype: DTypeLike = np.float32
) -> np.ndarray:
    """Running means: `width` samples of weight ``1 / width``, centred.

    Parameters
    ----------
    size : int
        K, odd.
    widths : int or sequence of int
        Odd numbers of samples, at most `size`.
    dtype : dtype
        float32 or float64 (any floating type).

    Returns
    -------
    ndarray, shape (len(widths), size)

    Examples
    --------
    >>> moving_average(5, 3, dtype=np.float64).round(3)
    array([[0.   , 0.333, 0.333, 0.333, 0.   ]])
    """
    t = samples(size)
    rows = [(abs(t) <= width / 2) / width for width in _odd_widths(widths, size, "moving_average")]
    return np.stack(rows).astype(dtype)


def bump(size: int = 15, widths: int | Sequence[int] = (1, 3, 5), *, dtype: DTypeLike = np.float32) -> np.ndarray:
    """Detectors for bumps of known width: the mean of `width` samples, less that of as many on their two sides.

    Each side counts by one half: ``[-1/2, 1, -1/2]`` for width 1; its answer to a bump of that width is its height.

    Parameters
    ----------
    size : int
        K, odd.
    widths : int or sequence of int
        Odd widths of bumps in samples; three times the width must fit into `size`.
    dtype : dtype
        float32 or float64 (any floating type).

    Returns
    -------
    ndarray, shape (len(widths), size)

    Examples
    --------
    >>> bump(5, 1)
    array([[ 0. , -0.5,  1. , -0.5,  0. ]], dtype=float32)
    """
    t, rows = abs(samples(size)), []
    for width in _odd_widths(widths, size // 3, "bump"):
        rows.append(((t <= width / 2) - 0.5 * ((t > width / 2) & (t <= 1.5 * width))) / width)
    return np.stack(rows).astype(dtype)


def derivative(
    size: int = 15, sigmas: float | Sequence[float] = (1.0, 2.0), *, dtype: DTypeLike = np.float32
) -> np.ndarray:
    """Slopes of a smoothed signal: derivatives of Gaussians, ``t * exp(-t**2 / (2 * sigma**2))``.

    Scaled so that a ramp that rises by 1 a sample gives exactly 1 (a constant gives 0), at every scale.

    Parameters
    ----------
    size : int
        K; about ``6 * max(sigmas)`` holds the whole curve.
    sigmas : float or sequence of float
        Scales in samples.
    dtype : dtype
        float32 or float64 (any floating type).

    Returns
    -------
    ndarray, shape (len(sigmas), size)

    References
    ----------
    J. Canny, A computational approach to edge detection, IEEE Trans. PAMI 8 (1986) 679-698, section III.

    Examples
    --------
    >>> ramp = np.arange(15.0)
    >>> bool(np.allclose(derivative(dtype=np.float64) @ ramp, 1))
    True
    """
    t = samples(size)
    rows = [t * gauss(size, sigma) for sigma in np.atleast_1d(sigmas)]
    return np.stack([row / (row @ t) for row in rows]).astype(dtype)


def ricker(
    size: int = 31, sigmas: float | Sequence[float] = (1.0, 2.0, 4.0), *, dtype: DTypeLike = np.float32
) -> np.ndarray:
    """Ricker wavelets, also called Mexican hats: ``(1 - t**2 / sigma**2) * exp(-t**2 / (2 * sigma**2))``.

    The negative second derivative of a Gaussian: a bump detector without corners. What sampling and the ends of the
    window leave of its mean is removed under the Gaussian; the positive weights sum to 1 at every scale, so the height
    of the answer can be compared from scale to scale.

    Parameters
    ----------
    size : int
        K; about ``8 * max(sigmas)`` holds the whole curve.
    sigmas : float or sequence of float
        Scales in samples; the curve crosses zero at ``t = sigma``.
    dtype : dtype
        float32 or float64 (any floating type).

    Returns
    -------
    ndarray, shape (len(sigmas), size)

    References
    ----------
    N. Ricker, The form and laws of propagation of seismic wavelets, Geophysics 18 (1953) 10-40.

    Examples
    --------
    >>> hat = ricker(31, 4, dtype=np.float64)[0]
    >>> bool(hat.argmax() == 15), bool(abs(hat.sum()) < 1e-14)
    (True, True)
    """
    t, rows = samples(size), []
    for sigma in np.atleast_1d(sigmas):
        hat, window = 1 - (t / sigma) ** 2, gauss(size, sigma)
        rows.append(window * (hat - np.average(hat, weights=window)))
    return unit_contrast(rows, dtype)
