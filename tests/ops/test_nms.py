"""Suppression against loops over Python numbers, on boxes that touch, repeat, vanish or are no numbers."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_cnns.ops import (
    batched_non_max_suppression,
    non_max_suppression,
    non_max_suppression_padded,
    non_max_suppression_per_class,
    non_max_suppression_per_class_padded,
    soft_non_max_suppression,
)

NAN = math.nan
# Whole numbers, so that areas are exact; few of them and few scores, so that there are ties and repetitions.
corner = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 8] * 4 + [NAN])
score = st.sampled_from([1.0, 0.75, 0.5, 0.25, 0.0, -2.0, NAN, -math.inf])
thresholds = st.sampled_from([0.0, 0.25, 0.3, 0.5, 0.7, 1.0])


def scored_boxes(classes=None):
    scores = score if classes is None else st.tuples(*[score] * classes)
    rows = st.lists(st.tuples(st.tuples(*[corner] * 4), scores), max_size=8)
    shape = (-1,) if classes is None else (-1, classes)
    return rows.map(
        lambda rows: (
            np.float32([box for box, _ in rows]).reshape(-1, 4),
            np.float32([scores for _, scores in rows]).reshape(shape),
        )
    )


def overlap(a, b):
    """IoU in float32, one rounding."""
    common = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    areas = [max(box[2] - box[0], 0) * max(box[3] - box[1], 0) for box in (a, b)]
    return np.float32(common / (sum(areas) - common)) if common else np.float32(0)


def by_loops(boxes, scores, threshold, most):
    """All boxes from the best on, each kept unless it overlaps one that was."""
    boxes, scores = boxes.tolist(), scores.tolist()
    good = [i for i in range(len(boxes)) if scores[i] > -math.inf and not any(map(math.isnan, boxes[i]))]
    kept = []
    for i in sorted(good, key=lambda i: -scores[i]):  # Python's sort leaves equal ones in order
        if len(kept) < most and all(overlap(boxes[i], boxes[j]) <= np.float32(threshold) for j in kept):
            kept.append(i)
    return kept


def test_three_boxes_by_hand():
    """The second shares 6 of 10 with the first (0.6), the third 2 of 14."""
    boxes = np.float32([[0, 0, 4, 2], [1, 0, 5, 2], [3, 0, 7, 2]])
    scores = np.float32([0.5, 0.9, 0.7])
    assert non_max_suppression(boxes, scores, 0.5, 10).numpy().tolist() == [1, 2]
    assert non_max_suppression(boxes, scores, 0.6, 10).numpy().tolist() == [1, 2, 0]  # 6/10 is not above 0.6
    assert non_max_suppression(boxes, scores, 0.1, 10).numpy().tolist() == [1]
    assert non_max_suppression(boxes, scores, 0.6, 2).numpy().tolist() == [1, 2]
    assert non_max_suppression(boxes, scores, 0.6, 10).dtype == "int32"


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(scored_boxes(), thresholds, st.integers(0, 6))
def test_the_boxes_that_stay_are_those_of_loops(boxes_and_scores, threshold, most):
    boxes, scores = boxes_and_scores
    expected = by_loops(boxes, scores, threshold, most)
    assert non_max_suppression(boxes, scores, threshold, most).numpy().tolist() == expected
    padded, count = non_max_suppression_padded(boxes, scores, threshold, most)
    assert padded.numpy().tolist() == expected + [0] * (most - len(expected)) and count == len(expected)


@pytest.mark.slow
@settings(deadline=None)
@given(scored_boxes(classes=3), thresholds, st.integers(1, 6), st.sampled_from([-math.inf, 0.25]), st.booleans())
def test_classes_do_not_drop_each_other(boxes_and_scores, threshold, most, score_threshold, own_boxes):
    boxes, scores = boxes_and_scores
    if own_boxes:  # every class another
        boxes = np.stack([boxes, boxes + np.float32([0, 0, 1, 0]), boxes[::-1]], axis=1)
    expected = []
    for label in range(3):
        own = boxes[:, label] if own_boxes else boxes
        those = np.where(scores[:, label] > score_threshold, scores[:, label], NAN)
        expected += [(i, label) for i in by_loops(own, those, threshold, most)]
    expected = sorted(expected, key=lambda found: -scores[found])[:most]
    indices, labels = non_max_suppression_per_class(boxes, scores, threshold, most, score_threshold)
    assert list(zip(indices.numpy(), labels.numpy(), strict=True)) == expected


@settings(deadline=None, max_examples=50)
@given(st.lists(scored_boxes(), min_size=1, max_size=3), thresholds, st.integers(1, 5))
def test_every_image_of_a_batch_by_itself(images, threshold, most):
    longest = max(len(scores) for _, scores in images)
    boxes = np.zeros((len(images), longest, 4), "float32")
    scores = np.full((len(images), longest), -math.inf, "float32")
    for number, (own, those) in enumerate(images):
        boxes[number, : len(own)], scores[number, : len(own)] = own, those
    indices, counts = batched_non_max_suppression(boxes, scores, threshold, most)
    for image, found, count in zip(images, indices.numpy(), counts.numpy(), strict=True):
        expected = by_loops(*image, threshold, most)
        assert found.tolist() == expected + [0] * (most - len(expected)) and count == len(expected)


def soft_by_loops(boxes, scores, sigma, most, score_threshold):
    scores, found = scores.astype("float64").tolist(), []
    left = set(range(len(scores)))
    while left and len(found) < most:
        best = max(left, key=lambda i: (scores[i], -i))
        if scores[best] <= score_threshold:
            break
        found.append((best, scores[best]))
        left.remove(best)
        for i in left:
            scores[i] *= math.exp(-(float(overlap(boxes[i], boxes[best])) ** 2) / sigma)
    return found


def test_soft_suppression_lowers_scores_in_place_of_dropping_boxes():
    boxes = np.float32([[0, 0, 4, 2], [0, 0, 4, 2], [1, 0, 5, 2], [8, 8, 9, 9]])
    scores = np.float32([0.9, 0.8, 0.7, 0.1])
    indices, lowered = soft_non_max_suppression(boxes, scores, 0.5, 10)
    # exp(-1 / 0.5) of the repetition; 0.6 shared with both of the third
    assert indices.numpy().tolist() == [0, 2, 3, 1]
    third = 0.7 * math.exp(-0.36 / 0.5)
    np.testing.assert_allclose(lowered, [0.9, third, 0.1, 0.8 * math.exp(-2 - 0.36 / 0.5)], rtol=1e-5)
    assert soft_non_max_suppression(boxes, scores, 0.5, 10, score_threshold=0.2)[0].numpy().tolist() == [0, 2]


@pytest.mark.parametrize("seed", range(5))
def test_soft_suppression_by_loops(seed):
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 20, (30, 2))
    boxes = np.concatenate([corners, corners + random.uniform(1, 15, (30, 2))], axis=1).astype("float32")
    scores = random.uniform(0, 1, 30).astype("float32")
    expected = soft_by_loops(boxes.tolist(), scores, 0.5, 20, 0.05)
    indices, lowered = soft_non_max_suppression(boxes, scores, 0.5, 20, 0.05)
    assert indices.numpy().tolist() == [i for i, _ in expected]
    np.testing.assert_allclose(lowered, [s for _, s in expected], rtol=1e-4)


def random_boxes(number, classes=3):
    random = np.random.default_rng(number)
    corners = random.uniform(0, 50, (number, 2))
    boxes = np.concatenate([corners, corners + random.uniform(1, 30, (number, 2))], axis=1).astype("float32")
    scores = random.choice([0.1, 0.2, 0.5, 0.9, NAN, -math.inf], (number, classes)).astype("float32")
    return boxes, scores


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1, 40])
@pytest.mark.parametrize("xla", [False, True], ids=["graph", "XLA"])
def test_graph_and_xla_give_the_same(number, xla):
    boxes, scores = random_boxes(number)
    compiled = lambda function: tf.function(function, jit_compile=xla)
    for function, arguments in (
        (lambda b, s: non_max_suppression(b, s, 0.5, 20), (boxes, scores[:, 0])),
        (lambda b, s: non_max_suppression_padded(b, s, 0.5, 20), (boxes, scores[:, 0])),
        (lambda b, s: non_max_suppression_per_class_padded(b, s, 0.5, 20), (boxes, scores)),
        (lambda b, s: batched_non_max_suppression(b, s, 0.5, 20), (boxes[None], scores[None, :, 0])),
    ):
        for eager, ours in zip(function(*arguments), compiled(function)(*arguments), strict=True):
            np.testing.assert_array_equal(ours, eager)


def test_the_same_as_torchvision():
    ops = pytest.importorskip("torchvision.ops")
    torch = pytest.importorskip("torch")
    boxes, _ = random_boxes(500)
    scores = np.random.default_rng(0).permutation(500).astype("float32")  # no ties: torchvision's sort has no order
    for threshold in (0.3, 0.7):
        expected = ops.nms(torch.from_numpy(boxes), torch.from_numpy(scores), threshold).tolist()
        assert non_max_suppression(boxes, scores, threshold, 500).numpy().tolist() == expected


def test_unknown_numbers_of_boxes():
    spec = tf.TensorSpec((None, 4)), tf.TensorSpec((None,))
    function = tf.function(lambda b, s: non_max_suppression(b, s, 0.5, 20), input_signature=spec)
    for number in (0, 3, 17):
        boxes, scores = random_boxes(number)
        assert function(boxes, scores[:, 0]).numpy().tolist() == by_loops(boxes, scores[:, 0], 0.5, 20)


def test_a_threshold_that_is_no_share_is_told():
    boxes, scores = random_boxes(3)
    with pytest.raises(ValueError, match="iou_threshold is 30; it must be from 0 to 1"):
        non_max_suppression(boxes, scores[:, 0], 30, 5)
