"""Samples and results of a call: on the host, from where they are copied and to where, or on a GPU."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._arguments import as_array, check_out
from .._types import native
from .arrays import NUMBA, Given, Library, library_of, upload
from .engine import Engine, Frame
from .weights import described


class Source(NamedTuple):
    """x: `library` is None on the host."""

    name: str
    value: Any
    library: Library | None
    given: Given | None
    shape: tuple[int, ...]
    dtype: np.dtype
    device: int

    @classmethod
    def of(cls, name: str, x: Any, device: str | None) -> Source:
        """An argument; `device` says where one of the host is computed."""
        library = library_of(x)
        if library is None:
            host = as_array(name, "x", x)
            return cls(name, host, None, None, host.shape, host.dtype, number_of(device))
        given = described(name, "x", library, x)
        if device is not None and ":" in device and number_of(device) != given.device:
            raise ValueError(f"{name}: device is {device!r}, but x is on GPU {given.device}")
        return cls(name, x, library, given, given.shape, given.dtype, given.device)

    def compute(self, engine: Engine, frame: Frame, out: Any) -> Any:
        """The result: where x is, and of its library."""
        shape = frame.out_shape(self.shape)
        if self.given is None or self.library is None:
            return self._from_host(engine, frame, shape, out)
        return computed(self.name, self.library, self.value, self.given, engine, frame, shape, out)

    def _from_host(self, engine: Engine, frame: Frame, shape: tuple[int, ...], out: Any) -> np.ndarray:
        result = engine.problem.result
        if out is None:
            out = np.empty(shape, result)
        else:
            check_out(self.name, out, shape, result)
        if 0 in shape:
            return out
        x = upload(np.ascontiguousarray(self.value, native(self.name, "x", self.dtype)), self.device)
        y = NUMBA.empty(shape, result, self.device)
        engine.run(frame, NUMBA.describe(x), NUMBA.describe(y), 0, NUMBA)
        out[...] = y.copy_to_host()
        return out


def computed(
    name: str, library: Library, x: Any, given: Given, engine: Engine, frame: Frame, shape: tuple[int, ...], out: Any
) -> Any:
    """The result of x on a GPU: queued."""
    stream = library.stream(x, given.device)
    if out is None:
        out = library.empty(shape, engine.problem.result, given.device, stream)
        target = library.describe(out)
    else:
        target = _given_out(name, out, shape, engine.problem.result, given.device)
    if 0 in shape:
        return out
    ready = engine.ready(frame, given, target, stream)
    if given.address & ready.masks[0] or target.address & ready.masks[1]:
        raise NotImplementedError(f"{name}: x or out is not aligned to its elements; copy it")
    if engine.touches(ready, given, target):
        apart = library.empty(shape, engine.problem.result, given.device, stream)
        engine.run(frame, given, library.describe(apart), stream, library)
        library.assign(out, apart)
    else:
        engine.queue(ready, given.address, target.address, stream, library)
    return out


def _given_out(name: str, out: Any, shape: tuple[int, ...], dtype: np.dtype, device: int) -> Given:
    """As `check_out`, of an array on the device of x."""
    library = library_of(out)
    if library is None:
        kind = f"{type(out).__module__}.{type(out).__qualname__}"
        raise TypeError(f"{name}: out is of type {kind}, expected an array on the GPU, as x is")
    given = described(name, "out", library, out)
    if given.shape != shape:
        raise ValueError(f"{name}: out has shape {given.shape}, but the result has {shape}")
    if given.dtype != dtype:
        raise ValueError(f"{name}: out has dtype {given.dtype}, but the result has {dtype}")
    if given.device != device:
        raise ValueError(f"{name}: out is on GPU {given.device} but x is on GPU {device}")
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
