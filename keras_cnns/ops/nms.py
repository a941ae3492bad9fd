"""Non-maximum suppression: of boxes that overlap, the best stays.

All forms are greedy: the box with the highest score is kept, those that overlap it by more than the threshold are
dropped, and so on. Of equal scores the first box's counts as the higher. A box whose score or corners are no number, or
whose score is -inf, is never kept and drops nothing; one without area overlaps nothing. Boxes are (x1, y1, x2, y2),
scores any real numbers.

The forms that return indices alone, or are padded, compile with XLA; TensorFlow has no XLA kernel for the soft one.
"""

import tensorflow as tf

NOTHING = float("-inf")  # the score of what is never kept


def non_max_suppression(boxes: tf.Tensor, scores: tf.Tensor, iou_threshold: float, max_outputs: int) -> tf.Tensor:
    """Return the indices of the boxes that stay, best first: `(K,)`, int32, K at most `max_outputs`.

    Args:
        boxes, scores: `(N, 4)` and `(N,)`.
        iou_threshold: in [0, 1]; a box is dropped if its IoU with a better one that stays is above this.
        max_outputs: how many are asked for; it ends as soon as it has them, so that few take little time.

    Raises:
        ValueError: a threshold outside [0, 1].

    Source: R-CNN (Girshick et al., CVPR 2014), section 2.2: greedy, by score.
    """
    boxes, ranks, order = by_rank(boxes, scores)
    kept = tf.raw_ops.NonMaxSuppressionV3(
        boxes=boxes,
        scores=ranks,
        max_output_size=at_most(max_outputs, boxes),
        iou_threshold=share(iou_threshold),
        score_threshold=NOTHING,
    )
    return tf.gather(order, kept)


def non_max_suppression_padded(
    boxes: tf.Tensor, scores: tf.Tensor, iou_threshold: float, max_outputs: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return what `non_max_suppression` does with zeros behind it, and how many are none: `(max_outputs,)` and `()`.

    Arguments and errors: as in `non_max_suppression`.
    """
    boxes, ranks, order = by_rank(boxes, scores)
    most = at_most(max_outputs, boxes)
    kept, count = tf.raw_ops.NonMaxSuppressionV4(
        boxes=boxes,
        scores=ranks,
        max_output_size=most,
        iou_threshold=share(iou_threshold),
        score_threshold=NOTHING,
        pad_to_max_output_size=True,
    )
    indices = tf.where(tf.range(most) < count, tf.gather(order, kept), 0)
    return tf.ensure_shape(tf.pad(indices, [(0, max_outputs - most)]), (max_outputs,)), count


def batched_non_max_suppression(
    boxes: tf.Tensor, scores: tf.Tensor, iou_threshold: float, max_outputs: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return `non_max_suppression_padded` of every image of a batch: `(B, max_outputs)` and `(B,)`, int32.

    boxes, scores: `(B, N, 4)` and `(B, N)`. An image with fewer boxes fills up with scores of -inf.

    Raises:
        ValueError: a threshold outside [0, 1].
    """

    def of_one(image):
        return tuple(non_max_suppression_padded(*image, iou_threshold, max_outputs))

    boxes, scores = (tf.convert_to_tensor(each) for each in (boxes, scores))
    spec = tf.TensorSpec((max_outputs,), tf.int32), tf.TensorSpec((), tf.int32)
    return tf.map_fn(of_one, (boxes, scores), fn_output_signature=spec)


def non_max_suppression_per_class(
    boxes: tf.Tensor, scores: tf.Tensor, iou_threshold: float, max_outputs: int, score_threshold: float = NOTHING
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the boxes and classes that stay when only boxes of the same class drop each other: indices and classes.

    Both are `(K,)`, int32, K at most `max_outputs`, best first. A box can stay in several classes. Source: R-CNN,
    section 2.2.

    Args:
        boxes: `(N, 4)`, or `(N, classes, 4)` if each class has its own.
        scores: `(N, classes)`.
        score_threshold: what does not score higher is left out.

    Raises:
        ValueError: a threshold outside [0, 1].
    """
    indices, labels, count = non_max_suppression_per_class_padded(
        boxes, scores, iou_threshold, max_outputs, score_threshold
    )
    return indices[:count], labels[:count]


def non_max_suppression_per_class_padded(
    boxes: tf.Tensor, scores: tf.Tensor, iou_threshold: float, max_outputs: int, score_threshold: float = NOTHING
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return what `non_max_suppression_per_class` does with zeros behind it, and how many are none.

    Indices and classes, `(max_outputs,)`, and their number, `()`. Arguments and errors: as there.
    """
    boxes, scores = (tf.convert_to_tensor(each) for each in (boxes, scores))
    scores = tf.where(scores > score_threshold, tf.cast(scores, tf.float32), NOTHING)
    classes = scores.shape[1]
    kept = []
    for label in range(classes):
        own = boxes if boxes.shape.rank == 2 else boxes[:, label]
        indices, count = non_max_suppression_padded(own, scores[:, label], iou_threshold, max_outputs)
        own_scores = tf.gather(tf.pad(scores[:, label], [(0, 1)]), indices)
        kept.append((indices, tf.where(tf.range(max_outputs) < count, own_scores, NOTHING)))
    indices, scores = (tf.concat(each, axis=0) for each in zip(*kept, strict=True))
    best, order = tf.math.top_k(scores, max_outputs)  # of equal ones the first: of the lower class
    stays = best > NOTHING
    indices, labels = tf.where(stays, tf.gather(indices, order), 0), tf.where(stays, order // max_outputs, 0)
    return indices, labels, tf.reduce_sum(tf.cast(stays, tf.int32))


def soft_non_max_suppression(
    boxes: tf.Tensor, scores: tf.Tensor, sigma: float, max_outputs: int, score_threshold: float = 0.0
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return indices and new scores, best first, where overlap lowers a score in place of dropping the box.

    Both `(K,)`, int32 and float32, K at most `max_outputs`. A box's score is multiplied by exp(-IoU² / sigma) for every
    better one. Source: Bodla et al., ICCV 2017, equation 3, where sigma is 0.5.

    Args:
        boxes, scores: `(N, 4)` and `(N,)`.
        score_threshold: what does not end up above this is left out.
    """
    boxes, scores = prepared(boxes, scores)
    indices, scores, _ = tf.raw_ops.NonMaxSuppressionV5(
        boxes=boxes,
        scores=scores,
        max_output_size=max_outputs,
        iou_threshold=1.0,
        score_threshold=float(score_threshold),
        soft_nms_sigma=sigma / 2,  # TensorFlow's weight is exp(-IoU² / 2 sigma)
    )
    return indices, scores


def prepared(boxes, scores):
    """In float32, with what is no number out of the way, and boxes without area as such: TensorFlow turns boxes whose
    x2 is below x1 around."""
    boxes, scores = tf.cast(boxes, tf.float32), tf.cast(scores, tf.float32)
    start, end = boxes[:, :2], boxes[:, 2:]
    good = ~tf.math.is_nan(scores + tf.reduce_sum(0.0 * boxes, axis=1))
    return tf.concat([start, tf.maximum(start, end)], axis=1), tf.where(good, scores, NOTHING)


def by_rank(boxes, scores):
    """Boxes from the best score on, their ranks as scores (XLA's kernel does not keep equal scores in order), and their
    indices; at the end a box that is never kept, since XLA's kernel fails without any."""
    boxes, scores = prepared(boxes, scores)
    boxes, scores = tf.pad(boxes, [(0, 1), (0, 0)]), tf.pad(scores, [(0, 1)], constant_values=NOTHING)
    scores, order = tf.math.top_k(scores, tf.shape(scores)[0])
    ranks = tf.range(0.0, -tf.cast(tf.shape(scores)[0], tf.float32), -1.0)
    return tf.gather(boxes, order), tf.where(scores > NOTHING, ranks, NOTHING), order


def at_most(max_outputs, boxes):
    """XLA's kernel refuses to be asked for more boxes than there are."""
    number = boxes.shape[0]
    return max_outputs if number is None else min(max_outputs, number)


def share(iou_threshold):
    """The threshold as a float, or `ValueError` if it is not from 0 to 1."""
    if not 0 <= iou_threshold <= 1:
        raise ValueError(f"iou_threshold is {iou_threshold!r}; it must be from 0 to 1.")
    return float(iou_threshold)
