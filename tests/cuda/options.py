"""Arrays of several libraries, `device`, `out`, plans, and what a GPU refuses."""

import copy
import pickle
import sys
import types

import numpy as np
import pytest

import numconv

from .device import same_bits, simulated, to_device

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 6, 7, 3)).astype(np.float32)
W = RNG.standard_normal((3, 3, 3, 4)).astype(np.float32)
Y = numconv.conv2d(X, W, padding="same", method="reference")


class FakeTensor:
    """What is asked of a PyTorch tensor."""

    requires_grad = False
    is_cuda = True

    def __init__(self, host, name):
        self.host, self.dtype, self.shape = host, f"torch.{name}", host.shape
        self.device = types.SimpleNamespace(index=0)

    def stride(self):
        return tuple(stride // self.host.itemsize for stride in self.host.strides)

    def data_ptr(self):
        return self.host.__array_interface__["data"][0]

    def is_conj(self):
        return False

    is_neg = is_conj

    def copy_(self, other):
        self.host[...] = other.host

    def cpu(self):
        return self

    def numpy(self):
        return self.host

    @property
    def __cuda_array_interface__(self):
        if self.requires_grad:
            raise RuntimeError("requires grad")
        return self.host.__array_interface__


class FakeArray:
    """What is asked of a CuPy array."""

    def __init__(self, host):
        self.host, self.dtype, self.shape, self.strides = host, host.dtype, host.shape, host.strides
        self.data = types.SimpleNamespace(ptr=host.__array_interface__["data"][0], device_id=0)
        self.__cuda_array_interface__ = host.__array_interface__

    def get(self):
        return self.host

    def __setitem__(self, key, value):
        self.host[key] = value.host


class Context:
    def __init__(self, device):
        self.device = device

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


@pytest.fixture(params=["torch", "cupy"])
def library(request, monkeypatch):
    """A library whose tensors are on the host, which is where the simulator computes: a function that makes them."""
    if not simulated():
        pytest.skip("stand-ins for libraries are for the simulator")
    module = types.ModuleType(request.param)
    stream = types.SimpleNamespace(cuda_stream=0, ptr=0)
    module.cuda = types.SimpleNamespace(
        current_stream=lambda device: stream, get_current_stream=lambda: stream, Device=Context,
        runtime=types.SimpleNamespace(getDevice=lambda: 0),
    )  # fmt: skip
    for name in ("float32", "float64", "int64", "uint8"):
        setattr(module, name, name)

    base = FakeTensor if request.param == "torch" else FakeArray
    kind = type(request.param, (base,), {"__module__": request.param})

    def make(host):
        return kind(host, host.dtype.name) if request.param == "torch" else kind(host)

    def empty(shape, dtype, device="cuda:0"):
        return make(np.full(shape, 77, dtype))

    module.empty = empty
    monkeypatch.setitem(sys.modules, request.param, module)
    return make


def test_arrays_of_a_library_give_arrays_of_it(library):
    for x in (X, np.asfortranarray(X), X[:, ::-1], np.ascontiguousarray(X.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)):
        expected = numconv.conv2d(x, W, padding="same", method="reference")
        for w in (W, library(W)):
            y = numconv.conv2d(library(x), w, padding="same")
            assert type(y) is type(library(X))
            assert same_bits(y.host, expected)


def test_out_of_a_library(library):
    out = library(np.full(Y.shape, np.nan, np.float32))
    assert numconv.conv2d(library(X), W, padding="same", out=out) is out
    assert same_bits(out.host, Y)
    w = np.repeat(W[..., :3], 1, axis=-1)
    expected = numconv.conv2d(X, w, padding="same", method="reference")
    x = library(X.copy())
    assert numconv.conv2d(x, w, padding="same", out=x) is x
    assert same_bits(x.host, expected)
    for wrong, message in ((Y[:1], "out has shape"), (Y.astype(float), "out has dtype")):
        with pytest.raises(ValueError, match=message):
            numconv.conv2d(library(X), W, padding="same", out=library(wrong))
    with pytest.raises(TypeError, match="expected an array on the GPU"):
        numconv.conv2d(library(X), W, padding="same", out=Y)


def test_plans_take_arrays_of_a_library(library):
    made = numconv.plan_conv2d((None, 6, 7, 3), library(W), library(np.zeros(4, np.float32)), padding="same")
    for plan in (made, pickle.loads(pickle.dumps(made))):
        assert plan.method == "direct"
        assert same_bits(plan(library(X)).host, Y + np.float32(0))
        assert same_bits(plan(X), Y + np.float32(0))


def test_tensors_that_require_gradients():
    kind = type("Parameter", (FakeTensor,), {"__module__": "torch.nn"})
    tensor = kind(X, "float32")
    tensor.requires_grad = True
    with pytest.raises(TypeError, match=r"conv2d: x is a tensor that requires a gradient, .* detach"):
        numconv.conv2d(tensor, W)
    tensor = kind(X, "bfloat16")
    with pytest.raises(TypeError, match="conv2d: w is a tensor of dtype bfloat16"):
        numconv.conv2d(to_device(X), tensor)


def test_arrays_of_the_host():
    for device in ("cuda", "cuda:0"):
        assert same_bits(numconv.conv2d(X, W, padding="same", device=device), Y)
    out = np.full(Y.shape, np.nan, np.float32)
    assert numconv.conv2d(X, W, padding="same", device="cuda", out=out) is out
    assert same_bits(out, Y)
    swapped = X.astype(">f4")
    assert same_bits(numconv.conv2d(swapped, W, padding="same", device="cuda"), Y)
    unaligned = np.frombuffer(b"x" + X.tobytes(), np.uint8)[1:].view(np.float32).reshape(X.shape)
    assert same_bits(numconv.conv2d(unaligned, W, padding="same", device="cuda"), Y)
    with pytest.raises(ValueError, match="out has shape"):
        numconv.conv2d(X, W, padding="same", device="cuda", out=Y[:1])


def test_plans_keep_their_weights():
    w = W.copy()
    plan = numconv.plan_conv2d((None, 6, 7, 3), w, padding="same", device="cuda")
    w[...] = 0
    assert same_bits(plan(X), Y)
    assert same_bits(plan(to_device(X)).copy_to_host(), Y)
    assert same_bits(copy.deepcopy(plan)(X[:1]), Y[:1])
    assert isinstance(plan, numconv.Plan)
    assert plan.output_shape == (None, 6, 7, 4)
    assert plan.workspace_bytes == 0 < plan.flops
    assert "GPU 0" in plan.explain()
    with pytest.raises(TypeError, match="x is float64, but this plan was made for x_dtype=float32"):
        plan(X.astype(float))
    with pytest.raises(ValueError, match="this plan was made for"):
        plan(X[:, 1:])
    bank = numconv.plan_filter_bank((None, 6, 7), W[:, :, 0].transpose(2, 0, 1), device="cuda")
    expected = numconv.filter_bank(X[..., 0], W[:, :, 0].transpose(2, 0, 1), method="reference")
    assert same_bits(bank(X[..., 0]), expected)


def test_what_a_gpu_refuses():
    call = {"x": X, "w": W, "device": "cuda"}
    for options, message in (
        ({"method": "reference"}, "a GPU computes 'direct'"),
        ({"dtype": "int8"}, 'a float32 value may not fit int8; use overflow="wrap" or "saturate"'),
    ):
        with pytest.raises(NotImplementedError, match=f"conv2d: .*{message}"):
            numconv.conv2d(**call, **options)
    for given, message in (("gpu", "expected None"), ("cuda:", "expected None"), ("cuda:x", "expected None")):
        with pytest.raises(ValueError, match=f"conv2d: device is '{given}', {message}"):
            numconv.conv2d(X, W, device=given)
    with pytest.raises(TypeError, match="conv2d: device is 0"):
        numconv.conv2d(X, W, device=0)
    with pytest.raises(ValueError, match="device is 'cpu', but x lies on a GPU"):
        numconv.conv2d(to_device(X), W, device="cpu")
    with pytest.raises(TypeError, match=r"w is of type .*; it lies on a GPU, and what is asked for"):
        numconv.conv2d(X, to_device(W))
    with pytest.raises(ValueError, match="device is 'cuda:1', but x is on GPU 0"):
        numconv.conv2d(to_device(X), W, device="cuda:1")
    with pytest.raises(ValueError, match="w has 3 input channels"):
        numconv.conv2d(to_device(X[..., :2]), W)


def test_integers_that_may_not_fit():
    """By types and weights; values of weights on the GPU are not read."""
    x = np.full((9, 1), 100, np.int8)
    w = np.full((3, 1, 2), 2, np.int64)
    assert numconv.conv1d(x, w, device="cuda").max() == 600
    assert numconv.conv1d(x, w, dtype=np.int16, device="cuda").max() == 600
    with pytest.raises(NotImplementedError, match=r"sums may lie between -768 and 762 .*, which int8 may not hold"):
        numconv.conv1d(x, w, dtype=np.int8, device="cuda")
    with pytest.raises(NotImplementedError, match="may not hold"):
        numconv.conv1d(to_device(x), to_device(w))
    wrapped = numconv.conv1d(to_device(x), to_device(w), overflow="wrap")
    assert wrapped.copy_to_host().max() == 600
    large = np.full((5, 1), 2**62, np.int64)
    assert (numconv.conv1d(large, w, overflow="wrap", device="cuda") == -(2**63)).all()
    with pytest.raises(NotImplementedError, match="use a narrower type"):
        numconv.conv1d(large, w, overflow="wrap", activation="relu", device="cuda")
    with pytest.raises(NotImplementedError, match=r"w is int64 on the GPU, and x .float32. is computed in float32"):
        numconv.conv1d(to_device(x.astype(np.float32)), to_device(w))
    with pytest.raises(ValueError, match="not exact in float32"):
        numconv.conv1d(to_device(x.astype(np.float32)), w * (2**24 + 1))
