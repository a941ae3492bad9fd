"""RotNet: Gidaris et al., "Unsupervised Representation Learning by Predicting Image Rotations", ICLR 2018.

Deviations: none. The paper prints no widths; they are those of the release, whose CIFAR-10 network has four blocks.
"""

import keras

from keras_cnns.arguments import check_classes, check_count, check_input_shape
from keras_cnns.classification.blocks import batch_norm, max_pool, relu
from keras_cnns.layers import Preprocessing
from keras_cnns.self_supervised.encoder import check_encoder

# The three convolutions of a block: filters and kernel sizes.
FIRST = ((192, 5), (160, 1), (96, 1))
SECOND = ((192, 5), (192, 1), (192, 1))
OTHERS = ((192, 3), (192, 1), (192, 1))


def rotation(encoder: keras.Model | None = None, name: str = "rotation") -> keras.Model:
    """Return a network that tells by how much an image is turned, 0, 90, 180 or 270 degrees: logits `(batch, 4)`.

    It is trained on all four copies of each image, `keras_cnns.data.pretext.rotations`.

    Args:
        encoder: from images to features, such as `encoder_of(resnet_cifar(20))`; by default the paper's for CIFAR-10,
            `network_in_network()`, with which it has 1,411,140 parameters.

    Raises:
        ValueError: an encoder that does not end in features.

    Source: section 3.1.
    """
    encoder = encoder or network_in_network()
    check_encoder(encoder)
    return keras.Model(encoder.inputs[0], dense(encoder.output, 4, "rotation_logits"), name=name)


def network_in_network(blocks=4, input_shape=(32, 32, 3), name="network_in_network"):
    """Return the Network in Network of section 3.2, images to features `(batch, 192)`.

    Args:
        blocks: 3, 4 or 5 in the paper's Table 1, of three convolutions each.
        input_shape: (height, width, channels) with the training set's mean colour subtracted, divided by its deviation;
            at least 4 pixels a side.

    Raises:
        ValueError: fewer than 3 blocks, or an input too small.
    """
    check_count("blocks", blocks)
    if blocks < 3:
        raise ValueError(f"blocks is {blocks}; it must be at least 3.")
    check_input_shape(input_shape, smallest=4)
    image = keras.Input(input_shape, name="image")
    x = max_pool(block(image, FIRST, "Block1"), "Block1_MaxPool")  # 16x16x96
    x = average_pool(block(x, SECOND, "Block2"), "Block2_AvgPool")  # 8x8x192
    for number in range(3, blocks + 1):
        x = block(x, OTHERS, f"Block{number}")
    return keras.Model(image, keras.layers.GlobalAveragePooling2D(name="GlobalAveragePooling")(x), name=name)


def on_second_block(model, classes=10, name="rotnet_classifier"):
    """Return a classifier of three convolutions on the frozen maps of RotNet's second block: logits `(batch, classes)`.

    Args:
        model: a `rotation()` of the paper's network.

    Raises:
        ValueError: a model without that block, or no class.

    Source: section 3.2, "RotNet + conv."
    """
    check_classes(classes)
    names = [layer.name for layer in model.layers]
    if "Block2_AvgPool" not in names:
        raise ValueError(f"{model.name} has no layer Block2_AvgPool; it must be a network_in_network.")
    maps = keras.Model(model.inputs[0], model.get_layer("Block2_AvgPool").output)
    maps.trainable = False
    x = block(maps.output, OTHERS, "classifier")
    x = keras.layers.GlobalAveragePooling2D(name="classifier_pool")(x)
    wide = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
    logits = keras.layers.Dense(classes, kernel_initializer=wide, dtype="float32", name="classifier_logits")(x)
    return keras.Model(maps.inputs[0], logits, name=name)


def block(x, rows, name):
    """Convolutions without bias, each normalised before its activation; weights ~ N(0, 2 / fan_out)."""
    for number, (filters, size) in enumerate(rows, start=1):
        layer = f"{name}_ConvB{number}"
        weights = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
        x = keras.layers.Conv2D(
            filters, size, padding="same", use_bias=False, kernel_initializer=weights, name=f"{layer}_Conv"
        )(x)
        x = relu(batch_norm(x, f"{layer}_BatchNorm"), f"{layer}_ReLU")
    return x


def average_pool(x, name):
    """3x3 pooling with stride 2, padded by a pixel of zeros, which count in the mean as in Torch."""
    x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    return keras.layers.AveragePooling2D(3, strides=2, name=name)(x)


def dense(x, units, name):
    """A dense layer of logits with Torch's own start: weights even in +-1 / sqrt(width)."""
    weights = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    return keras.layers.Dense(units, kernel_initializer=weights, dtype="float32", name=name)(x)


def preprocessing(mean, deviation, size=32):
    """Return the release's preprocessing: the mean colour subtracted, the rest divided by its deviation.

    mean, deviation: arrays `(channels,)`. size: pixels a side. Errors: as in `Preprocessing`.
    """
    return Preprocessing(size, shorter_side=size, mean=mean, scale=(1 / deviation).tolist())
