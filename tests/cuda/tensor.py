"""Tensor cores: errors within the bounds of each precision, none where nothing is rounded; layouts, borders, NaN."""

from dataclasses import replace

import numpy as np
import pytest

from numconv.cuda import tensor

from ..problems import Case, any_strides, poisoned, random_case
from .device import CONV, arrays, only, same_bits, simulated, to_device

FIRST = {"data_format": "channels_first"}
LAYOUTS = pytest.mark.parametrize("layout", [{}, FIRST], ids=["last", "first"])
PRECISIONS = pytest.mark.parametrize("precision", ["3xtf32", "tf32", "bf16"])
PRODUCT = {"3xtf32": 2.0**-21, "tf32": 2.0**-10, "bf16": 2.0**-7}
"""Errors of a product, but for higher powers of them."""
TYPES = [("float32", "float32"), ("float16", "float16"), ("complex64", "complex64"), ("float32", "complex64")]
GEOMETRY = ("stride", "dilation", "data_format", "padding", "pad_mode", "flip")
SUM = 2.0**-20
"""Of sums, of all that is added up."""


@pytest.fixture(autouse=True)
def taken(monkeypatch):
    """Whatever a test checks, this kernel has computed; with small tiles in the simulator."""
    monkeypatch.setattr(tensor, "TINY", simulated())
    monkeypatch.setattr(tensor, "THREADS", 32 if simulated() else tensor.THREADS)
    with only("tensor") as found:
        yield found
        assert found


def result_of(case, precision, x, w, bias):
    """The kernel's, into a poisoned array."""
    conv = CONV[case.ndim]
    kind = case.options.get("dtype") or np.result_type(x, w)
    shape = conv(x[:1], w, bias, **case.keywords, method="reference").shape
    out = to_device(poisoned((len(x), *shape[1:]), np.dtype(kind)))
    assert conv(to_device(x), w, bias, **case.keywords, precision=precision, out=out) is out
    return out.copy_to_host()


def layer(precision, size, kernel, channels, filters, groups=1, n=1, x_dtype="float32", w_dtype="", **options):
    sizes = n, size, channels, filters, kernel, groups, x_dtype, w_dtype
    case = Case("tensor", *sizes, bias=True, options=options)
    x, w, bias = arrays(case, np.random.default_rng(channels + filters))
    found = result_of(case, precision, x, w, bias)
    expected = wide(case, x, w, bias)
    scale = wide(case, np.abs(x), np.abs(w), np.abs(bias))
    allowed = (SUM + (0 if x_dtype == "float16" else PRODUCT[precision] * 1.01)) * scale
    if x_dtype == "float16":
        allowed += np.abs(expected) * 2.0**-11
    assert (np.abs(found - expected) <= allowed).all()


def wide(case, *operands):
    """The sums in float64, without an activation."""
    keywords = {name: value for name, value in case.keywords.items() if name not in ("activation", "dtype")}
    kinds = (np.result_type(array, np.float64) for array in operands)
    return CONV[case.ndim](
        *(array.astype(kind) for array, kind in zip(operands, kinds, strict=True)), **keywords, method="reference"
    )


def exact(precision, size, kernel, channels, filters, groups=1, n=1, x_dtype="float32", w_dtype="", **options):
    """Small whole numbers, of which nothing is rounded: the reference's results."""
    case = Case("tensor", n, size, channels, filters, kernel, groups, x_dtype, w_dtype, bias=True, options=options)
    check_whole(case, precision, np.random.default_rng(channels * filters))


def check_whole(case, precision, rng, seen=lambda x: x):
    x, w, bias = (None if array is None else whole(rng, array) for array in arrays(case, rng))
    found = result_of(case, precision, seen(x), w, bias)
    assert same_bits(found + 0, CONV[case.ndim](x, w, bias, **case.keywords, method="reference") + 0), case


def whole(rng, array):
    """Small numbers, in both parts of complex ones."""
    values = rng.integers(-8, 9, (2, *array.shape))
    return (values[0] + 1j * values[1] if array.dtype.kind == "c" else values[0]).astype(array.dtype)


@LAYOUTS
@PRECISIONS
def test_errors(precision, layout):
    layer(precision, (3, 4), (2, 3), 8, 20, padding="same", **layout)
    layer(precision, (4,), (1,), 33, 17, **layout)


@LAYOUTS
@PRECISIONS
@pytest.mark.parametrize("channels", [3, 8])
def test_whole_numbers(precision, layout, channels):
    """With channels in whole chunks, read where they lie, and not."""
    if precision == "tf32":
        exact(precision, (3, 9), (3, 4), channels, 36, padding="same", activation="relu", **layout)
    exact(precision, (3, 3), (3, 4), channels, 18, padding=2, stride=2, **layout)


@LAYOUTS
def test_many_channels(layout):
    """Taps of some channels, then of the others."""
    exact("tf32", (2, 3), (2, 2), 40, 17, padding="same", **layout)
    exact("tf32", (2, 3), (1, 2), 72, 16, x_dtype="float16", **layout)


@LAYOUTS
def test_half(layout):
    layer("tf32", (3, 5), (2, 3), 8, 20, padding="same", x_dtype="float16", **layout)
    exact("bf16", (3, 5), (2, 3), 16, 24, n=2, padding="same", x_dtype="float16", **layout)


@PRECISIONS
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
def test_borders(precision, mode):
    value = {"pad_value": 1.5} if mode == "constant" else {}
    exact(precision, (3, 4), (3, 3), 4, 16, padding=((2, 1), (0, 3)), pad_mode=mode, stride=(1, 2), **value)


@LAYOUTS
def test_groups_samples_and_strides(layout):
    exact("tf32", (5,), (3,), 16, 40, 2, 3, stride=2, dilation=2, padding="same", **layout)
    exact("3xtf32", (2, 3, 3), (2, 1, 2), 16, 32, 2, 2, stride=(1, 2, 1), padding=1, **layout)
    exact("bf16", (2, 3, 4), (2, 3, 2), 12, 16, 1, 2, dilation=(1, 1, 2), padding=1, **layout)


@LAYOUTS
@pytest.mark.parametrize("x_dtype", ["complex64", "float32"])
def test_complex(layout, x_dtype):
    layer("3xtf32", (3, 5), (2, 3), 6, 18, padding="same", x_dtype=x_dtype, w_dtype="complex64", **layout)
    options = {"stride": 2, "padding": 1, "pad_mode": "reflect"} | layout
    exact("tf32", (5,), (3,), 12, 16, 2, 2, x_dtype=x_dtype, w_dtype="complex64", **options)


def test_long_filters():
    """More taps than a mask has bits."""
    exact("tf32", (9,), (33,), 4, 16, padding="same")


def test_types():
    exact("tf32", (3, 4), (2, 2), 8, 16, dtype="float16")
    exact("tf32", (3, 4), (2, 2), 8, 16, dtype="int16", overflow="saturate")
    layer("bf16", (3, 4), (2, 2), 8, 16, x_dtype="uint8", w_dtype="float32")


@PRECISIONS
def test_values_that_are_not_finite(precision):
    """They reach exactly those results that see them, also where filters do not fill a tile or channels a chunk."""
    case = Case("tensor", 1, (7, 6), 9, 17, (3, 2), options={"padding": "same"})
    x, w, _ = arrays(case, np.random.default_rng(0))
    x, w = np.sign(x) + x, np.sign(w) + w
    x[0, 0, 0, 3], x[0, 6, 5, 8], x[0, 3, 0, 0] = np.nan, np.inf, -np.inf
    w[1, 1, 5, 4] = np.inf
    found = result_of(case, precision, x, w, None)
    expected = CONV[2](x, w, **case.keywords, method="reference")
    strange = ~np.isfinite(expected)
    assert 0 < strange.sum() < expected.size // 2
    np.testing.assert_array_equal(found[strange], expected[strange])
    assert np.isfinite(found[~strange]).all()


@LAYOUTS
def test_few_blocks(monkeypatch, layout):
    """Steps in parts, added up by another kernel; behind a copy of x, too."""
    found, main = [], tensor._main
    monkeypatch.setattr(tensor, "FEWEST_STEPS", 1)
    monkeypatch.setattr(tensor, "_main", lambda *arguments: found.append(main(*arguments)) or found[-1])
    exact("tf32", (3, 3), (2, 2), 24, 20, activation="relu", **layout)
    exact("bf16", (3, 3), (2, 3), 40, 32, 2, 2, padding="same", pad_mode="edge", **layout)
    layer("3xtf32", (5,), (3,), 18, 17, x_dtype="complex64", **layout)
    assert [len(steps) for steps in found] == [2, 2, 2]


@pytest.mark.parametrize(
    "tile",
    [*tensor.TILES, *tensor.SPLIT],
    ids=lambda choice: f"{'split ' * choice[0].split}{choice[0].BP}x{choice[0].BF}",
)
def test_tiles_of_layers(monkeypatch, tile):
    """Those that a GPU uses, of 128 and 256 threads."""
    split = tile[0].split
    monkeypatch.setattr(tensor, "TINY", False)
    monkeypatch.setattr(tensor, "SPLIT" if split else "TILES", (tile,))
    layer("3xtf32" if split else "tf32", (3, 5), (1, 3), 16, 20, padding="same", **FIRST)
    if tile[0].BP != 128:
        layer("3xtf32" if split else "tf32", (3, 5), (1, 3), 16, 20, padding="same")


@pytest.mark.parametrize("seed", range(3))
def test_random_problems(monkeypatch, seed):
    """Of any strides, however few filters there are, in parts or not."""
    for name in ("FEWEST_FILTERS", "FEWEST_PRODUCTS", "FEWEST_STEPS"):
        monkeypatch.setattr(tensor, name, 1)
    rng, done = np.random.default_rng(seed), 0
    while done < 5:
        monkeypatch.setattr(tensor, "MULTIPROCESSORS", int(rng.choice([1, 132])))
        x_dtype, w_dtype = rng.choice(TYPES).tolist()
        drawn = random_case(rng)
        options = {name: value for name, value in drawn.options.items() if name in GEOMETRY}
        groups, inner, each = drawn.groups, int(rng.choice([1, 3, 4, 8, 24])), int(rng.choice([1, 8, 17, 33]))
        case = replace(
            drawn, x_dtype=x_dtype, w_dtype=w_dtype, options=options, channels=inner * groups, filters=each * groups
        )
        if np.prod([*drawn.spatial, *drawn.kernel]) * inner * case.filters * drawn.n > 20000:
            continue
        try:
            check_whole(case, str(rng.choice(list(PRODUCT))), rng, lambda x: any_strides(x, rng))
        except ValueError as error:  # of an empty result, or a mode that a size has not
            assert "conv" in str(error)
        else:
            done += 1
