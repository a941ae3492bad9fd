"""Context prediction: Doersch et al., "Unsupervised Visual Representation Learning by Context Prediction", ICCV 2015.

Deviations: the layers are the release's: conv2 has 256 filters with a stride of 1, conv3 to conv5, fc6 and fc7 are
normalised by the batch without gamma and beta, as section 3.1 asks for, and Xavier's weights are Caffe's.
"""

import keras

from keras_cnns.arguments import check_count, check_input_shape
from keras_cnns.layers import BatchNormalization, LocalResponseNormalization
from keras_cnns.layers.ceil_pooling import ceil_max_pooling
from keras_cnns.self_supervised.encoder import check_encoder


def context_prediction(
    encoder: keras.Model | None = None, width: int = 4096, name: str = "context_prediction"
) -> keras.Model:
    """Return a network that tells where a second patch lies beside a first one: logits `(batch, 8)` in float32.

    It takes `(batch, 2, height, width, channels)`, `keras_cnns.data.pretext.patch_pairs`; both patches go through the
    same encoder, and three dense layers see the features of the two.

    Args:
        encoder: from a patch to features, such as `encoder_of(resnet_cifar(20, input_shape=(8, 8, 3)))`; by default
            the paper's, `patch_trunk()`.
        width: of the two hidden layers.

    Raises:
        ValueError: an encoder that does not end in features, or no width.

    Source: section 3 and Fig. 3.
    """
    encoder = encoder or patch_trunk()
    check_encoder(encoder)
    check_count("width", width)
    shape = encoder.input_shape[1:]
    pair = keras.Input((2, *shape), name="patches")
    x = encoder(keras.ops.reshape(pair, (-1, *shape)))
    x = keras.ops.reshape(x, (-1, 2 * encoder.output_shape[-1]))
    x = relu(batch_norm(dense(x, width, "fc7"), "bn7"), "relu7")
    x = relu(dense(x, width, "fc8"), "relu8")
    return keras.Model(pair, dense(x, 8, "fc9", dtype="float32"), name=name)


def patch_trunk(input_shape=(96, 96, 3), name="patch_trunk"):
    """Return one of the two equal stacks, a patch to fc6's features `(batch, 4096)`: 13,163,776 parameters.

    Args:
        input_shape: (height, width, channels), as `patch_pairs` prepares patches; at least 33 pixels a side.

    Raises:
        ValueError: an input too small.
    """
    check_input_shape(input_shape, smallest=33)

    def conv(x, filters, size, name, strides=1):
        weights = {"kernel_initializer": xavier()}
        padding = "same"
        if strides > 1:
            x, padding = keras.layers.ZeroPadding2D(5, name=f"{name}_pad")(x), "valid"
        return keras.layers.Conv2D(filters, size, strides, padding, name=name, **weights)(x)

    def pool_and_normalise(x, number):
        x = ceil_max_pooling(x, f"pool{number}")
        return LocalResponseNormalization(n=5, k=1, alpha=2e-5, beta=0.75, name=f"norm{number}")(x)

    image = keras.Input(input_shape, name="patch")
    x = pool_and_normalise(relu(conv(image, 96, 11, "conv1", strides=4), "relu1"), 1)  # 24x24x96, 12x12x96
    x = pool_and_normalise(relu(conv(x, 256, 5, "conv2"), "relu2"), 2)  # 6x6x256
    for number, filters in ((3, 384), (4, 384), (5, 256)):
        x = relu(batch_norm(conv(x, filters, 3, f"conv{number}"), f"bn{number}"), f"relu{number}")
    x = keras.layers.Flatten(name="flatten")(ceil_max_pooling(x, "pool5"))  # 3x3x256
    x = relu(batch_norm(dense(x, 4096, "fc6"), "bn6"), "relu6")
    return keras.Model(image, x, name=name)


def dense(x, units, name, **kwargs):
    return keras.layers.Dense(units, kernel_initializer=xavier(), name=name, **kwargs)(x)


def batch_norm(x, name):
    """Caffe's: no gamma and no beta; of the statistics 0.999 is kept at each step."""
    return BatchNormalization(momentum=0.999, epsilon=1e-5, center=False, scale=False, name=name)(x)


def relu(x, name):
    return keras.layers.ReLU(name=name)(x)


def xavier():
    """Caffe's: even in +-sqrt(3 / fan_in)."""
    return keras.initializers.VarianceScaling(1.0, "fan_in", "uniform")
