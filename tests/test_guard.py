"""No kernel touches a byte beyond its buffers: guard pages around x, weights, bias, out and workspace."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from .running import TESTS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mprotect by way of Linux's C library")


def run(where):
    """Exit status and output of tests/guarded.py."""
    command = [sys.executable, "-W", "error", "-m", "tests.guarded", where]  # a kernel that fails its proof warns
    result = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, timeout=300)
    return result.returncode, result.stdout[-300:] + result.stderr[-2000:]


@pytest.mark.parametrize("where", ["end", "start"])
def test_kernels_stay_inside(where):
    status, output = run(where)
    assert status == 0, f"after these lines: {output}"
    assert "all inside" in output


def test_a_byte_too_far_is_seen():
    assert run("over")[0] == -signal.SIGSEGV
