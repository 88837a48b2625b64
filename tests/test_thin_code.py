"""The kernels for few channels, compiled for GPUs that are not here."""

from __future__ import annotations

import numpy as np
import pytest

from numconv.cuda import methods

from .gpu_jobs import ARCHITECTURES, BYTES, FIRST, REGISTERS, architectures, compiled, job_of, named

STENCILS = [
    ("image 3x3", ((1, 1, 512, 512), (1, 1, 3, 3)), {}),
    ("image 7x7 reflect", ((1, 1, 512, 512), (1, 1, 7, 7)), {"pad_mode": "reflect"}),
    ("image 5x5 double", ((1, 1, 512, 512), (1, 1, 5, 5)), {"x_dtype": "float64"}),
    ("bytes 3x3", ((1, 1, 512, 512), (1, 1, 3, 3)), {"x_dtype": "uint8", "w_dtype": "float32", **BYTES}),
    ("bank 8x5x5", ((1, 1, 512, 512), (8, 1, 5, 5)), {"activation": "relu"}),
    ("colour 32x5x4", ((1, 3, 512, 512), (32, 3, 5, 4)), {}),
    ("first layer", ((1, 3, 224, 224), (32, 3, 3, 3)), {"stride": 2}),
    ("depthwise 3x3", ((1, 64, 56, 56), (64, 1, 3, 3)), {"groups": 64}),
    ("depthwise 14", ((1, 64, 14, 14), (64, 1, 5, 5)), {"groups": 64}),
    ("depthwise half", ((1, 64, 56, 56), (64, 1, 3, 3)), {"groups": 64, "x_dtype": "float16"}),
    ("signal 64", ((1, 1, 65536), (1, 1, 64)), {}),
    ("signal bank 32x64", ((1, 1, 65536), (32, 1, 64)), {}),
    ("signal 4 channels", ((1, 4, 65536), (8, 4, 16)), {}),
    ("signal 300", ((1, 1, 65536), (1, 1, 300)), {}),
    ("signal 4095", ((1, 1, 65536), (1, 1, 4095)), {}),
    ("image 15x15", ((1, 1, 512, 512), (1, 1, 15, 15)), {}),
    ("signal depthwise 33", ((1, 22, 512), (44, 1, 33)), {"groups": 22}),
]  # fmt: skip
COMPLEX = [
    ("complex stencil", ((8, 512, 512, 1), (5, 5, 1, 1)), {"pad_mode": "reflect"}),
    ("complex depthwise", ((8, 224, 224, 1), (3, 3, 1, 8)), {}),
    ("complex depthwise", ((8, 56, 56, 64), (3, 3, 1, 64)), {"groups": 64, "w_dtype": "float32"}),
]  # fmt: skip
DEPTHWISE = [
    ("3x3", ((64, 56, 56, 256), (3, 3, 1, 256)), {"groups": 256}),
    ("5x5", ((64, 28, 28, 256), (5, 5, 1, 256)), {"groups": 256}),
    ("7x7 reflect", ((32, 56, 56, 96), (7, 7, 1, 96)), {"groups": 96, "pad_mode": "reflect"}),
    ("3x3 half", ((64, 56, 56, 256), (3, 3, 1, 256)), {"groups": 256, "x_dtype": "float16", "stride": 2}),
    ("3x3 double", ((64, 56, 56, 256), (3, 3, 1, 256)), {"groups": 256, "x_dtype": "float64"}),
    ("1-D, 4 taps", ((8, 4096, 1024), (4, 1, 1024)), {"groups": 1024, "pad_value": 1}),
    ("first layer", ((8, 224, 224, 3), (3, 3, 3, 32)), {"stride": 2, "activation": "relu"}),
    ("to bytes", ((8, 56, 56, 64), (3, 3, 4, 64)), {"groups": 16, **BYTES}),
]  # fmt: skip
LOOPS = ("signal 64", "signal 300", "signal 4095", "image 15x15")
"""Stencils whose taps are a loop without another in it."""
OLDER = ("image 3x3", "image 7x7 reflect", "colour 32x5x4", "signal 64")
"""Stencils that are compiled for both."""


@architectures
@pytest.mark.parametrize(("name", "shapes", "options"), STENCILS, ids=named)
def test_stencil(arch, name, shapes, options):
    """Every product is one instruction; the input comes in 16 bytes at a time."""
    if arch == (8, 0) and name not in OLDER:
        pytest.skip("compiled for one architecture")
    kernel, job = job_of(*shapes, padding="same", **FIRST, **options)
    assert kernel == "stencil"
    code = compiled(arch, job)
    shape = methods.stencil.Stencil(*job.parameters[8:])
    taps = (shape.KH * shape.KW, shape.KW, shape.chunk)[shape.walk]
    products = taps * shape.C * shape.sums
    assert code.counts["FFMA"] + code.counts["DFMA"] >= products
    assert code.counts["LDS.128"] >= shape.C * (1 if shape.walk else shape.KH)
    assert name not in LOOPS or code.share("FFMA") > 0.9
    assert (code.counts["LDG.128"] > 0) == (shape.V * np.dtype(job.parameters[0]).itemsize == 16)
    assert code.counts["CALL"] == 0
    assert code.registers * shape.T * shape.blocks() <= REGISTERS


@pytest.mark.parametrize(("name", "shapes", "options"), COMPLEX, ids=named)
def test_complex(name, shapes, options):
    """Kernels for real numbers: four products are four instructions, two where one of the factors is real."""
    kernel, job = job_of(*shapes, padding="same", **{"x_dtype": "complex64"} | options)
    assert kernel == name
    code = compiled((9, 0), job)
    assert code.counts["FFMA"] >= 4 * 9 if "w_dtype" not in options else 2 * 9
    assert code.counts["CALL"] == 0


@pytest.mark.parametrize("arch", ARCHITECTURES[1:], ids=["sm_90"])
@pytest.mark.parametrize(("name", "shapes", "options"), DEPTHWISE, ids=named)
def test_depthwise(arch, name, shapes, options):
    """A row of the window in flight while the one before is multiplied; all weights in registers."""
    kernel, job = job_of(*shapes, padding="same", **options)
    assert kernel == "depthwise"
    code = compiled(arch, job)
    shape = methods.depthwise.Depthwise(*job.parameters[8:])
    products = shape.weights * shape.TW * shape.rows
    assert code.counts["FFMA"] + code.counts["DFMA"] >= products
    assert code.counts["LDS"] == code.counts["CALL"] == 0
    assert code.registers * shape.T * shape.blocks(job.parameters[3]) <= REGISTERS
