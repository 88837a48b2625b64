"""Instructions are tried before they are trusted: what a probe finds, and what follows from it."""

import warnings

import numpy as np
import pytest

import numconv
from numconv.cuda import methods, ops, probes, stencil

from .device import forget, same_bits, simulated


@pytest.fixture
def untried():
    """As in a new process."""
    probes.trouble.cache_clear()
    forget()
    yield
    probes.trouble.cache_clear()
    forget()


@pytest.mark.parametrize("feature", probes.PROBES)
def test_features_of_this_device(untried, feature):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not probes.trouble(feature, 0)


@pytest.mark.skipif(not simulated(), reason="a GPU does not break on demand")
def test_a_feature_that_is_broken(untried, monkeypatch):
    """Copies that leave what was there: the method is refused with a warning, once, and the next one computes."""

    def leaving(storage, n):
        copy = copying(storage, n)
        return lambda array, at, pointer, offset, there: copy(array, at, pointer, offset, there) if there else None

    copying, taken = ops.copying, []
    monkeypatch.setattr(ops, "copying", leaving)
    monkeypatch.setattr(stencil, "features", lambda problem: ("copies",), raising=False)
    monkeypatch.setattr(stencil, "launches", lambda *arguments: taken.append(1))
    x, w = np.arange(9, dtype=np.float32)[:, None], np.ones((3, 1, 1), np.float32)
    with pytest.warns(
        RuntimeWarning, match=r"GPU 0 does not do what kernels with 'copies' .*88 of 224 numbers"
    ) as said:
        for _ in range(2):
            found = numconv.conv1d(x, w, device="cuda")
            assert same_bits(found, numconv.conv1d(x, w, method="reference"))
            forget()
    assert len(said) == 1
    assert not taken
    with monkeypatch.context() as alone, pytest.raises(NotImplementedError, match="only where 'copies' works"):
        alone.setattr(methods, "KERNELS", {"stencil": stencil})
        numconv.conv1d(x, w, device="cuda")


def test_a_probe_that_raises(untried, monkeypatch):
    monkeypatch.setitem(probes.PROBES, "copies", probes.Probe("probes.nothing", probes._numbers, probes._copies))
    with pytest.warns(RuntimeWarning, match="AttributeError"):
        assert "nothing" in probes.trouble("copies", 0)


def test_no_two_operations_have_one_name():
    """Kernels ask for them by name alone."""
    owners = {}
    for face in ops._faces():
        for name, value in vars(face).items():
            if getattr(value, "__module__", "") == face.__name__ and not name.startswith("_"):
                owners.setdefault(name, []).append(face.__name__)
    assert not {name: where for name, where in owners.items() if len(where) > 1}
