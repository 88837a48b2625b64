"""Optimizers: one step for all weights of a model, which lie in one vector, as do the gradients.

A network has tens of arrays of weights, many of them small: the same step for each of them costs more time in calls
than in arithmetic. Long vectors are worked on in blocks that stay in the cache from the first operation to the last.
"""

from __future__ import annotations

from math import isfinite, sqrt
from typing import Any, ClassVar

import numpy as np

from .._types import choice

BLOCK = 1 << 14


class Optimizer:
    """Changes weights by their gradients."""

    SLOTS: ClassVar[int] = 0

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = _number(self, "learning_rate", learning_rate)
        self.iterations = 0
        self._slots: list[np.ndarray] = []

    def apply(self, weights: np.ndarray, gradients: np.ndarray) -> None:
        """One step, in place; `gradients` are used up. Complex numbers are pairs of real ones."""
        if weights.dtype.kind == "c":
            weights, gradients = weights.view(weights.real.dtype), gradients.view(weights.real.dtype)
        if len(self._slots) != self.SLOTS or any(s.shape != weights.shape for s in self._slots):
            self._slots = [np.zeros_like(weights) for _ in range(self.SLOTS)]
            self.iterations = 0
        self.iterations += 1
        for start in range(0, len(weights), BLOCK):
            cut = slice(start, start + BLOCK)
            self._step(weights[cut], gradients[cut], *(slot[cut] for slot in self._slots))

    def forget(self) -> None:
        """Begin anew: what was kept of earlier steps is wrong."""
        self._slots = []

    def _step(self, w: np.ndarray, g: np.ndarray, *slots: np.ndarray) -> None:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such an optimizer again."""
        return {name: value for name, value in vars(self).items() if name[0] != "_" and name != "iterations"}


class SGD(Optimizer):
    """Stochastic gradient descent.

    Parameters
    ----------
    learning_rate : float, default 0.01
        Length of a step beside the gradient.
    momentum : float, default 0
        The share of the last step that goes on: ``v = momentum * v - learning_rate * g``, ``w = w + v``.
    nesterov : bool, default False
        ``w = w + momentum * v - learning_rate * g`` instead.
    """

    def __init__(self, learning_rate: float = 0.01, momentum: float = 0.0, nesterov: bool = False) -> None:
        super().__init__(learning_rate)
        self.momentum, self.nesterov = _number(self, "momentum", momentum, most=1), bool(nesterov)

    @property
    def SLOTS(self) -> int:  # type: ignore[override]
        """The velocity, if there is one."""
        return 1 if self.momentum else 0

    def _step(self, w: np.ndarray, g: np.ndarray, *slots: np.ndarray) -> None:
        g *= -self.learning_rate
        if not slots:
            w += g
            return
        (v,) = slots
        v *= self.momentum
        v += g
        if self.nesterov:
            w += g
            w += self.momentum * v
        else:
            w += v


class RMSprop(Optimizer):
    """Steps beside the root of the mean square of past gradients: ``w = w - learning_rate * g / sqrt(v + epsilon)``.

    Parameters
    ----------
    learning_rate : float, default 0.001
        Length of a step.
    rho : float, default 0.9
        ``v = rho * v + (1 - rho) * g**2``.
    epsilon : float, default 1e-7
        Keeps from division by 0.
    """

    SLOTS = 1

    def __init__(self, learning_rate: float = 0.001, rho: float = 0.9, epsilon: float = 1e-7) -> None:
        super().__init__(learning_rate)
        self.rho, self.epsilon = _number(self, "rho", rho, most=1), _number(self, "epsilon", epsilon)

    def _step(self, w: np.ndarray, g: np.ndarray, *slots: np.ndarray) -> None:
        (v,) = slots
        scratch = g * g
        scratch *= 1 - self.rho
        v *= self.rho
        v += scratch
        np.add(v, self.epsilon, out=scratch)
        np.sqrt(scratch, out=scratch)
        g *= self.learning_rate
        g /= scratch
        w -= g


class Adam(Optimizer):
    """Adaptive moments (Kingma and Ba 2015).

    Parameters
    ----------
    learning_rate : float, default 0.001
        Length of a step.
    beta_1, beta_2 : float, default 0.9 and 0.999
        ``m = beta_1 * m + (1 - beta_1) * g``, ``v = beta_2 * v + (1 - beta_2) * g**2``.
    epsilon : float, default 1e-7
        ``w = w - learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon)``.
    """

    SLOTS = 2

    def __init__(
        self, learning_rate: float = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7
    ) -> None:
        super().__init__(learning_rate)
        self.beta_1, self.beta_2 = _number(self, "beta_1", beta_1, most=1), _number(self, "beta_2", beta_2, most=1)
        self.epsilon = _number(self, "epsilon", epsilon)

    def _step(self, w: np.ndarray, g: np.ndarray, *slots: np.ndarray) -> None:
        m, v = slots
        scratch = g - m
        scratch *= 1 - self.beta_1
        m += scratch
        g *= g
        g -= v
        g *= 1 - self.beta_2
        v += g
        np.sqrt(v, out=g)
        g += self.epsilon
        np.divide(m, g, out=g)
        g *= self.learning_rate * sqrt(1 - self.beta_2**self.iterations) / (1 - self.beta_1**self.iterations)
        w -= g


OPTIMIZERS: dict[str, type[SGD] | type[RMSprop] | type[Adam]] = {"sgd": SGD, "rmsprop": RMSprop, "adam": Adam}


def optimizer_of(name: str, given: Any) -> Optimizer:
    """An optimizer, from itself or its name."""
    if isinstance(given, Optimizer):
        return given
    word = given.lower() if isinstance(given, str) else given
    return OPTIMIZERS[choice(name, "optimizer", word, tuple(OPTIMIZERS), "an optimizer or ")]()


def _number(optimizer: Optimizer, argument: str, value: Any, most: float = float("inf")) -> float:
    said = f"{type(optimizer).__name__}: {argument} is {value!r}, expected a number >= 0"
    said += " and < 1" if most == 1 else ""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(said)
    if not isfinite(value) or value < 0 or value >= most:
        raise ValueError(said)
    return float(value)
