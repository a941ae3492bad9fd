"""The raw accuracy of colours by hand."""

import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.evaluation import colour_scores
from keras_cnns.ops.colour import AB_BINS


def test_accuracy_is_the_mean_share_within_each_distance():
    """Errors of 0 and 100: all of the one within each of the 151 distances, of the other from 100 on, 51 of them."""
    colours = np.zeros((2, 1, 1, 2), "float32")
    colours[1] = (60, 80)
    bin_of_grey = int(np.flatnonzero((AB_BINS == 0).all(axis=1))[0])

    def always_grey(lightness, training):
        return 100.0 * tf.one_hot(tf.fill(tf.shape(lightness)[:3], bin_of_grey), 313)

    batches = tf.data.Dataset.from_tensor_slices((np.zeros((2, 1, 1, 1), "float32"), colours)).batch(1)
    scores = colour_scores(always_grey, batches)
    assert scores["images"] == 2 and scores["auc"] == pytest.approx(100 * (151 + 51) / 302)
    with pytest.raises(ValueError, match="there are no images to test on"):
        colour_scores(always_grey, batches.take(0))
