"""What `toeplitz` does around products of matrices, compiled for GPUs that are not here: see `test_cuda_code`."""

import pytest

from numconv.cuda import toeplitz
from numconv.cuda.compile import make

from .gpu_jobs import FIRST, REGISTERS, compiled, launches_of, named

CASES = [
    ("single last", ((4, 10**6, 1), (1023, 1, 1)), {"precision": "tf32", "padding": "same", "pad_mode": "reflect"}),
    ("half bank first", ((4, 1, 10**6), (6, 1, 512)), {"precision": "bf16", "x_dtype": "float16", **FIRST}),
    ("bank last", ((4, 10**6, 1), (512, 1, 40)), {"precision": "3xtf32", "activation": "relu"}),
]


@pytest.mark.parametrize(("name", "shapes", "options"), CASES, ids=named)
def test_copies(name, shapes, options):
    """Nothing is called; samples, and sums, are loaded four at a time before any is used."""
    kernel, found = launches_of(*shapes, **options)
    assert kernel == "toeplitz tensor"
    steps = {step.job.factory: step.job for step in (*found.packing, *found.steps)}
    codes = {factory: compiled((9, 0), job) for factory, job in steps.items() if factory.startswith("toeplitz.")}
    assert set(codes) == {f"toeplitz.{part}" for part in ("weigh", "pack", "gather", "finish")}
    for factory, code in codes.items():
        assert code.counts["CALL"] == 0
        assert code.registers * make(factory, *steps[factory].parameters).threads * 3 <= REGISTERS
    assert codes["toeplitz.gather"].counts["STG"] == toeplitz.EACH + 1
