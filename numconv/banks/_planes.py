"""Filters for images: lines, edges, Gabor functions; shape (F, KH, KW)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ._sampling import bell, samples, unit_contrast


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows (downwards) and columns of the pixels, from the centre."""
    return np.meshgrid(samples(size), samples(size), indexing="ij")


def _directions(angles: int | ArrayLike) -> np.ndarray:
    if isinstance(angles, (int, np.integer)):
        return np.arange(angles) * np.pi / angles
    return np.atleast_1d(np.asarray(angles, dtype=np.float64))


def _across(y: np.ndarray, x: np.ndarray, angle: float) -> np.ndarray:
    """Signed distance from the line through the centre at `angle`; the screen's rows run downwards."""
    return x * np.sin(angle) + y * np.cos(angle)


def lines(
    size: int = 7, angles: int | ArrayLike = 8, *, width: float = 1.0, dtype: DTypeLike = np.float32
) -> np.ndarray:
    """Detectors for bright lines: a ridge through the centre of a round window, less its mean.

    With ``v`` the distance from the line through the centre: ``exp(-v**2 / (2 * width**2)) - mean`` inside the circle
    of diameter `size`, 0 outside.

    Parameters
    ----------
    size : int
        KH and KW, at least 3; an odd size has its centre on a pixel.
    angles : int or array_like of float, shape (F,)
        How many directions, spread evenly over half a turn, or the directions themselves in radians.
    width : float
        Standard deviation of the ridge in pixels.
    dtype : dtype
        float32 or float64 (any floating type).

    Returns
    -------
    ndarray, shape (F, size, size)

    Examples
    --------
    >>> horizontal, vertical = lines(size=5, angles=2)
    >>> bool(np.allclose(vertical, horizontal.T))
    True
    >>> picture = np.zeros((5, 5), dtype=np.float32)
    >>> picture[2] = 1  # a horizontal line
    >>> bool((horizontal * picture).sum() > 0.5), bool((vertical * picture).sum() < 0.1)
    (True, True)
    """
    y, x = _grid(size)
    inside = np.hypot(y, x) <= size / 2
    filters = []
    for angle in _directions(angles):
        ridge = np.exp(-(_across(y, x, angle) ** 2) / (2 * width**2))
        filters.append(np.where(inside, ridge - ridge[inside].mean(), 0))
    return unit_contrast(filters, dtype)


def sobel(*, dtype: DTypeLike = np.float32) -> np.ndarray:
    """Sobel's derivatives: the first is positive where the picture brightens rightwards, the second downwards.

    They carry their classical weights, 1 and 2: the positive weights sum to 4, and a ramp of slope 1 gives 8.

    Parameters
    ----------
    dtype : dtype
        Any signed type; the weights are small integers.

    Returns
    -------
    ndarray, shape (2, 3, 3)

    References
    ----------
    R. O. Duda, P. E. Hart, Pattern Classification and Scene Analysis, Wiley 1973, p. 271, after I. Sobel and
    G. Feldman, A 3x3 isotropic gradient operator for image processing, talk at the Stanford AI Project, 1968.

    Examples
    --------
    >>> sobel(dtype=np.int8)[0]
    array([[-1,  0,  1],
           [-2,  0,  2],
           [-1,  0,  1]], dtype=int8)
    """
    rightwards = np.outer([1, 2, 1], [-1, 0, 1])
    return np.stack([rightwards, rightwards.T]).astype(dtype)


def gabor(
    size: int = 15,
    wavelengths: float | Sequence[float] = (4.0, 8.0),
    angles: int | ArrayLike = 4,
    *,
    phases: float | Sequence[float] = 0.0,
    spread: float = 0.56,
    aspect: float = 0.5,
    dtype: DTypeLike = np.float32,
) -> np.ndarray:
    """Gabor functions: a wave under a Gaussian, the model of simple cells in the visual cortex.

    With ``u`` along the stripes, ``v`` across them and ``sigma = spread * wavelength``::

        envelope = exp(-(v**2 + (aspect * u)**2) / (2 * sigma**2))
        envelope * (cos(2 * pi * v / wavelength + phase) - mean),   mean weighted by the envelope

    Parameters
    ----------
    size : int
        KH and KW; about ``4 * spread * max(wavelengths)`` holds most of the envelope.
    wavelengths : float or sequence of float
        Distances from stripe to stripe in pixels, at least 2.
    angles : int or array_like of float
        Directions of the stripes, as in `lines`.
    phases : float or sequence of float
        0: a bright stripe in the centre (even); pi/2: an edge in the centre (odd).
    spread : float
        sigma in wavelengths; 0.56 is a bandwidth of one octave.
    aspect : float
        Below 1 the envelope is longer along the stripes than across.
    dtype : dtype
        float32 or float64 (any floating type).

    Returns
    -------
    ndarray, shape (F, size, size)
        F = wavelengths * angles * phases, in this order, the phase running fastest.

    References
    ----------
    D. Gabor, Theory of communication, J. IEE 93 (1946) 429-457, section 5 (one dimension); J. G. Daugman, Uncertainty
    relation for resolution in space, spatial frequency, and orientation optimized by two-dimensional visual cortical
    filters, J. Opt. Soc. Am. A 2 (1985) 1160-1169, eq. 1.

    Examples
    --------
    >>> gabor(size=15, wavelengths=(4, 8), angles=4).shape
    (8, 15, 15)
    >>> bool(abs(gabor(dtype=np.float64).sum(axis=(1, 2))).max() < 1e-14)
    True
    """
    y, x = _grid(size)
    filters = []
    for wavelength in np.atleast_1d(wavelengths):
        for angle in _directions(angles):
            across, along = _across(y, x, angle), _across(y, x, angle + np.pi / 2)
            envelope = bell((across**2 + (aspect * along) ** 2) / (spread * wavelength) ** 2)
            for phase in np.atleast_1d(phases):
                wave = np.cos(2 * np.pi * across / wavelength + phase)
                filters.append(envelope * (wave - np.average(wave, weights=envelope)))
    return unit_contrast(filters, dtype)
