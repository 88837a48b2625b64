"""Complex numbers as pairs of real ones: images, signals, first and depthwise layers; products of tensor cores."""

import numpy as np
import pytest

import numconv
from numconv.cuda import tensor

from ..problems import Case
from .device import arrays, check, only, simulated, to_device

BOTH, X_ONLY, W_ONLY = ("complex64", "complex64"), ("complex64", "float32"), ("float32", "complex64")


def layer(method, kind, size, kernel, channels, filters, groups=1, n=1, bias=True, **options):
    """As `check`, by one method."""
    case = Case("complex", n, size, channels, filters, kernel, groups, *kind, bias=bias, options=options)
    with only(method) as taken:
        assert check(case, *arrays(case, np.random.default_rng(channels + filters)), most=10**5)
        assert taken


@pytest.mark.parametrize("kind", [BOTH, X_ONLY, W_ONLY, ("complex128", "complex64")], ids="-".join)
def test_images(kind):
    """One channel and one filter, of either method; padding of every kind."""
    for mode in ("constant", "reflect"):
        layer("complex stencil", kind, (5, 9), (3, 2), 1, 1, padding="same", pad_mode=mode)
    layer("complex depthwise", kind, (5, 9), (2, 3), 1, 1, padding=1, stride=(1, 2))


def test_signals():
    layer("complex stencil", BOTH, (40,), (9,), 1, 1, n=2, padding="causal")
    layer("complex stencil", BOTH, (40,), (9,), 1, 1, data_format="channels_first", bias=False)


def test_first_layers():
    """Filters are neighbours; some channels are, too."""
    layer("complex depthwise", BOTH, (4, 5), (2, 2), 1, 4, padding="same")
    layer("complex depthwise", BOTH, (4, 5), (2, 1), 2, 4, stride=2)
    layer("complex depthwise", W_ONLY, (4, 5), (2, 2), 1, 4, padding="same")


def test_depthwise_layers():
    layer("complex depthwise", BOTH, (3, 4), (2, 2), 4, 4, 4, padding="same")
    layer("complex depthwise", X_ONLY, (3, 4), (2, 2), 4, 4, 4, padding="same")


def test_what_views_cannot_show():
    """A bias that is real, or has gaps, is written before; channels with gaps between are left to others."""
    case = Case("complex", 1, (5, 6), 1, 2, (2, 2), 1, *BOTH, bias=True)
    x, w, bias = arrays(case, np.random.default_rng(0))
    with only("complex depthwise") as taken:
        assert check(case, x, w, bias.real.copy())
        assert check(case, -x * 0, w, bias.real * 0)
        gaps = numconv.conv2d(to_device(x), w, to_device(np.repeat(bias, 2)[::2])).copy_to_host()
        assert (gaps == numconv.conv2d(x, w, bias, method="reference")).all()
        assert len(taken) == 2
        before = len(taken)
        last = Case("complex", 1, (5, 6), 2, 2, (2, 2), 1, *BOTH, options={"data_format": "channels_first"})
        assert check(last, *arrays(last, np.random.default_rng(0)))
        padded = Case("complex", 1, (5, 6), 1, 2, (2, 2), 1, *BOTH, options={"padding": 1, "pad_value": 1 - 2j})
        assert check(padded, *arrays(padded, np.random.default_rng(0)))
        assert len(taken) == before


def test_values_that_are_not_finite():
    case = Case("complex", 1, (5, 6), 1, 1, (2, 2), 1, *BOTH, options={"padding": "same"})
    for kind in (BOTH, X_ONLY, W_ONLY):
        case = Case("complex", 1, (5, 6), 1, 1, (2, 2), 1, *kind, options={"padding": "same"})
        x, w, _ = arrays(case, np.random.default_rng(1))
        x[0, 2, 3, 0], w[1, 1, 0, 0] = np.inf, -0.0
        with only("complex stencil") as taken:
            assert check(case, x, w, None)
            assert check(case, x * 0, -w, None)
            assert taken


def test_less_precision(monkeypatch):
    """By tensor cores, where it is permitted."""
    monkeypatch.setattr(tensor, "TINY", simulated())
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal((2, *shape)).view(np.complex128)[0].astype(np.complex64)
            for shape in ((1, 3, 4, 32), (2, 2, 16, 16)))  # fmt: skip
    expected = numconv.conv2d(x.astype(complex), w.astype(complex), padding="same", method="reference")
    total = numconv.conv2d(np.abs(x), np.abs(w), padding="same")
    for precision, bound in (("3xtf32", 2.0**-20), ("tf32", 2.0**-9)):
        with only("tensor") as taken:
            found = numconv.conv2d(to_device(x), w, padding="same", precision=precision).copy_to_host()
            assert taken
        assert (np.abs(found - expected) <= bound * total).all()
        assert (found != expected).any()
