"""Generators of three kinds: seed to image; seed and label to image; seed to image and label.

    conditional_generator(dcgan_generator(), classes), pair_discriminator(dcgan_discriminator(channels=3 + classes))
    joint_generator(dcgan_generator(), classes), and the same discriminator

The first is any generator. The second is Mirza & Osindero, "Conditional Generative Adversarial Nets", 2014, the third
learns p(x, y) as the first learns p(x). Both are played against a discriminator of pairs, by `AdversarialModel`. Labels
are one-hot vectors `(batch, classes)`.

Deviations: the conditional paper has dense networks, and brings z and the label through a layer each before they meet.
"""

import keras


def conditional_generator(generator: keras.Model, classes: int = 10) -> keras.Model:
    """Return a generator from z `(batch, latent - classes)` and labels: both are what the given one takes as its z.

    Raises:
        ValueError: a z that is too short for the labels.
    """
    latent = generator.inputs[0].shape[-1]
    if not 0 < classes < latent:
        raise ValueError(f"classes is {classes}; {generator.name}'s z of {latent} has room for 1 to {latent - 1}.")
    z, label = keras.Input((latent - classes,), name="z"), keras.Input((classes,), name="label")
    images = generator(keras.layers.Concatenate(name="z_label")([z, label]))
    return keras.Model([z, label], images, name=f"conditional_{generator.name}")


def joint_generator(generator: keras.Model, classes: int = 10) -> keras.Model:
    """Return a generator from z `(batch, latent - classes)` to (images, labels): p(x, y) = p(y) p(x | y).

    A linear layer of z, `label_logits`, gives the label, exactly one-hot as real ones are, with the gradient of the
    softmax; the given generator makes the image of z and that label, as a conditional one.

    Raises:
        ValueError: a z that is too short for the labels.
    """
    image_of = conditional_generator(generator, classes)
    z = keras.Input(image_of.inputs[0].shape[1:], name="z")
    logits = keras.layers.Dense(classes, name="label_logits")(z)
    softmax = keras.ops.softmax(logits)
    hard = keras.ops.one_hot(keras.ops.argmax(logits, axis=-1), classes)
    label = softmax + keras.ops.stop_gradient(hard - softmax)
    return keras.Model(z, [image_of([z, label]), label], name=f"joint_{generator.name}")


def pair_discriminator(discriminator: keras.Model, classes: int = 10) -> keras.Model:
    """Return a discriminator of images `(batch, height, width, channels)` with labels, to logits `(batch, 1)`.

    To the given one, which takes `classes` channels more, a label is as many constant maps.

    Raises:
        ValueError: no channel left for the image.
    """
    *sides, channels = discriminator.inputs[0].shape[1:]
    if not 0 < classes < channels:
        raise ValueError(
            f"{discriminator.name} has {channels} channels; {classes} classes need at least {classes + 1}."
        )
    image, label = keras.Input((*sides, channels - classes), name="image"), keras.Input((classes,), name="label")
    maps = keras.ops.ones_like(image[..., :1]) * keras.ops.reshape(label, (-1, 1, 1, classes))
    logits = discriminator(keras.layers.Concatenate(name="image_label")([image, maps]))
    return keras.Model([image, label], logits, name=f"pair_{discriminator.name}")
