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


def gauss(size: int, sigma: float) -> np.ndarray:
    """A Gaussian that sums to 1."""
    bell = np.exp(-((samples(size) / sigma) ** 2) / 2)
    return bell / bell.sum()


def unit_contrast(filters: Sequence[np.ndarray], dtype: DTypeLike) -> np.ndarray:
    """Stack filters, each scaled so that its positive weights sum to 1."""
    return np.stack([weights / weights[weights > 0].sum() for weights in filters]).astype(dtype)
