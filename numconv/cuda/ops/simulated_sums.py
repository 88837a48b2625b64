"""The same for the simulator, with alignment and bounds checked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .simulated import Pointer


def delivering(scalar: str, rows: tuple[int, ...], columns: tuple[int, ...], together: int) -> Callable:
    """One by one; what is stored at once is aligned, and all of it is there."""

    def deposit(pointer: Pointer, at: int, pitch: int, height: int, width: int, acc: np.ndarray) -> None:
        sums = acc[: len(rows) * len(columns)].reshape(len(rows), len(columns))
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                if row < height and columns[j // together * together] < width:
                    offset = int(at) + row * int(pitch) + column
                    aligned = together == 1 or (offset - j % together) * acc.itemsize % 16 == 0
                    if not aligned or column >= width:
                        raise IndexError(offset)
                    pointer.memory[pointer.at(offset)] = sums[i, j]

    return deposit
