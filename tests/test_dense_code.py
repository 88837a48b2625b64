"""The kernels for many channels, compiled for GPUs that are not here."""

from __future__ import annotations

import pytest

from numconv.cuda import compile as compiler
from numconv.cuda import methods

from .gpu_jobs import FIRST, REGISTERS, architectures, compiled, job_of, launches_of, named

WRAPPED = {"result": "int32", "overflow": "wrap"}
DENSE = [
    ("3x3x128 last", ((32, 56, 56, 128), (3, 3, 128, 256)), {}, "units", (128, 128), 0.9),
    ("3x3x128 first", ((32, 128, 56, 56), (256, 128, 3, 3)), FIRST, "singles", (128, 128), 0.89),
    ("3x3x64 last", ((32, 56, 56, 64), (3, 3, 64, 64)), {}, "units", (64, 128), 0.9),
    ("3x3x32 last", ((32, 56, 56, 32), (3, 3, 32, 32)), {}, "units", (32, 128), 0.89),
    ("3x3x20 last", ((32, 56, 56, 20), (3, 3, 20, 128)), {}, "units", None, 0.89),
    ("1x1x640 last", ((32, 28, 28, 640), (1, 1, 640, 256)), {}, "units", None, 0.83),
    ("split", ((1, 28, 28, 256), (3, 3, 256, 128)), {}, "units", None, 0.89),
    ("3x3x128 reflect", ((32, 56, 56, 128), (3, 3, 128, 128)), {"pad_mode": "reflect"}, "borders", None, 0.7),
    ("7x7x3 stem", ((8, 3, 224, 224), (64, 3, 7, 7)), {"stride": 2, **FIRST}, "singles", None, 0.85),
    ("half", ((32, 56, 56, 128), (3, 3, 128, 128)), {"x_dtype": "float16"}, "registers", None, 0.84),
    ("bytes", ((8, 56, 56, 16), (3, 3, 16, 32)), {"x_dtype": "uint8", "w_dtype": "float32", **WRAPPED}, "registers",
     None, 0.8),
    ("double", ((8, 56, 56, 16), (3, 3, 16, 32)), {"x_dtype": "float32", "w_dtype": "float64"}, "registers", (64, 64),
     0.7),
]  # fmt: skip
LAYER = ((8, 56, 56, 64), (3, 3, 64, 64))
DOUBLE = [
    ("last", LAYER, {}),
    ("first", ((8, 64, 56, 56), (64, 64, 3, 3)), {**FIRST, "activation": "relu"}),
    ("odd channels reflect", ((8, 56, 56, 63), (3, 3, 63, 64)), {"pad_mode": "reflect"}),
    ("1x1 few filters", ((8, 56, 56, 64), (1, 1, 64, 32)), {"bias": False}),
    ("complex", LAYER, {"x_dtype": "complex128"}),
    ("single complex", LAYER, {"x_dtype": "complex64"}),
    ("single complex first", ((8, 64, 56, 56), (64, 64, 3, 3)), {**FIRST, "x_dtype": "complex64"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arch", "name", "shapes", "options", "gather", "tile", "floor"),
    [((9, 0), *case) for case in DENSE] + [((8, 0), *case) for case in DENSE[:2]], ids=named,
)  # fmt: skip
def test_dense(arch, name, shapes, options, gather, tile, floor):
    """Most instructions of the main loop are products; copies pass no registers, and two blocks fit where they can."""
    kernel, launches = launches_of(*shapes, padding="same", **options)
    assert kernel == "dense"
    job = launches.steps[0].job
    assert job.parameters[6] == gather
    assert tile in (None, job.parameters[11:13])
    code, made = compiled(arch, job), compiler.make(job.factory, *job.parameters)
    product, each = ("DFMA", 512) if "float64" in job.parameters else ("FFMA", 1024)
    assert code.counts[product] == each
    assert code.counts["LDS.128"] >= 64
    assert code.counts["LDGSTS.128"] >= 4
    assert code.counts["LDGSTS"] >= (20 if gather == "singles" else 4)
    assert code.counts["CALL"] == 0
    assert code.share(product) >= floor
    if arch == (9, 0):
        assert code.registers * made.threads * made.blocks <= REGISTERS
    assert (made.dynamic + 1024) * made.blocks <= 227 << 10
    assert made.threads * made.blocks >= (320 if product == "FFMA" else 256)


def test_around_dense():
    """Packing, and sums of chains."""
    _, launches = launches_of((1, 28, 28, 256), (3, 3, 256, 128), padding="same")
    jobs = [launches.packing[0].job, launches.steps[1].job]
    assert [job.factory for job in jobs] == ["dense_steps.pack", "dense_steps.add"]
    assert not any(compiled((9, 0), job).counts["CALL"] for job in jobs)


@architectures
@pytest.mark.parametrize(("name", "shapes", "options"), DOUBLE, ids=named)
def test_double(arch, name, shapes, options):
    """Products are matrices, copies do not pass through registers; where they are not, most instructions are."""
    kernel, job = job_of(*shapes, padding="same", **{"x_dtype": "float64"} | options)
    assert kernel == "double"
    code = compiled(arch, job)
    assert code.counts["CALL"] == 0
    assert code.counts["LDGSTS"] > 8
    assert code.counts["LDS.128"] >= 8
    tile = methods.double.Tile(*job.parameters[8:])
    assert tile.size * 8 + tile.P * 8 <= 99 << 10  # of shared memory, which GPUs of all sizes have
    if not tile.tensor:
        assert code.counts["FFMA"] == 512
        assert code.share("FFMA") > 0.9
        return
    assert code.counts["DMMA"] == (8 if arch >= (9, 0) else 64)
    loop = max(code.loops, key=lambda loop: loop["DMMA"])
    assert loop["DMMA"] == code.counts["DMMA"]
    if "pad_mode" not in options:  # samples of the border take most, and are few
        assert loop["all"] - loop["DMMA"] <= (430 if tile.unit == 1 else 330)  # in 512 cycles of the tensor cores
