"""The locally connected layer beside a convolution and a sum written out."""

import keras
import numpy as np
import pytest

from keras_cnns.layers import LocallyConnected2D


@pytest.fixture
def layer():
    layer = LocallyConnected2D(5, 3)
    layer.build((None, 4, 6, 2))
    return layer


def test_with_the_same_filters_everywhere_it_is_a_convolution(layer):
    images = np.random.default_rng(0).normal(size=(2, 4, 6, 2)).astype("float32")
    convolution = keras.layers.Conv2D(5, 3, padding="same", bias_initializer="ones")
    convolution.build(images.shape)
    kernel, bias = convolution.get_weights()
    layer.set_weights([np.tile(kernel.reshape(1, 1, 18, 5), (4, 6, 1, 1)), np.tile(bias, (4, 6, 1))])
    np.testing.assert_allclose(layer(images), convolution(images), rtol=1e-4, atol=1e-5)


def test_each_place_has_its_own(layer):
    """The unit at (1, 2) is the sum over its window of 3x3x2 times its own weights."""
    random = np.random.default_rng(1)
    images = random.normal(size=(1, 4, 6, 2)).astype("float32")
    kernel, bias = random.normal(size=(4, 6, 18, 5)), random.normal(size=(4, 6, 5))
    layer.set_weights([kernel, bias])
    expected = (images[0, 0:3, 1:4, :, None] * kernel[1, 2].reshape(3, 3, 2, 5)).sum(axis=(0, 1, 2)) + bias[1, 2]
    np.testing.assert_allclose(layer(images)[0, 1, 2], expected, rtol=1e-4)
    assert layer.count_params() == 4 * 6 * (18 * 5 + 5)


def test_it_starts_as_he_et_als_and_survives_a_file(layer, save_and_load):
    assert layer.kernel.numpy().std() == pytest.approx((2 / 18) ** 0.5, rel=0.1)
    model = keras.Sequential([keras.Input((4, 6, 2)), LocallyConnected2D(5, 3, activation="relu")])
    images = np.random.default_rng(0).normal(size=(2, 4, 6, 2)).astype("float32")
    np.testing.assert_array_equal(save_and_load(model)(images), model(images))


def test_a_free_size_is_told():
    with pytest.raises(ValueError, match="height and width are None and 6"):
        LocallyConnected2D(5, 3)(keras.Input((None, 6, 2)))
