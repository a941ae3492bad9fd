"""Micro-batches against the large batch, and where batch normalisation makes them what replicas are."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.layers import BatchNormalization, OriginalDropout
from keras_cnns.training import SGD, mirrored, small_memory_step

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.normal(size=(5, 24, 8, 8, 3)).astype("float32")
LABELS = GENERATOR.integers(0, 10, (5, 24))


def network(normalised=False, dropout=False, heads=False):
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(6, 3, kernel_regularizer=keras.regularizers.L2(0.05))(image)
    if normalised:
        x = BatchNormalization()(x)
    auxiliary = keras.layers.Dense(10, name="auxiliary")(keras.layers.Flatten()(x))
    x = keras.layers.Dense(16, activation="relu")(keras.layers.Flatten()(x))
    if dropout:
        x = OriginalDropout(0.5, seed=3)(x)
    logits = keras.layers.Dense(10, dtype="float32", name="logits")(x)
    return keras.Model(image, [logits, auxiliary] if heads else logits)


def compiled(strategy, optimizer=None, policy="float32", **kinds):
    keras.config.set_dtype_policy(policy)
    try:
        with strategy.scope():
            keras.utils.set_random_seed(0)
            model = network(**kinds)
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            optimizer = optimizer() if optimizer else SGD(0.02, l2=0.01, use_ema=True, ema_momentum=0.9)
            if kinds.get("heads"):
                model.compile(optimizer, [loss, loss], [1.0, 0.3], [["accuracy"], []])
            else:
                model.compile(optimizer, loss, metrics=["accuracy"])
            labels = [tf.zeros(2, tf.int64)] * len(model.outputs)
            model._symbolic_build(data_batch=(tf.zeros((2, 8, 8, 3)), tuple(labels) if len(labels) > 1 else labels[0]))
    finally:
        keras.config.set_dtype_policy("float32")
    return model


def trained(model, train_step=None):
    """All variables and the metrics after a step on each batch."""
    strategy = model.distribute_strategy
    step = tf.function(lambda batch: strategy.run(train_step or model.train_step, args=(batch,)))
    batches = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).map(
        lambda images, labels: (images, (labels,) * len(model.outputs) if len(model.outputs) > 1 else labels)
    )
    for batch in strategy.experimental_distribute_dataset(batches):
        step(batch)
    values = [variable.numpy() for variable in model.variables + model.optimizer.variables]
    return values, {name: float(value) for name, value in model.get_metrics_result().items()}


def assert_same(ours, theirs, **tolerance):
    for our, their in zip(ours[0], theirs[0], strict=True):
        np.testing.assert_allclose(our, their, **tolerance)
    assert ours[1] == pytest.approx(theirs[1], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("heads", [False, True])
@pytest.mark.parametrize("replicas", [1, 2])
def test_accumulation_equals_the_large_batch(replicas, heads, two_replicas):
    strategy = two_replicas if replicas == 2 else mirrored(1)
    large = trained(compiled(strategy, heads=heads))
    model = compiled(strategy, heads=heads)
    before = model.get_weights()
    small = trained(model, small_memory_step(model, accumulate=4))
    assert_same(small, large, rtol=1e-5, atol=1e-6)
    assert np.abs(small[0][0] - before[0]).max() > 1e-3  # it did train
    assert model.optimizer.iterations.numpy() == 5


@pytest.mark.slow
def test_micro_batches_are_to_batch_normalisation_what_replicas_are(two_replicas):
    on_two = trained(compiled(two_replicas, normalised=True))
    model = compiled(mirrored(1), normalised=True)
    assert_same(trained(model, small_memory_step(model, accumulate=2)), on_two, rtol=1e-4, atol=1e-6)
    large = trained(compiled(mirrored(1), normalised=True))
    assert max(np.abs(our - their).max() for our, their in zip(large[0], on_two[0], strict=True)) > 1e-3


def test_moving_statistics_move_once_a_step_to_the_mean_of_the_micro_batches():
    model = compiled(mirrored(1), normalised=True)
    normalisation = next(layer for layer in model.layers if isinstance(layer, BatchNormalization))
    before = keras.Model(model.input, normalisation.input)
    parts = before(IMAGES[0]).numpy().reshape(3, -1, 6)  # three micro-batches of 8 images
    small_memory_step(model, accumulate=3)((tf.constant(IMAGES[0]), tf.constant(LABELS[0])))
    np.testing.assert_allclose(normalisation.moving_mean, 0.01 * parts.mean((0, 1)), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(normalisation.moving_variance, 0.99 + 0.01 * parts.var(1).mean(0), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [1, 2])
def test_every_micro_batch_draws_masks_of_its_own(replicas, two_replicas):
    model = compiled(two_replicas if replicas == 2 else mirrored(1), dropout=True)
    dropout = next(layer for layer in model.layers if isinstance(layer, OriginalDropout))
    seed = dropout.seed_generator.state.numpy()
    trained(model, small_memory_step(model, accumulate=4))
    np.testing.assert_array_equal(dropout.seed_generator.state.numpy() - seed, [0, 20])  # 5 steps of 4 micro-batches


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [1, 2])
def test_losses_scaled_for_float16_are_scaled_once(replicas, two_replicas):
    # A power of two scales without rounding; float16 itself would hide a factor less than its own errors.
    def scaled():
        return keras.optimizers.LossScaleOptimizer(SGD(0.02), initial_scale=2.0**10)

    strategy = two_replicas if replicas == 2 else mirrored(1)
    large = trained(compiled(strategy))
    model = compiled(strategy, scaled)
    small = trained(model, small_memory_step(model, accumulate=4))
    plain = trained(compiled(strategy, lambda: SGD(0.02)))
    weights = len(model.variables)
    assert_same((small[0][:weights], small[1]), (plain[0][:weights], plain[1]), rtol=1e-5, atol=1e-6)
    assert np.abs(small[0][0] - large[0][0]).max() > 1e-4  # the other optimizer's decay shows: the test can fail


@pytest.mark.slow
def test_frozen_layers_stay_as_they_are():
    model = compiled(mirrored(1), normalised=True)
    for layer in model.layers[:3]:
        layer.trainable = False
    with model.distribute_strategy.scope():
        model.compile(SGD(0.02), model.loss)
    frozen = [variable.numpy() for layer in model.layers[:3] for variable in layer.variables]
    trained(model, small_memory_step(model, accumulate=4))
    for layer_before, variable in zip(frozen, [v for layer in model.layers[:3] for v in layer.variables], strict=True):
        np.testing.assert_array_equal(layer_before, variable)


def test_bad_input_is_refused(two_replicas):
    model = compiled(mirrored(1))
    with pytest.raises(ValueError, match="accumulate is 0; it must be at least 1"):
        small_memory_step(model, accumulate=0)
    with pytest.raises(ValueError, match="accumulate is 5; it must divide a replica's 24 images of a batch"):
        trained(model, small_memory_step(model, accumulate=5))

    class Own(keras.Model):
        def train_step(self, data):
            return {}

    with pytest.raises(ValueError, match="own has a train_step of its own"):
        small_memory_step(Own(model.inputs, model.outputs, name="own"), accumulate=2)
    with two_replicas.scope():
        image = keras.Input((8, 8, 3))
        synchronised = keras.Model(image, BatchNormalization(synchronized=True)(image))
    with pytest.raises(ValueError, match="with synchronised batch normalisation it must be 1"):
        small_memory_step(synchronised, accumulate=2)


def test_a_loss_that_a_layer_adds_is_refused_rather_than_left_out():
    image = keras.Input((8, 8, 3))
    x = keras.layers.Dense(10, activity_regularizer="l2")(keras.layers.Flatten()(image))
    model = keras.Model(image, x)
    model.compile(SGD(0.02), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(ValueError, match="a layer of the model calls add_loss"):
        small_memory_step(model, accumulate=2)((tf.constant(IMAGES[0]), tf.constant(LABELS[0])))
