"""z of a seed, lines between z, and uint8 images of a generator."""

import keras
import numpy as np
import pytest

from keras_cnns.generative import latents_between, random_latents, sample
from keras_cnns.layers import Preprocessing


def copier():
    """From z of 4 to an image of 2x2 of the same values."""
    z = keras.Input((4,))
    return keras.Model(z, keras.layers.Reshape((2, 2, 1))(z), name="copier")


def test_z_is_a_function_of_the_seed():
    z = random_latents(500, 3, seed=1)
    assert z.dtype == "float32" and z.min() < -0.95 and z.max() > 0.95 and np.abs(z).max() <= 1
    np.testing.assert_array_equal(random_latents(7, 3, seed=1), z[:7])
    assert not np.array_equal(random_latents(500, 3, seed=2), z)


def test_lines_go_from_each_z_to_the_next():
    lines = latents_between(np.float32([[0, 0], [1, 2], [3, 2]]), 3)
    assert lines.tolist() == [[[0, 0], [0.5, 1], [1, 2]], [[1, 2], [2, 2], [3, 2]]]


def test_images_are_the_generators_in_pixels(monkeypatch):
    monkeypatch.setattr("keras_cnns.generative.sampling.AT_ONCE", 2)
    z = np.float32([[-1, 0, 1, 0.6]] * 2 + [[1, 1, 1, 1]])
    images = sample(copier(), z, Preprocessing(2, mean=127.5, scale=1 / 127.5))
    assert images.dtype == np.uint8 and images.shape == (3, 2, 2, 1)
    assert images.reshape(3, 4).tolist() == [[0, 128, 255, 204]] * 2 + [[255] * 4]


def test_what_is_no_generator_is_told():
    preprocessing = Preprocessing(2)
    with pytest.raises(ValueError, match=r"z has the shape \(1, 3\); copier takes \(number, 4\)"):
        sample(copier(), np.zeros((1, 3)), preprocessing)
    with pytest.raises(ValueError, match=r"z has the shape \(0, 4\)"):
        sample(copier(), np.zeros((0, 4)), preprocessing)
    with pytest.raises(ValueError, match="seed is -1; it must be at least 0"):
        random_latents(1, 4, -1)
    image = keras.Input((2, 2, 1))
    with pytest.raises(ValueError, match="flat is no generator: from z"):
        sample(keras.Model(image, keras.layers.Flatten()(image), name="flat"), np.zeros((1, 4)), preprocessing)
