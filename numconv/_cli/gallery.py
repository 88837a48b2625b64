"""The demo's gallery: a photograph, what two layers find in it, and a signal with its filters, on one page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.colors import PowerNorm

from . import page as paper
from .layers import Layer
from .page import Page
from .progress import progress
from .sources import Photograph, Recording
from .traces import HEIGHT as TRACES_HEIGHT
from .traces import draw_signal

WIDTH, MARGIN, GAP = 12.0, 0.55, 0.13
INNER = WIDTH - 2 * MARGIN
COLUMNS = 8
CELL = (INNER - (COLUMNS - 1) * GAP) / COLUMNS
PHOTO = 4.1
STORY = 3.9
CAPTION = 0.5
HEADING = 0.85
FAINTEST = 0.02
"""Answers to this much contrast get full ink at the most, so that rounding errors do not make pictures."""


@dataclass(frozen=True)
class Gallery:
    """All that is shown."""

    photograph: Photograph
    first: Layer
    second: Layer
    recording: Recording
    wavelets: Layer


def write_gallery(gallery: Gallery, path: Path) -> None:
    """Draw the page and save it."""
    with paper.typography():
        page, parts = _compose(gallery)
        for part in progress([*parts, lambda: page.save(path)], "drawing the gallery"):
            part()


def _compose(gallery: Gallery) -> tuple[Page, list[Callable[[], None]]]:
    """The page and the calls that fill it, top to bottom."""
    shape = gallery.first.maps[_window(gallery.photograph.pixels.shape)].shape
    cell_height, photo_height = (width * shape[0] / shape[1] for width in (CELL, PHOTO))
    rows = [-(-len(layer.names) // COLUMNS) for layer in (gallery.first, gallery.second)]
    head = 0.5 + max(photo_height, STORY) + 0.35
    blocks = [HEADING + n * (cell_height + CAPTION) for n in rows]
    tops = np.cumsum([head, *blocks]).tolist()
    page = Page(WIDTH, tops[-1] + TRACES_HEIGHT + 0.35)
    return page, [
        lambda: _draw_head(page, gallery, photo_height),
        lambda: _draw_first(page, gallery.first, tops[0], cell_height),
        lambda: _draw_second(page, gallery.second, tops[1], cell_height),
        lambda: draw_signal(page, gallery.recording, gallery.wavelets, MARGIN, tops[2], INNER),
    ]


def _window(shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The middle of a picture that is very long or very wide: rows and columns that are shown."""
    H, W = shape[:2]
    height, width = min(H, round(1.3 * W)), min(W, round(2 * H))
    top, left = (H - height) // 2, (W - width) // 2
    return slice(top, top + height), slice(left, left + width)


def _draw_head(page: Page, gallery: Gallery, height: float) -> None:
    top, column, pixels = 0.5, MARGIN + PHOTO + 0.45, gallery.photograph.pixels
    page.picture(MARGIN, top, PHOTO, height, np.clip(pixels[_window(pixels.shape)], 0, 1))
    page.text(MARGIN, top + height + 0.07, gallery.photograph.caption, color=paper.FAINT, size=10, style="italic")
    page.text(column, top - 0.1, "What convolution sees", size=34)
    page.text(column, top + 0.74, _story(gallery), size=13.5, linespacing=1.45)


def _story(gallery: Gallery) -> str:
    H, W, _ = gallery.photograph.pixels.shape
    KH, KW, _, F = gallery.first.w.shape
    KH2, KW2, _, F2 = gallery.second.w.shape
    return (
        f"A filter is a small picture of what it finds. Laid on every pixel\n"
        f"of the photograph, it answers with a number: how much the pixels\n"
        f"under it look like it. The answers form a picture again, a feature map.\n\n"
        f"These are all the maps, {H} × {W} pixels each, of a small network\n"
        f"with weights made by hand; nothing was trained:\n\n"
        f"    1   {F} filters of {KH} × {KW} pixels look at red, green and blue;\n"
        f"    2   {F2} filters of {KH2} × {KW2} pixels look at the {F} maps of layer 1.\n\n"
        f"Ink shows where a filter answers; negative answers are cut off (ReLU).\n"
        f"At the foot, filters in one dimension look at a signal."
    )


def _heading(page: Page, top: float, title: str, words: str) -> None:
    page.rule(MARGIN, top, WIDTH - MARGIN)
    page.text(MARGIN, top + 0.14, title, size=21)
    page.text(WIDTH - MARGIN, top + 0.25, words, size=11.5, ha="right", color=paper.FAINT, style="italic")


def _cells(top: float, cell_height: float, count: int) -> list[tuple[float, float]]:
    """Left and top of each cell, row by row."""
    step = cell_height + CAPTION
    return [(MARGIN + (i % COLUMNS) * (CELL + GAP), top + HEADING - 0.2 + i // COLUMNS * step) for i in range(count)]


def _draw_map(page: Page, left: float, top: float, height: float, values: np.ndarray, name: str) -> None:
    values = values[_window(values.shape)]
    brightest = max(float(np.percentile(values, 99.5)), FAINTEST)
    scale = PowerNorm(0.6, vmin=0, vmax=brightest, clip=True)  # thin lines stay dark when the map is made small
    page.picture(left, top, CELL, height, values, cmap=paper.ink(_tint(name)), norm=scale, interpolation="antialiased")


def _name(page: Page, left: float, middle: float, name: str) -> None:
    """Long names take two lines; all share a baseline, whatever letters they have."""
    head, _, tail = name.rpartition(" ") if len(name) > 11 else ("", "", name)
    lines = [(head, middle - 0.02), (tail, middle + 0.14)] if head else [(name, middle + 0.05)]
    for words, baseline in lines:
        page.text(left, baseline, words, size=11, va="baseline")


def _tint(name: str) -> str:
    """Maps of colour are printed in it."""
    tints = {"red": paper.RED, "green": paper.GREEN, "blue": paper.BLUE, "yellow": paper.OCHRE}
    tints |= {"warm": paper.RED, "cool": paper.BLUE}
    return tints.get(name.split()[0], paper.INK)


def _draw_first(page: Page, layer: Layer, top: float, height: float) -> None:
    KH, KW, C, F = layer.w.shape
    words = f"{F} filters, {KH} × {KW} × {C}.  Red adds, blue subtracts; colour filters are shown in their colours."
    _heading(page, top, "Layer 1: lines, edges, texture, colour", words)
    size = 0.34
    for f, (left, cell_top) in enumerate(_cells(top, height, F)):
        _draw_map(page, left, cell_top, height, layer.maps[..., f], layer.names[f])
        below = cell_top + height + 0.05
        page.picture(left, below, size, size, _portrait(layer.w[..., f]), interpolation="nearest")
        _name(page, left + size + 0.08, below + size / 2, layer.names[f])


def _portrait(w: np.ndarray) -> np.ndarray:
    """A filter (KH, KW, 3) as a picture (KH, KW, 3): brightness in red and blue, colour about middle grey."""
    bright = w.sum(axis=2)
    if abs(bright).max() > 1e-3 * abs(w).max():
        return paper.WEIGHTS(0.5 + bright / (2 * abs(bright).max()))[..., :3]
    return 0.5 + w / (2 * abs(w).max())


def _draw_second(page: Page, layer: Layer, top: float, height: float) -> None:
    KH, KW, C, F = layer.w.shape
    words = f"{F} filters, {KH} × {KW} × {C}.  Bars: the maps of layer 1 that a filter adds (red) and subtracts (blue)."
    _heading(page, top, "Layer 2: strokes, corners, surfaces", words)
    for f, (left, cell_top) in enumerate(_cells(top, height, F)):
        _draw_map(page, left, cell_top, height, layer.maps[..., f], layer.names[f])
        below = cell_top + height + 0.05
        _draw_recipe(page, left, below, layer.w[..., f].sum(axis=(0, 1)))
        _name(page, left + 0.5, below + 0.17, layer.names[f])


def _draw_recipe(page: Page, left: float, top: float, weights: Sequence[float]) -> None:
    """A bar for each map of the layer below."""
    axes = page.axes(left, top + 0.02, 0.42, 0.3)
    colours = [paper.RED if w > 0 else paper.BLUE for w in weights]
    axes.bar(range(len(weights)), weights, width=0.9, color=colours)
    axes.axhline(0, color=paper.FAINT, linewidth=0.4)
    axes.set_xlim(-0.5, len(weights) - 0.5)
    axes.set_ylim(-1.05 * np.abs(weights).max(), 1.05 * np.abs(weights).max())
