"""Gradients and class activation maps against sums written out."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_cnns
from keras_cnns.inspection import class_activation_map, guided_backpropagation, saliency


def network(*parts, side=1, channels=2):
    image = x = keras.Input((side, side, channels))
    for part in parts:
        x = part(x)
    return keras.Model(image, x)


@pytest.fixture(scope="module")
def two_units():
    """Class 0: relu(a) - relu(b); class 1: relu(b) - relu(-a) and so on, by hand."""
    model = network(
        layers.Flatten(), layers.Dense(3, use_bias=False, activation="relu"), layers.Dense(2, use_bias=False)
    )
    first, second = np.float32([[1, 0, -1], [0, 1, 0]]), np.float32([[2, -1], [-3, 5], [4, 7]])
    model.layers[2].set_weights([first])
    model.layers[3].set_weights([second])
    return model


def test_saliency_is_the_gradient_and_guided_only_what_is_positive_where_open(two_units):
    images = np.float32([[1, 1], [-1, 1], [1, -1]]).reshape(3, 1, 1, 2)
    # Open units: (a, b), (b, -a), (a). Class 0: 2 relu(a) - 3 relu(b) + 4 relu(-a).
    plain = saliency(two_units, images, 0).reshape(3, 2)
    np.testing.assert_array_equal(plain, [[2, -3], [-4, -3], [2, 0]])
    guided = guided_backpropagation(two_units, images, 0).reshape(3, 2)
    np.testing.assert_array_equal(guided, [[2, 0], [-4, 0], [2, 0]])


@pytest.mark.parametrize(
    "relu", [layers.Activation(tf.nn.relu), layers.Activation(keras.ops.relu), lambda x: keras.activations.relu(x)]
)
def test_a_relu_by_any_name_is_guided(relu, two_units):
    other = network(layers.Flatten(), layers.Dense(3, use_bias=False), relu, layers.Dense(2, use_bias=False))
    other.set_weights(two_units.get_weights())
    images = np.float32([[1, 1], [-1, 1], [1, -1]]).reshape(3, 1, 1, 2)
    guided = guided_backpropagation(other, images, 0).reshape(3, 2)
    np.testing.assert_array_equal(guided, [[2, 0], [-4, 0], [2, 0]])


def test_the_class_by_default_is_the_one_with_the_highest_score(two_units):
    images = np.float32([[1, 1], [-1, 1], [1, -1]]).reshape(3, 1, 1, 2)  # scores (-1, 4), (1, 12), (2, -1)
    np.testing.assert_array_equal(saliency(two_units, images), saliency(two_units, images, [1, 1, 0]))


def test_what_the_network_does_not_have_is_refused(two_units):
    images = np.ones((1, 1, 1, 2), "float32")
    with pytest.raises(ValueError, match="classes is 2; the network has 0 to 1"):
        saliency(two_units, images, 2)
    with pytest.raises(ValueError, match="only logits"):
        saliency(network(layers.Conv2D(2, 1)), images)
    with pytest.raises(ValueError, match="images have the shape"):
        guided_backpropagation(two_units, images[..., :1])


def test_a_class_activation_maps_mean_is_the_score():
    model = keras_cnns.resnet_cifar(8, input_shape=(16, 16, 3))
    images = tf.random.stateless_normal((4, 16, 16, 3), (0, 0)).numpy()
    maps = class_activation_map(model, images, [3, 0, 9, 9])
    scores = model(images).numpy()[range(4), [3, 0, 9, 9]]
    assert maps.shape == (4, 4, 4)
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), scores, rtol=1e-3, atol=1e-5)  # biases start at 0


def test_a_class_activation_map_written_out():
    pooled = layers.AveragePooling2D(3)
    model = network(layers.Identity(), pooled, layers.Dropout(0.5), layers.Flatten(), layers.Dense(2), side=3)
    weights = np.float32([[1, -2], [3, 4]])
    model.layers[-1].set_weights([weights, np.float32([100, 200])])
    images = np.arange(18, dtype="float32").reshape(1, 3, 3, 2)
    expected = 1 * images[..., 0] + 3 * images[..., 1]
    np.testing.assert_array_equal(class_activation_map(model, images, 0), expected)
    np.testing.assert_array_equal(class_activation_map(model, images), -2 * images[..., 0] + 4 * images[..., 1])


def test_class_activation_maps_need_global_average_pooling():
    for parts in (
        [layers.Flatten(), layers.Dense(2)],
        [layers.AveragePooling2D(2), layers.Flatten(), layers.Dense(2)],  # 2x2 of it are left
        [layers.GlobalAveragePooling2D(), layers.Dense(3, activation="relu"), layers.Dense(2)],
        [layers.GlobalMaxPooling2D(), layers.Dense(2)],
    ):
        model = network(*parts, side=4)
        with pytest.raises(ValueError, match="need global average pooling and one dense layer"):
            class_activation_map(model, np.ones((1, 4, 4, 2), "float32"))


@pytest.mark.slow
def test_a_class_activation_map_of_googlenet():
    model = keras_cnns.googlenet(classes=5)
    images = tf.random.stateless_normal((1, 224, 224, 3), (0, 0)).numpy()
    score = model(images)[0].numpy()[0, 4]
    np.testing.assert_allclose(class_activation_map(model, images, 4).mean(), score, rtol=1e-3, atol=1e-5)
