"""The GPU path: its own modules of tests in Numba's simulator, and on a GPU where there is one; then without either."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import numconv
from numconv.cuda import extra

from .running import run_script

PARTS = sorted({path.stem for path in (Path(__file__).parent / "cuda").glob("[a-z]*.py")} - {"device", "simulator"})


def run_part(part, *options, **environment):
    import os

    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *options]
    result = subprocess.run(
        [*command, f"tests/cuda/{part}.py"],
        cwd=Path(__file__).parents[1],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-5000:]
    return result.stdout


@pytest.mark.parametrize("part", PARTS)
def test_in_the_simulator(part):
    """Warnings of NumPy scalars, which overflow where kernels do, are none of ours."""
    assert " passed" in run_part(part, "-W", "ignore::RuntimeWarning", NUMBA_ENABLE_CUDASIM="1")


@pytest.mark.parametrize("part", PARTS)
def test_on_a_gpu(part):
    if extra.simulated() or extra.trouble():
        pytest.skip(f"no GPU: {extra.trouble() or 'the simulator stands in for it'}")
    assert " passed" in run_part(part, "-W", "default", "-W", "error:numconv")  # others warn of what is not ours


class Elsewhere:
    __cuda_array_interface__ = {"shape": (5, 1), "typestr": "<f4", "data": (0, False), "version": 3}  # noqa: RUF012


@pytest.mark.skipif(not extra.trouble(), reason="there is a GPU")
def test_without_a_gpu():
    assert not numconv.cuda.is_available()
    x, w = np.ones((5, 1), np.float32), np.ones((3, 1, 1), np.float32)
    for call in (
        lambda: numconv.conv1d(x, w, device="cuda"),
        lambda: numconv.conv1d(Elsewhere(), w),
        lambda: numconv.filter_bank(x, w[..., 0].T, device="cuda"),
        lambda: numconv.plan_conv1d((5, 1), w, device="cuda"),
        lambda: numconv.grad.conv1d_weight(x, (3, 1, 1), x[:3], device="cuda"),
        lambda: numconv.grad.bias(Elsewhere()),
    ):
        with pytest.raises(extra.Unavailable, match=r": no GPU can be used: .*(numconv\[cuda\]|driver)"):
            call()


@pytest.mark.skipif(not extra.trouble(), reason="there is a GPU")
def test_the_benchmark_says_what_is_missing():
    command = [sys.executable, "-m", "asv_bench.gpu"]
    result = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert result.stdout.startswith("asv_bench.gpu: no GPU can be used: ")
    assert not result.stderr


@pytest.mark.parametrize(
    ("versions", "message"),
    [
        ({}, r'numba-cuda is not installed; pip install "numconv\[cuda\]"'),
        ({"numba-cuda": "0.30.3"}, "numba-cuda 0.30.3 is installed, but 0.30.4 or newer is needed"),
        ({"numba-cuda": "0.31.0"}, "numba-cuda 0.31.0 is installed, with which numconv has not been tried"),
        ({"numba-cuda": "0.30.4"}, ""),
        ({"numba-cuda": "0.30.4.post1"}, ""),
    ],
)
def test_versions_that_do_not_work(monkeypatch, versions, message):
    def version(package):
        if package not in versions:
            raise extra.PackageNotFoundError
        return versions[package]

    monkeypatch.setattr(extra, "version", version)
    found = extra._missing()
    monkeypatch.setenv("NUMCONV_CUDA_UNTESTED", "1")
    assert not extra._missing() or not versions
    assert (message == found == "") or __import__("re").search(message, found)


def test_nothing_is_imported_for_it():
    run_script(
        """
        import sys, numpy as np, numconv
        y = numconv.conv1d(np.ones((5, 1), np.float32), np.ones((3, 1, 1), np.float32))
        assert not any(name.partition(".")[0] in ("cuda", "numba_cuda") for name in sys.modules)
        assert not any(name.startswith(("numconv.cuda", "numba.cuda")) for name in sys.modules)
        numconv.cuda.is_available()
        assert "numconv.cuda.ops" not in sys.modules
        """,
    )


@pytest.mark.parametrize("face", ["gpu", "simulated"])
def test_operations_have_names_of_their_own(face):
    """The first module that has a name hides those of all others."""
    text = "".join(path.read_text() for path in Path(numconv.cuda.__file__).parent.glob(f"ops/{face}*.py"))
    names = re.findall(r"^def ([a-z]\w*)\(", text, re.MULTILINE)
    assert len(names) > 30
    assert len(names) == len(set(names))
