"""The same bits for any number of threads, any runner, any split of the batch, any strides: every type and order."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest

import numconv
from numconv.cpu import layer, runner

from .problems import Case, arrays, poisoned, same_bits
from .running import run_script

FIRST = {"data_format": "channels_first"}
SAMPLES = 7
TYPES = ("float16", "float32", "float64", "complex64", "complex128", "uint8", "int64")
CASES = [
    Case(f"{name}.{dtype}", SAMPLES, spatial, channels, filters, kernel, groups, dtype, bias=True, options=options)
    for name, spatial, channels, filters, kernel, groups, options in (
        ("last", (11, 13), 5, 19, (3, 3), 1, {"padding": "same"}),
        ("first", (11, 13), 2, 3, (3, 3), 1, {"padding": "same", **FIRST}),
        ("depthwise", (9, 11), 18, 18, (3, 3), 18, {"padding": 1}),
        ("chains", (400,), 140, 9, (4,), 1, {"stride": 2, **FIRST}),
    )
    for dtype in TYPES
] + [
    Case(f"fft.{name}.{dtype}", SAMPLES, spatial, channels, 9, kernel, 1, dtype, bias=True, options=options)
    for name, spatial, channels, kernel, options in (
        ("images", (40, 70), 2, (9, 7), {"padding": "same", "method": "fft"}),
        ("signals", (900,), 3, (65,), {"padding": "same", "method": "fft", **FIRST}),
    )
    for dtype in ("float32", "complex128")
]  # fmt: skip
CASES += [  # of two rows: weights are sums of two products
    Case(f"separable.{dtype}", SAMPLES, (11, 37), 2, 4, (2, 3), 2, dtype, bias=True, options={"method": "separable"})
    for dtype in ("float32", "float64")
]
CASES.append(Case("units.float32", SAMPLES, (4, 5), 3, 700, (3, 3), bias=True))  # cut into parts that are not equal
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(autouse=True)
def parallel_however_small(monkeypatch):
    """Threads for calls of microseconds, and the pool for all: Numba's own threads are for a process apart."""
    monkeypatch.setattr(runner, "HANDOVER", 0.0)
    monkeypatch.setattr(runner, "KEEP_GIL", 0.0)
    monkeypatch.setattr(layer, "parallel", lambda: None)


def compute(case, x, w, bias, **more):
    conv = {1: numconv.conv1d, 2: numconv.conv2d}[case.ndim]
    return conv(x, w, bias, **({"method": "direct"} | case.keywords), **more)


def problem(case):
    """x, w, bias and the result of one thread."""
    given = arrays(case, np.random.default_rng(CASES.index(case)))
    return *given, compute(case, *given, threads=1)


@every_case
def test_threads(case):
    x, w, bias, expected = problem(case)
    with mock.patch.object(runner, "_parallel", wraps=runner._parallel) as parallel:
        for threads in (2, 4, 16):
            assert same_bits(compute(case, x, w, bias, threads=threads), expected), threads
        assert parallel.call_count >= 3


@every_case
def test_batches(case):
    """Any split of the batch, and batches longer than a block of samples."""
    x, w, bias, expected = problem(case)
    for ends in ((1, 2, 3, 4, 5, 6), (3,), (2, 6)):
        parts = [compute(case, part, w, bias, threads=2) for part in np.split(x, ends)]
        assert same_bits(np.concatenate(parts), expected), ends
    assert same_bits(compute(case, x[3], w, bias), expected[3])
    many, result = np.concatenate([x] * 9), np.concatenate([expected] * 9)
    assert same_bits(compute(case, many, w, bias, threads=3), result)


@every_case
def test_strides(case):
    """Fortran's order, gaps, reversed and permuted axes of every argument."""
    x, w, bias, expected = problem(case)
    for array in strided(x):
        assert same_bits(compute(case, array, w, bias, threads=2), expected)
    for array in strided(w):
        assert same_bits(compute(case, x, array, bias), expected)
    for array in strided(bias):
        assert same_bits(compute(case, x, w, array), expected)
    for out in strided(poisoned(expected.shape, expected.dtype)):
        assert compute(case, x, w, bias, out=out, threads=2) is out
        assert same_bits(out, expected)


def strided(array):
    """The same values in other memory, starting with every axis on its own."""
    yield np.asfortranarray(array)
    for axis in range(array.ndim):
        yield np.moveaxis(np.ascontiguousarray(np.moveaxis(array, axis, 0)), 0, axis)
        yield np.flip(np.flip(array, axis).copy(), axis)
        apart = np.repeat(array, 3, axis)
        yield apart[tuple(slice(1, None, 3) if a == axis else slice(None) for a in range(array.ndim))]


RUNNERS = """
    import hashlib, sys
    {imports}
    import numpy as np, numconv
    from numconv.cpu import layer, runner
    from tests.problems import arrays
    from tests.test_same_bits import CASES, compute
    runner.HANDOVER = runner.KEEP_GIL = 0.0
    digest = hashlib.sha256()
    for number, case in enumerate(CASES):
        digest.update(compute(case, *arrays(case, np.random.default_rng(number)), threads={threads}).tobytes())
    print(digest.hexdigest(), layer.name() or "none", "numba" in sys.modules)
"""


def test_runners():
    """This thread, the pool before and after Numba is there, and Numba's threads where they may be used."""
    serial = run_script(RUNNERS.format(imports="", threads=1), timeout=300).split()
    assert serial[1:] == ["none", "False"]
    pool = run_script(RUNNERS.format(imports="", threads=4), timeout=120).split()
    assert pool == serial
    queue = run_script(
        RUNNERS.format(imports="import numba", threads=4), NUMBA_THREADING_LAYER="workqueue", timeout=120
    )
    assert queue.split() == [serial[0], "none", "True"]
    numba = run_script(RUNNERS.format(imports="import numba", threads=4), NUMBA_THREADING_LAYER="default", timeout=120)
    assert numba.split()[0] == serial[0]


def test_channels_that_lie_apart_have_kernels_of_their_own():
    rng = np.random.default_rng(5)
    x, w = (rng.standard_normal(shape, np.float32) for shape in ((1, 9, 10, 16), (3, 3, 16, 40)))
    plan, expected = numconv.plan_conv2d(x.shape, w, method="direct"), numconv.conv2d(x, w, method="reference")
    (piece,) = plan._engine.pieces
    assert same_bits(plan(x), expected) and same_bits(
        plan(x[..., ::1], out=poisoned(expected.shape, expected.dtype)), expected
    )
    assert piece.schedule.layout.order == "filters" and not piece.schedule.apart
    planes = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, -1, 1)), 1, -1)
    out = np.moveaxis(poisoned((1, 40, 7, 8), expected.dtype), 1, -1)
    for given, to in ((planes, None), (x, out), (planes, out)):
        assert same_bits(plan(given, out=to), expected)
    (apart,) = piece.schedule.apart
    assert {name for name, *_ in apart.kernels - piece.schedule.kernels} == {"packing.pack_pixels", "finish.finish"}
