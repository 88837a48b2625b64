"""Samples and results of a call: on the host, from where they are copied and to where, or on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .._arguments import as_array, check_out
from .._reduced import outs_of
from .._types import native
from .arrays import NUMBA, Given, Library, library_of, upload
from .binding import Frame
from .engine import Engine
from .launch import on
from .weights import described


class Source(NamedTuple):
    """x, or another argument: `library` is None on the host."""

    name: str
    value: Any
    library: Library | None
    given: Given | None
    shape: tuple[int, ...]
    dtype: np.dtype
    device: int
    argument: str = "x"

    @classmethod
    def of(cls, name: str, value: Any, device: str | None, argument: str = "x") -> Source:
        """An argument; `device` says where one of the host is computed."""
        library = library_of(value)
        if library is None:
            host = as_array(name, argument, value)
            return cls(name, host, None, None, host.shape, host.dtype, number_of(device), argument)
        given = described(name, argument, library, value)
        if device is not None and ":" in device and number_of(device) != given.device:
            raise ValueError(f"{name}: device is {device!r}, but {argument} is on GPU {given.device}")
        return cls(name, value, library, given, given.shape, given.dtype, given.device, argument)

    def compute(self, engine: Engine, frame: Frame, out: Any) -> Any:
        """The result: where it is, and of its library; a tuple where several reductions are asked for."""
        shape = frame.out_shape(self.shape)
        if self.given is None or self.library is None:
            return self._from_host(engine, frame, shape, out)
        return computed(self.library, self.value, self.given, engine, frame, shape, out)

    def _from_host(self, engine: Engine, frame: Frame, shape: tuple[int, ...], out: Any) -> Any:
        given = out is not None
        found = outs_of(self.name, engine.problem, out) if given else [np.empty(shape, kind) for kind in engine.results]
        for array, dtype in zip(found, engine.results, strict=True):
            check_out(self.name, array, shape, dtype)
        if 0 not in shape:
            x = upload(np.ascontiguousarray(self.value, native(self.name, self.argument, self.dtype)), self.device)
            y = [NUMBA.empty(shape, dtype, self.device) for dtype in engine.results]
            engine.run(frame, NUMBA.describe(x), list(map(NUMBA.describe, y)), 0, NUMBA)
            with on(self.device):  # whose default stream copies wait for
                for array, value in zip(found, y, strict=True):
                    array[...] = value.copy_to_host()
        return out if given else tuple(found) if engine.several else found[0]


def computed(
    library: Library, x: Any, given: Given, engine: Engine, frame: Frame, shape: tuple[int, ...], out: Any
) -> Any:
    """The result of x on a GPU: queued."""
    stream = library.stream(x, given.device)
    if out is None:
        found: Sequence[Any] = [library.empty(shape, dtype, given.device, stream) for dtype in engine.results]
        targets = [library.describe(array) for array in found]
    elif not engine.several:
        found = (out,)
        targets = [given_out(engine.name, out, shape, engine.results[0], given.device, engine.argument)]
    else:
        found = outs_of(engine.name, engine.problem, out)
        targets = [
            given_out(engine.name, array, shape, dtype, given.device, engine.argument)
            for array, dtype in zip(found, engine.results, strict=True)
        ]
    if 0 not in shape:
        ready, addresses = engine.ready(frame, given, targets, stream), [target.address for target in targets]
        uneven = 0
        for at, mask in zip((given.address, *addresses), ready.masks, strict=True):
            uneven |= at & mask
        if uneven:
            said = f"{engine.name}: {engine.argument} or out"
            raise NotImplementedError(f"{said} is not aligned to its elements; copy it")
        if out is not None and engine.touches(ready, given, targets):
            apart = [library.empty(shape, dtype, given.device, stream) for dtype in engine.results]
            engine.run(frame, given, [library.describe(array) for array in apart], stream, library)
            for array, value in zip(found, apart, strict=True):
                library.assign(array, value)
        else:
            engine.queue(ready, given.address, addresses, stream, library)
    return out if out is not None else tuple(found) if engine.several else found[0]


def given_out(name: str, out: Any, shape: tuple[int, ...], dtype: np.dtype, device: int, argument: str = "x") -> Given:
    """As `check_out`, of an array on the device of x, or of another argument."""
    library = library_of(out)
    if library is None:
        kind = f"{type(out).__module__}.{type(out).__qualname__}"
        raise TypeError(f"{name}: out is of type {kind}, expected an array on the GPU, as {argument} is")
    given = described(name, "out", library, out)
    if given.shape != shape:
        raise ValueError(f"{name}: out has shape {given.shape}, but the result has {shape}")
    if given.dtype != dtype:
        raise ValueError(f"{name}: out has dtype {given.dtype}, but the result has {dtype}")
    if given.device != device:
        raise ValueError(f"{name}: out is on GPU {given.device} but {argument} is on GPU {device}")
    if not given.writable:
        raise ValueError(f"{name}: out (shape {shape}) is read-only, expected an array that can be written")
    return given


def number_of(device: str | None) -> int:
    """The number in "cuda:1"; of "cuda" the current device's."""
    from .extra import simulated

    _, colon, number = (device or "cuda").partition(":")
    if colon:
        return int(number)
    if simulated():
        return 0
    from numba import cuda

    return int(cuda.get_current_device().id)
