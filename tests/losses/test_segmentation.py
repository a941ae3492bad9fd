"""The loss over labelled pixels, against NumPy written out and numbers by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.losses import PixelCrossEntropy
from keras_cnns.training import small_memory_step

CLASSES = 4


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    labels = random.integers(0, CLASSES, (3, 5, 6)).astype("uint8")
    labels[random.random(labels.shape) < 0.3] = 255
    return labels, random.normal(size=(3, 5, 6, CLASSES)).astype("float32") * 3


def written_out(labels, logits, weights, normalized):
    losses = []
    for mask, scores in zip(labels, logits.astype("float64"), strict=True):
        total, pixels = 0.0, 0
        for label, score in zip(mask.ravel(), scores.reshape(-1, CLASSES), strict=True):
            if label != 255:
                total += weights[label] * (np.log(np.exp(score).sum()) - score[label])
                pixels += 1
        losses.append(total / max(pixels, 1) if normalized else total)
    return np.mean(losses)


@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("weights", [None, (0.3, 2.0, 0.0, 9.6)])
def test_it_is_the_sum_written_out(batch, weights, normalized):
    loss = PixelCrossEntropy(weights, normalized)(*batch)
    expected = written_out(*batch, weights or np.ones(CLASSES), normalized)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_by_hand():
    """Even logits of 4 classes cost log 4 a pixel; 4 pixels, one of them void."""
    labels, logits = np.array([[[0, 3], [255, 1]]]), np.zeros((1, 2, 2, CLASSES))
    assert float(PixelCrossEntropy()(labels, logits)) == pytest.approx(np.log(4))
    assert float(PixelCrossEntropy(normalized=False)(labels, logits)) == pytest.approx(3 * np.log(4))
    assert float(PixelCrossEntropy((1, 2, 1, 0))(labels, logits)) == pytest.approx(np.log(4))  # (1 + 2 + 0) / 3
    assert float(PixelCrossEntropy(void=3)(np.array([[[0, 3], [2, 1]]]), logits)) == pytest.approx(np.log(4))


def test_void_pixels_get_no_gradient_and_void_images_no_loss(batch):
    labels, logits = batch
    labels[1] = 255
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = PixelCrossEntropy()(labels, logits)
    gradient = tape.gradient(loss, logits).numpy()
    assert np.isfinite(gradient).all()
    assert (np.abs(gradient).max(axis=-1) > 0).tolist() == (labels != 255).tolist()
    labels[:] = 255
    assert float(PixelCrossEntropy()(labels, logits)) == 0.0


def test_it_survives_a_file():
    loss = PixelCrossEntropy((1.0, 0.5), normalized=False, void=11)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.get_config() == loss.get_config() and again.void == 11


def test_bad_weights_are_told():
    with pytest.raises(ValueError, match="class_weights is"):
        PixelCrossEntropy((1.0, -1.0))
    with pytest.raises(ValueError, match="class_weights has 2 numbers; the logits have 4 classes"):
        PixelCrossEntropy((1.0, 1.0))(np.zeros((1, 1, 1)), np.zeros((1, 1, 1, CLASSES)))


@pytest.mark.slow
@pytest.mark.parametrize("normalized", [True, False])
def test_replicas_and_micro_batches_change_nothing(batch, normalized, two_replicas):
    """Void pixels are unevenly spread, and yet one device, two, and two halves one after another agree."""
    labels, logits = np.repeat(batch[0], 2, axis=0)[:4], np.repeat(batch[1], 2, axis=0)[:4, ..., :3]
    labels[3, :4] = 255
    expected = written_out(labels, (logits * 0.5) @ np.ones((3, CLASSES)) * np.arange(CLASSES), np.ones(4), normalized)

    def trained(strategy, accumulate=1):
        with strategy.scope():
            start = keras.initializers.Constant(0.5 * np.ones((1, 1, 3, CLASSES)) * np.arange(CLASSES))
            model = keras.Sequential(
                [keras.Input((5, 6, 3)), keras.layers.Conv2D(CLASSES, 1, kernel_initializer=start)]
            )
            model.compile(keras.optimizers.SGD(0.01), PixelCrossEntropy(normalized=normalized))
        step = small_memory_step(model, accumulate) if accumulate > 1 else model.train_step
        data = tf.data.Dataset.from_tensors((logits, labels))
        for part in strategy.experimental_distribute_dataset(data):
            strategy.run(tf.function(step), args=(part,))
        return float(model.get_metrics_result()["loss"]), model.get_weights()[0]

    one, two = tf.distribute.get_strategy(), two_replicas
    loss, weights = trained(one)
    assert loss == pytest.approx(expected, rel=1e-5)
    for other, moved in (trained(two), trained(one, 2)):
        assert other == pytest.approx(loss, rel=1e-5)
        np.testing.assert_allclose(moved, weights, rtol=1e-5, atol=1e-6)
