"""FCN: Long, Shelhamer & Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015.

The padding of 100 pixels, which lets fc6's window fit on any image, and the crops that bring the labels back onto the
image are those of the released networks; the paper prints neither.

Deviations: all upsamplings learn until frozen. The paper fixes the last one at its bilinear start (here by
`model.get_layer("upscore8").trainable = False`) and learns those before it (section 4.3); the released nets fix all.
The released AlexNet trunk is Caffe's, which pools before it normalises; this one normalises first, as AlexNet's paper.
No GoogLeNet was released: here it keeps its own padding, its last upsampling has the kernel of AlexNet's, and the crop
follows from that.
"""

import keras

from keras_cnns.arguments import FreeShape, check_choice, check_classes, check_input_shape
from keras_cnns.classification.alexnet import normal
from keras_cnns.classification.googlenet import googlenet
from keras_cnns.classification.vgg import CONFIGURATIONS, FILTERS
from keras_cnns.layers import BilinearUpsampling, Crop, LocalResponseNormalization, OriginalDropout, TowerConv2D
from keras_cnns.layers.ceil_pooling import ceil_max_pooling


def fcn32s(
    input_shape: FreeShape = (None, None, 3),
    classes: int = 21,
    trunk: str = "vgg16",
    fc_filters: int = 4096,
    name: str = "fcn32s",
) -> keras.Model:
    """Return FCN-32s: logits `(batch, height, width, classes)` in float32, of the image's size.

    Args:
        input_shape: (height, width, channels), RGB with the training set's mean subtracted; None for any size, of which
            "googlenet", that is not padded by 100, wants at least 31 pixels.
        classes: number of labels, background among them.
        trunk: "vgg16" (136,152,917 parameters), "alexnet" or "googlenet", as in Table 1.
        fc_filters: of the layers fc6 and fc7, which "googlenet" lacks; fewer than the paper's 4096 only serve where no
            trained ones are at hand.

    Raises:
        ValueError: an unknown trunk, an input too small, or no class.

    Source: sections 4.1 (trunks, the last classifier layer replaced), 3.3 (upsampling), 4.3 (the score layers start at
    zero).
    """
    check_choice("trunk", trunk, tuple(TRUNKS))
    check_classes(classes)
    build, kernel, offset = TRUNKS[trunk]
    image, x, _ = build(input_shape, fc_filters)
    return finish(image, score(x, classes, "score_fr"), "upscore", 32, offset, name, kernel)


def fcn16s(
    input_shape: FreeShape = (None, None, 3),
    classes: int = 21,
    trunk: str = "vgg16",
    fc_filters: int = 4096,
    name: str = "fcn16s",
) -> keras.Model:
    """Return FCN-16s: `fcn32s` with pool4's scores added; 134,815,994 parameters.

    Arguments and errors: as in `fcn32s`, but the paper adds scores to VGG-16 alone. Source: section 4.2, Fig. 3.
    """
    check_choice("trunk", trunk, ("vgg16",))
    check_classes(classes)
    image, x, pools = vgg16_trunk(input_shape, fc_filters)
    x = add_scores(score(x, classes, "score_fr"), pools[4], "upscore2", "pool4", offset=5)
    return finish(image, x, "upscore16", 16, 27, name)


def fcn8s(
    input_shape: FreeShape = (None, None, 3),
    classes: int = 21,
    trunk: str = "vgg16",
    fc_filters: int = 4096,
    name: str = "fcn8s",
) -> keras.Model:
    """Return FCN-8s: `fcn16s` with pool3's scores added; 134,489,759 parameters.

    Arguments and errors: as in `fcn16s`. Source: section 4.2, Fig. 3.
    """
    check_choice("trunk", trunk, ("vgg16",))
    check_classes(classes)
    image, x, pools = vgg16_trunk(input_shape, fc_filters)
    x = add_scores(score(x, classes, "score_fr"), pools[4], "upscore2", "pool4", offset=5)
    x = add_scores(x, pools[3], "upscore_pool4", "pool3", offset=9)
    return finish(image, x, "upscore8", 8, 31, name)


def score(x, classes, name):
    """The logits of each place, zero at first."""
    return keras.layers.Conv2D(classes, 1, kernel_initializer="zeros", dtype="float32", name=name)(x)


def add_scores(x, pool, upsampling, name, offset):
    """Twice as large scores, and those of a finer map, cut to their size, added."""
    x = BilinearUpsampling(2, padding="valid", dtype="float32", name=upsampling)(x)
    finer = score(pool, x.shape[-1], f"score_{name}")
    finer = Crop(offset, dtype="float32", name=f"score_{name}c")(finer, x)
    return keras.layers.Add(dtype="float32", name=f"fuse_{name}")([x, finer])


def finish(image, x, upsampling, factor, offset, name, kernel=None):
    x = BilinearUpsampling(factor, kernel, "valid", dtype="float32", name=upsampling)(x)
    return keras.Model(image, Crop(offset, dtype="float32", name="score")(x, image), name=name)


# The trunks return the image, the last features, and the poolings by their number. Sizes are those of a 500x500 image.


def vgg16_trunk(input_shape, fc_filters):
    check_input_shape(input_shape, smallest=1, free=True)
    image = keras.Input(input_shape, name="image")
    x, pools, padding = keras.layers.ZeroPadding2D(100, name="conv1_1_pad")(image), {}, "valid"
    for stage, (filters, kernels) in enumerate(zip(FILTERS, CONFIGURATIONS["D"], strict=True), start=1):
        for i, kernel in enumerate(kernels, start=1):
            x = keras.layers.Conv2D(filters, kernel, padding=padding, activation="relu", name=f"conv{stage}_{i}")(x)
            padding = "same"
        x = pools[stage] = keras.layers.MaxPooling2D(2, padding="same", name=f"pool{stage}")(x)  # 349, 175, 88, 44, 22
    x = keras.layers.Conv2D(fc_filters, 7, activation="relu", name="fc6")(x)  # 16x16x4096
    x = keras.layers.Conv2D(fc_filters, 1, activation="relu", name="fc7")(keras.layers.Dropout(0.5, name="drop6")(x))
    return image, keras.layers.Dropout(0.5, name="drop7")(x), pools


def alexnet_trunk(input_shape, fc_filters):
    def conv(x, filters, size, name, layer=keras.layers.Conv2D, bias=0, **kwargs):
        weights = {"kernel_initializer": normal(), "bias_initializer": keras.initializers.Constant(bias)}
        return layer(filters, size, activation="relu", name=name, **weights, **kwargs)(x)

    def normalise(x, name):
        return LocalResponseNormalization(n=5, k=2, alpha=1e-4, beta=0.75, groups=2, name=name)(x)

    check_input_shape(input_shape, smallest=1, free=True)
    image = keras.Input(input_shape, name="image")
    x = keras.layers.ZeroPadding2D(100, name="conv1_pad")(image)
    x = conv(x, 96, 11, "conv1", strides=4)  # 173x173x96
    x = ceil_max_pooling(normalise(x, "norm1"), "pool1")  # 86x86x96
    x = conv(x, 256, 5, "conv2", TowerConv2D, bias=1, padding="same")
    x = ceil_max_pooling(normalise(x, "norm2"), "pool2")  # 43x43x256
    x = conv(x, 384, 3, "conv3", padding="same")
    x = conv(x, 384, 3, "conv4", TowerConv2D, bias=1, padding="same")
    x = conv(x, 256, 3, "conv5", TowerConv2D, bias=1, padding="same")
    x = conv(ceil_max_pooling(x, "pool5"), fc_filters, 6, "fc6", bias=1)  # 16x16x4096
    x = conv(OriginalDropout(0.5, name="drop6")(x), fc_filters, 1, "fc7", bias=1)
    return image, OriginalDropout(0.5, name="drop7")(x), {}


def googlenet_trunk(input_shape, fc_filters):
    """Up to the last pooling, which section 4.1 discards; it has no fully connected layers to count."""
    classifier = googlenet(input_shape, auxiliary_heads=False)
    x = classifier.get_layer("inception_5b_output").output  # 15x15x1024
    return classifier.input, keras.layers.Dropout(0.4, name="drop")(x), {}


# Trunk, the kernel of its 32x upsampling (an odd one where an even one would lie half a pixel off), and the crop.
TRUNKS = {"vgg16": (vgg16_trunk, 64, 19), "alexnet": (alexnet_trunk, 63, 18), "googlenet": (googlenet_trunk, 63, 1)}
