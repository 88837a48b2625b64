"""Memory that a call works in: lent for as long as what it queues takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import Library, is_pooled_by_streams, is_pooled_for_graphs
from .extra import simulated
from .launch import recording


def lend(library: Library, size: int, device: int, stream: int) -> tuple[int, Any]:
    """(an address, what gives the memory back when it is dropped), on the device that is current.

    From the library's allocator, if what it is given back is used again on the same stream at once, and not at all
    while a graph may be replayed. Numba's waits for the GPU, and fails while a graph is recorded; CuPy's does not know
    of graphs. Instead of these, the driver's, whose memory belongs to a graph that is recorded.
    """
    ordered = not simulated() and not is_pooled_by_streams(library)
    if not ordered and not is_pooled_for_graphs(library) and stream:
        ordered = recording(stream, device)
    if ordered:
        from cuda.bindings import driver

        error, address = driver.cuMemAllocAsync(size, stream)
        if not error:
            return int(address), _Ordered(int(address), stream)
    room = library.empty((size,), np.dtype(np.uint8), device, stream)
    return library.describe(room).address, room


class _Ordered:
    """Memory that is given back behind all that was queued on its stream."""

    def __init__(self, address: int, stream: int) -> None:
        self._address, self._stream = address, stream

    def __del__(self) -> None:
        from cuda.bindings import driver

        driver.cuMemFreeAsync(self._address, self._stream)
