"""Average precision of masks, as COCO counts it.

Detections and ground truth are dicts as in `keras_cnns.evaluation.detection`, with "masks" in the size of the image:
bool `(n, height, width)`, or a list of pycocotools' run lengths, {"size", "counts"}, compressed.
"""

from collections.abc import Sequence

import numpy as np

from keras_cnns.evaluation.detection import by_pycocotools, check_images
from keras_cnns.extras import Extra

coco = Extra("pycocotools.mask", "data")


def coco_mask_scores(detections: Sequence[dict], truths: Sequence[dict], labels: Sequence[str]) -> dict[str, float]:
    """Return COCO's average precision of masks, by their IoU in place of the boxes', with the names of `coco_scores`.

    The size of an object is the number of its mask's pixels.

    labels: names of the classes.

    Raises:
        ValueError: as many detections as truths are needed, and as many masks as labels, all of an image of one size;
            there are no objects.
    """
    check_images(detections, truths)
    detections, truths = ([{**each, "masks": encoded(each)} for each in those] for those in (detections, truths))
    for number, pair in enumerate(zip(detections, truths, strict=True)):
        sizes = sorted({tuple(mask["size"]) for each in pair for mask in each["masks"]})
        if len(sizes) > 1:
            raise ValueError(f"the masks of image {number} are of the sizes {sizes}; all must be of the image's.")
    return by_pycocotools(detections, truths, labels, "segm", shapes)


def encoded(found):
    """The masks of a detection or a truth as run lengths."""
    masks, count = found["masks"], len(found["labels"])
    if len(masks) != count:
        raise ValueError(f"an image has {len(masks)} masks and {count} labels; each object needs both.")
    return [mask if isinstance(mask, dict) else coco.encode(np.asfortranarray(mask, "uint8")) for mask in masks]


def shapes(found):
    return [{"segmentation": mask, "area": float(coco.area(mask))} for mask in found["masks"]]
