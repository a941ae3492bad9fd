"""How near the colours are that a network gives to a grey image."""

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.ops.colour import annealed_mean

THRESHOLDS = np.arange(151.0)  # distances in ab


def colour_scores(model: keras.Model, batches: tf.data.Dataset, temperature: float = 0.38) -> dict[str, float]:
    """Return the raw accuracy of Zhang et al., ECCV 2016, section 3.1: a dict of `auc` (in %) and `images`.

    The share of pixels whose colour lies within a distance of the true one, its mean over the distances 0 to 150; of
    the pixels of the network's maps, all images together.

    Args:
        model: a `colorization`, or any network of logits `(batch, height, width, 313)`.
        batches: a `tf.data.Dataset` of (lightness, colours ab `(batch, height, width, 2)`).
        temperature: of the annealed mean that the colours are read with.

    Raises:
        ValueError: there are no images.
    """

    @tf.function
    def distances(lightness, colours):
        return tf.norm(annealed_mean(model(lightness, training=False), temperature) - colours, axis=-1)

    within, pixels, images = np.zeros(len(THRESHOLDS)), 0, 0
    for lightness, colours in batches:
        away = np.sort(distances(lightness, colours).numpy().ravel())
        within += np.searchsorted(away, THRESHOLDS, side="right")
        pixels, images = pixels + len(away), images + len(lightness)
    if not images:
        raise ValueError("there are no images to test on.")
    return {"auc": 100 * float(np.mean(within / pixels)), "images": images}
