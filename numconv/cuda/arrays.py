"""Arrays on a GPU, of whatever library: where they lie, on which stream, and new ones from the same allocator.

A row of `LIBRARIES` is all that a library needs. Others are read through ``__cuda_array_interface__`` or DLPack;
their results are Numba's device arrays, which export the first.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from .extra import simulated


class Given(NamedTuple):
    """An array's memory: strides in bytes, the address of its first element."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype
    address: int
    device: int
    writable: bool = True

    def shadow(self) -> np.ndarray:
        """An array with the same shape and strides, never to be read: its views lie where those of the array do."""
        return np.lib.stride_tricks.as_strided(np.empty(1, self.dtype), self.shape, self.strides)


class Transforms(NamedTuple):
    """Of real arrays, their last axis halved: contiguous arrays, on a stream of a device.

    (array, axes) -> spectra; (spectra, sizes, axes) -> array; (stream, device) -> context in which they are called.
    """

    forward: Callable[[Any, tuple[int, ...]], Any]
    inverse: Callable[[Any, tuple[int, ...], tuple[int, ...]], Any]
    on: Callable[[int, int], AbstractContextManager]


class Library(NamedTuple):
    """What is asked of a library.

    Whether an array is on a GPU; its description; (shape, dtype, device, stream) -> array, which is written on the
    stream next; (array, device) -> stream; out[...] = value; a copy on the host; Fourier transforms, if it has any.
    """

    here: Callable[[Any], bool]
    describe: Callable[[Any], Given]
    empty: Callable[..., Any]
    stream: Callable[[Any, int], int]
    assign: Callable[[Any, Any], None]
    fetch: Callable[[Any], np.ndarray]
    transforms: Transforms | None = None


def contiguous(shape: tuple[int, ...], item_bytes: int) -> tuple[int, ...]:
    """Strides in bytes of an array whose last axis is fastest."""
    strides, step = [], item_bytes
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def library_of(value: Any) -> Library | None:
    """The library of an array on a GPU; None for anything that lies on the host."""
    kind: Any = type(value)
    library = _known(kind)
    return library if library.here(value) else None


@lru_cache(maxsize=256)
def _known(kind: Any) -> Library:
    """By the modules of a type and of those that it is made of."""
    names = [base.__module__.partition(".")[0] for base in kind.__mro__]
    return next((LIBRARIES[name] for name in names if name in LIBRARIES), _OTHER)


def _on_gpu(value: Any) -> bool:
    """By either protocol."""
    try:
        if hasattr(value, "__cuda_array_interface__"):
            return True
        return hasattr(value, "__dlpack_device__") and int(value.__dlpack_device__()[0]) in (2, 13)
    except (RuntimeError, BufferError, TypeError):
        return False


# --- PyTorch ----------------------------------------------------------------------------------------------------------


def _torch_here(tensor: Any) -> bool:
    """Its interface takes longer, and raises for tensors that require gradients."""
    return bool(tensor.is_cuda) if hasattr(tensor, "is_cuda") else _on_gpu(tensor)


def _torch_given(tensor: Any) -> Given:
    if tensor.requires_grad:
        raise TypeError("a tensor that requires a gradient, which would be lost: pass its detach()")
    if tensor.is_conj() or tensor.is_neg():
        raise TypeError("a tensor that is lazily conjugated or negated: pass its resolve_conj().resolve_neg()")
    dtype = _TORCH_DTYPES.get(tensor.dtype) or _torch_dtype(tensor.dtype)
    item_bytes = dtype.itemsize
    strides = tuple([stride * item_bytes for stride in tensor.stride()])
    return Given(tuple(tensor.shape), strides, dtype, tensor.data_ptr(), tensor.device.index or 0)


_TORCH_DTYPES: dict[Any, np.dtype] = {}
"""NumPy's of those that were seen."""


def _torch_dtype(dtype: Any) -> np.dtype:
    name = str(dtype).removeprefix("torch.")
    if not hasattr(np, name) and name != "bool":
        raise TypeError(f"a tensor of dtype {name}, which NumPy does not have")
    return _TORCH_DTYPES.setdefault(dtype, np.dtype(name))


def _torch_empty(shape: tuple[int, ...], dtype: np.dtype, device: int, stream: int = 0) -> Any:
    torch = sys.modules["torch"]
    return torch.empty(shape, dtype=getattr(torch, _name(dtype)), device=f"cuda:{device}")


@lru_cache(maxsize=64)
def _name(dtype: np.dtype) -> str:
    """NumPy makes it anew each time, from parts."""
    return dtype.name


def _torch_stream(tensor: Any, device: int) -> int:
    """By what PyTorch's own compiled code asks, without an object around it."""
    torch = sys.modules["torch"]
    try:
        return torch._C._cuda_getCurrentRawStream(device)
    except AttributeError:
        return torch.cuda.current_stream(device).cuda_stream


def _torch_assign(out: Any, value: Any) -> None:
    out.copy_(value)


def _torch_fetch(tensor: Any) -> np.ndarray:
    return tensor.cpu().numpy()


def _torch_forward(tensor: Any, axes: tuple[int, ...]) -> Any:
    return sys.modules["torch"].fft.rfftn(tensor, dim=axes).contiguous()


def _torch_inverse(tensor: Any, sizes: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    return sys.modules["torch"].fft.irfftn(tensor, s=sizes, dim=axes).contiguous()


def _torch_on(stream: int, device: int) -> AbstractContextManager:
    """Its current stream is the call's."""
    return nullcontext()


# --- CuPy -------------------------------------------------------------------------------------------------------------


def _cupy_given(array: Any) -> Given:
    data = array.data
    return Given(array.shape, array.strides, array.dtype, data.ptr, data.device_id)


def _cupy_empty(shape: tuple[int, ...], dtype: np.dtype, device: int, stream: int = 0) -> Any:
    cupy = sys.modules["cupy"]
    with cupy.cuda.Device(device):
        return cupy.empty(shape, dtype)


def _cupy_stream(array: Any, device: int) -> int:
    cuda = sys.modules["cupy"].cuda
    if cuda.runtime.getDevice() == device:
        return cuda.get_current_stream().ptr
    with cuda.Device(device):
        return cuda.get_current_stream().ptr


def _cupy_assign(out: Any, value: Any) -> None:
    out[...] = value


def _cupy_fetch(array: Any) -> np.ndarray:
    return array.get()


def _cupy_forward(array: Any, axes: tuple[int, ...]) -> Any:
    cupy = sys.modules["cupy"]
    return cupy.ascontiguousarray(cupy.fft.rfftn(array, axes=axes))


def _cupy_inverse(array: Any, sizes: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    cupy = sys.modules["cupy"]
    return cupy.ascontiguousarray(cupy.fft.irfftn(array, s=sizes, axes=axes))


def _cupy_on(stream: int, device: int) -> AbstractContextManager:
    """The call's stream, also where the array is another library's."""
    if _cupy_stream(None, device) == stream:
        return nullcontext()
    return sys.modules["cupy"].cuda.ExternalStream(stream, device)


# --- Numba, and all others --------------------------------------------------------------------------------------------


def _numba_given(array: Any) -> Given:
    if simulated():
        host = array._ary
        return Given(host.shape, host.strides, host.dtype, host.__array_interface__["data"][0], 0)
    address = array.device_ctypes_pointer.value or 0
    return Given(array.shape, array.strides, array.dtype, address, _device_of(address))


def _numba_empty(shape: tuple[int, ...], dtype: np.dtype, device: int, stream: int = 0) -> Any:
    """Bound to a stream that is not the default one, so that others learn of it."""
    from numba import cuda

    if simulated():
        return cuda.device_array(shape, dtype)
    with cuda.gpus[device]:
        return cuda.device_array(shape, dtype, stream=cuda.external_stream(stream) if stream else 0)


def _numba_stream(array: Any, device: int) -> int:
    """The one that the array is bound to."""
    return 0 if simulated() else int(array.stream)


def _interface_stream(array: Any, device: int) -> int:
    """The one on which the array's last work was queued, if its library says so; else the default stream."""
    stream = getattr(array, "__cuda_array_interface__", {}).get("stream")
    return 0 if stream in (None, 1) else int(stream)


def _numba_assign(out: Any, value: Any) -> None:
    _as_numba(out).copy_to_device(value)


def _numba_fetch(array: Any) -> np.ndarray:
    return array.copy_to_host() if hasattr(array, "copy_to_host") else _as_numba(array).copy_to_host()


def _as_numba(array: Any) -> Any:
    """Numba's array of the same memory; Numba itself does not read DLPack."""
    from numba import cuda

    if not hasattr(array, "__cuda_array_interface__"):
        given = _dlpack_given(array)
        told = {"shape": given.shape, "strides": given.strides, "typestr": given.dtype.str, "version": 3}
        told["data"] = (given.address, not given.writable)
        array = SimpleNamespace(__cuda_array_interface__=told, owner=array)
    return cuda.as_cuda_array(array)


def _other_given(array: Any) -> Given:
    if hasattr(array, "__cuda_array_interface__"):
        return _interface_given(array)
    return _numba_given(array) if simulated() else _dlpack_given(array)


def _interface_given(array: Any) -> Given:
    interface = array.__cuda_array_interface__
    if interface.get("mask") is not None:
        raise TypeError("an array with a mask, which would be ignored")
    address, read_only = interface["data"]
    shape, dtype = tuple(interface["shape"]), np.dtype(interface["typestr"])
    if not dtype.isnative:
        raise TypeError(f"an array of dtype {dtype.str}, whose bytes are in the order of other machines")
    strides = interface.get("strides") or contiguous(shape, dtype.itemsize)
    return Given(shape, tuple(strides), dtype, address or 0, _device_of(address), not read_only)


def _dlpack_given(array: Any) -> Given:
    from cuda.core.utils import StridedMemoryView

    try:
        view = StridedMemoryView.from_dlpack(array, stream_ptr=1)  # the default stream, on which kernels will be queued
        item_bytes = view.dtype.itemsize
    except (BufferError, NotImplementedError) as error:
        raise TypeError(f"an array that DLPack does not hand over: {error}") from None
    strides = view.strides or tuple(step // item_bytes for step in contiguous(view.shape, item_bytes))
    in_bytes = tuple(step * item_bytes for step in strides)
    return Given(tuple(view.shape), in_bytes, view.dtype, view.ptr, view.device_id, not view.readonly)


def _device_of(address: int) -> int:
    """The device on which memory lies, as the driver has it; the first of no memory."""
    if simulated() or not address or _devices() == 1:
        return 0
    from cuda.bindings import driver

    error, device = driver.cuPointerGetAttribute(_ordinal(), address)
    return int(device) if error == driver.CUresult.CUDA_SUCCESS else 0


@lru_cache(maxsize=1)
def _devices() -> int:
    from numba import cuda

    return len(cuda.gpus)


@lru_cache(maxsize=1)
def _ordinal() -> Any:
    from cuda.bindings import driver

    return driver.CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL


def _always(array: Any) -> bool:
    """Types that are nowhere else."""
    kind = type(array)
    return hasattr(kind, "__cuda_ndarray__") or hasattr(kind, "__cuda_array_interface__") or _on_gpu(array)


NUMBA = _NUMBA = Library(_always, _numba_given, _numba_empty, _numba_stream, _numba_assign, _numba_fetch)
_OTHER = Library(_on_gpu, _other_given, _numba_empty, _interface_stream, _numba_assign, _numba_fetch)
_TORCH = (_torch_here, _torch_given, _torch_empty, _torch_stream, _torch_assign, _torch_fetch)
_CUPY = (_always, _cupy_given, _cupy_empty, _cupy_stream, _cupy_assign, _cupy_fetch)
LIBRARIES = {
    "torch": Library(*_TORCH, Transforms(_torch_forward, _torch_inverse, _torch_on)),
    "cupy": Library(*_CUPY, Transforms(_cupy_forward, _cupy_inverse, _cupy_on)),
    "numba": _NUMBA,
    "numba_cuda": _NUMBA,
}


def is_pooled_by_streams(library: Library) -> bool:
    """Whether memory that is given back goes to what is queued next on the same stream, without waiting."""
    return library.empty is not _numba_empty


def is_pooled_for_graphs(library: Library) -> bool:
    """Whether what is allocated while a graph is recorded is the graph's alone; of the simulator all is."""
    return simulated() or library.empty is _torch_empty


def upload(array: np.ndarray, device: int = 0) -> Any:
    """A copy on a device, as Numba's array: there when this returns, on any stream, without waiting for one."""
    from numba import cuda

    if simulated():
        return cuda.to_device(array)
    with cuda.gpus[device]:
        stream = _copying_stream(device)
        plain = array.ravel().reshape(array.shape)  # Numba does not take axes of one element that have any stride
        found = cuda.to_device(plain, stream=stream)
        stream.synchronize()
        found.stream = 0
        return found


@lru_cache(maxsize=64)
def _copying_stream(device: int) -> Any:
    """One that does not wait for the default stream, nor that for it."""
    from cuda.bindings import driver
    from numba import cuda

    error, stream = driver.cuStreamCreate(driver.CUstream_flags.CU_STREAM_NON_BLOCKING)
    if error:
        raise RuntimeError(f"the CUDA driver says {error.name}")
    return cuda.external_stream(int(stream))
