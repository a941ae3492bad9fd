"""NT-Xent and InfoNCE against sums written out in NumPy, and cases by hand."""

import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.losses import info_nce, nt_xent


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def nt_xent_by_sums(first, second, temperature):
    """Algorithm 1 of the paper, pair by pair."""
    z = [vector for pair in zip(first, second, strict=True) for vector in pair]  # z_2k-1 and z_2k belong together
    s = np.array([[cosine(a, b) for b in z] for a in z]) / temperature
    each = lambda i, j: -np.log(np.exp(s[i, j]) / sum(np.exp(s[i, k]) for k in range(len(z)) if k != i))
    count = len(first)
    return sum(each(2 * k, 2 * k + 1) + each(2 * k + 1, 2 * k) for k in range(count)) / (2 * count)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_nt_xent_is_the_papers_sum(temperature):
    first, second = np.random.default_rng(0).normal(size=(2, 5, 7)).astype("float32")
    expected = nt_xent_by_sums(first.astype("float64"), second.astype("float64"), temperature)
    assert float(nt_xent(first, second, temperature)) == pytest.approx(expected, rel=1e-5)
    assert float(nt_xent(3 * first, second / 2, temperature)) == pytest.approx(expected, rel=1e-5)  # lengths are left


def test_nt_xent_by_hand():
    """Two images whose views are alike and whose images are orthogonal: log(1 + 2 e^-1/t)."""
    views = np.float32([[1, 0], [0, 1]])
    assert float(nt_xent(views, views, 0.5)) == pytest.approx(np.log(1 + 2 * np.exp(-2)), rel=1e-5)
    alone = np.float32([[1, 0]])  # there is no negative
    assert float(nt_xent(alone, alone, 0.5)) == pytest.approx(0, abs=1e-6)


def test_info_nce_is_the_papers_sum():
    random = np.random.default_rng(0)
    queries, keys = random.normal(size=(2, 4, 6)).astype("float32")
    negatives = random.normal(size=(9, 6)).astype("float32")
    negatives /= np.linalg.norm(negatives, axis=1, keepdims=True)
    each = []
    for q, k in zip(queries, keys, strict=True):
        positive = np.exp(cosine(q, k) / 0.07)
        each.append(-np.log(positive / (positive + sum(np.exp(cosine(q, n) / 0.07) for n in negatives))))
    assert float(info_nce(queries, keys, negatives)) == pytest.approx(np.mean(each), rel=1e-4)


def test_no_gradient_leads_to_keys_or_queue():
    queries, keys, negatives = (tf.random.stateless_normal((3, 4), (0, number)) for number in range(3))
    with tf.GradientTape() as tape:
        tape.watch([queries, keys, negatives])
        loss = info_nce(queries, keys, negatives)
    gradients = tape.gradient(loss, [queries, keys, negatives])
    assert gradients[1] is None and gradients[2] is None and np.abs(gradients[0]).max() > 0


def test_bfloat16_projections_are_compared_in_float32():
    views = tf.cast([[1.0, 0.0], [0.0, 1.0]], "bfloat16")
    assert nt_xent(views, views, 0.1).dtype == info_nce(views, views, tf.eye(2)).dtype == "float32"
