"""The loss of a network that labels every pixel."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_cnns")
class PixelCrossEntropy(keras.losses.Loss):
    """Softmax cross-entropy over the labelled pixels: Long et al., CVPR 2015, section 3.4; SegNet, section 3.2.

    Labels `(batch, height, width)`, logits `(batch, height, width, classes)`. An image's loss is the mean over its
    pixels that have a label, and the batch's the mean over its images, so that neither replicas nor micro-batches
    change it. (Caffe divides by the labelled pixels of the whole batch: the same, but where images have more or fewer
    of them.)

    Args:
        class_weights: what a pixel counts by the class it has, a number each, as from `median_frequency_weights`; the
            mean is still over the number of pixels, as in SegNet's release.
        normalized: False sums over an image's pixels in place of the mean, as FCN's release does, whose learning rates
            of 1e-10 to 1e-14 belong to that.
        void: the label of pixels that count nowhere.

    Raises:
        ValueError: class weights that are not numbers of at least 0, one a class.
    """

    def __init__(
        self,
        class_weights: Sequence[float] | None = None,
        normalized: bool = True,
        void: int = 255,
        name: str = "pixel_cross_entropy",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        self.normalized, self.void = normalized, void
        self.class_weights = None if class_weights is None else np.asarray(class_weights, "float32").tolist()
        if class_weights is not None and (np.ndim(class_weights) != 1 or not np.min(class_weights) >= 0):
            raise ValueError(f"class_weights is {class_weights}; it must be numbers of at least 0, one a class.")

    def call(self, labels, logits):
        classes = logits.shape[-1]
        if self.class_weights is not None and len(self.class_weights) != classes:
            raise ValueError(f"class_weights has {len(self.class_weights)} numbers; the logits have {classes} classes.")
        labels = tf.cast(labels, tf.int32)
        labelled = labels != self.void
        labels = tf.where(labelled, labels, 0)
        weights = pixels = tf.cast(labelled, tf.float32)
        if self.class_weights is not None:
            weights *= tf.gather(tf.constant(self.class_weights), labels)
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, tf.cast(logits, tf.float32))
        total = tf.reduce_sum(weights * entropy, axis=(1, 2))
        return tf.math.divide_no_nan(total, tf.reduce_sum(pixels, axis=(1, 2))) if self.normalized else total

    def get_config(self):
        own = {"class_weights": self.class_weights, "normalized": self.normalized, "void": self.void}
        return {**super().get_config(), **own}
