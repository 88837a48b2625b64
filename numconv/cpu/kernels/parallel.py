"""The parallel function: the package's `prange`. Importing this module compiles it and starts Numba's threading layer.

It is the only one. A `parallel=True` function takes 0.3 to 0.85 s to compile, loses exceptions and turns the index
unsigned; so this one has the smallest body there is, and every kernel of every method runs under it.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange, types

from .intrinsics import call


@njit(types.void(types.int64, types.int64, types.int64), parallel=True, error_model="numpy")
def parallel(worker_address, call_address, workers):
    """Run `workers` workers at once over the jobs of a call: its filter blocks x output blocks.

    The prange over filters is this one, handed out by the workers: a job is one filter block of one output block.
    Counting workers instead of jobs gives each a number of its own under every threading layer.
    """
    for slot in prange(workers):
        call(worker_address, (call_address, np.int64(slot)))
