"""The tests that need a GPU, all at once and apart by module, and some of them with every access to memory checked."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from . import outcomes

ROOT = Path(__file__).parents[2]
WORKERS = 14
SELECTION = "probes", "stencil", "depthwise", "dense", "tensor", "warpgroup", "double"
CHOSEN = "features or (widths and 17) or pad_value or several_chains or test_half or float16 or test_several_warps"
"""Tests for the sanitizer, which is slow: of each kernel with shared memory."""


def modules() -> list[str]:
    """Those of `tests/cuda` that have tests."""
    found = sorted((ROOT / "tests" / "cuda").glob("[a-z]*.py"))
    return [str(path.relative_to(ROOT)) for path in found if "def test_" in path.read_text(encoding="utf-8")]


def on_the_gpu(seconds: float, workers: int = 0) -> dict[str, Any]:
    """By module; what ended before time was up."""
    workers = workers or min(WORKERS, os.cpu_count() or 1)
    command = ["-m", "pytest", "-q", "-W", "default", "-n", str(workers), "--dist", "worksteal", *modules()]
    return _outcomes(command, seconds)


def checked(seconds: float) -> dict[str, Any]:
    """What compute-sanitizer finds, both tools at once; a line where it is missing or does not work."""
    tool = shutil.which("compute-sanitizer") or shutil.which("/usr/local/cuda/bin/compute-sanitizer")
    if tool is None:
        return {"missing": "compute-sanitizer is not installed"}
    parts = [f"tests/cuda/{module}.py" for module in SELECTION]

    def check(what: str) -> str:
        command = [tool, "--tool", what, "--error-exitcode", "9", "--target-processes", "all", sys.executable]
        command += ["-m", "pytest", "-q", "-W", "default", "-n", "0", *parts, "-k", CHOSEN]
        code, lines = _run(command, seconds, {})
        told = [line for line in lines if "SUMMARY" in line or "passed" in line or "failed" in line]
        first = next((line for line in lines if "Invalid" in line or "hazard" in line.lower()), "")
        return f"exit status {code}: " + " | ".join([*(told[-3:] or lines[-2:]), first])

    kinds = ("memcheck", "racecheck")
    with ThreadPoolExecutor(len(kinds)) as pool:
        return dict(zip(kinds, pool.map(check, kinds), strict=True))


def _outcomes(arguments: list[str], seconds: float) -> dict[str, Any]:
    path = ROOT / "asv_bench" / "results" / "gpu-tests.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    command = [sys.executable, *arguments, "-p", "asv_bench.gpu.outcomes", "-p", "no:cacheprovider"]
    code, lines = _run(command, seconds, {outcomes.VARIABLE: str(path)})
    found = outcomes.summary(path) | {"exit status": code, "last line": lines[-1] if lines else ""}
    path.unlink(missing_ok=True)
    return found


def _run(command: list[str], seconds: float, variables: dict[str, str]) -> tuple[int | str, list[str]]:
    """(exit status, lines); a process and all that it started end when time is up."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", start_new_session=True,
    )  # fmt: skip
    try:
        text, _ = process.communicate(timeout=max(seconds, 1))
        return process.returncode, text.strip().splitlines()
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        text, _ = process.communicate()
        return f"none: stopped after {seconds:.0f} s", text.strip().splitlines()
