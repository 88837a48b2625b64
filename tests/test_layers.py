"""Layers and models: Keras's shapes and results, weights, and one clear message for every mistake."""

import numpy as np
import pytest

from numconv import layers
from numconv.layers import (
    Activation,
    AveragePooling1D,
    AveragePooling2D,
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    Input,
    MaxPooling1D,
    MaxPooling2D,
    ReLU,
    Sequential,
    Softmax,
    set_random_seed,
)

RNG = np.random.default_rng(11)


# ---- the tutorial


def test_a_bump_in_a_signal_as_keras_prints_it(capsys):
    data = np.asarray([0, 0, 0, 1, 1, 0, 0, 0]).reshape(1, 8, 1)
    model = Sequential()
    model.add(Conv1D(1, 3, input_shape=(8, 1)))
    model.set_weights([np.asarray([[[0]], [[1]], [[0]]]), np.asarray([0.0])])
    print(model.get_weights())
    print(model.predict(data))
    weights = "[array([[[0.]],\n\n       [[1.]],\n\n       [[0.]]], dtype=float32), array([0.], dtype=float32)]\n"
    assert capsys.readouterr().out == weights + "[[[0.]\n  [0.]\n  [1.]\n  [1.]\n  [0.]\n  [0.]]]\n"


def test_a_vertical_line_in_a_picture(capsys):
    data = np.asarray([[0, 0, 0, 1, 1, 0, 0, 0]] * 8).reshape(1, 8, 8, 1)
    model = Sequential([Conv2D(1, (3, 3), input_shape=(8, 8, 1))])
    model.set_weights([np.asarray([[[[0]], [[1]], [[0]]]] * 3), np.asarray([0.0])])
    yhat = model.predict(data)
    for r in range(yhat.shape[1]):
        print(yhat[0, r, :, 0].tolist())
    assert capsys.readouterr().out == "[0.0, 0.0, 3.0, 3.0, 0.0, 0.0]\n" * 6
    row = [yhat[0, 0, c, 0] for c in range(yhat.shape[2])]  # as the tutorial has it
    words = "np.float32({})" if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else "{}"
    assert str(row) == "[" + ", ".join(words.format(v) for v in (0.0, 0.0, 3.0, 3.0, 0.0, 0.0)) + "]"


# ---- shapes, as Keras 3.15 gives them

SHAPES = {
    "conv1d": (Conv1D(4, 3), (20, 2), (18, 4), [(3, 2, 4), (4,)]),
    "causal": (Conv1D(4, 3, padding="causal", dilation_rate=2), (20, 2), (20, 4), [(3, 2, 4), (4,)]),
    "conv2d": (Conv2D(4, (3, 2), strides=2, padding="same"), (9, 8, 3), (5, 4, 4), [(3, 2, 3, 4), (4,)]),
    "first": (Conv2D(4, 3, data_format="channels_first"), (3, 9, 8), (4, 7, 6), [(3, 3, 3, 4), (4,)]),
    "grouped": (Conv2D(4, 3, groups=2, use_bias=False), (9, 8, 6), (7, 6, 4), [(3, 3, 3, 4)]),
    "conv3d": (Conv3D(4, 3, groups=2), (8, 8, 8, 2), (6, 6, 6, 4), [(3, 3, 3, 1, 4), (4,)]),
    "depthwise": (DepthwiseConv2D(3, depth_multiplier=2, padding="same"), (7, 7, 4), (7, 7, 8), [(3, 3, 4, 2), (8,)]),
    "transpose": (Conv2DTranspose(3, 3, strides=2, padding="same"), (7, 7, 8), (14, 14, 3), [(3, 3, 3, 8), (3,)]),
    "transpose valid": (Conv2DTranspose(3, 2, strides=3), (7, 7, 1), (21, 21, 3), [(2, 2, 3, 1), (3,)]),
    "dense": (Dense(5), (147,), (5,), [(147, 5), (5,)]),
    "dense on maps": (Dense(5), (7, 7, 3), (7, 7, 5), [(3, 5), (5,)]),
    "flatten": (Flatten(), (7, 7, 3), (147,), []),
    "max": (MaxPooling2D(), (15, 14, 3), (7, 7, 3), []),
    "max same": (MaxPooling2D(3, strides=2, padding="same"), (15, 14, 3), (8, 7, 3), []),
    "max1d": (MaxPooling1D(), (20, 4), (10, 4), []),
    "average": (AveragePooling2D(3, strides=1, padding="same"), (7, 7, 3), (7, 7, 3), []),
    "average1d": (AveragePooling1D(3), (10, 4), (3, 4), []),
    "global1d": (GlobalAveragePooling1D(), (3, 4), (4,), []),
    "global2d": (GlobalAveragePooling2D(data_format="channels_first", keepdims=True), (4, 3, 5), (4, 1, 1), []),
    "softmax": (Softmax(axis=1), (3, 4), (3, 4), []),
}


@pytest.mark.parametrize("case", SHAPES)
def test_shapes(case):
    layer, shape, out, weights = SHAPES[case]
    model = Sequential([Input(shape), layer])
    assert model.input_shape == (None, *shape) and model.output_shape == (None, *out)
    assert [w.shape for w in model.get_weights()] == weights
    y = model.predict(RNG.standard_normal((2, *shape)))
    assert y.shape == (2, *out) and y.dtype == np.float32


def test_axes_of_any_size():
    model = Sequential([Input((None, None, 3)), Conv2D(4, 3, padding="same"), MaxPooling2D(), GlobalAveragePooling2D()])
    assert model.output_shape == (None, 4) and model.shapes[1] == (None, None, 4)
    for size in (8, 13):
        assert model.predict(np.ones((1, size, size + 2, 3))).shape == (1, 4)


# ---- results that are no convolution's


def test_poolings_by_hand():
    x = np.array([[1, 5, 2], [7, 3, 9], [4, 6, 8]], np.float32).reshape(1, 3, 3, 1)

    def pooled(layer):
        return Sequential([layer]).predict(x)[0, ..., 0].tolist()

    assert pooled(MaxPooling2D()) == [[7]]
    assert pooled(MaxPooling2D(2, strides=1)) == [[7, 9], [7, 9]]
    assert pooled(MaxPooling2D(padding="same")) == [[7, 9], [6, 8]]
    assert pooled(AveragePooling2D(padding="same")) == [[4, 5.5], [5, 8]]
    assert np.isnan(Sequential([MaxPooling1D()]).predict(np.array([[[1.0], [np.nan]]]))).all()
    assert Sequential([MaxPooling1D(padding="same")]).predict(np.full((1, 3, 1), -5.0)).ravel().tolist() == [-5, -5]


def test_flatten_puts_channels_last():
    x = np.arange(12).reshape(1, 2, 2, 3)
    flat = Sequential([Flatten(data_format="channels_first")]).predict(x)
    assert flat[0].tolist() == x[0].transpose(1, 2, 0).ravel().tolist()


def test_activations_by_their_formulas():
    x = np.linspace(-4, 4, 33)

    def by(name):
        return Sequential([Activation(name)], dtype="float64").predict(x[None])[0]

    sigmoid = 1 / (1 + np.exp(-x))
    expected = {
        "linear": x,
        "relu": np.maximum(x, 0),
        "leaky_relu": np.where(x < 0, 0.2 * x, x),
        "sigmoid": sigmoid,
        "tanh": np.tanh(x),
        "silu": x * sigmoid,
        "swish": x * sigmoid,
        "softmax": np.exp(x) / np.exp(x).sum(),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(by(name), values, rtol=1e-14, atol=1e-15, err_msg=name)
    assert by("gelu")[[0, 16, 32]] == pytest.approx([-4 * 3.167124183311986e-05, 0, 4 * 0.9999683287581669])
    relu6 = Sequential([ReLU(max_value=2, negative_slope=0.5, threshold=1)], dtype="float64").predict(x[None])[0]
    np.testing.assert_allclose(relu6, np.where(x >= 2, 2, np.where(x >= 1, x, 0.5 * (x - 1))))


def test_an_activation_inside_a_layer_is_that_of_a_layer_of_its_own():
    x = RNG.standard_normal((3, 9, 2))
    for name in ("relu", "leaky_relu", "sigmoid", "tanh", "silu", "gelu", "softmax"):
        inside = Sequential([Conv1D(4, 3, activation=name, input_shape=(9, 2))], dtype="float64")
        beside = Sequential([Conv1D(4, 3, input_shape=(9, 2)), Activation(name)], dtype="float64")
        beside.set_weights(inside.get_weights())
        np.testing.assert_allclose(inside.predict(x), beside.predict(x), rtol=2e-15, atol=1e-300)
        np.testing.assert_allclose(inside(x, training=True), beside.predict(x), rtol=2e-15, atol=1e-300)


def test_dropout_keeps_the_mean_and_rests_in_prediction():
    x = np.ones((1, 10_000), np.float32)
    model = Sequential([Dropout(0.25)], seed=1)
    assert (model.predict(x) == x).all()
    y = model(x, training=True)
    assert set(np.unique(y)) == {0, np.float32(4 / 3)} and y.mean() == pytest.approx(1, abs=0.02)
    again = Sequential([Dropout(0.25, seed=5)]), Sequential([Dropout(0.25, seed=5)])
    for each in again:
        each.build((None, 10_000))
    assert (again[0](x, training=True) == again[1](x, training=True)).all()


def test_a_prediction_does_not_depend_on_the_size_of_batches():
    model = Sequential([Conv2D(8, 3, activation="relu", input_shape=(9, 9, 2)), Flatten(), Dense(3, "tanh")], seed=0)
    x = RNG.integers(0, 255, (40, 9, 9, 2), dtype=np.uint8)
    y = model.predict(x)
    for size in (1, 7, 40, 100):
        assert (model.predict(x, batch_size=size) == y).all()
    assert (model(x) == y).all() and model.predict(x[:0]).shape == (0, 3)


# ---- first weights


def test_initializers_have_keras_variances():
    shape, fan_in, fan_out = (5, 5, 40, 60), 1000, 1500
    expected = {
        "glorot_uniform": 2 / (fan_in + fan_out), "glorot_normal": 2 / (fan_in + fan_out),
        "he_uniform": 2 / fan_in, "he_normal": 2 / fan_in, "lecun_uniform": 1 / fan_in, "lecun_normal": 1 / fan_in,
        "random_uniform": 0.1**2 / 12, "random_normal": 0.05**2,
    }  # fmt: skip
    for name, variance in expected.items():
        model = Sequential([Conv2D(60, 5, kernel_initializer=name, input_shape=(9, 9, 40))], seed=3)
        kernel, bias = model.get_weights()
        assert kernel.shape == shape and not bias.any()
        assert kernel.var() == pytest.approx(variance, rel=0.03), name
        if name.endswith("uniform"):
            assert np.abs(kernel).max() <= np.sqrt(3 * variance) * (1 + 1e-6)
        elif name != "random_normal":
            assert np.abs(kernel).max() <= 2 * np.sqrt(variance) / 0.87962566 * (1 + 1e-6)
    own = Sequential([Dense(2, kernel_initializer=lambda s, d: np.full(s, 7, d), bias_initializer="ones", input_dim=3)])
    assert [np.unique(w).tolist() for w in own.get_weights()] == [[7], [1]]


def test_seeds():
    def kernel(seed=None):
        return Sequential([Dense(4, input_shape=(3,))], seed=seed).get_weights()[0]

    assert (kernel(1) == kernel(1)).all() and (kernel(1) != kernel(2)).any() and (kernel() != kernel()).any()
    set_random_seed(5)
    first, second = kernel(), kernel()
    set_random_seed(5)
    assert (kernel() == first).all() and (kernel() == second).all() and (first != second).any()


# ---- weights and tables


def test_weights_are_copied_in_and_out():
    model = Sequential([Dense(2, input_shape=(2,))])
    given = np.eye(2)
    model.set_weights([given, [1, 2]])
    given[...] = 9
    model.get_weights()[0][...] = 9
    assert model.layers[0].get_weights()[0].tolist() == [[1, 0], [0, 1]] and model.count_params() == 6
    model.get_layer("dense").set_weights([np.zeros((2, 2)), [3, 4]])
    assert model.predict([[5, 5]]).tolist() == [[3, 4]]


def test_summary(capsys):
    model = Sequential([Conv2D(4, 3, input_shape=(9, 9, 1)), Conv2D(2, 3), MaxPooling2D(), Flatten()], name="small")
    model.layers[1].trainable = False
    model.summary()
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert lines[0] == 'Model: "small"' and lines[1] == "_" * 65 and lines[3] == "=" * 65
    for words in (
        "conv2d (Conv2D)               (None, 7, 7, 4)         40",
        "conv2d_1 (Conv2D)             (None, 5, 5, 2)         74",
        "max_pooling2d (MaxPooling2D)  (None, 2, 2, 2)         0",
        "Total params: 114 (456.00 B)",
        "Trainable params: 40 (160.00 B)",
        "Non-trainable params: 74 (296.00 B)",
    ):
        assert words in lines


def test_every_layer_is_public_and_made_again_from_its_options():
    from numconv.layers._catalogue import LAYERS

    assert set(LAYERS) < set(layers.__all__) and all(hasattr(layers, name) for name in layers.__all__)
    for layer, *_ in SHAPES.values():
        again = type(layer)(**layer.get_config() | {"name": None})
        assert again.get_config() == layer.get_config() | {"name": None}


# ---- mistakes

IMAGE = (28, 28, 1)
MISTAKES = {
    "flat first": (lambda: Sequential([Input((784,)), Conv2D(4, 3)]), r"conv2d \(Conv2D\) expects .*\(None, 784\)"),
    "after flatten": (lambda: Sequential([Input(IMAGE), Flatten(), Conv2D(4, 3)]), r"\(N, H, W, C\), 4 axes"),
    "pooling of rows": (lambda: Sequential([Input((9,)), MaxPooling2D()]), r"max_pooling2d .*\(N, H, W, C\)"),
    "too small": (lambda: Sequential([Input((2, 2, 1)), Conv2D(4, 3)]), "outputs .* are empty"),
    "pool too small": (lambda: Sequential([Input((1, 2, 1)), MaxPooling2D()]), "do not fit"),
    "unknown channels": (lambda: Sequential([Input((9, 9, None)), Conv2D(4, 3)]), "whose C is known"),
    "unknown length": (lambda: Sequential([Input((None, 3)), Flatten(), Dense(2)]), "whose C is known"),
    "groups": (lambda: Sequential([Input((9, 9, 3)), Conv2D(4, 3, groups=2)]), "groups = 2 has to divide C = 3"),
    "no filters": (lambda: Conv2D(0, 3), "filters is 0"),
    "kernel": (lambda: Conv2D(4, (3, 3, 3)), r"kernel_size is \(3, 3, 3\)"),
    "padding": (lambda: Conv2D(4, 3, padding="smae"), "did you mean 'same'"),
    "causal 2-D": (lambda: Conv2D(4, 3, padding="causal"), "padding is 'causal'"),
    "activation": (lambda: Dense(4, activation="rleu"), "did you mean 'relu'"),
    "initializer": (lambda: Dense(4, kernel_initializer="he_norm"), "did you mean 'he_normal'"),
    "keyword": (lambda: Dense(4, inputshape=(3,)), "did you mean 'input_shape'"),
    "data format": (lambda: Conv2D(4, 3, data_format="channel_first"), "did you mean 'channels_first'"),
    "dtype": (lambda: Dense(4, dtype="float46"), "did you mean 'float64'"),
    "two dtypes": (lambda: Sequential([Dense(4, dtype="float64", input_dim=2), Dense(4, dtype="float32")]), "computes"),
    "complex relu": (lambda: Sequential([Input((3,)), Dense(4, "relu")], dtype="complex64"), "complex64 has no order"),
    "complex max": (lambda: Sequential([Input((4, 1)), MaxPooling1D()], dtype="complex64"), "complex64 has no order"),
    "shape with N": (lambda: Input((None, "a")), "expected sizes without N"),
    "late input": (lambda: Sequential([Dense(3), Input((2,))]), "before all layers"),
    "two inputs": (lambda: Sequential([Input((2,)), Input((2,))]), "before all layers"),
    "same name": (lambda: Sequential([Dense(3, name="a"), Dense(3, name="a")]), "named 'a' already"),
    "dropout": (lambda: Dropout(1.0), "rate is 1.0"),
    "relu": (lambda: ReLU(max_value=-1), "max_value is -1"),
    "softmax": (lambda: Sequential([Input((3,)), Softmax(axis=2)]), "with an axis 2"),
    "no shape": (lambda: Sequential([Dense(3)]).get_weights(), "does not know its input's shape"),
    "no layers": (lambda: Sequential().predict([[1.0]]), "no layers"),
    "other shape": (lambda: Sequential([Dense(3, input_dim=2)]).build((None, 5)), "made for inputs"),
    "unbatched": (lambda: Sequential([Input(IMAGE), Flatten()]).predict(np.ones(IMAGE)), r"for one sample: x\[None\]"),
    "no channel": (lambda: Sequential([Input(IMAGE), Flatten()]).predict(np.ones((5, 28, 28))), r"x\[\.\.\., None\]"),
    "wrong size": (
        lambda: Sequential([Input(IMAGE), Flatten()]).predict(np.ones((5, 27, 28, 1))),
        "expected .None, 28",
    ),
    "wrong weights": (
        lambda: Sequential([Dense(3, input_dim=2)]).set_weights([np.ones((3, 2)), np.ones(3)]),
        r"dense/kernel is given as \(3, 2\), expected \(2, 3\)",
    ),
    "few weights": (
        lambda: Sequential([Dense(3, input_dim=2)]).set_weights([np.ones((2, 3))]),
        r"1 arrays given, expected 2: dense/kernel \(2, 3\), dense/bias \(3,\)",
    ),
    "layer's name": (lambda: Sequential([Dense(3, input_dim=2)]).get_layer("denes"), "did you mean 'dense'"),
    "backward first": (lambda: Sequential([Dense(3, input_dim=2)]).layers[0].backward(np.ones((1, 3))), "comes after"),
    "verbose": (lambda: Sequential([Dense(3, input_dim=2)]).predict([[1, 2]], verbose=3), "verbose is 3"),
    "batch size": (lambda: Sequential([Dense(3, input_dim=2)]).predict([[1, 2]], batch_size=0), "batch_size is 0"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(mistake):
    wrong, words = MISTAKES[mistake]
    with pytest.raises(ValueError, match=words):
        wrong()


def test_mistakes_of_other_kinds():
    model = Sequential([Dense(3, input_dim=2)])
    with pytest.raises(TypeError, match="is no layer"):
        model.add(np.tanh)
    with pytest.raises(TypeError, match="complex128"):
        model.predict([[1j, 2]])
    with pytest.raises(TypeError, match="kernel is given as complex128"):
        model.set_weights([np.ones((2, 3)) * 1j, np.ones(3)])
    with pytest.raises(NotImplementedError, match="kernel_regularizer is 'l2'"):
        Dense(3, kernel_regularizer="l2")
    with pytest.raises(NotImplementedError, match="noise_shape"):
        Dropout(0.5, (1, 2))
    Dense(3, kernel_regularizer=None)


def test_a_layer_that_does_not_fit_is_not_added():
    model, layer = Sequential([Input((9,)), Dense(4)]), Conv2D(4, 3)
    for wrong in (layer, model.layers[0], Sequential([Dense(2, input_dim=3)]).layers[0]):
        with pytest.raises(ValueError):
            model.add(wrong)
    assert len(model.layers) == 1 and layer.name is None and model.output_shape == (None, 4)
    late = Sequential([Flatten(), Conv2D(4, 3)])
    with pytest.raises(ValueError, match="conv2d"):
        late.predict(np.ones((1, 9, 9, 1)))
    assert not late.built and late.layers[0].built is False


def test_weights_that_do_not_fit_change_nothing():
    model = Sequential([Dense(3, input_dim=2)])
    before = model.get_weights()
    with pytest.raises(ValueError):
        model.set_weights([np.ones((2, 3)), np.ones(4)])
    assert all((a == b).all() for a, b in zip(model.get_weights(), before, strict=True))
