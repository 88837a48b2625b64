"""Models in files: one .npz with the weights, and the architecture as JSON; nothing that runs code when it is read."""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._catalogue import LAYERS
from ._losses import LOSSES, loss_name
from ._optimizers import OPTIMIZERS

if TYPE_CHECKING:
    from ._sequential import Sequential

_FORMAT, _VERSION = "numconv.layers", 1
_KEY = "architecture"
_WRONG = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, OSError, MemoryError, NotImplementedError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What comes of bytes that mean something else."""


def save(model: Sequential, path: str | os.PathLike) -> None:
    """`Sequential.save`: under another name first, so that a file that was there is whole until the new one is."""
    if not model.built:
        raise ValueError("save: the model has no weights yet: it does not know its input's shape")
    target = Path(path)
    arrays = {
        f"{i}/{kind}": w
        for i, layer in enumerate(model.layers)
        for kind, w in zip(layer.WEIGHTS, layer.weights, strict=False)
    }
    temporary = target.with_name(f".{target.name}.{os.urandom(4).hex()}")
    try:
        with open(temporary, "xb") as file:
            np.savez(file, **{_KEY: np.array(json.dumps(architecture(model)))}, **arrays)  # type: ignore[arg-type]
        os.replace(temporary, target)
    finally:
        with suppress(OSError):
            temporary.unlink()


def architecture(model: Sequential) -> dict[str, Any]:
    """All but the weights, for JSON."""
    made = model._compiled
    training = made and {
        "optimizer": [type(made.optimizer).__name__.lower(), made.optimizer.get_config()],
        "loss": [loss_name(made.loss), made.loss.get_config()],
        "metrics": made.metrics,
    }
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "name": model.name,
        "dtype": model.dtype.name,
        "input_shape": model.input_shape[1:],
        "layers": [[type(layer).__name__, layer.get_config()] for layer in model.layers],
        "training": training,
    }


def load_model(path: str | os.PathLike) -> Sequential:
    """Read a model that `Sequential.save` wrote.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    Sequential
        With its weights, and compiled if it was; the optimizer begins anew.

    Raises
    ------
    ValueError
        The file is none of these, or damaged.
    OSError
        It cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from numconv.layers import Dense, Sequential, load_model
    >>> model = Sequential([Dense(1, input_shape=(3,))])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(Path(folder) / "model.npz")
    ...     again = load_model(Path(folder) / "model.npz")
    >>> bool((again.get_weights()[0] == model.get_weights()[0]).all())
    True
    """
    content = io.BytesIO(Path(path).read_bytes())
    try:
        with np.load(content, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile) or _KEY not in archive.files:
                raise ValueError("it holds no architecture")
            plan = json.loads(str(archive[_KEY]))
            if not isinstance(plan, dict) or plan.get("format") != _FORMAT:
                raise ValueError("its architecture is none")
            if plan.get("version") != _VERSION:
                raise ValueError(f"it has version {plan.get('version')!r}, and this numconv reads version {_VERSION}")
            return _made(plan, {key: archive[key] for key in archive.files if key != _KEY})
    except _WRONG as error:
        raise ValueError(f"load_model: {os.fspath(path)} is no model of numconv.layers, or damaged: {error}") from error


def _made(plan: dict[str, Any], arrays: dict[str, np.ndarray]) -> Sequential:
    from ._sequential import Sequential

    model = Sequential(name=plan["name"], dtype=plan["dtype"])
    for kind, config in plan["layers"]:
        model.add(LAYERS[kind](**config))
    model.build((None, *plan["input_shape"]))
    model.set_weights([
        arrays.pop(f"{i}/{kind}")
        for i, layer in enumerate(model.layers)
        for kind, _ in zip(layer.WEIGHTS, layer.weights, strict=False)
    ])  # fmt: skip
    if arrays:
        raise ValueError(f"it holds weights of no layer: {', '.join(arrays)}")
    if plan["training"]:
        (optimizer, settings), (loss, options) = plan["training"]["optimizer"], plan["training"]["loss"]
        model.compile(OPTIMIZERS[optimizer](**settings), LOSSES[loss](**options), plan["training"]["metrics"])
    return model
