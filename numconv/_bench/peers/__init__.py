"""Other libraries, each in its best layouts: a module a library, loaded only where it is installed.

A module has ``contenders(workload, x, w, threads)``: all its ways of doing a workload, or none where it cannot, and
``version()``. Weights are packed before where the library can do so.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType

import numpy as np

from ..contender import Contender
from ..workload import Workload

PEERS = {
    "torch": "pytorch", "onnxruntime": "onnx_session", "opencv": "opencv", "sepFilter2D": "opencv_separable",
    "scipy": "scipy_filters",
}  # fmt: skip
"""Modules by the name that tables show; the first named is the first column."""
PACKAGES = {
    "onnxruntime": "onnxruntime onnx", "opencv": "opencv-python-headless", "sepFilter2D": "opencv-python-headless",
}  # fmt: skip
"""What to install, where that differs from the name."""


@lru_cache(maxsize=8)
def load(peer: str) -> ModuleType | None:
    """The adapter of a peer, or None where the peer is not installed."""
    try:
        return import_module(f"{__name__}.{PEERS[peer]}")
    except ImportError:
        return None


def missing() -> tuple[str, ...]:
    """Packages to install for the peers that are not there."""
    return tuple(dict.fromkeys(PACKAGES.get(peer, peer) for peer in PEERS if load(peer) is None))


def versions() -> dict[str, str]:
    """Of the peers that are there."""
    adapters = {peer: load(peer) for peer in PEERS}
    return {peer: adapter.version() for peer, adapter in adapters.items() if adapter is not None}


def contenders_of(peer: str, workload: Workload, x: np.ndarray, w: np.ndarray, threads: int) -> list[Contender]:
    """All ways of one peer, if it is installed and can do it. PyTorch alone does more than convolutions."""
    adapter = load(peer)
    more = workload.reduce or workload.operation != "convolution"
    return [] if adapter is None or (more and peer != "torch") else adapter.contenders(workload, x, w, threads)
