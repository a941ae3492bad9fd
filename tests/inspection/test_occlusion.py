"""Covered and moved images, by hand."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_cnns.inspection import invariance, occlusion
from keras_cnns.inspection.invariance import moved
from keras_cnns.inspection.occlusion import cover


@pytest.fixture(scope="module")
def corner():
    """Two maps, the image and half of it; class 1's score is the pixel at (1, 2), class 0's is 0."""
    image = keras.Input((6, 6, 1))
    maps = layers.Conv2D(2, 1, use_bias=False, activation="relu", name="maps")
    model = keras.Model(image, layers.Dense(2, use_bias=False, name="fc")(layers.Flatten()(maps(image))))
    maps.set_weights([np.float32([[[[0.5, 1]]]])])
    weights = np.zeros((6, 6, 2, 2), "float32")
    weights[1, 2, 1, 1] = 1
    model.get_layer("fc").set_weights([weights.reshape(72, 2)])
    return model


def test_the_score_falls_where_the_square_covers_what_it_comes_from(corner):
    image = np.ones((6, 6, 1), "float32")
    image[1, 2] = 3
    result = occlusion(corner, "maps", image, size=3, stride=1)
    assert result.feature == 1 and result.probabilities.shape == (6, 6, 2)
    covered = np.zeros((6, 6), bool)
    covered[0:3, 1:4] = True  # centres of 3x3 squares over (1, 2)
    score = np.where(covered, 0, 3)
    np.testing.assert_allclose(result.probabilities[..., 1], 1 / (1 + np.exp(-score)), rtol=1e-5)
    pixels = np.full((6, 6), 9)  # of the square; at the edges less of it lies inside
    pixels[[0, -1]], pixels[:, [0, -1]] = 6, 6
    pixels[[0, 0, -1, -1], [0, -1, 0, -1]] = 4
    np.testing.assert_allclose(result.activity, 38 - pixels - 2 * covered)


def test_squares_of_even_size_strides_and_other_greys(corner):
    image = np.arange(36, dtype="float32").reshape(6, 6, 1)
    expected = image.copy()
    expected[0:3, 4:6] = -7
    np.testing.assert_array_equal(cover(image, 1, 6, 4, -7.0), expected)
    assert occlusion(corner, "maps", image, size=2, stride=4).activity.shape == (1, 1)  # centre 2; 6 is outside
    assert occlusion(corner, "maps", image).activity.shape == (6, 6)  # every pixel of a small image


def test_what_cannot_be_covered_is_refused(corner):
    image = np.ones((6, 6, 1), "float32")
    for arguments, message in (
        (("map", image), "no layer 'map'; the nearest are maps"),
        (("fc", image), "layer 'fc' gives .*; its output must be maps"),
        (("maps", image[None]), r"image has the shape \(1, 6, 6, 1\)"),
        (("maps", image, 0), "size is 0"),
        (("maps", image[:4]), "the network takes"),
    ):
        with pytest.raises(ValueError, match=message):
            occlusion(corner, *arguments)


def test_images_move_as_said():
    images = np.arange(25, dtype="float32").reshape(1, 5, 5, 1)
    down = np.asarray(moved(images, "translation", 2))[0, ..., 0]
    np.testing.assert_allclose(down[2:], images[0, :3, :, 0])
    assert not down[:2].any()
    np.testing.assert_allclose(
        np.asarray(moved(images, "rotation", 90))[0, ..., 0], np.rot90(images[0, ..., 0]), atol=1e-4
    )
    np.testing.assert_allclose(np.asarray(moved(images, "rotation", 0)), images, atol=1e-5)
    larger = np.asarray(moved(images, "scale", 2))[0, ..., 0]
    np.testing.assert_allclose(larger[::2, ::2], images[0, 1:4, 1:4, 0], atol=1e-5)  # the middle stays in the middle
    with pytest.raises(ValueError, match="kind is 'shear'; it must be one of 'translation', 'scale', 'rotation'"):
        moved(images, "shear", 1)


def test_distances_are_in_units_of_those_between_images(corner):
    images = np.zeros((2, 6, 6, 1), "float32")
    images[0, 1, 2], images[1, 4, 4] = 3, 4  # features (1.5, 3) and (2, 4): sqrt(11.25 + 20) apart
    distances, probabilities = invariance(corner, ["maps", "fc"], images, "translation", [0, 1, 6])
    assert distances.shape == (2, 2, 3) and probabilities.shape == (2, 3, 2)
    unit = np.sqrt(11.25 + 20)
    np.testing.assert_allclose(distances[0, 0], [0, np.sqrt(22.5) / unit, np.sqrt(11.25) / unit], rtol=1e-5)
    np.testing.assert_allclose(distances[1], [[0, 1, 1], [0, 0, 0]], atol=1e-6)  # scores (0, 3) and (0, 0)
    np.testing.assert_allclose(probabilities[0, :, 1], 1 / (1 + np.exp([-3, 0, 0])), rtol=1e-5)
