"""What a region proposal network is to learn, and what it proposes: Ren et al., NIPS 2015, sections 3.1 and 3.3."""

from collections.abc import Sequence

import tensorflow as tf

from keras_cnns.ops.boxes import clip_boxes, decode_boxes, encode_boxes, iou
from keras_cnns.ops.nms import NOTHING, batched_non_max_suppression

IGNORED = -1  # the label of an anchor that counts nowhere


def label_anchors(
    anchors: tf.Tensor, boxes: tf.Tensor, size: Sequence[int], positive: float = 0.7, negative: float = 0.3
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the labels of an image's anchors `(A,)`, int32: 1 of an object, 0 of none, -1 ignored; and their objects.

    An anchor is positive if its IoU with an object is `positive` or more, or is the highest that any anchor has with
    that object, ties included; negative if it is below `negative` with all objects; ignored otherwise, and where it
    crosses the image's border. The indices `(A,)`, int32, are of the object that each overlaps most.

    Args:
        anchors: `(A, 4)`.
        boxes: `(M, 4)`; one without area is padding.
        size: the image's own (height, width), which may be less than the map's.

    Source: section 3.1.2; that the best anchor is sought among those inside, and positive though below `negative`, is
    the release's.
    """
    height, width = tf.unstack(tf.cast(size, tf.float32))
    x1, y1, x2, y2 = tf.unstack(tf.cast(anchors, tf.float32), axis=1)
    inside = (x1 >= 0) & (y1 >= 0) & (x2 <= width) & (y2 <= height)
    overlaps = tf.pad(iou(anchors, boxes), [(0, 0), (0, 1)])  # a last object that nothing overlaps, if there is none
    overlaps = tf.where(inside[:, None], overlaps, 0.0)
    most = tf.reduce_max(overlaps, axis=0)
    best = tf.reduce_any((overlaps == most) & (most > 0), axis=1)
    highest = tf.reduce_max(overlaps, axis=1)
    labels = tf.where(best | (highest >= positive), 1, tf.where(highest < negative, 0, IGNORED))
    objects = tf.argmax(overlaps, axis=1, output_type=tf.int32)
    last = tf.maximum(tf.shape(boxes)[0] - 1, 0)
    return tf.where(inside, labels, IGNORED), tf.minimum(objects, last)


def sample_anchors(labels: tf.Tensor, random: tf.Tensor, count: int = 256, share: float = 0.5) -> tf.Tensor:
    """Return the labels of `count` anchors, at most `share` of them positive, and -1 for the others: `(A,)`, int32.

    labels: `(A,)`, as from `label_anchors`. random: numbers in [0, 1), `(A,)`; the lowest of each kind stay. Where
    positives are too few, negatives fill up. Source: section 3.1.3.
    """
    positives = lowest(labels == 1, random, int(share * count))
    negatives = lowest(labels == 0, random, count - tf.reduce_sum(tf.cast(positives, tf.int32)))
    return tf.where(positives, 1, tf.where(negatives, 0, IGNORED))


def lowest(eligible, random, count):
    """Which of the eligible `(A,)` have the lowest random numbers, at most `count` of them."""
    order = tf.argsort(tf.where(eligible, random, 2.0), stable=True)
    rank = tf.math.invert_permutation(order)
    return eligible & (rank < count)


def rpn_targets(
    anchors: tf.Tensor,
    boxes: tf.Tensor,
    size: Sequence[int],
    random: tf.Tensor,
    count: int = 256,
    share: float = 0.5,
    positive: float = 0.7,
    negative: float = 0.3,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the labels `(A,)` and the deltas `(A, 4)` that the anchors of an image are to learn in one step.

    Arguments: as those of `label_anchors` and `sample_anchors`. The deltas are to the object that each overlaps most,
    zeros for an anchor that is not positive.
    """
    labels, objects = label_anchors(anchors, boxes, size, positive, negative)
    labels = sample_anchors(labels, random, count, share)
    boxes = tf.pad(tf.cast(boxes, tf.float32), [(0, 1), (0, 0)])  # of an image without objects, nobody's
    deltas = encode_boxes(tf.gather(boxes, objects), anchors)
    return labels, tf.where((labels == 1)[:, None], deltas, 0.0)


def propose(
    scores: tf.Tensor,
    deltas: tf.Tensor,
    anchors: tf.Tensor,
    sizes: tf.Tensor,
    before: int = 6000,
    after: int = 300,
    iou_threshold: float = 0.7,
    smallest: int = 16,
) -> tf.Tensor:
    """Return the best boxes of each image, float32 `(B, after, 4)`, by score; behind them rows of zeros.

    Args:
        scores, deltas: `(B, A)` and `(B, A, 4)`, of the anchors `(A, 4)`.
        sizes: (height, width) of each image, `(B, 2)`, where boxes are cut off.
        before, after: boxes that enter the suppression, by score, and that are kept: 12,000 and 2,000 in training.
        iou_threshold: of the suppression.
        smallest: pixels of a side; boxes with a shorter one are dropped, as in the release.

    Raises:
        ValueError: a threshold outside [0, 1].

    Source: section 3.3; the numbers are the release's.
    """
    boxes, _ = best_proposals(scores, deltas, anchors, sizes, before, after, iou_threshold, smallest)
    return boxes


def propose_over_levels(
    scores: tf.Tensor,
    deltas: tf.Tensor,
    anchors: tf.Tensor,
    sizes: tf.Tensor,
    before: int = 1000,
    after: int = 1000,
    iou_threshold: float = 0.7,
    smallest: int = 0,
) -> tf.Tensor:
    """Return the best boxes of each image over the levels of a pyramid, as `propose`; suppression is each level's own.

    scores, deltas, anchors: a list of those of `propose`, level by level. before: of each level. Other arguments, and
    errors: as in `propose`. Source: FPN (Lin et al., CVPR 2017), section 4.1, and Detectron for the numbers.
    """
    settings = (sizes, before, after, iou_threshold, smallest)
    levels = [best_proposals(*level, *settings) for level in zip(scores, deltas, anchors, strict=True)]
    boxes, scores = (tf.concat(each, axis=1) for each in zip(*levels, strict=True))
    scores, order = tf.math.top_k(scores, after)
    return tf.where((scores > NOTHING)[..., None], tf.gather(boxes, order, batch_dims=1), 0.0)


def best_proposals(scores, deltas, anchors, sizes, before, after, iou_threshold, smallest):
    """The boxes of `propose` and their scores `(B, after)`, of places without a box `NOTHING`."""
    height, width = tf.unstack(tf.cast(sizes, tf.float32)[:, None], axis=-1)
    boxes = clip_boxes(decode_boxes(tf.stop_gradient(deltas), anchors), (float("inf"), float("inf")))
    boxes = tf.minimum(boxes, tf.stack([width, height, width, height], axis=-1))
    sides = boxes[..., 2:] - boxes[..., :2]
    large = tf.reduce_all((sides >= smallest) & (sides > 0), axis=-1)
    scores = tf.where(large, tf.stop_gradient(tf.cast(scores, tf.float32)), NOTHING)
    scores, order = tf.math.top_k(scores, tf.minimum(before, tf.shape(scores)[1]))
    boxes = tf.gather(boxes, order, batch_dims=1)
    kept, count = batched_non_max_suppression(boxes, scores, iou_threshold, after)
    there = tf.range(after) < count[:, None]
    boxes = tf.where(there[..., None], tf.gather(boxes, kept, batch_dims=1), 0.0)
    return boxes, tf.where(there, tf.gather(scores, kept, batch_dims=1), NOTHING)
