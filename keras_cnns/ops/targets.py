"""What a detector is to learn of proposed boxes: which objects they are, and where these lie."""

from collections.abc import Sequence

import tensorflow as tf

from keras_cnns.ops.boxes import encode_boxes, iou

NOTHING = -1  # the label of a place that holds no box


def best_matches(proposals: tf.Tensor, boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the IoU of each proposal with the object that it overlaps most, and that object's index.

    Both `(N,)`, float32 and int32, of `(N, 4)` and `(M, 4)`; of equal overlaps the first object's counts. Without an
    object the overlap is 0 and the index 0.
    """
    overlaps = tf.pad(iou(proposals, boxes), [(0, 0), (0, 1)])  # a last object that nothing overlaps
    best = tf.argmax(overlaps, axis=1, output_type=tf.int32)
    return tf.reduce_max(overlaps, axis=1), tf.where(best < tf.shape(boxes)[0], best, 0)


def overlap_labels(
    proposals: tf.Tensor,
    boxes: tf.Tensor,
    labels: tf.Tensor,
    overlap: float = 0.5,
    background: Sequence[float] = (0.0, 0.5),
) -> tf.Tensor:
    """Return what each proposal is: `(N,)`, int32, k + 1 for class k, 0 for the background, -1 for neither.

    Args:
        proposals, boxes: `(N, 4)` and the objects' `(M, 4)`.
        labels: classes of the objects, `(M,)`, whole numbers from 0.
        overlap: a proposal is what the object is that it overlaps most, if the IoU is this or more.
        background: the highest IoU of the background is at least the first number and below the second.

    Source: R-CNN (Girshick et al., CVPR 2014), section 2.3.
    """
    best, index = best_matches(proposals, boxes)
    own = tf.gather(tf.pad(tf.cast(labels, tf.int32), [(0, 1)]), index) + 1
    low, high = background
    return tf.where(best >= overlap, own, tf.where((best >= low) & (best < high), 0, NOTHING))


def class_overlaps(proposals: tf.Tensor, boxes: tf.Tensor, labels: tf.Tensor, classes: int) -> tf.Tensor:
    """Return the IoU of each proposal with the object of each class that it overlaps most: `(N, classes)`, float32.

    proposals, boxes, labels: `(N, 4)`, `(M, 4)` and `(M,)`. Of a class without an object it is 0.
    """
    overlaps = tf.pad(iou(proposals, boxes), [(0, 0), (0, 1)])
    own = tf.pad(tf.one_hot(labels, classes), [(0, 1), (0, 0)])
    return tf.reduce_max(overlaps[:, :, None] * own, axis=1)


def sample_rois(
    proposals: tf.Tensor,
    boxes: tf.Tensor,
    labels: tf.Tensor,
    random: tf.Tensor,
    count: int = 64,
    foreground: float = 0.25,
    overlap: float = 0.5,
    background: Sequence[float] = (0.1, 0.5),
    means: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
    deviations: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the boxes of an image that one step of Fast R-CNN learns from, their labels and their deltas.

    Boxes `(count, 4)`; labels `(count,)`, int32, 0 for the background, k + 1 for class k and -1 for a place that is
    left over, when there are too few; and the normalised deltas to each one's object `(count, 4)`, zeros for what has
    none. The objects are among the candidates themselves, so that one that no proposal overlaps can be drawn too.

    Args:
        proposals, boxes: `(N, 4)` and the objects' `(M, 4)`. A proposal without area is never drawn.
        labels: classes of the objects, `(M,)`, whole numbers from 0.
        random: numbers in [0, 1), `(N + M,)`; the lowest are drawn.
        count: boxes drawn.
        foreground: share of them, at most, that overlap an object by `overlap` or more; the others are background.
        background: the highest overlap of those is at least the first number and below the second.
        means, deviations: as in `encode_boxes`.

    Source: Fast R-CNN (Girshick, ICCV 2015), section 2.3.
    """
    proposals, boxes = tf.cast(proposals, tf.float32), tf.cast(boxes, tf.float32)
    candidates = tf.concat([proposals, boxes], axis=0)
    best, index = best_matches(candidates, boxes)
    area = tf.reduce_all(candidates[:, 2:] > candidates[:, :2], axis=1)
    objects = drawn(area & (best >= overlap), random, int(foreground * count))
    low, high = background
    others = drawn(area & (best >= low) & (best < high), random, count - tf.size(objects))
    chosen = tf.concat([objects, others], axis=0)
    room = [(0, count - tf.size(chosen))]
    rois = tf.gather(candidates, chosen)
    own = tf.gather(index, objects)
    of_objects = tf.gather(tf.cast(labels, tf.int32), own) + 1
    of_all = tf.concat([of_objects, tf.zeros_like(others)], axis=0)
    deltas = encode_boxes(tf.gather(boxes, own), tf.gather(candidates, objects), means, deviations)
    return (
        tf.ensure_shape(tf.pad(rois, [*room, (0, 0)]), (count, 4)),
        tf.ensure_shape(tf.pad(of_all, room, constant_values=NOTHING), (count,)),
        tf.ensure_shape(tf.pad(deltas, [(0, count - tf.size(objects)), (0, 0)]), (count, 4)),
    )


def drawn(eligible, random, count):
    """The indices of at most `count` of those that are eligible, int32: those with the lowest random numbers."""
    indices = tf.cast(tf.where(eligible)[:, 0], tf.int32)
    order = tf.argsort(tf.gather(random, indices), stable=True)
    return tf.gather(indices, order[:count])
