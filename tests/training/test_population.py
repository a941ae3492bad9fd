"""Statistics of a whole training set, by hand."""

import keras
import numpy as np
import pytest

from keras_cnns.layers import BatchNormalization
from keras_cnns.training import population_statistics


def test_the_means_over_batches_stand_inside_and_the_own_outside():
    """Pixels of 0 and 2, then of 10: means 1 and 10, variances 1 and 0."""
    image = keras.Input((1, 2, 1))
    layer = BatchNormalization(momentum=0.9)
    model = keras.Model(image, keras.layers.Dropout(0.5)(layer(image)))
    layer.moving_mean.assign([7.0])
    before = [variable.numpy() for variable in model.variables]
    first, second = np.float32([[[[0], [2]]]]), np.full((1, 1, 2, 1), 10, "float32")
    with population_statistics(model, [(first, np.zeros(1)), second]):
        np.testing.assert_allclose(layer.moving_mean, [5.5])
        np.testing.assert_allclose(layer.moving_variance, [0.5])
        expected = (10 - 5.5) / np.sqrt(0.5 + layer.epsilon)
        np.testing.assert_allclose(model(second), np.full((1, 1, 2, 1), expected), rtol=1e-6)
    assert layer.momentum == 0.9
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    model(first, training=True)
    np.testing.assert_allclose(layer.moving_mean, [0.9 * 7 + 0.1 * 1], rtol=1e-6)


def test_of_no_images_there_are_no_statistics():
    model = keras.Sequential([keras.Input((1, 2, 1)), BatchNormalization()])
    with pytest.raises(ValueError, match="there are no images to take statistics of"), population_statistics(model, []):
        pass
    assert model.layers[0].momentum == 0.99
