"""The game's losses from numbers worked by hand, and where sigmoids are 0 or 1 in float32."""

import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.losses import (
    discriminator_loss,
    minimax_generator_loss,
    minimax_value,
    non_saturating_generator_loss,
)

REAL = np.log([[3.0], [1.0]]).astype("float32")  # D(x) is 3/4 and 1/2
FAKE = np.log([[1.0], [1 / 3]]).astype("float32")  # D(G(z)) is 1/2 and 1/4


def test_by_hand():
    value = (np.log(3 / 4) + np.log(1 / 2)) / 2 + (np.log(1 / 2) + np.log(3 / 4)) / 2
    assert float(minimax_value(REAL, FAKE)) == pytest.approx(value, rel=1e-6)
    assert float(discriminator_loss(REAL, FAKE)) == pytest.approx(-value, rel=1e-6)
    assert float(minimax_generator_loss(FAKE)) == pytest.approx((np.log(1 / 2) + np.log(3 / 4)) / 2, rel=1e-6)
    assert float(non_saturating_generator_loss(FAKE)) == pytest.approx((np.log(2) + np.log(4)) / 2, rel=1e-6)
    zeros = np.zeros((5, 1), "float32")
    assert float(minimax_value(zeros, zeros)) == pytest.approx(-np.log(4), rel=1e-6)


@pytest.mark.parametrize(
    ("loss", "slope"), [(minimax_generator_loss, lambda d: -d), (non_saturating_generator_loss, lambda d: d - 1)]
)
def test_the_generators_gradient_is_the_formula(loss, slope):
    """d log(1 - D) / d logit = -D, which vanishes with D; d -log D / d logit = D - 1, which does not."""
    logits = tf.constant([-200.0, -20.0, 0.0, 20.0])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        total = loss(logits) * 4
    expected = [slope(1 / (1 + np.exp(-float(each)))) for each in logits]
    np.testing.assert_allclose(tape.gradient(total, logits), expected, rtol=1e-5, atol=1e-30)


def test_sure_discriminators_give_finite_losses_in_bfloat16_too():
    for dtype in ("float32", "bfloat16"):
        sure = tf.constant([[1e4], [-1e4]], dtype)
        for loss in (minimax_generator_loss, non_saturating_generator_loss):
            assert loss(sure).dtype == "float32" and float(loss(sure)) == pytest.approx(
                -5e3 if loss is minimax_generator_loss else 5e3, rel=1e-2
            )
