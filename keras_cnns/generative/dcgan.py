"""DCGAN: Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks", ICLR 2016.

By default the paper's networks, Fig. 1: 5x5 kernels, 1024 to 128 filters. `base_filters=64, kernel_size=4` are those of
the authors' Torch release (dcgan.torch), which most use; its first and last layers are convolutions of a 1x1 map, the
same arithmetic as the paper's fully connected ones.

Deviations: batch normalisation behind the projection is per channel, as Keras ports have it; the authors' Theano
release normalises each of its 16,384 units by itself. 5x5 kernels are padded by 1 before and 2 after, where that
release has 2 and 1: its mirror image. The paper starts all weights at N(0, 0.02^2); as in both releases, scales of
batch normalisation start at N(1, 0.02^2), and convolutions have no bias.
"""

import keras

from keras_cnns.arguments import check_choice, check_count
from keras_cnns.layers import BatchNormalization

LATENT = 100
LAYERS = {32: 3, 64: 4}  # that double the sides of the first 4x4 map, by the size of the images
KERNELS = 4, 5


def dcgan_generator(
    size: int = 64, base_filters: int = 128, kernel_size: int = 5, channels: int = 3, name: str = "dcgan_generator"
) -> keras.Model:
    """Return the generator: from z `(batch, 100)`, uniform in -1 to 1, to images `(batch, size, size, channels)`.

    The images are in -1 to 1, float32. 18,855,040 parameters by default; 3,576,704 with 64 filters and 4x4 kernels.

    Args:
        size: of the images: 64 pixels, or 32 with one layer less.
        base_filters: of the last layer but one; each layer before has twice as many.
        kernel_size: 5, or 4.
        channels: of the images.

    Raises:
        ValueError: another size or kernel, or no filter or channel.

    Source: section 4 and Fig. 1.
    """
    check(size, base_filters, kernel_size, channels)
    layers = LAYERS[size]
    filters = base_filters * 2 ** (layers - 1)
    z = keras.Input((LATENT,), name="z")
    if kernel_size == 4:
        x = keras.layers.Reshape((1, 1, LATENT), name="z_map")(z)
        x = deconv(x, filters, 4, "g1", strides=1, padding="valid")
    else:
        x = keras.layers.Dense(4 * 4 * filters, use_bias=False, kernel_initializer=normal(), name="project")(z)
        x = keras.layers.Reshape((4, 4, filters), name="reshape")(x)
    x = relu(batch_norm(x, "bn1"), "relu1")
    for number in range(2, layers + 1):
        x = deconv(x, filters // 2 ** (number - 1), kernel_size, f"g{number}")
        x = relu(batch_norm(x, f"bn{number}"), f"relu{number}")
    x = deconv(x, channels, kernel_size, f"g{layers + 1}")
    images = keras.layers.Activation("tanh", dtype="float32", name="tanh")(x)
    return keras.Model(z, images, name=name)


def dcgan_discriminator(
    size: int = 64, base_filters: int = 128, kernel_size: int = 5, channels: int = 3, name: str = "dcgan_discriminator"
) -> keras.Model:
    """Return the discriminator: from images `(batch, size, size, channels)`, in -1 to 1, to logits `(batch, 1)`.

    They are float32. 17,232,768 parameters by default; 2,765,568 with 64 filters and 4x4 kernels. Arguments as in
    `dcgan_generator`; base_filters are the first layer's, and each layer after it has twice as many.

    Raises:
        ValueError: another size or kernel, or no filter or channel.

    Source: section 3.
    """
    check(size, base_filters, kernel_size, channels)
    layers = LAYERS[size]
    image = x = keras.Input((size, size, channels), name="image")
    for number in range(1, layers + 1):
        x = conv(x, base_filters * 2 ** (number - 1), kernel_size, f"d{number}", strides=2, padding="same")
        if number > 1:
            x = batch_norm(x, f"bn{number}")
        x = keras.layers.LeakyReLU(0.2, name=f"lrelu{number}")(x)
    if kernel_size == 4:
        x = conv(x, 1, 4, f"d{layers + 1}", dtype="float32")
        logits = keras.layers.Flatten(dtype="float32", name="flatten")(x)
    else:
        x = keras.layers.Flatten(name="flatten")(x)
        logits = keras.layers.Dense(1, use_bias=False, kernel_initializer=normal(), dtype="float32", name="fc")(x)
    return keras.Model(image, logits, name=name)


def check(size, base_filters, kernel_size, channels):
    check_choice("size", size, tuple(LAYERS))
    check_count("base_filters", base_filters)
    check_choice("kernel_size", kernel_size, KERNELS)
    check_count("channels", channels)


def normal(mean=0.0):
    return keras.initializers.RandomNormal(mean, 0.02)


def conv(x, filters, size, name, **kwargs):
    return keras.layers.Conv2D(filters, size, use_bias=False, kernel_initializer=normal(), name=name, **kwargs)(x)


def deconv(x, filters, size, name, strides=2, padding="same"):
    layer = keras.layers.Conv2DTranspose(
        filters, size, strides, padding, use_bias=False, kernel_initializer=normal(), name=name
    )
    return layer(x)


def batch_norm(x, name):
    return BatchNormalization(momentum=0.9, epsilon=1e-5, gamma_initializer=normal(1.0), name=name)(x)


def relu(x, name):
    return keras.layers.ReLU(name=name)(x)
