"""Recall and MABO of proposals, against numbers by hand and a count written out."""

import numpy as np
import pytest

from keras_cnns.evaluation import best_overlaps, proposal_scores

# An object of 10x10 and one of 20x10; the third image has none.
BOXES = [[[0, 0, 10, 10]], [[10, 0, 30, 10]], np.zeros((0, 4))]
LABELS = [["cell"], ["platelet"], []]
PROPOSALS = [
    [[0, 0, 5, 10], [50, 50, 60, 60], [0, 0, 10, 8]],  # IoU 0.5, 0, 0.8
    [[20, 0, 40, 10], [10, 0, 30, 10]],  # 100 of 300 pixels, all
    [[0, 0, 9, 9]],
]


def test_the_best_of_the_first_by_hand():
    expected = [[0.5, 1 / 3], [0.5, 1], [0.8, 1], [0.8, 1]]  # more than there are: all
    np.testing.assert_allclose(best_overlaps(PROPOSALS, BOXES, (1, 2, 3, 100)), expected, rtol=1e-6)


def test_the_scores_by_hand():
    one, three = proposal_scores(PROPOSALS, BOXES, LABELS, counts=(1, 3), thresholds=(0.5, 0.7, 0.9))
    assert one == pytest.approx(
        {"count": 1, "proposals": 1, "recall_50": 0.5, "recall_70": 0, "recall_90": 0, "mabo": (0.5 + 1 / 3) / 2}
    )
    assert three == pytest.approx(
        {"count": 3, "proposals": 2, "recall_50": 1, "recall_70": 1, "recall_90": 0.5, "mabo": 0.9}
    )


def test_mabo_is_the_mean_over_classes_not_over_boxes():
    boxes = [[[0, 0, 10, 10]] * 3 + [[20, 20, 30, 30]]]
    (scores,) = proposal_scores([[[0, 0, 10, 10]]], boxes, [[0, 0, 0, 1]], counts=(1,))
    assert scores["mabo"] == pytest.approx(0.5)
    assert scores["recall_50"] == pytest.approx(0.75)


def test_many_boxes_against_a_count_written_out():
    random = np.random.default_rng(0)

    def some(count):
        corners = random.integers(0, 40, (count, 2))
        return np.concatenate([corners, corners + random.integers(1, 30, (count, 2))], axis=1)

    def pixels(box):
        mask = np.zeros((80, 80), bool)
        mask[box[1] : box[3], box[0] : box[2]] = True
        return mask

    proposals, boxes = [some(30), some(5)], [some(6), some(4)]
    counts = (1, 7, 30)
    expected = [
        [
            max((pixels(p) & pixels(b)).sum() / (pixels(p) | pixels(b)).sum() for p in proposed[:count])
            for proposed, there in zip(proposals, boxes, strict=True)
            for b in there
        ]
        for count in counts
    ]
    np.testing.assert_allclose(best_overlaps(proposals, boxes, counts), expected, rtol=1e-5)


def test_no_proposals():
    (scores,) = proposal_scores([np.zeros((0, 4))], [[[0, 0, 1, 1]]], [[0]], counts=(10,))
    assert scores == {"count": 10, "proposals": 0, "recall_50": 0, "recall_70": 0, "mabo": 0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((PROPOSALS[:2], BOXES, LABELS), "proposals of 2 images and boxes of 3"),
        ((PROPOSALS, BOXES, LABELS, (0, 10)), "each must be at least 1"),
        ((PROPOSALS[:1], [[[5, 5, 5, 9]]], [["cell"]]), "a box of image 0 is empty"),
        ((PROPOSALS, BOXES, [["cell"], [], []]), "1 labels for 2 boxes"),
        ((PROPOSALS[2:], BOXES[2:], LABELS[2:]), "there are no boxes to be found"),
    ],
)
def test_what_cannot_be_scored(arguments, message):
    with pytest.raises(ValueError, match=message):
        proposal_scores(*arguments)
