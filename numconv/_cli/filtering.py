"""``python -m numconv filter``: one file through one bank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import numconv

from .. import banks
from .bank_names import load_bank
from .errors import CommandError
from .files import check_output, read_array, read_image, read_wav, write
from .progress import progress

FORMATS = (".png", ".npy", ".npz")
BLOCK = 8
"""Filters a call: what the progress bar advances by."""


@dataclass(frozen=True)
class Job:
    """What the command line says; `options` are keywords of `numconv.filter_bank`."""

    source: Path
    bank: str
    output: Path
    axes: tuple[int, ...] | None
    luma: bool
    options: dict[str, Any]


def run(job: Job) -> int:
    """Read, filter, write."""
    check_output(job.output, FORMATS)
    bank = load_bank(job.bank)
    x, axes = _read(job, bank)
    try:
        maps = _keras(x, bank, job.options) if bank.ndim == 4 else _bank(x, bank, axes, job.options)
    except (TypeError, ValueError, OverflowError, NotImplementedError, MemoryError) as error:
        raise CommandError(str(error) or type(error).__name__) from error
    write(job.output, lambda path: _save(path, maps, bank))
    print(f"{job.output}: {maps.dtype} maps of shape {maps.shape} from {x.dtype} {x.shape}")
    return 0


def _read(job: Job, bank: np.ndarray) -> tuple[np.ndarray, tuple[int, ...] | None]:
    """The input and the axes to filter; None: the last ones."""
    suffix = job.source.suffix.lower()
    if suffix == ".npy":
        return read_array(job.source), job.axes
    if suffix == ".wav":
        _expect(bank.ndim == 2, job, bank, "sound needs one-dimensional filters, such as ricker")
        samples = read_wav(job.source)[0]
        return (samples[0] if len(samples) == 1 else samples), job.axes
    pixels = read_image(job.source)
    _expect(bank.ndim > 2, job, bank, "an image needs two-dimensional filters, such as lines")
    if bank.ndim == 4 or pixels.ndim == 2:
        return pixels, job.axes
    if job.luma:
        return pixels @ np.array(banks.LUMA, dtype=np.float32), job.axes
    return pixels, job.axes or (0, 1)


def _expect(fits: bool, job: Job, bank: np.ndarray, need: str) -> None:
    if not fits:
        raise CommandError(f"bank {job.bank} has shape {bank.shape}: {need}")


def _bank(x: np.ndarray, bank: np.ndarray, axes: tuple[int, ...] | None, options: dict[str, Any]) -> np.ndarray:
    """(*batch, F, *out) by `numconv.filter_bank`."""
    axis = -bank.ndim  # where F comes before the axes that were filtered
    return _in_blocks(lambda part: numconv.filter_bank(x, bank[part], axes=axes, **options), len(bank), axis)


def _keras(x: np.ndarray, w: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    """(H, W, C) by `numconv.conv2d` with (KH, KW, C, F): (F, OH, OW)."""
    x = x[..., None] if x.ndim == 2 else x
    maps = _in_blocks(lambda part: numconv.conv2d(x, w[..., part], **options), w.shape[-1], -1)
    return np.moveaxis(maps, -1, -3)


def _in_blocks(call: Callable[[slice], np.ndarray], filters: int, axis: int) -> np.ndarray:
    """Call for a few filters at a time, so that progress can be shown; a map does not depend on the others."""
    parts = [slice(f, f + BLOCK) for f in range(0, filters, BLOCK)]
    found = [call(part) for part in progress(parts, "filtering")]
    return found[0] if len(found) == 1 else np.concatenate(found, axis=axis)


def _save(path: Path, maps: np.ndarray, bank: np.ndarray) -> None:
    if path.suffix.lower() == ".npy":
        np.save(path, maps)
    elif path.suffix.lower() == ".npz":
        np.savez(path, maps=maps, filters=bank)
    else:
        from .sheet import write_sheet

        write_sheet(path, maps, signals=bank.ndim == 2)
