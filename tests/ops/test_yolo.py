"""YOLO's outputs read as boxes, by hand."""

import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.ops import cell_objects, non_max_suppression_per_class, yolo_boxes


def test_boxes_and_scores_by_hand():
    """Two rows and three columns of cells of 20x20 pixels; 2 classes, B = 2."""
    outputs = np.zeros((1, 2, 3, 12), "float32")
    # Cell (1, 2) begins at (40, 20). Box 1: middle (50, 25), shares 0.25 and 0.16: 15 wide, 6.4 high. Box 2: (40, 40).
    outputs[0, 1, 2] = [0.9, 0.5, 0.8, 0.2, 0.5, 0.25, 0.5, 0.4, 0.0, 1.0, -1.0, 0.1]
    boxes, scores = yolo_boxes(outputs, 2, (40, 60))
    assert boxes.shape == (1, 12, 4) and scores.shape == (1, 12, 2)
    np.testing.assert_allclose(boxes[0, 10], [42.5, 21.8, 57.5, 28.2], rtol=1e-5)
    np.testing.assert_allclose(boxes[0, 11], [10, 39.8, 70, 40.2], rtol=1e-5)
    np.testing.assert_allclose(scores[0, 10:], [[0.72, 0.4], [0.18, 0.1]], rtol=1e-5)
    np.testing.assert_allclose(boxes[0, 0], [0, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(boxes[0, 8], [20, 20, 20, 20], rtol=1e-5)  # where cell (1, 1) begins


def test_what_a_cell_is_asked_to_learn_is_what_is_read():
    objects = np.float32([[[42.5, 21.8, 57.5, 28.2, 1, 0], [0, 0, 10, 10, 0, 0], [-1] * 6]])
    there, boxes, labels = (part.numpy() for part in cell_objects(objects, (2, 3), (40, 60)))
    assert np.argwhere(there).tolist() == [[0, 0, 0], [0, 1, 2]]
    np.testing.assert_allclose(boxes[0, 1, 2], [0.5, 0.25, 0.25, 0.16], rtol=1e-4)
    assert (labels[0, 0, 0], labels[0, 1, 2]) == (0, 1)
    outputs = np.zeros((1, 2, 3, 7), "float32")
    outputs[0, there[0], 2] = 1
    outputs[0, there[0], :2] = np.eye(2)[labels[0, there[0]]]
    outputs[0, there[0], 3:5], outputs[0, there[0], 5:] = boxes[0, there[0], :2], boxes[0, there[0], 2:] ** 0.5
    read, scores = yolo_boxes(outputs, 2, (40, 60))
    kept, classes = non_max_suppression_per_class(read[0], scores[0], 0.5, 10, 0.001)
    assert classes.numpy().tolist() == [0, 1]
    np.testing.assert_allclose(tf.gather(read[0], kept), objects[0, [1, 0], :4], atol=1e-4)


def test_one_cell_of_an_image_of_one_pixel():
    there, boxes, _ = cell_objects(np.float32([[[0, 0, 1, 1, 0, 0]]]), (1, 1), (1, 1))
    assert there.numpy().all() and boxes[0, 0, 0].numpy().tolist() == [0.5, 0.5, 1, 1]


def test_a_depth_that_fits_no_box_is_told():
    with pytest.raises(ValueError, match="outputs have 10 numbers a cell"):
        yolo_boxes(np.zeros((1, 1, 1, 10)), 10, (1, 1))
