"""Arrays on the device of the tests, the reference beside it, and what is small enough for the simulator."""

import ctypes
from contextlib import contextmanager

import numpy as np
import pytest
from numba import cuda

import numconv
import numconv._calls
import numconv._conv_transpose_calls
import numconv.grad._input_calls
from numconv.cuda import depthwise, folds, generic, methods, rearranged, recall, reductions, stencil
from numconv.cuda.extra import simulated, trouble

from ..problems import any_strides, arrays, poisoned, random_case, same_bits

if trouble():
    pytest.skip(f"no GPU: {trouble()}", allow_module_level=True)

CONV = {1: numconv.conv1d, 2: numconv.conv2d, 3: numconv.conv3d}
MANY = 6000 if simulated() else 10**5
"""Products that a test may take: the simulator makes 50,000 a second, the reference some millions."""

if simulated():
    from .simulator import install

    install()
    for module in (folds, generic, rearranged, reductions, stencil):
        module.THREADS = 32
    depthwise.THREADS = (32,)


def few(case, size, most=MANY):
    """Whether the reference's result of `size` elements took few enough products."""
    return size * int(np.prod(case.kernel)) * case.channels // case.groups <= max(most, MANY)


def few_products(count):
    """Whether a test may take them."""
    return count <= MANY


class Simulated:
    """Memory of the host that says it is a GPU's, which it is in the simulator."""

    def __init__(self, array):
        self.host = array

    @property
    def __cuda_array_interface__(self):
        interface = dict(self.host.__array_interface__)
        return interface | {"strides": self.host.strides, "version": 3, "stream": None}

    def copy_to_host(self):
        return self.host


class Strided:
    """An array on a GPU with the strides of one on the host, also negative ones and gaps, by the interface alone."""

    def __init__(self, array):
        low, high = np.lib.array_utils.byte_bounds(array)
        memory = np.frombuffer((ctypes.c_char * (high - low)).from_address(low), np.uint8)
        self.memory, self.offset = cuda.to_device(memory.copy()), array.__array_interface__["data"][0] - low
        self.shape, self.strides, self.dtype = array.shape, array.strides, array.dtype

    @property
    def __cuda_array_interface__(self):
        place = self.memory.device_ctypes_pointer.value + self.offset
        kind = {"shape": self.shape, "strides": self.strides, "typestr": self.dtype.str}
        return kind | {"data": (place, False), "version": 3}

    def copy_to_host(self):
        return np.ndarray(self.shape, self.dtype, self.memory.copy_to_host(), self.offset, self.strides)


def to_device(array):
    """A copy on the device with the same strides."""
    if not simulated():
        plain = array.flags.c_contiguous or not array.size
        return cuda.to_device(array.ravel().reshape(array.shape)) if plain else Strided(array)
    if not array.size:
        return Simulated(array.copy())
    low, high = np.lib.array_utils.byte_bounds(array)
    memory = np.frombuffer(bytearray((ctypes.c_char * (high - low)).from_address(low)), np.uint8)
    offset = array.__array_interface__["data"][0] - low
    return Simulated(np.ndarray(array.shape, array.dtype, memory, offset, array.strides))


def shifted(array, first):
    """A copy on the device that begins so many elements behind where memory does."""
    memory = np.concatenate([np.zeros(first, array.dtype), array.ravel()])
    if simulated():
        return Simulated(memory[first:].reshape(array.shape))
    return cuda.to_device(memory)[first:].reshape(array.shape)


@contextmanager
def only(name):
    """With one kernel for all that it computes, and `generic` for the rest; yields how often it was taken."""
    taken, kernels, method = [], dict(methods.KERNELS), methods.KERNELS[name]

    class Counted:
        refusal, tables = staticmethod(method.refusal), staticmethod(method.tables)
        features = staticmethod(getattr(method, "features", lambda problem: ()))
        CAPABILITY = getattr(method, "CAPABILITY", None)

        @staticmethod
        def launches(*arguments):
            taken.append(1)
            return method.launches(*arguments)

    methods.KERNELS.clear()
    methods.KERNELS.update({name: Counted, "generic": generic})
    forget()
    try:
        yield taken
    finally:
        methods.KERNELS.clear()
        methods.KERNELS.update(kernels)
        forget()


@contextmanager
def in_order():
    """Without the kernel whose sums have another order on a GPU."""
    kernels = dict(methods.KERNELS)
    del methods.KERNELS["double"]
    forget()
    try:
        yield
    finally:
        methods.KERNELS.clear()
        methods.KERNELS.update(kernels)
        forget()


def forget():
    """Launches are kept with problems, and calls with both."""
    for module in (numconv._calls, numconv._conv_transpose_calls):
        module.recipe.cache_clear()
    numconv.grad._input_calls._recipe.cache_clear()
    recall._KNOWN.clear()


def check(case, x, w, bias, most=MANY):
    """Equal bits as the reference's, into a poisoned array of the device; False for too large a problem."""
    conv = CONV[case.ndim]
    expected = conv(x, w, bias, **case.keywords, method="reference")
    if not few(case, expected.size, most):
        return False
    out = to_device(poisoned(expected.shape, expected.dtype))
    assert conv(to_device(x), w, bias, **case.keywords, out=out) is out
    assert same_bits(out.copy_to_host(), expected), case
    return True


__all__ = [
    "CONV",
    "any_strides",
    "arrays",
    "check",
    "few",
    "few_products",
    "forget",
    "in_order",
    "only",
    "poisoned",
    "random_case",
    "same_bits",
    "shifted",
    "simulated",
    "to_device",
]
