"""Sliding windows against each window by itself and against the paper's shifted poolings; merging by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_cnns
from keras_cnns.classification.convolutionalize import convolutionalize
from keras_cnns.detection import box_regressor, locate, merge_boxes, sliding_window


def classifier(pool=2, padding="valid"):
    """Window 22x18, strides 2 * 2 and a last pooling."""
    keras.utils.set_random_seed(0)
    image = keras.Input((22, 18, 3))
    x = keras.layers.Conv2D(6, 3, 2, padding, activation="relu")(image)
    x = keras.layers.MaxPooling2D(2)(x)
    x = keras.layers.Conv2D(8, 2, activation="relu")(x)
    x = keras.layers.MaxPooling2D(pool)(x)
    x = keras.layers.Dense(10, activation="relu")(keras.layers.Flatten()(x))
    return keras.Model(image, keras.layers.Dense(5)(x))


def photographs(height, width):
    return np.random.default_rng(1).normal(size=(2, height, width, 3)).astype("float32")


@pytest.mark.parametrize(("offset_pooling", "step"), [(True, 4), (False, 8)])
def test_dense_and_window_by_window_agree(offset_pooling, step):
    model, images = classifier(), photographs(47, 52)
    outputs, windows = sliding_window(model, images, offset_pooling)
    rows, columns = (47 - 22) // step + 1, (52 - 18) // step + 1
    assert outputs.shape == (2, rows, columns, 5) and windows.shape == (rows, columns, 4)
    for row, column in np.ndindex(rows, columns):
        x1, y1, x2, y2 = windows[row, column].astype(int)
        assert (x1, y1, x2 - x1, y2 - y1) == (step * column, step * row, 18, 22)
        np.testing.assert_allclose(outputs[:, row, column], model(images[:, y1:y2, x1:x2]), atol=1e-5)


@pytest.mark.parametrize("pool", [2, 3])
def test_it_is_the_papers_offset_pooling(pool):
    """The last maps are pooled from every offset, each result is classified, and the maps of results interleaved."""
    model, images = classifier(pool), photographs(70, 66)
    converted = convolutionalize(model)
    last = next(each for each in reversed(converted.layers) if isinstance(each, keras.layers.MaxPooling2D))
    before, behind = keras.Model(converted.input, last.input), keras.Model(last.output, converted.output)
    maps, parts = before(images), {}
    for dy, dx in np.ndindex(pool, pool):
        parts[dy, dx] = behind(tf.nn.max_pool2d(maps[:, dy:, dx:], pool, pool, "VALID")).numpy()
    rows = sum(parts[dy, 0].shape[1] for dy in range(pool))
    columns = sum(parts[0, dx].shape[2] for dx in range(pool))
    expected = np.zeros((2, rows, columns, 5), "float32")
    for (dy, dx), part in parts.items():
        expected[:, dy::pool, dx::pool] = part
    outputs, _ = sliding_window(model, images)
    assert outputs.shape[1] >= rows - 1 and outputs.shape[2] >= columns - 1  # that do not hang over
    np.testing.assert_allclose(outputs, expected[:, : outputs.shape[1], : outputs.shape[2]], atol=1e-5)


@pytest.mark.slow
def test_the_accurate_overfeat_has_the_papers_maps():
    """Table 5: at 281x317 the last pooling gives 6x7 maps from 3x3 offsets, and these 2x3 positions each: 6x9."""
    model = keras_cnns.overfeat("accurate", classes=10)
    outputs, windows = sliding_window(model, photographs(281, 317)[:1])
    assert outputs.shape == (1, 6, 9, 10)
    assert windows[1, 2].tolist() == [24, 12, 245, 233]  # 12 pixels apart, 221 a side
    coarse, _ = sliding_window(model, photographs(281, 317)[:1], offset_pooling=False)
    assert coarse.shape == (1, 2, 3, 10)
    np.testing.assert_allclose(outputs[:, ::3, ::3], coarse, atol=1e-5)


def test_a_regressor_shares_the_classifiers_features_and_does_not_train_them():
    model = classifier()
    regressor = box_regressor(model, classes=5)
    assert regressor.input_shape == model.input_shape and regressor.output_shape == (None, 20)
    # 2x1x8 features: 16 * 4096 + 4096, 4096 * 1024 + 1024, 1024 * 20 + 20
    assert sum(np.prod(each.shape) for each in regressor.trainable_weights) == 69_632 + 4_195_328 + 20_500
    assert regressor.layers[1] is model.layers[1]
    outputs, _ = sliding_window(regressor, photographs(30, 30))
    np.testing.assert_allclose(outputs[:, 1, 2], regressor(photographs(30, 30)[:, 4:26, 8:26]), atol=1e-5)


def test_two_boxes_by_hand():
    """10x10 each, 5 apart: IoU 1/3, diagonal 14.14: 0.354 + 0.667 = 1.02. The third is far away."""
    boxes, scores = [[0, 0, 10, 10], [5, 0, 15, 10], [50, 50, 60, 60]], [0.5, 0.25, 1.0]
    kept, sums = merge_boxes(boxes, scores, threshold=1.1)
    assert kept.tolist() == [[2.5, 0, 12.5, 10], [50, 50, 60, 60]] and sums.tolist() == [0.75, 1.0]
    kept, sums = merge_boxes(boxes, scores, threshold=1.0)
    assert kept.tolist() == boxes and sums.tolist() == scores


def test_the_best_match_is_merged_first_and_what_it_becomes_is_matched_again():
    boxes = [[0, 0, 8, 8], [4, 0, 12, 8], [6, 0, 14, 8]]  # the last two first: x from 5 to 13; then with 0 to 8
    kept, sums = merge_boxes(boxes, [1.0, 2.0, 4.0], threshold=1.3)
    assert kept.tolist() == [[2.5, 0, 10.5, 8]] and sums.tolist() == [7.0]
    nothing, none = merge_boxes(np.zeros((0, 4)), [])
    assert nothing.shape == (0, 4) and none.shape == (0,)


def brightness(outputs, height=16, width=16):
    """A network of a window's mean brightness: linear in it, with fixed weights."""
    image = keras.Input((height, width, 1))
    mean = keras.layers.Flatten()(keras.layers.AveragePooling2D((height, width))(image))
    return keras.Model(image, keras.layers.Dense(len(outputs))(mean)), outputs


def test_a_bright_square_is_located():
    """Class 1 wins where a window is bright; every window's box is its middle half."""
    model, _ = brightness([0, 1])
    model.layers[-1].set_weights([np.float32([[0, 20]]), np.float32([0, -10])])
    regressor, _ = brightness([0] * 4)
    regressor.layers[-1].set_weights([np.zeros((1, 4), "float32"), np.float32([0.25, 0.25, 0.75, 0.75])])
    image = np.zeros((64, 96, 1), "float32")
    image[16:32, 48:64] = 1
    found = locate(model, regressor, image, scales=(64,), top=2, threshold=0.1)
    best = found["labels"] == 1
    assert found["boxes"].dtype == found["scores"].dtype == "float32" and found["labels"].dtype == "int32"
    assert found["boxes"][best][0].tolist() == [52, 20, 60, 28]  # of the window on the square
    assert found["scores"][best][0] == pytest.approx(1 / (1 + np.exp(-10)), rel=1e-5)
    assert (np.diff(found["scores"]) <= 0).all()


def test_scales_are_told_in_the_images_own_pixels():
    model, _ = brightness([0, 1])
    model.layers[-1].set_weights([np.float32([[0, 20]]), np.float32([0, -10])])
    regressor, _ = brightness([0] * 4)
    regressor.layers[-1].set_weights([np.zeros((1, 4), "float32"), np.float32([0, 0, 1, 1])])
    found = locate(model, regressor, np.ones((64, 128, 1), "float32"), scales=(16, 32), top=1, threshold=1e-6)
    assert {tuple(box[2:] - box[:2]) for box in found["boxes"]} == {(64.0, 64.0), (32.0, 32.0)}
    assert found["boxes"][:, 2].max() == 128


def test_what_cannot_be_slid_is_told():
    with pytest.raises(ValueError, match="images are 21x30 pixels; the window is 22x18"):
        sliding_window(classifier(), photographs(21, 30))
    with pytest.raises(ValueError, match="classes is 0; it must be a whole number of at least 1"):
        box_regressor(classifier(), classes=0)
    with pytest.raises(ValueError, match="resnet_cifar20 has no flattening layer"):
        box_regressor(keras_cnns.resnet_cifar(20))
    with pytest.raises(ValueError, match="there are 1 boxes and 2 scores; there must be as many"):
        merge_boxes([[0, 0, 1, 1]], [1.0, 2.0])
