"""The demo's network: two layers on a photograph, one on a signal."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np

import numconv

from .. import banks
from .recipes import second_layer
from .sources import Photograph, Recording


@dataclass(frozen=True)
class Layer:
    """One layer and what it gave.

    Attributes
    ----------
    title : for tables.
    x : input, (*spatial, C).
    w, bias : (*kernel, C, F), (F,) or None.
    names : what each filter finds, F of them.
    activation : None or "relu".
    plan : the `numconv.Plan` that was called.
    maps : output, (*spatial, F).
    first_call : seconds from the request to the result, with planning and compiling or loading kernels.
    """

    title: str
    x: np.ndarray
    w: np.ndarray
    bias: np.ndarray | None
    names: tuple[str, ...]
    activation: str | None
    plan: numconv.Plan
    maps: np.ndarray
    first_call: float


def _layer(
    title: str,
    x: np.ndarray,
    w: np.ndarray,
    names: tuple[str, ...],
    bias: np.ndarray | None = None,
    activation: str | None = None,
) -> Layer:
    make_plan = {1: numconv.plan_conv1d, 2: numconv.plan_conv2d}[x.ndim - 1]
    start = perf_counter()
    plan = make_plan(x.shape, w, bias, padding="same", pad_mode="symmetric", activation=activation)
    maps = plan(x)
    return Layer(title, x, w, bias, names, activation, plan, maps, perf_counter() - start)


def first(photograph: Photograph) -> Layer:
    """32 filters over red, green and blue: (H, W, 3) to (H, W, 32)."""
    return _layer("photograph", photograph.pixels, banks.colour(), banks.COLOUR_NAMES, activation="relu")


def second(below: Layer) -> Layer:
    """16 filters over 32 feature maps: (H, W, 32) to (H, W, 16)."""
    w, bias, names = second_layer()
    return _layer("feature maps", below.maps, w, names, bias, activation="relu")


def wavelets(recording: Recording) -> Layer:
    """32 filters over a signal: (T, 1) to (T, 32)."""
    return _layer("signal", recording.samples[:, None], banks.signal(), banks.SIGNAL_NAMES)
