"""A convolution learns, from pictures and the answers of a filter that it does not see, that filter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import numconv
from numconv.layers import SGD, Conv2D, Sequential

HIDDEN = np.array([[0, 1, 0], [0, 1, 0], [0, 1, 0]], np.float32)
"""The detector of vertical lines that every course begins with."""
PICTURES, SIZE = 256, 8
EPOCHS = 16
SHOWN = (0, 1, 2, 4, 8)


@dataclass(frozen=True)
class Approach:
    """What the filter was after each epoch.

    Attributes
    ----------
    filters : (EPOCHS + 1, 3, 3), the first before any.
    losses : mean squared differences from the answers, EPOCHS + 1 of them.
    """

    filters: np.ndarray
    losses: list[float]

    def error(self, epoch: int) -> float:
        """The largest difference of a weight from the hidden one."""
        return float(np.abs(self.filters[epoch] - HIDDEN).max())


def approach(seed: int) -> Approach:
    """Learn by stochastic gradient descent, and look at the filter after each epoch."""
    pictures = np.random.default_rng(seed).standard_normal((PICTURES, SIZE, SIZE, 1), dtype=np.float32)
    answers = numconv.conv2d(pictures, HIDDEN[:, :, None, None])
    model = Sequential([Conv2D(1, (3, 3), input_shape=(SIZE, SIZE, 1))], seed=seed)
    model.compile(SGD(0.05), "mse")
    filters, losses = [model.get_weights()[0]], [model.evaluate(pictures, answers)]
    for _ in range(EPOCHS):
        model.fit(pictures, answers, verbose=0)
        filters.append(model.get_weights()[0])
        losses.append(model.evaluate(pictures, answers))
    return Approach(np.array(filters)[..., 0, 0], losses)


def table(found: Approach) -> str:
    """The filter after some epochs, side by side with the hidden one."""
    blocks = [_block(f"epoch {n}", np.asarray(found.filters[n]), f"off by {found.error(n):.1g}") for n in SHOWN]
    blocks.append(_block("hidden", HIDDEN, ""))
    return "\n".join("   ".join(lines).rstrip() for lines in zip(*blocks, strict=True))


def _block(title: str, values: np.ndarray, foot: str) -> list[str]:
    rows = [" ".join(f"{round(float(value), 2) + 0.0:5.2f}" for value in row) for row in values]
    return [title.center(17), *rows, foot.center(17)]
