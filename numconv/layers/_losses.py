"""Losses: means over a batch, their gradients, and the targets that they take."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

import numpy as np

from .._types import choice
from ._activations import softmax
from ._sizes import Shape, shown

_EPSILON = 1e-7
"""Probabilities are kept so far from 0 and 1, as in Keras."""


class Loss:
    """What is made small; y are targets, p the model's outputs."""

    inside: ClassVar[str | None] = None
    """The activation past which `gradient_inside` holds: gradients that do not vanish where p is near 0 and 1."""

    def value(self, y: np.ndarray, p: np.ndarray) -> float:
        """The mean over a batch."""
        raise NotImplementedError

    def gradient(self, y: np.ndarray, p: np.ndarray) -> np.ndarray:
        """dL/dp; complex: dL/dRe + i dL/dIm."""
        raise NotImplementedError

    def gradient_inside(self, y: np.ndarray, p: np.ndarray) -> np.ndarray:
        """dL/dz, where p is the activation `inside` of z."""
        raise NotImplementedError

    def targets(self, name: str, y: Any, shape: Shape, dtype: np.dtype) -> np.ndarray:
        """Targets for outputs (N, *shape), of the model's type; ValueError where they do not fit."""
        given = np.asarray(y)
        if given.ndim == len(shape) and shape and shape[-1] == 1:
            given = given[..., None]
        fits = given.ndim == len(shape) + 1 and all(
            size is None or size == other for size, other in zip(shape, given.shape[1:], strict=True)
        )
        if not fits:
            raise ValueError(
                f"{name}: y has shape {given.shape}, but the model gives {shown(shape)}" + self._advice(given, shape)
            )
        if given.dtype.kind not in ("biuf" if dtype.kind == "f" else "biufc"):
            raise TypeError(f"{name}: y is {given.dtype}, expected numbers for {dtype}")
        if not np.isfinite(given).all():
            raise ValueError(f"{name}: y holds NaN or infinity")
        return given.astype(dtype)

    def _advice(self, given: np.ndarray, shape: Shape) -> str:
        return "; is a Flatten or a pooling missing?" if given.ndim <= len(shape) and len(shape) > 1 else ""

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such a loss again."""
        return {}


class MeanSquaredError(Loss):
    """The mean of ``|p - y|**2``."""

    def value(self, y: np.ndarray, p: np.ndarray) -> float:
        """The mean over a batch."""
        d = p - y
        return float(np.mean((d * d.conj()).real, dtype=np.float64))

    def gradient(self, y: np.ndarray, p: np.ndarray) -> np.ndarray:
        """dL/dp."""
        return (p - y) * y.real.dtype.type(2 / p.size)


class MeanAbsoluteError(Loss):
    """The mean of ``|p - y|``."""

    def value(self, y: np.ndarray, p: np.ndarray) -> float:
        """The mean over a batch."""
        return float(np.mean(np.abs(p - y), dtype=np.float64))

    def gradient(self, y: np.ndarray, p: np.ndarray) -> np.ndarray:
        """dL/dp."""
        d = p - y
        size = np.abs(d)
        return d / np.where(size == 0, 1, size) / y.real.dtype.type(p.size)


class _Crossentropy(Loss):
    """What cross-entropies have in common.

    Parameters
    ----------
    from_logits : bool, default False
        The model's outputs are logarithms of odds, not probabilities: it has no last softmax or sigmoid.
    """

    def __init__(self, from_logits: bool = False) -> None:
        self.from_logits = bool(from_logits)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such a loss again."""
        return {"from_logits": self.from_logits}

    def targets(self, name: str, y: Any, shape: Shape, dtype: np.dtype) -> np.ndarray:
        """Targets from 0 to 1."""
        _real(name, dtype)
        made = super().targets(name, y, shape, dtype)
        if made.size and not (made.min() >= 0 and made.max() <= 1):
            wrong = np.argwhere((made < 0) | (made > 1))[0]
            raise ValueError(f"{name}: y holds {made[tuple(wrong)]} (sample {wrong[0]}), expected 0 to 1")
        return made


def _real(name: str, dtype: np.dtype) -> None:
    if dtype.kind == "c":
        raise ValueError(f"{name}: a model of {dtype} gives no probabilities; expected the loss 'mse'")


def _shares(p: np.ndarray) -> np.ndarray:
    """Outputs that add up to 1, in Keras's manner not quite 0 or 1."""
    return np.clip(p / p.sum(axis=-1, keepdims=True), _EPSILON, 1 - _EPSILON)


def _shares_gradient(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Of ``-sum(y * log(_shares(p)))``."""
    total = p.sum(axis=-1, keepdims=True)
    q = p / total
    slope = np.where((q > _EPSILON) & (q < 1 - _EPSILON), -y / np.clip(q, _EPSILON, 1), 0)
    return (slope - (slope * q).sum(axis=-1, keepdims=True)) / total


def _rows(p: np.ndarray) -> int:
    return prod(p.shape[:-1])


class CategoricalCrossentropy(_Crossentropy):
    """``-sum(y * log(p))`` over the classes, the last axis: y are probabilities too, 1 for the right class.

    Parameters
    ----------
    from_logits : bool, default False
        The model has no last softmax.
    """

    inside = "softmax"

    def value(self, y: np.ndarray, p: np.ndarray) -> float:
        """The mean over a batch."""
        logarithms = _log_softmax(p) if self.from_logits else np.log(_shares(p))
        return -float(np.sum(y * logarithms, dtype=np.float64)) / _rows(p)

    def gradient(self, y: np.ndarray, p: np.ndarray) -> np.ndarray:
        """dL/dp."""
        if self.from_logits:
            return self.gradient_inside(y, softmax(p))
        return _shares_gradient(y, p) / p.dtype.type(_rows(p))

    def gradient_inside(self, y: np.ndarray, p: np.ndarray) -> np.ndarray:
        """dL/dz, where p = softmax(z)."""
        return (p * y.sum(axis=-1, keepdims=True) - y) * p.dtype.type(1 / _rows(p))

    def _advice(self, given: np.ndarray, shape: Shape) -> str:
        if given.ndim == len(shape) or given.shape[-1] == 1:
            return "; for labels that are numbers of classes: 'sparse_categorical_crossentropy'"
        return super()._advice(given, shape)


def _log_softmax(z: np.ndarray) -> np.ndarray:
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


class SparseCategoricalCrossentropy(_Crossentropy):
    """``-log(p[label])``: labels are numbers of classes, the last axis.

    Parameters
    ----------
    from_logits : bool, default False
        The model has no last softmax.
    """

    inside = "softmax"

    def targets(self, name: str, y: Any, shape: Shape, dtype: np.dtype) -> np.ndarray:
        """Labels (N, *shape[:-1]) as int64, from 0 to the number of classes less 1."""
        _real(name, dtype)
        given, classes = np.asarray(y), shape[-1]
        if given.ndim == len(shape) + 1 and given.shape[-1] == 1:
            given = given[..., 0]
        fits = given.ndim == len(shape) and all(
            size is None or size == other for size, other in zip(shape[:-1], given.shape[1:], strict=True)
        )
        if not fits:
            more = self._advice(given, shape)
            if given.ndim == len(shape) + 1:
                more = "; for one number a class: 'categorical_crossentropy'"
            raise ValueError(
                f"{name}: y has shape {given.shape}, but the model gives {shown(shape)}: "
                f"expected labels {shown(shape[:-1])}{more}"
            )
        if given.dtype.kind not in "biuf" or (given.dtype.kind == "f" and not (given == np.floor(given)).all()):
            raise TypeError(f"{name}: y is {given.dtype}, expected labels that are integers")
        assert classes is not None
        if given.size and not (given.min() >= 0 and given.max() < classes):
            wrong = np.argwhere((given < 0) | (given >= classes))[0]
            raise ValueError(
                f"{name}: y holds the label {given[tuple(wrong)]} (sample {wrong[0]}), "
                f"but the model gives {classes} classes: expected 0 to {classes - 1}"
            )
        return given.astype(np.int64)

    def value(self, y: np.ndarray, p: np.ndarray) -> float:
        """The mean over a batch."""
        logarithms = _log_softmax(p) if self.from_logits else np.log(_shares(p))
        rows = logarithms.reshape(-1, p.shape[-1])
        return -float(np.mean(rows[np.arange(len(rows)), y.ravel()], dtype=np.float64))

    def gradient(self, y: np.ndarray, p: np.ndarray) -> np.ndarray:
        """dL/dp."""
        if self.from_logits:
            return self.gradient_inside(y, softmax(p))
        right = np.zeros((_rows(p), p.shape[-1]), p.dtype)
        right[np.arange(len(right)), y.ravel()] = 1
        return _shares_gradient(right.reshape(p.shape), p) / p.dtype.type(_rows(p))

    def gradient_inside(self, y: np.ndarray, p: np.ndarray) -> np.ndarray:
        """dL/dz, where p = softmax(z)."""
        rows = p.reshape(-1, p.shape[-1]).copy()
        rows[np.arange(len(rows)), y.ravel()] -= 1
        rows *= p.dtype.type(1 / len(rows))
        return rows.reshape(p.shape)


class BinaryCrossentropy(_Crossentropy):
    """``-(y * log(p) + (1 - y) * log(1 - p))``, the mean over all outputs.

    Parameters
    ----------
    from_logits : bool, default False
        The model has no last sigmoid.
    """

    inside = "sigmoid"

    def value(self, y: np.ndarray, p: np.ndarray) -> float:
        """The mean over a batch."""
        if self.from_logits:
            each = np.maximum(p, 0) - p * y + np.log1p(np.exp(-np.abs(p)))
            return float(np.mean(each, dtype=np.float64))
        p = np.clip(p, _EPSILON, 1 - _EPSILON)
        return -float(np.mean(y * np.log(p) + (1 - y) * np.log1p(-p), dtype=np.float64))

    def gradient(self, y: np.ndarray, p: np.ndarray) -> np.ndarray:
        """dL/dp."""
        if self.from_logits:
            return self.gradient_inside(y, 1 / (1 + np.exp(-p)))
        between = (p > _EPSILON) & (p < 1 - _EPSILON)
        q = np.where(between, p, p.dtype.type(0.5))
        return np.where(between, (q - y) / (q * (1 - q)), 0) * p.dtype.type(1 / p.size)

    def gradient_inside(self, y: np.ndarray, p: np.ndarray) -> np.ndarray:
        """dL/dz, where p = sigmoid(z)."""
        return (p - y) * p.dtype.type(1 / p.size)


LOSSES: dict[str, type[Loss]] = {
    "mse": MeanSquaredError,
    "mean_squared_error": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "mean_absolute_error": MeanAbsoluteError,
    "categorical_crossentropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
    "binary_crossentropy": BinaryCrossentropy,
}


def loss_of(name: str, given: Any) -> Loss:
    """A loss, from itself or its name."""
    return given if isinstance(given, Loss) else LOSSES[choice(name, "loss", given, tuple(LOSSES), "a loss or ")]()


def loss_name(loss: Loss) -> str:
    """The long one."""
    return [name for name, kind in LOSSES.items() if type(loss) is kind][-1]
