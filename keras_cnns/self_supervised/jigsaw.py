"""Jigsaw puzzles: Noroozi & Favaro, "Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles", 2016.

Deviations: the context-free network is the release's, for Caffe: its response normalisation follows the pooling, with
k = 1 and alpha divided by n. The shared layers have the paper's numbers of filters.
"""

import keras

from keras_cnns.arguments import check_count, check_input_shape
from keras_cnns.layers import LocalResponseNormalization, TowerConv2D
from keras_cnns.layers.ceil_pooling import ceil_max_pooling
from keras_cnns.self_supervised.encoder import check_encoder


def jigsaw(
    encoder: keras.Model | None = None,
    permutations: int = 1000,
    tiles: int = 9,
    width: int = 4096,
    name: str = "jigsaw",
) -> keras.Model:
    """Return a network that tells how the tiles of an image were permuted: logits `(batch, permutations)` in float32.

    It takes `(batch, tiles, height, width, channels)`, `keras_cnns.data.pretext.jigsaw_puzzles`; every tile goes
    through the same encoder, and only the features of all of them together are put in order.

    Args:
        encoder: from a tile to features, such as `encoder_of(resnet_cifar(20, input_shape=(8, 8, 3)))`; by default
            the paper's, `context_free_trunk()`.
        permutations: how many there are to be told apart: 1,000 in the paper's last network, 100 in the release.
        tiles: of an image.
        width: of the layer that sees all tiles.

    Raises:
        ValueError: an encoder that does not end in features, or no permutation, tile or width.

    Source: section 3.2 and Fig. 3.
    """
    encoder = encoder or context_free_trunk()
    check_encoder(encoder)
    for argument, value in {"permutations": permutations, "tiles": tiles, "width": width}.items():
        check_count(argument, value)
    shape = encoder.input_shape[1:]
    puzzle = keras.Input((tiles, *shape), name="tiles")
    x = encoder(keras.ops.reshape(puzzle, (-1, *shape)))  # every tile by itself
    x = keras.ops.reshape(x, (-1, tiles * encoder.output_shape[-1]))
    x = keras.layers.Dropout(0.5, name="drop7")(dense(x, width, "fc7", 0.005, bias=1, activation="relu"))
    logits = dense(x, permutations, "fc8", 0.01, dtype="float32")
    return keras.Model(puzzle, logits, name=name)


def context_free_trunk(input_shape=(64, 64, 3), name="context_free_trunk"):
    """Return what the nine columns of the context-free network share: a tile to features `(batch, 1024)`.

    AlexNet's convolutions, conv1 with a stride of 2, and fc6: 4,694,400 parameters.

    Args:
        input_shape: (height, width, channels), each channel of a tile with mean 0 and deviation 1; at least 25 pixels
            a side.

    Raises:
        ValueError: an input too small.
    """
    check_input_shape(input_shape, smallest=25)

    def conv(x, filters, size, name, groups=1, bias=0, **kwargs):
        layer = TowerConv2D if groups > 1 else keras.layers.Conv2D
        start = {"kernel_initializer": normal(0.01), "bias_initializer": keras.initializers.Constant(bias)}
        return layer(filters, size, groups=groups, activation="relu", name=name, **start, **kwargs)(x)

    def pool_and_normalise(x, number):
        x = ceil_max_pooling(x, f"pool{number}")
        return LocalResponseNormalization(n=5, k=1, alpha=2e-5, beta=0.75, name=f"norm{number}")(x)

    image = keras.Input(input_shape, name="tile")
    x = pool_and_normalise(conv(image, 96, 11, "conv1", strides=2), 1)  # 27x27x96, 13x13x96
    x = pool_and_normalise(conv(x, 256, 5, "conv2", groups=2, bias=1, padding="same"), 2)  # 6x6x256
    x = conv(x, 384, 3, "conv3", padding="same")
    x = conv(x, 384, 3, "conv4", groups=2, bias=1, padding="same")
    x = conv(x, 256, 3, "conv5", groups=2, bias=1, padding="same")  # 6x6x256
    x = keras.layers.Flatten(name="flatten")(ceil_max_pooling(x, "pool5"))  # 3x3x256
    x = dense(x, 1024, "fc6", 0.005, bias=1, activation="relu")
    return keras.Model(image, keras.layers.Dropout(0.5, name="drop6")(x), name=name)


def dense(x, units, name, deviation, bias=0, **kwargs):
    """A dense layer with the release's start."""
    start = {"kernel_initializer": normal(deviation), "bias_initializer": keras.initializers.Constant(bias)}
    return keras.layers.Dense(units, name=name, **start, **kwargs)(x)


def normal(deviation):
    return keras.initializers.RandomNormal(stddev=deviation)
