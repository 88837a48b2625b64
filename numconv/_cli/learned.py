"""The page of what was learned: a filter that was hidden, how reading got better, and a digit on its way through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator, PercentFormatter

from . import detector
from . import page as paper
from .detector import Approach
from .digits import TESTED, Digits, Reader
from .page import Page
from .progress import progress

WIDTH, MARGIN = 12.0, 0.55
INNER = WIDTH - 2 * MARGIN
HEAD, HEADING = 2.15, 0.95
FILTER, FILTER_GAP = 0.98, 0.2
CURVES = 2.5
LABEL, GAP = 1.75, 0.09
ACROSS = INNER - LABEL
ANSWERS = 0.95
PAPER_INK = paper.ink(paper.INK)
_STORY = (
    "Each row shows what a layer makes of the row above it. The first filters look for short strokes and edges,\n"
    "the next ones for arrangements of these, the last ones for whole parts of a digit; a dense layer weighs all\n"
    "of them, and names one of ten. Nobody told the network what to look for."
)


@dataclass(frozen=True)
class Learned:
    """All that is shown."""

    approach: Approach
    data: Digits
    reader: Reader


def write_learned(learned: Learned, path: Path) -> None:
    """Draw the page and save it."""
    with paper.typography():
        second = HEAD + HEADING + FILTER + 0.75
        third = second + HEADING + CURVES + 0.75
        way = list(_way(learned))
        page = Page(WIDTH, third + HEADING + sum(row.height for row in way) + 0.25)
        parts: list[Callable[[], None]] = [
            lambda: _head(page, learned),
            lambda: _hidden(page, learned.approach, HEAD),
            lambda: _reading(page, learned, second),
            lambda: _through(page, learned, way, third),
            lambda: page.save(path),
        ]
        for part in progress(parts, "drawing the page"):
            part()


def _head(page: Page, learned: Learned) -> None:
    page.text(MARGIN, 0.45, "Filters that learn", size=34)
    words = (
        "Nobody has to make filters by hand. Begin with any numbers, look at what comes out and at what ought to\n"
        "have come out, and change each number a little in the direction that makes the difference smaller. The\n"
        "gradient says which direction that is; it is a convolution, too. Red weights add, blue ones subtract."
    )
    page.text(MARGIN, 1.2, words, size=12.5)


def _heading(page: Page, top: float, title: str, words: str) -> None:
    page.rule(MARGIN, top, WIDTH - MARGIN)
    page.text(MARGIN, top + 0.14, title, size=21)
    page.text(WIDTH - MARGIN, top + 0.25, words, size=11.5, ha="right", color=paper.FAINT, style="italic")


# ---- a hidden filter


def _hidden(page: Page, approach: Approach, top: float) -> None:
    words = f"{detector.PICTURES} pictures of noise, and the answers of a detector of upright lines"
    _heading(page, top, "A hidden filter is found", words)
    top += HEADING - 0.1
    titles = {n: f"after epoch {n}" if n else "before" for n in detector.SHOWN}
    left = MARGIN
    for n, title in titles.items():
        _weights(page, left, top, FILTER, np.asarray(approach.filters[n]), 1.0)
        _caption(page, left, top, title, f"off by {approach.error(n):.1g}")
        left += FILTER + FILTER_GAP
    left += 0.25
    _weights(page, left, top, FILTER, detector.HIDDEN, 1.0)
    _caption(page, left, top, "the hidden one", "")
    start = left + FILTER + 1.15
    axes = page.axes(start, top, WIDTH - MARGIN - start, FILTER)
    axes.semilogy(approach.losses, color=paper.RED, linewidth=1.1)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_yticks([1, 1e-5, 1e-10])
    _scale(axes, len(approach.losses) - 1, "mean squared\ndifference")


def _caption(page: Page, left: float, top: float, title: str, foot: str) -> None:
    middle = left + FILTER / 2
    page.text(middle, top + FILTER + 0.07, title, size=11, ha="center")
    page.text(middle, top + FILTER + 0.27, foot, size=10, ha="center", color=paper.FAINT)


def _weights(page: Page, left: float, top: float, size: float, values: np.ndarray, most: float) -> None:
    page.picture(left, top, size, size, values, cmap=paper.WEIGHTS, vmin=-most, vmax=most, interpolation="nearest")


def _scale(axes: Axes, last: int, words: str) -> None:
    """Epochs to the right, words at the left."""
    axes.spines[["left", "bottom"]].set(visible=True, color=paper.FAINT)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlim(0, last)
    axes.tick_params(length=3, width=0.5, labelsize=9.5, color=paper.FAINT)
    axes.set_xlabel("epochs", size=10.5)
    axes.set_ylabel(words, size=10.5)


# ---- reading


def _reading(page: Page, learned: Learned, top: float) -> None:
    data, reader = learned.data, learned.reader
    words = f"{len(data.x)} digits to learn from, {TESTED} others to be tested on; {reader.seconds:.0f} seconds"
    _heading(page, top, f"Handwriting is read: {reader.accuracy:.1%}", words)
    top += HEADING - 0.1
    _accuracy(page, reader, top)
    _hardest(page, learned, MARGIN + 6.45, top)


def _accuracy(page: Page, reader: Reader, top: float) -> None:
    known, others = reader.history["accuracy"], reader.history["val_accuracy"]
    epochs = np.arange(1, len(known) + 1)
    left = MARGIN + 0.6
    axes = page.axes(left, top, 5.2, CURVES)
    axes.plot(epochs, np.array(known), color=paper.BLUE, linewidth=1.1)
    axes.plot(epochs, np.array(others), color=paper.RED, linewidth=1.5)
    axes.set_ylim(min(0.8, 0.95 * min(others)), 1.003)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(axis="y", color=paper.FAINT, alpha=0.25, linewidth=0.5)
    _scale(axes, len(known), "read correctly")
    axes.set_xlim(1, len(known))
    place: dict[str, Any] = {"transform": axes.transAxes, "size": 11, "ha": "right"}
    axes.text(0.98, 0.3, "digits it has not seen", color=paper.RED, **place)
    axes.text(0.98, 0.2, "digits it learns from, some numbers left out", color=paper.BLUE, **place)


def _hardest(page: Page, learned: Learned, left: float, top: float) -> None:
    """The ten digits of the test that the network is least sure of, or wrong about."""
    data, p = learned.data, learned.reader.model.predict(learned.data.test_x)
    right = p[np.arange(len(p)), data.test_y]
    wrong = int((p.argmax(axis=1) != data.test_y).sum())
    count = {0: "none is", 1: "one is"}.get(wrong, f"{wrong} are")
    page.text(left, top - 0.06, f"The hardest ones, and how sure it is: {count} misread", size=12.5)
    size, step = 0.72, 0.9
    for i, sample in enumerate(np.argsort(right, kind="stable")[:10]):
        x, y = left + i % 5 * step, top + 0.3 + i // 5 * (size + 0.47)
        page.picture(x, y, size, size, data.test_x[sample, ..., 0], cmap=PAPER_INK, interpolation="nearest")
        read, label = p[sample].argmax(), data.test_y[sample]
        words, colour = (f"{label}, {right[sample]:.0%}", paper.INK)
        if read != label:
            words, colour = f"{label}, read as {read}", paper.RED
        page.text(x + size / 2, y + size + 0.05, words, size=9.5, ha="center", color=colour)


# ---- a digit on its way


@dataclass(frozen=True)
class Row:
    """Pictures side by side, with words at the left."""

    words: str
    pictures: Sequence[np.ndarray]
    columns: int
    signed: bool = False

    @property
    def size(self) -> float:
        """Of a picture."""
        return (ACROSS + GAP) / self.columns - GAP

    @property
    def height(self) -> float:
        """With the space below."""
        if not self.pictures:
            return ANSWERS + 0.3
        return -(-len(self.pictures) // self.columns) * (self.size + GAP) + 0.2


def _way(learned: Learned) -> Iterator[Row]:
    """A digit, the filters of the first layer, and what each layer makes of it; the last row is the answer."""
    model = learned.reader.model
    x = _digit(learned)[None]
    yield Row("a digit that it\nhas not seen", [], 10)
    yield Row(
        "16 filters of 3 × 3,\nas they were learned",
        list(np.moveaxis(model.get_weights()[0][:, :, 0], -1, 0)),
        16,
        True,
    )
    words = iter(
        (
            "what they find:\n16 maps of 8 × 8",
            "32 filters of 3 × 3 × 16\nlook at these maps",
            "the largest of\neach 2 × 2",
            "64 filters of 3 × 3 × 32",
        )
    )
    for layer in model.layers[:4]:
        x = layer(x)
        maps = list(np.moveaxis(x[0], -1, 0))
        yield Row(next(words), maps, 16 if x.shape[1] == 8 else 32)
    yield Row("the answer", [], 10)


def _digit(learned: Learned) -> np.ndarray:
    """The first 3 of the test that is read as one: round and with an open side, which maps show well."""
    model, data = learned.reader.model, learned.data
    right = model.predict(data.test_x).argmax(axis=1) == data.test_y
    return data.test_x[np.flatnonzero(right & (data.test_y == 3))[0]]


def _through(page: Page, learned: Learned, way: Sequence[Row], top: float) -> None:
    _heading(page, top, "A digit on its way through the network", "Ink shows where a filter answers.")
    top += HEADING - 0.1
    digit, left = _digit(learned), MARGIN + LABEL
    for row in way:
        page.text(MARGIN, top + row.height / 2 - 0.1, row.words, size=11, va="center")
        for i, values in enumerate(row.pictures):
            x, y = (n * (row.size + GAP) for n in (i % row.columns, i // row.columns))
            _cell(page, left + x, top + y, row, values)
        if row is way[0]:
            page.picture(left, top, ANSWERS, ANSWERS, digit[..., 0], cmap=PAPER_INK, interpolation="nearest")
            page.text(left + ANSWERS + 0.3, top + ANSWERS / 2, _STORY, size=12.5, va="center")
        top += row.height
    _answer(page, learned.reader.model.predict(digit[None])[0], top - way[-1].height)


def _cell(page: Page, left: float, top: float, row: Row, values: np.ndarray) -> None:
    most = max(float(np.abs(picture).max()) for picture in row.pictures)
    if row.signed:
        _weights(page, left, top, row.size, values, most)
    else:
        own = max(float(values.max()), 0.15 * most)
        page.picture(left, top, row.size, row.size, values, cmap=PAPER_INK, vmin=0, vmax=own, interpolation="nearest")


def _answer(page: Page, p: np.ndarray, top: float) -> None:
    """How likely the network takes the digit for each of ten."""
    axes = page.axes(MARGIN + LABEL, top, ACROSS, ANSWERS - 0.2)
    axes.bar(range(10), p, width=0.5, color=[paper.RED if value == p.max() else paper.INK for value in p])
    axes.set(xticks=range(10), ylim=(0, 1.02), xlim=(-0.5, 9.5))
    axes.tick_params(length=0, labelsize=13, pad=3)
    axes.spines["bottom"].set(visible=True, color=paper.FAINT)
    most = int(p.argmax())
    axes.text(most + 0.3, 0.9, f"{p[most]:.1%}", size=11, va="top")
