"""Versions, rates, overhead, tests and the table beside peers: printed, in results/gpu.json, and in the README.

    python -m asv_bench.gpu [--only WORD ...] [--budget SECONDS]

Exit status 2, with the reason, where there is no GPU. What a peer, tool or kernel that is missing would have given is a
line; what was found is written after each step, and survives whatever ends the next.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import Any

from numconv.cuda import extra

from .apart import Apart
from .workloads import EVERY

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "asv_bench" / "results" / "gpu.json"
MARKS = "<!-- gpu table: begin -->\n", "<!-- gpu table: end -->\n"
HERE = "asv_bench.gpu"
HINT = "Libraries of a toolkit that no wheel brought are looked for in CUDA_HOME, by default /usr/local/cuda."
BUDGET = 450
"""Seconds after which nothing more is begun."""
TESTS, COMPILED, ROW = 150, 60, 20
"""Seconds that tests with the sanitizer beside them, compiling, and a row of the table have at most."""
STEPS = {
    "copy bandwidth": "measure.copy_bandwidth",
    "rate of FFMA": "measure.multiply_add_rate",
    "rates of a warp": "rates.rates",
    "rates of float64": "rates_double.rates",
    "rates of a warpgroup": "rates_warpgroup.rates",
    "overhead": "overhead.of_calls",
    "graphs": "overhead.of_graphs",
}
STEP, RESTARTS = 40, 4
"""Seconds of one of these; processes that a row may take."""


class Run:
    """What was found so far, in how much of the time that there is."""

    def __init__(self, budget: float, only: list[str]) -> None:
        self.begin, self.budget, self.only = monotonic(), budget, only
        self.found: dict[str, Any] = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "seconds": {}}

    def left(self) -> float:
        """Seconds."""
        return self.budget - (monotonic() - self.begin)

    def chosen(self, name: str) -> bool:
        """Whether a step is one of those that were asked for."""
        return not self.only or any(word in name for word in self.only)

    def attempt(self, name: str, step: Callable[[], Any], least: float = 0) -> Any:
        """The result of a step, kept under its name; a line instead of a trace where it fails."""
        if not self.chosen(name):
            return None
        begin = monotonic()
        if self.left() <= least:
            self.found[name] = "left out: no time"
        else:
            try:
                self.found[name] = step()
            except Exception as error:
                self.found[name] = f"failed: {type(error).__name__}: {error}".splitlines()[0][:300]
        self.found["seconds"][name] = round(monotonic() - begin, 1)
        print(f"[{monotonic() - self.begin:5.0f} s] {name}: {json.dumps(self.found[name], default=str)}", flush=True)
        keep(self.found)
        return self.found[name]


def about() -> dict[str, Any]:
    """Versions of all that takes part, and the device."""
    from numconv.cuda import about

    from .peers import versions

    found = {"python": platform.python_version(), "cpus": os.cpu_count(), **about.about(), **versions()}
    for name in ("nvvm", "nvJitLink", "nvrtc"):
        found[name] = library(name)
    query = ["nvidia-smi", "--query-gpu=name,driver_version,clocks.sm,clocks.mem,power.limit", "--format=csv,noheader"]
    if shutil.which(query[0]):
        found["nvidia-smi"] = subprocess.run(query, capture_output=True, text=True, timeout=30).stdout.strip()
    return found


def library(name: str) -> str:
    """Where a library of the toolkit is found."""
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        return str(load_nvidia_dynamic_lib(name).abs_path)
    except Exception as error:
        return f"{type(error).__name__}: {error}".splitlines()[0][:120]


def compile_all(seconds: float, names: list[str]) -> dict[str, Any]:
    """Kernels of all workloads, several at a time; lines of what failed.

    In processes that are replaced when a kernel breaks one: it would fail, at once, whatever is left to compile.
    """
    workers, end = max(1, min(12, (os.cpu_count() or 1) - 2)), monotonic() + seconds
    aparts, free = [Apart() for _ in range(workers)], SimpleQueue[Apart]()
    for apart in aparts:
        free.put(apart)

    def one(name: str) -> dict[str, Any]:
        apart = free.get()
        try:
            left = end - monotonic()
            return row(apart, name, lambda: end - monotonic(), "compiled") if left > 0 else {"all": "no time"}
        finally:
            free.put(apart)

    with ThreadPoolExecutor(workers) as pool:
        found = dict(zip(names, pool.map(one, names), strict=True))
    for apart in aparts:
        apart.close()
    failed = {name: {part: line for part, line in parts.items() if line} for name, parts in found.items()}
    return {name: lines for name, lines in failed.items() if lines}


def row(apart: Apart, name: str, left: Callable[[], float], function: str = "of_name") -> dict[str, Any]:
    """The parts of a row; where the process is lost, a new one goes on behind what it was lost with."""
    found: dict[str, Any] = {}
    for _ in range(RESTARTS):
        trying = ""
        try:
            for trying, value in apart.parts(f"{HERE}.rows.{function}", name, list(found), seconds=max(left(), 1)):
                if value is not None:
                    found[trying] = value
                if left() <= 0:
                    apart.close()
                    return found | {"left out": "no time for more"}
            return found
        except RuntimeError as error:
            found[trying or "all"] = str(error)
            if not trying or left() <= 0:
                break
    return found


def keep(found: dict[str, Any]) -> None:
    """The file of figures."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1, default=str) + "\n", encoding="utf-8")


def write(found: dict[str, Any]) -> None:
    """The README's table, where it has the marks."""
    from .table import lines

    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    if all(mark in text for mark in MARKS):
        before, after = text.split(MARKS[0])[0], text.split(MARKS[1])[1]
        about = found.get("about")
        device = about.get("cuda:0", "a GPU") if isinstance(about, dict) else "a GPU"
        table = [*lines(found), "", f"{found['date'][:10]}, {device}: `python -m asv_bench.gpu`.", ""]
        readme.write_text(before + MARKS[0] + "\n".join(table) + MARKS[1] + after, encoding="utf-8")


def steps(run: Run) -> None:
    """All of them, what matters first."""
    from . import tests

    apart = Apart()
    run.attempt("about", about)
    for name, function in STEPS.items():
        run.attempt(name, partial(apart.call, f"{HERE}.{function}", seconds=STEP))
    names = [workload.name for workload in EVERY if run.chosen(workload.name)]
    run.attempt("compiled", partial(compile_all, COMPILED, names))
    with ThreadPoolExecutor(1) as beside:  # the sanitizer takes two cores and time, of which tests leave none for it
        seconds = min(TESTS, run.left() - 60)
        checked = beside.submit(tests.checked, seconds) if seconds > 0 and run.chosen("sanitizer") else None
        run.attempt("tests", lambda: tests.on_the_gpu(seconds), 60)
        run.attempt("sanitizer", lambda: checked.result() if checked else "left out: no time")
    for workload in EVERY:
        end = monotonic() + ROW
        left = lambda end=end: min(end - monotonic(), run.left())  # noqa: E731
        run.attempt(workload.name, partial(row, apart, workload.name, left))
    apart.close()


def main(arguments: list[str] | None = None) -> int:
    """Run the steps."""
    parser = argparse.ArgumentParser(prog="python -m asv_bench.gpu", description=__doc__.splitlines()[0], epilog=HINT)
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="steps and rows whose names contain one")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds after which nothing more is begun")
    options = parser.parse_args(arguments)
    if extra.simulated():
        print("asv_bench.gpu: NUMBA_ENABLE_CUDASIM is set; the simulator's times mean nothing")
        return 2
    os.environ.setdefault("NUMCONV_CUDA_UNTESTED", "1")
    if Path("/usr/local/cuda").exists():  # where toolkits are that wheels do not bring
        os.environ.setdefault("CUDA_HOME", "/usr/local/cuda")
    if reason := extra.trouble():
        print(f"asv_bench.gpu: no GPU can be used: {reason}")
        return 2
    from .table import lines

    run = Run(options.budget, options.only)
    steps(run)
    print("\n".join(lines(run.found)))
    if not options.only:
        write(run.found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
