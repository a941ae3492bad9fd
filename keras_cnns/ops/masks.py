"""Masks in their boxes: from those of objects to what is to be learnt, and from what was found back to the image.

A mask `(h, w)` covers its box: cell (i, j) has its middle at ((j + 1/2) / w, (i + 1/2) / h) of the box's sides. Between
the middles it is linear, with cells of 0 around the box, so that a mask of ones is one half at the box's edge.
"""

from collections.abc import Sequence

import tensorflow as tf

from keras_cnns.ops.boxes import corners


def mask_targets(masks: tf.Tensor, boxes: tf.Tensor, rois: tf.Tensor, size: int = 28) -> tf.Tensor:
    """Return what of each object lies in a box that was drawn for it: `(..., size, size)`, float32, 0 or 1.

    Args:
        masks: of the objects, `(..., h, w)`, from 0 to 1.
        boxes: of the objects, `(..., 4)`.
        rois: the boxes drawn, `(..., 4)`.

    Source: Mask R-CNN (He et al., ICCV 2017), section 3: "the intersection between an RoI and its associated
    ground-truth mask".
    """
    found = resampled(masks, boxes, rois, size, size)
    return tf.cast(found >= 0.5, tf.float32)


def paste_masks(masks: tf.Tensor, boxes: tf.Tensor, size: Sequence[int], threshold: float = 0.5) -> tf.Tensor:
    """Return the masks of an image at its own size: bool `(n, height, width)`.

    Args:
        masks: `(n, h, w)`, from 0 to 1, each over its box.
        boxes: `(n, 4)`, whose corners may lie between pixels.
        size: (height, width) of the image.
        threshold: from which on a pixel belongs to the object; that of its middle counts.

    Source: Mask R-CNN, section 3.1, inference.
    """
    height, width = size
    whole = tf.cast(tf.stack([0, 0, width, height]), tf.float32)
    pasted = lambda each: resampled(*each, whole, height, width) >= threshold
    # One after the other: of a large photograph all of them would take gigabytes in float32.
    masks, boxes = tf.cast(masks, tf.float32), tf.cast(boxes, tf.float32)
    return tf.cond(
        tf.shape(boxes)[0] > 0,  # of nothing a graph could not say what size it has
        lambda: tf.map_fn(pasted, (masks, boxes), fn_output_signature=tf.bool),
        lambda: tf.zeros((0, height, width), tf.bool),
    )


def resampled(masks, boxes, windows, height, width):
    """The masks at the middles of height x width parts of the windows."""
    x1, y1, x2, y2 = corners(boxes)
    left, top, right, bottom = corners(windows)
    rows, columns = masks.shape[-2:]
    down = weights(top, bottom, height, y1, y2, rows)
    across = weights(left, right, width, x1, x2, columns)
    return tf.matmul(tf.matmul(down, tf.cast(masks, tf.float32)), across, transpose_b=True)


def weights(first, last, count, begin, end, cells):
    """`(..., count, cells)`: how much of each cell from `begin` to `end` each of `count` samples takes."""
    places = first[..., None] + (tf.range(count, dtype=tf.float32) + 0.5) * (last - first)[..., None] / tf.cast(
        count, tf.float32
    )
    places = tf.math.divide_no_nan(places - begin[..., None], (end - begin)[..., None]) * cells - 0.5
    return tf.maximum(1 - tf.abs(places[..., None] - tf.range(cells, dtype=tf.float32)), 0.0)
