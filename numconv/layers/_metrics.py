"""What is reported beside the loss: means over the samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._types import choice
from ._losses import BinaryCrossentropy, Loss, MeanAbsoluteError, MeanSquaredError, SparseCategoricalCrossentropy

Metric = Callable[[np.ndarray, np.ndarray], float]


def _share(right: np.ndarray) -> float:
    return int(np.count_nonzero(right)) / right.size


def _sparse(y: np.ndarray, p: np.ndarray) -> float:
    return _share(p.argmax(axis=-1) == y)


def _categorical(y: np.ndarray, p: np.ndarray) -> float:
    return _share(p.argmax(axis=-1) == y.argmax(axis=-1))


def _binary(y: np.ndarray, p: np.ndarray) -> float:
    return _share((p > 0.5) == (y > 0.5))


def _binary_logits(y: np.ndarray, p: np.ndarray) -> float:
    return _share((p > 0) == (y > 0.5))


NAMES = {"acc": "accuracy", "mean_squared_error": "mse", "mean_absolute_error": "mae"}
_MEANS: dict[str, Metric] = {"mse": MeanSquaredError().value, "mae": MeanAbsoluteError().value}
METRICS = ("accuracy", "mse", "mae", *NAMES)


def metrics_of(name: str, given: Any) -> list[str]:
    """Names of metrics, each once."""
    found = [] if given is None else [given] if isinstance(given, str) else list(given)
    chosen = [choice(name, "metrics", metric, METRICS, "a list of these or ") for metric in found]
    return list(dict.fromkeys(NAMES.get(metric, metric) for metric in chosen))


def metric_of(metric: str, loss: Loss, outputs: int | None) -> Metric:
    """How a metric is computed; `accuracy` depends on what the targets of the loss are."""
    labels = isinstance(loss, SparseCategoricalCrossentropy)
    if metric != "accuracy":
        if labels:
            raise ValueError(
                f"compile: the metric {metric!r} compares numbers, but the targets of this loss are labels"
            )
        return _MEANS[metric]
    if labels:
        return _sparse
    if isinstance(loss, BinaryCrossentropy):
        return _binary_logits if loss.from_logits else _binary
    return _binary if outputs == 1 else _categorical
