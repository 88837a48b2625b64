"""Models in files and out of Keras: the same predictions, and nothing lost where something is wrong."""

import json
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from numconv.layers import (
    SGD,
    Adam,
    BinaryCrossentropy,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    Sequential,
    from_keras,
    load_model,
)

from .test_layers import SHAPES

RNG = np.random.default_rng(31)


@pytest.fixture
def saved(tmp_path):
    """A model, and the file it is in."""
    model = Sequential([Conv1D(3, 3, activation="tanh", input_shape=(9, 2)), Flatten(), Dense(1)], name="mine")
    model.compile(SGD(0.5, momentum=0.9), BinaryCrossentropy(from_logits=True), ["accuracy"])
    model.save(tmp_path / "model.npz")
    return model, tmp_path / "model.npz"


# ---- files


@pytest.mark.parametrize("case", SHAPES)
def test_every_layer_comes_back(case, tmp_path):
    kind, shape = SHAPES[case][:2]
    model = Sequential([Input(shape), type(kind)(**kind.get_config() | {"name": None})], dtype="float64")
    model.save(tmp_path / "model")
    again, x = load_model(tmp_path / "model"), RNG.standard_normal((2, *shape))
    assert (again.predict(x) == model.predict(x)).all() and again.dtype == np.float64
    assert [layer.get_config() for layer in again.layers] == [layer.get_config() for layer in model.layers]


def test_a_compiled_model_learns_on(saved):
    model, path = saved
    again = load_model(path)
    x, y = RNG.standard_normal((20, 9, 2)), RNG.integers(0, 2, 20)
    for each in (model, again):
        each.fit(x, y, epochs=2, shuffle=False, verbose=0)
    assert again.name == "mine" and again.input_shape == model.input_shape
    assert all((a == b).all() for a, b in zip(again.get_weights(), model.get_weights(), strict=True))
    assert again.evaluate(x, y) == model.evaluate(x, y)


def test_a_layer_with_a_function_for_its_first_weights_is_saved(tmp_path):
    model = Sequential([Dense(2, kernel_initializer=lambda s, d: np.full(s, 3, d), input_dim=2), Dropout(0.5)])
    model.compile(Adam(), "mae")
    model.save(tmp_path / "model.npz")
    assert load_model(tmp_path / "model.npz").predict([[1, 1]]).tolist() == [[6, 6]]


def test_a_file_is_plain(saved):
    with np.load(saved[1], allow_pickle=False) as archive:
        assert set(archive.files) == {"architecture", "0/kernel", "0/bias", "2/kernel", "2/bias"}
        plan = json.loads(str(archive["architecture"]))
    assert plan["format"] == "numconv.layers" and plan["layers"][1][0] == "Flatten"


def test_what_was_there_stays_until_the_new_file_is_whole(saved, monkeypatch):
    model, path = saved
    before = path.read_bytes()

    def broken(file, **arrays):
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", broken)
    with pytest.raises(OSError, match="no space"):
        model.save(path)
    assert path.read_bytes() == before and [p.name for p in path.parent.iterdir()] == ["model.npz"]


def test_a_model_without_weights_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="no weights yet"):
        Sequential([Dense(2)]).save(tmp_path / "model.npz")
    assert not list(tmp_path.iterdir())


def rewritten(path, change):
    """The file with another architecture or other arrays."""
    with np.load(path) as archive:
        arrays = dict(archive)
    plan = json.loads(str(arrays["architecture"]))
    change(plan, arrays)
    arrays.setdefault("architecture", None)
    if arrays["architecture"] is not None:
        arrays["architecture"] = np.array(json.dumps(plan))
    else:
        del arrays["architecture"]
    np.savez(path, **arrays)


DAMAGES = {
    "no architecture": (lambda plan, arrays: arrays.pop("architecture"), "holds no architecture"),
    "another format": (lambda plan, arrays: plan.update(format="keras"), "its architecture is none"),
    "a later version": (lambda plan, arrays: plan.update(version=2), "version 2, and this numconv reads version 1"),
    "unknown layer": (lambda plan, arrays: plan["layers"].append(["Conv9D", {}]), "Conv9D"),
    "unknown option": (lambda plan, arrays: plan["layers"][0][1].update(colour=1), "colour"),
    "other filters": (lambda plan, arrays: plan["layers"][0][1].update(filters=4), "0/|given as|expected"),
    "fewer weights": (lambda plan, arrays: arrays.pop("2/bias"), "2/bias"),
    "more weights": (lambda plan, arrays: arrays.update({"1/kernel": np.ones(3)}), "weights of no layer: 1/kernel"),
    "other type": (lambda plan, arrays: plan.update(dtype="float16"), "float16"),
    "no layers": (lambda plan, arrays: plan.update(layers=[]), "no layers"),
    "a number": (lambda plan, arrays: plan.update(layers=5), "int"),
    "objects": (lambda plan, arrays: arrays.update({"2/bias": np.array([{}])}), "allow_pickle"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused(damage, saved):
    change, words = DAMAGES[damage]
    rewritten(saved[1], change)
    with pytest.raises(ValueError, match=rf"load_model: .*model.npz is no model of numconv.layers.*({words})"):
        load_model(saved[1])


def test_any_cut_and_any_flipped_byte_is_refused_or_harmless(saved, tmp_path):
    model, path = saved
    whole, x = path.read_bytes(), RNG.standard_normal((1, 9, 2))
    expected, broken = model.predict(x), tmp_path / "broken"
    for cut in range(0, len(whole), 37):
        broken.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="no model"):
            load_model(broken)
    for at in range(0, len(whole), 11):
        flipped = bytearray(whole)
        flipped[at] ^= 0x55
        broken.write_bytes(flipped)
        try:
            assert (load_model(broken).predict(x) == expected).all()
        except ValueError as error:
            assert "no model" in str(error)


def test_foreign_files(tmp_path):
    for name, content in {"text": b"hello", "empty": b"", "pickle": b"\x80\x04N."}.items():
        (tmp_path / name).write_bytes(content)
    np.save(tmp_path / "array.npy", np.ones(3))
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("architecture.npy", "no array")
    for path in tmp_path.iterdir():
        with pytest.raises(ValueError, match=f"load_model: .*{path.name} is no model"):
            load_model(path)
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "missing")


# ---- Keras: what its layers say of themselves


def fake(kind, config, weights=()):
    """A layer as Keras's: a class of that name, `get_config` and `get_weights`."""
    methods = {"get_config": lambda self: config, "get_weights": lambda self: list(weights)}
    return type(kind, (), methods)()


def policy(name):
    return {"module": "keras", "class_name": "DTypePolicy", "config": {"name": name}, "registered_name": None}


def initializer(name, version):
    if version == 2:
        return {"class_name": name, "config": {"seed": None}}
    return {"module": "keras.initializers", "class_name": name, "config": {"seed": None}, "registered_name": None}


def keras_layers(version):
    """The configurations of Keras 3.15, and of 2.15 (lists or tuples, the type as a name)."""
    several = list if version == 3 else tuple
    shared = {"trainable": True, "dtype": policy("float32") if version == 3 else "float32"}
    none = dict.fromkeys(
        ("kernel_regularizer", "bias_regularizer", "activity_regularizer", "kernel_constraint", "bias_constraint")
    )
    first = {
        "kernel_initializer": initializer("GlorotUniform", version),
        "bias_initializer": initializer("Zeros", version),
    }
    rng = np.random.default_rng(1)

    def w(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    conv = {
        "name": "conv2d", **shared, "filters": 4, "kernel_size": several((3, 3)), "strides": several((1, 1)),
        "padding": "valid", "data_format": "channels_last", "dilation_rate": several((1, 1)), "groups": 1,
        "activation": "relu", "use_bias": True, **first, **none,
    }  # fmt: skip
    depthwise = {
        "name": "depthwise_conv2d", **shared, "kernel_size": several((3, 3)), "strides": several((1, 1)),
        "padding": "same", "data_format": "channels_last", "dilation_rate": several((1, 1)), "depth_multiplier": 2,
        "activation": "linear", "use_bias": True, "depthwise_initializer": initializer("HeNormal", version),
        "bias_initializer": initializer("Zeros", version), "depthwise_regularizer": None, "bias_regularizer": None,
        "activity_regularizer": None, "depthwise_constraint": None, "bias_constraint": None,
    }  # fmt: skip
    transpose = conv | {
        "name": "conv2d_transpose", "filters": 3, "strides": several((2, 2)), "padding": "same",
        "output_padding": None, "activation": "leaky_relu",
    }  # fmt: skip
    del transpose["groups"]
    pool = {"pool_size": several((2, 2)), "padding": "valid", "strides": several((2, 2))}
    average = {"pool_size": several((3, 3)), "padding": "same", "strides": several((1, 1))}
    last = {"data_format": "channels_last"}
    dense = {"name": "dense", **shared, "units": 5, "activation": "softmax", "use_bias": True, **first, **none}
    relu = {"max_value": np.float64(6), "negative_slope": 0.1, "threshold": 0.0}
    return [
        fake("InputLayer", {"name": "input", "dtype": "float32"}),
        fake("Conv2D", conv, [w(3, 3, 3, 4), w(4)]),
        fake("DepthwiseConv2D", depthwise, [w(3, 3, 4, 2), w(8)]),
        fake("Conv2DTranspose", transpose, [w(3, 3, 3, 8), w(3)]),
        fake("MaxPooling2D", {"name": "max_pooling2d", **shared, **pool, **last}),
        fake("AveragePooling2D", {"name": "average_pooling2d", **shared, **average, **last}),
        fake("Activation", {"name": "activation", **shared, "activation": "tanh"}),
        fake("ReLU", {"name": "re_lu", **shared, **relu}),
        fake("Dropout", {"name": "dropout", **shared, "rate": 0.3, "seed": None, "noise_shape": None}),
        fake("Flatten", {"name": "flatten", **shared, **last}),
        fake("Dense", dense, [w(147, 5), w(5)]),
        fake("Softmax", {"name": "softmax", **shared, "axis": -1}),
    ]


def keras_model(layers, shape=(None, 9, 9, 3), kind="Sequential"):
    weights = [w for layer in layers for w in layer.get_weights()]
    members = {"layers": layers, "get_weights": lambda self: weights, "input_shape": shape, "name": "from_keras"}
    return type(kind, (), members)()


@pytest.mark.parametrize("version", [2, 3])
def test_a_model_of_keras(version):
    source = keras_model(keras_layers(version))
    model = from_keras(source)
    assert model.name == "from_keras" and model.dtype == np.float32 and model.input_shape == (None, 9, 9, 3)
    assert [layer.name for layer in model.layers] == [each.get_config()["name"] for each in source.layers[1:]]
    assert model.shapes == [
        *((7, 7, 4), (7, 7, 8), (14, 14, 3), (7, 7, 3), (7, 7, 3), (7, 7, 3), (7, 7, 3), (7, 7, 3), (147,)),
        *((5,), (5,)),
    ]  # what Keras's summary says
    assert model.layers[1].depthwise_initializer == "he_normal" and model.layers[2].activation == "leaky_relu"
    assert all((a == b).all() for a, b in zip(model.get_weights(), source.get_weights(), strict=True))
    by_hand = Sequential([Input((9, 9, 3)), *(type(layer)(**layer.get_config()) for layer in model.layers)])
    by_hand.set_weights(source.get_weights())
    x = RNG.standard_normal((3, 9, 9, 3))
    assert (by_hand.predict(x) == model.predict(x)).all()


def test_kinds_that_keras_has_and_we_do_not():
    layers = keras_layers(3)
    batch = fake("BatchNormalization", {"name": "bn", "dtype": "float32"})
    with pytest.raises(NotImplementedError, match="bn is a BatchNormalization, which is not here; there are Conv1D"):
        from_keras(keras_model([*layers, batch]))
    custom = layers[6].get_config() | {"activation": {"class_name": "function", "config": {"name": "mine"}}}
    with pytest.raises(NotImplementedError, match="Activation has the activation 'function'"):
        from_keras(keras_model([*layers[:6], fake("Activation", custom)]))
    with pytest.raises(NotImplementedError, match=r"Functional may branch.*keras\.Sequential\(model\.layers\)"):
        from_keras(keras_model(layers, kind="Functional"))
    with pytest.raises(TypeError, match="SimpleNamespace is no model of Keras"):
        from_keras(SimpleNamespace(layers=[]))


def test_the_type_of_a_model_of_keras():
    dense = {"name": "d", "dtype": policy("float64"), "units": 1, "activation": {"class_name": "f", "config": "relu"}}
    w = [np.array([[0.1], [0.2]]), np.array([1e-12])]
    model = from_keras(keras_model([fake("Dense", dense, w)], (None, 2)))
    assert model.dtype == np.float64 and model.predict([[0.0, 0.0]]).tolist() == [[1e-12]]
    half = fake("Dense", dense | {"dtype": policy("mixed_float16")}, [a.astype(np.float16) for a in w])
    assert from_keras(keras_model([half], (None, 2))).dtype == np.float32


def test_conv_from_keras_is_conv():
    """Unchanged options of a first layer: strides, dilation, groups, channels first."""
    config = {
        "name": "c", "dtype": "float32", "filters": 4, "kernel_size": [3, 2], "strides": [2, 1], "padding": "same",
        "data_format": "channels_first", "dilation_rate": [1, 1], "groups": 2, "activation": "gelu", "use_bias": False,
    }  # fmt: skip
    w = RNG.standard_normal((3, 2, 1, 4)).astype(np.float32)
    model = from_keras(keras_model([fake("Conv2D", config, [w])], (None, 2, 9, 8)))
    (layer,) = model.layers
    assert isinstance(layer, Conv2D) and layer.get_config().items() >= {
        "kernel_size": [3, 2], "strides": [2, 1], "padding": "same", "data_format": "channels_first", "groups": 2,
        "activation": "gelu", "use_bias": False,
    }.items()  # fmt: skip
    assert model.output_shape == (None, 4, 5, 8)
