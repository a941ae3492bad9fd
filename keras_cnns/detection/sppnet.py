"""SPPNet: He et al., "Spatial Pyramid Pooling in Deep Convolutional Networks for Visual Recognition", PAMI 2015.

The network is the paper's ZF-5, ZFNet with its last pooling replaced by a pyramid of 6x6, 3x3, 2x2 and 1x1 bins.

Deviations: the layers are those of ZFNet's paper, which normalises across maps and after pooling; the released network
normalises within each map and before pooling. Initialisation is ZFNet's; the paper does not print its own.
"""

import keras
import tensorflow as tf

from keras_cnns.arguments import check_classes, check_input_shape
from keras_cnns.classification.zfnet import convolutions, normal
from keras_cnns.layers import OriginalDropout, SpatialPyramidPooling
from keras_cnns.ops.boxes import corners

STRIDE = 16  # pixels of the image from a cell of conv5 to the next
FIRST = 20.5  # where the middle of the first cell's receptive field lies, from the image's border


def sppnet(input_shape=(224, 224, 3), classes=1000, levels=(6, 3, 2, 1), name="sppnet"):
    """Return SPPNet as a classifier: logits `(batch, classes)` in float32; 77,037,672 parameters.

    Args:
        input_shape: (height, width, channels), RGB with the training set's mean subtracted, at least 31 pixels a side;
            None for any size.
        classes: number of classes.
        levels: bins a side of each level of the pyramid: these are the paper's 50 bins, (4, 3, 2, 1) its 30.

    Raises:
        ValueError: an input too small, or no class.

    Source: sections 2.3 (pyramid), 3.1 (ZF-5), Table 1.
    """
    check_classes(classes)
    image, x = trunk(input_shape)
    x = SpatialPyramidPooling(levels, name="spp")(x)
    return keras.Model(image, fully_connected(x, classes), name=name)


def sppnet_detector(input_shape=(None, None, 3), classes=20, levels=(6, 3, 2, 1), name="sppnet_detector"):
    """Return SPPNet as a detector: from an image and windows, logits `(batch, windows, classes + 1)` in float32.

    Class 0 is the background, and class k of the data set is k + 1; 73,026,709 parameters with 20 classes. Layers have
    the classifier's names. Inputs are `image` and `windows`, `(batch, windows, 4)`, the cells of conv5 that
    `window_cells` gives for boxes. Arguments and errors: as `sppnet`. Source: section 4.
    """
    check_classes(classes)
    image, x = trunk(input_shape)
    windows = keras.Input((None, 4), dtype="int32", name="windows")
    x = SpatialPyramidPooling(levels, name="spp")(x, windows)
    return keras.Model([image, windows], fully_connected(x, classes + 1), name=name)


def trunk(input_shape):
    """The image and conv5."""
    check_input_shape(input_shape, smallest=31, free=True)  # 31, 14, 7, 2, 1
    image = keras.Input(input_shape, name="image")
    return image, convolutions(image)


def fully_connected(x, units):
    for number in (6, 7):
        x = keras.layers.Dense(4096, activation="relu", kernel_initializer=normal(), name=f"fc{number}")(x)
        x = OriginalDropout(0.5, name=f"drop{number}")(x)
    return keras.layers.Dense(units, kernel_initializer=normal(), dtype="float32", name="fc8")(x)


def window_cells(boxes, size):
    """Return the cells of conv5 that belong to boxes: (x1, y1, x2, y2), int32, the ends exclusive, of `(..., 4)`.

    Those whose receptive field has its middle inside of the box; of a box that has none, the nearest.

    Args:
        boxes: in pixels of the image that the network sees.
        size: (rows, columns) of conv5.

    Source: appendix A.
    """
    x1, y1, x2, y2 = ((corner - FIRST) / STRIDE for corner in corners(boxes))
    rows, columns = size

    def inside(start, end, cells):
        first, after = tf.floor(start) + 1, tf.math.ceil(end)
        nearest = tf.round((start + end) / 2)
        first, after = tf.where(after > first, first, nearest), tf.where(after > first, after, nearest + 1)
        first = tf.clip_by_value(tf.cast(first, tf.int32), 0, cells - 1)
        return first, tf.clip_by_value(tf.cast(after, tf.int32), first + 1, cells)

    (left, right), (top, bottom) = inside(x1, x2, columns), inside(y1, y2, rows)
    return tf.stack([left, top, right, bottom], axis=-1)
