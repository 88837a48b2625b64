"""Kernels made ready to be launched: by cuda-core where it is there, by Numba, or in Numba's simulator.

``prepare`` does whatever takes time; what it returns is called with a stream and the addresses of a call, allocates
nothing and waits for nothing, so that a CUDA graph can record it. The environment variable ``NUMCONV_CUDA_LAUNCHER``,
"core" or "numba", asks for one of the launchers alone.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from . import compile as compiler
from .compile import Parameter
from .extra import simulated
from .places import Place

Launch = Callable[[int, Sequence[int]], None]
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
    the latter as long as a call. Their places are those of `Place.room`; "packed+512" is 512 bytes further on.
    `tiling`: a `spectra.Tiling`, of which so many tiles are transformed in each of `turns`, between the steps.
    """

    steps: tuple[Step, ...]
    packing: tuple[Step, ...] = ()
    packed: int = 0
    scratch: int = 0
    tiling: Any = None
    turns: tuple[int, ...] = ()

    @classmethod
    def of(cls, job: Job, pointers: tuple[str, ...], places: dict[str, Place]) -> Launches:
        """One kernel."""
        return cls((Step.of(job, pointers, places),))


def prepare(step: Step, device: int) -> Launch:
    """Compile, or load, and bind: by the first launcher that can."""
    if simulated():
        return _simulated(step.job, step.extents)
    wanted = os.environ.get("NUMCONV_CUDA_LAUNCHER", "")
    *others, last = [LAUNCHERS[wanted]] if wanted else LAUNCHERS.values()
    with on(device):
        for launcher in others:
            try:
                return launcher(step.job, device)
            except Exception as error:  # versions differ in many ways; what no launcher can do, the last one says
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                warnings.warn(f"numconv: cuda-core does not launch kernels ({reason}); Numba does, more slowly",
                              RuntimeWarning, stacklevel=2)  # fmt: skip
        return last(step.job, device)


@lru_cache(maxsize=64)
def capability(device: int) -> tuple[int, int]:
    """The architecture of a device; in the simulator the latest for which there are kernels."""
    if simulated():
        return 9, 0
    from cuda.core import Device

    found = Device(device).compute_capability
    return found.major, found.minor


def wait(stream: int, device: int) -> None:
    """Until all that was queued is done."""
    if not simulated():
        from cuda.bindings import driver

        with on(device):
            _done(*driver.cuStreamSynchronize(stream))


def recording(stream: int, device: int) -> bool:
    """Whether a CUDA graph records what is queued, instead of doing it."""
    if simulated():
        return False
    from cuda.bindings import driver

    if is_current(device):
        error, status = driver.cuStreamIsCapturing(stream)
    else:
        with on(device):
            error, status = driver.cuStreamIsCapturing(stream)
    if error == driver.CUresult.CUDA_ERROR_STREAM_CAPTURE_IMPLICIT:  # another stream's, which the default one joins
        return True
    return error == driver.CUresult.CUDA_SUCCESS and int(status) != 0


def is_current(device: int) -> bool:
    """Whether kernels that are launched now run on a device; 0.1 microseconds."""
    if _driver is None:
        return simulated()
    error, number = _driver.cuCtxGetDevice()
    return not error and int(number) == device


_driver: Any = None
"""The module of the driver's functions, from the first `on` on."""


@contextmanager
def on(device: int) -> Iterator[None]:
    """With a device current, and the context that was current before afterwards."""
    if simulated():
        yield
        return
    global _driver
    from cuda.bindings import driver

    _driver = driver
    _, before = driver.cuCtxGetCurrent()
    _done(*driver.cuCtxSetCurrent(_context(device)))
    try:
        yield
    finally:
        if int(before):
            driver.cuCtxSetCurrent(before)


@lru_cache(maxsize=64)
def _context(device: int) -> Any:
    """The context of a device that all libraries share."""
    from cuda.bindings import driver

    _done(*driver.cuInit(0))
    return _done(*driver.cuDevicePrimaryCtxRetain(_done(*driver.cuDeviceGet(device))))


def _done(error: Any, *found: Any) -> Any:
    """What a function of the driver found; RuntimeError where it failed."""
    if error:
        raise RuntimeError(f"the CUDA driver says {error.name}")
    return found[0] if found else None


def _simulated(job: Job, extents: tuple[Extent, ...]) -> Launch:
    from numba import cuda

    from .ops.simulated import Pointer

    kernel = compiler.make(job.factory, *job.parameters)
    compiled = cuda.jit(kernel.function)
    storages = [dtype for dtype, count in kernel.arguments if not count]

    def launch(stream: int, addresses: Sequence[int]) -> None:
        pointers = map(Pointer.to, storages, addresses, *zip(*extents, strict=True))
        compiled[job.grid, kernel.threads](*pointers, *job.numbers)

    return launch


def _by_core(job: Job, device: int) -> Launch:
    """About 1.2 microseconds: numbers as NumPy scalars, an object for the grid that is made once."""
    from cuda.core import LaunchConfig
    from cuda.core import launch as start

    entry, kernel = _loaded(device, job.factory, *job.parameters)
    config = LaunchConfig(grid=job.grid, block=(kernel.threads, 1, 1), shmem_size=kernel.dynamic)
    kinds = [np.dtype(dtype).type for dtype, count in kernel.arguments if count]
    numbers = tuple(chain.from_iterable(map(kind, values) for kind, values in zip(kinds, job.numbers, strict=True)))

    def launch(stream: int, addresses: Sequence[int]) -> None:
        start(_stream(stream, device), config, entry, *addresses, *numbers)

    return launch


@lru_cache(maxsize=4096)
def _loaded(device: int, factory: str, *parameters: Parameter) -> tuple[Any, Any]:
    """(the kernel on a device, what it was made of)."""
    from cuda.core import ObjectCode

    entry, code = compiler.cubin(capability(device), factory, *parameters)
    loaded, kernel = ObjectCode.from_cubin(code).get_kernel(entry), compiler.make(factory, *parameters)
    _allow(loaded.handle, kernel.dynamic, device)
    _REGISTERS[device, factory, *parameters] = _registers(loaded.handle, device)
    return loaded, kernel


_REGISTERS: dict[tuple, int] = {}
"""Of a thread, by device and kernel."""


def _registers(handle: Any, device: int) -> int:
    from cuda.bindings import driver

    attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_NUM_REGS
    return _done(*driver.cuKernelGetAttribute(attribute, int(handle), device))


def registers(device: int, job: Job) -> int:
    """Of a thread of a kernel, if cuda-core has loaded it; otherwise 0."""
    return _REGISTERS.get((device, job.factory, *job.parameters), 0)


@lru_cache(maxsize=64)
def _stream(handle: int, device: int) -> Any:
    from cuda.core import Stream

    return Stream.from_handle(handle)


def _by_numba(job: Job, device: int) -> Launch:
    """Each number takes Numba as long as a launch by cuda-core takes in all."""
    from numba import cuda

    kernel = compiler.make(job.factory, *job.parameters)
    compiled = _jitted(device, job.factory, *job.parameters)

    @lru_cache(maxsize=16)
    def queue(stream: int) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Numba, about small grids
            return compiled[job.grid, kernel.threads, cuda.external_stream(stream) if stream else 0, kernel.dynamic]

    def launch(stream: int, addresses: Sequence[int]) -> None:
        queue(stream)(*addresses, *job.numbers)

    return launch


@lru_cache(maxsize=4096)
def _jitted(device: int, factory: str, *parameters: Parameter) -> Any:
    """Numba's own object for a kernel, compiled for a device."""
    from numba import cuda

    kernel = compiler.make(factory, *parameters)
    bounds = (kernel.threads, kernel.blocks)
    with cuda.gpus[device]:
        compiled = cuda.jit(compiler.signature(kernel), launch_bounds=bounds)(kernel.function)
        (overload,) = compiled.overloads.values()
        overload.bind()
        _allow(overload._codelibrary.get_cufunc().kernel.handle, kernel.dynamic, device)
    return compiled


LAUNCHERS: dict[str, Callable[[Job, int], Launch]] = {"core": _by_core, "numba": _by_numba}
"""By preference."""


def _allow(handle: Any, size: int, device: int) -> None:
    """Let blocks have `size` bytes beside what a kernel declares: 48 KB in all are given without being asked."""
    if not size:
        return
    from cuda.bindings import driver

    attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    (error,) = driver.cuKernelSetAttribute(attribute, size, int(handle), device)
    if error != driver.CUresult.CUDA_SUCCESS:
        raise RuntimeError(f"GPU {device} does not give {size} bytes of shared memory to a block: {error.name}")
