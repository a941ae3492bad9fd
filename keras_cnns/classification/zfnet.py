"""ZFNet: Zeiler & Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, Fig. 3.

AlexNet in one tower, with 7x7/2 in place of 11x11/4 in conv1 and stride 2 in conv2, found by looking at what its layers
see (section 4.1).

Deviations: none known. What the paper leaves open is set as follows. Its 110x110, 55x55, 26x26 and 13x13 maps need one
pixel of padding around the image, none in conv2, and poolings whose last window may hang over the edge. The constants
of the contrast normalisation are AlexNet's. "All weights are initialized to 10^-2" is read as a normal distribution of
that standard deviation, since equal weights would never part. Scaling back filters whose RMS exceeds 0.1 is a step of
the training.
"""

import keras

from keras_cnns.arguments import Shape, check_classes, check_input_shape
from keras_cnns.layers import LocalResponseNormalization, OriginalDropout, Preprocessing
from keras_cnns.layers.ceil_pooling import ceil_max_pooling


def zfnet(input_shape: Shape = (224, 224, 3), classes: int = 1000, name: str = "zfnet") -> keras.Model:
    """Return ZFNet: logits `(batch, classes)` in float32; 62,357,608 parameters.

    Args:
        input_shape: (height, width, channels), RGB with the training set's mean subtracted; at least 47 pixels a side.
        classes: number of classes.

    Raises:
        ValueError: an input too small, or no class.

    Source: Fig. 3 (layers, the order pooling then contrast normalisation), section 3 (dropout of Hinton et al., 2012,
    which scales at test time; initialisation).
    """
    check_input_shape(input_shape, smallest=47)  # 47, 22, 11, 4, 2, 1
    check_classes(classes)

    def fully_connected(x, units, name, **kwargs):
        return keras.layers.Dense(units, kernel_initializer=normal(), name=name, **kwargs)(x)

    image = keras.Input(input_shape, name="image")
    x = convolutions(image)
    x = keras.layers.Flatten(name="flatten")(ceil_max_pooling(x, "pool5"))  # 6x6x256
    x = OriginalDropout(0.5, name="drop6")(fully_connected(x, 4096, "fc6", activation="relu"))
    x = OriginalDropout(0.5, name="drop7")(fully_connected(x, 4096, "fc7", activation="relu"))
    logits = fully_connected(x, classes, "fc8", dtype="float32")
    return keras.Model(image, logits, name=name)


def convolutions(image):
    """conv5 of an image; SPPNet has the same. Sizes are those of a 224x224 image."""

    def conv(x, filters, size, name, **kwargs):
        kwargs |= {"activation": "relu", "kernel_initializer": normal(), "name": name}
        return keras.layers.Conv2D(filters, size, **kwargs)(x)

    def normalise(x, name):
        return LocalResponseNormalization(n=5, k=2, alpha=1e-4, beta=0.75, name=name)(x)

    x = keras.layers.ZeroPadding2D(1, name="conv1_pad")(image)
    x = conv(x, 96, 7, "conv1", strides=2)  # 110x110x96
    x = normalise(ceil_max_pooling(x, "pool1"), "norm1")  # 55x55x96
    x = conv(x, 256, 5, "conv2", strides=2)  # 26x26x256
    x = normalise(ceil_max_pooling(x, "pool2"), "norm2")  # 13x13x256
    x = conv(x, 384, 3, "conv3", padding="same")
    x = conv(x, 384, 3, "conv4", padding="same")
    return conv(x, 256, 3, "conv5", padding="same")  # 13x13x256


def preprocessing(mean=(123.68, 116.779, 103.939), size=224):
    """Return section 3's preprocessing: the centre `size` of a shorter side of 256, the mean subtracted.

    The paper's mean is one a pixel of its training set and comes from there; the default is ImageNet's RGB mean.
    Errors: as in `Preprocessing`, such as a `size` above 256.
    """
    return Preprocessing(size, shorter_side=256, mean=mean)


def normal():
    """Weights ~ N(0, 0.01^2); biases start at 0: section 3."""
    return keras.initializers.RandomNormal(stddev=0.01)
