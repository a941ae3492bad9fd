"""Pyramids of whole maps and of windows, against the paper's two rules written out."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.layers import SpatialPyramidPooling


def random(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def shares(cells, n):
    """Appendix A: from floor((i - 1) a / n) to ceil(i a / n), for i of 1 to n."""
    return [(math.floor((i - 1) * cells / n), math.ceil(i * cells / n)) for i in range(1, n + 1)]


def strided(cells, n):
    """Section 2.3: windows of ceil(a / n), stride floor(a / n), as many as fit."""
    size, stride = math.ceil(cells / n), cells // n
    return [(start, start + size) for start in range(0, cells - size + 1, stride)]


def pyramid(window, levels, rule):
    """The vector of one window `(h, w, C)`."""
    parts = []
    for n in levels:
        for top, bottom in rule(window.shape[0], n):
            for left, right in rule(window.shape[1], n):
                parts.append(window[top:bottom, left:right].max(axis=(0, 1)))
    return np.concatenate(parts)


@pytest.mark.parametrize(("levels", "bins"), [((6, 3, 2, 1), 50), ((4, 3, 2, 1), 30)])
@pytest.mark.parametrize("side", [13, 14, 12])
def test_a_whole_map_by_windows_and_strides(side, levels, bins):
    """13x13 is conv5 of a 224x224 image; of 14 cells, level 6 leaves out the last, since 3 + 5 x 2 is 13."""
    features = random(2, side, side, 3)
    pooled = SpatialPyramidPooling(levels)(features)
    assert pooled.shape == (2, bins * 3)
    np.testing.assert_array_equal(pooled, [pyramid(each, levels, strided) for each in features])


def test_where_the_windows_would_be_too_many_no_bin_is_lost():
    """Of 10 cells (conv5 of 180x180, section 2.4), windows of 2 with stride 1 are 9 and not 6."""
    assert len(strided(10, 6)) == 9 and len(strided(11, 4)) == 5
    for side, n in ((10, 6), (11, 4), (3, 6), (1, 2)):
        features = random(1, side, side, 2)
        np.testing.assert_array_equal(SpatialPyramidPooling([n])(features), [pyramid(features[0], [n], shares)])


@pytest.mark.parametrize("sides", [(14, 14), (14, 10), (9, 20), (2, 1)], ids=str)
def test_known_and_unknown_sizes_give_the_same(sides):
    features = random(2, *sides, 3)
    fixed, free = (
        keras.Sequential([keras.Input((*shape, 3)), SpatialPyramidPooling()]) for shape in (sides, (None, None))
    )
    assert fixed.output_shape == free.output_shape == (None, 150)
    np.testing.assert_array_equal(fixed(features), free(features))


def test_windows_by_their_shares():
    features = random(2, 12, 17, 3)
    windows = np.int32([[[0, 0, 17, 12], [3, 2, 14, 9]], [[16, 11, 17, 12], [5, 0, 15, 10]]])
    pooled = SpatialPyramidPooling()(features, windows)
    for image, number in np.ndindex(2, 2):
        x1, y1, x2, y2 = windows[image, number]
        expected = pyramid(features[image, y1:y2, x1:x2], (6, 3, 2, 1), shares)
        np.testing.assert_array_equal(pooled[image, number], expected)


@pytest.mark.parametrize("side", [13, 10])
def test_the_gradient_is_that_of_the_first_maximum(side):
    features = tf.constant(random(1, side, side, 1))
    levels, upstream = (3, 1), np.arange(1.0, 11.0, dtype="float32")
    with tf.GradientTape() as tape:
        tape.watch(features)
        pooled = SpatialPyramidPooling(levels)(features)
    rule = strided if side == 13 else shares
    expected = np.zeros((side, side))
    number = 0
    for n in levels:
        for top, bottom in rule(side, n):
            for left, right in rule(side, n):
                part = features.numpy()[0, top:bottom, left:right, 0]
                y, x = np.unravel_index(part.argmax(), part.shape)
                expected[top + y, left + x] += upstream[number]
                number += 1
    np.testing.assert_array_equal(tape.gradient(pooled, features, upstream[None])[0, ..., 0], expected)


def test_a_model_with_windows_saved_and_loaded(save_and_load):
    image, windows = keras.Input((None, None, 2)), keras.Input((None, 4), dtype="int32")
    model = keras.Model([image, windows], SpatialPyramidPooling((2, 1), name="spp")(image, windows))
    assert model.output_shape == (None, None, 10)
    inputs = [random(1, 8, 9, 2), np.int32([[[0, 0, 9, 8], [2, 2, 5, 7]]])]
    np.testing.assert_array_equal(save_and_load(model)(inputs), model(inputs))


@pytest.mark.parametrize("levels", [(), (3, 0), (2.5,)])
def test_levels_without_bins_are_told(levels):
    with pytest.raises(ValueError, match="it must be one or more whole numbers of at least 1"):
        SpatialPyramidPooling(levels)
