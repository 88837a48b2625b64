"""The records in which kernels reduce the rows of maps, see `kernels.reduce`: their memory, and what is in them."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .._problem import Problem
from .memory import aligned_empty

if TYPE_CHECKING:
    from .direct import Schedule

ORDER = ("mean", "ppv", "max")
RECORDS_BYTES = 4 << 20
"""Budget of the records of the samples that are reduced at a time; those of one sample at least."""


class Records(NamedTuple):
    """Records of the rows of some samples."""

    places: np.ndarray  # (N, OD, OH, 1, 1): where kernels take each row's results to be
    numbers: dict[str, np.ndarray]  # (rows, N, G, F // G) by name

    def rows(self) -> dict[str, np.ndarray]:
        """(rows, N, F) by name."""
        return {name: numbers.reshape(*numbers.shape[:2], -1) for name, numbers in self.numbers.items()}


def in_record(p: Problem) -> list[str]:
    """What a record holds, in its order: largest values, which may have four bytes, come last."""
    return [name for name in ORDER if name in p.reductions]


def dtypes(p: Problem) -> dict[str, np.dtype]:
    """Of the numbers in a record, by name."""
    kind, size = p.result.kind, p.result.itemsize
    top = f"f{max(size, 4)}" if kind == "f" else "u8" if p.result == np.uint64 else "i8"
    every = {"mean": np.dtype("f8"), "ppv": np.dtype("i8"), "max": np.dtype(top)}
    return {name: every[name] for name in in_record(p)}


def sample_bytes(schedule: Schedule) -> int:
    """Bytes of the records of a sample."""
    p, layout = schedule.problem, schedule.layout
    numbers = layout.units * layout.unit_filters
    return prod(p.out_spatial[:2]) * numbers * sum(dtype.itemsize for dtype in dtypes(p).values())


def samples_together(schedule: Schedule) -> int:
    """Samples whose records fit the budget."""
    return max(1, RECORDS_BYTES // sample_bytes(schedule))


def most_bytes(schedule: Schedule) -> int:
    """Bytes of the records that there are at a time, for any number of samples."""
    return samples_together(schedule) * sample_bytes(schedule)


def records(schedule: Schedule, samples: int, space: np.ndarray | None = None) -> Records:
    """Records that are ready to be updated, in new memory or in given bytes."""
    p, layout = schedule.problem, schedule.layout
    OD, OH, _ = p.out_spatial
    numbers, size = layout.units * layout.unit_filters, sample_bytes(schedule) // prod(p.out_spatial[:2])
    if space is None:
        space = aligned_empty((samples * OD * OH * size,), "u1")
    strides = (size, OH * samples * size, samples * size, 0, 0)
    places = np.ndarray((samples, OD, OH, 1, 1), np.uint8, space, strides=strides)
    found, at = {}, 0
    for name, dtype in dtypes(p).items():
        block = np.ndarray((OD * OH, samples, numbers), dtype, space, at, (samples * size, size, dtype.itemsize))
        block[...] = 0 if name != "max" else -np.inf if dtype.kind == "f" else np.iinfo(dtype).min
        found[name] = block.reshape(OD * OH, samples, p.groups, -1)[..., : p.group_filters]
        at += numbers * dtype.itemsize
    return Records(places, found)


def spread(schedule: Schedule, bias: np.ndarray) -> np.ndarray:
    """A bias for every lane of all units; 0 where a lane holds no filter."""
    p, layout = schedule.problem, schedule.layout
    lanes = np.zeros((p.groups, layout.group_units * layout.unit_filters), bias.dtype)
    lanes[:, : p.group_filters] = bias.reshape(p.groups, -1)
    return lanes.ravel()
