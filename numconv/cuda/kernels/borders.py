"""What lies beyond the border: the pad value, or samples by a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops


def sampling(borders: bool) -> Any:
    """sample(position, size, lo, table, at): the sample that a position along an axis shows; -1 for the pad value."""
    load, int64 = ops.reader("int64", "int64"), np.int64

    def sample(position: Any, size: Any, lo: Any, table: Any, at: Any) -> Any:
        if position < 0:
            return load(table, at + position + lo)
        return position if position < size else load(table, at + lo + position - size)

    def constant(position: Any, size: Any, lo: Any, table: Any, at: Any) -> Any:
        return position if 0 <= position < size else int64(-1)

    return ops.device(sample if borders else constant)
