"""SimCLR and MoCo: counts, steps by hand on linear encoders, the queue, the key encoder, two replicas, resume."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_cnns
from keras_cnns.losses import nt_xent
from keras_cnns.self_supervised import encoder_of, moco, simclr
from keras_cnns.training import Checkpoints, mirrored, train


def small_encoder(normalised=True):
    keras.utils.set_random_seed(5)
    image = keras.Input((4, 4, 2))
    x = keras.layers.Flatten()(image)
    x = keras.layers.Dense(6)(x)
    x = keras.layers.BatchNormalization()(x) if normalised else x
    return keras.Model(image, keras.layers.Activation("tanh")(x), name="small")


def views(count=8, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 2, 4, 4, 2)).astype("float32")


def compiled(model, rate=0.1):
    model.compile(keras.optimizers.SGD(rate), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model


def test_the_head_for_resnet50_has_the_papers_parameters():
    """2048 * 2048 + 2048 * 128, without biases."""
    features = keras.Input((8, 8, 3))
    wide = keras.Model(features, keras.layers.Dense(2048)(keras.layers.GlobalAveragePooling2D()(features)))
    assert simclr(wide).head.count_params() == 4_456_448


def test_an_encoder_is_the_classifier_up_to_its_last_layer():
    classifier = keras_cnns.resnet_cifar(20)
    encoder = encoder_of(classifier)
    assert encoder.output_shape == (None, 64) and encoder.name == "resnet_cifar20_encoder"
    image = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype("float32")
    last = classifier.layers[-1]
    np.testing.assert_allclose(encoder(image) @ last.kernel + last.bias, classifier(image), atol=1e-5)
    with pytest.raises(ValueError, match="it must be a dense layer"):
        encoder_of(encoder)
    with pytest.raises(ValueError, match="it must end in"):
        simclr(keras_cnns.fcn32s(fc_filters=8))


def test_a_simclr_step_follows_the_gradient_of_nt_xent():
    model, data = compiled(simclr(small_encoder(False), 3, 0.5)), views()
    variables = [each.value for each in model.trainable_variables]
    with tf.GradientTape() as tape:
        loss = nt_xent(model(data[:, 0]), model(data[:, 1]), 0.5)
    expected = [v - 0.1 * g for v, g in zip(variables, tape.gradient(loss, variables), strict=True)]
    figures = model.train_step((data, None))
    assert float(figures["loss"]) == pytest.approx(float(loss), rel=1e-5)
    for ours, theirs in zip(model.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("build", [lambda encoder: simclr(encoder, 3), lambda encoder: moco(encoder, 3, queue=16)])
def test_a_scaled_loss_moves_the_weights_as_far(build):
    """What Keras puts around the optimizer in float16 divides each gradient by what the loss was multiplied with."""
    models = [compiled(build(small_encoder())) for _ in range(2)]
    for plain, scaled in zip(*(model.weights for model in models), strict=True):
        scaled.assign(plain)
    inner = keras.optimizers.SGD(0.1)
    models[1].compile(keras.optimizers.LossScaleOptimizer(inner), jit_compile=False)
    models[1].optimizer.build(models[1].trainable_variables)
    before = [weight.numpy() for weight in models[0].trainable_variables]
    for model in models:
        model.train_step((views(), None))
    furthest = 0
    for start, plain, scaled in zip(before, *(model.trainable_variables for model in models), strict=True):
        np.testing.assert_allclose(scaled.numpy() - start, plain.numpy() - start, rtol=1e-3, atol=1e-7)
        furthest = max(furthest, np.abs(scaled.numpy() - start).max())
    assert furthest > 1e-3


def test_simclr_learns_to_tell_images_apart():
    model, data = compiled(simclr(small_encoder(), 8, 0.5)), views()
    first = float(model.train_step((data, None))["loss"])
    for _ in range(30):
        model.reset_metrics()
        last = float(model.train_step((data, None))["loss"])
    assert last < 0.7 * first


@pytest.mark.slow
def test_two_replicas_of_simclr_have_the_negatives_of_both():
    alone, data = compiled(simclr(small_encoder(False), 3, 0.5)), views()
    alone.train_step((data, None))
    with mirrored(2).scope():
        model = compiled(simclr(small_encoder(False), 3, 0.5))
    strategy = model.distribute_strategy
    batch = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensor_slices((data, np.zeros(8))).batch(8))
    strategy.run(tf.function(model.train_step), args=(next(iter(batch)),))
    for ours, theirs in zip(model.trainable_variables, alone.trainable_variables, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-6)


def test_the_key_encoder_follows_and_is_not_trained():
    model = compiled(moco(small_encoder(), 3, queue=16, momentum=0.9))
    assert not model.key.trainable_variables
    for ours, theirs in zip(model.key.weights, model.query.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    model.train_step((views(), None))  # follows before the step: the two were alike
    keys = [each.numpy() for each in model.key.weights]
    start = compiled(moco(small_encoder(), 3, queue=16, momentum=0.9))
    moved = [np.abs(q.numpy() - k.numpy()).max() for q, k in zip(model.query.weights, model.key.weights, strict=True)]
    assert max(moved) > 0
    query = {each.path.split("/")[-2:][0] + each.name: each.numpy() for each in model.query.weights}
    model.train_step((views(seed=1), None))
    for before, each, first in zip(keys, model.key.weights, start.key.weights, strict=True):
        if each.name in ("kernel", "bias", "gamma", "beta"):
            path = each.path.split("/")[-2:][0] + each.name
            expected = 0.9 * before + 0.1 * query[path]
            np.testing.assert_allclose(each, expected, atol=1e-6)
            np.testing.assert_allclose(before, first, atol=1e-7)


def test_the_queue_takes_the_newest_keys_for_the_oldest():
    model = compiled(moco(small_encoder(), 3, queue=16))
    np.testing.assert_allclose(np.linalg.norm(model.queue, axis=1), 1, rtol=1e-5)
    first = model.queue.numpy()
    model.train_step((views(seed=0), None))
    one = model.queue.numpy()
    np.testing.assert_array_equal(one[8:], first[8:])
    assert (np.abs(one[:8] - first[:8]).max(axis=1) > 0).all() and int(model.position) == 8
    model.train_step((views(seed=1), None))
    np.testing.assert_array_equal(model.queue.numpy()[:8], one[:8])
    assert int(model.position) == 0
    np.testing.assert_allclose(np.linalg.norm(model.queue, axis=1), 1, rtol=1e-5)


def test_keys_come_back_in_the_images_order():
    """Without batch statistics shuffling changes nothing."""
    model = compiled(moco(small_encoder(False), 3, queue=16, groups=4), rate=0.0)
    data = views()
    model.train_step((data, None))
    expected = model.key(data[:, 1])
    np.testing.assert_allclose(model.queue[:8], expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


def test_groups_have_statistics_of_their_own_and_keys_are_shuffled_among_them():
    model, data = compiled(moco(small_encoder(), 3, queue=16, groups=2), rate=0.0), views()
    halves = [model.query(part, training=True).numpy() for part in np.split(data[:, 0], 2)]
    np.testing.assert_allclose(model.in_groups(model.query, data[:, 0]), np.concatenate(halves), atol=1e-5)
    model.train_step((data, None))
    unshuffled = np.concatenate([model.key(part, training=True).numpy() for part in np.split(data[:, 1], 2)])
    unshuffled /= np.linalg.norm(unshuffled, axis=1, keepdims=True)
    assert np.abs(model.queue.numpy()[:8] - unshuffled).max() > 1e-3


def test_two_replicas_of_moco_keep_one_queue_of_both():
    data = views()
    with mirrored(2).scope():
        model = compiled(moco(small_encoder(False), 3, queue=16), rate=0.0)
    strategy = model.distribute_strategy
    batch = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensor_slices((data, np.zeros(8))).batch(8))
    strategy.run(tf.function(model.train_step), args=(next(iter(batch)),))
    expected = model.key(data[:, 1]).numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    for queue in strategy.experimental_local_results(model.queue.value):
        np.testing.assert_allclose(queue[:8], expected, atol=1e-5)
    assert int(model.position.numpy()) == 8


@pytest.mark.slow
def test_two_replicas_of_moco_are_two_groups():
    """Statistics, shuffling, the gradient's scale and the queue over three steps."""
    alone = compiled(moco(small_encoder(), 3, queue=16, groups=2))
    with mirrored(2).scope():
        both = compiled(moco(small_encoder(), 3, queue=16))
    strategy, step = both.distribute_strategy, tf.function(both.train_step)
    for seed in range(3):
        data = views(seed=seed)
        alone.train_step((data, None))
        batch = tf.data.Dataset.from_tensor_slices((data, np.zeros(8))).batch(8)
        strategy.run(step, args=(next(iter(strategy.experimental_distribute_dataset(batch))),))
    learned = lambda model: [*model.trainable_variables, model.queue, model.key.layers[-1].kernel]
    for ours, theirs in zip(learned(both), learned(alone), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("build", [lambda: simclr(small_encoder(), 3), lambda: moco(small_encoder(), 3, queue=16)])
def test_stopped_and_resumed_it_ends_with_the_same_bits(build, replicas, tmp_path):
    data = views(24)

    def batches(epoch, skip, count):
        order = np.random.default_rng(epoch).permutation(24)
        return tf.data.Dataset.from_tensor_slices((data[order], order)).batch(8).skip(skip).take(count)

    def made():
        with mirrored(replicas).scope():
            return compiled(build())

    whole = made()
    train(whole, batches, 8, 3, Checkpoints(tmp_path / "whole", whole))
    for steps in (4, 8):
        model = made()
        train(model, batches, steps, 3, Checkpoints(tmp_path / "parts", model))
    for ours, theirs in zip(model.variables, whole.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)


def test_what_cannot_be_built_is_told():
    for build, sentence in (
        (lambda: simclr(small_encoder(), temperature=0), "temperature is 0; it must be above 0"),
        (lambda: simclr(small_encoder(), dimensions=0), "dimensions is 0; it must be a whole number of at least 1"),
        (lambda: moco(small_encoder(), queue=0), "queue is 0; it must be a whole number of at least 1"),
        (lambda: moco(small_encoder(), momentum=1.0), "momentum is 1.0; it must be at least 0 and less than 1"),
    ):
        with pytest.raises(ValueError, match=sentence):
            build()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"queue": 12}, "queue is 12; it must be a multiple of a batch's 8"),
        ({"queue": 16, "groups": 3}, "groups is 3; it must divide a replica's 8 images of a batch"),
    ],
)
def test_a_batch_that_moco_cannot_take_is_told(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        compiled(moco(small_encoder(), 3, **settings)).train_step((views(), None))
