"""What calls ask of the driver: prepared ones only queue kernels, on the right stream, device and addresses."""

import numpy as np
import pytest
from numba import cuda

import numconv
from numconv.cuda import launch, probes, recent, stencil

from .device import QUIET, Library, address, calls, launched, recording

FIRST = {"data_format": "channels_first"}
X = np.ones((1, 1, 20, 24), np.float32)
W = np.ones((1, 1, 3, 3), np.float32)


@pytest.fixture
def plan():
    return numconv.plan_conv2d(X.shape, W, **FIRST, device="cuda")


def test_a_prepared_call_only_queues_a_kernel(plan):
    x, w = cuda.to_device(X), cuda.to_device(W)
    out = plan(x)
    for call in (lambda: plan(x, out=out), lambda: numconv.conv2d(x, w, **FIRST, out=out)):
        call()
        asked, result = calls(call)
        assert result is out
        assert set(asked) <= QUIET
        assert asked.count("cuLaunchKernelEx") == 1


@pytest.mark.parametrize("name", ["torch", "cupy"])
def test_calls_of_other_libraries(name, monkeypatch, plan):
    """Memory is of their allocator, streams are those current, and nothing else is asked of the driver."""
    library = Library(name, monkeypatch)
    x, w = library.make(X), library.make(W)
    plan(x), numconv.conv2d(x, w, **FIRST)
    library.asked.clear()
    for stream in (0, 2, 0x7F00):
        library.streams[0] = stream
        for call in (lambda: plan(x), lambda: numconv.conv2d(x, w, **FIRST)):
            found = launched(call)
            assert found.stream == stream
            assert found.arguments[0] == address(x.array)
    assert library.asked == [((1, 1, 18, 22), "float32", 0)] * 6
    out = plan(x)
    for call in (lambda: plan(x, out=out), lambda: numconv.conv2d(x, w, **FIRST, out=out)):
        assert set(calls(call)[0]) <= QUIET


@pytest.mark.parametrize("name", ["torch", "cupy"])
def test_the_other_device(name, monkeypatch):
    """Kernels run where arrays lie; the device that was current is so again."""
    library = Library(name, monkeypatch)
    cuda.current_context(0)
    library.streams = {0: 10, 1: 0x7F11}
    x, w = library.make(X, 1), library.make(W, 1)
    found = launched(lambda: numconv.conv2d(x, w, **FIRST))
    assert (found.stream, found.device) == (0x7F11, 1)
    assert library.asked == [((1, 1, 18, 22), "float32", 1)]
    assert launch.is_current(0)
    with pytest.raises(ValueError, match="conv2d: w is on GPU 0 but x is on GPU 1"):
        numconv.conv2d(x, library.make(W, 0), **FIRST)
    plan = numconv.plan_conv2d(X.shape, W, **FIRST, device="cuda:1")
    plan(x)
    with pytest.raises(ValueError, match="conv2d: x is on GPU 0, but this plan's weights are on GPU 1"):
        plan(library.make(X, 0))


SHARES = np.ones((8, 32, 3, 3), np.float32)
"""Of layers so small that blocks share out chains: their sums are left in memory of the call."""


@pytest.fixture
def tried(monkeypatch):
    """Kernels that do not run cannot show what instructions do."""
    monkeypatch.setattr(probes, "trouble", lambda feature, device: "")


@pytest.mark.parametrize("name", ["", "cupy"])
def test_memory_of_a_call_that_a_graph_may_record(name, monkeypatch, tried):
    """The driver's, in the order of the stream; CuPy's pool would lend it to others while the graph is replayed."""
    host, library = np.ones((2, 32, 9, 9), np.float32), Library(name, monkeypatch) if name else None
    plan = numconv.plan_conv2d((None, *host.shape[1:]), SHARES, **FIRST, device="cuda")
    make = library.make if library else cuda.to_device
    x, out = make(host), make(np.ones((2, 8, 7, 7), np.float32))
    plan(x, out=out)
    if library is not None:
        library.streams[0] = 0x7F00
        library.asked.clear()
        plan(x, out=out)
        assert len(library.asked) == 1
    else:
        x = x.bind(cuda.external_stream(0x7F00))
    recording(True)
    try:
        asked, _ = calls(lambda: plan(x, out=out))
    finally:
        recording(False)
    asked = [function for function in asked if function.startswith(("cuMem", "cuLaunch", "cuStreamSync"))]
    assert asked == ["cuMemAllocAsync", "cuLaunchKernelEx", "cuLaunchKernelEx", "cuMemFreeAsync"]


def test_weights_of_a_function_are_packed_in_memory_of_the_call(tried):
    x, w, out = (cuda.to_device(np.ones(shape, np.float32)) for shape in ((2, 32, 9, 9), SHARES.shape, (2, 8, 7, 7)))
    numconv.conv2d(x, w, **FIRST, out=out)
    asked = [name for name in calls(lambda: numconv.conv2d(x, w, **FIRST, out=out))[0] if name.startswith("cuMem")]
    assert asked == ["cuMemAllocAsync"] * 2 + ["cuMemFreeAsync"] * 2


def test_weights_are_packed_once_for_all_shapes(tried):
    """Tables are made anew for each; threads that pack at once take what the first has."""
    plan = numconv.plan_conv2d((None, 32, 9, 9), SHARES, **FIRST, device="cuda")
    packed = plan._device_engine._packed
    for n in (2, 3):
        plan(cuda.to_device(np.ones((n, 32, 9, 9), np.float32)))
    assert len(packed) == 1


def test_shared_memory_of_a_launch_is_asked_for():
    """48 KB are a kernel's without asking, of which what it declares is a part, as in `double`."""
    for size in (0, 16, 48 << 10, 64 << 10):
        assert ("cuKernelSetAttribute" in calls(lambda size=size: launch._allow(1, size, 0))[0]) == (size > 0)


def test_instructions_are_tried_on_the_device_that_is_meant():
    """Whatever device is current. Kernels do not run here: what they should have written is not there."""
    cuda.current_context(0)
    with pytest.warns(RuntimeWarning, match="GPU 1 does not do what kernels with 'copies' expect of it"):
        assert launched(lambda: probes.trouble.__wrapped__("copies", 1), 2).device == 1
    assert launch.is_current(0)


def test_both_launchers_launch_alike(monkeypatch):
    x, w, found = cuda.to_device(X), cuda.to_device(W), []
    out = cuda.to_device(np.empty((1, 1, 20, 24), np.float32))
    for name in launch.LAUNCHERS:
        monkeypatch.setenv("NUMCONV_CUDA_LAUNCHER", name)
        numconv._calls.recipe.cache_clear()
        numconv.cuda.recall._KNOWN.clear()
        found.append(launched(lambda: numconv.conv2d(x, w, padding=1, **FIRST, out=out), 35))
    numconv._calls.recipe.cache_clear()
    numconv.cuda.recall._KNOWN.clear()
    assert found[0] == found[1]
    assert found[0].arguments[:4:3] == [address(x), address(out)]
    assert 24 in found[0].arguments[5:]


def test_a_launcher_that_fails_is_left_for_the_next(monkeypatch, plan):
    def fails(job, device):
        raise OSError("no such thing")

    monkeypatch.setitem(launch.LAUNCHERS, "core", fails)
    x = cuda.to_device(np.ones((1, 1, 21, 24), np.float32))
    plan = numconv.plan_conv2d(x.shape, W, **FIRST, device="cuda")
    with pytest.warns(RuntimeWarning, match="cuda-core does not launch kernels .OSError: no such thing."):
        found = launched(lambda: plan(x))
    assert found.arguments[0] == address(x)


def test_nothing_is_prepared_while_a_graph_records():
    """What is prepared can be recorded."""
    plan = numconv.plan_conv2d((1, 1, None, None)[:2] + X.shape[2:], W, **FIRST, device="cuda")
    x = cuda.to_device(np.ones((3, 1, 20, 24), np.float32))
    recording(True)
    try:
        with pytest.raises(RuntimeError, match="conv2d: a CUDA graph is being recorded, and nothing is prepared"):
            plan(x)
        recording(False)
        out = plan(x)
        recording(True)
        assert set(calls(lambda: plan(x, out=out))[0]) <= QUIET
    finally:
        recording(False)


def test_what_a_graph_has_recorded_is_kept(plan):
    """It reads tables, whatever shapes come after it."""
    bound, out = cuda.to_device(X).bind(cuda.external_stream(0x7F00)), plan(cuda.to_device(X))
    plan(bound, out=out)
    count = len(plan._device_engine._kept)
    for yes in (False, True):
        recording(yes)
        plan(bound, out=out)
        recording(False)
        assert len(plan._device_engine._kept) == count + yes


def test_kept_launches_are_bounded(plan):
    kept = plan._problem.schedules["cuda"]
    for n in range(1, 3 * kept.most // 2):
        plan(cuda.to_device(np.ones((n, *X.shape[1:]), np.float32)))
    assert len(kept) == kept.most


def test_recent():
    kept = recent.Recent(2)
    kept["a"], kept["b"] = 1, 2
    assert kept.get("a") == 1
    kept["c"] = 3
    assert list(kept) == ["a", "c"]
    assert kept.get("b") is None


def test_an_array_bound_to_a_stream():
    """Numba's: kernels are queued on it, and the result says so."""
    stream = cuda.stream()
    x, w = cuda.to_device(X, stream=stream).bind(stream), cuda.to_device(W)
    found = launched(lambda: numconv.conv2d(x, w, **FIRST))
    assert found.stream == int(stream)
    assert numconv.conv2d(x, w, **FIRST).__cuda_array_interface__["stream"] == int(stream)


def test_axes_of_one_element_may_have_any_stride():
    x = np.lib.stride_tricks.as_strided(X, X.shape, (0, 12, *X.strides[2:]))
    assert np.array_equal(numconv.cuda.arrays.upload(x).copy_to_host(), X)
    numconv.conv2d(x, W, **FIRST, device="cuda")


def test_what_is_said_of_it(plan):
    plan(cuda.to_device(X))
    assert ", 32 registers" in plan.explain()
    told = numconv.show_config(mode="dicts")["gpu"]
    assert told["cuda:1"] == "Stand-in 1, sm_90, 132 multiprocessors, 16 GiB"
    assert told["driver"] == "for CUDA 13.0"


def test_workspace_of_a_plan_is_kept(monkeypatch):
    """Numba's arrays: nothing is allocated in the second call; other libraries' allocators are asked each time."""
    launches = stencil.launches
    monkeypatch.setattr(stencil, "launches", lambda *given: launches(*given)._replace(scratch=1 << 20))
    plan = numconv.plan_conv2d((1, 1, 5, 5), W, **FIRST, device="cuda")
    assert "1048576 of workspace" in plan.explain()
    x = cuda.to_device(np.ones((1, 1, 5, 5), np.float32))
    out = plan(x)
    assert set(calls(lambda: plan(x, out=out))[0]) <= QUIET
    library = Library("torch", monkeypatch)
    plan(library.make(np.ones((1, 1, 5, 5), np.float32)))
    assert ((1 << 20,), "uint8", 0) in library.asked
