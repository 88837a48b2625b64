"""What all banks share: where their samples lie, and how large their weights are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike


def samples(size: int) -> np.ndarray:
    """Positions of `size` samples, 1 apart, from the centre."""
    if size < 3:
        raise ValueError(f"size is {size}, expected at least 3 samples")
    return np.arange(size) - (size - 1) / 2


def bell(squared: np.ndarray) -> np.ndarray:
    """``exp(-squared / 2)``, and 0 beyond 7 standard deviations (2e-11).

    The far tail would be denormal in float32, and slow to multiply by: `signal` took 26 times as long with it.
    """
    return np.where(squared > 49, 0, np.exp(-squared / 2))


def gauss(size: int, sigma: float) -> np.ndarray:
    """A Gaussian that sums to 1."""
    values = bell((samples(size) / sigma) ** 2)
    return values / values.sum()


def unit_contrast(filters: Sequence[np.ndarray], dtype: DTypeLike) -> np.ndarray:
    """Stack filters, each scaled so that its positive weights sum to 1."""
    return np.stack([weights / weights[weights > 0].sum() for weights in filters]).astype(dtype)
