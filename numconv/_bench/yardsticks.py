"""What a workload is compared with besides other libraries: a copy, the same in float32, four real convolutions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .contender import Contender
from .workload import Workload


def _copy(_: Workload, x: np.ndarray) -> Contender:
    """The input to an array of its size, by NumPy, in one thread."""
    target = x.copy()
    return Contender("copy", lambda: np.copyto(target, x))


def _float32(workload: Workload, _: np.ndarray) -> Contender:
    """The plan of the same convolution in float32."""
    return _twin("float32", replace(workload, x_dtype="float32", w_dtype="", dtype=None), 1)


def _four_real(workload: Workload, _: np.ndarray) -> Contender:
    """Four times the plan of the same convolution of real numbers."""
    real = np.empty(0, workload.x_dtype).real.dtype.name
    return _twin("4 real", replace(workload, x_dtype=real), 4)


def _twin(name: str, workload: Workload, times: int) -> Contender:
    x, w = workload.arrays()
    plan = workload.plan(w)
    out = plan(x)

    def run() -> None:
        for _ in range(times):
            plan(x, out=out)

    return Contender(name, run)


YARDSTICKS: dict[str, Callable[[Workload, np.ndarray], Contender]] = {
    "copy": _copy,
    "float32": _float32,
    "4 real": _four_real,
}
"""Seconds of these over ours are ratios, but none of them is a peer."""
