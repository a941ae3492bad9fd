"""The losses of Fast R-CNN by hand."""

import keras
import numpy as np
import pytest

from keras_cnns.losses import RoICrossEntropy, RoISmoothL1, smooth_l1


def test_smooth_l1_by_hand():
    """Equation 3: 0.5 x² below 1, |x| - 0.5 from there; with sigma 3 the bend is at 1/9."""
    x = np.float32([-2, -1, -0.5, 0, 0.5, 1, 3])
    np.testing.assert_allclose(smooth_l1(x), [1.5, 0.5, 0.125, 0, 0.125, 0.5, 2.5])
    x = np.float32([0.1, 1 / 9, 1])
    np.testing.assert_allclose(smooth_l1(x, sigma=3), [0.045, 1 / 18, 1 - 1 / 18], rtol=1e-6)


def test_cross_entropy_over_the_boxes_that_are_there():
    """Probabilities 1/2, 1/4, 1/4 of three classes; the first image has one box, the second two."""
    logits = np.log(np.float32([[[0.5, 0.25, 0.25]] * 2] * 2))
    labels = np.int32([[1, -1], [0, 2]])
    by_image = RoICrossEntropy(reduction="none")(labels, logits)
    np.testing.assert_allclose(by_image, [np.log(4), (np.log(2) + np.log(4)) / 2], rtol=1e-6)
    assert float(RoICrossEntropy()(labels, logits)) == pytest.approx((np.log(4) + 1.5 * np.log(2)) / 2, rel=1e-6)
    assert RoICrossEntropy()(np.int32([[-1, -1]]), logits[:1]) == 0


def test_only_the_deltas_of_the_boxs_own_class_count():
    """Two classes: twelve deltas a box. Class 1's differ by (0.5, 0, 0, 2): 0.125 + 1.5, over three boxes that are."""
    deltas = np.zeros((1, 4, 12), "float32")
    deltas[..., :4] = 100  # the background's are never looked at
    deltas[0, 0, 4:8] = [0.5, 1, 0, 2]
    deltas[0, 0, 8:] = 50
    deltas[0, 2, 8:] = [1, 1, 1, 1]
    targets = np.float32([[[1, 0, 1, 0, 0], [0, 0, 0, 0, 0], [2, 1, 1, 1, 1.5], [-1, 0, 0, 0, 0]]])
    assert float(RoISmoothL1()(targets, deltas)) == pytest.approx((1.625 + 0.125) / 3, rel=1e-6)
    nothing = targets * 0 - 1
    assert RoISmoothL1()(nothing, deltas) == 0


@pytest.mark.parametrize("loss", [RoICrossEntropy, RoISmoothL1])
def test_serialised(loss):
    again = keras.losses.deserialize(keras.losses.serialize(loss(name="own")))
    assert type(again) is loss and again.name == "own"
