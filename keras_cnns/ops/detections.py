"""From what a detector says of its boxes to what it has found."""

from collections.abc import Sequence

import tensorflow as tf

from keras_cnns.ops.boxes import clip_boxes, decode_boxes
from keras_cnns.ops.nms import non_max_suppression_per_class_padded


def detections(
    logits: tf.Tensor,
    deltas: tf.Tensor,
    boxes: tf.Tensor,
    size: Sequence[int],
    iou_threshold: float = 0.3,
    score_threshold: float = 0.05,
    max_outputs: int = 100,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return what is found in one image: boxes, scores and classes, best first, with zeros behind, and their number.

    Boxes `(max_outputs, 4)` and scores `(max_outputs,)`, float32, classes `(max_outputs,)`, int32, numbered from 0
    without the background, and their number `()`.

    Args:
        logits: `(N, classes + 1)`, the background first.
        deltas: `(N, 4 * (classes + 1))`, as `encode_boxes` has them for `boxes`, `(N, 4)`.
        size: the image's (height, width), in whose pixels the boxes are; they are cut off there.
        iou_threshold: boxes of a class are dropped if a better one overlaps them by more.
        score_threshold: what does not score higher is left out.

    Raises:
        ValueError: a threshold outside [0, 1].

    Source: Fast R-CNN (Girshick, ICCV 2015), section 3.1, with R-CNN's 0.3; the other two are those of its code.
    """
    scores = tf.nn.softmax(tf.cast(logits, tf.float32))[:, 1:]
    of_classes = tf.reshape(deltas, (-1, logits.shape[-1], 4))[:, 1:]
    of_classes = clip_boxes(decode_boxes(of_classes, tf.cast(boxes, tf.float32)[:, None]), size)
    settings = (iou_threshold, max_outputs, score_threshold)
    kept, classes, count = non_max_suppression_per_class_padded(of_classes, scores, *settings)
    there = tf.range(max_outputs) < count
    # One row more, that the places behind have something to point at in an image without a box.
    places = tf.stack([kept, classes], axis=1)
    found = tf.where(there[:, None], tf.gather_nd(tf.pad(of_classes, [(0, 1), (0, 0), (0, 0)]), places), 0.0)
    return found, tf.where(there, tf.gather_nd(tf.pad(scores, [(0, 1), (0, 0)]), places), 0.0), classes, count
