"""Conditional and joint generators: what meets what, exact labels, their gradient, a step of the game with pairs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.export import export
from keras_cnns.generative import dcgan_discriminator, dcgan_generator
from keras_cnns.generative.labelled import conditional_generator, joint_generator, pair_discriminator
from keras_cnns.losses import discriminator_loss
from keras_cnns.training import AdversarialModel

SMALL = {"size": 32, "base_filters": 4, "kernel_size": 4}
LABELS = np.eye(10, dtype="float32")[[3, 1, 4]]


def uniform(shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


def test_a_conditional_generator_is_the_plain_one_of_z_and_label():
    plain = dcgan_generator(channels=1, **SMALL)
    model = conditional_generator(plain)
    z = uniform((3, 90))
    assert [each.shape for each in model.inputs] == [(None, 90), (None, 10)]
    np.testing.assert_array_equal(model([z, LABELS]), plain(np.concatenate([z, LABELS], axis=1)))
    assert model.count_params() == plain.count_params()


def image_is_z(size):
    """A generator whose image of one column is its z."""
    z = keras.Input((size,))
    return keras.Model(z, keras.layers.Reshape((size, 1, 1))(z))


def test_a_joint_generator_gives_a_label_of_z_and_the_image_of_both(save_and_load):
    model, z = joint_generator(image_is_z(16)), uniform((8, 6))
    logits = z @ model.get_layer("label_logits").kernel.numpy()
    images, labels = model(z)
    np.testing.assert_array_equal(labels, np.eye(10)[logits.argmax(axis=1)])
    np.testing.assert_array_equal(images[..., 0, 0], np.concatenate([z, labels], axis=1))
    for ours, again in zip((images, labels), save_and_load(model)(z), strict=True):
        np.testing.assert_array_equal(ours, again)


def test_the_gradient_of_a_joint_label_is_the_softmaxs():
    model = joint_generator(image_is_z(4), classes=2)
    model.get_layer("label_logits").set_weights([np.float32([[3, 1], [0, 2]]), np.zeros(2, "float32")])
    here = tf.constant([[0.5, 0.25]])
    with tf.GradientTape() as tape:
        tape.watch(here)
        first = model(here)[1][0, 0]
    p = 1 / (1 + np.exp(1.0 - 1.5))  # of logits 1.5 and 0.5 + 0.5
    np.testing.assert_allclose(tape.gradient(first, here)[0], p * (1 - p) * np.float32([2, -2]), rtol=1e-4)


def test_a_discriminator_of_pairs_sees_the_label_as_constant_maps():
    plain = dcgan_discriminator(channels=11, **SMALL)
    image = uniform((3, 32, 32, 1))
    maps = np.broadcast_to(LABELS[:, None, None], (3, 32, 32, 10))
    logits = pair_discriminator(plain)([image, LABELS])
    np.testing.assert_array_equal(logits, plain(np.concatenate([image, maps], axis=-1)))


@pytest.mark.parametrize("kind", ["conditional", "joint"])
def test_a_step_of_pairs(kind):
    """The discriminator is shown real images with their labels, generated ones with those given or made."""
    keras.utils.set_random_seed(0)
    generator = conditional_generator(dcgan_generator(channels=1, **SMALL))
    if kind == "joint":
        generator = joint_generator(dcgan_generator(channels=1, **SMALL))
    discriminator = pair_discriminator(dcgan_discriminator(channels=11, **SMALL))
    model = AdversarialModel(generator, discriminator)
    model.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3))
    images, z = uniform((3, 32, 32, 1)), model.latent(3, 0)
    if kind == "joint":
        fake = generator(z, training=True)
    else:
        fake = [generator([z, tf.constant(LABELS)], training=True), tf.constant(LABELS)]
    expected = discriminator_loss(
        discriminator([images, LABELS], training=True), discriminator(fake, training=True)
    )  # both normalise by the statistics of their batch
    before = [variable.numpy() for variable in generator.trainable_variables]
    given = tf.constant(LABELS)
    tested = model.figures([(tf.constant(images), tf.constant([3, 1, 4]))])
    z = tf.random.stateless_uniform((3, generator.inputs[0].shape[-1]), (0, -1), -1.0, 1.0)
    fake = generator(z, training=True) if kind == "joint" else [generator([z, given], training=True), given]
    score = np.mean(1 / (1 + np.exp(-discriminator(fake, training=True).numpy())))
    assert tested["fake"] == pytest.approx(score, rel=1e-4)
    figures = model.train_step((tf.constant(images), tf.constant([3, 1, 4])))
    assert float(figures["discriminator_loss"]) == pytest.approx(float(expected), rel=1e-5)
    moved = [np.any(old != new) for old, new in zip(before, generator.trainable_variables, strict=True)]
    assert all(moved)


def test_what_has_no_room_for_labels_is_told():
    generator, discriminator = dcgan_generator(channels=3, **SMALL), dcgan_discriminator(channels=3, **SMALL)
    with pytest.raises(ValueError, match="classes is 100; dcgan_generator's z of 100 has room for 1 to 99"):
        conditional_generator(generator, 100)
    with pytest.raises(ValueError, match="classes is 0; dcgan_generator's z of 100"):
        joint_generator(generator, 0)
    with pytest.raises(ValueError, match="dcgan_discriminator has 3 channels; 10 classes need at least 11"):
        pair_discriminator(discriminator)
    with pytest.raises(ValueError, match=r"images of \(32, 32, 1\) and \(10,\); the discriminator takes \(32, 32"):
        AdversarialModel(joint_generator(dcgan_generator(channels=1, **SMALL)), dcgan_discriminator(**SMALL))


def test_a_generator_of_labels_is_not_exported(tmp_path):
    model = conditional_generator(dcgan_generator(np.int64(32), base_filters=2, channels=1))
    with pytest.raises(ValueError, match="takes two inputs; a generator can be exported where it takes z alone"):
        export(model, tmp_path / "saved")
