"""A second layer made by hand: 16 filters of 3x3 over the 32 maps that `banks.colour` gives.

Each recipe adds evidence for one thing and subtracts evidence against it; the bias is a threshold, and ReLU keeps
what exceeds it. That is how a sum becomes a logical *and*: two edges of 0.3 pass a threshold of 0.4, one does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ..banks import COLOUR_NAMES

Recipe = tuple[str, float, Mapping[str, np.ndarray]]
"""Name, bias, and a 3x3 pattern for each map of the first layer that takes part."""

_MEAN = np.full((3, 3), 1 / 9)
_ALONG = {
    0: np.array([[0, 0, 0], [1, 1, 1], [0, 0, 0]]) / 3,
    45: np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]]) / 3,
    90: np.array([[0, 1, 0], [0, 1, 0], [0, 1, 0]]) / 3,
    135: np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]]) / 3,
}
_ANGLES = tuple(_ALONG)
_LINES, _EDGES, _TEXTURES = COLOUR_NAMES[:8], COLOUR_NAMES[8:12], COLOUR_NAMES[12:24]


def _each(names: Iterable[str], pattern: np.ndarray) -> dict[str, np.ndarray]:
    return dict.fromkeys(names, pattern)


def _stroke(angle: int) -> Recipe:
    """A line and coarse texture of one direction, followed for three pixels, against the crossing direction."""
    crossing, along = (angle + 90) % 180, _ALONG[angle]
    support = _each([f"line {angle}°", f"Gabor 8 px {angle}°"], along)
    return f"stroke {angle}°", -0.05, support | _each([f"line {crossing}°", f"Gabor 8 px {crossing}°"], -_MEAN)


def _corner(right: bool, down: bool) -> Recipe:
    """The bright quadrant's two edges, each on its own side of the corner: on the other side it counts against.

    The upright edge of a quadrant on the lower right runs downwards from the corner, the level one to the right.
    """
    below, beside = np.array([[-1, -1, -1], [1, 1, 1], [1, 1, 1]]) / 6, np.array([[-1, 1, 1]] * 3) / 6
    upright = below if down else below[::-1]
    level = beside if right else beside[:, ::-1]
    names = ("edge →" if right else "edge ←", "edge ↓" if down else "edge ↑")
    arrow = {(True, True): "↘", (False, True): "↙", (False, False): "↖", (True, False): "↗"}[right, down]
    against = _each([f"Gabor 8 px {45 if right == down else 135}°"], -_MEAN)
    return f"corner {arrow}", -0.12, {names[0]: upright, names[1]: level} | against


def _recipes() -> list[Recipe]:
    fine, middle, coarse = _TEXTURES[:4], _TEXTURES[4:8], _TEXTURES[8:]
    return [
        *(_stroke(angle) for angle in _ANGLES),
        *(_corner(right, down) for right, down in ((True, True), (False, True), (False, False), (True, False))),
        ("outline", -0.02, _each(_EDGES, _MEAN)),
        ("spot", -0.35, _each(_LINES, _ALONG[0] * _ALONG[90] * 9)),
        ("fine texture", -0.02, _each(fine, _MEAN)),
        ("middle texture", -0.02, _each(middle, _MEAN)),
        ("coarse texture", -0.02, _each(coarse, _MEAN)),
        ("warm surface", -0.1, _each(["red", "yellow"], _MEAN) | _each(_EDGES, -_MEAN)),
        ("cool surface", -0.02, _each(["blue", "green"], _MEAN) | _each(_EDGES, -_MEAN)),
        ("calm", 0.25, _each((*_LINES, *_EDGES, *_TEXTURES), -_MEAN)),
    ]


def second_layer() -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Weights (3, 3, 32, 16), biases (16,) and names."""
    recipes = _recipes()
    w = np.zeros((3, 3, len(COLOUR_NAMES), len(recipes)), dtype=np.float32)
    for f, (_, _, parts) in enumerate(recipes):
        for name, pattern in parts.items():
            w[:, :, COLOUR_NAMES.index(name), f] = pattern
    return w, np.array([bias for _, bias, _ in recipes], dtype=np.float32), tuple(name for name, _, _ in recipes)
