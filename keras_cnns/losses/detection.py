"""The two losses of Fast R-CNN: what a box is, and where its object lies.

A place without a box has the label -1 and counts in neither. An image's loss is a mean over its boxes and the batch's
the mean over its images, so that neither replicas nor micro-batches change it. (Caffe divides by the boxes of the whole
batch: the same, but where an image has too few.)
"""

import keras
import tensorflow as tf


def smooth_l1(x: tf.Tensor, sigma: float = 1.0) -> tf.Tensor:
    """Return 0.5 (sigma x)² where |x| < 1 / sigma², and |x| - 0.5 / sigma² elsewhere: Fast R-CNN, equation 3.

    x: of any shape. sigma: 1 in Fast R-CNN; 3 in the released Faster R-CNN's proposals.
    """
    size, square = tf.abs(x), sigma**2
    return tf.where(size < 1 / square, 0.5 * square * x * x, size - 0.5 / square)


@keras.saving.register_keras_serializable(package="keras_cnns")
class RoICrossEntropy(keras.losses.Loss):
    """Softmax cross-entropy of boxes: L_cls of Fast R-CNN, section 2.3.

    Labels `(batch, boxes)`, 0 for the background and -1 for no box; logits `(batch, boxes, classes + 1)`.
    """

    def __init__(self, name: str = "roi_cross_entropy", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, labels, logits):
        labels = tf.cast(labels, tf.int32)
        there = labels >= 0
        logits = tf.cast(logits, tf.float32)
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(there, labels, 0), logits)
        return mean_of(entropy, there)


@keras.saving.register_keras_serializable(package="keras_cnns")
class RoISmoothL1(keras.losses.Loss):
    """Smooth L1 of the four deltas of each box's own class, nothing for the background: L_loc, section 2.3.

    Targets `(batch, boxes, 5)`, the label before four deltas; deltas `(batch, boxes, 4 * (classes + 1))`. The sum of
    the four, averaged over all boxes, those of the background too.
    """

    def __init__(self, name: str = "roi_smooth_l1", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, targets, deltas):
        labels, targets = tf.cast(targets[..., 0], tf.int32), targets[..., 1:]
        by_class = tf.reshape(tf.cast(deltas, tf.float32), tf.concat([tf.shape(labels), [-1, 4]], axis=0))
        own = tf.gather(by_class, tf.maximum(labels, 0), batch_dims=2)
        loss = tf.reduce_sum(smooth_l1(own - targets), axis=-1) * tf.cast(labels > 0, tf.float32)
        return mean_of(loss, labels >= 0)


def mean_of(values, there):
    """The mean `(batch,)` of `(batch, boxes)` over the boxes that are there; 0 of none."""
    there = tf.cast(there, tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(values * there, axis=1), tf.reduce_sum(there, axis=1))
