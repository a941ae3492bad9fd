"""Average precision by hand, by the devkit's loops, and by COCO's own program on cases that can be counted."""

import numpy as np
import pytest

from keras_cnns.evaluation import coco_scores, voc_scores
from keras_cnns.evaluation.detection import RECALLS, average_precision


def truth(boxes, labels=None, difficult=None):
    number = len(boxes)
    return {
        "boxes": np.float32(boxes).reshape(-1, 4),
        "labels": np.int32(labels if labels is not None else [0] * number),
        "difficult": np.array(difficult if difficult is not None else [False] * number),
    }


def detected(boxes, scores, labels=None):
    labels = labels if labels is not None else [0] * len(boxes)
    return {"boxes": np.float32(boxes).reshape(-1, 4), "scores": np.float32(scores), "labels": np.int32(labels)}


def at(x, width=10):
    return [x, 0, x + width, 10]


# Two images with three objects to find. Best first: right, wrong (found before), right, wrong (no object), never the
# third. Precision 1, 1/2, 2/3, 1/2 at recall 1/3, 1/3, 2/3, 2/3.
TRUTHS = [truth([at(0), at(100)]), truth([at(0)])]
DETECTIONS = [
    detected([at(0), at(1), at(50)], [0.9, 0.8, 0.6]),
    detected([at(1)], [0.7]),
]


def test_two_images_by_hand():
    scores = voc_scores(DETECTIONS, TRUTHS, ["cell"], "area")
    assert scores["map"] == scores["ap_cell"] == pytest.approx(100 * (1 / 3 + 1 / 3 * 2 / 3))
    # recalls 0, 0.1, 0.2, 0.3 have precision 1; 0.4, 0.5, 0.6 have 2/3; the other four none
    scores = voc_scores(DETECTIONS, TRUTHS, ["cell"], "11-point")
    assert scores["ap_cell"] == pytest.approx(100 * (4 + 3 * 2 / 3) / 11)


def test_an_overlap_of_just_the_threshold_is_right():
    """10 wide and 20 wide: IoU 1/2 exactly."""
    for least, expected in ((0.5, 100.0), (0.51, 0.0)):
        found = [detected([at(0, 20)], [0.5])]
        assert voc_scores(found, [truth([at(0)])], ["cell"], iou_threshold=least)["map"] == expected


def test_difficult_objects_neither_help_nor_harm():
    truths = [truth([at(0), at(100), at(200)], difficult=[True, False, False])]
    # found twice, the difficult one; then both others, with a wrong one between them: precision 1, 2/3
    found = [detected([at(0), at(1), at(100), at(50), at(200)], [0.9, 0.8, 0.7, 0.6, 0.5])]
    assert voc_scores(found, truths, ["cell"])["map"] == pytest.approx(100 * (0.5 + 0.5 * 2 / 3))


def test_classes_are_apart_and_one_without_objects_is_left_out():
    truths = [truth([at(0), at(100), at(300)], labels=[0, 1, 3], difficult=[False, False, True])]
    found = [detected([at(0), at(100)], [0.9, 0.8], labels=[1, 1])]
    scores = voc_scores(found, truths, ["a", "b", "c", "d"])
    assert scores == {"map": pytest.approx(25.0), "ap_a": 0.0, "ap_b": pytest.approx(50.0)}


def test_without_detections_the_precision_is_0():
    for metric in ("area", "11-point"):
        assert voc_scores([detected([], [])] * 2, TRUTHS, ["cell"], metric)["map"] == 0.0


def devkit(detections, truths, label, metric):
    """VOCevaldet.m and VOCap.m (2007: VOCevaldet.m alone), line by line, with its corners counted from 1, inclusive."""
    npos, gt = 0, []
    for each in truths:
        those = each["labels"] == label
        boxes = each["boxes"][those].astype("float64") + [1, 1, 0, 0]
        gt.append({"BB": boxes, "diff": each["difficult"][those], "det": [False] * len(boxes)})
        npos += sum(~each["difficult"][those])
    ids, confidence, boxes = [], [], []
    for image, each in enumerate(detections):
        for box, score, own in zip(each["boxes"], each["scores"], each["labels"], strict=True):
            if own == label:
                ids, confidence = [*ids, image], [*confidence, score]
                boxes.append(box.astype("float64") + [1, 1, 0, 0])
    order = np.argsort(-np.array(confidence), kind="stable")
    tp, fp = np.zeros(len(order)), np.zeros(len(order))
    for d, index in enumerate(order):
        bb, ovmax, jmax = boxes[index], -np.inf, None
        record = gt[ids[index]]
        for j, bbgt in enumerate(record["BB"]):
            iw = min(bb[2], bbgt[2]) - max(bb[0], bbgt[0]) + 1
            ih = min(bb[3], bbgt[3]) - max(bb[1], bbgt[1]) + 1
            if iw > 0 and ih > 0:
                ua = (bb[2] - bb[0] + 1) * (bb[3] - bb[1] + 1)
                ua += (bbgt[2] - bbgt[0] + 1) * (bbgt[3] - bbgt[1] + 1) - iw * ih
                if iw * ih / ua > ovmax:
                    ovmax, jmax = iw * ih / ua, j
        if ovmax >= 0.5:
            if not record["diff"][jmax]:
                if not record["det"][jmax]:
                    tp[d], record["det"][jmax] = 1, True
                else:
                    fp[d] = 1
        else:
            fp[d] = 1
    fp, tp = np.cumsum(fp), np.cumsum(tp)
    rec = tp / npos
    with np.errstate(invalid="ignore"):
        prec = tp / (fp + tp)
    if metric == "11-point":
        ap = 0.0
        for t in RECALLS:
            p = prec[rec >= t]
            p = p[~np.isnan(p)]  # MATLAB's max passes over them
            ap += (p.max() if len(p) else 0) / 11
        return ap
    mrec, mpre = np.concatenate([[0], rec, [1]]), np.concatenate([[0], prec, [0]])
    for i in range(len(mpre) - 2, -1, -1):
        mpre[i] = np.fmax(mpre[i], mpre[i + 1])
    i = np.flatnonzero(mrec[1:] != mrec[:-1]) + 1
    return np.sum((mrec[i] - mrec[i - 1]) * mpre[i])


def random_case(seed):
    """Whole-numbered boxes near the objects, with ties among scores, difficult ones and three classes."""
    random = np.random.default_rng(seed)
    truths, detections = [], []
    for _ in range(6):
        corners = random.integers(0, 40, (8, 2))
        boxes = np.concatenate([corners, corners + random.integers(4, 20, (8, 2))], axis=1)
        truths.append(truth(boxes, random.integers(0, 3, 8), random.random(8) < 0.25))
        near = boxes[random.integers(0, 8, 20)] + random.integers(-3, 4, (20, 4))
        detections.append(detected(near, random.integers(1, 8, 20) / 8, random.integers(0, 3, 20)))
    return detections, truths


@pytest.mark.parametrize("metric", ["area", "11-point"])
@pytest.mark.parametrize("seed", range(8))
def test_random_cases_by_the_devkits_loops(seed, metric):
    detections, truths = random_case(seed)
    scores = voc_scores(detections, truths, "abc", metric)
    for number, label in enumerate("abc"):
        assert scores[f"ap_{label}"] == pytest.approx(100 * devkit(detections, truths, number, metric), abs=1e-10)
    assert scores["map"] == pytest.approx(np.mean([scores[f"ap_{label}"] for label in "abc"]))


def test_the_eleven_recalls_as_matlab_counts_them():
    """A recall of 3/10 does not reach 3 x 0.1; one of 7/10 reaches 1 - 3 x 0.1."""
    assert len(RECALLS) == 11 and np.abs(RECALLS - np.arange(11) / 10).max() < 1e-15
    assert RECALLS[3] > 3 / 10 and RECALLS[7] <= 7 / 10
    assert average_precision(np.ones(1), np.array([3 / 10]), "11-point") == pytest.approx(3 / 11)
    assert average_precision(np.ones(1), np.array([7 / 10]), "11-point") == pytest.approx(8 / 11)


def test_coco_by_hand():
    """Boxes of 40 x 40. One is met exactly; the other by IoU 40/50 = 0.8, which 7 of the 10 thresholds count."""
    truths = [truth([[0, 0, 40, 40], [100, 0, 140, 40]])]
    found = [detected([[0, 0, 40, 40], [100, 0, 150, 40]], [0.9, 0.8])]
    scores = coco_scores(found, truths, ["cell"])
    # Precision is 1 up to a recall of 1/2, that is at 51 of 101 points.
    assert scores["ap"] == pytest.approx(100 * (7 + 3 * 51 / 101) / 10)
    assert scores["ap50"] == scores["ap75"] == pytest.approx(100)
    assert scores["ap_medium"] == pytest.approx(scores["ap"]) and "ap_small" not in scores
    assert scores["ar_100"] == pytest.approx(100 * (7 + 3 * 0.5) / 10)


def test_coco_crowds_take_any_number_of_detections_and_none_score_0():
    truths = [truth([[0, 0, 40, 40], [100, 0, 300, 200]], difficult=[False, True])]
    found = [detected([[0, 0, 40, 40], [110, 0, 140, 40], [150, 0, 190, 40]], [0.5, 0.9, 0.8])]
    assert coco_scores(found, truths, ["cell"])["ap"] == pytest.approx(100)
    assert coco_scores([detected([], [])], truths, ["cell"])["ap"] == 0


def test_what_cannot_be_scored_is_told():
    with pytest.raises(ValueError, match="detections are of 1 images and truths of 2"):
        voc_scores(DETECTIONS[:1], TRUTHS, ["cell"])
    with pytest.raises(ValueError, match="metric is 'auc'; it must be one of '11-point', 'area'"):
        voc_scores(DETECTIONS, TRUTHS, ["cell"], "auc")
    empty = [truth([at(0)], difficult=[True])]
    with pytest.raises(ValueError, match="no image has an object that is not difficult"):
        voc_scores([detected([], [])], empty, ["cell"])
    with pytest.raises(ValueError, match="no image has an object; there is nothing to score"):
        coco_scores([detected([], [])], [truth([])], ["cell"])
