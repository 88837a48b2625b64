"""Few channels with filters in lanes: bits of the reference, for all borders, strides, shapes of threads and types."""

from itertools import product

import numpy as np
import pytest

from ..problems import Case
from .device import arrays, check, only


@pytest.fixture(autouse=True)
def taken():
    """Whatever a test checks, this kernel has computed."""
    with only("depthwise") as found:
        yield found
        assert found


def layer(size, kernel, channels, filters=None, groups=None, n=1, types=("float32", "float32"), **options):
    case = Case(
        "", n, size, channels, filters or channels, kernel, groups or channels, *types, bias=True, options=options
    )
    assert check(case, *arrays(case, np.random.default_rng(len(size))))


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
def test_borders(mode):
    layer((5, 7), (3, 3), 4, padding="same", pad_mode=mode)
    layer((3, 4), (2, 3), 2, padding=((4, 1), (0, 5)), pad_mode=mode)
    layer((9,), (4,), 4, padding="full", pad_mode=mode)


def test_a_pad_value():
    for value in (2.5, -0.0):
        layer((4, 5), (3, 3), 4, padding="same", pad_value=value, activation="relu")


@pytest.mark.parametrize(("stride", "dilation"), [*product((1, 2), (1, 2)), (3, 1), (1, 3), ((2, 1), (1, 3))])
def test_strides_and_dilations(stride, dilation):
    layer((11, 12), (3, 2), 2, stride=stride, dilation=dilation, padding=1)
    layer((9, 10), (2, 3), 4, stride=stride, dilation=dilation)


@pytest.mark.parametrize("size", [1, 2, 5, 9, 17])
def test_sizes(size):
    """On both sides of all runs and strips."""
    layer((size, 3), (3, 2), 2, padding="same", n=2)
    layer((2, size), (2, 3), 2, padding="same")
    layer((2 * size,), (5,), 2, padding="same", n=2)


@pytest.mark.parametrize("channels", [2, 3, 4, 6, 7, 12, 36, 130])
def test_channels(channels):
    layer((2, 3), (2, 2), channels)


@pytest.mark.parametrize(("groups", "inner", "filters"), [*product((2, 3), (1, 2, 3, 4), (1, 2, 3, 4, 6))])
def test_groups(groups, inner, filters):
    layer((2, 3), (2, 2), groups * inner, groups * filters, groups)


@pytest.mark.parametrize(("channels", "filters"), [*product((1, 3, 4), (2, 5, 8, 34))])
def test_first_layers(channels, filters):
    layer((2, 5), (1, 2), channels, filters, 1, stride=(1, 2))


@pytest.mark.parametrize("kernel", [(1, 1), (1, 5), (5, 1), (5, 5), (7, 7)])
def test_kernels(kernel):
    layer((6, 7), kernel, 2, padding="same")


@pytest.mark.parametrize(
    "types", [("float16", "float16"), ("float64", "float64"), ("uint8", "float32"), ("float32", "int8")]
)
def test_types(types):
    layer((3, 4), (3, 3), 4, types=types, padding="same")
    layer((3, 4), (3, 3), 4, types=types, padding="same", dtype="int16", overflow="saturate")


def test_strips(monkeypatch):
    """Several of them, below one another."""
    from numconv.cuda import depthwise

    monkeypatch.setattr(depthwise, "FEWEST_ROWS", 1)
    layer((21, 3), (1, 2), 2)
    layer((30, 3), (3, 1), 2, dilation=2, padding=2)
    layer((42, 2), (3, 1), 2, stride=2)


def test_memory_that_is_not_aligned():
    """Views that begin between multiples of 16 bytes, have gaps, or run backwards: accesses are narrower."""
    import numconv

    from .device import poisoned, same_bits, to_device

    rng = np.random.default_rng(0)
    base, w = rng.standard_normal((5, 6, 9), np.float32), rng.standard_normal((3, 3, 1, 4), np.float32)
    for view in (base[..., 1:5], base[:, ::-1, 2:6], base[:4, :, 8:4:-1], base[..., ::2][..., :4], base[::2, :, :4]):
        x = view[None]
        expected = numconv.conv2d(x, w, groups=4, padding="same", method="reference")
        for room in (
            np.zeros((1, *expected.shape[1:3], 8), np.float32),
            np.zeros((1, *expected.shape[1:3], 5), np.float32),
        ):
            out = to_device(poisoned(room.shape, room.dtype)[..., 1:5])
            numconv.conv2d(to_device(x), w, groups=4, padding="same", out=out)
            assert same_bits(out.copy_to_host(), expected)
