"""Batch normalisation (Ioffe & Szegedy, ICML 2015) on TensorFlow's fused kernel."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_cnns")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` with the same arguments, weights and freezing, faster on CPU (RESULTS.md).

    The fused kernel serves `(batch, height, width, channels)` inputs normalised over the channels. Every other case
    (another axis or rank, a mask, renorm, float64, synchronised statistics) is Keras's own code.

    Under a `tf.distribute` strategy each replica normalises with the statistics of its own part of the batch, as the
    papers' multi-GPU training did, and the moving statistics are the replicas' mean (Keras's are the first replica's).
    `synchronized=True` computes the statistics over the whole global batch.
    """

    def add_weight(self, *args, trainable=True, **kwargs):
        aggregation = "none" if trainable else "mean"  # of the moving statistics, over the replicas
        return super().add_weight(*args, trainable=trainable, aggregation=aggregation, **kwargs)

    def call(self, inputs, training=None, mask=None):
        training = bool(training) and self.trainable
        fusable = (
            len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and inputs.dtype in (tf.float32, tf.bfloat16, tf.float16)
            and mask is None
            and not self.renorm
            and not (training and self.synchronized)
        )
        if not fusable:
            return super().call(inputs, training=training, mask=mask)

        channels = inputs.shape[-1]
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.cast(self.gamma, tf.float32) if self.scale else tf.ones(channels),
            offset=tf.cast(self.beta, tf.float32) if self.center else tf.zeros(channels),
            mean=tf.zeros(0) if training else tf.cast(self.moving_mean, tf.float32),
            variance=tf.zeros(0) if training else tf.cast(self.moving_variance, tf.float32),
            epsilon=self.epsilon,
            is_training=training,
        )
        if training:
            # The kernel returns the unbiased variance, n / (n - 1) times the one that Keras keeps.
            n = tf.cast(tf.size(inputs) // channels, tf.float32)
            variance *= tf.maximum(n - 1.0, 1.0) / n
            self._move(self.moving_mean, mean)
            self._move(self.moving_variance, variance)
        return tf.cast(outputs, self.compute_dtype)

    def _move(self, statistic, value):
        statistic.assign(tf.cast(statistic, tf.float32) * self.momentum + value * (1.0 - self.momentum))
