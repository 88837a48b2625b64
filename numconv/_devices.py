"""Where a call is computed: nothing of the GPU path is imported before something asks for a GPU."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ._plan import Plan
from ._types import lies_on_gpu

EXPECTED = 'expected None (where x is), "cpu", "cuda" or "cuda:" and a number'


def on_gpu(name: str, x: Any, device: Any, argument: str = "x") -> bool:
    """Whether a call with this x (or another argument) and `device` is one for a GPU."""
    if device is None:
        return lies_on_gpu(x)
    if check_device(name, device) != "cpu":
        return True
    if lies_on_gpu(x):
        raise ValueError(
            f"{name}: device is 'cpu', but {argument} lies on a GPU; copy it to the host, or leave device out"
        )
    return False


def check_device(name: str, device: Any) -> str:
    """One of the names of a device."""
    if not isinstance(device, str):
        raise TypeError(f"{name}: device is {device!r}, {EXPECTED}")
    if not re.fullmatch(r"cpu|cuda(:\d{1,4})?", device):
        raise ValueError(f"{name}: device is {device!r}, {EXPECTED}")
    return device


def plan_kind(name: str, device: Any, precision: Any, *weights: Any) -> tuple[Callable[..., Plan], Any, Any]:
    """(what makes the plan, its weights on the host): a GPU's where `device` or the first weights say so."""
    w, bias = (*weights, None)[:2]
    if not on_gpu(name, w, device):
        return Plan, w, bias
    from .cuda.plan import maker

    return maker(name, device, precision, w, bias)
