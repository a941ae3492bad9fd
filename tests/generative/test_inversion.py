"""Inversion of linear generators, whose best z are known, and of a small DCGAN; what the adapted one keeps."""

import keras
import numpy as np
import pytest

from keras_cnns.generative import (
    dcgan_discriminator,
    dcgan_generator,
    gan_discriminator,
    intervene,
    invert,
    random_latents,
)
from keras_cnns.generative.inversion import interpolate, latent_encoder, train_encoder
from keras_cnns.generative.labelled import joint_generator

SMALL = {"size": 32, "base_filters": 4, "kernel_size": 4, "channels": 1}
rng = np.random.default_rng(0)
MATRIX = np.linalg.qr(rng.normal(size=(16, 3)))[0].T.astype("float32")  # orthonormal rows


def linear(matrix=MATRIX, shape=(4, 4, 1)):
    """G(z) = z A, as images."""
    z = keras.Input((len(matrix),))
    dense = keras.layers.Dense(matrix.shape[1], use_bias=False, kernel_initializer=lambda *_, **__: matrix)
    return keras.Model(z, keras.layers.Reshape(shape)(dense(z)))


def images_near(z, noise=0.1):
    return (z @ MATRIX).reshape(-1, 4, 4, 1) + noise * rng.normal(size=(len(z), 4, 4, 1)).astype("float32")


def test_a_linear_generators_z_is_that_of_least_squares():
    images = images_near(rng.uniform(-0.7, 0.7, (5, 3)).astype("float32"))
    found = invert(linear(), images, steps=300)
    flat = images.reshape(5, 16)
    z, squares, *_ = np.linalg.lstsq(MATRIX.T, flat.T, rcond=None)
    np.testing.assert_allclose(found.z, z.T, atol=1e-3)
    np.testing.assert_allclose(found.errors, squares / 16, rtol=1e-3)
    np.testing.assert_allclose(found.images.reshape(5, 16), z.T @ MATRIX, atol=1e-3)
    random = random_latents(5, 3, seed=0)
    np.testing.assert_allclose(found.random_errors, ((random @ MATRIX - flat) ** 2).mean(axis=1), rtol=1e-4)


def test_an_images_z_does_not_depend_on_the_others():
    images = images_near(rng.uniform(-0.7, 0.7, (4, 3)).astype("float32"))
    both, first = invert(linear(), images, steps=30), invert(linear(), images[:2], steps=30)
    np.testing.assert_allclose(both.z[:2], first.z, atol=1e-6)


def test_features_pull_z_by_their_weight():
    """G(z) = (z, z), the image (0, 1), the feature its first pixel: z^2 / 2 + (z - 1)^2 / 2 + w z^2 is least where
    z = 1 / (2 + 2 w)."""
    generator, image = linear(np.float32([[1, 1]]), (1, 2, 1)), np.float32([0, 1]).reshape(1, 1, 2, 1)
    dense = keras.layers.Dense(1, kernel_initializer=lambda *_, **__: np.float32([[1], [0]]))
    first = keras.Sequential([keras.Input((1, 2, 1)), keras.layers.Flatten(), dense])
    assert invert(generator, image, steps=300, features=first, weight=1.0).z == pytest.approx(0.25, abs=2e-3)


def alive():
    """A small DCGAN whose batch norm has seen some z, and whose images are not nearly grey as an untrained one's."""
    keras.utils.set_random_seed(0)
    generator = dcgan_generator(**SMALL)
    for _ in range(40):
        generator(rng.uniform(-1, 1, (32, 100)).astype("float32"), training=True)
    last = generator.get_layer("g4")
    last.kernel.assign(20 * last.kernel)
    return generator


@pytest.mark.slow
def test_a_dcgans_z_is_found_again_from_near_it():
    """The encoder is one that errs a little: it gives the true z moved."""
    generator = alive()
    z = rng.uniform(-0.8, 0.8, (2, 100)).astype("float32")
    images = generator(z).numpy()
    near = z + rng.uniform(-0.1, 0.1, z.shape).astype("float32")
    encoder = keras.Sequential([keras.Input((32, 32, 1)), keras.layers.Lambda(lambda _: keras.ops.array(near))])
    alone = invert(generator, images, encoder, steps=0)
    np.testing.assert_array_equal(alone.z, near)
    both = invert(generator, images, encoder, steps=200)
    assert np.abs(both.z - z).max() < 0.05 and (both.errors < 0.01 * alone.errors).all()
    assert (alone.errors < 0.1 * alone.random_errors).all()


def test_an_encoder_learns_the_inverse_of_a_linear_generator():
    images = images_near(rng.uniform(-0.7, 0.7, (64, 3)).astype("float32"), noise=0.0)
    start = keras.initializers.RandomNormal(0, 0.1, seed=0)
    dense = keras.layers.Dense(3, use_bias=False, kernel_initializer=start)
    encoder = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), dense])
    generator = linear()
    train_encoder(generator, encoder, [images] * 150, 150, rate=0.05)
    np.testing.assert_allclose(MATRIX @ dense.kernel.numpy(), np.eye(3), atol=1e-3)
    np.testing.assert_array_equal(generator.get_weights()[0], MATRIX)


@pytest.mark.slow
def test_the_adapted_generator_comes_nearer_and_the_given_one_stays():
    generator = alive()
    before = generator.get_weights()
    images = np.tanh(rng.normal(size=(2, 32, 32, 1))).astype("float32")
    fixed, adapted = (invert(generator, images, steps=5, adapt_steps=steps) for steps in (0, 60))
    assert fixed.generator is generator and adapted.generator is not generator
    np.testing.assert_array_equal(adapted.z, fixed.z)
    assert (adapted.errors < 0.9 * fixed.errors).all()
    np.testing.assert_allclose(adapted.generator(adapted.z), adapted.images, atol=1e-6)
    for old, new in zip(before, generator.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    edited = intervene(adapted.generator, "relu2", adapted.z, range(8))  # all units of its 8
    np.testing.assert_allclose(edited[0], edited[1], atol=1e-6)  # nothing of either image is left


def test_an_encoder_is_a_discriminator_with_another_last_layer():
    discriminator = dcgan_discriminator(**SMALL)
    encoder = latent_encoder(discriminator, 7)
    assert encoder.output_shape == (None, 7)
    # 4, 8 and 16 filters of 4x4 without bias, two batch norms, then 4x4x16 features to 7.
    assert encoder.count_params() == 16 * (4 + 4 * 8 + 8 * 16) + 4 * (8 + 16) + 256 * 7 + 7
    np.testing.assert_array_equal(encoder.get_layer("d2").kernel, discriminator.get_layer("d2").kernel)
    encoder.get_layer("d2").kernel.assign(0 * encoder.get_layer("d2").kernel)
    assert np.any(discriminator.get_layer("d2").kernel)


def test_between_two_images_lies_a_straight_line_of_z():
    ends = rng.uniform(-1, 1, (2, 3)).astype("float32")
    images = interpolate(linear(), *ends, count=3)
    np.testing.assert_allclose(images[1].ravel(), ends.mean(axis=0) @ MATRIX, atol=1e-6)
    np.testing.assert_allclose(images[[0, 2]].reshape(2, 16), ends @ MATRIX, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda g, x: invert(g, x[..., 0]),
            r"the images have the shape \(2, 4, 4\); .* makes \(batch, \*\(4, 4, 1\)\)",
        ),
        (lambda g, x: invert(g, x[:0]), r"the images have the shape \(0, 4, 4, 1\)"),
        (lambda g, x: invert(g, x.astype("uint8")), "the images are uint8; .* makes float32, such as -1 to 1"),
        (
            lambda g, x: invert(joint_generator(dcgan_generator(**{**SMALL, "channels": 3}), 2), x),
            "joint_dcgan_generator is no generator from z alone to images alone",
        ),
        (lambda g, x: invert(g, x, steps=-1), "steps are -1 and adapt_steps 0; they must be at least 0"),
        (lambda g, x: invert(g, x, encoder=linear()), r"the encoder gives \(4, 4, 1\); .* takes a z of \(3,\)"),
        (lambda g, x: train_encoder(g, encoder_of(3), [x], 2), "there are 1 batches of images; 2 are needed"),
        (lambda g, x: train_encoder(g, encoder_of(3), [x], 0), "steps is 0; it must be a whole number"),
        (lambda g, x: train_encoder(g, encoder_of(4), [x], 1), r"the encoder gives \(4,\)"),
        (
            lambda g, x: interpolate(g, [0.0] * 3, [0.0]),
            r"the z have the shapes \(3,\) and \(1,\); both must be \(3,\)",
        ),
        (lambda g, x: interpolate(g, [0.0] * 3, [1.0] * 3, 1), "count is 1; it must be at least 2"),
        (lambda g, x: latent_encoder(gan_discriminator()), "gan_discriminator has no LeakyReLU"),
    ],
)
def test_what_it_cannot_do_is_told(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(linear(), np.zeros((2, 4, 4, 1), "float32"))


def encoder_of(latent):
    return keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(latent)])
