"""Named problems for tests and benchmarks, random ones by the thousand, and the comparison of bits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np

from numconv._bench import suites
from numconv._bench.workload import Workload

FLOATS = ("float32", "float64", "complex64", "complex128")
PAIRS = (
    ("uint8", "int8"), ("int16", "int16"), ("bool", "uint8"), ("int32", "int32"), ("int64", "int64"),
    ("uint64", "uint8"), ("float16", "float16"), ("float32", "int8"), ("uint8", "float32"), ("float32", "float64"),
    ("complex64", "float32"), ("float64", "complex128"),
)  # fmt: skip
"""Types of x and w that random problems mix; each pair needs kernels of its own, so they are not all pairs."""
INTEGERS = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


@dataclass(frozen=True)
class Case:
    """A call of conv1d, conv2d or conv3d: sizes, types, options; the arrays come from `arrays`."""

    name: str
    n: int
    spatial: tuple[int, ...]
    channels: int
    filters: int
    kernel: tuple[int, ...]
    groups: int = 1
    x_dtype: str = "float32"
    w_dtype: str = ""
    bias: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def ndim(self) -> int:
        return len(self.kernel)

    @property
    def channels_last(self) -> bool:
        return self.options.get("data_format", "channels_last") == "channels_last"

    @property
    def keywords(self) -> dict[str, Any]:
        return {"groups": self.groups, **self.options}

    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of x and w."""
        inner = self.channels // self.groups
        if self.channels_last:
            return (self.n, *self.spatial, self.channels), (*self.kernel, inner, self.filters)
        return (self.n, self.channels, *self.spatial), (self.filters, inner, *self.kernel)

    def small(self) -> Case:
        """The same layer on an input small enough for the reference: a few outputs, some dozens of filters."""
        stride, dilation = (np.broadcast_to(self.options.get(name, 1), self.ndim) for name in ("stride", "dilation"))
        reach = [int((k - 1) * d + 1 + 5 * s) for k, s, d in zip(self.kernel, stride, dilation, strict=True)]
        spatial = tuple(min(size, r) for size, r in zip(self.spatial, reach, strict=True))
        filters = self.filters if self.groups > 1 else min(self.filters, 70)
        channels = self.channels if self.groups > 1 else min(self.channels, 300 // self.kernel[-1] + 3)
        if self.groups > 4:
            groups = 4
            filters, channels = filters // self.groups * groups, channels // self.groups * groups
            return replace(self, spatial=spatial, filters=filters, channels=channels, groups=groups)
        return replace(self, spatial=spatial, filters=filters, channels=channels)


def _case(workload: Workload) -> Case:
    """A workload of the benchmarks, of one sample."""
    names = {"stride": workload.stride, "padding": workload.padding, "dilation": workload.dilation}
    options = names if workload.channels_last else names | {"data_format": "channels_first"}
    sizes = workload.spatial, workload.channels, workload.filters, workload.kernel, workload.groups
    return Case(workload.name, 1, *sizes, options=options)


LAYERS = [
    *map(_case, suites.DENSE + suites.THIN + suites.DEPTHWISE + suites.GROUPED),
    *(_case(replace(layer, name=f"{layer.name}.first", channels_last=False)) for layer in suites.DENSE[-4:]),
    Case("wavenet.dilated", 1, (4096,), 64, 64, (2,), options={"dilation": 64, "padding": "causal"}),
    Case("speech.k9", 1, (1000,), 64, 64, (9,), options={"padding": "same"}),
    Case("eeg.depthwise", 4, (512,), 22, 44, (33,), 22, options={"data_format": "channels_first"}),
    Case("video.3d", 1, (8, 28, 28), 16, 32, (3, 3, 3), options={"padding": "same"}),
    Case("volume.unet3d", 1, (16, 16, 16), 8, 8, (3, 3, 3), options={"data_format": "channels_first", "padding": 1}),
]
"""Real layers, at their size."""

_FIRST: dict[str, Any] = {"data_format": "channels_first"}
IMAGES = [
    Case("image.3x3", 1, (2048, 2048), 1, 1, (3, 3), options={"padding": "same", **_FIRST}),
    Case(
        "image.7x7", 1, (1024, 1024), 1, 1, (7, 7), options={"padding": "same_lower", "pad_mode": "symmetric", **_FIRST}
    ),
    Case("image.15x15", 1, (512, 512), 1, 1, (15, 15), options={"padding": "same", "pad_mode": "reflect", **_FIRST}),
    Case("image.31x31", 1, (256, 256), 1, 1, (31, 31), options={"padding": "same", **_FIRST}),
    Case("bank.8x7x7", 1, (1024, 1024), 1, 8, (7, 7), options={"padding": "same", **_FIRST}),
    Case("bank.32x15x15", 1, (256, 256), 1, 32, (15, 15), options={"padding": "same", **_FIRST}),
    Case("colour.32x7x7", 1, (427, 640), 3, 32, (7, 7), options={"padding": "same", "activation": "relu"}),
    Case("signal.k64", 1, (65536,), 1, 32, (64,), options={"padding": "same", **_FIRST}),
    Case("signal.k1025", 1, (16384,), 1, 1, (1025,), options={"padding": "same", **_FIRST}),
    Case("tiny.1d", 1, (8,), 1, 1, (3,)),
    Case("tiny.2d", 1, (8, 8), 1, 1, (3, 3)),
]
"""Single images and signals, and banks of filters on them."""


def _tails() -> list[Case]:
    """Output widths and filter counts on both sides of every tile boundary."""
    cases = []
    for pixels in (1, 5, 6, 7, 9, 10, 11, 13, 15, 16, 17, 31, 33, 47, 48, 49, 63, 65, 80, 97):
        cases.append(Case(f"tail.pixels{pixels}", 1, (pixels + 2,), 3, 33, (3,), bias=True))
        cases.append(Case(f"tail.row{pixels}", 1, (4, pixels + 2), 2, 3, (3, 3), bias=True, options=dict(_FIRST)))
    for filters in (1, 2, 4, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 47, 48, 49, 63, 64, 65, 81, 130):
        for options in ({}, _FIRST):
            name = f"tail.filters{filters}" + ".first" * bool(options)
            cases.append(Case(name, 1, (5, 9), 3, filters, (2, 3), bias=True, options=dict(options)))
    for channels in (1, 28, 85, 86, 128, 129, 255, 256, 257, 600):
        cases.append(Case(f"chains.c{channels}", 1, (4, 5), channels, 17, (3, 3), options={"padding": "same"}))
    options = {"padding": "same", **_FIRST}  # planes that are transposed in squares of eight, which do not fill them
    cases.append(Case("chains.c11.first", 1, (4, 19), 11, 17, (3, 3), options=options))
    for options in ({}, _FIRST):  # chains in several planes
        name = "chains.c60.3d" + ".first" * bool(options)
        cases.append(Case(name, 1, (4, 5, 6), 60, 17, (3, 2, 3), options=dict(options)))
    for rows in (1, 2, 3, 4, 5, 16, 17, 40):
        cases.append(Case(f"chains.kh{rows}", 1, (rows + 3, 30), 1, 1, (rows, 17), options=dict(_FIRST)))
    for pixels, filters in product((17, 65, 129), (1, 2, 5)):  # of bytes, in tiles that vectors do not fill
        name, options = f"chains.bytes{pixels}x{filters}", dict(_FIRST)
        cases.append(Case(name, 1, (5, pixels + 1), 64, filters, (3, 2), x_dtype="uint8", options=options))
    return cases


def _modes() -> list[Case]:
    """Every padding, boundary mode, activation, dtype."""
    cases = []
    for mode in ("constant", "edge", "reflect", "symmetric", "wrap"):
        for padding in ("same", "same_lower", "full", ((3, 0), (0, 5))):
            options = {"padding": padding, "pad_mode": mode}
            word = padding if isinstance(padding, str) else "pairs"
            cases.append(Case(f"mode.{mode}.{word}", 2, (4, 5), 3, 9, (3, 4), options=options))
            cases.append(Case(f"mode.{mode}.{word}.first", 2, (4, 5), 3, 2, (4, 3), options={**options, **_FIRST}))
    for options in ({}, _FIRST):
        options = {"padding": "same", "pad_value": 1 + 2j, **options}
        cases.append(Case(f"pad.complex.{len(options)}", 1, (6, 7), 2, 3, (3, 3), x_dtype="complex64", options=options))
    for order, channels in (("rolling", 1), ("pixels", 2)):
        case = Case(f"pad.complex.{order}", 1, (12, 40), channels, channels, (5, 5), x_dtype="complex64")
        cases.append(replace(case, options={"padding": "same", "pad_value": 1 + 2j, **_FIRST}))
    for order, height, k in (("rolling", 100, 3), ("rows", 50, 15)):  # images whose interior is read where it lies
        cases.append(Case(f"wide.{order}", 1, (height, 340), 1, 1, (k, k), options={"padding": "same", **_FIRST}))
    for dtype in (*FLOATS, "float16", *INTEGERS):
        for options in ({}, _FIRST):
            case = Case(f"type.{dtype}", 2, (6, 7), 4, 18, (3, 3), x_dtype=dtype, bias=True, options=dict(options))
            cases.append(replace(case, name=case.name + ".first" * bool(options)))
    for dtype, options in product(("uint8", "uint16"), ({}, _FIRST)):  # of images, with weights that are not integers
        name = f"mixed.{dtype}.{len(options)}"
        cases.append(Case(name, 1, (6, 40), 2, 9, (3, 3), x_dtype=dtype, w_dtype="float32", options=dict(options)))
    for dtype in ("float64", "int8", "uint16", "int64", "float16", "complex64"):
        for options in ({}, _FIRST, {"flip": True, **_FIRST}):
            name = f"weights.{dtype}.{len(options)}"
            cases.append(Case(name, 1, (4, 5), 80, 130, (3, 2), 2, x_dtype=dtype, bias=True, options=dict(options)))
    for activation in ("relu", "leaky_relu", ("leaky_relu", 0.01)):
        for options in ({}, _FIRST):
            more = {"activation": activation, **options}
            cases.append(Case(f"activation.{activation}", 1, (6, 7), 4, 33, (3, 3), bias=True, options=more))
    for stride in (1, 2, 3, 5):
        for dilation in (1, 2, 3):
            options = {"stride": stride, "dilation": dilation, "padding": "same"}
            name = f"stride{stride}.dilation{dilation}"
            cases.append(Case(name, 1, (11, 13), 2, 3, (3, 2), options={**options, **_FIRST}))
            cases.append(Case(name + ".last", 1, (11, 13), 5, 20, (3, 2), options=options))
    for stride in ((1, 2), (3, 1), (2, 1, 2)):
        kernel, spatial = (3, 2, 2)[-len(stride) :], (9, 11, 13)[-len(stride) :]
        name = "stride" + "x".join(map(str, stride))
        cases.append(Case(name, 1, spatial, 5, 20, kernel, options={"stride": stride}))
        cases.append(Case(name + ".first", 1, spatial, 2, 3, kernel, options={"stride": stride, **_FIRST}))
    return cases


def _segments() -> list[Case]:
    """What packing takes apart: strides by runs of every length and type, dilations longer than a block."""
    cases = []
    for step in (2, 3, 4, 5):
        for outputs in (1, 4, 5, 8, 9, 16, 17, 33):
            options = {"stride": (1, step), "padding": ((0, 0), (1, 0)), **_FIRST}
            cases.append(Case(f"step{step}.out{outputs}", 1, (2, outputs * step), 2, 3, (1, 2), options=options))
        for x_dtype in (*FLOATS, "float16", *INTEGERS):
            options = {"stride": step, "padding": 1, **_FIRST}
            cases.append(Case(f"step{step}.{x_dtype}", 1, (7, 75), 2, 2, (3, 4), 2, x_dtype=x_dtype, options=options))
        cases.append(Case(f"step{step}.gathered", 2, (5, 40), step, 2, (2, 3), options={"padding": "same"}))
        for layout in ({}, _FIRST):
            name, options = f"step{step}.1x1" + ".first" * bool(layout), {"stride": step, **layout}
            cases.append(Case(name, 1, (9, 50), 24, 33, (1, 1), options=options))
    for dilation in (4, 6, 9):
        for stride in (1, 2, 3):
            for padding in ("same", "valid"):
                for layout in ({}, _FIRST):
                    options = {"stride": stride, "dilation": dilation, "padding": padding, **layout}
                    name = f"apart.d{dilation}.s{stride}.{padding}" + ".first" * bool(layout)
                    cases.append(Case(name, 1, (24, 31), 3, 10, (3, 3), options=options))
                    cases.append(Case(f"{name}.each", 1, (24, 31), 6, 6, (3, 3), 6, options=options))
    for layout in ({}, _FIRST):
        options = {"dilation": (5, 7, 8), "stride": (2, 1, 3), "padding": "same", "pad_mode": "wrap", **layout}
        cases.append(Case(f"apart.3d.{len(layout)}", 1, (9, 10, 21), 3, 9, (3, 2, 3), options=options))
    return cases


def _planes() -> list[Case]:
    """Planes one by one, packed in several rounds: narrower than a vector or not, taken apart or not."""
    cases = []
    for width in (3, 6, 10, 14, 17, 33, 70):
        for stride, dilation in ((1, 1), (2, 1), (2, 3)):
            options = {"stride": stride, "dilation": dilation, "padding": dilation, **_FIRST}
            name = f"planes.w{width}.s{stride}.d{dilation}"
            cases.append(Case(name, 2, (15, width), 50, 50, (3, 3), 50, bias=True, options=options))
    for mode in ("constant", "edge", "wrap"):
        options = {"padding": "same", "pad_mode": mode, "activation": "relu", **_FIRST}
        cases.append(Case(f"planes.{mode}", 1, (9, 14), 30, 60, (3, 3), 30, options=options))
    for dtype in ("float16", "float64", "int16"):
        options = {"padding": "same", "pad_value": 3, **_FIRST}
        cases.append(Case(f"planes.{dtype}", 1, (9, 14), 30, 30, (3, 3), 30, x_dtype=dtype, options=options))
    return cases


CASES = _tails() + _modes() + _segments() + _planes()
"""Small problems: tails, chains, modes, types, segments, planes."""
EVERY = LAYERS + IMAGES + CASES


def random_values(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Values over many magnitudes; whole ranges of the short integers."""
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if kind.kind in "iu":
        info = np.iinfo(kind) if kind.itemsize < 8 else np.iinfo(np.int32)
        return rng.integers(0 if kind.kind == "u" else info.min, info.max, shape, endpoint=True).astype(kind)

    def real() -> np.ndarray:
        return rng.standard_normal(shape) * 10.0 ** rng.integers(-2, 3, shape) ** (kind.itemsize > 2)

    return (real() + 1j * real() if kind.kind == "c" else real()).astype(kind)


def arrays(case: Case, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """x, w, bias of a case. Integer weights are small where data is floating (exact) or wide (sums fit 64 bits)."""
    x_shape, w_shape = case.shapes()
    w_dtype = case.w_dtype or case.x_dtype
    x, w = random_values(rng, x_shape, case.x_dtype), random_values(rng, w_shape, w_dtype)
    if w.dtype.kind in "iu" and (x.dtype.kind in "fc" or w.dtype.itemsize >= 4):
        w = (w % 100).astype(w.dtype)
    if not case.bias:
        return x, w, None
    compute = x.dtype if x.dtype.kind in "fc" and w.dtype.kind in "iub" else np.result_type(x, w)
    bias_dtype = compute.name if compute.kind in "fc" else "uint8"
    return x, w, random_values(rng, (case.filters,), bias_dtype)


def random_case(rng: np.random.Generator) -> Case:
    """Any small problem; some are refused (an empty output), which is for the caller to see."""
    pick = lambda *choices: choices[rng.integers(len(choices))]  # noqa: E731
    ndim = int(rng.integers(1, 4))
    groups = pick(1, 1, 1, 2, 3)
    inner, each = pick(1, 1, 2, 3, 5, 8, 17), pick(1, 1, 2, 3, 5, 8, 16, 17, 33, 40)
    if rng.random() < 0.15:
        groups, inner, each = int(rng.integers(1, 9)), 1, pick(1, 2)
    kernel = [int(rng.integers(1, (12, 6, 4)[ndim - 1])) for _ in range(ndim)]
    if rng.random() < 0.06 and ndim < 3:
        kernel[-1] = int(rng.integers(20, 60))
        inner, each = min(inner, 3), min(each, 5)
    if rng.random() < 0.02:
        groups, inner, each, kernel = 1, 300, min(each, 5), [min(k, 2) for k in kernel]
    spatial = tuple(int(rng.integers(1, (32, 11, 6)[ndim - 1])) for _ in range(ndim))
    x_dtype, w_dtype = (pick(*FLOATS),) * 2
    if rng.random() < 0.3:
        x_dtype, w_dtype = pick(*PAIRS)
    pairs = tuple((int(rng.integers(4)), int(rng.integers(4))) for _ in range(ndim))
    options: dict[str, Any] = {
        "stride": tuple(pick(1, 1, 1, 2, 3, 4) for _ in range(ndim)),
        "dilation": tuple(pick(1, 1, 1, 2, 3) * (1 + 3 * (rng.random() < 0.05)) for _ in range(ndim)),
        "data_format": pick("channels_last", "channels_first"),
        "padding": pick("valid", "same", "same_lower", "full", pairs),
        "pad_mode": pick("constant", "constant", "constant", "edge", "reflect", "symmetric", "wrap"),
        "flip": bool(rng.random() < 0.2),
    }
    if options["pad_mode"] == "constant" and rng.random() < 0.2:
        options["pad_value"] = 1
    kinds = np.result_type(x_dtype, w_dtype).kind
    if rng.random() < 0.3 and kinds != "c":
        options["activation"] = pick("relu", "leaky_relu") if kinds == "f" else "relu"
    if rng.random() < 0.15:
        integers, complexes = ("int8", "uint8", "int32", "int64"), ("complex64", "complex128")
        options["dtype"] = pick(*complexes) if kinds == "c" or rng.random() < 0.2 else pick(*integers)
        options["overflow"] = pick("saturate", "wrap")
    n, bias, sizes = pick(1, 1, 2, 3), bool(rng.random() < 0.4), (groups * inner, groups * each)
    return Case("random", n, spatial, *sizes, tuple(kernel), groups, x_dtype, w_dtype, bias, options)


def any_strides(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same values with other strides: axes in another order in memory, some reversed, some with gaps."""
    if rng.random() < 0.3:
        order = tuple(rng.permutation(x.ndim))
        x = np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))
    if rng.random() < 0.2:
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
        wide[..., ::2] = x
        x = wide[..., ::2]
    if rng.random() < 0.2:
        x = x[..., ::-1].copy()[..., ::-1]
    return x


def poisoned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An output whose every element shows whether it was written."""
    return np.full(shape, np.nan if dtype.kind in "fc" else 77, dtype)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal dtype, shape and bits; any NaN equals any NaN."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.dtype.kind == "c":
        return same_bits(a.real.copy(), b.real.copy()) and same_bits(a.imag.copy(), b.imag.copy())
    if a.dtype.kind in "iub":
        return np.array_equal(a, b)
    bits = f"u{a.dtype.itemsize}"
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    return bool(((a.view(bits) == b.view(bits)) | (np.isnan(a) & np.isnan(b))).all())


DATA = ("normal", "constant", "sparse", "half dark", "lognormal")
"""The kinds of samples that errors are asserted on."""


def data(kind: str, shape: tuple[int, ...], rng: np.random.Generator, axis: int = -1) -> np.ndarray:
    """Samples of a kind of `DATA`; half of an axis may be dark."""
    x = rng.standard_normal(shape)
    if kind == "constant":
        x[...] = 1.0
    elif kind == "sparse":
        x = np.where(rng.random(shape) < 0.01, x * 1e4, 0.0)
    elif kind == "half dark":
        np.moveaxis(x, axis, 0)[: shape[axis] // 2] *= 1e-6
    elif kind == "lognormal":
        x = np.exp(4 * x)
    return x
