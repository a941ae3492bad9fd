"""What a detector learns from: by hand, and Fast R-CNN's shares by counting."""

import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.ops import best_matches, sample_rois

OBJECTS = np.float32([[0, 0, 10, 10], [20, 20, 40, 40]])


def test_each_proposal_belongs_to_the_object_it_overlaps_most():
    proposals = np.float32([[0, 0, 10, 5], [18, 20, 38, 40], [50, 50, 60, 60], [0, 0, 0, 10]])
    best, index = best_matches(proposals, OBJECTS)
    # 50 of 100; 18 x 20 of 2 x 400 - 360.
    np.testing.assert_allclose(best, [0.5, 360 / 440, 0, 0], rtol=1e-6)
    assert index.numpy().tolist()[:2] == [0, 1]
    best, index = best_matches(proposals, OBJECTS[:0])
    assert best.numpy().tolist() == [0, 0, 0, 0] and index.numpy().tolist() == [0, 0, 0, 0]


def test_labels_and_deltas_by_hand():
    """An IoU of 1/2 is foreground, of 1/4 background, of 1/20 neither; the objects themselves are candidates."""
    proposals = np.float32([[0, 0, 10, 5], [20, 20, 40, 25], [0, 0, 5, 1], [60, 60, 60, 90]])
    rois, labels, deltas = sample_rois(proposals, OBJECTS, [4, 2], np.linspace(0, 0.9, 6), count=8, foreground=0.5)
    assert labels.numpy().tolist() == [5, 5, 3, 0, -1, -1, -1, -1]
    np.testing.assert_array_equal(rois[:4], [*proposals[:1], *OBJECTS, proposals[1]])
    # From (0, 0, 10, 5) to (0, 0, 10, 10): the centre moves by half of the height, which doubles.
    np.testing.assert_allclose(deltas[0], [0, 0.5, 0, np.log(2)], rtol=1e-6)
    assert not np.any(deltas[1:]) and not np.any(rois[4:])
    settings = {"means": (0.0, 0.1, 0.0, 0.0), "deviations": (0.1, 0.2, 0.1, 0.5)}
    _, _, normalised = sample_rois(proposals, OBJECTS, [4, 2], np.linspace(0, 0.9, 6), 8, 0.5, **settings)
    np.testing.assert_allclose(normalised[0], [0, 2, 0, 2 * np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(normalised[1], [0, -0.5, 0, 0], rtol=1e-6)
    assert not np.any(normalised[3:])


@pytest.mark.parametrize(("good", "bad", "expected"), [(100, 100, (16, 48)), (5, 100, (6, 58)), (100, 3, (16, 3))])
def test_a_quarter_is_foreground_and_the_rest_background_as_far_as_it_goes(good, bad, expected):
    """2 images x 64 RoIs, 25 % of them foreground: Fast R-CNN, section 2.3. One object more: itself."""
    proposals = np.float32([[0, 0, 10, 9]] * good + [[0, 0, 10, 3]] * bad)
    random = np.random.default_rng(0).random(len(proposals) + 1)
    rois, labels, _ = sample_rois(proposals, OBJECTS[:1], [0], random)
    labels = labels.numpy()
    assert rois.shape == (64, 4) and ((labels == 1).sum(), (labels == 0).sum()) == expected
    assert (labels == -1).sum() == 64 - sum(expected)


def test_every_object_can_be_drawn_even_one_that_no_proposal_overlaps():
    """With 40 objects, more than have room, each is drawn within some steps, and as often as the others."""
    boxes = np.float32([[20 * i, 0, 20 * i + 10, 10] for i in range(40)])
    proposals = np.float32([[5000, 5000, 5010, 5010]] * 30)
    generator, drawn = np.random.default_rng(1), np.zeros(40)
    for _ in range(100):
        rois, labels, _ = sample_rois(proposals, boxes, np.arange(40), generator.random(70))
        chosen = labels.numpy()[labels.numpy() > 0] - 1
        assert len(set(chosen)) == 16
        np.testing.assert_array_equal(rois.numpy()[:16], boxes[chosen])
        drawn[chosen] += 1
    assert drawn.min() > 15 and drawn.max() < 65  # 40 expected of each, with a deviation of 5


@pytest.mark.parametrize(("proposals", "objects"), [(0, 0), (5, 0), (0, 2)])
def test_images_without_proposals_or_objects(proposals, objects):
    boxes = tf.tile([[0.0, 0.0, 9.0, 9.0]], (proposals, 1))
    random = tf.random.uniform((proposals + objects,), seed=0)
    rois, labels, deltas = sample_rois(boxes, OBJECTS[:objects], [1, 1][:objects], random, count=4, foreground=0.5)
    assert labels.numpy().tolist() == ([2, 2] if objects else [-1, -1]) + [-1, -1]
    assert np.isfinite(deltas).all() and rois.shape == (4, 4)
