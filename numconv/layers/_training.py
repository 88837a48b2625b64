"""Training and evaluation: batches, epochs, what is reported, and when to stop."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from .._types import integer
from ._layer import Layer
from ._losses import Loss
from ._metrics import Metric, metric_of
from ._optimizers import Optimizer
from ._progress import Bar, level, line

if TYPE_CHECKING:
    from ._sequential import Sequential


class History:
    """What `Sequential.fit` returns.

    Attributes
    ----------
    history : dict of list of float
        For each epoch that ended: "loss", the metrics, and the same of the validation data as "val_loss" and so on.
    epoch : list of int
        Their numbers, from 0.
    stopped : str or None
        Why training ended before its last epoch.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.stopped: str | None = None

    def add(self, epoch: int, figures: dict[str, float]) -> None:
        """One more epoch."""
        self.epoch.append(epoch)
        for name, value in figures.items():
            self.history.setdefault(name, []).append(value)


@dataclass(frozen=True)
class Compiled:
    """What `Sequential.compile` was told."""

    optimizer: Optimizer
    loss: Loss
    metrics: list[str]

    def meter(self, outputs: int | None) -> Meter:
        """Nothing measured yet."""
        return Meter(self.loss, {name: metric_of(name, self.loss, outputs) for name in self.metrics})


@dataclass
class Meter:
    """Means over samples of the loss and the metrics."""

    loss: Loss
    metrics: dict[str, Metric]
    samples: int = 0
    sums: dict[str, float] = field(default_factory=dict)

    def add(self, y: np.ndarray, p: np.ndarray) -> float:
        """One more batch; returns its loss."""
        loss = self.loss.value(y, p)
        for name, value in (("loss", loss), *((name, metric(y, p)) for name, metric in self.metrics.items())):
            self.sums[name] = self.sums.get(name, 0.0) + value * len(y)
        self.samples += len(y)
        return loss

    def means(self) -> dict[str, float]:
        """Of all that was added."""
        return {name: total / self.samples for name, total in self.sums.items()}


class Parameters:
    """The trainable weights of layers in one vector, and room for their gradients in another.

    The layers' own weights become views of the vector.
    """

    def __init__(self, layers: Sequence[Layer], dtype: np.dtype) -> None:
        self._layers = [layer for layer in layers if layer.trainable and layer.weights]
        sizes = [w.size for layer in self._layers for w in layer.weights]
        self.weights, self.gradients = np.empty(sum(sizes), dtype), np.empty(sum(sizes), dtype)
        self._places: list[list[np.ndarray]] = []
        start = 0
        for layer in self._layers:
            self._places.append([])
            for i, w in enumerate(layer.weights):
                cut, start = slice(start, start + w.size), start + w.size
                place = self.weights[cut].reshape(w.shape)
                place[...] = w
                layer.weights[i] = place
                self._places[-1].append(self.gradients[cut].reshape(w.shape))

    def gather(self) -> None:
        """Collect what `backward` left in the layers."""
        for layer, places in zip(self._layers, self._places, strict=True):
            for place, gradient in zip(places, layer.gradients, strict=True):
                np.copyto(place, gradient)


class Fit:
    """One call of `Sequential.fit`."""

    def __init__(self, model: Sequential, compiled: Compiled, batch_size: int, shuffle: bool, verbose: int) -> None:
        self.model, self.compiled, self.batch_size = model, compiled, batch_size
        self.shuffle, self.verbose = shuffle, verbose
        self.parameters = Parameters(model.layers, model.dtype)
        self.last = model.layers[-1]
        self.inside = getattr(self.last, "activation", None) == compiled.loss.inside is not None

    def run(self, x: np.ndarray, y: np.ndarray, held: tuple | None, epochs: int) -> History:
        """All epochs."""
        history = self.model.history = History()
        with np.errstate(all="ignore"):  # what leaves the finite numbers stops training, with a warning of its own
            self._epochs(history, x, y, held, epochs)
        if history.stopped is not None:
            warnings.warn(history.stopped, RuntimeWarning, stacklevel=4)
        return history

    def _epochs(self, history: History, x: np.ndarray, y: np.ndarray, held: tuple | None, epochs: int) -> None:
        good = self.parameters.weights.copy()
        for epoch in range(epochs):
            start = perf_counter()
            figures = self._epoch(x, y, f"epoch {epoch + 1}/{epochs}")
            if figures is None:
                self.parameters.weights[...] = good
                self.compiled.optimizer.forget()
                history.stopped = self._complaint(epoch)
                return
            good[...] = self.parameters.weights
            if held is not None:
                found = evaluate(self.model, self.compiled, held[0], held[1], self.batch_size)
                figures |= {f"val_{name}": value for name, value in found.items()}
            history.add(epoch, figures)
            if self.verbose:
                print(f"epoch {epoch + 1}/{epochs}  {perf_counter() - start:.1f} s  {line(figures)}", flush=True)

    def _epoch(self, x: np.ndarray, y: np.ndarray, label: str) -> dict[str, float] | None:
        """Means over the epoch; None if the loss or the weights left the finite numbers."""
        order = self.model.generator.permutation(len(x)) if self.shuffle else None
        meter = self.compiled.meter(self.model.output_shape[-1])
        starts = range(0, len(x), self.batch_size)
        bar = Bar(label, len(starts), self.verbose == 1)
        try:
            for start in starts:
                cut: Any = slice(start, start + self.batch_size)
                batch = cut if order is None else order[cut]
                if not isfinite(self._step(x[batch], y[batch], meter)):
                    return None
                if bar.step():
                    bar.show(meter.means())
        finally:
            bar.close()
        return meter.means() if np.isfinite(self.parameters.weights).all() else None

    def _step(self, x: np.ndarray, y: np.ndarray, meter: Meter) -> float:
        """One batch forward, backward, and a step of the optimizer; its loss."""
        loss = self.compiled.loss
        p = self.model._forward(np.asarray(x, self.model.dtype), training=True)
        value = meter.add(y, p)
        if isfinite(value):
            grad = loss.gradient_inside(y, p) if self.inside else loss.gradient(y, p)
            self.model._backward(grad, self.inside)
            self.parameters.gather()
            self.compiled.optimizer.apply(self.parameters.weights, self.parameters.gradients)
        return value

    def _complaint(self, epoch: int) -> str:
        kept = f"as they were after epoch {epoch}" if epoch else "as they were before"
        return (
            f"fit: the loss is no longer a finite number in epoch {epoch + 1}; training has stopped, and the weights "
            f"are {kept}. A smaller learning_rate (now {self.compiled.optimizer.learning_rate:g}) or data scaled to "
            "about 1 usually help."
        )


def evaluate(
    model: Sequential, compiled: Compiled, x: np.ndarray, y: np.ndarray, batch_size: int, bar: Bar | None = None
) -> dict[str, float]:
    """Loss and metrics of checked data."""
    meter = compiled.meter(model.output_shape[-1])
    for start in range(0, len(x), batch_size):
        cut = slice(start, start + batch_size)
        meter.add(y[cut], model._forward(np.asarray(x[cut], model.dtype)))
        if bar is not None:
            bar.step()
    return meter.means()


def inputs(model: Sequential, name: str, x: Any) -> np.ndarray:
    """Samples (N, *input_shape) of any type that the model's holds; the model is built for them if it is not yet."""
    x = np.asarray(x)
    if x.dtype.kind not in ("biuf" if model.dtype.kind == "f" else "biufc"):
        raise TypeError(f"{name}: x is {x.dtype}, expected numbers for a model of {model.dtype}")
    if x.ndim and not model.built:
        model.build((None, *x.shape[1:]))
    shape = model.input_shape[1:]
    fits = x.ndim == len(shape) + 1 and all(
        size is None or size == other for size, other in zip(shape, x.shape[1:], strict=True)
    )
    if not fits:
        one = x.ndim == len(shape) and all(a is None or a == b for a, b in zip(shape, x.shape, strict=True))
        advice = "; for one sample: x[None]" if one else ""
        if x.ndim == len(shape) and x.shape[1:] == shape[:-1] and shape[-1] == 1:
            advice = "; for one channel: x[..., None]"
        raise ValueError(f"{name}: x has shape {x.shape}, expected {model.input_shape}{advice}")
    return x


def finite(name: str, argument: str, array: np.ndarray) -> None:
    """ValueError for data to train on that holds NaN or infinity."""
    if array.dtype.kind in "fc" and not (good := np.isfinite(array)).all():
        sample = int(np.argwhere(~good)[0][0])
        raise ValueError(f"{name}: {argument} holds NaN or infinity (sample {sample})")


def data(model: Sequential, compiled: Compiled, name: str, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Checked inputs and targets, as many of both, at least one."""
    x = inputs(model, name, x)
    if y is None:
        raise ValueError(f"{name}: y is missing")
    y = compiled.loss.targets(name, y, model.output_shape[1:], model.dtype)
    if len(x) != len(y):
        raise ValueError(f"{name}: x has {len(x)} samples and y has {len(y)}")
    if not len(x):
        raise ValueError(f"{name}: x has no samples")
    return x, y


def size_of_batches(name: str, given: Any) -> int:
    """32 unless something else is wanted, as in Keras."""
    return 32 if given is None else integer(given, 1, f"{name}: batch_size is {given!r}, expected an int >= 1")


def fit(
    model: Sequential,
    compiled: Compiled,
    x: Any,
    y: Any,
    batch_size: Any,
    epochs: Any,
    verbose: Any,
    validation_split: Any,
    validation_data: Any,
    shuffle: Any,
) -> History:
    """`Sequential.fit`: check everything, then train."""
    size, shown = size_of_batches("fit", batch_size), level("fit", verbose)
    epochs = integer(epochs, 1, f"fit: epochs is {epochs!r}, expected an int >= 1")
    x, y = data(model, compiled, "fit", x, y)
    finite("fit", "x", x)
    compiled.meter(model.output_shape[-1])
    held = None
    if validation_data is not None:
        if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
            raise ValueError("fit: validation_data is expected as (x, y)")
        held = data(model, compiled, "fit: validation_data", *validation_data)
    elif validation_split:
        count = _held_out(validation_split, len(x))
        x, y, held = x[:-count], y[:-count], (x[-count:], y[-count:])
    if not any(layer.trainable and layer.weights for layer in model.layers):
        raise ValueError("fit: no layer has weights to train")
    return Fit(model, compiled, size, bool(shuffle), shown).run(x, y, held, epochs)


def _held_out(split: Any, samples: int) -> int:
    """Samples at the end, as in Keras, that only validate."""
    if isinstance(split, bool) or not isinstance(split, int | float) or not 0 <= split < 1:
        raise ValueError(f"fit: validation_split is {split!r}, expected a number >= 0 and < 1")
    count = samples - int(samples * (1 - split))
    if not 0 < count < samples:
        raise ValueError(f"fit: validation_split={split} of {samples} samples leaves {samples - count} to train on")
    return count
