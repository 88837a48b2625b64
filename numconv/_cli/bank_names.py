"""The banks that the filter command knows by name, and banks from files."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from .. import banks
from .errors import CommandError
from .files import read_array

NAMED: dict[str, Callable[[], np.ndarray]] = {
    "lines": banks.lines,
    "sobel": banks.sobel,
    "gabor": banks.gabor,
    "colour": banks.colour,
    "average": banks.moving_average,
    "bump": banks.bump,
    "slope": banks.derivative,
    "ricker": banks.ricker,
}


def load_bank(text: str) -> np.ndarray:
    """A bank by name or from FILE.npy: (F, K), (F, KH, KW), or Keras's (KH, KW, C, F)."""
    if text in NAMED:
        return NAMED[text]()
    if not text.endswith(".npy"):
        nearest = get_close_matches(text, NAMED, n=1, cutoff=0)[0]
        raise CommandError(f"unknown bank {text!r}: did you mean {nearest}? ({', '.join(NAMED)}, or FILE.npy)")
    bank = read_array(Path(text))
    bank = bank[None] if bank.ndim == 1 else bank
    if bank.ndim > 4:
        raise CommandError(f"cannot use {text}: shape {bank.shape}, expected (F, K), (F, KH, KW) or (KH, KW, C, F)")
    return bank
