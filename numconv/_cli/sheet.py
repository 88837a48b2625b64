"""A contact sheet: all maps of a bank on one picture."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from .errors import CommandError, extra

GAP = 6
LARGEST_TILE = 512
"""Pixels; larger maps are thinned out."""
MOST_MAPS = 400
_STOPS = np.array([[32, 80, 143], [251, 249, 244], [179, 38, 43]], dtype=np.float64)
"""Blue below 0, paper at 0, red above."""


def write_sheet(path: Path, maps: np.ndarray, signals: bool) -> None:
    """`maps` (..., F, T) as curves, (..., F, H, W) as tiles, each scaled to its own range about 0."""
    shape = maps.shape[-1:] if signals else maps.shape[-2:]
    tiles = (np.abs(maps) if maps.dtype.kind == "c" else maps).reshape(-1, *shape).astype(np.float64)
    if len(tiles) > MOST_MAPS:
        raise CommandError(f"{len(tiles)} maps do not fit on one sheet (at most {MOST_MAPS}): write .npy or .npz")
    if signals:
        _write_curves(path, tiles)
        return
    extra("PIL.Image", "writing .png").fromarray(_mosaic(tiles)).save(path)


def _mosaic(tiles: np.ndarray) -> np.ndarray:
    """(n, H, W) to the pixels of a roughly square picture, (height, width, 3) uint8."""
    step = max(1, math.ceil(max(tiles.shape[1:]) / LARGEST_TILE))
    tiles = tiles[:, ::step, ::step]
    n, H, W = tiles.shape
    columns = max(1, round(math.sqrt(n * H / W)))
    rows = -(-n // columns)
    sheet = np.full((rows * (H + GAP) + GAP, columns * (W + GAP) + GAP, 3), _STOPS[1], dtype=np.uint8)
    for i, tile in enumerate(tiles):
        top, left = GAP + i // columns * (H + GAP), GAP + i % columns * (W + GAP)
        sheet[top : top + H, left : left + W] = _colours(tile)
    return sheet


def _colours(tile: np.ndarray) -> np.ndarray:
    """Blue, paper, red; what is not a number stays paper."""
    finite = np.where(np.isfinite(tile), tile, 0)
    largest = np.percentile(np.abs(finite), 99.5) or np.abs(finite).max() or 1.0
    scaled = np.clip(finite / largest, -1, 1)
    return np.stack([np.interp(scaled, [-1, 0, 1], _STOPS[:, c]) for c in range(3)], axis=-1).round().astype(np.uint8)


def _write_curves(path: Path, curves: np.ndarray) -> None:
    """One row for each curve."""
    figures = extra("matplotlib.figure", "drawing signals")
    figure = figures.Figure(figsize=(12, 0.55 * len(curves) + 0.6), dpi=150, layout="constrained")
    rows = figure.subplots(len(curves), 1, sharex=True, squeeze=False)[:, 0]
    for f, (axes, curve) in enumerate(zip(rows, curves, strict=True)):
        axes.plot(curve, color="#20222e", linewidth=0.7)
        axes.set_ylabel(str(f), rotation=0, ha="right", va="center")
        axes.set(yticks=[], xlim=(0, max(len(curve) - 1, 1)))
        axes.spines[:].set_visible(False)
    figure.savefig(path)
