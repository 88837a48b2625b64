"""The paper the gallery is printed on: its measures in inches from the upper left corner, its inks and its type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

PAPER, INK, FAINT = "#fbf9f4", "#20222e", "#8a8780"
RED, GREEN, BLUE, OCHRE = "#b3262b", "#2f7d4f", "#20508f", "#a8761a"
DPI = 200


def ink(colour: str = INK) -> Colormap:
    """From bare paper to full ink: what a detector does not find stays white."""
    return LinearSegmentedColormap.from_list(f"ink {colour}", [PAPER, colour])


WEIGHTS = LinearSegmentedColormap.from_list("weights", [BLUE, "#a9bfd8", "#f4f1ea", "#e3b1a6", RED])
"""Diverging: blue subtracts, red adds."""
ANSWERS = LinearSegmentedColormap.from_list("answers", [BLUE, PAPER, RED])
"""Diverging, on bare paper."""


@contextmanager
def typography() -> Iterator[None]:
    """Times-like type, which comes with Matplotlib and so looks the same everywhere."""
    with rc_context({"font.family": "STIXGeneral", "text.color": INK, "axes.linewidth": 0.5, "font.size": 11}):
        yield


class Page:
    """A figure of `width` x `height` inches, addressed from its upper left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height), dpi=DPI, facecolor=PAPER)

    def text(self, left: float, top: float, words: str, **style: Any) -> None:
        """Words whose upper left corner is at (left, top); `style` as in Matplotlib."""
        plain: dict[str, Any] = {"ha": "left", "va": "top", "linespacing": 1.4}
        self.figure.text(left / self.width, 1 - top / self.height, words, **plain | style)

    def rule(self, left: float, top: float, right: float) -> None:
        """A hairline."""
        y = 1 - top / self.height
        self.figure.add_artist(Line2D([left / self.width, right / self.width], [y, y], color=FAINT, linewidth=0.5))

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes without ticks and frame."""
        bottom = self.height - top - height
        place = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(place, facecolor="none")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        return axes

    def picture(self, left: float, top: float, width: float, height: float, pixels: np.ndarray, **style: Any) -> Axes:
        """An image that fills its place, with a hairline around it."""
        axes = self.axes(left, top, width, height)
        axes.imshow(pixels, aspect="auto", **style)
        axes.spines[:].set(visible=True, color=FAINT, linewidth=0.4)
        return axes

    def save(self, path: Path) -> None:
        """Write in the format that the name ends in."""
        self.figure.savefig(path, dpi=DPI, facecolor=PAPER)
