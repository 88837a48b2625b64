"""The same bits on other kinds of CPU, and right results on one without fused multiply-add."""

from __future__ import annotations

import pytest

from .running import run_script

HASHES = """
    import hashlib, numpy as np, numconv
    from tests.problems import CASES, arrays
    CONV = {1: numconv.conv1d, 2: numconv.conv2d, 3: numconv.conv3d}
    digest = hashlib.sha256()
    for number, case in enumerate(CASES):
        if case.name.startswith(("type.", "tail.pixels1", "tail.row3", "tail.filters3", "chains.", "stride2")):
            x, w, bias = arrays(case, np.random.default_rng(number))
            digest.update(CONV[case.ndim](x, w, bias, **case.keywords, threads=1).tobytes())
    rng = np.random.default_rng(0)
    for channels, groups, dtype in ((40, 1, "f4"), (36, 36, "f4"), (8, 1, "F"), (40, 2, "f8")):
        x, g = rng.standard_normal((2, 9, 9, channels)).astype(dtype), rng.standard_normal((2, 8, 7, 72)).astype(dtype)
        gradient = numconv.grad.conv2d_weight(x, (2, 3, channels // groups, 72), g, groups=groups, threads=1)
        digest.update(gradient.tobytes())
    print(digest.hexdigest())
"""
BOUND = """
    import numpy as np, numconv
    from numconv.cpu.machine import machine
    assert not machine().fma and not machine().f16c
    rng = np.random.default_rng(0)
    for dtype, unit in (("float32", 2.0**-24), ("float64", 2.0**-53)):
        x, w = rng.standard_normal((1, 9, 9, 40)).astype(dtype), rng.standard_normal((3, 3, 40, 17)).astype(dtype)
        for data_format in ("channels_last", "channels_first"):
            if data_format == "channels_first":
                x, w = x.transpose(0, 3, 1, 2), w.transpose(3, 2, 0, 1)
            wide = [a.astype(np.longdouble).astype(np.float64) for a in (x, w)]
            exact = numconv.conv2d(*wide, data_format=data_format, method="reference")
            sizes = numconv.conv2d(abs(wide[0]), abs(wide[1]), data_format=data_format, method="reference")
            got = numconv.conv2d(x, w, data_format=data_format)
            n = 360
            assert (abs(got - exact) <= (256 + 2 * n / 256 + 3) * unit * sizes).all()
    half = numconv.conv2d(np.ones((1, 4, 4, 1), np.float16), np.full((3, 3, 1, 1), 0.5, np.float16))
    assert half.dtype == np.float16 and (half == 4.5).all()
    exact = numconv.conv2d(np.full((5, 5, 2), 200, np.uint8), np.full((3, 3, 2, 9), -100, np.int8))
    assert (exact == -200 * 100 * 18).all()
"""


@pytest.fixture(scope="module")
def here():
    return run_script(HASHES, timeout=200)


@pytest.mark.parametrize("cpu", ["haswell", "skylake", "znver3"])
def test_same_bits_as_on_this_cpu(cpu, here):
    assert run_script(HASHES, NUMBA_CPU_NAME=cpu, NUMBA_CPU_FEATURES="", timeout=300) == here


def test_without_fused_multiply_add_it_is_right():
    run_script(BOUND, NUMBA_CPU_NAME="nehalem", NUMBA_CPU_FEATURES="", timeout=120)


ALIGNED = """
    import numpy as np, numconv
    rng = np.random.default_rng(0)
    for dtype in ("f4", "f8"):
        x, w = rng.standard_normal((40, 640)).astype(dtype), rng.standard_normal((3, 3)).astype(dtype)
        signal, taps = rng.standard_normal(1030).astype(dtype), rng.standard_normal(9).astype(dtype)
        for data, kernel in ((x, w), (x, np.ones((5, 7), dtype)), (signal, taps)):
            expected = numconv.correlate(data, kernel, method="reference")
            for shift in range(0, 64, expected.itemsize):
                room = np.zeros(expected.nbytes + 128, "u1")
                start = -room.ctypes.data % 64 + shift
                out = room[start : start + expected.nbytes].view(dtype).reshape(expected.shape)
                out[...] = np.nan
                numconv.correlate(data, kernel, method="direct", out=out)
                assert (out == expected).all(), (dtype, kernel.shape, shift)
"""


@pytest.mark.parametrize("cpu", ["", "haswell"])
def test_results_at_any_address(cpu):
    """Vectors that begin at cache lines leave no gap behind the first one; a line may be two vectors, or four."""
    environment = {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""} if cpu else {}
    run_script(ALIGNED, timeout=120, **environment)
