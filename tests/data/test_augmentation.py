"""The papers' augmentations, on a photograph and on cases by hand."""

import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.data import augmentation
from keras_cnns.data.random import example_keys

skimage_data = pytest.importorskip("skimage.data")


def keys(count, epoch=0):
    return example_keys(0, epoch, tf.range(count, dtype=tf.int64))


@pytest.fixture(scope="module")
def photograph():
    image = augmentation.resize_shorter_side(256)(tf.constant(skimage_data.coffee()), None)  # 400x600
    assert image.shape == (256, 384, 3)
    return augmentation.centre_crop(256)(image, None)


def test_shorter_side_of_an_upright_image_and_centre(photograph):
    upright = augmentation.resize_shorter_side(256)(tf.constant(skimage_data.coffee()[:, :300]), None)  # 400x300
    assert upright.shape == (341, 256, 3) and upright.dtype == tf.uint8
    rows = tf.reshape(tf.range(7 * 5), (7, 5, 1))
    np.testing.assert_array_equal(augmentation.centre_crop(3)(rows, None)[..., 0], [[11, 12, 13], [16, 17, 18], [21, 22, 23]])


def test_alexnet_draws_each_of_the_papers_2048_variants(photograph):
    """Section 4.1: "random 224 x 224 patches (and their horizontal reflections)": 32 x 32 x 2 = 2,048."""
    # A picture whose pixels say where they lie, so that a crop's corner pixel names the variant.
    row, column = np.mgrid[:256, :256]
    image = tf.constant(np.stack([row, column], axis=-1).astype("int32"))
    crop = augmentation.random_crop(224, positions=32)
    variants = set()
    for epoch in range(24):
        batch = tf.repeat(image[None], 1000, axis=0)
        key = keys(1000, epoch)
        crops = augmentation.random_flip(crop(batch, key), example_keys(9, epoch, tf.range(1000, dtype=tf.int64)))
        top, left, right = crops[:, 0, 0, 0], crops[:, 0, 0, 1], crops[:, 0, -1, 1]
        variants |= set(zip(top.numpy(), np.minimum(left, right), (left > right).numpy(), strict=True))
    expected = {(top, left, mirrored) for top in range(32) for left in range(32) for mirrored in (False, True)}
    assert len(expected) == 2048
    assert variants == expected


def test_all_33_offsets_fit_when_asked_for_all():
    image = tf.repeat(tf.reshape(tf.range(256), (1, 256, 1, 1)) * tf.ones((1, 1, 256, 1), tf.int32), 1000, axis=0)
    tops = augmentation.random_crop(224)(image, keys(1000))[:, 0, 0, 0].numpy()
    assert set(tops) == set(range(33))


def test_flip_mirrors_about_half_of_the_images_whole():
    images = tf.reshape(tf.range(2000 * 6), (2000, 2, 3, 1))
    flipped = augmentation.random_flip(images, keys(2000)).numpy()
    same = (flipped == images.numpy()).all(axis=(1, 2, 3))
    mirrored = (flipped == images.numpy()[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 900 < mirrored.sum() < 1100  # 4.5 standard deviations


def test_pad_and_crop_moves_each_image_by_itself_within_4_pixels():
    images = np.zeros((3000, 8, 8, 1), "uint8")
    images[:, 4, 4] = 1
    moved = augmentation.pad_and_crop(4)(tf.constant(images), keys(3000)).numpy()
    assert moved.shape == images.shape and moved.dtype == np.uint8
    _, rows, columns, _ = np.nonzero(moved)  # up to 4 away: a pixel moved beyond the edge is gone
    assert set(zip(rows - 4, columns - 4, strict=True)) == {(y, x) for y in range(-4, 4) for x in range(-4, 4)}
    assert abs(moved.sum() / 3000 - (8 / 9) ** 2) < 0.04


def test_colour_noise_follows_the_components_of_the_training_set(photograph):
    pixels = np.float64(photograph).reshape(-1, 3)
    covariance = np.cov(pixels.T, bias=True)
    noise = augmentation.pca_colour_noise(covariance, deviation=0.1)
    grey = tf.zeros((20_000, 1, 1, 3))
    shifts = noise(grey, keys(20_000)).numpy()[:, 0, 0]
    np.testing.assert_allclose(np.cov(shifts.T, bias=True), 0.01 * covariance, rtol=0.06, atol=0.06)
    two_pixels = noise(tf.zeros((5, 2, 2, 3)), keys(5)).numpy()
    assert (two_pixels == two_pixels[:, :1, :1]).all()  # one shift an image
    assert len({tuple(shift) for shift in two_pixels[:, 0, 0]}) == 5


def test_ten_crop_is_four_corners_the_centre_and_their_mirrors():
    image = np.arange(6 * 6).reshape(1, 6, 6, 1)
    crops = augmentation.ten_crop(4)(tf.constant(image), keys(1)).numpy()[0, ..., 0]
    assert crops.shape == (10, 4, 4)
    assert list(crops[:5, 0, 0]) == [0, 2, 12, 14, 7]
    np.testing.assert_array_equal(crops[5:], crops[:5, :, ::-1])


def test_the_mean_is_subtracted_pixel_by_pixel():
    images = tf.constant(np.full((2, 2, 2, 1), 7, "uint8"))
    result = augmentation.subtract_mean([[[1.0], [2.0]], [[3.0], [4.5]]])(images, keys(2))
    np.testing.assert_array_equal(result[1, ..., 0], [[6, 5], [4, 2.5]])
