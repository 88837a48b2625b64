"""Backward is forward's derivative: finite differences, adjoint identities, and PyTorch where it is installed."""

import numpy as np
import pytest

from numconv.layers import (
    SGD,
    Activation,
    AveragePooling1D,
    AveragePooling2D,
    BinaryCrossentropy,
    CategoricalCrossentropy,
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
    MeanAbsoluteError,
    MeanSquaredError,
    ReLU,
    Sequential,
    Softmax,
    SparseCategoricalCrossentropy,
)

STEP = 1e-6
FIRST = {"data_format": "channels_first"}


def values(rng, shape, dtype):
    """Normal numbers."""
    made = rng.standard_normal(shape)
    return made + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else made


def inner(a, b):
    """The real inner product; of complex numbers as pairs."""
    return float(np.sum(a.real * b.real + a.imag * b.imag))


def slope(function, place, direction):
    """Central difference of `function()` as the array `place` moves along `direction`; place is as it was."""
    before, found = place.copy(), []
    for sign in (1, -1):
        place[...] = before + sign * STEP * direction
        found.append(function())
    place[...] = before
    return (found[0] - found[1]) / (2 * STEP)


LINEAR = {
    "conv1d": (lambda: Conv1D(3, 3, strides=2, padding="same"), (11, 2)),
    "causal": (lambda: Conv1D(3, 3, padding="causal", dilation_rate=2), (9, 2)),
    "conv1d first": (lambda: Conv1D(3, 4, padding="same", **FIRST), (2, 9)),
    "conv2d": (lambda: Conv2D(4, (3, 2), strides=(2, 1), padding="same", groups=2), (6, 7, 4)),
    "conv2d dilated": (lambda: Conv2D(3, 3, dilation_rate=(2, 1)), (7, 6, 2)),
    "conv2d first": (lambda: Conv2D(4, 3, strides=2, groups=2, **FIRST), (2, 7, 6)),
    "conv3d": (lambda: Conv3D(2, 2, padding="same", strides=(1, 2, 1)), (3, 4, 3, 2)),
    "depthwise": (lambda: DepthwiseConv2D(3, padding="same", depth_multiplier=2), (5, 6, 3)),
    "depthwise first": (lambda: DepthwiseConv2D(3, strides=2, **FIRST), (3, 7, 6)),
    "transpose": (lambda: Conv2DTranspose(3, 3, strides=2, padding="same"), (4, 3, 2)),
    "transpose valid": (lambda: Conv2DTranspose(2, (2, 4), strides=3), (3, 4, 2)),
    "transpose first": (lambda: Conv2DTranspose(3, 3, strides=2, **FIRST), (2, 4, 3)),
    "dense": (lambda: Dense(4), (7,)),
    "dense on maps": (lambda: Dense(4), (3, 5)),
    "flatten first": (lambda: Flatten(**FIRST), (2, 3, 4)),
    "average": (lambda: AveragePooling2D((3, 2), strides=2, padding="same"), (6, 5, 2)),
    "average1d": (lambda: AveragePooling1D(3, strides=1, **FIRST), (2, 7)),
    "global1d": (lambda: GlobalAveragePooling1D(), (6, 3)),
    "global2d": (lambda: GlobalAveragePooling2D(keepdims=True, **FIRST), (3, 4, 2)),
    "dropout": (lambda: Dropout(0.4, seed=2), (30,)),
}
REAL = {
    "max": (lambda: MaxPooling2D(), (7, 6, 2)),
    "max overlapping": (lambda: MaxPooling2D((3, 2), strides=(2, 1), padding="same"), (6, 5, 2)),
    "max first": (lambda: MaxPooling2D(3, strides=2, **FIRST), (2, 7, 6)),
    "max1d": (lambda: MaxPooling1D(3), (8, 2)),
    "relu layer": (lambda: ReLU(max_value=1, negative_slope=0.3, threshold=0.1), (40,)),
    "softmax layer": (lambda: Softmax(axis=1), (3, 4)),
    **{
        name: (lambda name=name: Activation(name), (40,))
        for name in ("linear", "relu", "leaky_relu", "sigmoid", "tanh", "silu", "gelu", "softmax")
    },
    **{
        f"conv {name}": (lambda name=name: Conv2D(3, 2, activation=name), (4, 4, 2))
        for name in ("relu", "leaky_relu", "sigmoid", "tanh", "silu", "gelu", "softmax")
    },
    "transpose relu": (lambda: Conv2DTranspose(3, 2, activation="relu"), (3, 3, 2)),
}
CASES = [(name, "float64") for name in LINEAR | REAL] + [(name, "complex128") for name in LINEAR]


@pytest.mark.parametrize(("case", "dtype"), CASES)
def test_finite_differences(case, dtype):
    make, shape = (LINEAR | REAL)[case]
    rng = np.random.default_rng(len(case))
    layer = make()
    model = Sequential([Input(shape), layer], dtype=dtype, seed=4)
    x = values(rng, (2, *shape), dtype)
    if len(model.weights) > 1:
        model.weights[1][...] = values(rng, model.weights[1].shape, dtype)
    weight = values(rng, (2, *model.output_shape[1:]), dtype)

    def total():
        if isinstance(layer, Dropout):
            layer.make_weights(shape, layer.dtype, None)  # the same random numbers again
        return inner(weight, model(x, training=True))

    total()
    back = layer.backward(weight.copy())
    assert back.shape == x.shape and back.dtype == x.dtype
    for place, gradient in zip([x, *model.weights], [back, *layer.gradients], strict=True):
        direction = values(rng, place.shape, dtype)
        expected, scale = inner(gradient, direction), np.sqrt(inner(gradient, gradient) * inner(direction, direction))
        assert gradient.shape == place.shape
        assert slope(total, place, direction) == pytest.approx(expected, abs=1e-8 * scale + 1e-8)


@pytest.mark.parametrize("case", [name for name, (make, _) in LINEAR.items() if make().OPTIONS[0] != "rate"])
def test_adjoint_identity_is_exact_on_small_integers(case):
    make, shape = LINEAR[case]
    rng = np.random.default_rng(7)
    layer = make()
    model = Sequential([Input(shape), layer], dtype="float64")
    model.set_weights([rng.integers(-4, 5, w.shape) * (w.ndim > 1) for w in model.weights])
    x = rng.integers(-4, 5, (3, *shape)).astype(float) * 7200  # divisible by the sizes of all windows
    y = model(x, training=True)
    g = rng.integers(-4, 5, y.shape).astype(float) * 7200
    assert np.sum(y * g) == np.sum(x * layer.backward(g.copy()))
    if layer.gradients:
        assert np.sum(y * g) == np.sum(model.weights[0] * layer.gradients[0])


def network(last, dtype="float64"):
    """All kinds of layers, for images of 8 x 8 x 2."""
    first = [Conv2D(4, 3, padding="same", activation="relu"), MaxPooling2D(), DepthwiseConv2D(3, activation="tanh")]
    more = [Conv2DTranspose(3, 3, strides=2, activation="silu"), AveragePooling2D(), Dropout(0.3, seed=1), Flatten()]
    return Sequential([Input((8, 8, 2)), *first, *more, *last], dtype=dtype, seed=6)


LOSSES = {
    "mse": (MeanSquaredError(), lambda: [Dense(3, "sigmoid")], "numbers"),
    "mae": (MeanAbsoluteError(), lambda: [Dense(3)], "numbers"),
    "categorical, inside": (CategoricalCrossentropy(), lambda: [Dense(3, "softmax")], "shares"),
    "categorical, a layer": (CategoricalCrossentropy(), lambda: [Dense(3), Softmax()], "shares"),
    "categorical, outside": (CategoricalCrossentropy(), lambda: [Dense(3, "sigmoid")], "shares"),
    "categorical, logits": (CategoricalCrossentropy(from_logits=True), lambda: [Dense(3)], "shares"),
    "sparse, inside": (SparseCategoricalCrossentropy(), lambda: [Dense(3, "softmax")], "labels"),
    "sparse, outside": (SparseCategoricalCrossentropy(), lambda: [Dense(3, "sigmoid")], "labels"),
    "sparse, logits": (SparseCategoricalCrossentropy(from_logits=True), lambda: [Dense(3)], "labels"),
    "binary, inside": (BinaryCrossentropy(), lambda: [Dense(3, "sigmoid")], "bits"),
    "binary, outside": (BinaryCrossentropy(), lambda: [Dense(3, "softmax")], "bits"),
    "binary, logits": (BinaryCrossentropy(from_logits=True), lambda: [Dense(3)], "bits"),
}


@pytest.mark.parametrize("case", LOSSES)
def test_finite_differences_of_a_whole_network(case):
    loss, last, kind = LOSSES[case]
    model, rng = network(last()), np.random.default_rng(9)
    x = rng.standard_normal((5, 8, 8, 2))
    given = {
        "numbers": rng.standard_normal((5, 3)),
        "shares": rng.dirichlet(np.ones(3), 5),
        "labels": rng.integers(0, 3, 5),
        "bits": rng.integers(0, 2, (5, 3)),
    }[kind]
    y = loss.targets("", given, (3,), np.dtype("float64"))

    def total():
        dropout = next(layer for layer in model.layers if isinstance(layer, Dropout))
        dropout.make_weights((), dropout.dtype, None)
        return loss.value(y, model(x, training=True))

    total()
    inside = getattr(model.layers[-1], "activation", None) == loss.inside is not None
    assert inside == ("inside" in case or "a layer" in case)
    p = model.layers[-1]._kept[-1]
    model._backward(loss.gradient_inside(y, p) if inside else loss.gradient(y, p), inside)
    gradients = [g for layer in model.layers for g in layer.gradients]
    assert len(gradients) == len(model.weights) == 8
    for place, gradient in zip(model.weights, gradients, strict=True):
        direction = rng.standard_normal(place.shape)
        assert slope(total, place, direction) == pytest.approx(inner(gradient, direction), abs=2e-9, rel=1e-6)


def test_finite_differences_of_a_complex_network():
    rng, dtype = np.random.default_rng(3), "complex128"
    parts = [Conv1D(3, 3, strides=2), AveragePooling1D(), Flatten(), Dense(2)]
    model = Sequential([Input((12, 2)), *parts], dtype=dtype, seed=2)
    x, y, loss = values(rng, (4, 12, 2), dtype), values(rng, (4, 2), dtype), MeanSquaredError()
    model._backward(loss.gradient(y, model(x, training=True)))
    for layer in (model.layers[0], model.layers[3]):
        for place, gradient in zip(layer.weights, layer.gradients, strict=True):
            direction = values(rng, place.shape, dtype)
            found = slope(lambda: loss.value(y, model(x)), place, direction)
            assert found == pytest.approx(inner(gradient, direction), rel=1e-7, abs=1e-9)
    model.compile(SGD(0.05), "mse")
    history = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    assert history[-1] < history[0] / 2


def test_gradients_stop_where_nothing_is_trained():
    model = Sequential([Dense(3, input_dim=2, trainable=False), Dense(4), Dense(2)], seed=1)
    model(np.ones((1, 2)), training=True)
    model._backward(np.ones((1, 2), np.float32))
    assert not model.layers[0].gradients and model.layers[1].gradients[0].any()
    assert all(layer._kept is None for layer in model.layers)


def test_three_steps_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    model = Sequential(
        [
            Conv2D(6, 3, padding="same", activation="relu", input_shape=(10, 9, 3)), MaxPooling2D(),
            Conv2D(4, 3, strides=2, activation="tanh"), Flatten(), Dense(5, activation="softmax"),
        ],
        dtype="float64", seed=8,
    )  # fmt: skip
    x, y = rng.standard_normal((6, 10, 9, 3)), rng.integers(0, 5, 6)
    w = [torch.tensor(a, requires_grad=True) for a in model.get_weights()]
    optimizer = torch.optim.SGD(w, 0.1, momentum=0.9, nesterov=True)
    for _ in range(3):
        optimizer.zero_grad()
        t = torch.tensor(x).permute(0, 3, 1, 2)
        t = torch.nn.functional.conv2d(t, w[0].permute(3, 2, 0, 1), w[1], padding=1).relu()
        t = torch.nn.functional.max_pool2d(t, 2)
        t = torch.nn.functional.conv2d(t, w[2].permute(3, 2, 0, 1), w[3], stride=2).tanh()
        logits = t.permute(0, 2, 3, 1).flatten(1) @ w[4] + w[5]
        torch.nn.functional.cross_entropy(logits, torch.tensor(y)).backward()
        optimizer.step()
    model.compile(SGD(0.1, momentum=0.9, nesterov=True), "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=6, epochs=3, shuffle=False, verbose=0)
    for ours, theirs in zip(model.get_weights(), w, strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-10, atol=1e-12)
