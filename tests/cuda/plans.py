"""Plans: what they say of themselves, and that a CUDA graph can record their calls."""

import re

import numpy as np
import pytest
from numba import cuda

import numconv

from .device import same_bits, simulated

FIRST = {"data_format": "channels_first"}
RNG = np.random.default_rng(0)
W = RNG.standard_normal((8, 4, 3, 3)).astype(np.float32)
needs_a_gpu = pytest.mark.skipif(simulated(), reason="the simulator records no graphs")


def made(shape, w=W, **options):
    return numconv.plan_conv2d(shape, w, padding=1, **FIRST, device="cuda", **options)


def test_what_they_say():
    """The kernel that computes, and why others do not."""
    text = made((2, 4, 9, 9)).explain()
    assert text.startswith("plan_conv2d direct ")
    assert "computes it on GPU 0, one sample by\n    " in text
    assert "blocks of" in text
    assert re.search("generic +would compute it too", text)
    text = made((None, 4, 9, 9), W.astype(np.complex64)).explain()
    assert re.search(r"\n  stencil +computes only real sums", text)
    text = numconv.plan_filter_bank((9, 9), W[:, 0], device="cuda").explain()
    assert "computes it on GPU 0, one sample by" in text


def test_what_they_borrow():
    """Nothing, copies of x, or maps that are reduced."""
    w = RNG.standard_normal((32, 16, 3, 3)).astype(np.float32)
    assert made((2, 4, 9, 9)).workspace_bytes == 0
    assert made((None, 16, 9, 9), w, precision="bf16").workspace_bytes >= 9 * 9 * 16 * 2
    assert made((2, 4, 9, 9), reduce="max").workspace_bytes == 8 * 9 * 9 * 4


@needs_a_gpu
def test_registers_are_known_after_a_call():
    plan = made((2, 4, 9, 9))
    plan(cuda.to_device(np.ones((2, 4, 9, 9), np.float32)))
    assert " registers" in plan.explain()


@needs_a_gpu
@pytest.mark.parametrize("channels", [4, 32])
def test_a_graph_by_the_driver(channels):
    """Recorded once; replayed with other data."""
    from cuda.bindings import driver

    def done(error, *found):
        assert not error, error
        return found[0] if found else None

    w = RNG.standard_normal((8, channels, 3, 3)).astype(np.float32)
    first, then = RNG.standard_normal((2, 2, channels, 9, 9)).astype(np.float32)
    plan = made(first.shape, w)
    x, out = cuda.to_device(first), cuda.device_array((2, 8, 9, 9), np.float32)
    stream = done(*driver.cuStreamCreate(driver.CUstream_flags.CU_STREAM_NON_BLOCKING))
    bound = x.bind(cuda.external_stream(int(stream)))
    plan(bound, out=out)
    done(*driver.cuStreamSynchronize(stream))
    done(*driver.cuStreamBeginCapture(stream, driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_GLOBAL))
    plan(bound, out=out)
    graph = done(*driver.cuGraphInstantiate(done(*driver.cuStreamEndCapture(stream)), 0))
    for data in (then, first):
        x.copy_to_device(data)
        out.copy_to_device(np.full(out.shape, np.nan, np.float32))
        cuda.synchronize()
        done(*driver.cuGraphLaunch(graph, stream))
        done(*driver.cuStreamSynchronize(stream))
        assert same_bits(out.copy_to_host(), numconv.conv2d(data, w, padding=1, **FIRST, method="reference"))


@needs_a_gpu
def test_a_graph_by_pytorch():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch has no GPU")
    first, then = RNG.standard_normal((2, 2, 4, 9, 9)).astype(np.float32)
    plan = made(first.shape)
    x = torch.from_numpy(first).cuda()
    y = plan(x)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        plan(x, out=y)
        z = plan(x)  # memory of the graph's own
    for data in (then, first):
        x.copy_(torch.from_numpy(data))
        y.fill_(float("nan"))
        graph.replay()
        torch.cuda.synchronize()
        expected = numconv.conv2d(data, W, padding=1, **FIRST, method="reference")
        assert same_bits(y.cpu().numpy(), expected)
        assert same_bits(z.cpu().numpy(), expected)


@needs_a_gpu
def test_nothing_is_prepared_while_a_graph_is_recorded():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch has no GPU")
    plan = made((None, 4, 11, 9))
    x = torch.ones((3, 4, 11, 9), device="cuda")
    y = torch.empty((3, 8, 11, 9), device="cuda")
    with torch.cuda.graph(torch.cuda.CUDAGraph()), pytest.raises(RuntimeError, match="a CUDA graph is being recorded"):
        plan(x, out=y)
