"""Passes over feature maps against NumPy, which stands in where kernels fail or arrays lie otherwise."""

import numpy as np
import pytest

import numconv
from numconv.cpu import cache, maps
from numconv.layers import Conv2D, Input, MaxPooling1D, MaxPooling2D, Sequential

RNG = np.random.default_rng(17)
TYPES = pytest.mark.parametrize("dtype", ["f4", "f8"])


def integers(shape, dtype):
    return RNG.integers(-6, 7, shape).astype(dtype)


@TYPES
@pytest.mark.parametrize("shape", [(1, 1), (3, 5, 7, 19), (2, 40, 41, 32), (70000, 1), (2, 20000)])
def test_rectified_gradients_and_their_sums(shape, dtype):
    y, g = integers(shape, dtype), integers(shape, dtype)
    y.flat[0], g.flat[-1] = np.nan, np.inf
    expected = np.where(y <= 0, 0, g)
    given = g.copy()
    sums = maps.rectify_back(given, y)
    np.testing.assert_array_equal(given, expected)
    np.testing.assert_array_equal(sums, expected.reshape(-1, shape[-1]).sum(axis=0))
    assert sums.dtype == g.dtype
    y, g = RNG.standard_normal(shape).astype(dtype), RNG.standard_normal(shape).astype(dtype)
    found = []
    for threads in (1, 2, 4, 16):
        with numconv.num_threads(threads):
            given = g.copy()
            found.append((maps.rectify_back(given, y).tobytes(), given.tobytes()))
    assert len(set(found)) == 1


POOLINGS = {
    "usual": ((6, 8), {}),
    "with a rest": ((7, 9), {}),
    "overlapping": ((7, 9), {"pool_size": 3, "strides": (1, 2)}),
    "same": ((7, 6), {"pool_size": (3, 2), "strides": 2, "padding": "same"}),
    "apart": ((9, 9), {"pool_size": 2, "strides": 4}),
    "whole": ((5, 3), {"pool_size": (5, 3)}),
    "signal": ((11,), {"pool_size": 3, "padding": "same"}),
}


@TYPES
@pytest.mark.parametrize("channels", [1, 5, 33])
@pytest.mark.parametrize("case", POOLINGS)
def test_kernels_and_numpy_pool_alike(case, channels, dtype, monkeypatch):
    spatial, options = POOLINGS[case]
    layer = (MaxPooling1D if len(spatial) == 1 else MaxPooling2D)(**options)
    Sequential([Input((*spatial, channels)), layer], dtype=np.dtype(dtype).name)
    x = integers((3, *spatial, channels), dtype)  # with many that are equal
    x[0, 0] = -np.inf
    y = layer.forward(x, training=True)
    g = integers(y.shape, dtype)
    back = layer.backward(g.copy())
    assert np.isfinite(back).all() and back.sum() == g.sum()
    monkeypatch.setattr(maps, "_kernel", lambda *_: 0)
    np.testing.assert_array_equal(layer.forward(x, training=True), y)
    np.testing.assert_array_equal(layer.backward(g.copy()), back)


@TYPES
def test_nan_is_the_largest(dtype):
    x = integers((2, 4, 4, 3), dtype)
    x[0, 1, 2, 1] = np.nan
    y = Sequential([MaxPooling2D()], dtype=np.dtype(dtype).name).predict(x)
    assert np.argwhere(np.isnan(y)).tolist() == [[0, 0, 1, 1]]


def test_arrays_that_lie_otherwise_are_left_to_numpy():
    g = np.ones((4, 6), np.float32)
    read_only = g.copy()
    read_only.setflags(write=False)
    for other in (g[:, ::2], g.astype(">f4"), g.astype(np.float16), g.astype(np.complex64), g[:0], read_only):
        before = other.copy()
        assert maps.rectify_back(other, np.ones(other.shape, other.dtype)) is None
        np.testing.assert_array_equal(other, before)
    assert maps.rectify_back(g, g.astype(np.float64)) is None


def test_a_kernel_that_fails_twice_is_not_used(monkeypatch):
    monkeypatch.setattr(cache, "_REFUSED", set())
    monkeypatch.setitem(maps._PROOFS, "rectify_back", lambda *_: False)
    monkeypatch.setattr(cache, "drop", lambda *_: None)
    maps._proved.cache_clear()
    with pytest.warns(RuntimeWarning, match=r"a wrong pass over maps twice, and is not used: maps\.rectify_back"):
        assert maps.rectify_back(np.ones((2, 3)), np.ones((2, 3))) is None
    monkeypatch.undo()
    layer = Conv2D(3, 2, activation="relu")
    model = Sequential([Input((3, 3, 1)), layer], dtype="float64", seed=0)
    model(RNG.standard_normal((2, 3, 3, 1)), training=True)
    kept, g = layer._kept, integers((2, 2, 2, 3), "f8")
    by_numpy = layer.backward(g.copy()), layer.gradients
    maps._proved.cache_clear()
    layer._kept = kept
    np.testing.assert_array_equal(layer.backward(g.copy()), by_numpy[0])
    for ours, numpys in zip(layer.gradients, by_numpy[1], strict=True):
        np.testing.assert_allclose(ours, numpys, rtol=1e-15)


@pytest.mark.parametrize("name", maps._PROOFS)
@TYPES
def test_a_proof_notices_another_kernel(name, dtype):
    """One that does nothing."""
    from ctypes import CFUNCTYPE, c_int64, c_void_p, cast

    nothing = CFUNCTYPE(None, *[c_int64] * 4)(lambda *_: None)
    assert not maps._PROOFS[name](cast(nothing, c_void_p).value, np.dtype(dtype))
