"""SPPNet: He et al., "Spatial Pyramid Pooling in Deep Convolutional Networks for Visual Recognition", PAMI 2015.

The network is the paper's ZF-5, ZFNet with its last pooling replaced by a pyramid of 6x6, 3x3, 2x2 and 1x1 bins.

Deviations: the layers are those of ZFNet's paper, which normalises across maps and after pooling; the released network
normalises within each map and before pooling. Initialisation is ZFNet's; the paper does not print its own.
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.arguments import FreeShape, check_classes, check_input_shape
from keras_cnns.classification.zfnet import convolutions, normal
from keras_cnns.layers import OriginalDropout, SpatialPyramidPooling
from keras_cnns.ops import spatial_pyramid_pool
from keras_cnns.ops.boxes import corners

SCALES = (480, 576, 688, 864, 1200)  # pixels of the shorter side: section 4.1
WINDOW = 224  # pixels a side of the windows that the network was trained on
STRIDE = 16  # pixels of the image from a cell of conv5 to the next
FIRST = 20.5  # where the middle of the first cell's receptive field lies, from the image's border


def sppnet(
    input_shape: FreeShape = (224, 224, 3),
    classes: int = 1000,
    levels: Sequence[int] = (6, 3, 2, 1),
    name: str = "sppnet",
) -> keras.Model:
    """Return SPPNet as a classifier: logits `(batch, classes)` in float32; 77,037,672 parameters.

    Args:
        input_shape: (height, width, channels), RGB with the training set's mean subtracted, at least 31 pixels a side;
            None for any size.
        classes: number of classes.
        levels: bins a side of each level of the pyramid: these are the paper's 50 bins, (4, 3, 2, 1) its 30.

    Raises:
        ValueError: an input too small, no class, no level, or one without a bin.

    Source: sections 2.3 (pyramid), 3.1 (ZF-5), Table 1.
    """
    check_classes(classes)
    image, x = trunk(input_shape)
    x = SpatialPyramidPooling(levels, name="spp")(x)
    return keras.Model(image, fully_connected(x, classes, "fc8"), name=name)


def sppnet_detector(
    input_shape: FreeShape = (None, None, 3),
    classes: int = 20,
    levels: Sequence[int] = (6, 3, 2, 1),
    name: str = "sppnet_detector",
) -> keras.Model:
    """Return SPPNet as a detector: from an image and windows, logits `(batch, windows, classes + 1)` in float32.

    Class 0 is the background, and class k of the data set is k + 1; 73,026,709 parameters with 20 classes. Layers have
    the classifier's names, but for the last, so that `load_layers` takes the others from it. Inputs are `image` and
    `windows`, `(batch, windows, 4)`, the cells of conv5 that `window_cells` gives for boxes.

    Arguments and errors: as `sppnet`. Source: section 4.
    """
    check_classes(classes)
    image, x = trunk(input_shape)
    windows = keras.Input((None, 4), dtype="int32", name="windows")
    x = SpatialPyramidPooling(levels, name="spp")(x, windows)
    return keras.Model([image, windows], fully_connected(x, classes + 1, "fc8_pascal"), name=name)


def trunk(input_shape):
    """The image and conv5."""
    check_input_shape(input_shape, smallest=31, free=True)  # 31, 14, 7, 2, 1
    image = keras.Input(input_shape, name="image")
    return image, convolutions(image)


def fully_connected(x, units, last):
    for number in (6, 7):
        x = keras.layers.Dense(4096, activation="relu", kernel_initializer=normal(), name=f"fc{number}")(x)
        x = OriginalDropout(0.5, name=f"drop{number}")(x)
    return keras.layers.Dense(units, kernel_initializer=normal(), dtype="float32", name=last)(x)


def window_cells(boxes, size, first=FIRST):
    """Return the cells of conv5 that belong to boxes: (x1, y1, x2, y2), int32, the ends exclusive, of `(..., 4)`.

    Those whose receptive field has its middle inside of the box; of a box that has none, the nearest.

    Args:
        boxes: in pixels of the image that the network sees.
        size: (rows, columns) of conv5.
        first: the pixel at which the first cell's receptive field has its middle; by default that of this network.

    Source: appendix A.
    """
    x1, y1, x2, y2 = ((corner - first) / STRIDE for corner in corners(boxes))
    rows, columns = size

    def inside(start, end, cells):
        first, after = tf.floor(start) + 1, tf.math.ceil(end)
        nearest = tf.round((start + end) / 2)
        first, after = tf.where(after > first, first, nearest), tf.where(after > first, after, nearest + 1)
        first = tf.clip_by_value(tf.cast(first, tf.int32), 0, cells - 1)
        return first, tf.clip_by_value(tf.cast(after, tf.int32), first + 1, cells)

    (left, right), (top, bottom) = inside(x1, x2, columns), inside(y1, y2, rows)
    return tf.stack([left, top, right, bottom], axis=-1)


def nearest_scale(boxes, size, scales=SCALES):
    """Return the number of the scale at which each box has nearest to 224x224 pixels: `(N,)`, int64.

    Args:
        boxes: `(N, 4)` in pixels of the photo.
        size: the photo's (height, width).
        scales: what its shorter side may be brought to.

    Source: section 4.1 of the paper.
    """
    x1, y1, x2, y2 = np.asarray(boxes, "float64").reshape(-1, 4).T
    factors = np.array(scales) / min(size)
    areas = ((x2 - x1) * (y2 - y1))[:, None] * factors**2
    return np.abs(areas - WINDOW**2).argmin(axis=1)


def pyramid_features(
    detector: keras.Model, scales: Sequence[int] = SCALES, last: str = "conv5", first: float = FIRST
) -> Callable:
    """Return a function that gives the pooled features of a photo's boxes, computing each scale's convolutions once.

    From a photo `(height, width, 3)`, RGB with the mean subtracted, and boxes `(N, 4)` to `(N, bins * channels)`,
    float32. A scale at which no box is nearest to 224x224 is not computed.

    Args:
        detector: `sppnet_detector`, or another network of images of any size with a layer `spp`.
        scales: pixels of the photo's shorter side.
        last, first: the name of the layer before the pyramid, whose cells lie 16 pixels apart, and the pixel of its
            first cell's middle: 8 for VGG-16's `conv5_3`, whose poolings keep the middle.

    Raises:
        ValueError: no such layer.

    Source: section 4.1 of the paper.
    """
    trunk = keras.Model(detector.inputs[0], detector.get_layer(last).output)
    levels = detector.get_layer("spp").levels

    specs = tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, 4)), tf.TensorSpec((2,), tf.int32)

    @tf.function(input_signature=specs)
    def at_scale(photo, boxes, size):
        stretch = tf.cast(size, tf.float32) / tf.cast(tf.shape(photo)[:2], tf.float32)
        conv5 = trunk(tf.image.resize(photo, size)[None], training=False)
        windows = window_cells(boxes * tf.tile(stretch[::-1], [2]), tf.unstack(tf.shape(conv5)[1:3]), first)
        return tf.cast(spatial_pyramid_pool(conv5, levels, windows[None])[0], tf.float32)

    def features(photo, boxes):
        boxes = np.asarray(boxes, "float32").reshape(-1, 4)
        sides = np.array(photo.shape[:2])
        chosen = nearest_scale(boxes, sides, scales)
        pooled = np.zeros((len(boxes), sum(n * n for n in levels) * trunk.output_shape[-1]), "float32")
        for number in np.unique(chosen):
            size = np.round(sides * scales[number] / sides.min()).astype("int32")
            those = chosen == number
            pooled[those] = at_scale(photo, boxes[those], size)
        return pooled

    return features


def fully_connected_part(detector: keras.Model, last: str = "fc8_pascal") -> keras.Model:
    """Return the layers of `sppnet_detector` behind the pyramid as a network of their own, which shares their weights:
    from pooled features `(batch, bins * channels)` to logits. These layers alone are fine-tuned: section 4.

    last: the last of these layers: "fc7" gives the features that SVMs learn from.

    Raises:
        ValueError: a network without a layer `spp`.
    """
    x = features = keras.Input(detector.get_layer("spp").output.shape[2:], name="features")
    for layer in detector.layers[detector.layers.index(detector.get_layer("spp")) + 1 :]:
        x = layer(x)
        if layer.name == last:
            break
    return keras.Model(features, x, name=f"{detector.name}_fully_connected")
