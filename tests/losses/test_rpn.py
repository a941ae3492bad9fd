"""The proposal network's loss in the paper's and the release's normalisation, by hand."""

import numpy as np

from keras_cnns.losses import rpn_loss

# Four anchors: an object missed by 0.5 and 2, two others, and one that is not drawn. Even logits cost log 2 each.
LABELS = np.int32([[1, 0, 0, -1]])
TARGETS = np.zeros((1, 4, 4), "float32")
DELTAS = np.float32([[[0.5, 2, 0, 0], [9] * 4, [9] * 4, [9] * 4]])
LOGITS = np.zeros((1, 4, 2), "float32")


def test_the_papers():
    """Sigma 1: 0.125 + 1.5; over 2,400 locations, times ten; the cross-entropy over 256."""
    loss = rpn_loss(LABELS, TARGETS, LOGITS, DELTAS, locations=2400)
    np.testing.assert_allclose(loss, [3 * np.log(2) / 256 + 10 * 1.625 / 2400], rtol=1e-5)


def test_the_releases():
    """Sigma 3: |x| - 1/18 beyond 1/9; both over the three anchors drawn."""
    loss = rpn_loss(LABELS, TARGETS, LOGITS, DELTAS)
    np.testing.assert_allclose(loss, [(3 * np.log(2) + 2.5 - 2 / 18) / 3], rtol=1e-5)


def test_logits_say_none_first_and_no_anchor_costs_nothing():
    logits = np.float32([[[-20, 20], [20, -20], [20, -20], [0, 0]]])
    np.testing.assert_allclose(rpn_loss(LABELS, DELTAS, logits, DELTAS), [0], atol=1e-6)
    assert rpn_loss(LABELS, TARGETS, -logits, DELTAS)[0] > 30
    assert rpn_loss(LABELS * 0 - 1, TARGETS, LOGITS, DELTAS).numpy().tolist() == [0]
