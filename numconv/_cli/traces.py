"""The gallery's last part: a signal and what its filters make of it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from . import page as paper
from .layers import Layer
from .page import Page
from .sources import Recording

LABEL = 1.65
TRACE, ROW, MAP = 0.9, 0.47, 1.5
SHOWN = ("average 81", "bump 21", "slope 2.4", "slope 25", "Ricker 2.9")
"""Filters whose answers are drawn as curves; the Ricker wavelets are shown together as a map."""
HEIGHT = 0.8 + TRACE + 0.12 + len(SHOWN) * ROW + 0.15 + MAP + 0.45


def draw_signal(page: Page, recording: Recording, layer: Layer, left: float, top: float, width: float) -> None:
    """The signal, five curves, and sixteen wavelets over time."""
    K, _, F = layer.w.shape
    page.rule(left, top, left + width)
    page.text(left, top + 0.14, "One dimension: a signal", size=21)
    words = f"{F} filters of {K} samples: {recording.caption}"
    page.text(left + width, top + 0.25, words, size=11.5, ha="right", color=paper.FAINT, style="italic")
    start, across = left + LABEL, width - LABEL
    time = np.arange(len(recording.samples)) / (recording.rate or 1)

    top += 0.8
    _curve(page.axes(start, top, across, TRACE), time, recording.samples, paper.INK)
    unit = f", {recording.unit}" if recording.unit else ""
    page.text(left, top + TRACE / 2, f"the signal{unit}", size=12, va="center")
    top += TRACE + 0.12
    for name in SHOWN:
        f = layer.names.index(name)
        _draw_filter(page, left, top, layer.w[:, 0, f], name)
        _curve(page.axes(start, top, across, ROW - 0.08), time, layer.maps[:, f], paper.RED)
        top += ROW
    _draw_waves(page, layer, time, (left, top + 0.15, start, across), recording.rate)


def _curve(axes: Axes, time: np.ndarray, values: np.ndarray, colour: str) -> None:
    axes.plot(time, values, color=colour, linewidth=0.7)
    axes.set_xlim(time[0], time[-1])
    axes.margins(y=0.06)


def _draw_filter(page: Page, left: float, top: float, weights: np.ndarray, name: str) -> None:
    """The filter's own curve, cut to where it is not 0, and its name."""
    inside = np.flatnonzero(abs(weights) > 0.01 * abs(weights).max())
    lo, hi = max(inside[0] - 2, 0), min(inside[-1] + 3, len(weights))
    axes = page.axes(left, top + 0.04, 0.55, ROW - 0.16)
    axes.axhline(0, color=paper.FAINT, linewidth=0.4)
    axes.plot(weights[lo:hi], color=paper.INK, linewidth=0.9, drawstyle="steps-mid")
    page.text(left + 0.65, top + ROW / 2 - 0.04, name, size=11, va="center")


def _draw_waves(
    page: Page, layer: Layer, time: np.ndarray, place: tuple[float, float, float, float], rate: float
) -> None:
    """The wavelets' answers over time, each scaled to its own range, the shortest wavelet on top."""
    left, top, start, across = place
    waves = [f for f, name in enumerate(layer.names) if name.startswith("Ricker")]
    answers = layer.maps[:, waves].T
    values = answers / np.maximum(np.percentile(np.abs(answers), 99, axis=1, keepdims=True), 1e-30)
    axes = page.axes(start, top, across, MAP)
    axes.imshow(values, aspect="auto", cmap=paper.ANSWERS, vmin=-1, vmax=1, extent=(time[0], time[-1], len(waves), 0))
    _time_axis(axes, time, rate)
    shortest, longest = (_scale(layer.names[waves[i]], rate) for i in (0, -1))
    page.text(
        left,
        top + MAP / 2,
        f"{len(waves)} Ricker wavelets:\nred where the signal\nbulges up, blue down",
        size=11,
        va="center",
    )
    for y, words, va in ((top, shortest, "top"), (top + MAP, longest, "bottom")):
        page.text(start - 0.06, y, words, size=9.5, ha="right", va=va, color=paper.FAINT)


def _scale(name: str, rate: float) -> str:
    """A wavelet's scale in time."""
    sigma = float(name.split()[-1])
    return f"{1000 * sigma / rate:.2g} ms" if rate else f"{sigma:g} samples"


def _time_axis(axes: Axes, time: np.ndarray, rate: float) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10]))
    axes.set_xlim(time[0], time[-1])
    axes.tick_params(axis="x", length=3, width=0.5, labelsize=10)
    axes.set_xlabel("seconds" if rate else "samples", size=11)
