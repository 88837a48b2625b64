"""Scripts in processes of their own, and a call whose kernel checks how it is run. Imports no Numba."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import numpy as np

from numconv.cpu import cache
from numconv.cpu.records import CALL, CALL_SLOT

TESTS = Path(__file__).parent


def run_script(code, *arguments, timeout=60, **environment):
    """What a script prints; it must end in time, without an error or a warning."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", dedent(code), *arguments],
        env=os.environ | {"PYTHONPATH": str(TESTS.parent)} | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert result.returncode == 0, f"exit status {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result.stdout


class CountingCall:
    """A call record of the kernel ``runner_kernels.count``, with a workspace of n int64 for each worker."""

    def __init__(self, jobs, workers, n):
        self.jobs, self.workers = jobs, workers
        self.counts, self.clashes = np.zeros(max(jobs, 1), np.int64), np.zeros(1, np.int64)
        self.busy, self.space = np.zeros(8 * workers, np.int64), np.empty((workers, n), np.int64)
        arrays = (self.counts, self.busy, self.clashes)
        self.plan = np.array([*(array.ctypes.data for array in arrays), n], np.int64)
        self.record = record(
            kernel=cache.address("tests.runner_kernels:count"),
            plan=self.plan.ctypes.data,
            workspace=self.space.ctypes.data,
            slot_bytes=8 * n,
        )
        self.address = self.record.ctypes.data

    def is_right(self):
        """Every job ran once, and no two workers ever shared a slot."""
        return bool((self.counts[: self.jobs] == 1).all() and not self.clashes[0] and not self.busy.any())


class SpinningCall:
    """A call record of the kernel ``runner_kernels.spin``: jobs of about `milliseconds` that count themselves."""

    def __init__(self, jobs, workers, milliseconds):
        self.jobs, self.workers, self.seconds = jobs, workers, jobs * milliseconds * 1e-3
        self.counts, self.space = np.zeros(jobs, np.int64), np.zeros(workers)
        self.record = record(
            kernel=cache.address("tests.runner_kernels:spin"),
            plan=int(milliseconds * 8e5),
            workspace=self.space.ctypes.data,
            out=self.counts.ctypes.data,
        )
        self.address = self.record.ctypes.data


def record(**fields):
    """A call record, all other fields 0."""
    array = np.zeros(len(CALL.names), np.int64)
    for name, value in fields.items():
        array[CALL_SLOT[name]] = value
    return array
