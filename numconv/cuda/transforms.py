"""What `spectra` queues: kernels, and between them the transforms of PyTorch or CuPy, in memory of theirs."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from .arrays import LIBRARIES, Library, Transforms
from .binding import Bound, queued


class _Lent(NamedTuple):
    """Arrays of a library, which are written on a stream next."""

    library: Library
    device: int
    stream: int

    def empty(self, shape: tuple[int, ...], dtype: str) -> Any:
        return self.library.empty(shape, np.dtype(dtype), self.device, self.stream)

    def address(self, array: Any) -> int:
        return self.library.describe(array).address


def queue(
    name: str, bound: Bound, bases: dict[str, int], kept: dict, lasting: Callable[[], None] | None, stream: int,
    library: Library, device: int,
) -> None:  # fmt: skip
    """All of it. `kept`: what is known of filters; `lasting` is called when they are, if they are for any stream."""
    library, transforms = _transforming(name, library)
    tiling, lent = bound.tiling, _Lent(library, device, stream)
    axes = tuple(range(1, len(tiling.shape) + 1))
    with transforms.on(stream, device):
        if bound.key not in kept:
            found = _filters(bound, bases, lent, transforms, axes)
            if lasting is not None:
                lasting()
            kept.setdefault(bound.key, found)  # of two threads that make them, the second one's are dropped
        here = bases | kept[bound.key][0]
        clear, *steps = bound.steps
        tile_marks = lent.empty((bound.scratch,), "uint8")
        here["scratch"] = lent.address(tile_marks)
        queued([clear], here, stream)
        for i, count in enumerate(bound.turns):
            gather, multiply, store = steps[3 * i : 3 * i + 3]
            tiles = lent.empty((count * tiling.channels, *tiling.shape), tiling.compute)
            queued([gather], here | {"tiles": lent.address(tiles)}, stream)
            spectra = transforms.forward(tiles, axes)
            del tiles  # the allocators give it again to what is queued later
            products = lent.empty(
                (count * tiling.filters, *spectra.shape[1:]),
                "complex64" if tiling.compute == "float32" else "complex128",
            )
            places = {"spectra": lent.address(spectra), "products": lent.address(products)}
            queued([multiply], here | places, stream)
            del spectra
            sums = transforms.inverse(products, tiling.shape, axes)
            queued([store], here | {"sums": lent.address(sums)}, stream)
            del products, sums


def _filters(bound: Bound, bases: dict[str, int], lent: _Lent, transforms: Transforms, axes: tuple[int, ...]) -> tuple:
    """(where marks and spectra are, what keeps them): the next call may be one for another library's arrays."""
    tiling = bound.tiling
    marks = lent.empty((bound.packed,), "uint8")
    taps = lent.empty((tiling.filters * tiling.group_channels, *tiling.shape), tiling.compute)
    queued(bound.packing, bases | {"packed": lent.address(marks), "taps": lent.address(taps)}, lent.stream)
    spectra = transforms.forward(taps, axes)
    return {"packed": lent.address(marks), "filters": lent.address(spectra)}, (marks, spectra)


def _transforming(name: str, library: Library) -> tuple[Library, Transforms]:
    """The library, or CuPy where it has no transforms."""
    if library.transforms is None:
        try:
            import_module("cupy")
        except ImportError:
            raise NotImplementedError(
                f"{name}: method is 'fft', for which a GPU needs the transforms of PyTorch or CuPy; pass arrays of "
                f"theirs, install CuPy, or use 'auto'"
            ) from None
        library = LIBRARIES["cupy"]
    assert library.transforms is not None
    return library, library.transforms
