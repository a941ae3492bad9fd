"""The views of contrastive learning against TensorFlow's own image functions, SciPy's blur, and their distributions."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import convolve1d

from keras_cnns.data import views
from keras_cnns.data.augmentation import one
from keras_cnns.data.random import example_keys, fold, integers, uniform


def keys(count, seed=0):
    return example_keys(seed, 0, tf.range(count))


def photographs(count=6, height=24, width=24):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3)).astype("uint8")


def test_colour_jitter_is_tensorflows_functions_in_the_drawn_order():
    images, key = photographs(24), keys(24)
    orders, seen = list(itertools.permutations(range(4))), set()
    ours = views.colour_jitter(0.8, 0.2)(images, key).numpy()
    for number, photo in enumerate(images):
        order = orders[int(integers(key[number], 0, count=24))]
        factor = [float(uniform(key[number], 1 + turn, 0.2, 1.8)) for turn in range(3)]
        shift = float(uniform(key[number], 4, -0.2, 0.2))
        picture = tf.cast(photo, tf.float32) / 255
        for change in order:
            grey = tf.image.rgb_to_grayscale(picture)
            if change == 3:
                picture = tf.image.adjust_hue(picture, shift)
            elif change == 2:
                picture = grey + factor[2] * (picture - grey)  # adjust_saturation blends in HSV, not as Pillow
            else:
                other = tf.reduce_mean(grey) if change == 1 else 0.0
                picture = other + factor[change] * (picture - other)
            picture = tf.clip_by_value(picture, 0, 1)
        np.testing.assert_allclose(ours[number], 255 * picture, atol=0.05)
        seen.add(order)
    assert len(seen) > 8


def test_a_jitter_of_nothing_changes_nothing():
    images = photographs()
    np.testing.assert_allclose(views.colour_jitter(0.0, 0.0)(images, keys(6)), images, atol=1e-3)


def test_strengths_of_the_jitter_are_drawn_evenly():
    """Seen in single pixels, each of one change: grey 50 by its brightness, pure red by its hue, which 40 % of 360
    degrees turn at most; contrast and saturation in the means of the formula above."""
    even = lambda values, low, high: (
        low - 0.01 <= values.min() and values.max() <= high + 0.01 and abs(values.mean() - (low + high) / 2) < 0.02
    )
    grey = np.full((2000, 1, 1, 3), 50, "uint8")
    bright = views.colour_jitter(0.8, 0.0)(grey, keys(2000)).numpy()[:, 0, 0, 0] / 50
    assert even(bright, 0.2, 1.8) and abs(bright.std() - 1.6 / 12**0.5) < 0.02
    red = np.broadcast_to(np.uint8([255, 0, 0]), (2000, 1, 1, 3))
    turned = views.colour_jitter(0.0, 0.2)(red, keys(2000, 1))
    hue = tf.image.rgb_to_hsv(turned / 255).numpy()[:, 0, 0, 0]
    assert even((hue + 0.5) % 1 - 0.5, -0.2, 0.2) and abs(((hue + 0.5) % 1).std() - 0.4 / 12**0.5) < 0.01
    # Whatever the order, brightness b and contrast c make of two pixels' luminance its mean times b and its difference
    # times b c; saturation s makes of a pixel's distance from its luminance b c s.
    pair = np.broadcast_to(np.float32([[60, 50, 50], [40, 40, 40]]), (2000, 1, 2, 3))
    luminance = lambda images: tf.image.rgb_to_grayscale(images).numpy()[:, 0, :, 0]
    changed = views.colour_jitter(0.8, 0.0)(pair, keys(2000, 2)).numpy()
    before, after = luminance(pair), luminance(changed)
    brightness = after.mean(axis=1) / before.mean(axis=1)
    contrast = (after[:, 0] - after[:, 1]) / (before[:, 0] - before[:, 1]) / brightness
    distance = lambda images, grey: images[:, 0, 0, 0] - grey[:, 0]
    saturation = distance(changed, after) / distance(pair, before) / (brightness * contrast)
    for factor in (brightness, contrast, saturation):
        assert even(factor, 0.2, 1.8) and abs(factor.std() - 1.6 / 12**0.5) < 0.03
    orders = integers(keys(4800), 0, count=24).numpy()
    assert np.bincount(orders).min() > 150 and np.bincount(orders).max() < 250  # of 200 on the average


def test_deviations_of_the_blur_are_drawn_evenly():
    """A single bright pixel keeps the share w0^2 of its light, w0 = 1 / (1 + 2 exp(-1 / (2 sigma^2))) in three taps."""
    images = np.zeros((1000, 30, 3, 3), "float32")
    images[:, 15, 1] = 1.0
    share = views.gaussian_blur((0.5, 2.0))(images, keys(1000)).numpy()[:, 15, 1, 0]
    sigma = np.sqrt(-0.5 / np.log((share**-0.5 - 1) / 2))
    assert 0.499 < sigma.min() < 0.51 and 1.99 < sigma.max() < 2.001
    assert abs(sigma.mean() - 1.25) < 0.05 and abs(sigma.std() - 1.5 / 12**0.5) < 0.03


def test_a_photograph_of_any_size_has_views_of_one():
    photo, key = photographs(1, 20, 31)[0], keys(1)[0]
    ours = one(views.simclr_views(10))(photo, key)
    assert ours.shape == (2, 10, 10, 3)
    np.testing.assert_allclose(ours, views.simclr_views(10)(photo[None], key[None])[0], atol=1e-4)


def test_crops_are_those_of_tensorflows_resize():
    """Of whole images, whose patch is known without the drawing."""
    images = photographs(4, 8, 8)
    whole = views.random_resized_crop(8, area=(1.0, 1.0), aspect=(1.0, 1.0))(images, keys(4))
    np.testing.assert_allclose(whole, images, atol=1e-3)  # the image itself
    doubled = views.random_resized_crop(16, area=(1.0, 1.0), aspect=(1.0, 1.0))(images, keys(4))
    np.testing.assert_allclose(doubled, tf.image.resize(images, (16, 16)), atol=1e-2)


@pytest.mark.slow
def test_areas_shapes_and_places_of_crops_are_drawn_evenly():
    """A ramp tells where a crop lies: columns of the crop are the columns of the image that were sampled."""
    y, x = np.meshgrid(np.arange(100.0), np.arange(100.0), indexing="ij")
    ramp = np.repeat(np.stack([y, x, x], axis=-1)[None], 2000, axis=0).astype("float32")
    crops = views.random_resized_crop(2, area=(0.1, 0.5), aspect=(1 / 2, 2.0))(ramp, keys(2000)).numpy()
    tall, wide = 2 * (crops[:, 1, 0, 0] - crops[:, 0, 0, 0]), 2 * (crops[:, 0, 1, 1] - crops[:, 0, 0, 1])
    area, ratio = tall * wide / 1e4, wide / tall
    assert area.min() > 0.099 and area.max() < 0.501 and abs(area.mean() - 0.3) < 0.01
    assert ratio.min() > 0.499 and ratio.max() < 2.01 and abs(np.log(ratio).mean()) < 0.03
    for first, length in ((crops[:, 0, 0, 0], tall), (crops[:, 0, 0, 1], wide)):  # the upper left sample's y and x
        start = (first + 0.5 - length / 4) / (100 - length)
        assert abs(start.mean() - 0.5) < 0.02 and abs(start.std() - 12**-0.5) < 0.02


def test_a_patch_that_never_fits_is_the_largest_square():
    y, x = np.meshgrid(np.arange(10.0), np.arange(40.0), indexing="ij")
    ramp = np.stack([y, x, x], axis=-1)[None].astype("float32")
    crop = views.random_resized_crop(10, area=(1.0, 1.0), aspect=(1.0, 1.0))(ramp, keys(1)).numpy()
    np.testing.assert_allclose(crop[0, :, :, 1], np.tile(np.arange(15.0, 25.0), (10, 1)), atol=1e-3)


def test_blur_is_scipys_with_the_drawn_deviation():
    images, key = photographs(3, 30, 20), keys(3)
    ours = views.gaussian_blur((0.5, 2.0))(images, key).numpy()
    for number, photo in enumerate(images):
        sigma = float(uniform(key[number], 0, 0.5, 2.0))
        kernel = np.exp(-(np.arange(-1, 2) ** 2) / (2 * sigma**2))  # a tenth of 30 pixels
        kernel /= kernel.sum()
        blurred = convolve1d(convolve1d(photo.astype("float64"), kernel, 0, mode="nearest"), kernel, 1, mode="nearest")
        np.testing.assert_allclose(ours[number], blurred, atol=1e-3)


def test_a_share_of_the_images_is_changed():
    images = np.zeros((4000, 1, 1, 3), "float32")
    changed = views.with_probability(0.2, lambda images, keys: images + 1)(images, keys(4000)).numpy()
    assert abs(changed.mean() - 0.2) < 0.02 and set(np.unique(changed)) == {0.0, 1.0}


def test_grey_has_three_channels_alike():
    images = photographs()
    ours = views.grey(images, None).numpy()
    np.testing.assert_allclose(ours[..., 0], images @ np.array([0.2989, 0.587, 0.114]), atol=0.02)
    assert (ours[..., 0] == ours[..., 1]).all() and (ours[..., 0] == ours[..., 2]).all()


@pytest.mark.parametrize("make", [lambda: views.simclr_views(16), lambda: views.moco_views(16)])
def test_two_views_differ_and_come_again(make):
    images, key = photographs(5), keys(5)
    first = make()(images, key).numpy()
    assert first.shape == (5, 2, 16, 16, 3) and first.dtype == "float32"
    assert (np.abs(first[:, 0] - first[:, 1]).mean(axis=(1, 2, 3)) > 1).all()
    assert first.min() >= 0 and first.max() <= 255.001
    np.testing.assert_array_equal(make()(images, key), first)
    part = make()(images[2:4], key[2:4]).numpy()  # an image's views are its own, whatever is in the batch
    np.testing.assert_allclose(part, first[2:4], atol=1e-3)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (
            lambda: views.simclr_views(32, strength=0.5, blur=False),  # appendix B.9
            ["crop 32", "flip", "0.8 of jitter 0.4 0.1", "0.2 of grey"],
        ),
        (
            lambda: views.simclr_views(224),  # appendix A
            ["crop 224", "flip", "0.8 of jitter 0.8 0.2", "0.2 of grey", "0.5 of blur"],
        ),
        (lambda: views.moco_views(224), ["crop 224 (0.2, 1.0)", "0.2 of grey", "jitter 0.4 0.4", "flip"]),
    ],
)
def test_the_papers_steps_in_their_order_with_their_strengths(make, expected, monkeypatch):
    shown = lambda *values: " ".join(f"{each:g}" if isinstance(each, float) else str(each) for each in values)
    monkeypatch.setattr(views, "random_resized_crop", lambda *settings: shown("crop", *settings))
    monkeypatch.setattr(views, "colour_jitter", lambda *settings: shown("jitter", *settings))
    monkeypatch.setattr(views, "gaussian_blur", lambda: "blur")
    monkeypatch.setattr(views, "with_probability", lambda share, what: f"{share:g} of {what}")
    monkeypatch.setattr(views, "random_flip", "flip")
    monkeypatch.setattr(views, "grey", "grey")
    monkeypatch.setattr(views, "two_views", lambda *steps: list(steps))
    assert make() == expected


def test_the_defaults_are_the_papers():
    """Section 3.3 and appendix A: areas of 0.08 to 1, shapes of 3/4 to 4/3, deviations of 0.1 to 2, a tenth."""
    assert views.random_resized_crop.__defaults__[:2] == ((0.08, 1.0), (3 / 4, 4 / 3))
    assert views.gaussian_blur.__defaults__ == ((0.1, 2.0), 0.1)


def test_each_function_draws_for_itself():
    seen = []
    views.two_views(*[lambda images, keys: seen.append(keys.numpy()) or images] * 2)(photographs(1), keys(1))
    assert len({int(each[0]) for each in seen}) == 4
    assert int(fold(keys(1), 0)[0]) not in {int(each[0]) for each in seen}
