"""From scores to label maps."""

from collections.abc import Sequence

import tensorflow as tf


def label_maps(scores: tf.Tensor, size: Sequence[int]) -> tf.Tensor:
    """Return the class of the highest score at every pixel of `size`, uint8 `(batch, height, width)`.

    scores: `(batch, rows, columns, classes)`, at most 255 classes, brought to `size` bilinearly: one class after
    another, so that a large photograph needs the memory of one and not of all.
    """

    def scaled(label):
        return tf.image.resize(scores[..., label : label + 1], size)[..., 0]

    best = scaled(0)
    labels = tf.zeros(tf.shape(best), tf.uint8)
    for label in range(1, scores.shape[-1]):
        score = scaled(label)
        labels = tf.where(score > best, tf.constant(label, tf.uint8), labels)
        best = tf.maximum(best, score)
    return labels
