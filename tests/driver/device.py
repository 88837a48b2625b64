"""The stand-in's notes, and stand-ins for libraries whose arrays lie in its memory."""

import ctypes
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from numba import cuda

try:
    DRIVER = ctypes.CDLL("libcuda.so.1")
except OSError:
    DRIVER = None
if not hasattr(DRIVER, "forget"):  # which a real driver has not
    pytest.skip("the stand-in is not there; tests/test_cuda_driver.py starts these", allow_module_level=True)
QUIET = {"cuPointerGetAttribute", "cuCtxGetDevice", "cuStreamIsCapturing", "cuLaunchKernelEx"}
"""All that a call which was prepared asks of the driver: nothing is waited for, copied, or allocated."""


def calls(function):
    """(the functions of the driver that a call takes, in order; its result)."""
    DRIVER.forget()
    result = function()
    text = ctypes.string_at(ctypes.addressof(ctypes.c_char.in_dll(DRIVER, "calls")))
    return text.decode().split(), result


def launched(function, arguments=16):
    """The last launch of a call: grid, block, shared memory, stream, and its first arguments."""
    ctypes.c_int.in_dll(DRIVER, "wanted").value = arguments
    function()
    ctypes.c_int.in_dll(DRIVER, "wanted").value = 0
    numbers = list((ctypes.c_uint64 * 72).in_dll(DRIVER, "launch"))
    return SimpleNamespace(
        grid=tuple(numbers[:3]),
        block=tuple(numbers[3:6]),
        shared=numbers[6],
        stream=numbers[7],
        arguments=numbers[8 : 8 + arguments],
        device=ctypes.c_int.in_dll(DRIVER, "device").value,
    )


def recording(yes):
    """Whether all streams say that a graph records them."""
    ctypes.c_int.in_dll(DRIVER, "capturing").value = int(yes)


def address(array):
    return array.device_ctypes_pointer.value


class Tensor:
    """What is asked of PyTorch's."""

    requires_grad = False
    is_cuda = True

    def __init__(self, array, device):
        self.array, self.shape, self.dtype = array, array.shape, f"torch.{array.dtype}"
        self.device = SimpleNamespace(index=device)

    def stride(self):
        return tuple(stride // self.array.dtype.itemsize for stride in self.array.strides)

    def data_ptr(self):
        return address(self.array)

    def is_conj(self):
        return False

    is_neg = is_conj

    @property
    def __cuda_array_interface__(self):
        raise AssertionError("slow, and fails for tensors that require gradients")


class Array:
    """What is asked of CuPy's."""

    __cuda_array_interface__ = None

    def __init__(self, array, device):
        self.array, self.shape, self.strides, self.dtype = array, array.shape, array.strides, array.dtype
        self.data = SimpleNamespace(ptr=address(array), device_id=device)


class Library:
    """A module with streams by device, that notes what was asked of it."""

    def __init__(self, name, monkeypatch):
        self.name, self.asked, self.streams, self.current = name, [], {0: 0, 1: 0}, 0
        self.kind = type(name, (Tensor if name == "torch" else Array,), {"__module__": name})
        module = ModuleType(name)
        for kind in ("float32", "uint8"):
            setattr(module, kind, kind)
        module.empty = self.empty_tensor if name == "torch" else self.empty_array
        module.cuda = SimpleNamespace(
            current_stream=lambda device: SimpleNamespace(cuda_stream=self.streams[device]),
            get_current_stream=lambda: SimpleNamespace(ptr=self.streams[self.current]),
            runtime=SimpleNamespace(getDevice=lambda: self.current),
            Device=lambda device: Current(self, device),
        )
        monkeypatch.setitem(sys.modules, name, module)

    def empty_tensor(self, shape, dtype, device):
        number = int(device.removeprefix("cuda:"))
        self.asked.append((shape, dtype, number))
        return self.make(np.empty(shape, dtype), number)

    def empty_array(self, shape, dtype):
        self.asked.append((shape, np.dtype(dtype).name, self.current))
        return self.make(np.empty(shape, dtype), self.current)

    def make(self, host, device=0):
        with cuda.gpus[device]:
            return self.kind(cuda.to_device(host), device)


class Current:
    def __init__(self, library, device):
        self.library, self.device = library, device

    def __enter__(self):
        self.before, self.library.current = self.library.current, self.device

    def __exit__(self, *error):
        self.library.current = self.before
