"""AlexNet: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012.

Deviations: the default input is 227x227, since the 224 the paper prints does not give its 55x55 maps by an 11x11/4
convolution alone. The authors' code lets the last windows of conv1 hang over the right and bottom edge; an input of
224 (or any other size) is zero-padded there in the same way. Layer conv5 is pooled without normalisation and the
response normalisation is the paper's formula with alpha = 1e-4; the authors' code divides alpha by n = 5.
"""

import keras

from keras_cnns.arguments import Shape, check_choice, check_classes, check_input_shape
from keras_cnns.layers import LocalResponseNormalization, OriginalDropout, Preprocessing, TowerConv2D


def alexnet(
    input_shape: Shape = (227, 227, 3), classes: int = 1000, two_towers: bool = True, name: str = "alexnet"
) -> keras.Model:
    """Return AlexNet: logits `(batch, classes)` in float32.

    Args:
        input_shape: (height, width, channels), RGB with the training set's mean subtracted; at least 64 pixels a side.
        classes: number of classes.
        two_towers: whether conv2, conv4 and conv5 see only the maps of their own tower, as on the paper's two GPUs
            (60,965,224 parameters); False joins the towers (62,378,344).

    Raises:
        ValueError: an input too small, no class, or a `two_towers` that is neither True nor False.

    Source: sections 3.5 (layers), 3.3 (response normalisation), 4.2 (dropout), 5 (initialisation).
    """
    check_input_shape(input_shape, smallest=64)
    check_classes(classes)
    check_choice("two_towers", two_towers, (True, False))
    towers = 2 if two_towers else 1

    def conv(x, filters, size, name, groups=1, bias=0, **kwargs):
        layer = TowerConv2D if groups > 1 else keras.layers.Conv2D
        weights = {"kernel_initializer": normal(), "bias_initializer": keras.initializers.Constant(bias)}
        return layer(filters, size, groups=groups, activation="relu", name=name, **weights, **kwargs)(x)

    def fully_connected(x, units, name, bias=0, **kwargs):
        weights = {"kernel_initializer": normal(), "bias_initializer": keras.initializers.Constant(bias)}
        return keras.layers.Dense(units, name=name, **weights, **kwargs)(x)

    def pool(x, name):
        return keras.layers.MaxPooling2D(3, strides=2, name=name)(x)

    def normalise(x, name):
        return LocalResponseNormalization(n=5, k=2, alpha=1e-4, beta=0.75, groups=towers, name=name)(x)

    image = x = keras.Input(input_shape, name="image")
    overhang = [(0, -(side - 11) % 4) for side in input_shape[:2]]
    if any(after for _, after in overhang):
        x = keras.layers.ZeroPadding2D(overhang, name="conv1_pad")(x)
    x = conv(x, 96, 11, "conv1", strides=4)  # 55x55x96
    x = pool(normalise(x, "norm1"), "pool1")  # 27x27x96
    x = conv(x, 256, 5, "conv2", groups=towers, bias=1, padding="same")  # 27x27x256
    x = pool(normalise(x, "norm2"), "pool2")  # 13x13x256
    x = conv(x, 384, 3, "conv3", padding="same")  # 13x13x384, sees both towers
    x = conv(x, 384, 3, "conv4", groups=towers, bias=1, padding="same")
    x = conv(x, 256, 3, "conv5", groups=towers, bias=1, padding="same")  # 13x13x256
    x = keras.layers.Flatten(name="flatten")(pool(x, "pool5"))  # 6x6x256
    x = OriginalDropout(0.5, name="drop6")(fully_connected(x, 4096, "fc6", bias=1, activation="relu"))
    x = OriginalDropout(0.5, name="drop7")(fully_connected(x, 4096, "fc7", bias=1, activation="relu"))
    logits = fully_connected(x, classes, "fc8", dtype="float32")
    return keras.Model(image, logits, name=name)


def preprocessing(mean=(123.68, 116.779, 103.939), size=227):
    """Return section 2's preprocessing: the shorter side brought to 256, the centre `size` cut out, minus the mean.

    The paper's mean is one a pixel of its training set and comes from there; the default is ImageNet's RGB mean.
    Errors: as in `Preprocessing`, such as a `size` above 256.
    """
    return Preprocessing(size, shorter_side=256, mean=mean)


def normal():
    """Weights ~ N(0, 0.01^2): section 5."""
    return keras.initializers.RandomNormal(stddev=0.01)
