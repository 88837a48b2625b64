"""The kernels for gradients of weights, compiled for GPUs that are not here."""

from __future__ import annotations

import numpy as np
import pytest

from numconv._arguments import conv_problem
from numconv._frames import ConvFrame
from numconv._views import canonical
from numconv.cuda.arrays import Given, contiguous
from numconv.cuda.places import Place

from .gpu_jobs import FIRST, REGISTERS, architectures, compiled, named


def gradient_of(x_shape, w_shape, x_dtype="float32", g_dtype=None, result=None, precision="ieee", **options):
    """(kernel, jobs) of a gradient of weights of contiguous arrays."""
    from numconv._views import weight_axes
    from numconv.cuda import gradient_methods

    ndim, x, g = len(w_shape) - 2, np.dtype(x_dtype), np.dtype(g_dtype or x_dtype)
    problem, _ = conv_problem(f"conv{ndim}d", ndim, x_shape, x, w_shape, g, dtype=result, **options)
    problem = problem.permitting(precision)
    frame = ConvFrame.of(problem, True)

    def place(shape, dtype, axes):
        found = Place.of(Given(shape, contiguous(shape, dtype.itemsize), dtype, 1 << 40, 0))
        return found.seen(canonical(found.view, axes))

    places = {
        "x": place(x_shape, x, frame.axes), "g": place(frame.out_shape(x_shape), g, frame.axes),
        "out": place(w_shape, problem.result, weight_axes(ndim, problem.channels_last)),
    }  # fmt: skip
    name = gradient_methods.chosen("test", problem, places)
    method = gradient_methods.KERNELS[name]
    for key, table in method.tables(problem, places).items():
        places[key] = Place.of(Given(table.shape, table.strides, table.dtype, 1 << 40, 0))
    return name, [step.job for step in method.launches(problem, places, "x").steps]


GRADIENTS = [
    ("mixed", {"x_dtype": "float32", "g_dtype": "complex64"}, ("FFMA", "FADD")),
    ("complex64 wrap", {"x_dtype": "complex64", "padding": 1, "pad_mode": "wrap"}, ("FFMA", "FADD")),
]


@architectures
@pytest.mark.parametrize(("name", "options", "instructions"), GRADIENTS, ids=named)
def test_generic_gradients(arch, name, options, instructions):
    """Chains by fused products; their sums read eight at a time."""
    kernel, jobs = gradient_of((1, 9, 9, 9, 70), (3, 3, 3, 7, 40), groups=10, **options)
    assert kernel == "generic"
    for job, instruction in zip(jobs, instructions, strict=True):
        code = compiled(arch, job)
        assert code.counts[instruction] >= 1
        assert code.counts["CALL"] == 0
        assert code.registers <= 128


LAYER, LAYER_FIRST = ((64, 56, 56, 64), (3, 3, 64, 128)), ((64, 64, 56, 56), (128, 64, 3, 3))
DENSE_GRADIENTS = [
    ("3x3x64 last", LAYER, {"padding": "same"}),
    ("3x3x64 first", LAYER_FIRST, {"padding": "same", **FIRST}),
    ("7x7x3 stem", ((64, 224, 224, 3), (7, 7, 3, 64)), {"stride": 2, "padding": 3}),
    ("double", LAYER, {"x_dtype": "float64", "padding": "same"}),
]
SHARES = {"quads": 0.8, "pixels": 0.75, "channels": 0.75}
"""Of products in the main loop, by how x is copied."""


@architectures
@pytest.mark.parametrize(("name", "shapes", "options"), DENSE_GRADIENTS, ids=named)
def test_dense_gradients(arch, name, shapes, options):
    """Most instructions of the main loop are products; both sides come in 16 bytes at a time, and go so."""
    from numconv.cuda.kernels.gradient_tile import Tile

    kernel, jobs = gradient_of(*shapes, **options)
    assert kernel == "dense"
    code = compiled(arch, jobs[0])
    compute, x_way, *_, BM, BN = jobs[0].parameters
    tile, product = Tile(BM, BN, np.dtype(compute).itemsize), "DFMA" if compute == "float64" else "FFMA"
    assert code.registers * tile.threads * tile.blocks <= REGISTERS
    assert code.counts["CALL"] == 0
    assert code.counts["STG.128"] == code.counts["STG"] == 64 // (16 // tile.item_bytes)
    main = code.main(product)
    assert main[product] == 64 * tile.depth
    assert main["LDS.128"] >= tile.depth * 16 // (16 // tile.item_bytes)
    assert main[product] > main["all"] * (0.6 if compute == "float64" else SHARES[x_way])


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_gradients_by_tensor_cores(precision):
    """By the kernels of `tensor`: packing, a copy of x, products, and their sums."""
    kernel, jobs = gradient_of(*LAYER, padding="same", precision=precision)
    assert kernel == "products"
    assert [job.factory for job in jobs[:3]] == ["tensor_copies.pack", "tensor_copies.gather", "tensor.make"]
    codes = [compiled((9, 0), job) for job in jobs]
    assert codes[2].counts["HMMA"] >= 32
    assert not any(code.counts["CALL"] for code in codes)


THIN_GRADIENTS = [
    ("depthwise 3x3 last", ((64, 56, 56, 128), (3, 3, 1, 128)), {"groups": 128, "padding": 1}, 48 * 8),
    ("depthwise 3x3 first", ((64, 128, 56, 56), (128, 1, 3, 3)), {"groups": 128, "padding": 1, **FIRST}, 70 * 4),
    ("half last", ((64, 56, 56, 128), (5, 5, 128, 64)), {"padding": 2, "x_dtype": "float16"}, 120 * 4),
]


@architectures
@pytest.mark.parametrize(("name", "shapes", "options", "most"), THIN_GRADIENTS, ids=named)
def test_thin_gradients(arch, name, shapes, options, most):
    """Few instructions for the loads of a loop: eight or four columns, or what 32 lanes read of four chains."""
    kernel, jobs = gradient_of(*shapes, **options)
    assert kernel == "thin"
    code = compiled(arch, jobs[0])
    assert code.counts["CALL"] == 0
    assert code.registers * (128 * 4 if jobs[0].parameters[4] == 4 else 32 * 16) <= REGISTERS
    loop = max(code.loops, key=lambda loop: loop["LDG"])
    assert loop["LDG"] >= 16
    assert loop["all"] <= most
