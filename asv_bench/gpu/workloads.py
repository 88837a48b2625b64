"""Layers, images and signals, with what is asked of them on a GPU of the H200's class."""

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

ALL_PRECISIONS = ("ieee", "3xtf32", "tf32", "bf16")
BLOCK = 1_000_003
"""Random numbers that large arrays repeat: a prime, so that no two rows of one are alike."""


@dataclass(frozen=True)
class Workload:
    """A computation on channels-first arrays; `bound` is "flops" or "bytes", what limits it.

    `kind`: "forward", "transposed" (w is (C, F, ...)), "input gradient" (x is the gradient of the result of a
    convolution by w (F, C, ...)) or "weight gradient" (`w` is its shape alone, `g` follows).
    `targets` by precision; `options` are ours but for stride, padding (by default half a kernel) and groups.
    """

    name: str
    x: tuple[int, ...]
    w: tuple[int, ...]
    bound: str
    targets: dict[str, str]
    dtype: str = "float32"
    kind: str = "forward"
    stride: int = 1
    groups: int = 1
    pad_mode: str = "constant"
    layouts: tuple[str, ...] = ("channels_first", "channels_last")
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def ndim(self) -> int:
        return len(self.w) - 2

    @property
    def kernel(self) -> tuple[int, ...]:
        return self.w[2:]

    @property
    def padding(self) -> tuple[int, ...]:
        return tuple(k // 2 for k in self.kernel)

    @property
    def precisions(self) -> tuple[str, ...]:
        return ALL_PRECISIONS if self.dtype == "float32" and self.bound == "flops" else ("ieee",)

    @property
    def smaller(self) -> tuple[int, ...]:
        """(N, F, *out) of a forward convolution of x."""
        sizes = zip(self.x[2:], self.kernel, self.padding, strict=True)
        return (self.x[0], self.w[0], *((n + 2 * p - k) // self.stride + 1 for n, k, p in sizes))

    @property
    def result(self) -> tuple[int, ...]:
        if self.kind == "weight gradient":
            return self.w
        if self.kind == "forward":
            return self.smaller
        sizes = zip(self.x[2:], self.kernel, self.padding, strict=True)
        return (self.x[0], self.w[1] * self.groups, *((n - 1) * self.stride + k - 2 * p for n, k, p in sizes))

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """x, and w or, for its gradient, the gradient of the result."""
        rng = np.random.default_rng(0)
        return tuple(
            _values(rng, shape, self.dtype)
            for shape in (self.x, self.smaller if self.kind == "weight gradient" else self.w)
        )

    def flops(self) -> int:
        """Of the products, each with its sum: 2, or 8 of complex numbers."""
        pixels = self.x if self.kind in ("transposed", "input gradient") else self.smaller
        per = self.w[1] * prod(self.kernel)
        return pixels[0] * prod(pixels[2:]) * self.w[0] * per * (8 if np.dtype(self.dtype).kind == "c" else 2)

    def moved_bytes(self) -> int:
        """Of each array once."""
        second = self.smaller if self.kind == "weight gradient" else self.w
        return (prod(self.x) + prod(second) + prod(self.result)) * np.dtype(self.dtype).itemsize


def _values(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    block = rng.standard_normal(min(prod(shape), BLOCK), np.float32)
    if np.dtype(dtype).kind == "c":
        block = block + 1j * rng.standard_normal(len(block), np.float32)
    return np.resize(block.astype(dtype), shape)


FLOPS = {
    "ieee": "40 / 50 TFLOP/s, 1.0x torch",
    "3xtf32": "60 / 90 TFLOP/s",
    "tf32": "180 / 250 TFLOP/s",
    "bf16": "300 / 420 TFLOP/s",
}
BYTES = {"ieee": "75 / 90 % of copying, 2x torch"}
LONG, LONGER = {"ieee": "55 % of multiply-adds"}, {"ieee": "1x CuPy by FFT"}
SIGNAL = {"ieee": "70 / 85 % of copying, 3x torch"}
FIRST = ("channels_first",)
FFT = {"method": "fft"}
"""What "auto" does not take before it was measured."""


def _layer(name: str, n: int, size: int, c: int, f: int, k: int, **more: Any) -> Workload:
    return Workload(name, (n, c, size, size), (f, c, k, k), "flops", more.pop("targets", FLOPS), **more)


DENSE = (
    _layer("3x3x128, 56x56", 64, 56, 128, 128, 3),
    _layer("3x3x256, 28x28", 64, 28, 256, 256, 3),
    _layer("3x3x64, 56x56", 64, 56, 64, 64, 3),
    _layer("3x3x512, 14x14", 64, 14, 512, 512, 3),
    _layer("1x1x512, 14x14", 64, 14, 512, 512, 1),
    _layer("3x3x256, one image", 1, 28, 256, 256, 3),
)
THIN = (
    Workload("depthwise 3x3", (64, 256, 56, 56), (256, 1, 3, 3), "bytes", BYTES, groups=256),
    Workload("depthwise 5x5", (64, 256, 28, 28), (256, 1, 5, 5), "bytes", BYTES, groups=256),
    Workload("image 3x3", (1, 1, 8192, 8192), (1, 1, 3, 3), "bytes", BYTES, layouts=FIRST),
    Workload("image 7x7, reflect", (1, 1, 8192, 8192), (1, 1, 7, 7), "bytes", BYTES, pad_mode="reflect", layouts=FIRST),
    Workload("bank 8x5x5", (1, 1, 4096, 4096), (8, 1, 5, 5), "bytes", BYTES, layouts=FIRST),
    Workload("first layer 7x7", (64, 3, 224, 224), (64, 3, 7, 7), "flops", {"ieee": "1x torch"}, stride=2),
)
SIGNALS = (
    Workload("signal, 31 taps", (1, 1, 1 << 26), (1, 1, 31), "bytes", SIGNAL, layouts=FIRST),
    Workload("signal, 63 taps", (1, 1, 1 << 26), (1, 1, 63), "bytes", SIGNAL, layouts=FIRST),
    Workload("signal, 255 taps", (1, 1, 1 << 25), (1, 1, 255), "flops", LONG, layouts=FIRST),
    Workload("signal, 4095 taps", (1, 1, 1 << 22), (1, 1, 4095), "flops", LONGER, layouts=FIRST),
    Workload("signal, 4095 taps, fft", (1, 1, 1 << 22), (1, 1, 4095), "bytes", LONGER, layouts=FIRST, options=FFT),
    Workload("short signals 3x128", (256, 128, 512), (128, 128, 3), "flops", FLOPS),
    Workload("depthwise signals, 33 taps", (64, 256, 4096), (256, 1, 33), "bytes", SIGNAL, groups=256),
)
OTHER = (
    _layer("double 3x3x64", 16, 56, 64, 64, 3, dtype="float64", targets={"ieee": "30 / 45 TFLOP/s, 2x torch"}),
    _layer("complex 3x3x32", 16, 56, 32, 32, 3, dtype="complex64", targets={"ieee": "1.5x / 3x torch"}),
    _layer("half 3x3x64", 64, 56, 64, 64, 3, dtype="float16", targets={"ieee": "none: sums are float32"}),
    Workload("double depthwise 3x3", (16, 256, 56, 56), (256, 1, 3, 3), "bytes", BYTES, "float64", groups=256),
)
GRADIENTS = (
    _layer("input gradient 3x3x128", 64, 56, 128, 128, 3, kind="input gradient"),
    _layer("input gradient 3x3x128, stride 2", 64, 28, 128, 128, 3, kind="input gradient", stride=2),
    _layer("weight gradient 3x3x128", 64, 56, 128, 128, 3, kind="weight gradient", targets={"ieee": "0.6 of forward"}),
    Workload("transposed 4x4x128, stride 2", (64, 128, 28, 28), (128, 64, 4, 4), "flops", FLOPS, kind="transposed",
             stride=2),
    Workload("depthwise weight gradient", (64, 256, 56, 56), (256, 1, 3, 3), "bytes", {}, "float32", "weight gradient",
             groups=256),
)  # fmt: skip
EVERY = (*DENSE, *THIN, *SIGNALS, *OTHER, *GRADIENTS)
