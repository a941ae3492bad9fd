"""Pretext tasks by hand: what images become, and the labels that are made of them."""

import numpy as np
import pytest

from keras_cnns.data import digits, pretext


def test_a_square_of_four_pixels_is_turned_against_the_clock():
    image = np.float32([[1, 2], [3, 4]])[None, :, :, None]
    turned, labels = pretext.rotations(image, None)
    expected = [[[1, 2], [3, 4]], [[2, 4], [1, 3]], [[4, 3], [2, 1]], [[3, 1], [4, 2]]]
    np.testing.assert_array_equal(turned[..., 0], expected)
    np.testing.assert_array_equal(labels, [0, 1, 2, 3])


def test_the_copies_of_an_image_are_side_by_side():
    images = np.arange(2 * 3 * 3 * 2, dtype="uint8").reshape(2, 3, 3, 2)
    turned, labels = pretext.rotations(images, None)
    np.testing.assert_array_equal(labels, [0, 1, 2, 3] * 2)
    for number, copy in enumerate(turned):
        np.testing.assert_array_equal(copy, np.rot90(images[number // 4], number % 4))
    with pytest.raises(ValueError, match="images are 3x4; they must be square"):
        pretext.rotations(np.zeros((1, 3, 4, 1)), None)


def test_a_task_comes_last_and_has_labels_of_its_own():
    images = digits("train").map(lambda images, keys: images + 1).task(pretext.rotations, pretext.ANGLES)
    inputs, labels = next(iter(images.batches(3)))
    assert inputs.shape == (12, 32, 32, 1) and images.labels == ["0", "90", "180", "270"] and len(images) == 4000
    np.testing.assert_array_equal(inputs[::4], digits("train").arrays[0][:3] + 1)
    np.testing.assert_array_equal(labels, [0, 1, 2, 3] * 3)
    assert images.originals().labels == list("0123456789")
    originals, own = next(iter(images.originals().batches(3)))
    np.testing.assert_array_equal(originals, digits("train").arrays[0][:3])
    np.testing.assert_array_equal(own, digits("train").arrays[1][:3])
