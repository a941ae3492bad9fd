"""LARS by hand, with its exclusions, saved and loaded."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.training import LARS


def variable(values, name):
    return keras.Variable(np.float32(values), name=name)


def test_two_steps_by_hand():
    """|w| = 5, g + l2 w = (0.6, 0.8) + 0.1 (3, 4) = (0.9, 1.2), of length 1.5: the rate is 2 * 0.03 * 5 / 1.5 = 0.2."""
    kernel = variable([3, 4], "kernel")
    optimizer = LARS(2.0, momentum=0.5, l2=0.1, trust=0.03)
    optimizer.apply([tf.constant([0.6, 0.8])], [kernel])
    np.testing.assert_allclose(kernel, [3 - 0.18, 4 - 0.24], rtol=1e-6)
    # |w| = 4.7; g + l2 w = (0.882, 1.176), of length 1.47: 2 * 0.03 * 4.7 / 1.47; v = 0.5 (0.18, 0.24) + that times g
    optimizer.apply([tf.constant([0.6, 0.8])], [kernel])
    step = 0.06 * 4.7 / 1.47
    np.testing.assert_allclose(kernel, [2.82 - 0.09 - step * 0.882, 3.76 - 0.12 - step * 1.176], rtol=1e-6)


def test_biases_and_batch_normalisation_are_excluded():
    names = ("bias", "gamma", "beta")
    variables = [variable([3, 4], name) for name in names]
    LARS(2.0, l2=0.1, trust=0.03).apply([tf.constant([0.6, 0.8])] * 3, variables)
    for each in variables:
        np.testing.assert_allclose(each, [3 - 1.2, 4 - 1.6], rtol=1e-6)


@pytest.mark.parametrize(("weights", "gradient"), [([0.0, 0.0], [0.6, 0.8]), ([3.0, 4.0], [0.0, 0.0])])
def test_without_length_the_rate_is_the_plain_one(weights, gradient):
    kernel = variable(weights, "kernel")
    LARS(2.0, trust=0.03).apply([tf.constant(gradient)], [kernel])
    np.testing.assert_allclose(kernel, np.array(weights) - 2 * np.array(gradient), rtol=1e-6)


def test_a_schedule_and_its_configuration():
    optimizer = LARS(keras.optimizers.schedules.CosineDecay(1.0, 10), momentum=0.8, l2=1e-6, excluded=("bias",))
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config() and again.excluded == ("bias",)
