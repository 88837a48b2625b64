"""Versions, rates, tests, the table against peers, overhead: printed, and kept in results/gpu.json and the README.

Exit status 2, with the reason, where there is no GPU. What a peer or tool that is missing would have given is left out.
"""

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import monotonic
from typing import Any

import numconv
from numconv.cuda import extra

from .workloads import EVERY, Workload

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "asv_bench" / "results" / "gpu.json"
MARKS = "<!-- gpu table: begin -->\n", "<!-- gpu table: end -->\n"
SECONDS = 450
"""After which nothing more is begun."""
PACKAGES = ("numconv", "numpy", "numba", "numba-cuda", "cuda-core", "cuda-bindings", "nvidia-nvvm", "nvidia-nvjitlink")
COLUMNS = ("torch", "torch channels_last"), ("torch tf32", "torch tf32 channels_last"), ("cupy",)
CONV = {1: numconv.plan_conv1d, 2: numconv.plan_conv2d, 3: numconv.plan_conv3d}


class Run:
    """What was found so far, and how long it took."""

    def __init__(self) -> None:
        self.begin, self.found = monotonic(), {"date": datetime.now(UTC).isoformat(timespec="seconds")}

    def attempt(self, name: str, step: Callable[[], Any]) -> Any:
        """The result of a step, kept under its name; a line instead of a trace where it fails."""
        if monotonic() - self.begin > SECONDS:
            self.found[name] = "left out: no time"
        else:
            try:
                self.found[name] = step()
            except Exception as error:
                self.found[name] = f"failed: {type(error).__name__}: {error}".splitlines()[0][:300]
        print(f"{name}: {self.found[name]}", flush=True)
        return self.found[name]


def about() -> dict[str, str]:
    """Versions of all that takes part, and the device."""
    from numba import cuda

    from .peers import versions

    found = {"python": platform.python_version(), "device": _text(cuda.get_current_device().name)}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    if shutil.which(query[0]):
        found["driver"] = subprocess.run(query, capture_output=True, text=True, timeout=30).stdout.strip()
    return found | versions()


def tests() -> str:
    """The last line of the tests that need a GPU."""
    return _last_line(["-m", "pytest", "-q", "-n", "0", "tests/test_cuda.py", "-k", "on_a_gpu"], 150)


def sanitizer() -> str:
    """As `tests`, of one kernel, with every access to memory checked."""
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        return "compute-sanitizer is not installed"
    return _last_line(["-m", "pytest", "-q", "-n", "0", "tests/cuda/stencil.py", "-k", "widths"], 60, tool)


def _last_line(arguments: list[str], seconds: int, *before: str) -> str:
    result = subprocess.run(
        [*before, sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=seconds
    )
    lines = (result.stdout + result.stderr).strip().splitlines() or ["nothing"]
    return f"exit status {result.returncode}: {lines[-1]}"


def measured(workload: Workload) -> dict[str, Any]:
    """Milliseconds by library; of ours also TFLOP/s and GB/s."""
    from numba import cuda

    from . import peers
    from .measure import milliseconds

    x, w = workload.arrays()
    plan = CONV[workload.ndim](
        x.shape, w, padding="same_lower", data_format="channels_first", device="cuda", **workload.options
    )
    given = cuda.to_device(x)
    out = plan(given)
    time = milliseconds(lambda: plan(given, out=out))
    result = tuple(out.shape)
    found: dict[str, Any] = {
        "numconv": time, "bound": workload.bound, "target": workload.target,
        "tflops": workload.flops(result) / time / 1e9, "gbytes": workload.moved_bytes(result) / time / 1e6,
    }  # fmt: skip
    for library in (peers.by_torch, peers.by_cupy):
        try:
            for name, call in library(workload, x, w).items():
                found[name] = milliseconds(call)
        except Exception as error:
            found[library.__name__] = f"{type(error).__name__}: {error}".splitlines()[0][:120]
    return found


def table(found: dict[str, Any]) -> list[str]:
    """Lines of Markdown: ours, and how many times as long each peer took in its best layout."""
    copy = found.get("copy bandwidth")
    lines = [
        "| on the GPU | ms | TFLOP/s | of copying | torch | torch, TF32 | CuPy | aim |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for workload in EVERY:
        row = found.get(workload.name)
        if not isinstance(row, dict):
            continue
        share = f"{row['gbytes'] * 1e9 / copy:.0%}" if isinstance(copy, float) else ""
        ratios = [_ratio(row, *names) for names in COLUMNS]
        cells = [workload.name, f"{row['numconv']:.3f}", f"{row['tflops']:.1f}", share, *ratios, workload.target]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _ratio(row: dict[str, Any], *names: str) -> str:
    times = [row[name] for name in names if isinstance(row.get(name), float)]
    return f"{min(times) / row['numconv']:.2f}x" if times else ""


def write(found: dict[str, Any]) -> None:
    """The file of figures, and the README's table where it has the marks."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    if all(mark in text for mark in MARKS):
        before, after = text.split(MARKS[0])[0], text.split(MARKS[1])[1]
        device = found["about"].get("device", "a GPU") if isinstance(found.get("about"), dict) else "a GPU"
        lines = [*table(found), "", f"{found['date'][:10]}, {device}: `python -m asv_bench.gpu`.", ""]
        readme.write_text(before + MARKS[0] + "\n".join(lines) + MARKS[1] + after, encoding="utf-8")


def main() -> int:
    """Run all steps."""
    if extra.simulated():
        print("asv_bench.gpu: NUMBA_ENABLE_CUDASIM is set; the simulator's times mean nothing")
        return 2
    if reason := extra.trouble():
        print(f"asv_bench.gpu: no GPU can be used: {reason}")
        return 2
    from . import measure

    run = Run()
    run.attempt("about", about)
    run.attempt("copy bandwidth", measure.copy_bandwidth)
    run.attempt("multiply-add rate", measure.multiply_add_rate)
    run.attempt("overhead", measure.overhead)
    run.attempt("tests", tests)
    for workload in EVERY:
        run.attempt(workload.name, lambda workload=workload: measured(workload))
    run.attempt("sanitizer", sanitizer)
    print("\n".join(table(run.found)))
    write(run.found)
    return 0


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


if __name__ == "__main__":
    sys.exit(main())
