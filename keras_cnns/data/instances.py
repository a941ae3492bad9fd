"""Photographs with a mask for each object: COCO's JSON, TensorFlow Datasets, and digits that need no download.

An image's label is a pair, `(objects, masks)`: objects float32 `(most, 6)` as in `keras_cnns.data.detection`, and masks
uint8 `(most, 56, 56)`, 0 to 255: each object's mask cut to its own box and brought to 56x56, a cell being the mean of
the mask's pixels under it, so that the image may be mirrored and scaled and the mask stays as it is in its box. Behind
the objects stand zeros. The functions of such `Images` are of `((image, (objects, masks)), key)`.

Boxes are the annotations' own, as those of `coco_boxes`; what of a mask lies outside of its box is cut off. Until a
batch is made a mask is held as the run lengths of COCO (RLE) in the size of its image; for evaluation `whole_masks`
leaves it so. Objects without a mask that can be used are named, counted and left out like those without such a box.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_cnns.data.boxes import random_flip_objects
from keras_cnns.data.detection import (
    Objects,
    coco_photos,
    corners_of,
    digit_boxes,
    from_files,
    from_tfds,
    keep_objects,
    objects_of,
    truth,
)
from keras_cnns.data.pipeline import Images
from keras_cnns.data.random import uniform
from keras_cnns.data.sources import prepared
from keras_cnns.extras import Extra

tfds = Extra("tensorflow_datasets", "data")
coco = Extra("pycocotools.mask", "data")

SIDE = 56  # of a mask, twice what Mask R-CNN predicts
THINGS = 80  # of COCO's 133 panoptic classes the first ones are of things that can be counted, the others of stuff
FARTHEST = 1e5  # pixels of a polygon's corner from the image


def coco_instances(annotations: str | Path, folder: str | Path, strict: bool = False) -> Images:
    """Return the photographs of a COCO file of instances as `Images` with objects and masks.

    As `coco_boxes`, with each annotation's segmentation: polygons, or run lengths, compressed or not. Crowds are
    difficult objects and have masks as others have.

    Args:
        annotations: the JSON file, such as `instances_train2017.json`.
        folder: where the images lie.

    Raises:
        ValueError: a file that is no such JSON, no image that can be used, or, with `strict`, anything that would be
            left out.
    """
    return from_files(*coco_photos(annotations, folder), strict, Instances)


def tfds_instances(name: str, split: str, data_dir: str | Path | None = None, strict: bool = False) -> Images:
    """Return a TensorFlow Datasets set as `Images` with objects and masks; all masks are read once before.

    `coco/2017` has no masks there. `coco/2017_panoptic` has: its first 80 classes, COCO's things, are taken, with
    masks that do not overlap, which COCO's own files (`coco_instances`) need not keep to. Sets with a mask for each
    object, as `lvis`, are taken whole.

    Args:
        split: as TensorFlow Datasets writes it.
        data_dir: where the set lies prepared; otherwise it is downloaded and prepared there.

    Raises:
        ValueError: no such data set or split, one without masks, or one that can be neither found nor downloaded; with
            `strict`, anything that would be left out.
    """
    builder = prepared(name, data_dir)
    features, skip = builder.info.features, tfds.decode.SkipDecoding()
    panoptic = "panoptic_image" in features
    key = "panoptic_objects" if panoptic else "objects"
    kinds = objects_of(builder, key)
    if not {"bbox", "label", "id" if panoptic else "segmentation"} <= set(kinds):
        raise ValueError(f"data set {name!r} has no masks of objects; coco/2017_panoptic and lvis have.")
    labels = kinds["label"].names

    def found(each, sides):
        objects = each[key]
        masks = panoptic_masks(each["panoptic_image"], objects["id"]) if panoptic else map(png, objects["segmentation"])
        crowds = objects.get("is_crowd", np.zeros(len(objects["label"])))
        for shares, label, crowd, mask in zip(objects["bbox"], objects["label"], crowds, masks, strict=True):
            if not panoptic or label < THINGS:
                y1, x1, y2, x2 = corners_of(shares, sides)
                yield labels[label], (x1, y1, x2, y2), crowd, mask

    encoded = {"panoptic_image": skip} if panoptic else {"objects": {"segmentation": skip}}
    return from_tfds(builder, name, split, found, encoded, labels[:THINGS] if panoptic else labels, strict, Instances)


def panoptic_masks(encoded, ids):
    """The mask of each id in a panoptic PNG, whose colours are ids: red + 256 green + 256^2 blue."""
    numbers = tf.io.decode_png(encoded, 3).numpy() @ np.array([1, 256, 256**2])
    return (compressed(numbers == each) for each in ids)


def png(encoded):
    return compressed(tf.io.decode_png(encoded, 1).numpy()[..., 0] > 0)


def compressed(mask):
    """{"size", "counts"} of a bool mask `(height, width)`."""
    return coco.encode(np.asfortranarray(mask, "uint8"))


def digit_instances(split: str, side: int = 3) -> Images:
    """Return the pages of `digit_boxes` as `Images` with objects and masks: a digit's ink, 64 of 255 or more.

    Arguments and errors: as there.
    """
    images = digit_boxes(split, side)
    pages, rows = images.arrays
    counts = np.empty(rows.shape[:2], object)
    for number in np.ndindex(counts.shape):
        x1, y1, x2, y2 = np.int64(rows[number][:4])
        mask = np.zeros(pages.shape[1:3], bool)
        mask[y1:y2, x1:x2] = pages[number[0], y1:y2, x1:x2, 0] >= 64
        counts[number] = compressed(mask)["counts"]
    arrays = pages, (rows, np.bytes_(counts.tolist()))
    return Images(images.name, images.description, images.labels, len(images), arrays=arrays, mask=cut_masks)


class Instances(Objects):
    """The objects of a data set and the run lengths of their masks, checked."""

    def __init__(self, labels, faults):
        super().__init__(labels, faults)
        self.counts = []

    def row(self, width, height, label, corners, difficult, mask):
        row = super().row(width, height, label, corners, difficult)
        counts = run_lengths(mask, height, width)
        x, y, *sides = coco.toBbox({"size": [height, width], "counts": counts})
        x1, y1, x2, y2 = row[:4]
        if not (min(sides) > 0 and x < x2 and y < y2 and x + sides[0] > x1 and y + sides[1] > y1):
            raise ValueError("has an empty mask, or one outside of its box")
        self.counts.append(counts)
        return row

    def images(self, name, split, records, strict):
        images = super().images(name, split, records, strict)
        self.tensor = tf.constant(self.counts, tf.string)
        return images.labelled(cut_masks)

    def of(self, index):
        """The objects `(most, 6)` of an image, a tensor's number, and their masks' run lengths, strings `(most,)`."""
        own = self.own(self.tensor, index)
        counts = tf.concat([own, tf.fill([self.most - tf.shape(own)[0]], "")], axis=0)
        return super().of(index), tf.ensure_shape(counts, (self.most,))


def run_lengths(segmentation, height, width):
    """The mask of an image of this size as COCO's compressed run lengths, bytes.

    segmentation: polygons, [[x, y, x, y, ...], ...], or {"size", "counts"}, compressed or not.

    Raises:
        ValueError: what is wrong with it.
    """
    if segmentation is None or segmentation == []:
        raise ValueError("has no segmentation")
    neither = "has a segmentation that is neither polygons nor run lengths"
    if isinstance(segmentation, list):
        try:
            polygons = [np.array(polygon, "float64") for polygon in segmentation]
        except (TypeError, ValueError):
            raise ValueError(neither) from None
        if any(polygon.size < 6 for polygon in polygons):
            raise ValueError("has a polygon with fewer than 3 points")
        if any(polygon.ndim > 1 or len(polygon) % 2 or not (abs(polygon) < FARTHEST).all() for polygon in polygons):
            raise ValueError(f"has a polygon that is no list of x, y, x, y, ... below {FARTHEST:,.0f} pixels")
        return coco.merge(coco.frPyObjects([polygon.tolist() for polygon in polygons], height, width))["counts"]
    try:
        (rows, columns), counts = segmentation["size"], segmentation["counts"]
        if not isinstance(counts, list):
            counts = decompressed(counts.encode() if isinstance(counts, str) else counts)
        # With fewer pycocotools would go on for ever, or read what is no mask.
        whole = min(counts) >= 0 and sum(counts) == height * width
    except (KeyError, TypeError, ValueError):
        raise ValueError(neither) from None
    if (rows, columns) != (height, width):
        raise ValueError(f"has a mask of {columns}x{rows}, its image {width}x{height}")
    if not whole:
        raise ValueError(f"has run lengths that do not add up to its {width}x{height} pixels")
    return coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)["counts"]


def decompressed(counts):
    """The run lengths in COCO's compressed counts, bytes: `rleFrString` of pycocotools' maskApi.c.

    Each is written in groups of five bits, the lowest first, 32 in all but the last; the fourth and those after it as
    the difference from the last but one.
    """
    runs, value, shift = [], 0, 0
    for byte in counts:
        group = byte - 48
        value |= (group & 31) << shift
        shift += 5
        if not group & 32:
            value -= (group & 16) << (shift - 4)  # a negative number
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs


def cut_masks(name, image, label):
    """(objects, masks uint8 `(most, 56, 56)`) of objects and the run lengths of their masks, or of such masks."""
    objects, masks = label
    if masks.dtype == tf.string:
        most = masks.shape[0]
        masks = tf.numpy_function(cut, [tf.shape(image)[:2], objects, masks], tf.uint8, stateful=False)
        masks = tf.ensure_shape(masks, (most, SIDE, SIDE))
    return objects, masks


def cut(size, objects, counts):
    masks = np.zeros((len(counts), SIDE, SIDE), "uint8")
    for number, (box, each) in enumerate(zip(objects[:, :4].astype("float64"), counts, strict=True)):
        if each:
            masks[number] = cell_means(coco.decode({"size": size.tolist(), "counts": each}), box)
    return masks


def cell_means(mask, box):
    """A mask of 0 and 1 `(height, width)` under a box, in 56x56 equal cells: 255 times the mean of each, uint8."""
    x1, y1, x2, y2 = box
    x, y = int(x1), int(y1)
    part = mask[y : int(np.ceil(y2)), x : int(np.ceil(x2))]
    rows, columns = shares(y1 - y, y2 - y, part.shape[0]), shares(x1 - x, x2 - x, part.shape[1])
    return np.rint(255 * rows @ part @ columns.T).astype("uint8")


def shares(start, end, count):
    """How much of each of 56 cells between start and end is of each pixel from 0, `(56, count)`."""
    edges = np.linspace(start, end, SIDE + 1)[:, None]
    pixels = np.arange(count)
    return np.diff(np.clip(edges - pixels, 0.0, 1.0), axis=0) * SIDE / (end - start)


def whole_masks(images):
    """Return the same images as they are, their masks as run lengths in the image's size: what `instance_truth` takes.

    The label is `(objects, counts)`, counts strings `(most,)`, empty behind the objects.

    Raises:
        ValueError: images that have been brought `in_memory` with masks of 56x56, or without masks.
    """
    label = images.records().element_spec[3]
    if not isinstance(label, tuple) or label[1].dtype != tf.string:
        raise ValueError(f"{images.name} has no masks in the size of its images, or no more, `in_memory`.")
    return images.originals().labelled(keep_objects)


def instance_truth(objects, counts, size):
    """What is in an image of `whole_masks`, as `truth` with "masks": {"size", "counts"} each, as pycocotools has them.

    size: the image's (height, width).
    """
    masks = [{"size": [int(side) for side in size], "counts": each} for each in np.asarray(counts).tolist() if each]
    return {**truth(objects), "masks": masks}


# Functions of ((image, (objects, masks)), key): `Images.each`.


def random_flip_instances(pair, key):
    """Mirror an image, its boxes and its masks left to right with probability one half: as `random_flip_objects`."""
    image, (objects, masks) = pair
    image, objects = random_flip_objects((image, objects), key)
    return image, (objects, tf.where(uniform(key) < 0.5, tf.reverse(masks, [2]), masks))


def objects_alone(function):
    """A function of ((image, objects), key), for masks too: they stay as they are in their boxes.

    function: one that leaves objects whole, in their order and unmirrored: `scale_objects(...)`, `pad_objects(...)`, or
        `size_among_objects`, whose last row has no mask.
    """

    def alone(pair, key):
        image, (objects, masks) = pair
        image, objects = function((image, objects), key)
        return image, (objects, masks)

    return alone
