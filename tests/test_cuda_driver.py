"""The GPU path on a stand-in for the driver: what is asked of it, by real Numba and cuda-core, without a GPU."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from numconv.cuda import extra

HERE = Path(__file__).parent / "driver"
PARTS = ("calls", "interop")

if extra._missing():
    pytest.skip(f"needs what compiles kernels: {extra._missing()}", allow_module_level=True)
COMPILER = shutil.which("cc")
if COMPILER is None:
    pytest.skip("needs a C compiler", allow_module_level=True)


@pytest.mark.parametrize("part", PARTS)
def test_on_the_stand_in(part, tmp_path):
    library = tmp_path / "libcuda.so.1"
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", library, HERE / "driver.c", "-ldl"], check=True, timeout=60)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", f"tests/driver/{part}.py"],
        cwd=HERE.parents[1],
        env=os.environ | {"LD_LIBRARY_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-5000:]
    assert " passed" in result.stdout
