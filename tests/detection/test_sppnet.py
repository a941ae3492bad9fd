"""SPPNet: any size, one set of weights for both networks, and which cells belong to a box."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.detection import fully_connected_part, pyramid_features, sppnet, sppnet_detector
from keras_cnns.detection.sppnet import FIRST, STRIDE, nearest_scale, window_cells


@pytest.fixture(scope="module")
def networks():
    """The detector with the classifier's weights, and both free of the image's size."""
    keras.utils.set_random_seed(0)
    classifier, detector = sppnet((None, None, 3), classes=4), sppnet_detector(classes=3)
    detector.set_weights(classifier.get_weights())
    return classifier, detector


@pytest.mark.slow
def test_a_window_over_the_whole_map_is_the_classifier(networks):
    """At 224x224, conv5 has 13x13 cells, where both of the paper's rules give the same bins."""
    classifier, detector = networks
    image = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype("float32")
    windows = np.int32([[[0, 0, 13, 13], [0, 0, 6, 13]]])
    logits = detector([image, windows])
    np.testing.assert_allclose(logits[:, 0], classifier(image), rtol=1e-4, atol=1e-7)
    assert np.abs(logits[:, 1] - logits[:, 0]).max() > 1e-7


def test_any_size_of_image(networks):
    classifier, _ = networks
    for height, width in ((31, 31), (180, 180), (150, 331)):
        assert classifier(np.ones((1, height, width, 3), "float32")).shape == (1, 4)


def test_the_paper_s_thirty_bins():
    model = sppnet(classes=2, levels=(4, 3, 2, 1))
    assert model.get_layer("fc6").kernel.shape == (30 * 256, 4096)


def middle_of(cell, model, side):
    """The middle of the pixels that a cell of conv5 sees, by gradient."""
    image = tf.Variable(np.random.default_rng(0).uniform(1, 2, (1, side, side, 3)).astype("float32"))
    trunk = keras.Model(model.inputs[0], model.get_layer("conv5").output)
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(trunk(image)[:, cell, cell])
    seen = np.flatnonzero(np.abs(tape.gradient(y, image)).sum(axis=(0, 2, 3)))
    return (seen[0] + seen[-1] + 1) / 2


@pytest.mark.slow
def test_where_the_cells_lie_by_gradient(networks):
    """An inner cell of a map of 13, seen from the image's border."""
    classifier, _ = networks
    positive = keras.models.clone_model(classifier)
    positive.set_weights([np.abs(weight) + 1e-3 for weight in classifier.get_weights()])
    for cell in (6, 7):
        assert middle_of(cell, positive, 224) == pytest.approx(FIRST + STRIDE * cell, abs=1)


def test_the_cells_of_a_box_are_those_whose_middle_lies_inside():
    """Middles lie at 20.5, 36.5, 52.5, ..."""
    boxes = np.float32(
        [
            [0, 0, 60, 40],  # 20.5, 36.5, 52.5 across; 20.5, 36.5 down
            [20, 21, 37, 53],  # 20.5, 36.5; 36.5, 52.5
            [21, 21, 36, 36],  # none: the nearest, whose middle is 20.5 or 36.5
            [-90, 300, -40, 400],  # beyond the border: the first column, the last row
            [20.5, 0, 52.5, 40],  # a middle on the edge is not inside
        ]
    )
    cells = window_cells(boxes, (10, 8)).numpy()
    assert cells[0].tolist() == [0, 0, 3, 2]
    assert cells[1].tolist() == [0, 1, 2, 3]
    assert cells[2].tolist() == [0, 0, 1, 1]
    assert cells[3, [0, 2]].tolist() == [0, 1] and cells[3, 3] == 10
    assert cells[4].tolist() == [1, 0, 2, 2]
    assert cells.dtype == "int32"
    assert window_cells(np.zeros((2, 0, 4), "float32"), (10, 8)).shape == (2, 0, 4)


def test_every_box_of_an_image_has_a_cell_in_the_map():
    random = np.random.default_rng(0)
    corners = random.uniform(-50, 400, (500, 2, 2))
    boxes = np.concatenate([corners.min(1), corners.max(1)], axis=1).astype("float32")
    x1, y1, x2, y2 = window_cells(boxes, (12, 20)).numpy().T
    assert (x1 >= 0).all() and (x2 <= 20).all() and (x1 < x2).all()
    assert (y1 >= 0).all() and (y2 <= 12).all() and (y1 < y2).all()


def test_the_scale_at_which_a_window_is_nearest_224():
    """A photo 300 high: a box of 100x100 has 224x224 pixels at a height of 672; the nearest area is that of 688."""
    boxes = np.float32([[0, 0, 100, 100], [0, 0, 300, 300], [0, 0, 10, 10], [0, 0, 200, 72]])
    # 200x72 has 224x224 pixels at 300 * sqrt(224² / 14,400) = 560, nearest 576.
    assert nearest_scale(boxes, (300, 400)).tolist() == [2, 0, 4, 1]
    assert nearest_scale(boxes[:0], (300, 400)).shape == (0,)


@pytest.mark.slow
def test_pooled_features_are_those_of_the_whole_network(networks, monkeypatch):
    """Of a photo of 62x80 at two scales, whose shorter sides are 62 and 93; windows are to be near 64x64 here."""
    monkeypatch.setattr(sys.modules["keras_cnns.detection.sppnet"], "WINDOW", 64)
    _, detector = networks
    photo = np.random.default_rng(0).normal(size=(62, 80, 3)).astype("float32")
    boxes = np.float32([[0, 0, 60, 60], [10, 0, 40, 30], [0, 30, 80, 62]])
    scales = nearest_scale(boxes, (62, 80), (62, 93))
    assert scales.tolist() == [0, 1, 0]
    pooled = pyramid_features(detector, (62, 93))(photo, boxes)
    assert pooled.shape == (3, 12800)
    conv5 = keras.Model(detector.inputs[0], detector.get_layer("conv5").output)
    whole = keras.Model(detector.inputs, [detector.get_layer("spp").output, detector.output])
    logits = fully_connected_part(detector)(pooled)
    for number, (box, scale) in enumerate(zip(boxes, scales, strict=True)):
        size = [(62, 80), (93, 120)][scale]
        image = tf.image.resize(photo, size)[None]
        cells = conv5(image).shape[1:3]
        windows = window_cells(box[None, None] * (size[0] / 62), cells)
        expected, score = whole([image, windows])
        np.testing.assert_allclose(pooled[number], expected[0, 0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(logits[number], score[0, 0], rtol=1e-3, atol=1e-6)


def test_the_part_behind_the_pyramid_shares_its_weights(networks):
    _, detector = networks
    part = fully_connected_part(detector)
    assert {id(weight) for weight in part.weights} <= {id(weight) for weight in detector.weights}
    assert [layer.name for layer in part.layers[1:]] == ["fc6", "drop6", "fc7", "drop7", "fc8_pascal"]
    assert [layer.name for layer in fully_connected_part(detector, "fc7").layers[1:]] == ["fc6", "drop6", "fc7"]
