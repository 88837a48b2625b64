"""The tables that PLAN records point to: what lies where, worked out once in NumPy."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from weakref import WeakValueDictionary

import numpy as np

from .._problem import Problem, Triple
from .axis import Axis
from .schedule import Layout

WORTH_COLUMNS = 0.96
"""Share of the taps along W that are not padding, below which channels-first blocks begin with their border columns."""


def index_tables(p: Problem) -> dict[str, np.ndarray]:
    """The tables "index_d", "index_h", "index_w" of a PLAN record."""
    return {f"index_{name}": index_of(p, axis) for axis, name in enumerate("dhw")}


def index_of(p: Problem, axis: int) -> np.ndarray:
    """Per padded position the sample it shows, -1 for the pad value: `np.pad` of the sample numbers."""
    numbers = np.arange(p.spatial[axis], dtype=np.int64)
    if p.pad_mode == "constant":
        return np.pad(numbers, p.pads[axis], constant_values=-1)
    return np.pad(numbers, p.pads[axis], mode=p.pad_mode)  # type: ignore[call-overload]


def skipping(p: Problem) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """What `kernels.order` asks for: the taps that outputs see along each axis, the columns between the borders."""
    tables = {f"seen_{name}": _seen(p, axis) for axis, name in enumerate("dhw")}
    return tables, _inner(tables["seen_w"], p)


def _seen(p: Problem, axis: int) -> np.ndarray:
    """Per output the taps [first, last + 1) that read samples; at least one, so that a chain is never without end."""
    samples, taps = index_of(p, axis), p.kernel[axis]
    at = np.arange(p.out_spatial[axis])[:, None] * p.stride[axis] + np.arange(taps) * p.dilation[axis]
    inside = samples[at] >= 0
    first = np.where(inside.any(axis=1), inside.argmax(axis=1), 0)
    last = np.where(inside.any(axis=1), taps - inside[:, ::-1].argmax(axis=1), 1)
    return np.stack([first, last], axis=1).astype(np.int64)


def _inner(seen: np.ndarray, p: Problem) -> dict[str, int]:
    """Columns [inner_0, inner_1) between those at the border, which do not see all taps; if none does, all are there.

    With channels first, whole rows are transposed to out faster than columns: where columns would save little, all
    taps along W are said to be seen.
    """
    taps = p.kernel[2]
    if not p.channels_last and (seen[:, 1] - seen[:, 0]).sum() > WORTH_COLUMNS * len(seen) * taps:
        seen[:] = 0, taps
    whole = np.flatnonzero((seen == (0, taps)).all(axis=1))
    first, last = (int(whole[0]), int(whole[-1]) + 1) if len(whole) else (len(seen), len(seen))
    return {"inner_0": first, "inner_1": last}


def pad_parts(p: Problem) -> list:
    """The pad value as (real, imaginary) part."""
    return [p.pad_value.real, p.pad_value.imag] if p.x_dtype.kind == "c" else [p.pad_value]


def chain_starts(layout: Layout) -> np.ndarray:
    """The first step of each chain, and the end of the last."""
    chains = layout.parts.chains
    return np.array([begin for begin, _ in chains] + [chains[-1][1]], np.int64)


def segments(axis: Axis, pitch: int) -> np.ndarray:
    """A row a segment, `pitch` apart in the tile, as in `records`."""
    return np.array([(*segment, i * pitch) for i, segment in enumerate(axis.segments)], np.int64)


def passes(layout: Layout) -> tuple[np.ndarray, list[np.ndarray]]:
    """The PASS records, and the tables of segments that they point to."""
    p, rows, tables = layout.parts.problem, [], []
    for first, last, kd0, kd1, kh0, kh1 in layout.passes:
        depth, height, _ = layout.axes(kd1 - kd0, kh1 - kh0)
        d, h = segments(depth, depth.length), segments(height, height.length)
        tables += [d, h]
        along_d, along_h = (kd0 * p.dilation[0], d.ctypes.data, len(d)), (kh0 * p.dilation[1], h.ctypes.data, len(h))
        rows.append((first, last, *along_d, *along_h))
    return np.array(rows, np.int64), tables


_shared: WeakValueDictionary[bytes, np.ndarray] = WeakValueDictionary()  # step offsets by their digest


def taps(layout: Layout) -> np.ndarray:
    """Byte offset of each step in the packed tile of its pass."""
    p, parts, extent = layout.parts.problem, layout.parts, layout.extent
    columns = np.array([segment * extent["segment"] + i * extent["w"] for segment, i in layout.axes(1, 1)[2].places])
    row = (columns[:, None] + np.arange(parts.channels) * extent["c"]).ravel()
    taps, steps = np.empty(parts.chains[-1][1], np.int64), p.chains()
    for first, last, kd0, kd1, kh0, kh1 in layout.passes:
        planes, rows = (
            [segment * axis.length + i for segment, i in axis.places] for axis in layout.axes(kd1 - kd0, kh1 - kh0)[:2]
        )
        for (a, b, begin, end), (start, _) in zip(steps[first:last], parts.chains[first:last], strict=True):
            piece = row[begin * parts.x_parts : end * parts.x_parts]
            for tap_row in range(a, b):
                kd, kh = divmod(tap_row, p.kernel[1])
                origin = planes[kd - kd0] * extent["d"] + rows[kh - kh0] * extent["h"]
                taps[start : start + len(piece)] = origin + piece
                start += len(piece)
    return _shared.setdefault(blake2b(taps.tobytes()).digest(), taps)


@lru_cache(maxsize=64)
def taps_in_place(
    kernel: Triple, dilation: Triple, strides: tuple[int, ...], channels: int, parts: tuple[int, int]
) -> np.ndarray:
    """Byte offset of each step in the input: strides (d, h, w, c), real parts (count, bytes apart)."""
    axes = [np.arange(k) * d * s for k, d, s in zip(kernel, dilation, strides[:3], strict=True)]
    total = axes[0][:, None, None, None, None] + axes[1][:, None, None, None] + axes[2][:, None, None]
    total = total + np.arange(channels)[:, None] * strides[3] + np.arange(parts[0]) * parts[1]
    return np.ascontiguousarray(total.ravel(), np.int64)
