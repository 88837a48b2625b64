"""Arrays of others: DLPack, `__cuda_array_interface__`, PyTorch's and CuPy's; what of them is read, and refused."""

import ctypes
from types import SimpleNamespace

import numpy as np
import pytest
from numba import cuda

import numconv

from .device import Library, address, calls, launched

X = np.ones((1, 20, 24, 1), np.float32)
W = np.ones((3, 3, 1, 1), np.float32)
FIRST = {"data_format": "channels_first"}


class Tensor(ctypes.Structure):
    """DLPack's DLManagedTensor."""

    _fields_ = (
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p),
    )  # fmt: skip


new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.argtypes, new_capsule.restype = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p), ctypes.py_object
CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}


class Exported:
    """An array of which only DLPack tells."""

    def __init__(self, host, strides=True, device=0, code=None):
        with cuda.gpus[device]:
            self.array = cuda.to_device(host)
        self.device, self.asked, ndim = device, [], host.ndim
        self.shape = (ctypes.c_int64 * ndim)(*host.shape)
        self.steps = (ctypes.c_int64 * ndim)(*(stride // host.itemsize for stride in host.strides))
        steps = ctypes.cast(self.steps, ctypes.POINTER(ctypes.c_int64)) if strides else None
        self.tensor = Tensor(
            address(self.array), 2, device, ndim,
            CODES[host.dtype.kind] if code is None else code, host.itemsize * 8, 1,
            ctypes.cast(self.shape, ctypes.POINTER(ctypes.c_int64)), steps,
        )  # fmt: skip

    def __dlpack_device__(self):
        return 2, self.device

    def __dlpack__(self, stream=None, **options):
        self.asked.append(stream)
        return new_capsule(ctypes.addressof(self.tensor), b"dltensor", None)


class Interface:
    """An array of which only the interface tells."""

    def __init__(self, host, device=0, **more):
        with cuda.gpus[device]:
            self.array = cuda.to_device(host)
        pointer = (address(self.array) if host.size else 0, False)
        self.__cuda_array_interface__ = {"shape": host.shape, "typestr": host.dtype.str, "data": pointer, "version": 3}
        self.__cuda_array_interface__ |= more


@pytest.mark.parametrize("strides", [True, False])
def test_dlpack(strides):
    """Read where it lies; ordered before the default stream, on which the kernel is queued."""
    x = Exported(X, strides)
    found = launched(lambda: numconv.conv2d(x, W))
    assert found.stream == 0
    assert found.arguments[0] == address(x.array)
    assert set(x.asked) == {1}
    y = numconv.conv2d(x, Exported(W))
    assert y.shape == (1, 18, 22, 1)
    assert y.dtype == np.float32
    assert cuda.is_cuda_array(y)


def test_weights_and_results_by_dlpack():
    """Which plans copy to the host, and others copy into."""
    library, w = numconv.cuda.arrays.library_of(Exported(W)), np.arange(9, dtype=np.float32).reshape(3, 3, 1, 1)
    assert np.array_equal(library.fetch(Exported(w)), w)
    assert numconv.plan_conv2d(X.shape, Exported(w), device="cuda")(Exported(X)).shape == (1, 18, 22, 1)
    out = Exported(np.zeros_like(w))
    library.assign(out, cuda.to_device(w))
    assert np.array_equal(out.array.copy_to_host(), w)


def test_dlpack_of_fortran_arrays_types_and_the_other_device():
    host = np.asfortranarray(np.ones((1, 9, 11, 1)))
    x = Exported(host)
    assert numconv.cuda.arrays.library_of(x).describe(x).strides == host.strides
    for dtype in ("float64", "complex64", "uint8", "bool"):
        x = Exported(np.ones((4, 5), dtype))
        assert numconv.cuda.arrays.library_of(x).describe(x).dtype == dtype
    x = Exported(X, device=1)
    assert numconv.cuda.arrays.library_of(x).describe(x).device == 1
    with pytest.raises(TypeError, match="conv2d: x is an array that DLPack does not hand over"):
        numconv.conv2d(Exported(X.view(np.uint32), code=4), W)


@pytest.mark.parametrize(
    ("more", "stream"),
    [({}, 0), ({"stream": None}, 0), ({"stream": 1}, 0), ({"stream": 2}, 2), ({"version": 2}, 0), ({"stream": 99}, 99),
     ({"strides": None}, 0)],
)  # fmt: skip
def test_the_interface(more, stream):
    x = Interface(X, **more)
    found = launched(lambda: numconv.conv2d(x, W))
    assert found.stream == stream
    assert found.arguments[0] == address(x.array)


def test_strides_of_the_interface():
    """A view with a step, and a transposed one, are other launches of the same kernel."""
    host = np.ones((1, 20, 24, 1), np.float32)
    for strides in (host.strides, (host.strides[0], 192, 4, 4)):
        x = Interface(host, strides=strides)
        given = numconv.cuda.arrays.library_of(x).describe(x)
        assert given.strides == strides
    steps = []
    for view in (X, X[:, ::2]):
        x = Interface(X, shape=view.shape, strides=view.strides)
        steps.append(launched(lambda x=x: numconv.conv2d(x, W), 30).arguments[5:])
    assert steps[0] != steps[1]


def test_what_is_refused():
    for x, message in (
        (Interface(X, mask=object()), "an array with a mask"),
        (Interface(X, typestr=">f4"), "an array of dtype >f4, whose bytes are in the order of other machines"),
    ):
        with pytest.raises(TypeError, match=f"conv2d: x is {message}"):
            numconv.conv2d(x, W)
    with pytest.raises(TypeError):
        numconv.conv2d(Interface(X, typestr="|V4"), W)
    out = Interface(np.ones((1, 18, 22, 1), np.float32))
    out.__cuda_array_interface__["data"] = (address(out.array), True)
    with pytest.raises(ValueError, match=r"conv2d: out .* is read-only"):
        numconv.conv2d(Interface(X), W, out=out)
    x = Interface(X)
    x.__cuda_array_interface__["data"] = (address(x.array) + 1, False)
    with pytest.raises(NotImplementedError, match="conv2d: x or out is not aligned"):
        numconv.conv2d(x, W)
    read_only = Interface(X)
    read_only.__cuda_array_interface__["data"] = (address(read_only.array), True)
    numconv.conv2d(read_only, W)


def test_nothing_to_do():
    """No kernel is queued."""
    asked, y = calls(lambda: numconv.conv2d(Interface(np.ones((0, 20, 24, 1), np.float32)), W))
    assert y.shape == (0, 18, 22, 1)
    assert "cuLaunchKernelEx" not in asked


def test_tensors(monkeypatch):
    library = Library("torch", monkeypatch)
    x = library.make(np.ones((1, 1, 20, 24), np.float32))
    w = np.ones((1, 1, 3, 3), np.float32)
    for change, message in (
        ({"requires_grad": True}, "a tensor that requires a gradient, .* detach"),
        ({"is_conj": lambda: True}, "a tensor that is lazily conjugated"),
        ({"is_neg": lambda: True}, "a tensor that is lazily conjugated"),
        ({"dtype": "torch.bfloat16"}, "a tensor of dtype bfloat16"),
    ):
        other = library.kind(x.array, 0)
        other.__dict__.update(change)
        with pytest.raises(TypeError, match=f"conv2d: x is {message}"):
            numconv.conv2d(other, w, **FIRST)
    on_host = library.kind(x.array, 0)
    on_host.is_cuda = False
    with pytest.raises(TypeError, match=r"out is of type torch.* expected an array on the GPU"):
        numconv.conv2d(x, w, **FIRST, out=on_host)
    nowhere = library.kind(x.array, 0)
    nowhere.device = SimpleNamespace(index=None)
    assert numconv.conv2d(nowhere, w, **FIRST).device.index == 0


def test_streams_are_those_of_compiled_code(monkeypatch):
    """PyTorch's current stream, by what costs a tenth of an object for it."""
    import sys

    library = Library("torch", monkeypatch)
    module = sys.modules["torch"]
    module._C = SimpleNamespace(_cuda_getCurrentRawStream=lambda device: 0x7000 + device)
    x = library.make(np.ones((1, 1, 20, 24), np.float32))
    assert launched(lambda: numconv.conv2d(x, np.ones((1, 1, 3, 3), np.float32), **FIRST)).stream == 0x7000


def test_a_result_over_its_input(monkeypatch):
    """Computed apart, then copied by the library, on its stream."""
    library = Library("cupy", monkeypatch)
    x = library.make(np.ones((1, 1, 20, 24), np.float32))
    copied = []
    library.kind.__setitem__ = lambda self, key, value: copied.append((key, value))
    assert numconv.conv2d(x, np.ones((1, 1, 3, 3), np.float32), padding=1, **FIRST, out=x) is x
    assert copied[0][0] is ...
    assert isinstance(copied[0][1], library.kind)
