"""Maps that are reduced: bits of the reference, of every type, layout and number of samples in a turn."""

import numpy as np
import pytest

import numconv
from numconv.cuda import binding, reductions

from ..problems import poisoned
from ..transposes import laid_out
from .device import CONV, in_order, same_bits, to_device

EVERY = ("max", "mean", "ppv")
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def equal_bits():
    with in_order():
        yield


def arrays(dtype, ndim, options, samples=3):
    spatial = (4, 3, 5)[:ndim]
    x = (RNG.standard_normal((samples, *spatial, 2)) * 5).astype(dtype)
    w = (RNG.standard_normal((*(2,) * ndim, 2, 3)) * 5).astype(dtype)
    return laid_out(x, options), laid_out(w, options, True)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_types(dtype, data_format):
    for ndim in (1, 2, 3) if dtype == "float32" else (2,):
        options = {"reduce": EVERY, "data_format": data_format}
        x, w = arrays(dtype, ndim, options)
        if dtype != "int8":
            x[0].flat[2], x[1] = np.nan, -0.0
        expected = CONV[ndim](x, w, **options, method="reference")
        out = tuple(to_device(poisoned(array.shape, array.dtype)) for array in expected)
        assert CONV[ndim](to_device(x), w, **options, out=out) is out
        for found, right in zip(out, expected, strict=True):
            assert same_bits(found.copy_to_host(), right), (ndim, right)


def test_one_reduction_and_other_forms():
    """Without N; banks, whose batch axes do not nest; bias and activation; on the host; plans."""
    x, w = arrays("float32", 2, {"data_format": "channels_last"})
    bias = np.array([1, -2, 0], np.float32)
    for reduce in ("mean", ("ppv",)):
        options = {"reduce": reduce, "activation": "relu", "padding": 1, "pad_mode": "edge"}
        expected = numconv.conv2d(x[0], w, bias, **options, method="reference")
        found = numconv.conv2d(x[0], w, bias, **options, device="cuda")
        assert type(found) is type(expected)
        assert same_bits(np.asarray(found), np.asarray(expected))
    plan = numconv.plan_conv2d((None, *x.shape[1:]), w, reduce=EVERY, device="cuda")
    for found, right in zip(plan(to_device(x)), numconv.conv2d(x, w, reduce=EVERY, method="reference"), strict=True):
        assert same_bits(found.copy_to_host(), right)
    assert "maps are reduced to max, mean, ppv" in plan.explain()
    stack = x.transpose(3, 0, 1, 2)[:, ::2]
    expected = numconv.filter_bank(stack, w[..., 0].transpose(2, 0, 1), reduce=EVERY, method="reference")
    found = numconv.filter_bank(to_device(stack), w[..., 0].transpose(2, 0, 1), reduce=EVERY)
    assert all(same_bits(a.copy_to_host(), b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("most", [200, 17 * 48])
def test_turns(most, monkeypatch):
    """Of one sample, of 16 and of the rest; transforms of 3 maps of 4 float32 each."""
    monkeypatch.setattr(binding, "TOGETHER_BYTES", most)
    x, w = RNG.standard_normal((21, 5, 1)).astype("f4"), RNG.standard_normal((2, 1, 3)).astype("f4")
    expected = numconv.conv1d(x, w, reduce=EVERY, method="reference")
    for found, right in zip(numconv.conv1d(to_device(x), w, reduce=EVERY), expected, strict=True):
        assert same_bits(found.copy_to_host(), right)


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int8"])
def test_long_rows(dtype, monkeypatch):
    """Of maps one after the other: 32 rows come by way of shared memory; two warps in a block, of two and a half."""
    monkeypatch.setattr(reductions, "THREADS", 64)
    x, w = (RNG.standard_normal((2, 1, 9, 41)) * 9).astype(dtype), (RNG.standard_normal((5, 1, 2, 2)) * 9).astype(dtype)
    if dtype != "int8":
        x[0, 0, 0, 3], x[1, 0, 1:] = np.nan, -0.0
    options = {"reduce": EVERY, "data_format": "channels_first"}
    expected = numconv.conv2d(x, w, **options, method="reference")
    for found, right in zip(numconv.conv2d(to_device(x), w, **options), expected, strict=True):
        assert same_bits(found.copy_to_host(), right)


def test_unsigned_integers_of_64_bits():
    """Their largest one is an int64."""
    x, w = np.array([2**63, 5, 2**62], np.uint64).reshape(3, 1, 1), np.ones((1, 1, 1), np.uint64)
    for overflow in ("wrap", "saturate"):
        options = {"reduce": ("max", "mean"), "overflow": overflow}
        expected = numconv.conv1d(x, w, **options, method="reference")
        for found, right in zip(numconv.conv1d(x, w, **options, device="cuda"), expected, strict=True):
            assert same_bits(found, right)
    with pytest.raises(NotImplementedError, match="which int64 may not hold"):
        numconv.conv1d(x, w, reduce="max", device="cuda")
    assert same_bits(numconv.conv1d(x, w, reduce="mean", device="cuda"), numconv.conv1d(x, w, reduce="mean"))


def test_errors():
    x, w = arrays("float32", 2, {"data_format": "channels_last"})
    x = to_device(x)
    one = to_device(np.ones((3, 3), "f4"))
    for out, error, message in (
        (one, TypeError, "expected a tuple of arrays"),
        ((one,), TypeError, "expected a tuple of arrays"),
        ((one, to_device(np.ones((3, 3)))), ValueError, "out has dtype float64"),
        ((one, np.ones((3, 3), "f4")), TypeError, "expected an array on the GPU"),
    ):
        with pytest.raises(error, match=message):
            numconv.conv2d(x, w, reduce=("max", "ppv"), out=out)
