"""Convolution for NumPy arrays, JIT-compiled with Numba.

Many filters, many channels, batches, every type a scientist uses; nothing is compiled or started by the import.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._forks import importing

__version__ = "0.1.0"

if not getattr(sys, "_is_gil_enabled", lambda: True)():
    raise ImportError(
        "numconv has not been tested on Python without a global interpreter lock, and does not run there: start Python "
        "with PYTHON_GIL=1 or -X gil=1"
    )

__all__ = [
    "Plan",
    "__version__",
    "banks",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "convolve",
    "correlate",
    "cuda",
    "filter_bank",
    "get_num_threads",
    "grad",
    "layers",
    "num_threads",
    "plan_conv1d",
    "plan_conv2d",
    "plan_conv3d",
    "plan_conv_transpose1d",
    "plan_conv_transpose2d",
    "plan_conv_transpose3d",
    "plan_filter_bank",
    "reference",
    "set_num_threads",
    "show_config",
    "warm_up",
]

_MODULES = {
    "_bank": ("convolve", "correlate", "filter_bank", "plan_filter_bank"),
    "_config": ("show_config",),
    "_conv": ("conv1d", "conv2d", "conv3d"),
    "_conv_plans": ("plan_conv1d", "plan_conv2d", "plan_conv3d"),
    "_conv_transpose": ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    "_conv_transpose_plans": ("plan_conv_transpose1d", "plan_conv_transpose2d", "plan_conv_transpose3d"),
    "_plan": ("Plan",),
    "_warm": ("warm_up",),
    "_threads": ("get_num_threads", "num_threads", "set_num_threads"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

if TYPE_CHECKING:
    from . import banks, cuda, grad, layers, reference
    from ._bank import convolve, correlate, filter_bank, plan_filter_bank
    from ._config import show_config
    from ._conv import conv1d, conv2d, conv3d
    from ._conv_plans import plan_conv1d, plan_conv2d, plan_conv3d
    from ._conv_transpose import conv_transpose1d, conv_transpose2d, conv_transpose3d
    from ._conv_transpose_plans import plan_conv_transpose1d, plan_conv_transpose2d, plan_conv_transpose3d
    from ._plan import Plan
    from ._threads import get_num_threads, num_threads, set_num_threads
    from ._warm import warm_up


def __getattr__(name: str) -> Any:
    """Import a public name at its first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with importing:
        if name in _HOMES:
            value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        else:
            value = import_module(f".{name}", __name__)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, imported or not."""
    return sorted(__all__)
