"""`warpgroup` compiled for sm_90a: products of the shapes that are meant, copies of 16 bytes, nothing serialised."""

import pytest

from numconv.cuda import warpgroup
from numconv.cuda.compile import make
from numconv.cuda.kernels.warpgroup_tile import Tile
from numconv.cuda.launch import Job

from .gpu_jobs import FIRST, REGISTERS, compiled, launches_of, named

ARCH = 9, 0
LAYER, WIDE = ((8, 56, 56, 64), (3, 3, 64, 64)), ((64, 28, 28, 256), (3, 3, 256, 256))
NARROW, TALL = ((64, 64, 56, 56), (64, 64, 3, 3)), ((64, 128, 56, 56), (128, 128, 3, 3))
CASES = [
    ("bf16 64", LAYER, {"precision": "bf16"}, 64, "256x16.F32.BF16"),
    ("bf16 256", WIDE, {"precision": "bf16", "activation": "relu"}, 128, "256x16.F32.BF16"),
    ("bf16 first", TALL, {"precision": "bf16", **FIRST}, 128, "256x16.F32.BF16"),
    ("half", ((1, 28, 28, 64), (3, 3, 64, 128)), {"precision": "bf16", "x_dtype": "float16"}, 64, "32x16.F32"),
    ("tf32 256", WIDE, {"precision": "tf32"}, 128, "256x8.F32.TF32"),
    ("tf32 stride 2", ((8, 56, 56, 256), (3, 3, 256, 256)), {"precision": "tf32", "stride": 2}, 128, "128x8.F32.TF32"),
    ("3xtf32 64", NARROW, {"precision": "3xtf32", **FIRST}, 64, "128x8.F32.TF32"),
    ("3xtf32 256", WIDE, {"precision": "3xtf32"}, 128, "128x8.F32.TF32"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def capable(monkeypatch):
    """Of a device that is not there, nothing is known."""
    monkeypatch.setattr(warpgroup.Products, "CAPABILITY", None)


@pytest.mark.parametrize(("name", "shapes", "options", "rows", "product"), CASES, ids=named)
def test_products(name, shapes, options, rows, product):
    """The compiler waits for no product that the kernel does not wait for; blocks fit a multiprocessor."""
    kernel, found = launches_of(*shapes, padding="same", **options)
    assert kernel == "warpgroup"
    job = found.steps[-1].job
    made, code, tile = make(job.factory, *job.parameters), compiled(ARCH, job), Tile(*job.parameters[7:])
    assert not code.warnings
    assert rows == tile.M
    main = max(code.loops, key=lambda loop: loop["HGMMA"])
    assert code.counts[f"HGMMA.64x{product}"] == code.counts["HGMMA"]
    assert main["HGMMA"] in ((12,) if options["precision"] == "3xtf32" else (4, 8))
    assert main["FENCE"] == main["BAR"] == main["DEPBAR"] > 0
    assert code.counts["LDGSTS.128"] == code.counts["LDGSTS"] >= 12
    if job.parameters[6] == 4:
        assert code.counts["STG.128"] + code.counts["STG.E.64"] == code.counts["STG"] > 0
    assert code.share("HGMMA") > 0.02
    assert code.registers * made.threads * made.blocks <= REGISTERS
    assert (made.dynamic + 1024) * made.blocks <= 228 << 10


@pytest.mark.parametrize("layout", [{}, FIRST], ids=["last", "first"])
@pytest.mark.parametrize("precision", ["bf16", "3xtf32"])
def test_operands(precision, layout):
    """All of a thread in 16 bytes."""
    shapes = NARROW if layout else LAYER
    _, found = launches_of(*shapes, precision=precision, padding="same", pad_mode="reflect", **layout)
    for job in (found.packing[0].job, found.steps[0].job):
        code = compiled(ARCH, job)
        assert code.counts["STG.128"] == code.counts["STG"] == (2 if precision == "3xtf32" else 1)
        assert code.counts["CALL"] == 0
    assert (code.counts["LDG.128"] > 0) == (not layout)


@pytest.mark.parametrize("kind", ["f16", "tf32"])
def test_probe(kind):
    """The same instructions as those of the kernel."""
    code = compiled(ARCH, Job("warpgroup_probe.product", (kind, 3), (1, 1, 1), ()))
    assert not code.warnings
    assert code.counts["HGMMA"] == 4
    assert code.counts["LDGSTS.128"] == 14
    assert code.counts["FENCE"] == 1
