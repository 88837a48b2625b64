"""An epoch of training, forward, backward and Adam, beside the same network in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import numconv

from .._cli.digits import network as digits
from ..layers import Conv2D, Dense, Flatten, MaxPooling2D
from ..layers import Sequential as Model
from .peers import load
from .rounds import enter, interleave, ratio
from .settings import Settings
from .table import Table, number, times

LEARNING_RATE = 1e-4
"""Small: labels are drawn by lot, and both libraries shall stay near where they began."""
SLACK = 0.02
"""Allowed difference of losses after the first epoch, as a share: batches come in other orders."""


@dataclass(frozen=True)
class Network:
    """A model to train, and how many samples an epoch and a batch have."""

    name: str
    make: Callable[[int], Model]
    samples: int
    batch: int

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and labels, by lot."""
        rng, shape = np.random.default_rng(1), self.make(0).input_shape[1:]
        x = rng.standard_normal((self.samples, *shape), dtype=np.float32)
        return x, rng.integers(0, 10, self.samples)


def block(seed: int) -> Model:
    """Two pairs of convolutions, each with a pooling, as VGG begins, for small colour images."""
    return Model(
        [
            Conv2D(32, 3, padding="same", activation="relu", input_shape=(32, 32, 3)),
            Conv2D(32, 3, padding="same", activation="relu"),
            MaxPooling2D(),
            Conv2D(64, 3, padding="same", activation="relu"),
            Conv2D(64, 3, padding="same", activation="relu"),
            MaxPooling2D(),
            Flatten(),
            Dense(128, activation="relu"),
            Dense(10, activation="softmax"),
        ],
        seed=seed,
    )


NETWORKS = (Network("digits, 8x8x1", digits, 1437, 32), Network("vgg block, 32x32x3", block, 512, 64))


@dataclass(frozen=True)
class Epoch:
    """Median seconds of an epoch by who trains, and by how much ours is faster than the fastest way of PyTorch."""

    name: str
    steps: int
    seconds: dict[str, float]
    gain: float | None = None
    losses: dict[str, float] = field(default_factory=dict)


def measure(network: Network, settings: Settings, rounds: Iterable[int]) -> Epoch:
    """Both train on, an epoch a round; RuntimeError if their losses differ after the first."""
    x, y = network.data()
    runs: dict[str, Callable[[], Any]] = {"numconv": ours(network, x, y, settings.threads)}
    peer = load("torch")
    if peer is not None:
        from .peers import pytorch_training

        runs |= pytorch_training.ways(network, x, y, settings.threads, LEARNING_RATE)
    losses = {name: float(run()) for name, run in runs.items()}
    for name, loss in losses.items():
        if not abs(loss - losses["numconv"]) <= SLACK * losses["numconv"]:
            raise RuntimeError(f"{network.name}: {name} has the loss {loss}, numconv {losses['numconv']}")
    entries = {name: enter(run, settings.rounds, 0.0) for name, run in runs.items()}
    seconds = interleave(entries, rounds)
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    others = [name for name in runs if name != "numconv"]
    best = min(others, key=medians.__getitem__, default=None)
    gain = None if best is None else ratio(seconds[best], seconds["numconv"])
    return Epoch(network.name, -(-network.samples // network.batch), medians, gain, losses)


def ours(network: Network, x: np.ndarray, y: np.ndarray, threads: int) -> Callable[[], float]:
    """An epoch of numconv's; returns its loss."""
    from ..layers import Adam

    model = network.make(0)
    model.compile(Adam(LEARNING_RATE), "sparse_categorical_crossentropy")

    def run() -> float:
        with numconv.num_threads(threads):
            return model.fit(x, y, batch_size=network.batch, verbose=0).history["loss"][0]

    return run


def table(found: Sequence[Epoch]) -> Table:
    """A row a network."""
    names = list(dict.fromkeys(name for epoch in found for name in epoch.seconds))
    rows = [
        (
            epoch.name,
            str(epoch.steps),
            *(number(None if name not in epoch.seconds else epoch.seconds[name] * 1e3) for name in names),
            times(epoch.gain),
        )
        for epoch in found
    ]
    headings = ("", "steps", *(f"{name}, ms" for name in names), "best peer")
    return Table("an epoch of training, float32", headings, rows, [("aim", "", *("" for _ in names), ">= 1.00x")])
