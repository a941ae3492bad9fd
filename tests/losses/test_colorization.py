"""The loss of colouring by hand."""

import keras
import numpy as np
import pytest

from keras_cnns.losses import ColourCrossEntropy, rebalancing_weights
from keras_cnns.ops.colour import AB_BINS


def bin_of(a, b):
    return int(np.flatnonzero(((a, b) == AB_BINS).all(axis=1))[0])


def test_the_loss_is_the_cross_entropy_with_the_five_nearest_bins():
    """The colour of a bin itself: shares of 1 and four of exp(-2), each divided by their sum."""
    colours = np.full((1, 1, 1, 2), 20, "float32")
    logits = np.random.default_rng(0).normal(size=(1, 1, 1, 313)).astype("float32")
    logs = logits[0, 0, 0] - np.log(np.exp(logits).sum())
    near = [bin_of(*each) for each in ((10, 20), (30, 20), (20, 10), (20, 30))]
    share = np.exp(-2) / (1 + 4 * np.exp(-2))
    expected = -(logs[bin_of(20, 20)] * (1 - 4 * share) + share * logs[near].sum())
    assert float(ColourCrossEntropy()(colours, logits)) == pytest.approx(expected, rel=1e-5)
    weights = np.ones(313)
    weights[bin_of(20, 20)] = 3
    loss = ColourCrossEntropy(weights)
    assert float(loss(colours, logits)) == pytest.approx(3 * expected, rel=1e-5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert float(again(colours, logits)) == pytest.approx(3 * expected, rel=1e-5)


def test_grey_images_count_nothing():
    colours = np.zeros((2, 1, 2, 2), "float32")
    colours[0] = 5
    colours[1, 0, 1] = 5.1  # one pixel is enough
    losses = ColourCrossEntropy(reduction=None)(colours, np.zeros((2, 1, 2, 313), "float32"))
    np.testing.assert_allclose(losses, [0, np.log(313)], rtol=1e-5)


def test_rare_colours_weigh_more():
    """Without smoothing: half of the pixels in each of two bins, 0 in the others: eq. 4 with lambda = 1/2."""
    counts = np.zeros(313)
    counts[[3, 200]] = 8
    often, never = 1 / (0.5 * 0.5 + 0.5 / 313), 1 / (0.5 / 313)
    weights = rebalancing_weights(counts, sigma=0.1)
    expected = np.where(counts > 0, 1.0, never / often)  # the mean over the pixels, all in the two, is 1
    np.testing.assert_allclose(weights, expected, rtol=1e-5)
    np.testing.assert_allclose(rebalancing_weights(np.ones(313), uniform=1.0), 1, rtol=1e-5)


def test_frequencies_are_smoothed_over_the_plane():
    counts = np.zeros(313)
    counts[bin_of(20, 20)] = 1
    weights = rebalancing_weights(counts, uniform=0.5)
    # A neighbour gets exp(-2) of the frequency of the bin itself, so it weighs less than a bin far away.
    assert weights[bin_of(20, 20)] < weights[bin_of(20, 30)] < weights[bin_of(30, 30)] < weights[bin_of(-90, 50)]
    all_of_it = np.exp(-((AB_BINS - 20.0) ** 2).sum(axis=1) / 50)
    p = all_of_it / all_of_it.sum()
    np.testing.assert_allclose(weights @ p, 1, rtol=1e-4)
    ratio = (0.5 * p[bin_of(20, 20)] + 0.5 / 313) / (0.5 * p[bin_of(20, 30)] + 0.5 / 313)
    assert weights[bin_of(20, 30)] / weights[bin_of(20, 20)] == pytest.approx(ratio, rel=1e-4)


def test_what_is_no_313_numbers_is_refused():
    with pytest.raises(ValueError, match="it must be 313 numbers of at least 0"):
        ColourCrossEntropy(np.ones(10))
    with pytest.raises(ValueError, match="it must be 313 numbers of at least 0, not all 0"):
        rebalancing_weights(np.zeros(313))
