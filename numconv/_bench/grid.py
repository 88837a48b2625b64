"""Problems of every kind, drawn once and for all, on which the planner's choices are judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from random import Random
from typing import Any

from .workload import Workload

SMALLEST, LARGEST = 1.5e7, 4e9
"""Operations of a call: some 0.1 to 40 ms of one core by `direct`."""
MOST_VALUES = 1 << 23
"""Of input, weights or result."""


def _images(rng: Random) -> dict[str, Any]:
    """One filter, half of them products of a column and a row."""
    size, k = rng.choice((128, 256, 384, 512, 768, 1024, 1536)), rng.choice((3, 5, 7, 9, 11, 15, 21, 31, 45, 63, 101))
    return {"spatial": (size, size), "kernel": (k, k), "padding": k // 2, "bank": True, "separable": rng.random() < 0.5}


def _banks(rng: Random) -> dict[str, Any]:
    size, k = rng.choice((64, 128, 256, 512)), rng.choice((3, 5, 7, 9, 11, 15, 23, 31, 47, 63))
    filters = rng.choice((2, 4, 8, 16, 32, 64))
    return {"spatial": (size, size), "kernel": (k, k), "filters": filters, "padding": k // 2, "bank": True}


def _layers(rng: Random) -> dict[str, Any]:
    """Hidden layers; some dilated, or with a stride."""
    size = rng.choice((7, 14, 20, 28, 40, 56, 80, 112))
    channels = rng.choice((16, 32, 48, 64, 96, 128, 256, 512))
    k, stride = rng.choice((1, 3, 3, 3, 5, 7, 9, 11, 13)), rng.choice((1, 1, 1, 1, 2))
    dilation = rng.choice((1, 1, 1, 2)) if stride == 1 else 1
    return {
        "spatial": (size, size), "kernel": (k, k), "channels": channels, "stride": stride, "dilation": dilation,
        "filters": rng.choice((channels, channels, channels // 2, channels * 2)), "padding": dilation * (k // 2),
        "n": rng.choice((1, 1, 2, 8)),
    }  # fmt: skip


def _first_layers(rng: Random) -> dict[str, Any]:
    """Colours in, filters out."""
    size, k = rng.choice((96, 128, 160, 224, 320)), rng.choice((3, 5, 7, 9, 11, 13, 17, 23))
    filters, stride = rng.choice((8, 16, 24, 32, 64)), rng.choice((1, 1, 1, 2, 4))
    channels = rng.choice((1, 2, 3, 3, 3, 4, 8))
    return {
        "spatial": (size, size), "kernel": (k, k), "channels": channels, "filters": filters, "stride": stride,
        "padding": k // 2,
    }  # fmt: skip


def _groups(rng: Random) -> dict[str, Any]:
    """Depthwise layers, and groups of several channels."""
    size, k = rng.choice((14, 28, 56, 112)), rng.choice((3, 3, 5, 7, 9, 13, 31))
    channels = rng.choice((32, 64, 128, 256))
    each = rng.choice((1, 1, 1, 4, 16, 32))
    return {
        "spatial": (size, size), "kernel": (k, k), "channels": channels, "filters": channels,
        "groups": channels // each, "padding": k // 2, "stride": rng.choice((1, 1, 1, 2)), "n": rng.choice((1, 4)),
    }  # fmt: skip


def _signals(rng: Random) -> dict[str, Any]:
    """One filter or a bank."""
    k = rng.choice((9, 16, 25, 33, 48, 64, 100, 128, 256, 500, 1024, 2048, 4096, 16384))
    length, filters = rng.choice((1 << 12, 1 << 14, 50_000, 1 << 16, 1 << 18, 1 << 20)), rng.choice((1, 1, 4, 8, 32))
    return {"spatial": (max(length, 2 * k),), "kernel": (k,), "filters": filters, "bank": True}


def _signal_layers(rng: Random) -> dict[str, Any]:
    length, k = rng.choice((512, 1000, 4096, 16384)), rng.choice((3, 3, 5, 5, 7, 9, 15, 25, 33, 65, 129, 257))
    channels, stride = rng.choice((2, 4, 12, 32, 64, 128, 256)), rng.choice((1, 1, 1, 2))
    filters, groups = rng.choice((channels, channels, 2 * channels, 32)), 1
    if rng.random() < 0.2:
        filters = groups = channels
    return {
        "spatial": (length,), "kernel": (k,), "channels": channels, "filters": filters, "groups": groups,
        "stride": stride, "padding": k // 2, "n": rng.choice((1, 1, 8)),
        "dilation": rng.choice((1, 1, 1, 4)) if stride == 1 else 1,
    }  # fmt: skip


def _volumes(rng: Random) -> dict[str, Any]:
    size, k = rng.choice((16, 24, 32, 48, 64, 96)), rng.choice((3, 3, 5, 7, 9, 11, 15))
    channels, filters = rng.choice(((1, 1), (1, 1), (1, 8), (4, 16), (16, 16), (32, 32)))
    return {
        "spatial": (size,) * 3, "kernel": (k,) * 3, "channels": channels, "filters": filters, "padding": k // 2,
        "stride": rng.choice((1, 1, 1, 2)),
    }  # fmt: skip


_FLOATS = ("float32", "float32", "float64")
_COMPLEX = ("complex64", "complex64", "complex128")
_INTEGERS = ("uint8", "int16")
KINDS = (
    ("image", _images, _FLOATS, 45),
    ("bank", _banks, _FLOATS, 40),
    ("layer", _layers, _FLOATS, 75),
    ("first", _first_layers, _FLOATS, 35),
    ("groups", _groups, _FLOATS, 30),
    ("signal", _signals, _FLOATS, 45),
    ("series", _signal_layers, _FLOATS, 35),
    ("volume", _volumes, _FLOATS, 25),
    ("image", _images, _COMPLEX, 8),
    ("bank", _banks, _COMPLEX, 6),
    ("signal", _signals, _COMPLEX, 10),
    ("series", _signal_layers, _COMPLEX, 8),
    ("first", _first_layers, _INTEGERS, 6),
    ("layer", _layers, _INTEGERS, 6),
)
"""Name, how one is drawn, types, how many."""


def problems() -> list[Workload]:
    """All of them; always the same."""
    return [
        workload
        for name, draw, dtypes, count in KINDS
        for workload in islice(_drawn(name, draw, dtypes, Random(f"{name} {dtypes[0]}")), count)
    ]


def _drawn(name: str, draw: Any, dtypes: tuple[str, ...], rng: Random) -> Iterator[Workload]:
    """Those of a kind that are neither too small nor too large, each once."""
    seen = set()
    while True:
        drawn = draw(rng)
        dtype, last = rng.choice(dtypes), rng.random() < 0.5
        if dtype in _COMPLEX or dtype in _INTEGERS:
            drawn |= {"separable": False}
        workload = Workload(name, **drawn, x_dtype=dtype, channels_last=last or drawn.get("bank", False))
        if workload not in seen and _fits(workload):
            seen.add(workload)
            yield replace(workload, name=_named(workload))


def _fits(workload: Workload) -> bool:
    if min(workload.out_spatial) < 1:
        return False
    values = [1, 1, workload.n * workload.filters]
    for shape, start in ((workload.x_shape, 0), (workload.w_shape, 1), (workload.out_spatial, 2)):
        for size in shape:
            values[start] *= size
    return max(values) <= MOST_VALUES and SMALLEST <= workload.flops <= LARGEST


def _named(w: Workload) -> str:
    """A name that says all."""
    words = [w.name, "x".join(map(str, w.spatial)), f"k{w.kernel[0]}"]
    words += [f"n{w.n}"] * (w.n > 1) + [f"c{w.channels}"] * (w.channels > 1) + [f"f{w.filters}"] * (w.filters > 1)
    words += [f"g{w.groups}"] * (w.groups > 1) + [f"s{w.stride}"] * (w.stride > 1)
    words += [f"d{w.dilation}"] * (w.dilation > 1) + ["separable"] * w.separable
    return "_".join(words)
