"""Box arithmetic against hand-made figures and, by hypothesis, against loops over Python numbers."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_cnns.ops import (
    clip_boxes,
    decode_boxes,
    encode_boxes,
    generalised_iou,
    intersection_over_foreground,
    iou,
)

# Whole numbers, among them boxes of no area and turned around: products and sums are exact, only the quotient rounds.
boxes = st.lists(st.tuples(*[st.integers(-4, 12)] * 4), max_size=6).map(lambda rows: np.float32(rows).reshape(-1, 4))


def common(a, b):
    return max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)


def area(a):
    return max(a[2] - a[0], 0) * max(a[3] - a[1], 0)


def share(part, whole):
    return part / whole if whole else 0.0


def pairwise(function, ours, theirs):
    return np.float32([[function(a, b) for b in theirs.tolist()] for a in ours.tolist()]).reshape(
        len(ours), len(theirs)
    )


def iou_by_hand(a, b):
    return share(common(a, b), area(a) + area(b) - common(a, b))


def generalised_by_hand(a, b):
    union = area(a) + area(b) - common(a, b)
    around = max(max(a[2], b[2]) - min(a[0], b[0]), 0) * max(max(a[3], b[3]) - min(a[1], b[1]), 0)
    return iou_by_hand(a, b) + share(union, around) - 1


def test_two_boxes_by_hand():
    """4x4 and 4x4 that share 2x3: 6 of 26; the box around both is 6x5."""
    ours, theirs = [[0, 0, 4, 4]], [[2, 1, 6, 5], [4, 0, 8, 4], [0, 0, 4, 4], [9, 9, 9, 12]]
    np.testing.assert_allclose(iou(ours, theirs), [[6 / 26, 0, 1, 0]], rtol=1e-6)
    expected = [[6 / 26 - (30 - 26) / 30, 0, 1, 16 / 108 - 1]]
    np.testing.assert_allclose(generalised_iou(ours, theirs), expected, rtol=1e-6)
    np.testing.assert_allclose(intersection_over_foreground(ours, theirs), [[6 / 16, 0, 1, 0]], rtol=1e-6)
    np.testing.assert_allclose(intersection_over_foreground([[0, 0, 8, 2]], theirs), [[4 / 16, 0.5, 0.5, 0]], rtol=1e-6)


@pytest.mark.slow
@settings(deadline=None)
@given(boxes, boxes)
def test_overlaps_are_those_of_loops(ours, theirs):
    np.testing.assert_array_equal(iou(ours, theirs), pairwise(iou_by_hand, ours, theirs))
    foreground = pairwise(lambda a, b: share(common(a, b), area(a)), ours, theirs)
    np.testing.assert_array_equal(intersection_over_foreground(ours, theirs), foreground)
    generalised = pairwise(generalised_by_hand, ours, theirs)
    np.testing.assert_allclose(generalised_iou(ours, theirs), generalised, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("function", [iou, generalised_iou, intersection_over_foreground])
def test_graph_xla_and_empty_sets(function):
    ours = np.float32([[0, 0, 3, 2], [1, 1, 1, 5], [-2, 0.5, 8, 7.25]])
    for theirs in (np.float32([[1, 0, 5, 9], [3, 3, 4, 4]]), np.zeros((0, 4), "float32")):
        expected = function(ours, theirs)
        assert expected.shape == (3, len(theirs)) and expected.dtype == "float32"
        np.testing.assert_allclose(
            tf.function(function)(ours, theirs), expected, 1e-6, 1e-7
        )  # it may add in another order
        np.testing.assert_allclose(
            tf.function(function, jit_compile=True)(ours, theirs), expected, rtol=1e-6, atol=1e-7
        )


def test_boxes_of_torchvision():
    ops = pytest.importorskip("torchvision.ops")
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    corners = random.uniform(0, 500, (2, 60, 2)).astype("float32")
    ours, theirs = (np.concatenate([c, c + random.uniform(1, 200, c.shape)], 1).astype("float32") for c in corners)
    expected = ops.box_iou(torch.from_numpy(ours), torch.from_numpy(theirs))
    np.testing.assert_allclose(iou(ours, theirs), expected, rtol=1e-5, atol=1e-7)
    expected = ops.generalized_box_iou(torch.from_numpy(ours), torch.from_numpy(theirs))
    np.testing.assert_allclose(generalised_iou(ours, theirs), expected, rtol=1e-5, atol=1e-6)


def test_deltas_by_hand():
    """From 4x8 at the centre (2, 4) to 8x8 at (6, 6): a width and a quarter height away, twice as wide."""
    deltas = [1, 0.25, math.log(2), 0]
    np.testing.assert_allclose(encode_boxes([2, 2, 10, 10], [0, 0, 4, 8]), deltas, rtol=1e-6)
    np.testing.assert_allclose(decode_boxes(deltas, [0, 0, 4, 8]), [2, 2, 10, 10], rtol=1e-6)
    normalised = encode_boxes([2, 2, 10, 10], [0, 0, 4, 8], means=(0.5, 0, 0, 1), deviations=(0.1, 0.1, 0.2, 0.2))
    np.testing.assert_allclose(normalised, [5, 2.5, math.log(2) / 0.2, -5], rtol=1e-6)


sides = st.floats(0.5, 500, width=32)
any_box = st.tuples(st.floats(-100, 1000, width=32), st.floats(-100, 1000, width=32), sides, sides)
any_box = any_box.map(lambda box: np.float32([box[0], box[1], box[0] + box[2], box[1] + box[3]]))


@settings(deadline=None)
@given(any_box, any_box, st.sampled_from([{}, {"means": (0.1, -0.2, 0.3, 0), "deviations": (0.1, 0.1, 0.2, 0.2)}]))
def test_decoding_undoes_encoding(box, proposal, normalisation):
    again = decode_boxes(encode_boxes(box, proposal, **normalisation), proposal, **normalisation)
    np.testing.assert_allclose(again, box, rtol=1e-4, atol=0.02)


def test_deltas_of_every_class_and_of_boxes_without_area():
    proposals = np.float32([[0, 0, 10, 20], [5, 5, 9, 7]])
    deltas = np.zeros((2, 3, 4), "float32")
    deltas[:, 1, 0], deltas[:, 2, 2] = 1, math.log(3)
    decoded = decode_boxes(deltas, proposals[:, None])
    assert decoded.shape == (2, 3, 4)
    np.testing.assert_allclose(decoded[0], [[0, 0, 10, 20], [10, 0, 20, 20], [-10, 0, 20, 20]], atol=1e-5)
    assert np.isfinite(encode_boxes([[3, 3, 3, 3], [4, 4, 2, 2]], [[1, 1, 1, 1], [0, 0, 5, 5]])).all()
    assert decode_boxes(np.zeros((0, 3, 4)), np.zeros((0, 1, 4))).shape == (0, 3, 4)


def test_clipping_is_by_width_and_height():
    image = (60, 100)  # height, width
    inside, across, outside = [3, 4, 50, 20], [-5, -1, 120, 61], [130, 70, 140, 90]
    expected = [[3, 4, 50, 20], [0, 0, 100, 60], [100, 60, 100, 60]]
    np.testing.assert_array_equal(clip_boxes([inside, across, outside], image), expected)
    np.testing.assert_array_equal(clip_boxes([[[-np.inf, 2, np.inf, 8]]], tf.constant([60, 100])), [[[0, 2, 100, 8]]])
