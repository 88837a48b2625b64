"""`Sequential`: layers one after the other, and `Input`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._types import choice
from . import _training
from ._files import save
from ._layer import DTYPES, Input, Layer, assign, default_name, sample_shape
from ._losses import loss_of
from ._metrics import metrics_of
from ._optimizers import optimizer_of
from ._progress import Bar, level
from ._random import generator
from ._sizes import Shape
from ._summary import summary
from ._training import Compiled, History


class Sequential:
    """A chain of layers that predicts, learns, and is saved.

    Parameters
    ----------
    layers : sequence of Layer, optional
        The first may be an `Input`, or have an `input_shape`; otherwise the shape is that of the first data.
    name : str, default "sequential"
        For the summary.
    seed : int, optional
        Of first weights, the order of batches and dropout; by default what `set_random_seed` began, else chance.
    dtype : {"float32", "float64", "complex64", "complex128"}, default "float32"
        In which everything is computed.

    Attributes
    ----------
    layers : list of Layer
        The layers.
    history : History
        Of the last `fit`, also of one that was interrupted.

    Examples
    --------
    >>> import numpy as np
    >>> from numconv.layers import Dense, Sequential
    >>> x = np.linspace(-1, 1, 64).reshape(64, 1)
    >>> model = Sequential([Dense(16, activation="tanh", input_shape=(1,)), Dense(1)], seed=0)
    >>> model.compile(optimizer="adam", loss="mse")
    >>> history = model.fit(x, x**2, epochs=30, verbose=0)
    >>> history.history["loss"][-1] < history.history["loss"][0] / 2
    True
    """

    def __init__(
        self,
        layers: Sequence[Layer | Input] | None = None,
        name: str | None = None,
        *,
        seed: int | None = None,
        dtype: str | None = None,
    ) -> None:
        self.name = "sequential" if name is None else name
        self.layers: list[Layer] = []
        self.shapes: list[Shape] = []
        self.generator = generator(seed)
        self.history: History | None = None
        self._dtype = None if dtype is None else np.dtype(choice("Sequential", "dtype", dtype, DTYPES))
        self._input: Shape | None = None
        self._compiled: Compiled | None = None
        for layer in layers or ():
            self.add(layer)

    # ---- layers and shapes

    def add(self, layer: Layer | Input) -> None:
        """Append a layer; ValueError where its inputs do not fit, and the model is as it was.

        Parameters
        ----------
        layer : Layer or Input
            An `Input` only before all others.
        """
        if isinstance(layer, Input):
            if self.layers or self._input is not None:
                raise ValueError("add: an Input comes before all layers")
            self._input = layer.shape
            return
        if not isinstance(layer, Layer):
            raise TypeError(f"add: {layer!r} ({type(layer).__name__}) is no layer of numconv.layers")
        if layer.built or any(layer is other for other in self.layers):
            raise ValueError(f"add: {layer.label} is in a model already")
        self._agree(layer)
        given, layer.name = layer.name, self._name(layer)
        shape = self._input if self._input is not None or self.layers else layer.input_shape
        try:
            if shape is not None:
                self._build(layer, self.shapes[-1] if self.shapes else shape)
        except Exception:
            layer.name = given
            raise
        self._dtype = layer.dtype if self._dtype is None else self._dtype
        self._input = shape
        self.layers.append(layer)

    def _agree(self, layer: Layer) -> None:
        """One type for all layers: that of the model, or of the first layer that names one."""
        known = self._dtype or (np.dtype("float32") if self.built else None)
        if layer.dtype is not None and known is not None and layer.dtype != known:
            raise ValueError(f"add: {layer.label} is {layer.dtype}, but the model computes in {known}")

    def _name(self, layer: Layer) -> str:
        names = {other.name for other in self.layers}
        if layer.name is not None:
            if layer.name in names:
                raise ValueError(f"add: there is a layer named {layer.name!r} already")
            return layer.name
        name, number = default_name(type(layer).__name__), 0
        while (found := f"{name}_{number}" if number else name) in names:
            number += 1
        return found

    def _build(self, layer: Layer, shape: Shape) -> None:
        dtype = self._dtype or layer.dtype or np.dtype("float32")
        self.shapes.append(layer.build(shape, dtype, self.generator))

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make the weights for inputs of a shape.

        Parameters
        ----------
        input_shape : sequence of int
            With the batch axis, which may be None: ``(None, 28, 28, 1)``.
        """
        shape = sample_shape("build", tuple(input_shape)[1:])
        if not self.layers:
            raise ValueError("build: the model has no layers")
        if self.built:
            if shape != self._input:
                raise ValueError(f"build: the model is made for inputs {self.input_shape}, not {(None, *shape)}")
            return
        self.shapes, before = [], shape
        try:
            for layer in self.layers:
                self._build(layer, self.shapes[-1] if self.shapes else before)
        except Exception:
            for layer in self.layers:
                layer.built = False
            self.shapes = []
            raise
        self._input = shape

    @property
    def built(self) -> bool:
        """Whether there are weights."""
        return bool(self.layers) and len(self.shapes) == len(self.layers)

    @property
    def dtype(self) -> np.dtype:
        """In which everything is computed."""
        return self._dtype or np.dtype("float32")

    @property
    def input_shape(self) -> tuple:
        """Of a batch, (None, ...)."""
        return (None, *self._known("input_shape")._input)  # type: ignore[misc]

    @property
    def output_shape(self) -> tuple:
        """Of a batch, (None, ...)."""
        return (None, *self._known("output_shape").shapes[-1])

    def _known(self, what: str) -> Sequential:
        if not self.built:
            raise ValueError(
                f"{what}: the model does not know its input's shape; give its first layer an input_shape, "
                "or begin with Input(shape)"
            )
        return self

    # ---- weights

    @property
    def weights(self) -> list[np.ndarray]:
        """The weights themselves, layer by layer."""
        return [w for layer in self.layers for w in layer.weights]

    def get_weights(self) -> list[np.ndarray]:
        """Copies of all weights, layer by layer, kernel before bias."""
        self._known("get_weights")
        return [w.copy() for w in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Replace all weights.

        Parameters
        ----------
        weights : sequence of array_like
            As `get_weights` returns them; nested lists will do. Of other shapes or too few: ValueError, and nothing
            is changed.
        """
        assign("set_weights", self._known("set_weights").layers, weights)

    def count_params(self) -> int:
        """Numbers in all weights."""
        return sum(w.size for w in self._known("count_params").weights)

    def get_layer(self, name: str) -> Layer:
        """The layer of that name."""
        return self.layers[[layer.name for layer in self.layers].index(
            choice("get_layer", "name", name, tuple(str(layer.name) for layer in self.layers))
        )]  # fmt: skip

    def summary(self, print_fn: Callable[[str], Any] = print) -> None:
        """Print layers, shapes and numbers of weights as a table."""
        self._known("summary")
        print_fn(summary(self))

    # ---- forward

    def _forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    def _backward(self, grad: np.ndarray | None, inside: bool = False) -> None:
        """Fill the gradients of all layers that are trained, from dL/dp, or from before the last activation."""
        first = next(i for i, layer in enumerate(self.layers) if layer.trainable and layer.weights)
        for i in range(len(self.layers) - 1, first - 1, -1):
            layer: Any = self.layers[i]
            back = layer.backward_inside if inside and i == len(self.layers) - 1 else layer.backward
            grad = back(grad, i > first)
        for layer in self.layers[:first]:
            layer._kept = None

    def __call__(self, x: Any, training: bool = False) -> np.ndarray:
        """Outputs of one batch."""
        return self._forward(np.asarray(_training.inputs(self, "model", x), self.dtype), training)

    def predict(self, x: Any, batch_size: int | None = None, verbose: Any = "auto") -> np.ndarray:
        """Outputs for samples.

        Parameters
        ----------
        x : array_like, (N, *input_shape)
            Of any real type.
        batch_size : int, default 32
            Samples at a time; the result does not depend on it.
        verbose : {"auto", 0, 1, 2}
            0: without a bar on stderr, which otherwise appears after a second.

        Returns
        -------
        ndarray, (N, *output_shape)
            Of the model's type.
        """
        size, shown = _training.size_of_batches("predict", batch_size), level("predict", verbose)
        x = _training.inputs(self, "predict", x)
        starts = range(0, len(x), size)
        if not starts:
            return np.empty((0, *(length or 0 for length in self.shapes[-1])), self.dtype)
        bar, parts = Bar("predict", len(starts), shown == 1, delay=1.0), []
        try:
            for start in starts:
                parts.append(self._forward(np.asarray(x[start : start + size], self.dtype)))
                bar.step()
        finally:
            bar.close()
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    # ---- learning

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, metrics: Any = None) -> None:
        """Say how to learn.

        Parameters
        ----------
        optimizer : str or Optimizer, default "rmsprop"
            "sgd", "rmsprop", "adam", or one with options: ``SGD(0.1, momentum=0.9, nesterov=True)``.
        loss : str or Loss
            "mse", "mae", "categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy", or one
            with options: ``BinaryCrossentropy(from_logits=True)``.
        metrics : list of str, optional
            "accuracy", "mse", "mae": reported, not made small.
        """
        if loss is None:
            raise ValueError("compile: loss is missing")
        made = optimizer_of("compile", optimizer), loss_of("compile", loss), metrics_of("compile", metrics)
        self._compiled = Compiled(*made)

    def _told(self, name: str) -> Compiled:
        if self._compiled is None:
            raise ValueError(f"{name}: compile(optimizer, loss) comes first")
        return self._compiled

    def fit(
        self,
        x: Any,
        y: Any,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
    ) -> History:
        """Learn from examples.

        Parameters
        ----------
        x : array_like, (N, *input_shape)
            Inputs.
        y : array_like
            Targets, as the loss takes them: of the outputs' shape, or labels.
        batch_size : int, default 32
            Samples of a step.
        epochs : int, default 1
            How often all samples are seen.
        verbose : {"auto", 0, 1, 2}
            0: silent; 1 and "auto": a bar on stderr, where tqdm is installed, and a line for each epoch; 2: the lines.
        validation_split : float, default 0
            The share of the samples, the last ones, that only validate.
        validation_data : (x, y), optional
            Samples that only validate.
        shuffle : bool, default True
            See the samples in another order in each epoch.

        Returns
        -------
        History
            Loss and metrics of each epoch.

        Warns
        -----
        RuntimeWarning
            The loss is no longer finite: training stops, and the weights are those of the last epoch before.

        Notes
        -----
        With the same seed, data and weights the result is the same bits, for any number of threads.
        """
        told = self._told("fit")
        return _training.fit(
            self, told, x, y, batch_size, epochs, verbose, validation_split, validation_data, shuffle
        )  # fmt: skip

    def evaluate(
        self, x: Any, y: Any, batch_size: int | None = None, verbose: Any = "auto", return_dict: bool = False
    ) -> Any:
        """Loss and metrics for examples.

        Parameters
        ----------
        x, y : array_like
            As of `fit`.
        batch_size : int, default 32
            Samples at a time.
        verbose : {"auto", 0, 1, 2}
            0: without a bar on stderr, which otherwise appears after a second.
        return_dict : bool, default False
            Return them by name.

        Returns
        -------
        float, list of float, or dict
            The loss; with metrics a list that begins with it.
        """
        told, size = self._told("evaluate"), _training.size_of_batches("evaluate", batch_size)
        shown = level("evaluate", verbose)
        x, y = _training.data(self, told, "evaluate", x, y)
        bar = Bar("evaluate", -(-len(x) // size), shown == 1, delay=1.0)
        try:
            found = _training.evaluate(self, told, x, y, size, bar)
        finally:
            bar.close()
        return found if return_dict else list(found.values()) if len(found) > 1 else found["loss"]

    def save(self, path: str | os.PathLike) -> None:
        """Write the model to a file.

        Parameters
        ----------
        path : str or path
            Usually .npz: weights as arrays, the rest as JSON under "architecture". A file that is there is replaced
            only when the new one is whole. `load_model` reads it.
        """
        save(self, path)
