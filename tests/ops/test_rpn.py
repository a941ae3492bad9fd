"""What anchors are to learn and what they propose, worked by hand."""

import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.ops import label_anchors, propose, rpn_targets, sample_anchors

SIZE = (100, 100)
OBJECT = [20, 20, 40, 40]
ANCHORS = np.float32(
    [
        [20, 20, 40, 40],  # the object: 1
        [20, 20, 40, 36],  # 320 / 400 = 0.8: 1
        [20, 20, 40, 32],  # 240 / 400 = 0.6: ignored
        [20, 20, 40, 25],  # 100 / 400 = 0.25: 0
        [60, 60, 80, 80],  # nothing in common: 0
        [-1, 20, 39, 40],  # crosses the border: ignored, whatever it overlaps
        [81, 81, 101, 101],
        [80, 80, 100, 100],  # ends at the border: inside
    ]
)


def test_labels_by_hand():
    labels, objects = label_anchors(ANCHORS, np.float32([OBJECT]), SIZE)
    assert labels.numpy().tolist() == [1, 1, -1, 0, 0, -1, -1, 0]
    assert objects.numpy().tolist() == [0] * 8


def test_an_object_without_a_good_anchor_gets_its_best_ones_ties_included():
    # (60, 60, 70, 70) lies in two anchors of 20x20, a quarter of each: IoU 0.25, below both thresholds.
    anchors = np.float32([*ANCHORS[:4], [60, 60, 80, 80], [50, 50, 70, 70], [69, 69, 89, 89]])
    labels, objects = label_anchors(anchors, np.float32([OBJECT, [60, 60, 70, 70]]), SIZE)
    assert labels.numpy().tolist() == [1, 1, -1, 0, 1, 1, 0]
    assert objects.numpy().tolist()[4:6] == [1, 1]


def test_padding_and_images_without_objects_are_background():
    for boxes in (np.zeros((0, 4), "float32"), np.full((3, 4), -1, "float32")):
        labels, objects = label_anchors(ANCHORS, boxes, SIZE)
        assert labels.numpy().tolist() == [0, 0, 0, 0, 0, -1, -1, 0] and not objects.numpy().any()
        labels, deltas = rpn_targets(ANCHORS, boxes, SIZE, np.linspace(0, 0.9, 8))
        assert 1 not in labels.numpy() and not deltas.numpy().any()


def test_an_image_of_one_pixel_ignores_all_anchors():
    labels, deltas = rpn_targets(ANCHORS, np.float32([[0, 0, 1, 1]]), (1, 1), np.zeros(8))
    assert labels.numpy().tolist() == [-1] * 8 and np.isfinite(deltas).all()


@pytest.mark.parametrize(("positives", "expected"), [(3, (3, 7)), (40, (5, 5))])
def test_the_sample_is_half_positive_at_most_and_full(positives, expected):
    labels = np.int32([1] * positives + [-1] * 10 + [0] * 50)
    random = np.random.default_rng(0).random(len(labels)).astype("float32")
    sampled = sample_anchors(labels, random, 10).numpy()
    assert ((sampled == 1).sum(), (sampled == 0).sum()) == expected
    assert (labels[sampled >= 0] == sampled[sampled >= 0]).all()
    chosen = random[sampled == 0]
    assert chosen.max() < np.delete(random[labels == 0], np.argsort(random[labels == 0])[: len(chosen)]).min()


def test_few_anchors_are_all_drawn():
    labels = np.int32([1, 0, 0, -1])
    assert sample_anchors(labels, np.zeros(4, "float32")).numpy().tolist() == [1, 0, 0, -1]


def test_deltas_by_hand():
    """From (20, 20, 40, 36), middle (30, 28), 20x16, to the object, middle (30, 30), 20x20."""
    labels, deltas = rpn_targets(ANCHORS, np.float32([OBJECT]), SIZE, np.linspace(0, 0.9, 8))
    assert labels.numpy().tolist() == [1, 1, -1, 0, 0, -1, -1, 0]
    np.testing.assert_allclose(deltas[1], [0, 2 / 16, 0, np.log(20 / 16)], rtol=1e-5, atol=1e-7)
    assert not deltas[0].numpy().any() and not deltas[2:].numpy().any()


def test_proposals_by_hand():
    anchors = np.float32([[0, 0, 40, 40], [2, 0, 42, 40], [50, 50, 90, 90], [0, 60, 15, 100], [60, 0, 120, 40]])
    scores, deltas = np.float32([[0.5, 0.9, 0.3, 0.99, 0.1]] * 2), np.zeros((2, 5, 4), "float32")
    deltas[1, 2, 0] = -0.25  # ten pixels to the left
    boxes = propose(scores, deltas, anchors, [[100, 100], [80, 70]], after=4).numpy()
    # The second overlaps the first by 38 / 42 and scores higher; the fourth is 15 pixels wide; the rest is cut off.
    assert boxes[0].tolist() == [[2, 0, 42, 40], [50, 50, 90, 90], [60, 0, 100, 40], [0] * 4]
    assert boxes[1].tolist() == [[2, 0, 42, 40], [40, 50, 70, 80], [0] * 4, [0] * 4]  # the last is 10 wide there
    assert (
        propose(scores, deltas, anchors, [[100, 100]] * 2, before=2, after=4).numpy()[0].tolist()[1:] == [[0] * 4] * 3
    )


def test_graph_mode_with_free_shapes_and_no_number_among_them():
    function = tf.function(
        lambda *batch: propose(*batch, [[100, 100]], after=3),
        [tf.TensorSpec((1, None)), tf.TensorSpec((1, None, 4)), tf.TensorSpec((None, 4))],
    )
    deltas = np.zeros((1, 8, 4), "float32")
    deltas[0, 0] = np.nan
    boxes = function(np.linspace(1, 0, 8, dtype="float32")[None], deltas, ANCHORS)
    assert boxes.shape == (1, 3, 4) and np.isfinite(boxes).all()
