"""A small network learns to read the handwritten digits that come with scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from numconv.layers import Adam, Conv2D, Dense, Dropout, Flatten, MaxPooling2D, Sequential

from .errors import CommandError
from .progress import progress
from .sources import inside

TESTED = 360
"""Digits, of 1797, that the network does not learn from."""
LESSONS = ((16, 2e-3), (8, 3e-4))
"""Epochs, and how large the steps of Adam are in them."""


@dataclass(frozen=True)
class Digits:
    """Pictures (N, 8, 8, 1) in [0, 1] and what they show: to learn from, and to be tested on."""

    x: np.ndarray
    y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


@dataclass(frozen=True)
class Reader:
    """A trained network, and how it became one.

    Attributes
    ----------
    history : by epoch, as of `numconv.layers.History`.
    seconds : that training took, tests after each epoch included.
    """

    model: Sequential
    history: dict[str, list[float]]
    seconds: float

    @property
    def accuracy(self) -> float:
        """On the digits it has not learned from."""
        return self.history["val_accuracy"][-1]


def digits(seed: int) -> Digits:
    """The digits in an order of chance, the last ones to be tested on."""
    found = _read(inside("sklearn", "datasets", "data", "digits.csv.gz", purpose="learning to read digits"))
    found = found[np.random.default_rng(seed).permutation(len(found))]
    x, y = (found[:, :-1] / 16).reshape(-1, 8, 8, 1).astype(np.float32), found[:, -1].astype(np.int64)
    return Digits(x[:-TESTED], y[:-TESTED], x[-TESTED:], y[-TESTED:])


def _read(path: Path) -> np.ndarray:
    """Rows of 64 pixels and a label; reading the file takes 0.1 s, importing scikit-learn a second."""
    try:
        rows = np.loadtxt(path, delimiter=",")
    except (OSError, ValueError) as error:
        raise CommandError(f"cannot read {path}: {error}") from None
    if rows.ndim != 2 or rows.shape[1] != 65 or len(rows) <= TESTED:
        raise CommandError(f"cannot use {path}: shape {rows.shape}, expected (1797, 65)")
    return rows


def network(seed: int) -> Sequential:
    """Three convolutions and a dense layer: 33,962 weights."""
    return Sequential(
        [
            Conv2D(16, (3, 3), padding="same", activation="relu", input_shape=(8, 8, 1)),
            Conv2D(32, (3, 3), padding="same", activation="relu"),
            MaxPooling2D(),
            Conv2D(64, (3, 3), padding="same", activation="relu"),
            Flatten(),
            Dropout(0.5),
            Dense(10, activation="softmax"),
        ],
        name="digits",
        seed=seed,
    )


def train(data: Digits, seed: int) -> Reader:
    """All lessons, epoch by epoch, with a line for some."""
    model = network(seed)
    history: dict[str, list[float]] = {}
    epochs = [rate for count, rate in LESSONS for _ in range(count)]
    start = perf_counter()
    for number, rate in enumerate(progress(epochs, "learning to read"), 1):
        if number == 1 or rate != epochs[number - 2]:
            model.compile(Adam(rate), "sparse_categorical_crossentropy", ["accuracy"])
        figures = model.fit(data.x, data.y, verbose=0, validation_data=(data.test_x, data.test_y)).history
        for name, (value,) in figures.items():
            history.setdefault(name, []).append(value)
        if number in (1, 2, 4, 8, 16, len(epochs)):
            print(
                f"epoch {number:2}  loss {history['loss'][-1]:.4f}  accuracy {history['accuracy'][-1]:.1%}  "
                f"of {TESTED} others {history['val_accuracy'][-1]:.1%}",
                flush=True,
            )
    return Reader(model, history, perf_counter() - start)
