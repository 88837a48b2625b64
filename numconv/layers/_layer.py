"""What all layers have: a name, weights, and the two directions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from .._types import choice
from ._sizes import Shape

DTYPES = ("float32", "float64", "complex64", "complex128")
DATA_FORMATS = ("channels_last", "channels_first")

_KEYWORDS = ("name", "dtype", "trainable", "input_shape", "input_dim")
_LEFT_OUT = (
    "kernel_regularizer", "bias_regularizer", "activity_regularizer", "depthwise_regularizer", "kernel_constraint",
    "bias_constraint", "depthwise_constraint",
)  # fmt: skip


class Layer:
    """A layer: it holds weights, and knows forward and backward.

    Parameters
    ----------
    name : str, optional
        By default that of the class, numbered in its model: conv2d, conv2d_1.
    dtype : {"float32", "float64", "complex64", "complex128"}, optional
        The type of the whole model, float32 by default.
    trainable : bool, default True
        Whether `Sequential.fit` changes the weights.
    input_shape : tuple of int, optional
        For the first layer of a model: the shape of a sample, without N. None along axes of any size.

    Attributes
    ----------
    weights : list of ndarray
        Kernel and bias, if any, once the model knows its input's shape.
    gradients : list of ndarray
        dL/dw for each of them, after `backward`.
    """

    WEIGHTS: ClassVar[tuple[str, ...]] = ()
    OPTIONS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **keywords: Any) -> None:
        kind = type(self).__name__
        for keyword, value in keywords.items():
            if keyword in _LEFT_OUT and value is not None:
                raise NotImplementedError(f"{kind}: {keyword} is {value!r}; regularizers and constraints are not here")
            if keyword not in (*_KEYWORDS, *_LEFT_OUT):
                choice(kind, "keyword", keyword, (*self.OPTIONS, *_KEYWORDS))
                raise TypeError(f"{kind}: {keyword} was given twice")
        dtype, shape = keywords.get("dtype"), keywords.get("input_shape")
        if keywords.get("input_dim") is not None:
            shape = (keywords["input_dim"],)
        self.name: str | None = keywords.get("name")
        self.dtype = None if dtype is None else np.dtype(choice(kind, "dtype", dtype, DTYPES))
        self.trainable = bool(keywords.get("trainable", True))
        self.input_shape: Shape | None = None if shape is None else sample_shape(kind, shape)
        self.weights: list[np.ndarray] = []
        self.gradients: list[np.ndarray] = []
        self.built = False
        self._kept: Any = None

    # ---- what the kinds of layers define

    def output_shape(self, shape: Shape) -> Shape:
        """Of a sample, without N; ValueError where `shape` does not fit."""
        return shape

    def make_weights(self, shape: Shape, dtype: np.dtype, generator: np.random.Generator) -> list[np.ndarray]:
        """First weights for samples of a shape."""
        return []

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Outputs of a batch; in training, keep what `backward` needs."""
        raise NotImplementedError

    def backward(self, grad: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
        """From dL/dy, which is used up, to dL/dx, or None unless it is needed; `gradients` are filled on the way."""
        raise NotImplementedError

    # ---- what they have in common

    def __call__(self, x: Any, training: bool = False) -> np.ndarray:
        """Outputs of a batch."""
        if not self.built:
            raise ValueError(f"{self.label} is in no model yet, or in one that does not know its input's shape")
        return self.forward(np.asarray(x, self.dtype), training)

    def build(self, shape: Shape, dtype: np.dtype, generator: np.random.Generator) -> Shape:
        """Make weights for samples of a shape; returns that of the outputs."""
        out = self.output_shape(shape)
        self.weights = self.make_weights(shape, dtype, generator)
        self.dtype, self.built = dtype, True
        return out

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the weights."""
        return [w.copy() for w in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Replace all weights, by arrays or nested lists of the same shapes."""
        if not self.built:
            raise ValueError(f"{self.label} has no weights yet: its model does not know its input's shape")
        assign(f"{self.label}.set_weights", [self], weights)

    def count_params(self) -> int:
        """Numbers in all weights."""
        return sum(w.size for w in self.weights)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such a layer again, without its weights."""
        shared = {"name": self.name, "trainable": self.trainable}
        return shared | {option: _plain(getattr(self, option)) for option in self.OPTIONS}

    @property
    def label(self) -> str:
        """For messages: conv2d_1 (Conv2D)."""
        kind = type(self).__name__
        return kind if self.name is None else f"{self.name} ({kind})"

    def refuse(self, shape: Shape, expected: str) -> ValueError:
        """The error for inputs of a shape that does not fit."""
        return ValueError(f"{self.label} expects inputs {expected}, but gets {(None, *shape)}")

    def _take_kept(self) -> Any:
        kept, self._kept = self._kept, None
        if kept is None:
            raise ValueError(f"{self.label}: backward comes after forward(x, training=True), once")
        return kept


class Input:
    """What comes into a model.

    Parameters
    ----------
    shape : tuple of int
        Of a sample, without N; None along axes of any size.
    name : str, optional
        Not used.
    """

    def __init__(self, shape: Any, name: str | None = None) -> None:
        self.shape, self.name = sample_shape("Input", shape), name


def _plain(value: Any) -> Any:
    """For JSON; a function that made first weights is not needed again."""
    return "zeros" if callable(value) else list(value) if isinstance(value, tuple) else value


def sample_shape(name: str, shape: Any) -> Shape:
    """The shape of a sample: sizes, or None."""
    if isinstance(shape, int | np.integer):
        shape = (shape,)
    sizes = tuple(shape) if isinstance(shape, Sequence) and not isinstance(shape, str) else None
    if sizes is None or not all(size is None or (isinstance(size, int | np.integer) and size > 0) for size in sizes):
        raise ValueError(f"{name}: the shape of a sample is {shape!r}, expected sizes without N, such as (28, 28, 1)")
    return tuple(None if size is None else int(size) for size in sizes)


def default_name(kind: str) -> str:
    """Keras's: max_pooling2d, conv2d_transpose, re_lu."""
    apart = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", kind)
    return re.sub("([a-z])([A-Z])", r"\1_\2", apart).lower()


def assign(name: str, layers: Sequence[Layer], given: Sequence[Any]) -> None:
    """Put arrays into the weights of layers, all or none."""
    places = [
        (f"{layer.name}/{kind}", w) for layer in layers for kind, w in zip(layer.WEIGHTS, layer.weights, strict=False)
    ]
    shapes = ", ".join(f"{label} {w.shape}" for label, w in places)
    if isinstance(given, np.ndarray) or len(given) != len(places):
        raise ValueError(f"{name}: {len(given)} arrays given, expected {len(places)}: {shapes or 'none'}")
    arrays = []
    for (label, w), value in zip(places, given, strict=True):
        array = np.asarray(value)
        if array.shape != w.shape:
            raise ValueError(f"{name}: {label} is given as {array.shape}, expected {w.shape}")
        if array.dtype.kind not in ("biuf" if w.dtype.kind == "f" else "biufc"):
            raise TypeError(f"{name}: {label} is given as {array.dtype}, expected numbers for {w.dtype}")
        arrays.append(array)
    for (_, w), array in zip(places, arrays, strict=True):
        w[...] = array
