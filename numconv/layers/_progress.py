"""How far training has come: a bar where tqdm is installed, and a line for each epoch."""

from __future__ import annotations

import sys
from time import perf_counter
from typing import Any

LOOK = 0.1
"""Seconds between two looks at the figures beside the bar."""


class Bar:
    """Counts steps on stderr, if that is a terminal; silent unless wanted, and where tqdm is missing."""

    def __init__(self, label: str, total: int, wanted: bool, delay: float = 0.0) -> None:
        self._bar, self._shown = _tqdm(label, total, delay) if wanted else None, perf_counter()

    def step(self) -> bool:
        """One more is done; whether figures beside it would be seen."""
        if self._bar is None:
            return False
        self._bar.update()
        return perf_counter() - self._shown > LOOK

    def show(self, figures: dict[str, float]) -> None:
        """Figures beside the bar."""
        if self._bar is not None:
            self._shown = perf_counter()
            self._bar.set_postfix_str(line(figures), refresh=False)

    def close(self) -> None:
        """Take it away."""
        if self._bar is not None:
            self._bar.close()


def _tqdm(label: str, total: int, delay: float) -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(total=total, desc=label, leave=False, delay=delay, file=sys.stderr, dynamic_ncols=True, disable=None)


def line(figures: dict[str, float]) -> str:
    """Names and values: "loss 0.1234  accuracy 0.9712"."""
    return "  ".join(f"{name} {_number(value)}" for name, value in figures.items())


def _number(value: float) -> str:
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.3e}"


def level(name: str, verbose: Any) -> int:
    """0 silent, 1 bar and lines ("auto"), 2 lines."""
    if verbose == "auto":
        return 1
    if verbose in (0, 1, 2):
        return int(verbose)
    raise ValueError(f"{name}: verbose is {verbose!r}, expected 'auto', 0 (silent), 1 (bar and lines) or 2 (lines)")
