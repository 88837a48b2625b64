"""`fft` against exact results: its error bound, and `direct` wherever that is not enough."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import numconv
from numconv._arguments import conv_problem
from numconv._calls import recipe
from numconv.cpu import fft, methods, proof, transforms

from .problems import DATA, any_strides, data, poisoned, same_bits

CONV = {1: numconv.conv1d, 2: numconv.conv2d, 3: numconv.conv3d}
PLAN = {1: numconv.plan_conv1d, 2: numconv.plan_conv2d, 3: numconv.plan_conv3d}
FORMATS = ("channels_last", "channels_first")


@pytest.mark.parametrize("length", transforms.lengths(4, 400))
def test_passes_are_a_transform(length):
    """The tables, pass by pass in NumPy: a Fourier transform whose frequencies are in the order they say."""
    rng = np.random.default_rng(length)
    x = rng.standard_normal(length) + 1j * rng.standard_normal(length)
    table, factors = transforms.passes(length, "f8")
    y = x.copy()
    for (radix, gap, blocks, _), turns in zip(table[1:].reshape(-1, 4), factors, strict=True):
        y = np.fft.fft(y.reshape(blocks, radix, gap), axis=1)
        y[:, 1:] *= (turns[..., 0] + 1j * turns[..., 1]).T
        y = y.ravel()
    assert table[0] == len(factors)
    assert np.allclose(y, np.fft.fft(x)[transforms.order(length)])


class Problem:
    """Arrays in a caller's layout, and what is exact about them."""

    def __init__(self, shape, kernel, filters, dtype="float32", w_dtype=None, seed=0, kind="normal", **options):
        rng = np.random.default_rng(seed)
        self.ndim, self.options = len(kernel), options
        self.first = options.get("data_format") == "channels_first"
        x = _data(kind, shape, rng, dtype)
        w = _data("normal", (*kernel, shape[-1] // options.get("groups", 1), filters), rng, w_dtype or dtype)
        w = abs(w) if kind == "constant" else w
        self.bias = _data("normal", (filters,), rng, np.result_type(x, w))
        self.x = np.ascontiguousarray(np.moveaxis(x, -1, 1)) if self.first else x
        self.w = np.ascontiguousarray(np.moveaxis(w, (-1, -2), (0, 1))) if self.first else w

    def compute(self, x=None, w=None, bias=True, **more):
        x, w = self.x if x is None else x, self.w if w is None else w
        bias = self.bias if bias is True else bias
        return CONV[self.ndim](x, w, bias, **self.options, **({"method": "fft", "threads": 1} | more))

    def plan(self, **more):
        shape = (None, *self.x.shape[1:])
        more = {"x_dtype": self.x.dtype, "method": "fft"} | more
        return PLAN[self.ndim](shape, self.w, self.bias, **self.options, **more)

    def last(self, y):
        return np.moveaxis(y, 1, -1) if self.first else y

    def padded(self):
        """x with channels last, as `np.pad` does it."""
        x, pads = self.last(self.x), self.options.get("padding", 0)
        pads = ((pads, pads),) * self.ndim if isinstance(pads, int) else pads
        mode = self.options.get("pad_mode", "constant")
        more = {"constant_values": self.options.get("pad_value", 0)} if mode == "constant" else {}
        return np.pad(x, ((0, 0), *pads, (0, 0)), mode=mode, **more)

    def weights(self):
        """(F, C // G, *kernel)."""
        return self.w if self.first else np.moveaxis(self.w, (-1, -2), (0, 1))

    def exact(self):
        """Results in a wider type, by plain products, channels last."""
        wide = {"f": "f8", "F": "D", "d": "g", "D": "G"}[np.result_type(self.x, self.w).char]
        x, w = self.padded().astype(wide), self.weights().astype(wide)
        axes, dilation = tuple(range(1, self.ndim + 1)), self.options.get("dilation", 1)
        windows = sliding_window_view(x, [(k - 1) * dilation + 1 for k in w.shape[2:]], axes)
        windows = windows[(..., *[slice(None, None, dilation)] * self.ndim)]
        groups, results = self.options.get("groups", 1), []
        F, C = len(w) // groups, w.shape[1]
        outer, inner = "hwd"[: self.ndim], "xyz"[: self.ndim]
        for g in range(groups):
            part = windows[(slice(None), *[slice(None)] * self.ndim, slice(g * C, (g + 1) * C))]
            results.append(np.einsum(f"n{outer}c{inner},fc{inner}->n{outer}f", part, w[g * F : (g + 1) * F]))
        return np.concatenate(results, axis=-1) + self.bias

    def tiles(self):
        """(number of its pair, its results, its samples) of every tile: slices of a result and of the padded x."""
        layout = self.plan()._engine.pieces[0].schedule.layout
        shape, block, skip = layout.shape, layout.block, 3 - self.ndim
        shape = (1, 1, shape[1] * shape[2]) if layout.flat else shape
        for t in range(np.prod(layout.tiles)):
            starts = [i * n for i, n in zip(np.unravel_index(t, layout.tiles), block, strict=True)]
            results, samples = (
                tuple(slice(a, a + n) for a, n in list(zip(starts, sizes, strict=True))[skip:])
                for sizes in (block, shape)
            )
            yield t // (3 - layout.x_parts), results, samples

    def bound(self):
        """8 * e * log2(L) * |x|_2 * |w|_2 of every result, the norm of x over a pair of tiles."""
        layout, dtype = self.plan()._engine.pieces[0].schedule.layout, np.result_type(self.x, self.w)
        x, w = self.padded().astype("D"), self.weights()
        groups, w_norm = (
            self.options.get("groups", 1),
            np.sqrt((abs(w.astype("D")) ** 2).sum(axis=tuple(range(1, w.ndim)))),
        )
        C, squares, info = w.shape[1], {}, np.finfo(dtype)
        for pair, _, samples in self.tiles():
            tile = x[(slice(None), *samples)]
            size = (abs(tile) ** 2).sum(axis=tuple(range(1, self.ndim + 1)))
            squares[pair] = squares.get(pair, 0) + size.reshape(len(x), groups, C).sum(axis=2)
        result = np.empty(self.exact().shape)
        for pair, results, _ in self.tiles():
            norms = np.repeat(np.sqrt(squares[pair]), len(w) // groups, axis=1) * w_norm
            result[(slice(None), *results)] = norms.reshape(len(x), *[1] * self.ndim, -1)
        e = float(info.eps) / 2
        return (
            8 * e * np.log2(np.prod(layout.shape)) * result + 2 * e * abs(self.bias) + w[0].size * float(info.tiny) * e
        )

    def assert_within(self, found):
        """Every part of every result within its bound; how near it came."""
        found, exact, bound = self.last(found), self.exact(), self.bound()
        parts = [(found.real, exact.real), (found.imag, exact.imag)] if found.dtype.kind == "c" else [(found, exact)]
        worst = max(float((abs(a - b) / bound).max()) for a, b in parts)
        assert worst <= 1, worst
        return worst


def _data(kind, shape, rng, dtype):
    """Samples of a kind, in a dtype."""
    x = data(kind, shape, rng, min(1, len(shape) - 1))
    return (x + 1j * rng.permutation(x) if np.dtype(dtype).kind == "c" else x).astype(dtype)


SHAPES = [
    ((1, 40, 50, 1), (15, 15), 1), ((2, 60, 33, 3), (7, 9), 5), ((1, 1, 1, 2), (1, 1), 1), ((3, 100, 9, 7), (33, 1), 2),
    ((1, 5, 300, 1), (1, 65), 3), ((2, 700, 2), (64,), 3), ((1, 9000, 1), (2049,), 1), ((1, 3, 5), (3,), 2),
    ((2, 12, 20, 30, 2), (5, 5, 5), 3), ((1, 3, 3, 3, 9), (3, 1, 2), 2), ((1, 30, 40, 6), (2, 40), 2),
]  # fmt: skip


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize(("shape", "kernel", "filters"), SHAPES, ids=str)
def test_shapes(shape, kernel, filters, data_format):
    p = Problem(shape, kernel, filters, data_format=data_format)
    given = p.x.copy(), p.w.copy()
    out = poisoned(p.compute().shape, p.x.dtype)
    assert p.compute(out=out) is out
    p.assert_within(out)
    assert same_bits(p.x, given[0]) and same_bits(p.w, given[1])


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_error_bound(dtype, kind):
    for seed, (shape, kernel) in enumerate(
        [((1, 70, 90, 2), (15, 11)), ((1, 3000, 1), (200,)), ((2, 40, 40, 40), (7, 7))]
    ):
        p = Problem(shape, kernel, 2, dtype, seed=seed, kind=kind, padding=3)
        p.assert_within(p.compute())


@pytest.mark.parametrize(("dtype", "w_dtype"), [("f4", "F"), ("F", "f4"), ("f8", "D"), ("D", "f8")])
def test_one_complex_operand(dtype, w_dtype):
    for shape, kernel in (((2, 40, 50, 2), (9, 7)), ((1, 900, 2), (65,))):
        p = Problem(shape, kernel, 3, dtype, w_dtype, padding=2)
        p.assert_within(p.compute())


MODES = [
    {"padding": 3}, {"padding": ((3, 0), (0, 50))}, {"padding": 7, "pad_value": 2.5}, {"padding": 2, "dilation": 3},
    *({"padding": 23, "pad_mode": mode} for mode in ("edge", "reflect", "symmetric", "wrap")),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_padding_groups_and_dilation(mode, dtype):
    p = Problem((2, 30, 43, 4), (7, 6), 6, dtype, groups=2, **mode)
    p.assert_within(p.compute())


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("activation", ["relu", ("leaky_relu", 0.3), "tanh"])
def test_activation(activation, data_format):
    p = Problem((1, 40, 50, 2), (9, 9), 3, data_format=data_format, padding=4)
    for bias in (p.bias, None):
        plain, found = p.compute(bias=bias), p.compute(bias=bias, activation=activation)
        if activation == "tanh":
            assert np.allclose(found, np.tanh(plain), rtol=1e-6, atol=0)
        else:
            slope = np.float32(0 if activation == "relu" else 0.3)
            assert np.array_equal(found, np.where(plain < 0, plain * slope, plain))


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize(("shape", "kernel"), [((5, 90, 130, 2), (9, 11)), ((5, 4000, 2), (100,))], ids=str)
def test_same_bits(shape, kernel, dtype):
    """For any number of threads, split of the batch, strides and data format."""
    p = Problem(shape, kernel, 5, dtype, padding=4)
    expected = p.compute()
    for threads in (2, 4, 16):
        assert same_bits(p.compute(threads=threads), expected)
    plan = p.plan()
    assert same_bits(np.concatenate([plan(p.x[:1]), plan(p.x[1:4], threads=2), plan(p.x[4:])]), expected)
    assert same_bits(pickle.loads(pickle.dumps(plan))(p.x), expected)
    assert same_bits(p.compute(x=p.x[2]), expected[2])
    assert p.compute(x=p.x[:0]).shape == (0, *expected.shape[1:])
    first = Problem(shape, kernel, 5, dtype, padding=4, data_format="channels_first")
    assert same_bits(first.last(first.compute()), expected)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        assert same_bits(p.compute(x=any_strides(p.x, rng), w=any_strides(p.w, rng)), expected)
        out = any_strides(np.empty_like(expected), rng)
        if out.flags.writeable:
            assert same_bits(p.compute(out=out), expected)


CASES = [((2, 70, 60, 2), (9, 11), "float32"), ((2, 3000, 1), (65,), "float32"), ((2, 50, 60, 2), (9, 8), "float64"),
         ((2, 9, 30, 30, 2), (3, 4, 5), "float32"), ((2, 50, 60, 2), (9, 8), "complex64")]  # fmt: skip


@pytest.mark.parametrize("value", [np.nan, -np.inf, "huge", "largest"])
@pytest.mark.parametrize(("shape", "kernel", "dtype"), CASES, ids=str)
def test_values_beyond_the_transforms(shape, kernel, dtype, value):
    """The pair of tiles that sees one is that of `direct`, others are as if it was not there."""
    info = np.finfo(dtype)
    number = {"huge": float(info.max) ** 0.75, "largest": info.max}.get(value, value)
    for seed in range(3):
        p = Problem(shape, kernel, 3, dtype, seed=seed, padding=2)
        calm, rng = p.compute(), np.random.default_rng(seed)
        at = tuple(rng.integers(n) for n in shape)
        p.x[at] = number
        with np.errstate(all="ignore"):
            found, direct = p.compute(), p.compute(method="direct")
        pairs = {
            pair for pair, _, samples in p.tiles()
            if all(s.start <= i + 2 < s.stop for i, s in zip(at[1:-1], samples, strict=True))
        }  # fmt: skip
        seen = np.zeros(found.shape, bool)
        for pair, results, _ in p.tiles():
            if pair in pairs:
                seen[(at[0], *results)] = True
        assert seen.any() and not seen.all()
        assert same_bits(found[~seen], calm[~seen])
        assert same_bits(found[seen], direct[seen])
        if number != number:
            reach = [slice(max(0, i + 2 - k + 1), i + 3) for i, k in zip(at[1:-1], kernel, strict=True)]
            touched = np.zeros(found.shape, bool)
            touched[(at[0], *reach)] = True
            assert np.array_equal(np.isnan(found), touched)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("dtypes", [("f4", "f4"), ("f8", "f8"), ("F", "F"), ("f4", "F"), ("D", "f8")], ids=str)
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_all_tiles_by_direct(mode, dtypes, data_format):
    """In its bits: bias, activations, layouts, chains."""
    p = Problem((2, 20, 43, 6), (7, 6), 4, *dtypes, groups=2, data_format=data_format, **mode)
    p.x[...] *= p.x.dtype.type(2.0**50 if p.x.dtype.itemsize == 4 or dtypes[0] == "F" else 2.0**320)
    p.last(p.x)[:, 4, 4, 0] = np.nan
    for more in ({}, {"activation": "relu", "threads": 3}) if p.bias.dtype.kind == "f" else ({},):
        with np.errstate(all="ignore"):
            assert same_bits(p.compute(**more), p.compute(method="direct", **more))


def test_long_row_by_direct():
    p = Problem((1, 5000, 1), (700,), 2, padding=9)
    p.x[0, 1000::1500] = np.inf
    with np.errstate(all="ignore"):
        assert same_bits(p.compute(), p.compute(method="direct"))


@pytest.mark.parametrize("scale", [1e-45, 1e-38, 1e-20, 1e-12, 1e-8, 1e8, 1e12, 1e20, 1e36, (1e-44, 1e9)])
def test_scaled_inputs(scale):
    """Also subnormal ones by large weights: spectra of a few digits would do for results as small."""
    p = Problem((1, 50, 60, 2), (9, 9), 2)
    scale, large = scale if isinstance(scale, tuple) else (scale, 1.0)
    with np.errstate(all="ignore"):
        p.x, p.w, p.bias = (p.x * scale).astype("f4"), p.w * np.float32(large), p.bias * 0
        p.x[:, :20] = 0
        p.assert_within(p.compute())


@pytest.mark.parametrize("scale", [1e-43, 1e-30, 1e-8, 1e8, 1e30, np.inf, np.nan])
def test_scaled_weights(scale):
    """A filter that could overflow or underflow leaves the problem to `direct`."""
    p = Problem((1, 50, 60, 2), (9, 9), 4)
    p.w[..., 2] *= np.float32(scale)
    plan = p.plan()
    assert plan.method == ("fft" if 1e-15 < scale < 1e15 else "direct")
    with np.errstate(all="ignore"):
        if plan.method == "direct":
            assert same_bits(plan(p.x), p.compute(method="direct"))
            assert "refused: a filter" in plan.explain()
        else:
            p.assert_within(plan(p.x))


def test_zeros():
    p = Problem((1, 50, 60, 1), (9, 9), 3)
    p.w[..., 1] = 0
    assert np.array_equal(p.compute()[..., 1], np.full((1, 42, 52), p.bias[1]))
    assert np.array_equal(p.compute(x=p.x * 0), np.broadcast_to(p.bias, (1, 42, 52, 3)))


REFUSED = [
    ({"stride": 2}, "f4", "f4"), ({}, "i4", "i4"), ({}, "f2", "f2"), ({"dtype": "f8"}, "f4", "f4"), ({}, "i4", "f4"),
    ({"dtype": "F"}, "f4", "f4"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "x_dtype", "w_dtype"), REFUSED, ids=str)
def test_refused(options, x_dtype, w_dtype):
    x, w = np.ones((1, 40, 40, 1), x_dtype), np.ones((15, 15, 1, 1), w_dtype)
    with pytest.raises(NotImplementedError, match="method is 'fft', which computes"):
        numconv.conv2d(x, w, method="fft", **options)


def test_workspace_is_stated_and_bounded():
    plan = numconv.plan_conv2d((None, 600, 600, 1), np.ones((63, 63, 1, 4), "f4"), method="fft")
    assert plan.method == "fft"
    assert 0 < plan.workspace_bytes <= fft.MOST_BYTES
    assert "tiles of" in plan.explain()


AUTO = [
    ((2048, 2048, 1), (31, 31), 1, "f4", True), ((2048, 2048, 1), (3, 3), 1, "f4", False),
    ((1 << 20, 1), (4096,), 1, "f8", True), ((1 << 20, 1), (9,), 32, "f4", False),
    ((30, 30, 1), (5, 5), 8, "f4", False), ((1024, 1024, 1), (63, 63), 16, "f4", True),
    ((56, 56, 64), (5, 5), 64, "f4", False),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "kernel", "filters", "dtype", "expected"), AUTO, ids=str)
def test_choice(shape, kernel, filters, dtype, expected):
    """By the problem of a sample: whatever the data format."""
    found = set()
    for data_format in FORMATS:
        x_shape, w_shape = (None, *shape), (*kernel, shape[-1], filters)
        if data_format == "channels_first":
            x_shape, w_shape = (None, shape[-1], *shape[:-1]), (filters, shape[-1], *kernel)
        kinds = np.dtype(dtype)
        problem, _ = conv_problem("conv", len(kernel), x_shape, kinds, w_shape, kinds, data_format=data_format)
        found.add(next(method for method in methods.chosen(problem) if method != "separable"))  # as of no such weights
    assert found == {"fft" if expected else "direct"}


def test_every_method_is_explained():
    lines = numconv.plan_conv2d((1, 99, 99, 1), np.ones((15, 15, 1, 1), "f4")).explain().splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["direct", *methods.OTHERS, "roofline", "reference"]


@pytest.mark.parametrize(("x_dtype", "w_dtype"), [("D", "f8"), ("f8", "D"), ("F", "f4"), ("f4", "F"), ("D", "D")])
def test_proof_of_mixed_types(monkeypatch, x_dtype, w_dtype):
    """A real operand has no imaginary part that an infinity could spoil: what proves kernels knows that too."""
    monkeypatch.setattr(proof, "proved", set())
    recipe.cache_clear()
    w = np.ones((9, 9, 2, 3), w_dtype)
    assert numconv.plan_conv2d((1, 40, 40, 2), w, x_dtype=x_dtype, method="fft").method == "fft"
    recipe.cache_clear()
