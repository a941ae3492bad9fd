"""PaddedIdentity, the shortcut of option A, against cases made by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.layers import PaddedIdentity


def test_three_by_three_by_hand():
    x = np.array([[[[1, 10], [2, 20], [3, 30]], [[4, 40], [5, 50], [6, 60]], [[7, 70], [8, 80], [9, 90]]]], "float32")
    expected = [[[[0, 1, 10, 0, 0], [0, 3, 30, 0, 0]], [[0, 7, 70, 0, 0], [0, 9, 90, 0, 0]]]]
    np.testing.assert_array_equal(PaddedIdentity(5, strides=2)(x), expected)


@pytest.mark.parametrize(
    ("size", "strides", "expected"),
    [((4, 4), 2, (2, 2)), ((5, 4), 2, (3, 2)), ((1, 7), 2, (1, 4)), ((7, 8), 3, (3, 3)), ((3, 5), 1, (3, 5))],
)
def test_sizes(size, strides, expected):
    x = np.random.default_rng(0).normal(size=(2, *size, 4)).astype("float32")
    layer = PaddedIdentity(8, strides)
    y = layer(x)
    assert y.shape == layer.compute_output_shape(x.shape) == (2, *expected, 8)
    assert not np.any(y[..., :2]) and not np.any(y[..., 6:])
    np.testing.assert_array_equal(y[..., 2:6], x[:, ::strides, ::strides])


def test_nothing_to_add_is_the_identity():
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 4)).astype("float32")
    np.testing.assert_array_equal(PaddedIdentity(4)(x), x)


def test_any_size_saved_and_loaded(save_and_load):
    image = keras.Input((None, None, 3))
    model = keras.Model(image, PaddedIdentity(8, strides=2)(image))
    again = save_and_load(model)
    assert again.output_shape == (None, None, None, 8) and not model.weights
    for size in ((6, 6), (7, 9)):
        x = np.random.default_rng(0).normal(size=(1, *size, 3)).astype("float32")
        np.testing.assert_array_equal(again(x)[..., 2:5], x[:, ::2, ::2])  # five zero channels: two before, three after


def test_dtype_is_the_precisions():
    assert PaddedIdentity(4, dtype="mixed_bfloat16")(np.ones((1, 2, 2, 2), "float32")).dtype == "bfloat16"


def test_the_gradient_goes_to_the_pixels_taken():
    x = tf.ones((1, 3, 3, 1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = PaddedIdentity(2, strides=2)(x)
    np.testing.assert_array_equal(tape.gradient(y, x)[0, :, :, 0], [[1, 0, 1], [0, 0, 0], [1, 0, 1]])


def test_fewer_filters_than_channels_are_refused():
    with pytest.raises(ValueError, match="filters is 2; it must be at least the input's 3 channels"):
        PaddedIdentity(2)(np.ones((1, 2, 2, 3)))
