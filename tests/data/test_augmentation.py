"""The papers' augmentations, on a photograph and on cases by hand."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance

from keras_cnns.data import augmentation
from keras_cnns.data.random import example_keys, integers, uniform

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
    np.testing.assert_array_equal(
        augmentation.centre_crop(3)(rows, None)[..., 0], [[11, 12, 13], [16, 17, 18], [21, 22, 23]]
    )


@pytest.mark.slow
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


@pytest.mark.slow
def test_pad_and_crop_moves_each_image_by_itself_within_4_pixels():
    images = np.zeros((3000, 8, 8, 1), "uint8")
    images[:, 4, 4] = 1
    moved = augmentation.pad_and_crop(4)(tf.constant(images), keys(3000)).numpy()
    assert moved.shape == images.shape and moved.dtype == np.uint8
    _, rows, columns, _ = np.nonzero(moved)  # up to 4 away: a pixel moved beyond the edge is gone
    assert set(zip(rows - 4, columns - 4, strict=True)) == {(y, x) for y in range(-4, 4) for x in range(-4, 4)}
    assert abs(moved.sum() / 3000 - (8 / 9) ** 2) < 0.04
    assert augmentation.pad_and_crop(4)(tf.zeros((2, 24, 40, 3)), keys(2)).shape == (2, 24, 40, 3)


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


def test_the_shorter_side_gets_its_pixels_and_the_longer_one_keeps_the_shape():
    image = tf.constant(skimage_data.coffee()[:40, :60])
    shapes = [augmentation.resize_shorter_side(side)(image, None).shape for side in range(20, 25)]
    assert shapes == [(20, 30, 3), (21, 32, 3), (22, 33, 3), (23, 34, 3), (24, 36, 3)]  # 31.5 and 34.5 round to even


def coordinates(height, width):
    """An image whose two channels are the row and the column of each pixel."""
    return tf.constant(np.stack(np.mgrid[:height, :width], axis=-1).astype("uint8"))


@pytest.mark.parametrize(("shorter_side", "side"), [(256, 256), (256, 224), (64, 50)])
def test_scaling_and_cutting_at_once_gives_the_mean_over_the_area_of_every_pixel(shorter_side, side):
    """coffee is 400x600, the piece of astronaut 512x377."""

    def shares(count):  # of each of `count` pixels in the area of each of the new ones
        edges, pixels = np.linspace(0, count, side + 1)[:, None], np.arange(count)
        covered = np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels)
        return np.maximum(covered, 0) * side / count

    for photograph in (skimage_data.coffee(), skimage_data.astronaut()[:, :377]):
        box = []
        for length in photograph.shape[:2]:
            scaled = round(length * shorter_side / min(photograph.shape[:2]))
            first = round((scaled - side) // 2 * length / scaled)
            box.append(slice(first, first + round(side * length / scaled)))
        part = photograph[tuple(box)]
        expected = np.einsum("ir,rcn,jc->ijn", shares(len(part)), part, shares(part.shape[1]), optimize=True)
        crop = augmentation.scaled_centre_crop(shorter_side, side)(tf.constant(photograph), None)
        np.testing.assert_allclose(crop, expected, atol=0.51)  # rounded to whole levels


def test_a_patch_that_grows_is_bilinear():
    grown = augmentation.scaled(tf.constant(np.uint8([[[0], [100]], [[0], [100]]])), 4)
    np.testing.assert_array_equal(grown[..., 0], [[0, 25, 75, 100]] * 4)


def test_random_scaled_crops_are_patches_of_the_scaled_image_of_every_scale_and_place():
    """An image of coordinates tells the scale and the place: pixel (y, x) at scale s is ((y + 1/2) / s - 1/2, ...)."""
    crop, image = augmentation.random_scaled_crop(60, 90, 50), coordinates(120, 150)
    sides, corners = [], []
    for key in keys(200):
        patch = crop(image, key).numpy().astype(float)
        assert patch.shape == (50, 50, 2)
        sides.append(120 * 47 / (patch[-2, -2, 0] - patch[1, 1, 0]))
        corners.append(((patch[10, 10] + 0.5) * sides[-1] / 120 - 10.5) / (np.array([120, 150]) * sides[-1] / 120 - 50))
    assert 58 < min(sides) < 63 and 87 < max(sides) < 92 and 73 < np.mean(sides) < 77
    corners = np.array(corners)
    assert (corners > -0.15).all() and (corners < 1.15).all() and (abs(corners.mean(axis=0) - 0.5) < 0.08).all()
    assert abs(np.corrcoef(corners.T)[0, 1]) < 0.2


def test_a_function_for_batches_cuts_single_images():
    crop = augmentation.one(augmentation.random_crop(5))
    corners = {tuple(crop(coordinates(6, 7), key)[0, 0].numpy()) for key in keys(100)}
    assert corners == {(top, left) for top in (0, 1) for left in (0, 1, 2)}


@pytest.mark.slow
def test_patches_have_8_to_100_percent_of_the_area_and_a_shape_of_3_to_4():
    """The rows and columns in a patch tell where it was cut: it spans (last - first) * 50 / 49 of them, to a pixel."""
    crop = augmentation.random_area_crop(50)
    shares = []
    for key in keys(300):
        patch = crop(coordinates(200, 240), key).numpy().astype(float)
        assert patch.shape == (50, 50, 2)
        tall, wide = (patch[-2, -2] - patch[1, 1]) * 50 / 47
        assert 3 / 4 * 0.9 < wide / tall < 4 / 3 * 1.1
        shares.append(tall * wide / (200 * 240))
    assert 0.07 < min(shares) < 0.15 and 0.8 < max(shares) < 1.03


def test_where_no_patch_fits_the_largest_centre_square_is_taken():
    """8 % of 10x200 pixels with sides of at most 4 : 3 are more than 10 tall."""
    patch = augmentation.random_area_crop(10)(coordinates(10, 200), keys(1)[0])
    np.testing.assert_array_equal(patch, coordinates(10, 200)[:, 95:105])


def test_144_crops_are_those_of_googlenet():
    """A 4x6 image at its own scale: squares from columns 0, 1, 2; of each the corners, centre, whole, and mirrors."""
    image = np.arange(24, dtype="uint8").reshape(4, 6, 1)
    crops = augmentation.crops_of_squares(2, scales=(4,))(tf.constant(image), None).numpy()[..., 0]
    assert crops.shape == (36, 2, 2)
    for number, square in enumerate((0, 1, 2)):
        twelve = crops[12 * number : 12 * number + 12]
        assert list(twelve[:5, 0, 0]) == [square, square + 2, square + 12, square + 14, square + 7]
        np.testing.assert_array_equal(twelve[5:10], twelve[:5, :, ::-1])
        assert abs(twelve[10].mean() - image[:, square : square + 4].mean()) <= 0.5  # the square, scaled
        assert (np.diff(twelve[10], axis=1) > 0).all() and (np.diff(twelve[10], axis=0) > 8).all()
        np.testing.assert_array_equal(twelve[11], twelve[10, :, ::-1])
    upright = augmentation.crops_of_squares(2, scales=(4,))(tf.constant(image.transpose(1, 0, 2)), None).numpy()[..., 0]
    assert list(upright[::12, 0, 0]) == [0, 1, 2]  # top, centre and bottom
    assert list(upright[:5, 0, 0]) == [0, 12, 2, 14, 7]

    photograph = tf.constant(skimage_data.coffee())
    four = augmentation.crops_of_squares(224, scales=(256, 288, 320, 352))(photograph, None)
    assert four.shape == (144, 224, 224, 3) and four.dtype == tf.uint8
    assert len({crop.tobytes() for crop in four.numpy()}) == 144


def test_one_of_the_five_sub_crops_is_drawn():
    images = tf.repeat(coordinates(8, 10)[None], 200, axis=0)
    corners = {tuple(corner) for corner in augmentation.random_sub_crop(4)(images, keys(200))[:, 0, 0].numpy()}
    assert corners == {(0, 0), (0, 6), (4, 0), (4, 6), (2, 3)}


def test_photometric_distortion_is_pillows(photograph):
    """The same factors in the same order through Pillow's own enhancers, which cut to whole numbers in between."""
    enhancers = [ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color]
    orders = list(itertools.permutations(range(3)))
    key = keys(12)
    distorted = augmentation.photometric_distortion(0.5, 1.5)(tf.repeat(photograph[None], 12, axis=0), key).numpy()
    seen = set()
    for number, ours in enumerate(distorted):
        order = orders[int(integers(key[number], 0, count=6))]
        factors = [float(uniform(key[number], 1 + turn, 0.5, 1.5)) for turn in range(3)]
        picture = Image.fromarray(photograph.numpy())
        for change, factor in zip(order, factors, strict=True):
            picture = enhancers[change](picture).enhance(factor)
        difference = abs(ours - np.asarray(picture))
        assert difference.max() < 5 and difference.mean() < 2
        seen.add(order)
    assert len(seen) > 3


def test_channels_are_normalised_and_mirrors_added():
    images = tf.constant([[[[10, 20], [30, 40]]]], tf.uint8)  # 1x2 pixels, 2 channels
    normal = augmentation.subtract_mean([10.0, 20.0], deviation=[2.0, 5.0])(images, None)
    np.testing.assert_allclose(normal, [[[[0, 0], [10, 4]]]], rtol=1e-6)
    views = augmentation.with_mirror(images, None)
    np.testing.assert_array_equal(views, [[[[[10, 20], [30, 40]]], [[[30, 40], [10, 20]]]]])


def test_exposure_by_hand():
    """A grey has no saturation: only its value changes, by a factor of 2/3 to 1.5; a colour keeps its hue."""
    images = np.zeros((200, 1, 1, 3), "float32")
    images[::2], images[1::2] = 100, [150, 75, 75]
    keys = example_keys(0, 0, tf.range(200))
    changed = augmentation.random_exposure(1.5)(images, keys).numpy()[:, 0, 0]
    greys, colours = changed[::2], changed[1::2]
    assert np.ptp(greys, axis=1).max() < 1e-2
    assert 100 / 1.5 - 0.01 <= greys.min() < 75 and 135 < greys.max() <= 150.01
    assert 0.35 < np.mean(greys > 100) < 0.65
    np.testing.assert_allclose(colours[:, 1], colours[:, 2], rtol=1e-4)
    saturation = 1 - colours[:, 1] / colours[:, 0]  # of [150, 75, 75] one half
    assert 1 / 3 - 0.01 <= saturation.min() < 0.4 and 0.65 < saturation.max() <= 0.7501


def test_a_patch_of_an_image_of_so_many_pixels():
    """A ramp of 100x200 scaled to 5,000 pixels, 50x100, climbs by 2 a pixel; it never has less than 40x40."""
    rows = np.repeat(np.arange(100, dtype="uint8")[:, None, None], 200, axis=1)
    cut = augmentation.random_pixels_crop(5_000, 5_001, 40)
    for number in range(8):
        patch = cut(rows, example_keys(0, 0, number)).numpy()[..., 0].astype("float64")
        assert patch.shape == (40, 40) and np.diff(patch, axis=0).mean() == pytest.approx(2, abs=0.05)
    smallest = augmentation.random_pixels_crop(100, 101, 40)(rows, example_keys(0, 0, 0)).numpy()[..., 0]
    assert np.diff(smallest.astype("float64"), axis=0).mean() == pytest.approx(2.5, abs=0.05)
