"""Workloads that go the other way: transposed convolutions, and gradients of convolutions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

import numconv
from numconv import grad

from .workload import Workload


@dataclass(frozen=True)
class Transposed(Workload):
    """A call of `conv_transpose`: `channels` and `spatial` are of its own input, `padding` is cropped."""

    operation: ClassVar[str] = "transposed"

    @property
    def w_shape(self) -> tuple[int, ...]:
        """(*kernel, F // G, C) or (C, F // G, *kernel)."""
        each = self.filters // self.groups
        return (*self.kernel, each, self.channels) if self.channels_last else (self.channels, each, *self.kernel)

    @property
    def out_spatial(self) -> tuple[int, ...]:
        """``(L - 1) * stride - 2 * padding + dilation * (k - 1) + 1`` of each axis."""
        return tuple(
            (size - 1) * self.stride - 2 * self.padding + self.dilation * (k - 1) + 1
            for size, k in zip(self.spatial, self.kernel, strict=True)
        )

    @property
    def flops(self) -> int:
        """Of every sample with every tap, those that are cropped too."""
        return 2 * self.n * prod(self.spatial) * self.channels * (self.filters // self.groups) * prod(self.kernel)

    def plan(self, w: np.ndarray) -> numconv.Plan:
        """With the weights packed."""
        make: Callable[..., numconv.Plan] = getattr(numconv, f"plan_conv_transpose{self.ndim}d")
        return make(self.x_shape, w, x_dtype=self.x_dtype, **self._options())

    def call(self, x: np.ndarray, w: np.ndarray, out: Any = None) -> Callable[[], np.ndarray]:
        """The function that a user would call, with its arguments."""
        function: Callable[..., np.ndarray] = getattr(numconv, f"conv_transpose{self.ndim}d")
        return lambda: function(x, w, out=out, **self._options())


@dataclass(frozen=True)
class InputGradient(Workload):
    """The gradient of a convolution with respect to its input: what is given as x is that of its result."""

    operation: ClassVar[str] = "input gradient"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of the convolution's input, and of the gradient."""
        return super().x_shape

    @property
    def x_shape(self) -> tuple[int, ...]:
        """(N, *out, F) or (N, F, *out)."""
        if self.channels_last:
            return (self.n, *self.out_spatial, self.filters)
        return (self.n, self.filters, *self.out_spatial)

    def plan(self, w: np.ndarray) -> Any:
        """The function: gradients have no plans."""

        def function(x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
            return self.call(x, w, out)()

        return function

    def call(self, x: np.ndarray, w: np.ndarray, out: Any = None) -> Callable[[], np.ndarray]:
        """The function that a user would call, with its arguments."""
        function: Callable[..., np.ndarray] = getattr(grad, f"conv{self.ndim}d_input")
        return lambda: function(self.input_shape, w, x, out=out, **self._options())


@dataclass(frozen=True)
class WeightGradient(InputGradient):
    """The gradient with respect to the weights: what is given as w is the convolution's input."""

    operation: ClassVar[str] = "weight gradient"

    @property
    def w_shape(self) -> tuple[int, ...]:
        """Of the convolution's input."""
        return self.input_shape

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Of the weights, and of the gradient."""
        return super().w_shape

    def call(self, x: np.ndarray, w: np.ndarray, out: Any = None) -> Callable[[], np.ndarray]:
        """The function that a user would call, with its arguments."""
        function: Callable[..., np.ndarray] = getattr(grad, f"conv{self.ndim}d_weight")
        return lambda: function(w, self.weight_shape, x, out=out, **self._options())

    def first(self, x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both as (N, channels, *spatial), contiguous."""
        if not self.channels_last:
            return x, w
        return np.ascontiguousarray(np.moveaxis(x, -1, 1)), np.ascontiguousarray(np.moveaxis(w, -1, 1))

    def own(self, result: np.ndarray) -> np.ndarray:
        """A gradient (F, C // G, *kernel) in this workload's layout."""
        return np.moveaxis(result, (0, 1), (-1, -2)) if self.channels_last else result
