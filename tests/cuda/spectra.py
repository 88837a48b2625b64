"""Method "fft": its error bound, samples that are not finite, turns, marks, plans, with NumPy's transforms."""

import sys
import types

import numpy as np
import pytest

import numconv
from numconv.cuda import spectra

from .device import CONV, forget, poisoned, simulated
from .options import Context, FakeArray, FakeTensor

RNG = np.random.default_rng(0)
FIRST = {"data_format": "channels_first"}
if not simulated():
    pytest.skip("stand-ins for libraries are for the simulator", allow_module_level=True)


@pytest.fixture
def library(monkeypatch):
    """Of tensors like PyTorch's."""
    yield from stand_in("torch", monkeypatch)


@pytest.fixture
def cupy(monkeypatch):
    """Of arrays like CuPy's."""
    yield from stand_in("cupy", monkeypatch)


def stand_in(name, monkeypatch):
    """As `library` of `options`, with transforms and complex arrays."""
    forget()
    monkeypatch.setattr(spectra, "THREADS", 32)
    stream = types.SimpleNamespace(cuda_stream=0, ptr=0)
    module = types.ModuleType(name)
    module.cuda = types.SimpleNamespace(
        current_stream=lambda device: stream, get_current_stream=lambda: stream, Device=Context,
        runtime=types.SimpleNamespace(getDevice=lambda: 0),
    )  # fmt: skip
    for dtype in ("int8", "float16", "float32", "float64", "complex64", "complex128", "uint8"):
        setattr(module, dtype, dtype)
    base = FakeTensor if name == "torch" else FakeArray
    kind = type(name, (base,), {"__module__": name, "contiguous": lambda array: array})

    def make(host):
        host = np.asarray(host)
        return kind(host, host.dtype.name) if name == "torch" else kind(host)

    def forward(array, dim=None, axes=None):
        return make(np.ascontiguousarray(np.fft.rfftn(array.host, axes=dim or axes)))

    def inverse(array, s, dim=None, axes=None):
        return make(np.ascontiguousarray(np.fft.irfftn(array.host, s, axes=dim or axes)))

    module.empty = lambda shape, dtype, device=0: make(np.full(shape, np.nan if "8" not in str(dtype) else 77, dtype))
    module.ascontiguousarray = lambda array: array
    module.fft = types.SimpleNamespace(rfftn=forward, irfftn=inverse)
    monkeypatch.setitem(sys.modules, name, module)
    yield make
    forget()


def arrays(spatial, kernel, channels=1, filters=1, groups=1, dtype="float32", samples=1, data_format="channels_last"):
    x = RNG.standard_normal((samples, *spatial, channels)).astype(dtype)
    w = RNG.standard_normal((*kernel, channels // groups, filters)).astype(dtype)
    if data_format == "channels_first":
        x, w = np.ascontiguousarray(np.moveaxis(x, -1, 1)), np.ascontiguousarray(np.moveaxis(w, (-1, -2), (0, 1)))
    return x, w


def check(make, x, w, bias=None, **options):
    """The result, within twice the bound of a tile of 128 samples that has all of x, which padding may repeat."""
    ndim = x.ndim - 2
    dtype = np.dtype(options.get("dtype", x.dtype))
    exact = CONV[ndim](x.astype("f8"), w.astype("f8"), bias, **options | {"dtype": "f8"}, method="reference")
    out = make(poisoned(exact.shape, dtype))
    assert CONV[ndim](make(x), w, bias, **options, method="fft", out=out) is out
    last = options.get("data_format") != "channels_first"
    axes = tuple(range(ndim + 1)) if last else tuple(range(1, ndim + 2))
    norm = np.sqrt((w.astype("f8") ** 2).sum(axes))
    norm = norm if last else norm.reshape(-1, *(1,) * ndim)
    bound = 8 * np.finfo(x.dtype).eps / 2 * 14 * np.linalg.norm(x.astype("f8")) * norm
    bound = bound + np.finfo(dtype).eps * (abs(exact) + 1)
    assert (abs(out.host - exact) <= bound).all(), abs(out.host - exact).max()
    return out.host


MODES = [
    {"pad_mode": "constant", "pad_value": 2.5}, {"pad_mode": "edge"}, {"pad_mode": "reflect"},
    {"pad_mode": "symmetric"}, {"pad_mode": "wrap"},
]  # fmt: skip


def test_with_cupy(cupy):
    """Also where arrays are not its own."""
    x, w = arrays((60,), (9,), 2)
    check(cupy, x, w)
    forget()
    found = numconv.conv1d(x, w, device="cuda", method="fft")
    assert np.allclose(found, numconv.conv1d(x, w), atol=1e-4)


@pytest.mark.parametrize("more", MODES, ids=lambda more: more["pad_mode"])
def test_padding(library, more):
    """In one and two dimensions, several tiles and tails."""
    check(library, *arrays((50,), (11,)), padding="same", **more)
    check(library, *arrays((7, 9), (3, 4), 2, data_format="channels_first"), padding=2, **FIRST, **more)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_channels_filters_and_groups(library, dtype, data_format):
    more, layout = {"dtype": dtype, "data_format": data_format}, {"data_format": data_format}
    check(library, *arrays((20,), (5,), 3, 5, samples=2, **more), **layout, padding="full")
    check(library, *arrays((11,), (4,), 4, 18, 2, **more), **layout, groups=2)
    if dtype == "float32":
        check(library, *arrays((4, 9), (1, 5), 2, 2, 2, **more), **layout, groups=2, padding="same")
        check(library, *arrays((5, 4), (3, 1), **more), **layout)
        check(library, *arrays((3, 4, 5), (2, 1, 2), 1, 2, **more), **layout)


def test_bias_activation_and_types(library):
    x, w = arrays((40,), (9,), 1, 3)
    bias = np.array([1, -2, 0.5], np.float32)
    assert (check(library, x, w, bias, activation="relu") >= 0).all()
    check(library, x, w, bias, dtype="float64")
    found = numconv.conv1d(library(x), w, bias, dtype="int8", overflow="saturate", method="fft").host
    right = numconv.conv1d(x, w, bias, dtype="int8", overflow="saturate")
    assert abs(found.astype(int) - right).max() <= 1
    halves = x.astype(np.float16)
    found = numconv.conv1d(library(halves), w.astype(np.float16), dtype="float32", method="fft").host
    assert np.allclose(found, numconv.conv1d(halves, w.astype(np.float16), dtype="float32"), atol=1e-4)


@pytest.mark.parametrize("bad", [np.nan, -np.inf, 1e30])
def test_samples_that_are_not_finite(library, bad):
    """Reach the results that see them, as they do in sums; so does a sample so large that products may overflow."""
    x, w = arrays((80,), (9,), 1, 2, samples=2)
    x[1, 33] = bad
    exact = numconv.conv1d(x, w, method="reference")
    found = numconv.conv1d(library(x), w, method="fft").host
    wild = np.zeros(exact.shape, bool)
    wild[1, 25:34] = True
    assert np.array_equal(found[wild], exact[wild], equal_nan=True)
    assert np.allclose(found[~wild], exact[~wild], atol=1e-4)
    w = w.copy()
    w[3, 0, 1] = bad
    found, exact = numconv.conv1d(library(x), w, method="fft").host, numconv.conv1d(x, w, method="reference")
    assert np.array_equal(found[..., 1], exact[..., 1], equal_nan=True)


def test_small_numbers(library):
    """A tile without a sample of some size is summed: so are filters."""
    x, w = arrays((80,), (9,), 1, 2)
    small = x * np.float32(1e-38)
    found, exact = numconv.conv1d(library(small), w, method="fft").host, numconv.conv1d(small, w, method="reference")
    assert np.array_equal(found, exact)
    tiny = w * np.float32([1, 1e-30])
    found, exact = numconv.conv1d(library(x), tiny, method="fft").host, numconv.conv1d(x, tiny, method="reference")
    assert np.array_equal(found[..., 1], exact[..., 1])
    assert np.allclose(found[..., 0], exact[..., 0], atol=1e-4)
    zeros = numconv.conv1d(library(0 * x), w, method="fft").host
    assert (zeros == 0).all()


def test_turns_give_the_same(library, monkeypatch):
    x, w = arrays((90,), (9,), 2, 2, samples=2)
    whole = check(library, x, w)
    monkeypatch.setattr(spectra, "TURN_BYTES", 3 * 2 * 4 * 32 * 4)
    forget()
    assert np.array_equal(check(library, x, w), whole)


def test_plans_keep_spectra(library):
    x, w = arrays((60,), (9,), 1, 2, samples=2)
    plan = numconv.plan_conv1d((None, 60, 1), w, device="cuda", method="fft")
    assert plan.method == "fft"
    first = plan(library(x)).host
    calls = sys.modules[type(library(x)).__module__].fft
    count, forward = [], calls.rfftn
    calls.rfftn = lambda *args, **more: count.append(1) or forward(*args, **more)
    assert np.array_equal(plan(library(x)).host, first)
    assert len(count) == 1
    assert np.allclose(first, numconv.conv1d(x, w), atol=1e-4)
    assert "spectra of filters" in plan.explain()


def test_plans_take_arrays_of_two_libraries(library, cupy):
    x, w = arrays((40,), (9,))
    plan = numconv.plan_conv1d((None, 40, 1), w, device="cuda", method="fft")
    first = plan(library(x)).host
    assert np.array_equal(plan(cupy(x)).host, first)
    assert np.array_equal(plan(library(x)).host, first)


def test_banks(library):
    """Of batch axes that do not nest."""
    x = np.moveaxis(RNG.standard_normal((2, 12, 3)).astype(np.float32), 1, 0)
    kernels = RNG.standard_normal((2, 5)).astype(np.float32)
    found = numconv.filter_bank(library(x), kernels, axes=0, method="fft").host
    assert np.allclose(found, numconv.filter_bank(x, kernels, axes=0), atol=1e-4)


def test_what_it_refuses(library, monkeypatch):
    x, w = arrays((60,), (9,))
    for options, message in (({"stride": 2}, "stride and dilation 1"), ({"dilation": 2}, "stride and dilation 1")):
        with pytest.raises(NotImplementedError, match=message):
            numconv.conv1d(library(x), w, method="fft", **options)
    with pytest.raises(NotImplementedError, match="more than one tap"):
        numconv.conv1d(library(x), w[:1], method="fft")
    for kinds in ("complex64", "int8"):
        with pytest.raises(NotImplementedError, match="only for real sums"):
            numconv.conv1d(x.astype(kinds), w.astype(kinds), device="cuda", method="fft", overflow="wrap")
    with pytest.raises(NotImplementedError, match="computes 'direct'"):
        numconv.conv_transpose1d(library(x), w, method="fft")
    monkeypatch.setitem(sys.modules, "cupy", None)
    forget()
    with pytest.raises(NotImplementedError, match="needs the transforms of PyTorch or CuPy"):
        numconv.conv1d(x, w, device="cuda", method="fft")


def test_the_cheapest_tile():
    """Powers of two that a filter fits, as long as all samples at the most."""
    found = spectra._tiling((1, 1, 1025), (1, 1, 1 << 20), 1, 1, 1, "float32")
    assert 4096 <= found.sizes[2] <= 32768
    assert found.valid[2] * found.along[2] >= 1 << 20
    assert spectra._tiling((1, 31, 31), (1, 40, 40), 1, 1, 1, "float32").sizes[1:] in [(64, 64), (128, 128)]
    assert spectra._tiling((1, 1, 1 << 21), (1, 1, 9), 1, 1, 1, "float32") is None
