"""The benchmark of training: the same network beside PyTorch, or alone."""

import json

import numpy as np
import pytest

from numconv._bench import peers

from .bench_cases import SETTINGS, bench, small  # noqa: F401 (small is a fixture)


@pytest.fixture
def tiny(monkeypatch):
    """A network of no size."""
    from numconv._bench import training
    from numconv.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D, Sequential

    def make(seed):
        first = Conv2D(3, 3, padding="same", activation="relu", input_shape=(6, 6, 2))
        last = Dense(10, activation="softmax")
        return Sequential(
            [first, MaxPooling2D(), Dropout(0.1), Flatten(), Dense(4, activation="relu"), last], seed=seed
        )

    monkeypatch.setattr(training, "NETWORKS", (training.Network("tiny.net", make, 40, 16),))
    return training


def test_training_beside_pytorch(tiny, tmp_path, capsys, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(tiny, "SLACK", 0.5)  # 40 samples, some numbers left out by lot
    printed = bench(capsys, "training", "--json", tmp_path / "figures.json")
    for words in ("an epoch of training", "tiny.net", "numconv, ms", "torch channels_last, ms", "best peer"):
        assert words in printed
    ((found,),) = [
        part["results"] for part in json.loads((tmp_path / "figures.json").read_text())["suites"]["training"]
    ]
    assert found["steps"] == 3 and set(found["seconds"]) == {"numconv", "torch contiguous", "torch channels_last"}
    assert found["gain"] > 0


def test_training_alone(tiny, monkeypatch, capsys):
    monkeypatch.setattr(peers, "load", lambda name: None)
    monkeypatch.setattr(tiny, "load", lambda name: None)
    assert "torch" not in bench(capsys, "training", "--only", "tiny").split("an epoch")[1]


def test_a_network_that_learns_otherwise_is_reported(tiny, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(tiny, "ours", lambda *_: lambda: 99.0)
    with pytest.raises(RuntimeError, match=r"tiny\.net: torch contiguous has the loss"):
        tiny.measure(tiny.NETWORKS[0], SETTINGS, range(1))


def test_the_twin_in_pytorch_is_the_same_network(tiny):
    torch = pytest.importorskip("torch")
    from numconv._bench.peers.pytorch_training import twin

    model = tiny.NETWORKS[0].make(0)
    x = np.random.default_rng(0).standard_normal((5, 6, 6, 2), dtype=np.float32)
    with torch.inference_mode():
        logits = twin(model).eval()(torch.from_numpy(np.moveaxis(x, -1, 1).copy()))
    np.testing.assert_allclose(torch.softmax(logits, 1).numpy(), model.predict(x), rtol=1e-5, atol=1e-6)
