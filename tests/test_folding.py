"""Folded batch normalisation: the same outputs from fewer layers."""

import keras
import numpy as np
import pytest

import keras_cnns
from keras_cnns.folding import fold_batch_normalization
from keras_cnns.layers import BatchNormalization, TowerConv2D

Conv2D = keras.layers.Conv2D


def randomise(model, seed=0):
    """Give every weight a value that matters: gammas of both signs and zero, a variance next to zero."""
    rng = np.random.default_rng(seed)
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.BatchNormalization):
            for weight in layer.weights:
                values = rng.normal(size=weight.shape)
                if "variance" in weight.path:
                    values = abs(values) + 0.5
                    values[-1] = 1e-7
                elif "gamma" in weight.path:
                    values[0], values[-1] = 0, -0.01
                weight.assign(values)
        elif getattr(layer, "bias", None) is not None:
            layer.bias.assign(rng.normal(size=layer.bias.shape))
    return model


def norms(model):
    return [layer.name for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]


def outputs_equal(model, folded, seed=1, tolerance=1e-5):
    rng = np.random.default_rng(seed)
    inputs = [rng.normal(size=(2, *put.shape[1:])).astype("float32") for put in model.inputs]
    inputs = inputs if len(inputs) > 1 else inputs[0]
    expected, outputs = (keras.tree.flatten(network(inputs, training=False)) for network in (model, folded))
    assert len(outputs) == len(expected)
    for ours, theirs in zip(outputs, expected, strict=True):
        assert ours.dtype == theirs.dtype
        theirs = np.array(theirs, "float64")
        assert abs(theirs).max() > 1e-3
        np.testing.assert_allclose(np.array(ours, "float64"), theirs, rtol=0, atol=tolerance * abs(theirs).max())


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("center", [True, False])
def test_by_hand(use_bias, scale, center):
    image = keras.Input((3, 3, 2))
    x = Conv2D(4, 1, use_bias=use_bias, name="conv")(image)
    x = BatchNormalization(scale=scale, center=center, epsilon=1e-3, name="bn")(x)
    model = randomise(keras.Model(image, x))
    norm, conv = model.get_layer("bn"), model.get_layer("conv")
    images = np.random.default_rng(2).normal(size=(5, 3, 3, 2)).astype("float32")
    y = images @ np.array(conv.kernel)[0, 0] + (np.array(conv.bias) if use_bias else 0)
    y = (y - np.array(norm.moving_mean)) / np.sqrt(np.array(norm.moving_variance) + 1e-3)
    y = y * (np.array(norm.gamma) if scale else 1) + (np.array(norm.beta) if center else 0)
    folded = fold_batch_normalization(model)
    assert [layer.name for layer in folded.layers[1:]] == ["conv"]
    np.testing.assert_allclose(folded(images), y, rtol=0, atol=1e-5 * abs(y).max())


KINDS = {
    "Conv1D": (keras.layers.Conv1D(4, 3), (8, 4)),
    "Conv2D": (Conv2D(4, 3, strides=2, padding="same", dilation_rate=1), (8, 8, 4)),
    "Conv3D": (keras.layers.Conv3D(4, 2), (4, 4, 4, 4)),
    "Dense": (keras.layers.Dense(4), (4,)),
    "Dense on maps": (keras.layers.Dense(4), (3, 3, 4)),
    "DepthwiseConv2D": (keras.layers.DepthwiseConv2D(3, depth_multiplier=2), (8, 8, 4)),
    "Conv2DTranspose": (keras.layers.Conv2DTranspose(5, 3, strides=2), (4, 4, 4)),
    "TowerConv2D": (TowerConv2D(6, 3, groups=2), (8, 8, 4)),
}


@pytest.mark.parametrize(("layer", "shape"), KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("norm", [BatchNormalization, keras.layers.BatchNormalization])
def test_every_kind_of_layer(layer, shape, norm):
    put = keras.Input(shape)
    layer = type(layer).from_config(layer.get_config())
    model = randomise(keras.Model(put, keras.layers.ReLU()(norm()(layer(put)))))
    folded = fold_batch_normalization(model)
    assert not norms(folded) and len(folded.layers) == 3
    outputs_equal(model, folded)


class Standardised(Conv2D):
    """Not linear in its kernel."""

    def call(self, inputs):
        kernel = self.kernel - keras.ops.mean(self.kernel, axis=(0, 1, 2))
        return self.convolution_op(inputs, kernel)


def stays_activated(x):
    return keras.layers.BatchNormalization(name="stays")(Conv2D(4, 3, activation="relu")(x))


def stays_own_call(x):
    return keras.layers.BatchNormalization(name="stays")(Standardised(4, 3)(x))


def stays_used_twice(x):
    x = Conv2D(4, 3)(x)
    return keras.layers.Add()([x, keras.layers.BatchNormalization(name="stays")(x)])


def stays_output_too(x):
    x = Conv2D(4, 3)(x)
    return [x, keras.layers.BatchNormalization(name="stays")(x)]


def stays_shared_convolution(x):
    conv = Conv2D(4, 3, padding="same")
    return conv(keras.layers.BatchNormalization(name="stays")(conv(x)))


def stays_shared_normalization(x):
    norm = keras.layers.BatchNormalization(name="stays")
    return norm(Conv2D(4, 3)(norm(Conv2D(4, 3)(x))))


def stays_over_rows(x):
    return keras.layers.BatchNormalization(axis=1, name="stays")(Conv2D(4, 3)(x))


def stays_in_float32(x):
    return keras.layers.BatchNormalization(name="stays")(Conv2D(4, 3, dtype="mixed_bfloat16")(x))


def stays_after_concatenation(x):
    return keras.layers.BatchNormalization(name="stays")(keras.layers.Concatenate()([x, x]))


def stays_first(x):
    return keras.layers.BatchNormalization(name="stays")(x)


@pytest.mark.parametrize("end", [value for name, value in list(globals().items()) if name.startswith("stays_")])
def test_what_stays(end):
    image = keras.Input((8, 8, 4))
    x = keras.layers.BatchNormalization(name="goes")(Conv2D(4, 3, name="first")(image))
    model = randomise(keras.Model(image, end(keras.layers.ReLU()(x))))
    folded = fold_batch_normalization(model)
    assert norms(folded) == ["stays"]
    outputs_equal(model, folded)


def test_normalising_with_the_batch_stays():
    image = keras.Input((8, 8, 4))
    model = keras.Model(image, keras.layers.BatchNormalization(name="stays")(Conv2D(4, 3)(image), training=True))
    folded = fold_batch_normalization(randomise(model))
    assert norms(folded) == ["stays"]


def test_several_inputs_and_outputs_by_name():
    a, b = keras.Input((8, 8, 4), name="a"), keras.Input((8, 8, 4), name="b")
    x = BatchNormalization()(Conv2D(4, 3)(keras.layers.Add()([a, b])))
    y = BatchNormalization(name="y")(Conv2D(2, 1)(keras.ops.relu(x) * 2.0))  # operations that are no layers
    model = randomise(keras.Model({"a": a, "b": b}, {"x": x, "y": y}))
    folded = fold_batch_normalization(model)
    images = dict(zip("ab", np.random.default_rng(0).normal(size=(2, 2, 8, 8, 4)).astype("float32"), strict=True))
    expected, outputs = model(images), folded(images)
    assert not norms(folded) and outputs.keys() == {"x", "y"}
    for name, value in outputs.items():
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=1e-5 * np.abs(expected[name]).max())


def test_nested_and_sequential_models():
    layers = [keras.Input((8, 8, 3)), Conv2D(4, 3), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    inner = keras.Sequential(layers, name="inner")
    one, two = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    model = randomise(keras.Model([one, two], [inner(one), inner(two)], name="outer"))
    folded = fold_batch_normalization(model)
    assert not norms(folded) and folded.name == "outer"
    assert len(folded.get_layer("inner").layers) == 2
    outputs_equal(model, folded)


def test_dropout_goes_unless_it_is_called_for():
    image = keras.Input((8, 8, 3))
    x = keras.layers.SpatialDropout2D(0.5)(keras.layers.GaussianNoise(0.5)(keras.layers.Dropout(0.5)(image)))
    x = keras.layers.Dropout(0.5, name="always")(x, training=True)
    assert [layer.name for layer in fold_batch_normalization(keras.Model(image, x)).layers[1:]] == ["always"]


def test_statistics_of_other_layers_are_copied():
    image = keras.Input((4, 4, 3))
    normalization = keras.layers.Normalization()
    normalization.adapt(np.random.default_rng(0).normal(5, 2, size=(10, 4, 4, 3)))
    model = keras.Model(image, BatchNormalization()(Conv2D(2, 1)(normalization(image))))
    outputs_equal(model, fold_batch_normalization(model))


def test_the_model_itself_is_not_changed():
    model = randomise(keras_cnns.resnet_cifar(8))
    before = model.get_weights()
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    folded = fold_batch_normalization(model)
    folded.set_weights([0 * weight for weight in folded.get_weights()])
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert nodes == [len(layer._inbound_nodes) for layer in model.layers]
    assert len(norms(model)) == 7 and not any(layer.use_bias for layer in model.layers if isinstance(layer, Conv2D))


# And the normalisations left: DenseNet's first of every layer and transition, and the last.
NETWORKS = {
    "resnet_cifar": ({"depth": 20}, 0),
    "resnet18": ({"input_shape": (64, 64, 3), "classes": 10}, 0),
    "densenet_cifar": ({"depth": 22, "growth_rate": 4, "bottleneck": True, "compression": 0.5}, 9 + 2 + 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("builder", NETWORKS)
def test_networks(builder):
    arguments, left = NETWORKS[builder]
    keras.utils.set_random_seed(1)
    model = randomise(getattr(keras_cnns, builder)(**arguments))
    folded = fold_batch_normalization(model)
    assert len(norms(folded)) == left
    assert folded.count_params() < model.count_params()
    assert {layer.name for layer in model.layers} - {layer.name for layer in folded.layers} <= set(norms(model))
    outputs_equal(model, folded)


@pytest.mark.slow
def test_networks_of_others():
    keras.utils.set_random_seed(1)
    model = randomise(keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, classes=10))
    folded = fold_batch_normalization(model)
    assert len(norms(model)) == 52 and not norms(folded)
    outputs_equal(model, folded)


def test_mixed_precision():
    keras.utils.set_random_seed(1)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = randomise(keras_cnns.resnet_cifar(8))
    finally:
        keras.config.set_dtype_policy("float32")
    folded = fold_batch_normalization(model)
    assert not norms(folded)
    assert {layer.compute_dtype for layer in folded.layers if isinstance(layer, Conv2D)} == {"bfloat16"}
    assert {weight.dtype for weight in folded.weights} == {"float32"}  # rounded once, when it computes
    outputs_equal(model, folded, tolerance=0.05)


def test_what_cannot_be_folded():
    class Subclassed(keras.Model):
        def call(self, x):
            return x

    for model in (Subclassed(name="mine"), keras.Sequential(name="mine")):
        with pytest.raises(ValueError, match="mine is no built functional or Sequential model"):
            fold_batch_normalization(model)
