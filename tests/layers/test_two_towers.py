"""TowerConv2D beside `keras.layers.Conv2D(groups=...)`, and beside two convolutions written out."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.layers import TowerConv2D


def images(channels=8, seed=0, size=(7, 8)):
    return np.random.default_rng(seed).normal(size=(2, *size, channels)).astype("float32")


def twins(filters, kernel_size, groups=2, precision="float32", **arguments):
    """Keras's layer in float32 and ours, with the same weights."""
    theirs = keras.layers.Conv2D(filters, kernel_size, groups=groups, **arguments)
    ours = TowerConv2D(filters, kernel_size, groups=groups, dtype=precision, **arguments)
    for layer in (theirs, ours):
        layer.build((None, None, None, 8))
    random = np.random.default_rng(1)
    theirs.set_weights([random.normal(size=weight.shape) for weight in theirs.weights])
    ours.set_weights(theirs.get_weights())
    return theirs, ours


def convolution(x, kernel):
    """A convolution without padding, position by position."""
    h, w = kernel.shape[:2]
    rows, columns = x.shape[1] - h + 1, x.shape[2] - w + 1
    windows = [[x[:, i : i + h, j : j + w] for j in range(columns)] for i in range(rows)]
    return np.einsum("ijbhwc,hwcf->bijf", np.array(windows), kernel)


def test_it_is_two_separate_convolutions():
    _, layer = twins(6, 3)
    kernel, bias = layer.get_weights()
    assert kernel.shape == (3, 3, 4, 6) and bias.shape == (6,)
    left = convolution(images()[..., :4], kernel[..., :3])
    right = convolution(images()[..., 4:], kernel[..., 3:])
    np.testing.assert_allclose(layer(images()), np.concatenate([left, right], -1) + bias, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"padding": "same"},
        {"padding": "same", "strides": 2},
        {"strides": (1, 2), "kernel_size": (2, 3)},
        {"padding": "same", "dilation_rate": 2},
        {"use_bias": False},
        {"activation": "relu"},
        {"groups": 4},
        {"groups": 1},
    ],
    ids=str,
)
def test_output_and_gradients_equal_keras(arguments):
    x = tf.constant(images())
    results = []
    for layer in twins(**{"filters": 12, "kernel_size": 3, **arguments}):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            loss = tf.reduce_sum(y**2)
        results.append([y, *tape.gradient(loss, [x, *(weight.value for weight in layer.trainable_weights)])])
        assert layer.compute_output_shape(x.shape) == y.shape
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("groups", [2, 4])
def test_it_stays_out_of_xla(groups):
    """One plain convolution a tower; Keras's grouped one is compiled by XLA, at many times the cost on CPU."""
    layer = TowerConv2D(8, 3, groups=groups)
    graph = tf.function(layer).get_concrete_function(tf.TensorSpec((1, 9, 9, 8))).graph
    operations = [operation.type for operation in graph.get_operations()]
    assert operations.count("Conv2D") == groups
    assert not [operation for operation in operations if "Xla" in operation or "Call" in operation]


def test_mixed_bfloat16_is_float32_within_rounding():
    theirs, ours = twins(6, 3, precision="mixed_bfloat16")
    rounded = lambda array: np.float32(tf.cast(array, "bfloat16"))
    theirs.set_weights([rounded(weight) for weight in theirs.get_weights()])
    y = ours(images())
    expected = theirs(rounded(images()))
    assert y.dtype == "bfloat16" and ours.kernel.dtype == "float32"
    np.testing.assert_allclose(np.float32(y), expected, rtol=2**-7, atol=2**-8 * np.abs(expected).max())


def test_saved_and_loaded_it_is_the_same(save_and_load):
    image = keras.Input((None, None, 8))
    arguments = {"groups": 4, "strides": 2, "padding": "same", "activation": "relu", "bias_initializer": "ones"}
    model = keras.Model(image, TowerConv2D(8, 3, name="conv", **arguments)(image))
    again = save_and_load(model)
    np.testing.assert_array_equal(model(images()), again(images()))
    assert type(again.get_layer("conv")) is TowerConv2D and again.get_layer("conv").groups == 4


def test_weights_have_keras_names():
    theirs, ours = twins(6, 3, name="conv2")
    assert [weight.path for weight in ours.weights] == [weight.path for weight in theirs.weights]


def test_towers_that_do_not_divide_filters_or_channels_are_refused():
    with pytest.raises(ValueError, match="filters must be evenly divisible"):
        TowerConv2D(7, 3)
    with pytest.raises(ValueError, match="input channels must be evenly divisible"):
        TowerConv2D(8, 3)(images(channels=7))
