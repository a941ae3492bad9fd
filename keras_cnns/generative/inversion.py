"""GAN inversion: a z whose image comes near a given one, found by optimisation, by an encoder, or by both; and then the
generator itself adapted to the image.

Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold" (iGAN), ECCV 2016; for the adapted generator
Bau et al., "Semantic Photo Manipulation with a Generative Image Prior", SIGGRAPH 2019.

    found = invert(generator, images, encoder=encoder, adapt_steps=100)
    between = interpolate(found.generator, found.z[0], found.z[1])
    edited = intervene(found.generator, "relu3", found.z, units)  # of `dissection`

Deviations: Adam, whose rate falls along a cosine, where iGAN has L-BFGS; the features are those of the network that the
caller gives, in iGAN AlexNet's conv4. All weights of the adapted generator move; Bau et al. perturb its last layers.
"""

import itertools
from collections.abc import Callable, Iterable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from keras_cnns.arguments import check_count
from keras_cnns.generative.sampling import random_latents

FEATURES = 0.002  # iGAN's weight of the distance in features
# Adam's, of z, of an encoder, and of a generator, whose images of other z a large one would spoil.
Z_RATE, ENCODER_RATE, GENERATOR_RATE = 0.05, 1e-3, 3e-4
INSIDE = 0.999  # z starts at most here, so that it can move


class Inversion(NamedTuple):
    """Images found again."""

    z: np.ndarray  # (batch, latent), in -1 to 1
    images: np.ndarray  # (batch, height, width, channels): what the generator makes of z
    errors: np.ndarray  # (batch,): mean squared difference of a pixel from the images given
    random_errors: np.ndarray  # (batch,): the same of a random z and the generator as it was
    generator: keras.Model  # the one given, or its adapted copy


def invert(
    generator: keras.Model,
    images: np.ndarray | tf.Tensor,
    encoder: keras.Model | None = None,
    steps: int = 500,
    adapt_steps: int = 0,
    features: Callable | None = None,
    weight: float = FEATURES,
    seed: int = 0,
) -> Inversion:
    """Return the `Inversion` of a batch of images. With progress.

    z starts at the encoder's, or at random, and takes `steps` down the squared distance of the pixels, and of the
    features where a network for these is given; it stays in -1 to 1 as the tanh of what moves. An image's z does not
    depend on the others. Then a copy of the generator takes `adapt_steps` towards all images of the batch together, z
    fixed; its batch normalisation keeps its statistics.

    Args:
        generator: from z to images.
        images: `(batch, height, width, channels)`, as the generator makes them: in -1 to 1 of a DCGAN.
        encoder: from images to z, such as a `latent_encoder` that `train_encoder` has taught.
        steps: of z; 0 leaves it as the encoder has it.
        adapt_steps: of the generator's weights.
        features: from images to features, of any shape.
        weight: of their squared distance.
        seed: of the random z.

    Raises:
        ValueError: images that the generator does not make, or of whole numbers; steps below 0; an encoder that gives
            no z; a generator that takes more than z, or makes more than images.

    Source: iGAN, section 4, equations 2 to 4.
    """
    latent = check_encoder(generator, encoder)
    images = check_images(generator, images)
    if min(steps, adapt_steps) < 0:
        raise ValueError(f"steps are {steps} and adapt_steps {adapt_steps}; they must be at least 0.")
    random = random_latents(len(images), latent, seed)
    random_errors = pixel_errors(generator(random, training=False), images).numpy()
    start = random if encoder is None else encoder(images, training=False).numpy()
    z = tf.constant(start)
    wanted = None if features is None else features(images, training=False)

    def distances(made):
        """Of each image."""
        found = pixel_errors(made, images)
        if features is not None:
            found += weight * pixel_errors(features(made, training=False), wanted)
        return found

    if steps:
        free = keras.Variable(np.arctanh(INSIDE * np.clip(start, -1, 1)))
        loss = lambda: tf.reduce_sum(distances(generator(tf.tanh(free.value), training=False)))
        descend(loss, [free], itertools.repeat((), steps), Z_RATE, steps, "z")
        z = tf.tanh(free.value)
    if adapt_steps:
        generator = copy_of(generator)
        loss = lambda: tf.reduce_mean(distances(generator(z, training=False)))
        weights = generator.trainable_variables
        descend(loss, weights, itertools.repeat((), adapt_steps), GENERATOR_RATE, adapt_steps, "generator")
    made = generator(z, training=False)
    return Inversion(z.numpy(), made.numpy(), pixel_errors(made, images).numpy(), random_errors, generator)


def latent_encoder(discriminator: keras.Model, latent: int = 100) -> keras.Model:
    """Return an encoder from images to z `(batch, latent)` in -1 to 1: a DCGAN discriminator with another last layer.

    It starts at a copy of the discriminator's weights.

    Raises:
        ValueError: a network without LeakyReLU, in front of whose last layer DCGAN has one; no latent number.
    """
    check_count("latent", latent)
    hidden = [layer for layer in discriminator.layers if isinstance(layer, keras.layers.LeakyReLU)]
    if not hidden:
        raise ValueError(f"{discriminator.name} has no LeakyReLU; a DCGAN's discriminator is needed.")
    body = copy_of(keras.Model(discriminator.inputs[0], hidden[-1].output))
    features = keras.layers.Flatten(name="flatten")(body.output)
    z = keras.layers.Dense(latent, activation="tanh", dtype="float32", name="z")(features)
    return keras.Model(body.inputs[0], z, name="latent_encoder")


def train_encoder(
    generator: keras.Model, encoder: keras.Model, batches: Iterable, steps: int, rate: float = ENCODER_RATE
) -> None:
    """Teach an encoder to give each real image the z whose image is nearest to it, in squared pixels. With progress.

    Args:
        generator: from z to images; it stays as it is.
        encoder: from images to z.
        batches: an iterable of at least `steps` batches of images, in -1 to 1 of a DCGAN.
        rate: Adam's; it falls along a cosine.

    Raises:
        ValueError: an encoder that gives no z, images that the generator does not make, no step, or too few batches.

    Source: iGAN, section 4, equation 3.
    """
    check_encoder(generator, encoder)
    check_count("steps", steps)

    def loss(images):
        made = generator(encoder(images, training=True), training=False)
        return tf.reduce_mean(pixel_errors(made, images))

    batches = ((check_images(generator, each),) for each in itertools.islice(batches, steps))
    taken = descend(loss, encoder.trainable_variables, batches, rate, steps, "encoder")
    if taken < steps:
        raise ValueError(f"there are {taken} batches of images; {steps} are needed.")


def interpolate(generator: keras.Model, first: np.ndarray, second: np.ndarray, count: int = 8) -> np.ndarray:
    """Return `(count, height, width, channels)`: the images on the straight line from one z `(latent,)` to another.

    Raises:
        ValueError: fewer than 2 images, z of another length, or a generator that takes more.
    """
    latent = latent_of(generator)
    if np.shape(first) != (latent,) or np.shape(second) != (latent,):
        raise ValueError(f"the z have the shapes {np.shape(first)} and {np.shape(second)}; both must be ({latent},).")
    if count < 2:
        raise ValueError(f"count is {count}; it must be at least 2, the two ends.")
    return generator(np.linspace(first, second, count, dtype="float32"), training=False).numpy()


def latent_of(generator):
    """The length of z, or `ValueError`."""
    if len(generator.inputs) > 1 or len(generator.outputs) > 1:
        raise ValueError(f"{generator.name} is no generator from z alone to images alone; its inner one may be.")
    return generator.inputs[0].shape[-1]


def check_encoder(generator, encoder):
    latent = latent_of(generator)
    if encoder is not None and encoder.outputs[0].shape[1:] != (latent,):
        given = tuple(encoder.outputs[0].shape[1:])
        raise ValueError(f"the encoder gives {given}; {generator.name} takes a z of ({latent},).")
    return latent


def check_images(generator, images):
    images, made = tf.convert_to_tensor(images), tuple(generator.outputs[0].shape[1:])
    if tuple(images.shape[1:]) != made or not len(images):
        raise ValueError(f"the images have the shape {tuple(images.shape)}; {generator.name} makes (batch, *{made}).")
    if not images.dtype.is_floating:
        raise ValueError(f"the images are {images.dtype.name}; {generator.name} makes float32, such as -1 to 1.")
    return tf.cast(images, tf.float32)


def copy_of(model):
    """The same network with weights of its own."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def pixel_errors(images, others):
    """Mean squared difference of each image, or each image's features: `(batch,)`."""
    squares = (tf.cast(images, tf.float32) - tf.cast(others, tf.float32)) ** 2
    return tf.reduce_mean(tf.reshape(squares, (tf.shape(squares)[0], -1)), axis=1)


def descend(loss, variables, batches, rate, steps, what):
    """Take a step of Adam for each batch, the arguments of the loss; the number of steps taken."""
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps))
    optimizer.build(variables)

    @tf.function
    def step(*batch):
        with tf.GradientTape() as tape:
            value = loss(*batch)
        optimizer.apply(tape.gradient(value, [each.value for each in variables]), variables)
        return value

    taken = 0
    with tqdm(batches, desc=what, total=steps, unit="step") as bar:
        for batch in bar:
            value = step(*batch)
            taken += 1
            if taken % 20 == 0:
                bar.set_postfix(loss=f"{float(value):.4f}")
    return taken
