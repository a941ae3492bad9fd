"""Average precision of detectors, as Pascal VOC and as COCO count it.

Detections are a dict an image, `{"boxes": (n, 4), "scores": (n,), "labels": (n,)}`, ground truth one
`{"boxes": (m, 4), "labels": (m,), "difficult": (m,)}`, both in the same order of images. All scores are in %.
"""

import contextlib
import io
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.arguments import check_choice
from keras_cnns.extras import Extra

pycoco = Extra("pycocotools.coco", "data")
cocoeval = Extra("pycocotools.cocoeval", "data")

# 0:0.1:1 as MATLAB counts it, from both ends: 0.3 is 3 times 0.1, which is above 3/10, and 0.7 is 1 less that.
RECALLS = np.array([0.1 * i for i in range(5)] + [0.5] + [1 - 0.1 * i for i in reversed(range(5))])


def voc_scores(
    detections: Sequence[dict],
    truths: Sequence[dict],
    labels: Sequence[str],
    metric: str = "area",
    iou_threshold: float = 0.5,
) -> dict[str, float]:
    """Return VOC's average precision of every class that there was to find, `ap_<label>`, and their mean, `map`.

    A detection is right if the object of its class and image that it overlaps most is one that no better detection
    found, and overlaps it by `iou_threshold` or more. One that overlaps a difficult object most counts neither way, nor
    are difficult objects there to be found.

    Args:
        labels: names of the classes.
        metric: "11-point", as up to 2009, the mean of the highest precision at recalls of 0, 0.1, ... 1 or more, or
            "area", as from 2010 on, the area under the curve made falling.

    Raises:
        ValueError: as many detections as truths are needed; an unknown metric; no class has anything to find.

    Source: VOCdevkit, VOCevaldet.m and VOCap.m of 2007 and 2012.
    """
    check_choice("metric", metric, ("11-point", "area"))
    check_images(detections, truths)
    scores = {}
    for number, label in enumerate(labels):
        right, objects = voc_matches(detections, truths, number, iou_threshold)
        if objects:
            scores[f"ap_{label}"] = 100 * average_precision(*precision_recall(right, objects), metric)
    if not scores:
        raise ValueError("no image has an object that is not difficult; there is nothing to score.")
    return {"map": float(np.mean(list(scores.values()))), **scores}


def check_images(detections, truths):
    """Raise `ValueError` unless they are of as many images."""
    if len(detections) != len(truths):
        raise ValueError(
            f"detections are of {len(detections)} images and truths of {len(truths)}; they must be the same."
        )


def voc_matches(detections, truths, label, iou_threshold=0.5):
    """Whether each detection of a class is right, best score first, and how many objects there were to find.

    Detections that overlap a difficult object most are left out. Of equal scores the earlier image's comes first.
    """
    found, objects = [], []
    for image, (detection, truth) in enumerate(zip(detections, truths, strict=True)):
        those = np.asarray(detection["labels"]) == label
        boxes, scores = np.asarray(detection["boxes"], "float64")[those], np.asarray(detection["scores"])[those]
        found += [(score, image, box) for score, box in zip(scores, boxes, strict=True)]
        those = np.asarray(truth["labels"]) == label
        difficult = np.asarray(truth["difficult"], bool)[those]
        objects.append((np.asarray(truth["boxes"], "float64")[those], difficult, np.zeros(len(difficult), bool)))
    right = []
    for _, image, box in sorted(found, key=lambda each: -each[0]):
        boxes, difficult, taken = objects[image]
        overlaps = overlap(box, boxes)
        best = overlaps.argmax() if len(overlaps) else None
        if best is None or overlaps[best] < iou_threshold:
            right.append(False)
        elif not difficult[best]:
            right.append(not taken[best])
            taken[best] = True
    return np.array(right, bool), sum(int((~difficult).sum()) for _, difficult, _ in objects)


def overlap(box, boxes):
    """IoU of a box `(4,)` with others `(m, 4)`, in float64: the devkit's inclusive corners, one more and one less."""
    common = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    common = np.where((common > 0).all(axis=1), common.prod(axis=1), 0.0)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return common / np.where(common > 0, areas - common, 1.0)


def precision_recall(right, objects):
    """Precision and recall after each detection, best first."""
    true = np.cumsum(right)
    return true / np.arange(1, len(right) + 1), true / objects


def average_precision(precision, recall, metric):
    """VOC's, from 0 to 1, of what `precision_recall` returns."""
    if metric == "11-point":
        return sum(precision[recall >= least].max(initial=0.0) for least in RECALLS) / 11
    recall = np.concatenate([[0.0], recall, [1.0]])
    precision = np.maximum.accumulate(np.concatenate([[0.0], precision, [0.0]])[::-1])[::-1]
    return float(np.sum(np.diff(recall) * precision[1:]))


def coco_scores(detections: Sequence[dict], truths: Sequence[dict], labels: Sequence[str]) -> dict[str, float]:
    """Return COCO's average precision over IoU of 0.5 to 0.95 as `ap`, and `ap50`, `ap75`, `ap_small`, `ap_medium`,
    `ap_large` and `ar_100`, by pycocotools. Difficult objects are crowds. A score of sizes that there are none of is
    left out.

    labels: names of the classes.

    Raises:
        ValueError: as many detections as truths are needed; there are no objects.
    """

    def boxes(each):
        return [{"bbox": corner, "area": corner[2] * corner[3]} for corner in map(from_corner, each["boxes"])]

    return by_pycocotools(detections, truths, labels, "bbox", boxes)


def by_pycocotools(detections, truths, labels, kind, shapes):
    """COCO's scores, as `coco_scores` returns them.

    kind: "bbox" or "segm". shapes: function from a detection or a truth to what COCO's files say of the place of each
        of its objects, a list of dicts.
    """
    check_images(detections, truths)
    objects, found = [], []
    for image, (detection, truth) in enumerate(zip(detections, truths, strict=True), start=1):
        for shape, label, difficult in zip(shapes(truth), truth["labels"], truth["difficult"], strict=True):
            own = {"id": len(objects) + 1, "image_id": image, "category_id": int(label), "iscrowd": int(difficult)}
            objects.append({**own, **shape})
        for shape, label, score in zip(shapes(detection), detection["labels"], detection["scores"], strict=True):
            own = {"image_id": image, "category_id": int(label), "score": float(score)}
            found.append({**own, **shape})
    if not objects:
        raise ValueError("no image has an object; there is nothing to score.")
    with contextlib.redirect_stdout(io.StringIO()):
        coco = pycoco.COCO()
        coco.dataset = {
            "info": {},
            # The sizes are read, but needed for polygons alone.
            "images": [{"id": image, "height": 0, "width": 0} for image in range(1, len(truths) + 1)],
            "annotations": objects,
            "categories": [{"id": number, "name": label} for number, label in enumerate(labels)],
        }
        coco.createIndex()
        results = coco.loadRes(found) if found else pycoco.COCO()
        evaluation = cocoeval.COCOeval(coco, results, kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    names = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", None, None, "ar_100")
    return {
        name: 100 * float(score) for name, score in zip(names, evaluation.stats, strict=False) if name and score >= 0
    }


def from_corner(box):
    """x, y, width, height, as COCO has boxes."""
    x1, y1, x2, y2 = (float(v) for v in box)
    return [x1, y1, x2 - x1, y2 - y1]


@keras.saving.register_keras_serializable(package="keras_cnns")
class RoIAccuracy(keras.metrics.Mean):
    """The share of an image's boxes that are called what they are, averaged over images: a figure of the training.

    Labels `(batch, boxes)`, 0 for the background and -1 for no box; logits `(batch, boxes, classes + 1)`.
    """

    def __init__(self, name: str = "accuracy", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, labels, logits, sample_weight=None):
        labels = tf.cast(labels, tf.int32)
        there = tf.cast(labels >= 0, tf.float32)
        right = there * tf.cast(tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), labels), tf.float32)
        boxes = tf.reduce_sum(there, axis=1)
        return super().update_state(tf.math.divide_no_nan(tf.reduce_sum(right, axis=1), boxes))
