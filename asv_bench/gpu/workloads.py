"""Layers, images and signals, with what is asked of them on a GPU of the H200's class."""

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Workload:
    """A convolution of channels-first arrays; `bound` is "flops" or "bytes", what limits it."""

    name: str
    x: tuple[int, ...]
    w: tuple[int, ...]
    bound: str
    target: str
    dtype: str = "float32"
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def ndim(self) -> int:
        return len(self.w) - 2

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        kind = np.dtype(self.dtype)

        def values(shape):
            found = rng.standard_normal(shape, np.float32)
            return (found + 1j * rng.standard_normal(shape, np.float32) if kind.kind == "c" else found).astype(kind)

        return values(self.x), values(self.w)

    def flops(self, result: tuple[int, ...]) -> int:
        return prod(result) * prod(self.w[1:]) * (8 if np.dtype(self.dtype).kind == "c" else 2)

    def moved_bytes(self, result: tuple[int, ...]) -> int:
        return (prod(self.x) + prod(self.w) + prod(result)) * np.dtype(self.dtype).itemsize


def _layer(name: str, n: int, size: int, c: int, f: int, k: int, **more: Any) -> Workload:
    return Workload(name, (n, c, size, size), (f, c, k, k), "flops", "40 / 50 TFLOP/s, 1.0x torch", **more)


DENSE = (
    _layer("3x3x64, 56x56", 64, 56, 64, 64, 3),
    _layer("3x3x128, 56x56", 64, 56, 128, 128, 3),
    _layer("3x3x256, 28x28", 64, 28, 256, 256, 3),
    _layer("3x3x512, 14x14", 64, 14, 512, 512, 3),
    _layer("1x1x512, 14x14", 64, 14, 512, 512, 1),
    _layer("3x3x256, one image", 1, 28, 256, 256, 3),
)
BYTES = "75 / 90 % of copying, 2x torch"
THIN = (
    Workload("depthwise 3x3", (64, 256, 56, 56), (256, 1, 3, 3), "bytes", BYTES, options={"groups": 256}),
    Workload("depthwise 5x5", (64, 256, 28, 28), (256, 1, 5, 5), "bytes", BYTES, options={"groups": 256}),
    Workload("image 3x3", (1, 1, 8192, 8192), (1, 1, 3, 3), "bytes", BYTES),
    Workload("image 7x7, reflect", (1, 1, 8192, 8192), (1, 1, 7, 7), "bytes", BYTES, options={"pad_mode": "reflect"}),
    Workload("bank 8x5x5", (1, 1, 4096, 4096), (8, 1, 5, 5), "bytes", BYTES),
    Workload("first layer 7x7", (64, 3, 224, 224), (64, 3, 7, 7), "flops", "1x torch", options={"stride": 2}),
    Workload("signal, 31 taps", (1, 1, 1 << 26), (1, 1, 31), "bytes", "70 / 85 % of copying, 3x torch"),
    Workload("signal, 64 taps", (1, 1, 1 << 26), (1, 1, 64), "bytes", "70 / 85 % of copying, 3x torch"),
)
OTHER = (
    Workload("double 3x3x64", (16, 64, 56, 56), (64, 64, 3, 3), "flops", "30 / 45 TFLOP/s, 2x torch", "float64"),
    Workload("complex 3x3x32", (16, 32, 56, 56), (32, 32, 3, 3), "flops", "1.5x / 3x torch", "complex64"),
    Workload("half 3x3x64", (64, 64, 56, 56), (64, 64, 3, 3), "flops", "none: sums are float32", "float16"),
)
EVERY = (*DENSE, *THIN, *OTHER)
