"""Preprocessing against numbers worked out by hand and TensorFlow's own resizing."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.classification.alexnet import preprocessing as alexnet_preprocessing
from keras_cnns.classification.resnet_cifar import preprocessing as cifar_preprocessing
from keras_cnns.data.boxes import scale_objects
from keras_cnns.layers import Preprocessing


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, "uint8")


def test_mean_and_scale_by_hand():
    pixels = np.uint8([[[[10, 20, 30], [250, 128, 0]]]])  # one image of 1x2
    layer = Preprocessing((1, 2), mean=(10, 8, 20), scale=0.5)
    np.testing.assert_array_equal(layer(pixels), [[[[0, 6, 5], [120, 60, -10]]]])


def test_a_mean_per_pixel():
    mean = noise(5, 4, 3).astype("float32")
    images = noise(2, 5, 4, 3)
    np.testing.assert_array_equal(Preprocessing((5, 4), mean=mean)(images), images - mean)


def test_images_of_the_right_size_keep_every_pixel():
    images = noise(2, 9, 7, 3)
    layer = Preprocessing((9, 7))
    np.testing.assert_array_equal(layer(images), images)
    any_size = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)])
    np.testing.assert_array_equal(any_size(images), images)
    assert any_size.get_concrete_function().output_shapes.as_list() == [None, 9, 7, 3]


def test_halving_a_row_by_hand():
    # Antialiased bilinear at half size: a triangle four pixels wide, (1, 3, 3, 1) / 8, what falls outside left out.
    row = np.float32([0, 70, 140, 70])[None, None, :, None]
    expected = [(3 * 0 + 3 * 70 + 1 * 140) / 7, (1 * 70 + 3 * 140 + 3 * 70) / 7]
    np.testing.assert_allclose(Preprocessing((1, 2))(row)[0, 0, :, 0], expected, rtol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(40, 61), (61, 40), (33, 33), (300, 401), (64, 40)])
def test_shorter_side_then_centre(height, width):
    images = noise(2, height, width, 3)
    resized_height, resized_width = {  # 32 pixels for the shorter side, halves rounded up
        (40, 61): (32, 49),
        (61, 40): (49, 32),
        (33, 33): (32, 32),
        (300, 401): (32, 43),
        (64, 40): (51, 32),
    }[height, width]
    resized = tf.image.resize(images, (resized_height, resized_width), antialias=True).numpy()
    top, left = (resized_height - 28) // 2, (resized_width - 25) // 2
    ours = Preprocessing((28, 25), shorter_side=32)(images)
    np.testing.assert_allclose(ours, resized[:, top : top + 28, left : left + 25], atol=2e-3)


def test_without_shorter_side_the_aspect_ratio_is_given_up():
    images = noise(2, 40, 61, 1)
    np.testing.assert_allclose(
        Preprocessing((16, 50))(images), tf.image.resize(images, (16, 50), antialias=True), atol=1e-3
    )


def test_only_the_centre_of_a_very_long_image_is_computed():
    images = np.full((1, 1, 50_000, 3), 7, "uint8")  # 256 x 12,800,000 pixels once resized, 39 GB
    ours = Preprocessing((227, 227), shorter_side=256)(images)
    np.testing.assert_allclose(ours, np.full((1, 227, 227, 3), 7.0), rtol=1e-5)


def test_uint8_and_floats_give_the_same_and_float32_under_any_policy():
    images = noise(2, 20, 30, 3)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = Preprocessing(16, shorter_side=18, mean=(1, 2, 3), scale=1 / 255)
        from_integers, from_floats = layer(images), layer(images.astype("float32"))
    finally:
        keras.config.set_dtype_policy("float32")
    assert from_integers.dtype == from_floats.dtype == "float32"
    np.testing.assert_array_equal(from_integers, from_floats)
    full = Preprocessing(16, shorter_side=18, mean=(1, 2, 3), scale=1 / 255)(images)
    np.testing.assert_array_equal(from_integers, full)


def test_it_has_no_weights_and_survives_json():
    mean = noise(4, 4, 3) / np.float32(3)
    layer = Preprocessing(4, shorter_side=5, mean=mean, scale=1 / 127.5)
    assert layer(noise(1, 9, 9, 3)).shape == (1, 4, 4, 3) and not layer.weights
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    np.testing.assert_array_equal(layer(noise(2, 7, 9, 3)), again(noise(2, 7, 9, 3)))


def test_a_mean_and_a_scale_of_arrays_survive_json():
    """As a recipe measures them on its images; JSON has no arrays."""
    layer = Preprocessing(4, mean=np.array([120.5, 110.25, 100.0], "float32"), scale=1 / np.array([60.0, 50.0, 40.0]))
    again = keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(layer))))
    np.testing.assert_array_equal(again(np.full((1, 4, 4, 3), 160.5))[0, 0, 0], np.float32([2 / 3, 1.005, 1.5125]))


def test_in_a_tf_data_map():
    images = noise(6, 7, 9, 3)
    layer = Preprocessing((5, 5), shorter_side=6, mean=3)
    data = tf.data.Dataset.from_tensor_slices(images).batch(2).map(layer)
    assert data.element_spec.shape.as_list() == [None, 5, 5, 3]
    np.testing.assert_array_equal(np.concatenate(list(data)), layer(images))


def test_the_families():
    photograph = np.full((1, 300, 400, 3), 200, "uint8")
    alexnet = alexnet_preprocessing()(photograph)
    assert alexnet.shape == (1, 227, 227, 3)
    np.testing.assert_allclose(alexnet[0, 100, 100], [200 - 123.68, 200 - 116.779, 200 - 103.939], rtol=1e-4)
    mean = np.full((32, 32, 3), 120.0)
    np.testing.assert_allclose(cifar_preprocessing(mean)(photograph), np.full((1, 32, 32, 3), 80.0), rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "size is 0; it must be"),
        ({"size": (3, 4, 5)}, "size is .* whole numbers of at least 1"),
        ({"size": (30, 40), "shorter_side": 39}, "shorter_side is 39; .* 40 or more"),
        ({"size": 4, "mean": np.zeros((4, 4))}, "mean has the shape"),
        ({"size": 4, "shorter_side": 4, "longest_side": 9}, "longest_side is 9, .* size None"),
        ({"size": None, "longest_side": 9}, "longest_side must be at least shorter_side"),
        ({"size": None, "shorter_side": 10, "longest_side": 9}, "longest_side must be at least shorter_side"),
        ({"size": 4, "mean": np.zeros((4, 5, 3))}, "mean has the shape"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing(**arguments)


@pytest.mark.parametrize("shape", [(4, 4, 3), (2, 4, 4, 1)])
def test_bad_images(shape):
    with pytest.raises(ValueError, match=r"it must be \(batch, height, width, 3\)"):
        Preprocessing(4, mean=(1, 2, 3))(noise(*shape))


@pytest.mark.parametrize(("size", "scaled"), [((30, 40), (60, 80)), ((10, 40), (25, 100)), ((120, 90), (80, 60))])
def test_a_detectors_images_are_whole_and_as_it_was_trained_on(size, scaled):
    """The shorter side to 60, the longer one to 100 at most; as `scale_objects` does, but for its rounding."""
    layer = Preprocessing(None, shorter_side=60, longest_side=100, mean=(1, 2, 3))
    image = noise(1, *size, 3)
    prepared = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))(image)
    assert prepared.shape == (1, *scaled, 3)
    trained, _ = scale_objects(60, 100)((image[0], np.zeros((0, 6), "float32")), None)
    np.testing.assert_allclose(prepared[0] + (1, 2, 3), trained, atol=0.51)


def test_what_is_normalised_becomes_pixels_again():
    pixels = noise(2, 6, 5, 3)
    layer = Preprocessing((6, 5), mean=(100, 110, 120), scale=1 / 60)
    np.testing.assert_array_equal(layer.pixels(layer(pixels)), pixels)
    made = np.float32([[[[-1.2, -1.0, 0.0, 0.996, 1.3]]]])  # times 127.5, plus 127.5
    shown = Preprocessing((1, 1), mean=127.5, scale=1 / 127.5).pixels(made).numpy()
    assert shown.dtype == np.uint8 and shown.ravel().tolist() == [0, 0, 128, 254, 255]
