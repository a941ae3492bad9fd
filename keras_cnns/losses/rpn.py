"""The loss of a region proposal network: Ren et al., "Faster R-CNN", NIPS 2015, section 3.1.2, equation 1."""

import tensorflow as tf

from keras_cnns.losses.detection import smooth_l1


def rpn_loss(
    labels: tf.Tensor, targets: tf.Tensor, logits: tf.Tensor, deltas: tf.Tensor, locations: int | None = None
) -> tf.Tensor:
    """Return the loss of each image, `(B,)`: what the anchors are, and where their objects lie.

    With `locations`, as the paper has it: the cross-entropies' sum over 256, and ten times the smooth L1's sum over
    `locations`, about 2,400. Without, as the release has it: both sums over the number of anchors drawn, the smooth L1
    with sigma 3.

    Args:
        labels: `(B, A)`, 1 of an object, 0 of none, -1 not drawn.
        targets, deltas: `(B, A, 4)`, of which those of label 1 count.
        logits: `(B, A, 2)`, none first.
        locations: cells of the map, rows times columns.
    """
    drawn, positive = (tf.cast(part, tf.float32) for part in (labels >= 0, labels == 1))
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(labels, 0), tf.cast(logits, tf.float32))
    entropy = tf.reduce_sum(drawn * entropy, axis=1)
    difference = tf.cast(deltas, tf.float32) - targets
    sigma = 3.0 if locations is None else 1.0
    distance = tf.reduce_sum(positive * tf.reduce_sum(smooth_l1(difference, sigma), axis=-1), axis=1)
    if locations is None:
        return tf.math.divide_no_nan(entropy + distance, tf.reduce_sum(drawn, axis=1))
    return entropy / 256 + 10 * distance / tf.cast(locations, tf.float32)
