"""COCO's average precision of masks by hand, and beside pycocotools's own on its own files."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools import mask as coco
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from keras_cnns.evaluation import coco_mask_scores, coco_scores
from tests.evaluation.test_detection import detected, truth

SIZE = (60, 200)


def rectangles(*boxes):
    masks = np.zeros((len(boxes), *SIZE), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = True
    return masks


def run_lengths(masks):
    return [coco.encode(np.asfortranarray(mask, "uint8")) for mask in masks]


@pytest.mark.parametrize("form", [np.asarray, run_lengths])
def test_masks_count_and_not_their_boxes(form):
    """Masks of 40 x 40. One is met exactly; of the other half the columns and none besides, IoU 1/2, which the first of
    the ten thresholds alone counts. The boxes are all wrong."""
    truths = [{**truth([[0, 0, 1, 1]] * 2), "masks": form(rectangles([0, 0, 40, 40], [100, 0, 140, 40]))}]
    found = detected([[50, 0, 60, 10]] * 2, [0.9, 0.8])
    found["masks"] = form(rectangles([0, 0, 40, 40], [100, 0, 120, 40]))
    scores = coco_mask_scores([found], truths, ["cell"])
    # Precision is 1 up to a recall of 1/2, that is at 51 of 101 points; with both found at all.
    assert scores["ap"] == pytest.approx(100 * (1 + 9 * 51 / 101) / 10)
    assert scores["ap50"] == pytest.approx(100) and scores["ap75"] == pytest.approx(100 * 51 / 101)
    assert "ap_small" not in scores and scores["ap_medium"] == pytest.approx(scores["ap"])  # by the masks' 1,600 pixels
    assert coco_scores([found], truths, ["cell"])["ap"] == 0


def test_a_crowd_takes_any_number_and_without_detections_is_0():
    truths = [{**truth([[0, 0, 40, 40]] * 2, difficult=[False, True])}]
    truths[0]["masks"] = rectangles([0, 0, 40, 40], [80, 0, 200, 60])
    found = detected([[0, 0, 40, 40]] * 3, [0.5, 0.9, 0.8])
    found["masks"] = rectangles([0, 0, 40, 40], [90, 0, 120, 40], [150, 0, 190, 40])
    assert coco_mask_scores([found], truths, ["cell"])["ap"] == pytest.approx(100)
    nothing = {**detected([], []), "masks": np.zeros((0, *SIZE), bool)}
    assert coco_mask_scores([nothing], truths, ["cell"])["ap"] == 0


def test_random_masks_as_pycocotools_scores_its_files():
    random = np.random.default_rng(0)
    truths, detections, annotations, results = [], [], [], []
    for image in range(1, 5):
        corners = random.integers(0, 20, (6, 2)) + [30, 0] * np.arange(6)[:, None]
        boxes = np.concatenate([corners, corners + random.integers(8, 40, (6, 2))], axis=1)
        labels, crowds = random.integers(0, 2, 6), random.random(6) < 0.2
        truths.append({**truth(boxes, labels, crowds), "masks": rectangles(*boxes)})
        near = boxes[random.integers(0, 6, 12)] + random.integers(-2, 3, (12, 4)).clip(0)
        scores, called = random.random(12), random.integers(0, 2, 12)
        detections.append({**detected(near, scores, called), "masks": rectangles(*near) & (random.random(SIZE) < 0.95)})
        for mask, label, crowd in zip(run_lengths(truths[-1]["masks"]), labels, crowds, strict=True):
            own = {"id": len(annotations) + 1, "image_id": image, "category_id": int(label), "iscrowd": int(crowd)}
            annotations.append({**own, "segmentation": mask, "area": int(coco.area(mask))})
        for mask, label, score in zip(run_lengths(detections[-1]["masks"]), called, np.float32(scores), strict=True):
            own = {"image_id": image, "category_id": int(label), "score": float(score)}
            results.append({**own, "segmentation": mask})
    with contextlib.redirect_stdout(io.StringIO()):
        file = COCO()
        images = [{"id": image, "height": 60, "width": 200} for image in range(1, 5)]
        file.dataset = {"images": images, "annotations": annotations}
        file.dataset["categories"] = [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}]
        file.createIndex()
        evaluation = COCOeval(file, file.loadRes(results), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    scores = coco_mask_scores(detections, truths, ["a", "b"])
    names = {"ap": 0, "ap50": 1, "ap75": 2, "ap_small": 3, "ap_medium": 4, "ar_100": 8}
    assert 10 < scores["ap"] < 90
    assert {name: scores[name] for name in names} == {
        name: pytest.approx(100 * evaluation.stats[place]) for name, place in names.items()
    }


def test_masks_that_do_not_fit_are_told():
    one = {**truth([[0, 0, 9, 9]]), "masks": rectangles([0, 0, 9, 9])}
    found = {**detected([[0, 0, 9, 9]], [0.5]), "masks": np.ones((1, 5, 7), bool)}
    with pytest.raises(ValueError, match=r"image 0 are of the sizes \[\(5, 7\), \(60, 200\)\]; all must be of the im"):
        coco_mask_scores([found], [one], ["cell"])
    with pytest.raises(ValueError, match="an image has 0 masks and 1 labels; each object needs both"):
        coco_mask_scores([{**found, "masks": []}], [one], ["cell"])
    with pytest.raises(ValueError, match="detections are of 0 images and truths of 1"):
        coco_mask_scores([], [one], ["cell"])
    nothing = {**truth([]), "masks": []}
    with pytest.raises(ValueError, match="no image has an object; there is nothing to score"):
        coco_mask_scores([{**detected([], []), "masks": []}], [nothing], ["cell"])
