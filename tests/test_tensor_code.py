"""The kernels for tensor cores, compiled for GPUs that are not here: see `test_cuda_code`."""

from __future__ import annotations

import pytest

from .gpu_jobs import FIRST, REGISTERS, compiled, launches_of, named

LAYER, FEW, SMALL = (
    ((64, 56, 56, 128), (3, 3, 128, 128)),
    ((64, 56, 56, 64), (3, 3, 64, 64)),
    ((1, 8, 8, 64), (3, 3, 64, 64)),
)
NAMES = {"tf32": "HMMA.1688.F32.TF32", "bf16": "HMMA.16816.F32.BF16", "f16": "HMMA.16816.F32"}
KERNELS = [
    ("tf32 128", LAYER, {"precision": "tf32"}, 0.25),
    ("tf32 64", FEW, {"precision": "tf32", "activation": "relu"}, 0.22),
    ("tf32 one image", SMALL, {"precision": "tf32"}, 0.12),
    ("tf32 first", ((64, 128, 56, 56), (128, 128, 3, 3)), {"precision": "tf32", **FIRST}, 0.22),
    ("tf32 pointwise", ((64, 128, 56, 56), (128, 128, 1, 1)), {"precision": "tf32", **FIRST}, 0.27),
    ("3xtf32 first", ((64, 128, 56, 56), (128, 128, 3, 3)), {"precision": "3xtf32", **FIRST}, 0.2),
    ("3xtf32 128", LAYER, {"precision": "3xtf32"}, 0.2),
    ("3xtf32 64", FEW, {"precision": "3xtf32"}, 0.2),
    ("3xtf32 one image", SMALL, {"precision": "3xtf32"}, 0.17),
    ("bf16 128", LAYER, {"precision": "bf16"}, 0.35),
    ("to int16", SMALL, {"precision": "tf32", "result": "int16", "overflow": "saturate"}, 0.12),
    ("complex", ((8, 28, 28, 32), (3, 3, 32, 64)), {"precision": "3xtf32", "x_dtype": "complex64"}, 0.2),
    ("half 128", LAYER, {"precision": "tf32", "x_dtype": "float16"}, 0.35),
]
"""And how much of the main loop are products of matrices."""


def test_products_of_an_older_architecture():
    for name, shapes, options, floor in KERNELS:
        if name in ("tf32 128", "3xtf32 128", "bf16 128"):
            test_products(name, shapes, options, floor, (8, 0))


@pytest.mark.parametrize(("name", "shapes", "options", "floor"), KERNELS, ids=named)
def test_products(name, shapes, options, floor, arch=(9, 0)):
    """The products that are meant, of matrices that are loaded four at a time, from copies of 16 bytes."""
    kernel, launches = launches_of(*shapes, padding="same", **options)
    assert kernel == "tensor"
    job = next(step.job for step in launches.steps if step.job.factory == "tensor.make")
    tile = kernels_shape(job)
    code = compiled(arch, job)
    parts = 2 if tile.split else 4  # of 32 bytes, in a loop
    products = tile.WP * tile.WF // 128 * parts * (3 if tile.split else 1)
    assert code.counts[NAMES[tile.kind]] == products
    planes = job.parameters[8]
    assert code.counts["LDSM.16.M88.4"] == (tile.WF + (0 if planes else tile.WP)) // 16 * parts
    words = code.counts["LDGSTS"] - code.counts["LDGSTS.128"]
    assert (words > 0) == (planes == 1)
    assert code.counts["CALL"] == 0
    assert code.registers * tile.threads * tile.BLOCKS <= REGISTERS
    assert code.share("HMMA") > floor


@pytest.mark.parametrize("precision", ["3xtf32", "bf16"])
def test_copies(precision):
    """Of weights and of x: 16 bytes are stored at once."""
    _, launches = launches_of(
        (64, 64, 28, 28), (64, 64, 3, 3), padding="same", pad_mode="reflect", precision=precision, **FIRST
    )
    assert len(launches.steps) == 2
    for step in (*launches.packing, launches.steps[0]):
        code = compiled((9, 0), step.job)
        assert code.counts["STG.128"] == code.counts["STG"] > 0
        assert code.counts["CALL"] == 0


def test_sums_in_parts():
    """Of a single image: the other kernel reads all of a part at once."""
    _, launches = launches_of((1, 28, 28, 256), (3, 3, 256, 256), padding="same", precision="3xtf32")
    main, fold = (step.job for step in launches.steps)
    assert main.grid[1] == 5
    assert fold.factory == "tensor.fold"
    code = compiled((9, 0), fold)
    assert code.counts["FADD"] >= code.counts["LDG"] // 2 >= 16
    assert code.counts["CALL"] == 0


def kernels_shape(job):
    from numconv.cuda.kernels.shapes import Matrix

    return Matrix(*job.parameters[12:])
