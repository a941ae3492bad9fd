"""Boxes: overlaps, offsets from one to another, the image's border.

Boxes are (x1, y1, x2, y2) in pixels, x2 and y2 exclusive: a width is x2 - x1. Everything is computed in float32. A box
whose x2 is not above its x1, or y2 above y1, has no area, and overlaps nothing. Corners must be finite, and areas below
float32's largest number; a score may be NaN where a function says so.
"""

from collections.abc import Sequence

import tensorflow as tf

SMALLEST_SIDE = 1e-3  # pixels: what a shorter side counts as where something is divided by it


def iou(boxes: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Return the intersection over union of each box with each other, `(N, 4)` and `(M, 4)` to `(N, M)`, float32."""
    common, ours, theirs = intersections(boxes, others)
    return common / (or_one(ours)[:, None] + or_one(theirs) - common)


def generalised_iou(boxes: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Return IoU less the share of the smallest box around both that neither covers: `(N, M)`, float32, in (-1, 1].

    Boxes `(N, 4)` and `(M, 4)`. Where that box has no area either, it is -1. Source: Rezatofighi et al., CVPR 2019,
    algorithm 1.
    """
    common, ours, theirs = intersections(boxes, others)
    union = ours[:, None] + theirs - common
    left, top, right, bottom = corners(boxes)
    sides = corners(others)
    width = tf.maximum(right[:, None], sides[2]) - tf.minimum(left[:, None], sides[0])
    height = tf.maximum(bottom[:, None], sides[3]) - tf.minimum(top[:, None], sides[1])
    around = tf.maximum(width, 0.0) * tf.maximum(height, 0.0)
    return tf.math.divide_no_nan(common, union) + tf.math.divide_no_nan(union, around) - 1.0


def intersection_over_foreground(boxes: tf.Tensor, foreground: tf.Tensor) -> tf.Tensor:
    """Return the share of each box's own area that lies in each foreground box: `(N, 4)` and `(M, 4)` to `(N, M)`."""
    common, ours, _ = intersections(boxes, foreground)
    return common / or_one(ours)[:, None]


def intersections(boxes, others):
    """The common areas `(N, M)` and the areas `(N,)` and `(M,)`."""
    ours, theirs = corners(boxes), corners(others)
    # A plane for each corner: with the four side by side, TensorFlow's broadcasting is several times slower.
    width, height = (
        tf.maximum(tf.minimum(ours[end][:, None], theirs[end]) - tf.maximum(ours[start][:, None], theirs[start]), 0.0)
        for start, end in ((0, 2), (1, 3))
    )
    return width * height, area(*ours), area(*theirs)


def corners(boxes):
    """x1, y1, x2, y2 as four tensors, float32."""
    return tf.unstack(tf.cast(boxes, tf.float32), num=4, axis=-1)


def area(x1, y1, x2, y2):
    return tf.maximum(x2 - x1, 0.0) * tf.maximum(y2 - y1, 0.0)


def or_one(areas):
    """No area as 1, since what it has in common with others is 0."""
    return tf.where(areas > 0, areas, 1.0)


def encode_boxes(
    boxes: tf.Tensor,
    proposals: tf.Tensor,
    means: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
    deviations: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
) -> tf.Tensor:
    """Return the deltas (dx, dy, dw, dh) that bring proposals to boxes, float32.

    dx and dy are the way from centre to centre in the proposal's width and height, dw and dh the logarithms of the
    ratio of the sides; from these `means` are subtracted, and they are divided by `deviations`. Sides of less than
    0.001 pixels count as that, so that all is finite.

    Args:
        boxes, proposals: `(..., 4)`, broadcast against each other.

    Source: R-CNN, appendix C; the normalisation is Fast R-CNN's, section 2.3.
    """
    x, y, width, height = centres(boxes)
    from_x, from_y, from_width, from_height = centres(proposals)
    dx, dy = (x - from_x) / from_width, (y - from_y) / from_height
    dw, dh = tf.math.log(width / from_width), tf.math.log(height / from_height)
    deltas = tf.stack([dx, dy, dw, dh], axis=-1)
    return (deltas - tf.constant(means, tf.float32)) / tf.constant(deviations, tf.float32)


def decode_boxes(
    deltas: tf.Tensor,
    proposals: tf.Tensor,
    means: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
    deviations: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
) -> tf.Tensor:
    """Return the boxes to which deltas bring proposals, float32: the inverse of `encode_boxes`.

    deltas, proposals: `(..., 4)`, broadcast against each other: for boxes of each class `(N, classes, 4)` and
        `(N, 1, 4)`. A side may come out infinite; `clip_boxes` brings that to the image's.

    Source: R-CNN, appendix C.
    """
    deltas = tf.cast(deltas, tf.float32) * tf.constant(deviations, tf.float32) + tf.constant(means, tf.float32)
    dx, dy, dw, dh = tf.unstack(deltas, num=4, axis=-1)
    from_x, from_y, from_width, from_height = centres(proposals)
    x, y = from_x + dx * from_width, from_y + dy * from_height
    half_width, half_height = from_width * tf.exp(dw) / 2, from_height * tf.exp(dh) / 2
    return tf.stack([x - half_width, y - half_height, x + half_width, y + half_height], axis=-1)


def centres(boxes):
    """x and y of the middle, width and height."""
    x1, y1, x2, y2 = corners(boxes)
    width, height = tf.maximum(x2 - x1, SMALLEST_SIDE), tf.maximum(y2 - y1, SMALLEST_SIDE)
    return (x1 + x2) / 2, (y1 + y2) / 2, width, height


def clip_boxes(boxes: tf.Tensor, size: Sequence[int]) -> tf.Tensor:
    """Return boxes `(..., 4)` with the parts outside of the image cut off, float32.

    size: the image's (height, width) in pixels, numbers or scalar tensors. A box that lies outside altogether is left
        with no area.
    """
    height, width = (tf.cast(side, tf.float32) for side in size)
    return tf.clip_by_value(tf.cast(boxes, tf.float32), 0.0, tf.stack([width, height, width, height]))
