"""Two worked examples that every course begins with: a bump in a signal, a line in a picture."""

from __future__ import annotations

import re

import numpy as np

import numconv


def _print_weights(w: np.ndarray) -> None:
    """As Keras's ``model.get_weights()`` prints, without the empty lines."""
    print(re.sub(r"\n+", "\n", str([w, np.zeros(w.shape[-1], dtype=w.dtype)])))


def bump() -> np.ndarray:
    """A bump detector slides along a signal: (1, 8, 1) to (1, 6, 1)."""
    x = np.array([0, 0, 0, 1, 1, 0, 0, 0], dtype=np.float32).reshape(1, 8, 1)
    w = np.array([0, 1, 0], dtype=np.float32).reshape(3, 1, 1)
    print("A bump in a signal: conv1d, x (1, 8, 1), w (3, 1, 1)")
    _print_weights(w)
    result = numconv.conv1d(x, w)
    print(result)
    print([float(value) for value in result[0, :, 0]])
    return result


def line() -> np.ndarray:
    """A detector for vertical lines slides over a picture that has one: (1, 8, 8, 1) to (1, 6, 6, 1)."""
    x = np.zeros((1, 8, 8, 1), dtype=np.float32)
    x[:, :, 3:5] = 1
    w = np.array([[0, 1, 0]] * 3, dtype=np.float32).reshape(3, 3, 1, 1)
    print("\nA vertical line in a picture: conv2d, x (1, 8, 8, 1), w (3, 3, 1, 1)")
    _print_weights(w)
    result = numconv.conv2d(x, w)
    for row in result[0, :, :, 0]:
        print([float(value) for value in row])
    return result
