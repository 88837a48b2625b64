"""The same convolutions on NVIDIA GPUs, by kernels that Numba compiles.

Nothing of it is imported before an array on a GPU, or ``device="cuda"``, asks for it.
"""

from __future__ import annotations

__all__ = ["is_available"]


def is_available() -> bool:
    """Whether convolutions can be computed on a GPU: extra ``numconv[cuda]``, driver and device are there.

    Returns
    -------
    bool
        True also in Numba's simulator (``NUMBA_ENABLE_CUDASIM=1``), which is for tests.

    Examples
    --------
    >>> import numpy as np, numconv
    >>> device = "cuda" if numconv.cuda.is_available() else "cpu"
    >>> numconv.correlate(np.ones(4), np.ones(2), pad_mode="constant", device=device).tolist()
    [1.0, 2.0, 2.0, 2.0]
    """
    from .extra import trouble

    return not trouble()
