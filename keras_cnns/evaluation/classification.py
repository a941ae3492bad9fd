"""Test errors of a classifier."""

import functools
import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.iteration import distributed


def classification_errors(
    model: keras.Model, batches: tf.data.Dataset, strategy: tf.distribute.Strategy | None = None
) -> dict[str, float]:
    """Return the test figures of a model of logits: a dict of `loss`, `top1_error`, `top5_error` (in %) and `images`.

    Args:
        model: gives logits `(batch, classes)`, or a map of them, `(batch, rows, columns, classes)`, whose mean counts
            (VGG, section 3.2); of several outputs the first counts.
        batches: a `tf.data.Dataset` of (images, labels): images `(batch, height, width, channels)`, or several crops of
            each, `(batch, crops, height, width, channels)`, whose softmax outputs are averaged (AlexNet, section 4.1);
            or a tuple of either, such as one image at several scales, averaged all alike.
        strategy: whose replicas share the work; the model's own by default.

    Raises:
        ValueError: there are no images.
    """
    strategy = strategy or model.distribute_strategy
    step = counting_step(model, strategy)
    sums = [step(*batch).numpy() for batch in distributed(batches, strategy)]
    if not sums:
        raise ValueError("there are no images to test on.")
    loss, top1, top5, images = np.sum(sums, axis=0, dtype="float64")
    errors = {"top1_error": 100 * (1 - top1 / images), "top5_error": 100 * (1 - top5 / images)}
    return {"loss": loss / images, **errors, "images": int(images)}


@functools.lru_cache(maxsize=2)  # so that a test after every epoch is traced once
def counting_step(model, strategy):
    """A function from one global batch to (summed loss, right, right among five, images)."""

    several = getattr(model, "inputs", None) and len(model.inputs[0].shape) == 5  # a jigsaw puzzle's tiles are no crops

    def log_probabilities(images):  # (batch, crops, classes)
        crops = images.shape[1] if images.shape.rank == 5 and not several else 1
        if crops > 1:
            shape = images.shape[2:]
            images = tf.ensure_shape(tf.reshape(images, [-1, *tf.unstack(tf.shape(images)[2:])]), (None, *shape))
        logits = tf.nest.flatten(model(images, training=False))[0]
        if logits.shape.rank == 4:
            logits = tf.reduce_mean(logits, axis=(1, 2))
        return tf.reshape(tf.nn.log_softmax(logits), (-1, crops, logits.shape[-1]))

    def count(images, labels):
        each = tf.concat([log_probabilities(view) for view in tf.nest.flatten(images)], axis=1)
        mean = tf.reduce_logsumexp(each, axis=1) - math.log(each.shape[1])  # log of the crops' mean probability
        right = tf.gather(mean, labels, axis=1, batch_dims=1)
        # Ties count against the network: a constant output is never right.
        rank = tf.reduce_sum(tf.cast(mean >= right[:, None], tf.int32), axis=1)  # 0 where not a number
        loss = -tf.reduce_sum(right)
        return tf.stack([loss, number(rank == 1), number((rank >= 1) & (rank <= 5)), number(rank >= 0)])

    def count_any(images, labels):
        # A replica for which no image is left gets an empty batch, too small for some networks if its shape is free.
        return tf.cond(tf.size(labels) > 0, lambda: count(images, labels), lambda: tf.zeros(4))

    @tf.function
    def step(images, labels):
        return strategy.reduce("SUM", strategy.run(count_any, args=(images, labels)), axis=None)

    return step


def number(condition):
    return tf.reduce_sum(tf.cast(condition, tf.float32))


def at_scales(batches: Sequence[tf.data.Dataset]) -> tf.data.Dataset:
    """One `tf.data.Dataset` of ((images, images, ...), labels) from several of (images, labels), in step.

    For `classification_errors` over the same images at several scales: as many data sets, each of batches of one image
    where these differ in shape.
    """
    return tf.data.Dataset.zip(tuple(batches)).map(lambda *each: (tuple(images for images, _ in each), each[0][1]))
