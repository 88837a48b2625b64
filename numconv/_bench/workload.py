"""A convolution to be timed: sizes, types, layout, arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

import numconv


@dataclass(frozen=True)
class Workload:
    """A call of conv1d, conv2d or conv3d, or, as a `bank`, of filter_bank on one bare signal or image.

    Only what all libraries have is used: zeros around the input, the same number on both sides (`padding`).

    Attributes
    ----------
    name : network and layer, or what it is.
    spatial, kernel : one to three sizes each.
    n, channels, filters, groups : N, C, F, G; a bank has N = C = G = 1.
    stride, dilation, padding : the same along all axes.
    x_dtype, w_dtype, dtype : of input, weights (default: as x), result (default: numconv's).
    reduce : what is made of each map, as numconv's `reduce`.
    method : numconv's, which others are not asked for.
    separable : each filter is a product of a column and a row.
    yardsticks : other ways through numconv to be timed beside it, by the names in `yardsticks.YARDSTICKS`.
    """

    operation: ClassVar[str] = "convolution"

    name: str
    spatial: tuple[int, ...]
    kernel: tuple[int, ...]
    n: int = 1
    channels: int = 1
    filters: int = 1
    groups: int = 1
    stride: int = 1
    dilation: int = 1
    padding: int = 0
    channels_last: bool = True
    bank: bool = False
    x_dtype: str = "float32"
    w_dtype: str = ""
    dtype: str | None = None
    reduce: tuple[str, ...] = ()
    method: str = "auto"
    separable: bool = False
    yardsticks: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Name, type and layout, which only one workload of a suite has."""
        layout = "bank" if self.bank else "channels_last" if self.channels_last else "channels_first"
        return f"{self.name} {self.x_dtype} {layout}"

    @property
    def ndim(self) -> int:
        """Spatial axes."""
        return len(self.kernel)

    @property
    def x_shape(self) -> tuple[int, ...]:
        """(N, *spatial, C), (N, C, *spatial) or, of a bank, the bare (*spatial)."""
        if self.bank:
            return self.spatial
        return (self.n, *self.spatial, self.channels) if self.channels_last else (self.n, self.channels, *self.spatial)

    @property
    def w_shape(self) -> tuple[int, ...]:
        """(*kernel, C // G, F), (F, C // G, *kernel) or, of a bank, (F, *kernel)."""
        inner = self.channels // self.groups
        if self.bank:
            return (self.filters, *self.kernel)
        return (*self.kernel, inner, self.filters) if self.channels_last else (self.filters, inner, *self.kernel)

    @property
    def out_spatial(self) -> tuple[int, ...]:
        """``floor((L + 2 * padding - dilation * (k - 1) - 1) / stride) + 1`` of each axis."""
        return tuple(
            (size + 2 * self.padding - self.dilation * (k - 1) - 1) // self.stride + 1
            for size, k in zip(self.spatial, self.kernel, strict=True)
        )

    @property
    def flops(self) -> int:
        """Operations: 2 a product, 4 where one operand is complex, 8 where both are."""
        both = [np.dtype(dtype).kind == "c" for dtype in (self.x_dtype, self.w_dtype or self.x_dtype)]
        products = self.n * prod(self.out_spatial) * self.filters * prod(self.kernel) * (self.channels // self.groups)
        return products * 2 ** (1 + sum(both))

    @property
    def scalar(self) -> str:
        """Whose multiply-adds are the peak: f8 of float64 and complex128, f4 of all others."""
        return "f8" if np.dtype(self.x_dtype) in (np.float64, np.complex128) else "f4"

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return x and w: normal, or all values of short integers; always the same."""
        rng = np.random.default_rng(0)
        x, w = _values(rng, self.x_shape, self.x_dtype), _values(rng, self.w_shape, self.w_dtype or self.x_dtype)
        return x, w[:, :, :1] * w[:, :1, :] if self.separable else w

    def plan(self, w: np.ndarray) -> numconv.Plan:
        """With the weights packed."""
        make: Callable[..., numconv.Plan]
        make = numconv.plan_filter_bank if self.bank else getattr(numconv, f"plan_conv{self.ndim}d")
        return make(self.x_shape, w, x_dtype=self.x_dtype, **self._options())

    def call(self, x: np.ndarray, w: np.ndarray, out: Any = None) -> Callable[[], np.ndarray]:
        """The function that a user would call, with its arguments."""
        function: Callable[..., np.ndarray]
        function = numconv.filter_bank if self.bank else getattr(numconv, f"conv{self.ndim}d")
        options = self._options() | ({} if out is None else {"out": out})
        return lambda: function(x, w, **options)

    def _options(self) -> dict[str, Any]:
        """Those that differ from the function's defaults."""
        layout = "channels_last" if self.channels_last else "channels_first"
        chosen: dict[str, Any] = {name: getattr(self, name) for name in ("stride", "dilation", "padding", "dtype")}
        chosen |= {"reduce": self.reduce} if self.reduce else {}
        chosen |= {"method": self.method} if self.method != "auto" else {}
        chosen |= {"pad_mode": "constant"} if self.bank else {"groups": self.groups, "data_format": layout}
        usual: dict[str, Any] = {"stride": 1, "dilation": 1, "dtype": None, "groups": 1, "data_format": "channels_last"}
        if not self.bank:
            usual["padding"] = 0
        return {name: value for name, value in chosen.items() if name not in usual or usual[name] != value}

    def first(self, x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As (N, C, *spatial) and (F, C // G, *kernel), contiguous: the layout that other libraries start from."""
        if self.bank:
            return x[None, None], w[:, None]
        if not self.channels_last:
            return x, w
        return np.ascontiguousarray(np.moveaxis(x, -1, 1)), np.ascontiguousarray(np.moveaxis(w, (-1, -2), (0, 1)))

    def own(self, result: np.ndarray) -> np.ndarray:
        """A result (N, F, *out) in this workload's layout, or reductions as they are."""
        if self.reduce:
            return result
        if self.bank:
            return result[0]
        return np.moveaxis(result, 1, -1) if self.channels_last else result

    def part(self, maps: np.ndarray) -> np.ndarray:
        """What is asked for of maps (F, *spatial), as filters give them whose tap ``k // 2`` lies over the output."""
        starts = [k // 2 - self.padding for k in self.kernel]
        return maps[(slice(None), *(slice(a, a + size) for a, size in zip(starts, self.out_spatial, strict=True)))]


def _values(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        info = np.iinfo(kind)
        return rng.integers(info.min, info.max, shape, kind, endpoint=True)
    values = rng.standard_normal(shape)
    return (values + 1j * rng.standard_normal(shape) if kind.kind == "c" else values).astype(kind)
