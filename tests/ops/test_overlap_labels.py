"""What a proposal is called by its overlaps, by hand."""

import numpy as np

from keras_cnns.ops import class_overlaps, overlap_labels

OBJECTS, LABELS = np.float32([[0, 0, 10, 10], [20, 0, 30, 10]]), np.int32([2, 0])
PROPOSALS = np.float32(
    [
        [0, 0, 10, 10],  # 1 with the first
        [20, 0, 30, 5],  # 0.5 with the second
        [0, 0, 10, 4.9],  # 0.49
        [0, 0, 10, 0.5],  # 0.05
        [50, 50, 60, 60],  # 0
    ]
)


def test_labels_by_the_best_overlap():
    assert overlap_labels(PROPOSALS, OBJECTS, LABELS).numpy().tolist() == [3, 1, 0, 0, 0]
    assert overlap_labels(PROPOSALS, OBJECTS, LABELS, background=(0.1, 0.5)).numpy().tolist() == [3, 1, 0, -1, -1]
    assert overlap_labels(PROPOSALS, OBJECTS, LABELS, overlap=0.6).numpy().tolist() == [3, -1, 0, 0, 0]


def test_a_photo_without_objects_is_background():
    nothing = np.zeros((0, 4), "float32"), np.zeros(0, "int32")
    assert overlap_labels(PROPOSALS, *nothing).numpy().tolist() == [0] * 5
    assert not class_overlaps(PROPOSALS, *nothing, 3).numpy().any()


def test_overlaps_with_each_class():
    overlaps = class_overlaps(PROPOSALS, OBJECTS, LABELS, 3)
    np.testing.assert_allclose(overlaps, [[0, 0, 1], [0.5, 0, 0], [0, 0, 0.49], [0, 0, 0.05], [0, 0, 0]], atol=1e-6)
    both = class_overlaps(PROPOSALS[:1], np.float32([[0, 0, 10, 2], [0, 0, 10, 4]]), np.int32([1, 1]), 2)
    np.testing.assert_allclose(both, [[0, 0.4]], atol=1e-6)
