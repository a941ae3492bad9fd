"""The loss of Mask R-CNN's masks: He et al., ICCV 2017, section 3."""

import tensorflow as tf

from keras_cnns.arguments import check_choice


def mask_loss(labels: tf.Tensor, targets: tf.Tensor, logits: tf.Tensor, activation: str = "sigmoid") -> tf.Tensor:
    """Return L_mask of each image, `(B,)`: the mean cross-entropy of the pixels of its objects' boxes; 0 without any.

    With "sigmoid" that of the box's own class alone, so that classes do not compete; with "softmax" over all classes
    and the background: Table 2b.

    Args:
        labels: `(B, N)`, 0 for the background and k + 1 for class k; what is not above 0 does not count.
        targets: `(B, N, h, w)`, 0 or 1.
        logits: `(B, N, h, w, classes)`, or with "softmax" `classes + 1`, the background first.

    Raises:
        ValueError: another activation.
    """
    check_choice("activation", activation, ("sigmoid", "softmax"))
    positive = tf.cast(labels > 0, tf.float32)
    logits = tf.cast(logits, tf.float32)
    if activation == "softmax":
        wanted = tf.cast(targets, tf.int32) * tf.maximum(labels, 0)[..., None, None]
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, logits)
    else:
        own = tf.one_hot(labels - 1, logits.shape[-1])
        logits = tf.einsum("bnhwk,bnk->bnhw", logits, own)
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
    each = tf.reduce_mean(entropy, axis=[2, 3])
    return tf.math.divide_no_nan(tf.reduce_sum(positive * each, axis=1), tf.reduce_sum(positive, axis=1))
