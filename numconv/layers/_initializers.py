"""First weights, by Keras's names and definitions."""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt

import numpy as np

from .._types import choice

Draw = Callable[[tuple[int, ...], np.random.Generator], np.ndarray]

_TRUNCATED = 0.87962566103423978
"""Standard deviation of a normal distribution that ends at two standard deviations."""


def _constant(value: float) -> Draw:
    return lambda shape, generator: np.full(shape, value)


def _uniform(limit: float) -> Draw:
    return lambda shape, generator: generator.uniform(-limit, limit, shape)


def _normal(deviation: float) -> Draw:
    return lambda shape, generator: generator.normal(0, deviation, shape)


def _truncated(deviation: float) -> Draw:
    """Values beyond two standard deviations are drawn again."""

    def draw(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        values = generator.standard_normal(shape)
        while (far := np.abs(values) > 2).any():
            values[far] = generator.standard_normal(np.count_nonzero(far))
        return values * deviation

    return draw


def _scaled(scale: float, of: str, normal: bool) -> Draw:
    """Variance `scale` over the inputs ("in") of an output, or their mean with the outputs of an input ("both")."""

    def draw(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        fan_in, fan_out = fans(shape)
        variance = scale / max(1.0, fan_in if of == "in" else (fan_in + fan_out) / 2)
        make = _truncated(sqrt(variance) / _TRUNCATED) if normal else _uniform(sqrt(3 * variance))
        return make(shape, generator)

    return draw


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Inputs of an output and outputs of an input, of weights ``(*kernel, C, F)``, as Keras counts them."""
    if len(shape) < 2:
        return prod(shape), prod(shape)
    taps = prod(shape[:-2])
    return shape[-2] * taps, shape[-1] * taps


INITIALIZERS: dict[str, Draw] = {
    "zeros": _constant(0.0),
    "ones": _constant(1.0),
    "glorot_uniform": _scaled(1, "both", normal=False),
    "glorot_normal": _scaled(1, "both", normal=True),
    "he_uniform": _scaled(2, "in", normal=False),
    "he_normal": _scaled(2, "in", normal=True),
    "lecun_uniform": _scaled(1, "in", normal=False),
    "lecun_normal": _scaled(1, "in", normal=True),
    "random_uniform": _uniform(0.05),
    "random_normal": _normal(0.05),
    "truncated_normal": _truncated(0.05),
}


def initializer(name: str, argument: str, given: str | Callable) -> str | Callable:
    """A known name, or a function ``f(shape, dtype)``."""
    return given if callable(given) else choice(name, argument, given, tuple(INITIALIZERS), also="a function or ")


def draw(given: str | Callable, shape: tuple[int, ...], dtype: np.dtype, generator: np.random.Generator) -> np.ndarray:
    """First weights; complex ones have their variance in equal parts in both parts."""
    if not isinstance(given, str):
        return np.array(given(shape, dtype), dtype)
    make = INITIALIZERS[given]
    if dtype.kind == "c" and given not in ("zeros", "ones"):
        return ((make(shape, generator) + 1j * make(shape, generator)) / sqrt(2)).astype(dtype)
    return make(shape, generator).astype(dtype)
