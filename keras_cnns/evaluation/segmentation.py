"""Test figures of a network that labels every pixel."""

import functools
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.iteration import distributed

TOLERANCE = 0.0075  # of the image's diagonal, SegNet, section 4.1


def segmentation_scores(
    model: keras.Model,
    batches: tf.data.Dataset,
    labels: Sequence[str] | None = None,
    boundary: bool = False,
    void: int = 255,
    strategy: tf.distribute.Strategy | None = None,
) -> dict[str, float]:
    """Return the test figures of a model of logits for every pixel, in one pass; scores in %.

    A dict of `loss` (the mean cross-entropy of a labelled pixel), `pixel_accuracy`, `mean_accuracy`, `mean_iu` and
    `frequency_weighted_iu` (Long et al., CVPR 2015, section 5), `boundary_f1` if asked for, `iu_<label>` of every class
    that there was to find or was found, and `images`.

    Args:
        model: gives logits `(batch, height, width, classes)`; of several outputs the first counts.
        batches: a `tf.data.Dataset` of (images, masks), a mask `(batch, height, width)` of the logits' size.
        labels: names of the classes; their numbers by default.
        boundary: whether to compute SegNet's boundary F1 too, which takes longer than the rest.
        void: the label of pixels that count nowhere.
        strategy: whose replicas share the work; the model's own by default.

    Raises:
        ValueError: there are no images, or no pixel has a label.
    """
    strategy = strategy or model.distribute_strategy
    step = counting_step(model, strategy, void, boundary)
    results = [[each.numpy() for each in step(*batch)] for batch in distributed(batches, strategy)]
    if not results:
        raise ValueError("there are no images to test on.")
    confusion = sum(np.int64(each) for each, _ in results)
    loss, images, f1, with_boundary = np.sum([each for _, each in results], axis=0, dtype="float64")
    figures = {"loss": loss / max(confusion.sum(), 1), **confusion_scores(confusion, labels)}
    if boundary:
        figures["boundary_f1"] = 100 * f1 / max(with_boundary, 1)
    return {**figures, "images": int(images)}


def confusion_scores(confusion: np.ndarray, labels: Sequence[str] | None = None) -> dict[str, float]:
    """Return the four scores of Long et al., section 5, and each class's IU, in %, from a confusion matrix.

    confusion: pixels `(classes, classes)`, rows by the true class, columns by the predicted one.

    Classes that no pixel has are left out of the mean accuracy; those that were not predicted either, of the mean IU
    and of the single ones, as in the authors' release.

    Raises:
        ValueError: no pixel has a label.
    """
    confusion = np.asarray(confusion, "float64")
    right, true, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    union = true + predicted - right
    there, seen = true > 0, union > 0
    if not there.any():
        raise ValueError("no pixel has a label; there is nothing to score.")
    iu = right[seen] / union[seen]
    names = np.arange(len(true)) if labels is None else np.asarray(labels)
    return {
        "pixel_accuracy": 100 * right.sum() / true.sum(),
        "mean_accuracy": 100 * np.mean(right[there] / true[there]),
        "mean_iu": 100 * np.mean(iu),
        "frequency_weighted_iu": 100 * np.sum(true[seen] * iu) / true.sum(),
        **{f"iu_{name}": 100 * each for name, each in zip(names[seen], iu, strict=True)},
    }


@functools.lru_cache(maxsize=2)  # so that a test after every epoch is traced once
def counting_step(model, strategy, void, boundary):
    """A function from one global batch to its confusion matrix and to sums of (loss, images, boundary F1, images that
    have a boundary)."""

    def count(images, masks):
        logits = tf.nest.flatten(model(images, training=False))[0]
        labelled = masks != tf.cast(void, masks.dtype)
        true = tf.boolean_mask(tf.cast(masks, tf.int32), labelled)
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(true, tf.boolean_mask(logits, labelled))
        predicted = tf.argmax(logits, axis=-1, output_type=tf.int32)
        found = tf.math.confusion_matrix(true, tf.boolean_mask(predicted, labelled), logits.shape[-1], dtype=tf.int64)
        f1, has = tf.zeros(1), tf.zeros(1)
        if boundary:
            f1 = boundary_f1(masks, predicted, logits.shape[-1], void)
            has = tf.cast(f1 >= 0, tf.float32)
        sums = [tf.reduce_sum(entropy), tf.cast(tf.shape(masks)[0], tf.float32), tf.reduce_sum(f1 * has)]
        return found, tf.stack([*sums, tf.reduce_sum(has)])

    def nothing():
        classes = model.outputs[0].shape[-1]
        return tf.zeros((classes, classes), tf.int64), tf.zeros(4)

    def count_any(images, masks):
        # A replica for which no image is left gets an empty batch, too small for some networks if its shape is free.
        return tf.cond(tf.size(masks) > 0, lambda: count(images, masks), nothing)

    @tf.function(reduce_retracing=True)  # photographs have many sizes
    def step(images, masks):
        each = strategy.run(count_any, args=(images, masks))
        return [strategy.reduce("SUM", part, axis=None) for part in each]

    return step


def boundary_f1(
    true: tf.Tensor, predicted: tf.Tensor, classes: int, void: int = 255, tolerance: float = TOLERANCE
) -> tf.Tensor:
    """Return the boundary F1 of each image, `(batch,)`: Csurka et al., BMVC 2013, as SegNet's section 4.1 uses it.

    A pixel of a class is on its boundary if one of its eight neighbours is of another, or void. Precision is the share
    of the predicted boundary that lies within the tolerance of the true one, recall the reverse; F1 is averaged over
    the classes that the true mask has a boundary of. An image without any gets -1.

    Args:
        true, predicted: labels `(batch, height, width)`; the prediction counts as void where the truth is.
        tolerance: as a share of the image's diagonal.
    """
    true, predicted = (tf.cast(each, tf.int32) for each in (true, predicted))
    predicted = tf.where(true == void, void, predicted)
    height, width = tf.unstack(tf.cast(tf.shape(true)[1:3], tf.float32))
    distance = tolerance * tf.sqrt(height**2 + width**2)
    reach = tf.range(-tf.floor(distance), tf.floor(distance) + 1)
    disk = tf.cast(reach[:, None] ** 2 + reach**2 <= distance**2, tf.float32)
    disk = tf.repeat(disk[:, :, None, None], classes, axis=2)

    def edges(masks):
        inside = tf.one_hot(masks, classes)  # void is of no class
        return inside * tf.nn.max_pool2d(1 - inside, 3, 1, "SAME")  # nothing beyond the image's border

    def near(edge):
        return tf.cast(tf.nn.depthwise_conv2d(edge, disk, [1, 1, 1, 1], "SAME") > 0.5, tf.float32)

    def total(pixels):
        return tf.reduce_sum(pixels, axis=(1, 2))  # (batch, classes)

    ours, theirs = edges(predicted), edges(true)
    precision = tf.math.divide_no_nan(total(ours * near(theirs)), total(ours))
    recall = tf.math.divide_no_nan(total(theirs * near(ours)), total(theirs))
    f1 = tf.math.divide_no_nan(2 * precision * recall, precision + recall)
    there = tf.cast(total(theirs) > 0, tf.float32)
    mean = tf.math.divide_no_nan(tf.reduce_sum(f1 * there, axis=1), tf.reduce_sum(there, axis=1))
    return tf.where(tf.reduce_any(there > 0, axis=1), mean, -1.0)


@keras.saving.register_keras_serializable(package="keras_cnns")
class PixelAccuracy(keras.metrics.Mean):
    """The share of an image's labelled pixels that are right, averaged over images: a figure of the training.

    Labels `(batch, height, width)`, logits `(batch, height, width, classes)`. void: the label of pixels that count
    nowhere.
    """

    def __init__(self, void: int = 255, name: str = "accuracy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.void = void

    def update_state(self, labels, logits, sample_weight=None):
        labels = tf.cast(labels, tf.int32)
        labelled = tf.cast(labels != self.void, tf.float32)
        right = tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), labels)  # `==` may forget the rank
        right = labelled * tf.cast(right, tf.float32)
        pixels = tf.reduce_sum(labelled, axis=(1, 2))
        return super().update_state(tf.math.divide_no_nan(tf.reduce_sum(right, axis=(1, 2)), pixels))

    def get_config(self):
        return {**super().get_config(), "void": self.void}
