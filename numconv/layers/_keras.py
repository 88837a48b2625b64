"""From a live model of Keras, by what its layers say of themselves; Keras is not imported."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ._catalogue import LAYERS
from ._initializers import INITIALIZERS
from ._sequential import Sequential


def from_keras(model: Any) -> Sequential:
    """Make a model of a Keras model that is in memory, with its weights.

    Parameters
    ----------
    model : keras.Sequential
        Of layers that `numconv.layers` has; of Keras 2 (tf.keras) or 3, with any backend.

    Returns
    -------
    Sequential
        Which predicts the same, up to the rounding of sums. float64 if the model is, otherwise float32.

    Raises
    ------
    NotImplementedError
        A layer, or an option of one, that is not here.
    TypeError
        The object is no such model.

    Notes
    -----
    Dropout, regularizers, the optimizer and the loss only matter in training: dropout is taken over, the others are
    not.

    Examples
    --------
    ``numconv_model = from_keras(keras_model)``
    """
    kind = type(model).__name__
    if not all(hasattr(model, name) for name in ("layers", "get_weights", "input_shape")):
        raise TypeError(f"from_keras: {kind} is no model of Keras: expected a keras.Sequential that knows its input")
    if kind != "Sequential":
        raise NotImplementedError(
            f"from_keras: {kind} may branch; if it is a chain of layers: keras.Sequential(model.layers)"
        )
    layers = [layer for layer in model.layers if type(layer).__name__ != "InputLayer"]
    made = Sequential(name=str(getattr(model, "name", "sequential")), dtype=_dtype(layers))
    for layer in layers:
        made.add(_layer(layer))
    made.build((None, *model.input_shape[1:]))
    for ours, layer in zip(made.layers, layers, strict=True):
        ours.set_weights([np.asarray(w) for w in layer.get_weights()])
    return made


def _dtype(layers: list[Any]) -> str:
    """float64 if any layer is: a string, or a policy as a dictionary."""
    policies = [layer.get_config().get("dtype") for layer in layers]
    names = [policy.get("config", {}).get("name") if isinstance(policy, dict) else policy for policy in policies]
    return "float64" if "float64" in names else "float32"


def _layer(layer: Any) -> Any:
    kind, config = type(layer).__name__, layer.get_config()
    if kind not in LAYERS:
        raise NotImplementedError(
            f"from_keras: {config.get('name')} is a {kind}, which is not here; there are {', '.join(LAYERS)}"
        )
    options = {option: _value(kind, option, config[option]) for option in LAYERS[kind].OPTIONS if option in config}
    return LAYERS[kind](name=config.get("name"), trainable=config.get("trainable", True), **options)


def _value(kind: str, option: str, given: Any) -> Any:
    """An option of Keras's as ours: names out of dictionaries, tuples for lists, numbers for arrays."""
    if option.endswith("_initializer"):
        name = given.get("class_name", "") if isinstance(given, dict) else given
        word = re.sub("([a-z])([A-Z])", r"\1_\2", str(name)).lower()
        return word if word in INITIALIZERS else "zeros"  # weights follow
    if option == "activation" and isinstance(given, dict):
        inner = given.get("config")
        if not isinstance(inner, str):
            raise NotImplementedError(f"from_keras: {kind} has the activation {given.get('class_name')!r}")
        return inner
    if isinstance(given, list):
        return tuple(given)
    return given.item() if hasattr(given, "item") else given
