"""Arrays on a GPU, of whatever library: where they lie, on which stream, and new ones from the same allocator.

A row of `_LIBRARIES` is all that a library needs. Others are read through ``__cuda_array_interface__`` or DLPack;
their results are Numba's device arrays, which export the first.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
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


class Library(NamedTuple):
    """What is asked of a library.

    A description; (shape, dtype, device) -> array; (array, device) -> stream; out[...] = value; a copy on the host.
    """

    describe: Callable[[Any], Given]
    empty: Callable[[tuple[int, ...], np.dtype, int], Any]
    stream: Callable[[Any, int], int]
    assign: Callable[[Any, Any], None]
    fetch: Callable[[Any], np.ndarray]


def contiguous(shape: tuple[int, ...], item_bytes: int) -> tuple[int, ...]:
    """Strides in bytes of an array whose last axis is fastest."""
    strides, step = [], item_bytes
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def library_of(value: Any) -> Library | None:
    """The library of an array on a GPU; None for anything that lies on the host."""
    found = _LIBRARIES.get(type(value).__module__.partition(".")[0])
    if found is not None:
        return found if _on_gpu(value) else None
    return _OTHER if _on_gpu(value) else None


def _on_gpu(value: Any) -> bool:
    """By either protocol; PyTorch's raises for tensors that require gradients, which are on the GPU then."""
    try:
        if hasattr(value, "__cuda_array_interface__"):
            return True
        return hasattr(value, "__dlpack_device__") and int(value.__dlpack_device__()[0]) in (2, 13)
    except (RuntimeError, BufferError, TypeError):
        return hasattr(type(value), "__cuda_array_interface__")


# --- PyTorch ----------------------------------------------------------------------------------------------------------


def _torch_given(tensor: Any) -> Given:
    if tensor.requires_grad:
        raise TypeError("a tensor that requires a gradient, which would be lost: pass its detach()")
    name = str(tensor.dtype).removeprefix("torch.")
    if not hasattr(np, name) and name != "bool":
        raise TypeError(f"a tensor of dtype {name}, which NumPy does not have")
    if tensor.is_conj() or tensor.is_neg():
        raise TypeError("a tensor that is lazily conjugated or negated: pass its resolve_conj().resolve_neg()")
    dtype = np.dtype(name)
    strides = tuple(stride * dtype.itemsize for stride in tensor.stride())
    return Given(tuple(tensor.shape), strides, dtype, tensor.data_ptr(), tensor.device.index or 0)


def _torch_empty(shape: tuple[int, ...], dtype: np.dtype, device: int) -> Any:
    torch = sys.modules["torch"]
    return torch.empty(shape, dtype=getattr(torch, dtype.name), device=f"cuda:{device}")


def _torch_stream(tensor: Any, device: int) -> int:
    return sys.modules["torch"].cuda.current_stream(device).cuda_stream


def _torch_assign(out: Any, value: Any) -> None:
    out.copy_(value)


def _torch_fetch(tensor: Any) -> np.ndarray:
    return tensor.cpu().numpy()


# --- CuPy -------------------------------------------------------------------------------------------------------------


def _cupy_given(array: Any) -> Given:
    return Given(array.shape, array.strides, array.dtype, array.data.ptr, array.device.id)


def _cupy_empty(shape: tuple[int, ...], dtype: np.dtype, device: int) -> Any:
    cupy = sys.modules["cupy"]
    with cupy.cuda.Device(device):
        return cupy.empty(shape, dtype)


def _cupy_stream(array: Any, device: int) -> int:
    cupy = sys.modules["cupy"]
    with cupy.cuda.Device(device):
        return cupy.cuda.get_current_stream().ptr


def _cupy_assign(out: Any, value: Any) -> None:
    out[...] = value


def _cupy_fetch(array: Any) -> np.ndarray:
    return array.get()


# --- Numba, and all others --------------------------------------------------------------------------------------------


def _numba_given(array: Any) -> Given:
    if simulated():
        host = array._ary
        return Given(host.shape, host.strides, host.dtype, host.__array_interface__["data"][0], 0)
    return _interface_given(array)


def _numba_empty(shape: tuple[int, ...], dtype: np.dtype, device: int) -> Any:
    from numba import cuda

    if simulated():
        return cuda.device_array(shape, dtype)
    with cuda.gpus[device]:
        return cuda.device_array(shape, dtype)


def _interface_stream(array: Any, device: int) -> int:
    """The one on which the array's last work was queued, if its library says so; else the default stream."""
    stream = getattr(array, "__cuda_array_interface__", {}).get("stream")
    return 0 if stream in (None, 1) else int(stream)


def _numba_assign(out: Any, value: Any) -> None:
    from numba import cuda

    cuda.as_cuda_array(out).copy_to_device(value)


def _numba_fetch(array: Any) -> np.ndarray:
    from numba import cuda

    if hasattr(array, "copy_to_host"):
        return array.copy_to_host()
    return (cuda.as_cuda_array if hasattr(array, "__cuda_array_interface__") else cuda.from_dlpack)(
        array
    ).copy_to_host()


def _other_given(array: Any) -> Given:
    if hasattr(array, "__cuda_array_interface__"):
        return _interface_given(array)
    return _numba_given(array) if simulated() else _dlpack_given(array)


def _interface_given(array: Any) -> Given:
    interface = array.__cuda_array_interface__
    address, read_only = interface["data"]
    shape, dtype = tuple(interface["shape"]), np.dtype(interface["typestr"])
    strides = interface.get("strides") or contiguous(shape, dtype.itemsize)
    return Given(shape, tuple(strides), dtype, address or 0, _device_of(address), not read_only)


def _dlpack_given(array: Any) -> Given:
    from cuda.core.utils import StridedMemoryView

    view = StridedMemoryView.from_dlpack(array, stream_ptr=-1)  # the caller's stream is ours: nothing to wait for
    item_bytes = view.dtype.itemsize
    strides = view.strides or tuple(step // item_bytes for step in contiguous(view.shape, item_bytes))
    in_bytes = tuple(step * item_bytes for step in strides)
    return Given(tuple(view.shape), in_bytes, view.dtype, view.ptr, view.device_id, not view.readonly)


def _device_of(address: int) -> int:
    """The device on which memory lies, as the driver has it; the current one of no memory."""
    if simulated() or not address:
        return 0
    from cuda.bindings import driver

    kind = driver.CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
    error, device = driver.cuPointerGetAttribute(kind, address)
    return int(device) if error == driver.CUresult.CUDA_SUCCESS else 0


NUMBA = _NUMBA = Library(_numba_given, _numba_empty, _interface_stream, _numba_assign, _numba_fetch)
_OTHER = Library(_other_given, _numba_empty, _interface_stream, _numba_assign, _numba_fetch)
_LIBRARIES = {
    "torch": Library(_torch_given, _torch_empty, _torch_stream, _torch_assign, _torch_fetch),
    "cupy": Library(_cupy_given, _cupy_empty, _cupy_stream, _cupy_assign, _cupy_fetch),
    "numba": _NUMBA,
    "numba_cuda": _NUMBA,
}


def upload(array: np.ndarray, device: int = 0) -> Any:
    """A copy on a device, as Numba's array."""
    from numba import cuda

    if simulated():
        return cuda.to_device(array)
    with cuda.gpus[device]:
        return cuda.to_device(np.ascontiguousarray(array))


def download(array: Any, out: np.ndarray) -> None:
    """Copy Numba's array into one of the host, when the device has finished it."""
    out[...] = array.copy_to_host()
