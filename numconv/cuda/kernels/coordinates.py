"""From numbers to coordinates, as `numpy.unravel_index` has them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops


def unravelling() -> Any:
    """unravel(i, D, H, W): (the rest, d, h, w) of an int32 that is not negative, w fastest."""
    divide, int32 = ops.divide, np.int32

    def unravel(i: Any, D: Any, H: Any, W: Any) -> Any:
        row = divide(i, int32(W))
        plane = divide(row, int32(H))
        rest = divide(plane, int32(D))
        return rest, int32(plane - rest * int32(D)), int32(row - plane * int32(H)), int32(i - row * int32(W))

    return ops.device(unravel)
