"""Kernels made ready to be launched: by cuda-core where it is there, by Numba, or in Numba's simulator.

``prepare`` does whatever takes time; what it returns is called with a stream and the addresses of a call, allocates
nothing and waits for nothing, so that a CUDA graph can record it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from . import compile as compiler
from .compile import Parameter
from .extra import simulated
from .places import Place

Launch = Callable[[int, tuple[int, ...]], None]
"""launch(stream, addresses): of the first elements of all pointers, in order."""
Extent = tuple[int, int]
"""Bytes before and behind an address between which a kernel may access memory; only the simulator looks at it."""


class Job(NamedTuple):
    """A kernel with all that does not change from call to call: the grid, and numbers behind the pointers."""

    factory: str
    parameters: tuple[Parameter, ...]
    grid: tuple[int, int, int]
    numbers: tuple[tuple, ...]


class Step(NamedTuple):
    """A kernel and its pointers, in order: whose they are, and what belongs to them."""

    job: Job
    pointers: tuple[str, ...]
    extents: tuple[Extent, ...]

    @classmethod
    def of(cls, job: Job, pointers: tuple[str, ...], places: dict[str, Place]) -> Step:
        """To these places."""
        return cls(job, pointers, tuple(places[whose].extent for whose in pointers))


class Launches(NamedTuple):
    """What a call queues: `steps`; before, where the weights are new, `packing`, which writes "packed".

    `packed` and `scratch` are the bytes of two places that kernels may use: the former lasts as long as the weights,
    the latter as long as a call. Their places are those of `Place.room`.
    """

    steps: tuple[Step, ...]
    packing: tuple[Step, ...] = ()
    packed: int = 0
    scratch: int = 0

    @classmethod
    def of(cls, job: Job, pointers: tuple[str, ...], places: dict[str, Place]) -> Launches:
        """One kernel."""
        return cls((Step.of(job, pointers, places),))


def prepare(step: Step, device: int) -> Launch:
    """Compile, or load, and bind."""
    if simulated():
        return _simulated(step.job, step.extents)
    with on(device):
        return _by_core(step.job, device)


def wait(stream: int, device: int) -> None:
    """Until all that was queued is done."""
    if not simulated():
        with on(device):
            _stream(stream).sync()


@contextmanager
def on(device: int) -> Iterator[None]:
    """With a device current, and the one that was current before afterwards."""
    if simulated():
        yield
        return
    from cuda.bindings import driver
    from cuda.core import Device

    error, before = driver.cuCtxGetDevice()
    found = error == driver.CUresult.CUDA_SUCCESS
    if not found or int(before) != device:
        Device(device).set_current()
    try:
        yield
    finally:
        if found and int(before) != device:
            Device(int(before)).set_current()


def _simulated(job: Job, extents: tuple[Extent, ...]) -> Launch:
    from numba import cuda

    from .ops.simulated import Pointer

    kernel = compiler.make(job.factory, *job.parameters)
    compiled = cuda.jit(kernel.function)
    storages = [dtype for dtype, count in kernel.arguments if not count]

    def launch(stream: int, addresses: tuple[int, ...]) -> None:
        pointers = map(Pointer.to, storages, addresses, *zip(*extents, strict=True))
        compiled[job.grid, kernel.threads](*pointers, *job.numbers)

    return launch


def _by_core(job: Job, device: int) -> Launch:
    """About 3 microseconds: numbers as NumPy scalars, an object for the grid that is made once."""
    from cuda.core import LaunchConfig
    from cuda.core import launch as start

    entry, kernel = _loaded(device, job.factory, *job.parameters)
    config = LaunchConfig(grid=job.grid, block=(kernel.threads, 1, 1), shmem_size=kernel.dynamic)
    kinds = [np.dtype(dtype).type for dtype, count in kernel.arguments if count]
    numbers = tuple(chain.from_iterable(map(kind, values) for kind, values in zip(kinds, job.numbers, strict=True)))

    def launch(stream: int, addresses: tuple[int, ...]) -> None:
        start(_stream(stream), config, entry, *addresses, *numbers)

    return launch


@lru_cache(maxsize=4096)
def _loaded(device: int, factory: str, *parameters: Parameter) -> tuple[Any, Any]:
    """(the kernel on a device, what it was made of)."""
    from cuda.core import Device, ObjectCode

    arch = Device(device).compute_capability
    entry, code = compiler.cubin((arch.major, arch.minor), factory, *parameters)
    loaded, kernel = ObjectCode.from_cubin(code).get_kernel(entry), compiler.make(factory, *parameters)
    if kernel.dynamic > 48 << 10:
        _allow(loaded, kernel.dynamic, device)
    return loaded, kernel


def _allow(kernel: Any, size: int, device: int) -> None:
    """Let blocks have more shared memory than every device gives without being asked."""
    from cuda.bindings import driver

    attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    (error,) = driver.cuKernelSetAttribute(attribute, size, int(kernel.handle), device)
    if error != driver.CUresult.CUDA_SUCCESS:
        raise RuntimeError(f"GPU {device} does not give {size} bytes of shared memory to a block: {error.name}")


@lru_cache(maxsize=64)
def _stream(handle: int) -> Any:
    from cuda.core import Stream

    return Stream.from_handle(handle)
