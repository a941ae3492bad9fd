"""A detector's outputs as boxes, scores and classes: by hand."""

import numpy as np
import pytest

from keras_cnns.ops import detections


def outputs(probabilities, deltas=None):
    logits = np.log(np.float32(probabilities))
    return logits, np.zeros((len(logits), 4 * logits.shape[1]), "float32") if deltas is None else deltas


def found(*args, **kwargs):
    boxes, scores, classes, count = (each.numpy() for each in detections(*args, **kwargs))
    assert not boxes[count:].any() and not scores[count:].any()
    return boxes[:count].tolist(), scores[:count].astype("float64").round(3).tolist(), classes[:count].tolist()


def test_the_best_box_of_each_class_stays():
    """The second box overlaps the first by 90/110, so that of class 0 the better one stays; of class 1 the second."""
    boxes = np.float32([[0, 0, 10, 10], [1, 0, 11, 10], [40, 40, 60, 60]])
    logits, deltas = outputs([[0.1, 0.6, 0.3], [0.2, 0.3, 0.5], [0.96, 0.01, 0.03]])
    assert found(logits, deltas, boxes, (100, 100)) == ([[0, 0, 10, 10], [1, 0, 11, 10]], [0.6, 0.5], [0, 1])
    assert found(logits, deltas, boxes, (100, 100), max_outputs=1) == ([[0, 0, 10, 10]], [0.6], [0])
    both = found(logits, deltas, boxes, (100, 100), iou_threshold=0.9)
    assert both[1:] == ([0.6, 0.5, 0.3, 0.3], [0, 1, 0, 1])
    assert found(logits, deltas, boxes, (100, 100), score_threshold=0.02)[2] == [0, 1, 1]


def test_each_class_has_its_own_deltas_and_the_border_cuts():
    boxes = np.float32([[10, 10, 30, 20]])
    logits, deltas = outputs([[0.1, 0.5, 0.4]])
    deltas[0, 4:8] = [0.5, 0, 0, 0]  # half a width to the right
    deltas[0, 8:] = [0, 0, 0, np.log(4)]  # four times as high: 5 pixels above the image, 20 below
    expected = [[20, 10, 40, 20], [10, 0, 30, 32]]
    boxes, scores, classes = found(logits, deltas, boxes, (32, 100))
    np.testing.assert_allclose(boxes, expected, rtol=1e-6)
    assert scores == [0.5, 0.4] and classes == [0, 1]


@pytest.mark.parametrize("number", [0, 3])
def test_nothing_found_is_empty(number):
    boxes = np.zeros((number, 4), "float32") + [0, 0, 5, 5]
    assert found(*outputs([[0.99, 0.01]] * number or np.zeros((0, 2))), boxes, (9, 9)) == ([], [], [])


def test_a_box_that_is_no_number_is_not_found():
    logits, deltas = outputs([[0.1, 0.9], [0.2, 0.8]])
    deltas[0] = np.nan
    boxes = np.float32([[0, 0, 5, 5], [0, 0, 6, 6]])
    assert found(logits, deltas, boxes, (9, 9)) == ([[0, 0, 6, 6]], [0.8], [0])
