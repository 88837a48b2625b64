"""Learning: what is reported, the same bits each time, optimizers by their formulas, and when it stops."""

import sys

import numpy as np
import pytest

import numconv
from numconv.layers import (
    SGD,
    Adam,
    BinaryCrossentropy,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    MaxPooling2D,
    RMSprop,
    Sequential,
)

RNG = np.random.default_rng(21)


def stripes(count, seed=0):
    """Pictures with an upright stripe or a level one, and which: (N, 8, 8, 1), (N,)."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0, 0.2, (count, 8, 8, 1)), rng.integers(0, 2, count)
    for picture, level, at in zip(x, y, rng.integers(0, 8, count), strict=True):
        picture[at if level else slice(None), slice(None) if level else at] += 1
    return x.astype(np.float32), y


def network(seed=0):
    return Sequential(
        [
            Conv2D(4, 3, activation="relu", input_shape=(8, 8, 1)), MaxPooling2D(), Dropout(0.2), Flatten(),
            Dense(2, activation="softmax"),
        ],
        seed=seed,
    )  # fmt: skip


def compiled(model, optimizer="adam", loss="sparse_categorical_crossentropy", metrics=("accuracy",)):
    model.compile(optimizer, loss, metrics)
    return model


def line(**more):
    """A model of one weight and one bias."""
    return compiled(Sequential([Dense(1, input_shape=(1,))], dtype="float64", seed=0), **{"metrics": None} | more)


# ---- learning


def test_a_network_learns_and_says_so(capsys):
    (x, y), held = stripes(400), stripes(60, seed=1)
    model = compiled(network(), Adam(0.02))
    history = model.fit(x, y, epochs=9, verbose=2, validation_data=held)
    assert history is model.history and history.epoch == list(range(9)) and history.stopped is None
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert history.history["val_accuracy"][-1] > 0.9 > history.history["accuracy"][0]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9 and lines[8].startswith("epoch 9/9  ")
    for name, values in history.history.items():
        assert f"{name} {values[8]:.4f}" in lines[8] or f"{name} {values[8]:.3e}" in lines[8]
    found = model.evaluate(*held)
    assert found == [history.history["val_loss"][8], history.history["val_accuracy"][8]]
    assert model.evaluate(*held, return_dict=True) == dict(zip(("loss", "accuracy"), found, strict=True))
    p = model.predict(held[0])
    assert found[1] == (p.argmax(1) == held[1]).mean()
    assert found[0] == pytest.approx(-np.log(p[np.arange(60), held[1]]).mean(), rel=1e-5)


def test_the_bits_do_not_depend_on_threads_and_do_on_the_seed():
    x, y = stripes(150)

    def trained(threads, seed=3):
        with numconv.num_threads(threads):
            model = compiled(network(seed))
            history = model.fit(x, y, epochs=2, verbose=0, validation_split=0.2).history
        return b"".join(w.tobytes() for w in model.get_weights()), history

    first = trained(1)
    assert trained(2) == first and trained(4) == first
    assert trained(1, seed=4)[0] != first[0]


def test_the_bits_do_not_depend_on_threads_where_all_of_them_work():
    """Layers large enough for several: poolings, relu, dense."""
    from numconv._bench.training import block

    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((64, 32, 32, 3), dtype=np.float32), rng.integers(0, 10, 64)
    found = set()
    for threads in (1, 2, 4):
        with numconv.num_threads(threads):
            model = compiled(block(0))
            model.fit(x, y, verbose=0)
        found.add(b"".join(w.tobytes() for w in model.get_weights()))
    assert len(found) == 1


def test_validation_split_takes_the_last_samples():
    x, y = stripes(50)
    model = compiled(network(), SGD(0.0))
    history = model.fit(x, y, verbose=0, validation_split=0.3).history
    assert history["val_loss"] == [model.evaluate(x[35:], y[35:])[0]]


def test_a_figure_of_an_epoch_is_the_mean_over_its_samples():
    """Batches of 4, 4 and 2."""
    x, y = np.arange(10.0)[:, None], np.arange(10.0) ** 2
    model = line(optimizer=SGD(0.0), loss="mse", metrics=["mae"])
    history = model.fit(x, y, batch_size=4, verbose=0).history
    d = model.predict(x)[:, 0] - y
    assert history["loss"][0] == pytest.approx(np.mean(d**2)) and history["mae"][0] == pytest.approx(np.mean(abs(d)))


def test_shuffling_sees_every_sample_once():
    seen = []

    class Watched(Dense):
        def forward(self, x, training=False):
            seen.append(x[:, 0].copy())
            return super().forward(x, training)

    model = compiled(Sequential([Watched(1, input_shape=(1,))], seed=1), "sgd", "mse", None)
    x = np.arange(70.0)[:, None] / 70
    model.fit(x, x, epochs=2, verbose=0)
    first, second = np.concatenate(seen[:3]), np.concatenate(seen[3:])
    for order in (first, second):
        assert sorted(order) == sorted(np.float32(x[:, 0])) and (np.diff(order) < 0).any()
    assert (first != second).any()
    seen.clear()
    model.fit(x, x, verbose=0, shuffle=False)
    assert (np.concatenate(seen) == np.float32(x[:, 0])).all()


def test_frozen_layers_stay():
    x, y = stripes(40)
    model = compiled(network())
    model.layers[0].trainable = False
    before = model.get_weights()
    model.fit(x, y, verbose=0)
    changed = [(a != b).any() for a, b in zip(model.get_weights(), before, strict=True)]
    assert changed == [False, False, True, True]


def test_weights_given_during_training_count():
    """`fit` keeps weights in a vector of its own; `set_weights` reaches it."""
    model = line(optimizer="sgd", loss="mse")
    model.fit([[1.0]], [1.0], verbose=0)
    model.set_weights([[[5.0]], [0.0]])
    assert model.predict([[2.0]]).tolist() == [[10.0]]
    model.fit([[1.0]], [5.0], verbose=0)
    assert model.predict([[2.0]]).tolist() == [[10.0]]


# ---- optimizers

FORMULAS = {
    "sgd": (SGD(0.1), lambda w, g, s, t: w - 0.1 * g),
    "momentum": (SGD(0.1, momentum=0.9), lambda w, g, s, t: w + s.setdefault(t, 0.9 * s.get(t - 1, 0) - 0.1 * g)),
    "nesterov": (
        SGD(0.1, 0.9, nesterov=True),
        lambda w, g, s, t: w + 0.9 * s.setdefault(t, 0.9 * s.get(t - 1, 0) - 0.1 * g) - 0.1 * g,
    ),
    "rmsprop": (
        RMSprop(0.1, 0.8),
        lambda w, g, s, t: w - 0.1 * g / np.sqrt(s.setdefault(t, 0.8 * s.get(t - 1, 0) + 0.2 * g * g) + 1e-7),
    ),
    "adam": (
        Adam(0.1, 0.8, 0.9),
        lambda w, g, s, t: w - 0.1 * np.sqrt(1 - 0.9**t) / (1 - 0.8**t)
        * s.setdefault(("m", t), 0.8 * s.get(("m", t - 1), 0) + 0.2 * g)
        / (np.sqrt(s.setdefault(("v", t), 0.9 * s.get(("v", t - 1), 0) + 0.1 * g * g)) + 1e-7),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_optimizers_by_their_formulas(name):
    """Over more weights than a block holds."""
    optimizer, formula = FORMULAS[name]
    w = RNG.standard_normal(40_000)
    expected, kept = w.copy(), {}
    for step in range(1, 4):
        g = RNG.standard_normal(w.shape)
        expected = formula(expected, g, kept, step)
        optimizer.apply(w, g.copy())
        np.testing.assert_allclose(w, expected, rtol=1e-12, atol=1e-14)
    optimizer.apply(np.zeros(3, np.complex64), np.ones(3, np.complex64))


# ---- stopping


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_weights():
    x = np.linspace(-1, 1, 64)[:, None]
    model = line(optimizer=SGD(0.1), loss="mse")
    model.fit(x, 3 * x, epochs=3, verbose=0)
    good = model.get_weights()
    model.compile(SGD(1e200), "mse")
    with pytest.warns(
        RuntimeWarning, match=r"no longer a finite number in epoch 1; .*as they were before.*now 1e\+200"
    ):
        history = model.fit(x, 3 * x + 1, epochs=3, verbose=0)
    assert "finite" in history.stopped and history.epoch == [] and model.history is history
    assert all((a == b).all() for a, b in zip(model.get_weights(), good, strict=True))
    model.compile(SGD(1e60), "mse")  # goes wrong after some epochs
    with pytest.warns(RuntimeWarning, match="after epoch 3"):
        history = model.fit(x[:1], 3 * x[:1] + 1, epochs=9, verbose=0)
    assert len(history.history["loss"]) == 3
    assert np.isfinite(model.predict(x)).all() and np.abs(model.get_weights()[0]) > 1e150
    three = line(optimizer=SGD(1e60), loss="mse")
    three.set_weights(good)
    three.fit(x[:1], 3 * x[:1] + 1, epochs=3, verbose=0)
    assert all((a == b).all() for a, b in zip(model.get_weights(), three.get_weights(), strict=True))


def test_ctrl_c_leaves_history_and_weights(monkeypatch):
    x, y = stripes(64)
    model = compiled(network())
    steps = iter(range(5))

    def apply(self, weights, gradients, real=Adam.apply):
        if next(steps, None) is None:
            raise KeyboardInterrupt
        real(self, weights, gradients)

    monkeypatch.setattr(Adam, "apply", apply)
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=9, verbose=0)
    assert model.history.epoch == [0, 1] and np.isfinite(model.predict(x)).all()


# ---- what is shown


def test_the_bar_needs_tqdm_and_a_terminal(monkeypatch, capsys):
    from numconv.layers import _progress

    monkeypatch.setattr(_progress, "LOOK", 0.0)
    x, y = stripes(64)
    compiled(network()).fit(x, y)
    shown = capsys.readouterr()
    assert shown.err == "" and shown.out.count("\n") == 1
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    model = compiled(network())
    model.fit(x, y)
    model.predict(x)
    shown = capsys.readouterr()
    assert "epoch 1/1:   0%" in shown.err and "predict" not in shown.err
    monkeypatch.setitem(sys.modules, "tqdm", None)
    model.fit(x, y, epochs=2)
    shown = capsys.readouterr()
    assert shown.err == "" and shown.out.count("\n") == 2
    model.fit(x, y, verbose=0)
    assert capsys.readouterr() == ("", "")


# ---- mistakes

X, Y = stripes(20)


def fitted(x=X, y=Y, model=None, **options):
    compiled(network() if model is None else model).fit(x, y, **{"verbose": 0} | options)


def loss(name, y, last="softmax", units=3):
    model = Sequential([Input((2,)), Dense(units, last)])
    compiled(model, loss=name).fit(np.zeros((len(y), 2)), y, verbose=0)


MISTAKES = {
    "not compiled": (lambda: network().fit(X, Y), r"fit: compile\(optimizer, loss\) comes first"),
    "no loss": (lambda: network().compile("adam"), "loss is missing"),
    "unknown loss": (lambda: network().compile("adam", "mes"), "loss is 'mes', .*did you mean 'mse'"),
    "unknown optimizer": (lambda: network().compile("adma", "mse"), "did you mean 'adam'"),
    "unknown metric": (lambda: network().compile("adam", "mse", ["accurcy"]), "did you mean 'accuracy'"),
    "label too large": (lambda: fitted(y=np.where(Y, 2, 0)), r"the label 2 \(sample \d+\), .* expected 0 to 1"),
    "label too small": (lambda: fitted(y=Y - 1), r"the label -1 \(sample"),
    "labels as rows": (lambda: fitted(y=np.eye(2)[Y]), "for one number a class: 'categorical_crossentropy'"),
    "rows as labels": (lambda: loss("categorical_crossentropy", [0, 1]), "numbers of classes: 'sparse_categorical"),
    "shares": (lambda: loss("categorical_crossentropy", np.full((2, 3), 1.5)), r"y holds 1.5 \(sample 0\)"),
    "bits": (lambda: loss("binary_crossentropy", [[0, 1, -1]], "sigmoid"), r"y holds -1.0 \(sample 0\)"),
    "targets": (lambda: loss("mse", np.zeros((4, 2))), r"y has shape \(4, 2\), but the model gives \(None, 3\)"),
    "no flatten": (
        lambda: fitted(model=Sequential([Input((8, 8, 1)), Dense(2, "softmax")])),
        r"expected labels \(None, 8, 8\); is a Flatten or a pooling missing\?",
    ),
    "NaN in x": (lambda: fitted(np.where(np.arange(20) == 7, np.nan, X.T).T), r"x holds NaN or infinity \(sample 7\)"),
    "NaN in y": (lambda: loss("mse", [[0, np.inf, 1]]), "y holds NaN or infinity"),
    "fewer labels": (lambda: fitted(y=Y[:-1]), "x has 20 samples and y has 19"),
    "no samples": (lambda: fitted(X[:0], Y[:0]), "no samples"),
    "no y": (lambda: fitted(y=None), "y is missing"),
    "epochs": (lambda: fitted(epochs=0), "epochs is 0"),
    "split": (lambda: fitted(validation_split=1.5), "validation_split is 1.5"),
    "split of few": (lambda: fitted(X[:1], Y[:1], validation_split=0.5), "leaves 0 to train on"),
    "validation data": (lambda: fitted(validation_data=X), r"expected as \(x, y\)"),
    "nothing to train": (lambda: fitted(model=Sequential([Input((2,)), Dense(2, trainable=False)]), x=X[:, 0, :2, 0]),
                         "no layer has weights to train"),
    "metric of labels": (lambda: fitted_with_mse(), "the targets of this loss are labels"),
    "momentum": (lambda: SGD(0.1, momentum=1.0), "momentum is 1.0, expected a number >= 0 and < 1"),
    "learning rate": (lambda: Adam(-1), "learning_rate is -1"),
    "complex classes": (lambda: complex_classes(), "complex64 gives no probabilities"),
}  # fmt: skip


def fitted_with_mse():
    compiled(network(), metrics=["mse"]).fit(X, Y, verbose=0)


def complex_classes():
    model = Sequential([Input((2,)), Dense(3)], dtype="complex64")
    compiled(model).fit(np.zeros((2, 2)), [0, 1], verbose=0)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_before_anything_is_done(mistake):
    wrong, words = MISTAKES[mistake]
    with pytest.raises(ValueError, match=words):
        wrong()


def test_mistakes_of_type():
    with pytest.raises(TypeError, match="labels that are integers"):
        fitted(y=Y + 0.5)
    with pytest.raises(TypeError, match="learning_rate is 'fast'"):
        SGD("fast")
    with pytest.raises(TypeError, match="y is <U1"):
        loss("mse", [["a", "b", "c"]])


def test_accuracy_is_that_of_the_loss():
    x = np.array([[-3.0], [1.0], [2.0]])
    model = line(loss=BinaryCrossentropy(from_logits=True), metrics=["accuracy"])
    model.set_weights([[[1.0]], [0.0]])
    assert model.evaluate(x, [0, 1, 0])[1] == 2 / 3
    model.compile("sgd", "mse", ["acc"])
    assert model.evaluate(x, [0, 1, 0], return_dict=True)["accuracy"] == 2 / 3
    three = Sequential([Input((3,)), Dense(3)])
    three.set_weights([np.eye(3), np.zeros(3)])
    for name, y in (("mse", np.eye(3)), ("categorical_crossentropy", np.eye(3))):
        three.compile("sgd", name, ["accuracy"])
        assert three.evaluate(np.eye(3)[[0, 1, 1]] + 0.1, y)[1] == 2 / 3
