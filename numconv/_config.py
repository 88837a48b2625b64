"""What numconv runs on, for bug reports and for the curious."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any


def show_config(mode: str = "stdout") -> dict[str, dict[str, Any]] | None:
    """Show versions, the CPU as compiled for, tile shapes, threads, the kernel cache and GPUs.

    Parameters
    ----------
    mode : {"stdout", "dicts"}, default "stdout"
        Print, or return dicts of the same content, as `numpy.show_config` does.

    Returns
    -------
    dict or None
        For each section a dict of its entries; None if printed. Cache sizes are in bytes.

    Raises
    ------
    ValueError
        `mode` is neither.

    Examples
    --------
    >>> import numconv
    >>> sorted(numconv.show_config(mode="dicts"))
    ['cache', 'cpu', 'gpu', 'threads', 'tiles', 'versions']
    """
    if mode not in ("stdout", "dicts"):
        raise ValueError(f"show_config: mode must be 'stdout' or 'dicts', got {mode!r}")
    sections = _sections()
    if mode == "dicts":
        return sections
    for title, entries in sections.items():
        print(f"{title}:")
        width = max(map(len, entries))
        for name, value in entries.items():
            print(f"  {name:<{width}}  {value}")
    return None


def _sections() -> dict[str, dict[str, Any]]:
    from ._threads import get_num_threads
    from .cpu import cache, layer, machine, tiles
    from .cuda.about import about

    cpu = machine.machine()
    enabled = [feature[1:] for feature in cpu.features.split(",") if feature.startswith("+")]
    return {
        "versions": versions(),
        "cpu": {
            "name": cpu.name,
            "features": " ".join(enabled),
            "lanes": ", ".join(f"{lanes} x {scalar}" for scalar, lanes in cpu.lanes.items()),
            "registers": cpu.registers,
            "fma": cpu.fma,
            "f16c": cpu.f16c,
            "l1": cpu.l1_bytes,
            "l2": cpu.l2_bytes,
        },
        "tiles": dict(tiles.describe(cpu)),
        "threads": {"used": get_num_threads(), "numba layer": layer.name() or "not started"},
        "cache": cache.info(),
        "gpu": about(),
    }


def versions() -> dict[str, str]:
    """Of Python and of what compiles and computes; imports none of it."""
    found = {"python": platform.python_version()}
    for name in ("numconv", "numpy", "numba", "llvmlite"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = str(getattr(sys.modules.get(name), "__version__", "unknown"))
    return found
