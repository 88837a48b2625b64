"""What the compiler of kernels does otherwise than Numba's own."""

import ctypes

import numpy as np

from numconv.cpu import native
from numconv.cpu.machine import machine


def kernel():
    """Least and greatest of what Numba knows and of what this target knows; a variable that is assigned twice."""
    from numconv.cpu.kernels.intrinsics import pointer

    def least_and_greatest(floats, integers, _, __):
        x, i = pointer(floats, "f8"), pointer(integers, "i8")
        value = 0
        value = min(i[0], i[1])
        i[2] = value
        value = max(i[0], i[1], 5)
        i[3] = value
        x[2] = min(x[0], x[1])
        x[3] = max(x[0], x[1])

    return least_and_greatest


def test_least_and_greatest_of_floats_are_not_those_of_integers():
    from numconv.cpu.target import kernel_ir

    code = native.emit_object(kernel_ir(kernel()), machine().name, machine().features)
    run = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)(native.load(code))
    x, i = np.array([2.75, 2.25, 0, 0]), np.array([3, -4, 0, 0])
    run(x.ctypes.data, i.ctypes.data, 0, 0)
    assert list(x[2:]) == [2.25, 2.75] and list(i[2:]) == [-4, 5]
