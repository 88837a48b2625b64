"""Two first layers in Keras's order: 32 filters for photographs, 32 for signals."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ._planes import gabor, lines, sobel
from ._sampling import gauss
from ._waves import bump, derivative, moving_average, ricker

LUMA = (0.299, 0.587, 0.114)
"""Share of red, green and blue in brightness (ITU-R BT.601, as in JPEG and Pillow)."""

_RED_GREEN = (1.0, -1.0, 0.0)
_BLUE_YELLOW = (-0.5, -0.5, 1.0)

_DEGREES = ("0°", "45°", "90°", "135°")
COLOUR_NAMES: tuple[str, ...] = (
    *(f"line {22.5 * i:g}°" for i in range(8)),
    *("edge →", "edge ↓", "edge ←", "edge ↑"),
    *(f"Gabor {wavelength} px {angle}" for wavelength in (3, 5, 8) for angle in _DEGREES),
    *("red", "green", "blue", "yellow"),
    *("red →", "red ↓", "blue →", "blue ↓"),
)
"""What each of the 32 filters of `colour` finds; an arrow points to the brighter (redder, bluer) side of an edge."""

_AVERAGES, _BUMPS = (3, 9, 27, 81), (5, 11, 21, 41)
_SLOPES = tuple(np.geomspace(1.5, 40, 8).round(1).tolist())
_WAVES = tuple(np.geomspace(1.5, 40, 16).round(1).tolist())
SIGNAL_NAMES: tuple[str, ...] = (
    *(f"average {width}" for width in _AVERAGES),
    *(f"bump {width}" for width in _BUMPS),
    *(f"slope {sigma:g}" for sigma in _SLOPES),
    *(f"Ricker {sigma:g}" for sigma in _WAVES),
)
"""What each of the 32 filters of `signal` measures, with its width or scale in samples."""


def colour(size: int = 11, *, dtype: DTypeLike = np.float32) -> np.ndarray:
    """A first layer for photographs: 32 filters over red, green and blue.

    Each filter is a pattern in the plane times a weight for every channel: brightness (`LUMA`), or one of the two
    opponent pairs by which the eye sees colour, red against green ``(1, -1, 0)`` and blue against yellow
    ``(-1/2, -1/2, 1)``. Grey gives 0 in the opponent filters.

    ====== =================================================================
    filter pattern
    ====== =================================================================
    0-7    `lines` at 8 angles, brightness
    8-11   `sobel` / 4: brighter to the right, below, to the left, above
    12-23  `gabor` of wavelengths 3, 5 and 8 pixels at 4 angles, brightness
    24-27  a Gaussian spot (sigma 1.5): red, green, blue, yellow
    28-31  a smoothed edge (sigma 1.5): redder to the right, redder below,
           bluer to the right, bluer below
    ====== =================================================================

    Parameters
    ----------
    size : int
        KH and KW, odd, at least 7.
    dtype : dtype
        float32 or float64 (any floating type).

    Returns
    -------
    ndarray, shape (size, size, 3, 32)
        Keras's order: KH, KW, C, F. `COLOUR_NAMES` names the filters.

    References
    ----------
    E. Hering's opponent colours, in the simple form of E. H. Adelson and J. R. Bergen, The plenoptic function and the
    elements of early vision, in: Computational Models of Visual Processing, MIT Press 1991, pp. 3-20.

    Examples
    --------
    >>> w = colour()
    >>> w.shape, w.dtype
    ((11, 11, 3, 32), dtype('float32'))
    >>> bool(np.abs(w[..., 24:].sum(axis=2)).max() < 1e-6)  # grey is no colour
    True
    """
    if size < 7 or size % 2 == 0:
        raise ValueError(f"colour: size is {size}, expected an odd number of at least 7")
    spot = np.outer(gauss(size, 1.5), gauss(size, 1.5))
    slope = np.outer(gauss(size, 1.5), derivative(size, 1.5, dtype=np.float64)[0])
    edge = slope / abs(slope).sum()
    painted = [(spot, _RED_GREEN), (-spot, _RED_GREEN), (spot, _BLUE_YELLOW), (-spot, _BLUE_YELLOW)]
    painted += [(plane, weights) for weights in (_RED_GREEN, _BLUE_YELLOW) for plane in (edge, edge.T)]
    filters = [(plane, LUMA) for plane in _bright(size)] + painted
    return np.stack([np.multiply.outer(plane, weights) for plane, weights in filters], axis=-1).astype(dtype)


def _bright(size: int) -> np.ndarray:
    """The 24 patterns that look at brightness, shape (24, size, size)."""
    right, down = sobel(dtype=np.float64) / 4
    return np.concatenate(
        [
            np.pad(lines(size - 2, 8, dtype=np.float64), ((0, 0), (1, 1), (1, 1))),
            np.pad([right, down, -right, -down], ((0, 0), (size // 2 - 1,) * 2, (size // 2 - 1,) * 2)),
            gabor(size, (3, 5, 8), 4, dtype=np.float64),
        ]
    )


def signal(size: int = 257, *, dtype: DTypeLike = np.float32) -> np.ndarray:
    """A first layer for signals: 4 running means, 4 bumps, 8 slopes and 16 Ricker wavelets from 1.5 to 40 samples.

    Parameters
    ----------
    size : int
        K, odd, at least 123.
    dtype : dtype
        float32 or float64 (any floating type).

    Returns
    -------
    ndarray, shape (size, 1, 32)
        Keras's order: K, C, F. `SIGNAL_NAMES` names the filters.

    Examples
    --------
    >>> signal().shape, len(SIGNAL_NAMES)
    ((257, 1, 32), 32)
    """
    averages = moving_average(size, _AVERAGES, dtype=np.float64)
    bumps = bump(size, _BUMPS, dtype=np.float64)
    slopes = derivative(size, _SLOPES, dtype=np.float64)
    waves = ricker(size, _WAVES, dtype=np.float64)
    return np.concatenate([averages, bumps, slopes, waves]).T[:, None, :].astype(dtype)
