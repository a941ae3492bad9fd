"""Maps and strongest activations against NumPy."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_cnns.inspection import feature_maps, strongest_activations


@pytest.fixture(scope="module")
def model():
    """Feature 0 is the image, feature 1 its negative; pooled; then their sums."""
    image = keras.Input((4, 4, 1), name="image")
    both = layers.Conv2D(2, 1, use_bias=False, name="both")
    model = keras.Model(
        image,
        layers.Dense(1, name="sum")(layers.GlobalMaxPooling2D(name="highest")(layers.ReLU(name="relu")(both(image)))),
    )
    both.set_weights([np.float32([[[[1, -1]]]])])
    return model


def test_feature_maps_are_the_layers_output(model):
    images = np.random.default_rng(0).normal(size=(3, 4, 4, 1)).astype("float32")
    maps = feature_maps(model, "relu", images)
    np.testing.assert_array_equal(maps, np.maximum(np.concatenate([images, -images], axis=-1), 0))
    np.testing.assert_array_equal(feature_maps(model, "highest", images), maps.max(axis=(1, 2)))


def test_strongest_activations_over_batches_of_any_size(model):
    images = np.random.default_rng(1).permutation(10 * 16).reshape(10, 4, 4, 1).astype("float32") - 80
    strongest = strongest_activations(model, "both", (images[a:b] for a, b in ((0, 4), (4, 5), (5, 10))), count=3)
    for feature, sign in enumerate((1, -1)):
        highest = (sign * images).max(axis=(1, 2, 3))
        order = np.argsort(-highest)[:3]
        np.testing.assert_array_equal(strongest.images[feature], order)
        np.testing.assert_array_equal(strongest.values[feature], highest[order])
        for number, place in zip(order, strongest.places[feature], strict=True):
            assert sign * images[number, place[0], place[1], 0] == highest[number]


def test_of_equals_the_first_and_no_more_than_there_are(model):
    images = np.ones((2, 4, 4, 1), "float32")
    strongest = strongest_activations(model, "relu", [images, images], count=9)
    assert strongest.images.tolist() == [[0, 1, 2, 3]] * 2 and strongest.values.tolist() == [[1] * 4, [0] * 4]
    vectors = strongest_activations(model, "sum", [images])
    assert vectors.values.shape == (1, 2) and not vectors.places.any()


def test_what_is_wrong_is_said(model):
    with pytest.raises(ValueError, match="no layer 'rely'; the nearest are relu"):
        feature_maps(model, "rely", np.zeros((1, 4, 4, 1), "float32"))
    with pytest.raises(ValueError, match=r"images have the shape \(1, 4, 4, 3\)"):
        feature_maps(model, "relu", np.zeros((1, 4, 4, 3), "float32"))
    with pytest.raises(ValueError, match="there are no images"):
        strongest_activations(model, "relu", [])
