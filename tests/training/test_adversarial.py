"""Adversarial steps: one worked by hand, who moves when, two replicas, and a training that goes on to the bit."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.losses import minimax_generator_loss
from keras_cnns.training import AdversarialModel, Checkpoints, mirrored, train


def line(rate=0.5, **how):
    """G(z) = g z and D(x) = sigmoid(d x), g = 2 and d = 1; plain gradient descent."""
    z, x = keras.Input((1,)), keras.Input((1,))
    one = lambda value: {"use_bias": False, "kernel_initializer": keras.initializers.Constant(value)}
    generator = keras.Model(z, keras.layers.Dense(1, **one(2.0))(z))
    discriminator = keras.Model(x, keras.layers.Dense(1, **one(1.0))(x))
    model = AdversarialModel(generator, discriminator, **how)
    model.compile(keras.optimizers.SGD(rate), keras.optimizers.SGD(rate))
    return model


def weights(model):
    return float(model.generator.weights[0].numpy().item()), float(model.discriminator.weights[0].numpy().item())


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("k", [1, 2])
def test_a_step_by_hand(k):
    model, g, d = line(k=k, seed=7), 2.0, 1.0
    z = [model.latent(2, turn).numpy()[:, 0] for turn in range(k + 1)]
    assert len({float(each[0]) for each in z}) == k + 1 and all((np.abs(each) < 1).all() for each in z)
    real = np.float32([0.5, 1.5, -0.5, 2.5])[: 2 * k]
    model.train_step((tf.constant(real[:, None]), None))
    for turn in range(k):
        x, fake = real[2 * turn : 2 * turn + 2], g * z[turn]
        d += 0.5 * np.mean(x * (1 - sigmoid(d * x)) - fake * sigmoid(d * fake))  # up V
    g += 0.5 * np.mean(d * z[k] * (1 - sigmoid(d * g * z[k])))  # up log D
    assert weights(model) == pytest.approx((g, d), rel=1e-5)
    assert (int(model.optimizer.iterations), int(model.generator_optimizer.iterations)) == (k, 1)


def test_the_saturating_loss_is_the_other_gradient():
    model = line(generator_loss=minimax_generator_loss)
    z = model.latent(3, 1).numpy()[:, 0]
    model.optimizer.learning_rate = 0.0
    model.train_step((tf.ones((3, 1)), None))
    assert weights(model)[0] == pytest.approx(2.0 + 0.5 * np.mean(z * sigmoid(2.0 * z)), rel=1e-5)  # down log(1 - D)


def test_the_metrics_are_those_of_the_step():
    model = line()
    z = model.latent(2, 0).numpy()[:, 0]
    figures = model.train_step((tf.constant([[0.5], [1.5]]), None))
    real, fake = sigmoid(np.array([0.5, 1.5])), sigmoid(2 * z)
    assert float(figures["real"]) == pytest.approx(real.mean(), rel=1e-5)
    assert float(figures["fake"]) == pytest.approx(fake.mean(), rel=1e-5)
    assert float(figures["value"]) == pytest.approx(np.log(real).mean() + np.log(1 - fake).mean(), rel=1e-5)
    assert float(figures["discriminator_loss"]) == pytest.approx(-float(figures["value"]), rel=1e-6)


def batches_of(images, size):
    def batches(epoch, skip, count):
        order = np.random.default_rng(epoch).permutation(len(images))[: len(images) // size * size]
        data = tf.data.Dataset.from_tensor_slices((images[order], order)).batch(size)
        return data.skip(skip).take(count)

    return batches


def small_gan(seed=0):
    keras.utils.set_random_seed(3)
    z, image = keras.Input((4,)), keras.Input((3,))
    x = keras.layers.BatchNormalization()(keras.layers.Dense(8, activation="relu")(z))
    generator = keras.Model(z, keras.layers.Dense(3)(x))
    x = keras.layers.Dropout(0.3)(keras.layers.Dense(8, activation="relu")(image))
    model = AdversarialModel(generator, keras.Model(image, keras.layers.Dense(1)(x)), seed=seed)
    model.compile(keras.optimizers.Adam(1e-2, beta_1=0.5), keras.optimizers.Adam(1e-2, beta_1=0.5))
    return model


@pytest.mark.slow
def test_stopped_and_resumed_it_ends_with_the_same_bits(tmp_path):
    images = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    whole, parts = small_gan(), tmp_path / "parts"
    train(whole, batches_of(images, 8), 14, 5, Checkpoints(tmp_path / "whole", whole))
    for steps in (7, 14):  # in the second of three epochs
        model = small_gan()
        train(model, batches_of(images, 8), steps, 5, Checkpoints(parts, model))
    variables = lambda each: each.variables + each.optimizer.variables + each.generator_optimizer.variables
    assert int(model.generator_optimizer.iterations) == 14
    for ours, theirs in zip(variables(model), variables(whole), strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)


def test_another_seed_draws_another_z_and_each_step_its_own():
    first, other = small_gan(seed=0), small_gan(seed=1)
    assert not np.array_equal(first.latent(2, 0), other.latent(2, 0))
    before = first.latent(2, 0)
    first.train_step((tf.zeros((2, 3)), None))
    assert not np.array_equal(first.latent(2, 0), before)


def test_two_replicas_take_one_step_together():
    """Real images of two halves and each replica's own z: the step is that of the mean of both losses."""
    with mirrored(2).scope():
        model = line(seed=7)
    strategy = model.distribute_strategy
    z = strategy.run(lambda: (model.latent(1, 0), model.latent(1, 1)))
    first, second = (
        np.array([each.numpy().item() for each in strategy.experimental_local_results(part)]) for part in z
    )
    assert first[0] != first[1]
    real = np.float32([0.5, 1.5])
    batch = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensor_slices((real[:, None], real)).batch(2))
    strategy.run(tf.function(model.train_step), args=(next(iter(batch)),))
    fake = 2.0 * first
    d = 1.0 + 0.5 * np.mean(real * (1 - sigmoid(real)) - fake * sigmoid(fake))
    g = 2.0 + 0.5 * np.mean(d * second * (1 - sigmoid(d * 2.0 * second)))
    assert weights(model) == pytest.approx((g, d), rel=1e-5)


def test_what_does_not_fit_is_told():
    for k in (0, 1.5):
        with pytest.raises(ValueError, match=f"k is {k}; it must be a whole number of at least 1"):
            line(k=k)
    z, image = keras.Input((4,)), keras.Input((5,))
    with pytest.raises(ValueError, match=r"the generator makes images of \(3,\); the discriminator takes \(5,\)"):
        AdversarialModel(keras.Model(z, keras.layers.Dense(3)(z)), keras.Model(image, keras.layers.Dense(1)(image)))
    classifier = keras.Model(image, keras.layers.Dense(10)(image), name="classifier")
    with pytest.raises(ValueError, match=r"classifier gives \(10,\); a discriminator gives \(1,\)"):
        AdversarialModel(keras.Model(z, keras.layers.Dense(5)(z)), classifier)


def test_the_figures_of_a_test_by_hand():
    """Batches of two images and of one, each with z of its own; the means are over the images."""
    model, batches = line(seed=7), [[0.5, 1.5], [-1.0]]
    data = [(tf.constant(each)[:, None], None) for each in batches]
    z = [tf.random.stateless_uniform((len(each), 1), (7, -1 - n), -1.0, 1.0).numpy() for n, each in enumerate(batches)]
    real, fake = sigmoid(np.concatenate(batches)), sigmoid(2 * np.concatenate(z)[:, 0])
    value = np.log(real).mean() + np.log(1 - fake).mean()
    expected = {"loss": -np.log(fake).mean(), "value": value, "real": real.mean(), "fake": fake.mean()}
    assert model.figures(data) == pytest.approx(expected, rel=1e-5)


def test_a_test_moves_nothing_and_sees_the_batchs_statistics():
    model = small_gan()
    before = [variable.numpy() for variable in model.variables]
    images = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    batches = tf.data.Dataset.from_tensor_slices((images, images)).batch(8)
    figures = model.figures(batches)
    assert figures == model.figures(batches)
    for ours, theirs in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)
    normalization = model.generator.layers[2]
    normalization.moving_mean.assign(np.full(8, 5.0))
    assert figures == model.figures(batches)
    with pytest.raises(ValueError, match="there are no images to test on"):
        model.figures(batches.take(0))


def test_images_without_labels_are_a_step_too():
    models = [line(seed=7) for _ in range(2)]
    images = np.float32([[0.5], [1.5]])
    models[0].fit(images, batch_size=2, shuffle=False, verbose=0)
    models[1].train_step((tf.constant(images), None))
    assert weights(models[0]) == pytest.approx(weights(models[1]), rel=1e-6) and weights(models[0]) != (2.0, 1.0)


@pytest.mark.parametrize("policy", ["float16", "mixed_float16"])
def test_float16_is_refused(policy):
    keras.config.set_dtype_policy(policy)
    try:
        with pytest.raises(ValueError, match="the precision is float16; it must be float32 or bfloat16"):
            line()
    finally:
        keras.config.set_dtype_policy("float32")
