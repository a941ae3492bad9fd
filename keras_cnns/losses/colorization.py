"""The loss of a network that colours images: Zhang et al., "Colorful Image Colorization", ECCV 2016, section 2.2."""

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.ops.colour import AB_BINS, encode_ab

GREY = 5  # an image whose a and b nowhere exceed this counts as grey and not at all, as in the release


@keras.saving.register_keras_serializable(package="keras_cnns")
class ColourCrossEntropy(keras.losses.Loss):
    """Cross-entropy of the 313 bins with the soft encoding of the true colours: equation 2, as a mean over the pixels.

    Colours ab `(batch, height, width, 2)`, logits `(batch, height, width, 313)`. The logits must not be logits times a
    weight: a rare colour's weight is on its pixel's loss. Grey images count as 0.

    weights: what a pixel counts by the bin nearest to its colour, `rebalancing_weights`; all alike by default.

    Raises:
        ValueError: weights that are not 313 numbers of at least 0.
    """

    def __init__(self, weights: np.ndarray | None = None, name: str = "colour_cross_entropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.weights = None if weights is None else np.asarray(weights, "float32").tolist()
        if weights is not None and (np.shape(weights) != (len(AB_BINS),) or not np.min(weights) >= 0):
            raise ValueError(f"weights has the shape {np.shape(weights)}; it must be 313 numbers of at least 0.")

    def call(self, colours, logits):
        bins, shares = encode_ab(colours)
        logs = tf.gather(tf.nn.log_softmax(tf.cast(logits, tf.float32)), bins, batch_dims=3)
        loss = -tf.reduce_sum(shares * logs, axis=-1)
        if self.weights is not None:
            loss *= tf.gather(tf.constant(self.weights), bins[..., 0])
        coloured = tf.reduce_any(tf.abs(colours) > GREY, axis=(1, 2, 3))
        return tf.reduce_mean(loss, axis=(1, 2)) * tf.cast(coloured, tf.float32)

    def get_config(self):
        return {**super().get_config(), "weights": self.weights}


def rebalancing_weights(counts: np.ndarray, uniform: float = 0.5, sigma: float = 5.0) -> np.ndarray:
    """The weight of each bin, `(313,)`: inverse to its smoothed frequency mixed with an even one; section 2.2, eq. 4.

    Args:
        counts: how many pixels of the training images are nearest to each bin, `keras_cnns.data.pretext.count_colours`.
        uniform: lambda, the share of the even distribution.
        sigma: of the Gaussian over the ab plane that smooths the frequencies.

    Returns: float32 weights whose mean over the smoothed frequencies is 1.

    Raises:
        ValueError: counts that are not 313 numbers of at least 0, some above 0.
    """
    counts = np.asarray(counts, "float64")
    if counts.shape != (len(AB_BINS),) or counts.min() < 0 or not counts.sum() > 0:
        raise ValueError(f"counts has the shape {counts.shape}; it must be 313 numbers of at least 0, not all 0.")
    distances = ((AB_BINS[:, None].astype("float64") - AB_BINS) ** 2).sum(axis=-1)
    kernel = np.exp(-distances / (2 * sigma**2))
    p = (counts / counts.sum()) @ (kernel / kernel.sum(axis=1, keepdims=True))
    weights = 1 / ((1 - uniform) * p + uniform / len(p))
    return np.float32(weights / (p @ weights))
