"""Filter banks made by hand: detectors for lines, edges, texture and colour, wavelets for signals.

A bank is an ordinary NumPy array. Images: ``(F, KH, KW)``, signals: ``(F, K)``, as `numconv.filter_bank` takes them;
`colour` and `signal` are in Keras's order, for `numconv.conv2d` and `numconv.conv1d`. All are computed in float64 and
rounded once to `dtype`, so they are the same on every machine up to the last bits of its ``exp`` and ``cos``.

Two conventions hold throughout. Weights are in correlation order: a filter is a small picture of what it finds.
Angles are in radians, counter-clockwise as seen on the screen (rows run downwards), from the horizontal: a filter at
angle 0 finds horizontal lines. Filters that detect (all but averages) sum to zero, up to rounding: a constant gives 0;
unless a function says otherwise their positive weights sum to 1, so a perfect match of contrast 1 gives 1. Gaussians
are cut off at 7 standard deviations.

>>> import numpy as np
>>> from numconv import banks
>>> banks.lines(size=7, angles=8).shape
(8, 7, 7)
>>> banks.colour().shape
(11, 11, 3, 32)
"""

from __future__ import annotations

from ._layers import COLOUR_NAMES, LUMA, SIGNAL_NAMES, colour, signal
from ._planes import gabor, lines, sobel
from ._waves import bump, derivative, moving_average, ricker

__all__ = [
    "COLOUR_NAMES",
    "LUMA",
    "SIGNAL_NAMES",
    "bump",
    "colour",
    "derivative",
    "gabor",
    "lines",
    "moving_average",
    "ricker",
    "signal",
    "sobel",
]
