"""Fast R-CNN: Girshick, "Fast R-CNN", ICCV 2015.

Deviations: the paper's smallest trunk, S, is CaffeNet, which pools before it normalises; "alexnet" has its sizes and
normalises first, as AlexNet's paper. All of AlexNet's windows are padded by half of themselves, so that cell (i, j) of
conv5 has its middle at pixel (16 i, 16 j). Trunks start from ImageNet weights in the paper; here they start as their
own networks do, until trained ones are loaded. Nothing is frozen: the paper's recipe freezes VGG-16's conv1 and conv2.
"""

from collections.abc import Iterable, Sequence

import keras
import scipy.linalg

from keras_cnns.arguments import FreeShape, check_choice, check_classes, check_input_shape
from keras_cnns.classification.alexnet import normal
from keras_cnns.classification.vgg import CONFIGURATIONS, FILTERS
from keras_cnns.layers import LocalResponseNormalization, RoIPooling, TowerConv2D

STRIDE = 16  # pixels of the image a cell of the last map


def fast_rcnn(
    input_shape: FreeShape = (None, None, 3), classes: int = 20, trunk: str = "vgg16", name: str = "fast_rcnn"
) -> keras.Model:
    """Return Fast R-CNN: from an image and boxes, logits `(batch, boxes, classes + 1)` and deltas, both in float32.

    Class 0 is the background, and class k of the data set is k + 1. The deltas `(batch, boxes, 4 * (classes + 1))` are
    four for each class, as `keras_cnns.ops.encode_boxes` has them. Inputs are `image`, `(batch, height, width,
    channels)`, and `boxes`, `(batch, boxes, 4)` in its pixels.

    Args:
        input_shape: (height, width, channels), RGB with the training set's mean subtracted; None for any size.
        classes: number of classes without the background.
        trunk: "vgg16" (134,690,729 parameters with 20 classes) or "alexnet" (57,298,409).

    Raises:
        ValueError: an unknown trunk, an input too small, or no class.

    Source: sections 2.1 (RoI pooling to 7x7, or 6x6), 2.2 (trunks without their last pooling, two output layers), 2.3
    (their initialisation).
    """
    check_choice("trunk", trunk, tuple(TRUNKS))
    check_classes(classes)
    check_input_shape(input_shape, smallest=1, free=True)
    build, size, start = TRUNKS[trunk]

    image, boxes = keras.Input(input_shape, name="image"), keras.Input((None, 4), name="boxes")
    x = build(image)
    logits, deltas = detector_head(x, boxes, classes, size, start)
    return keras.Model([image, boxes], [logits, deltas], name=name)


def detector_head(features, boxes, classes, size, start):
    """Logits and deltas of boxes, each pooled to `size` x `size`; `start()`: how fc6 and fc7 start."""
    x = RoIPooling(size, 1 / STRIDE, name="roi_pool5")(features, boxes)
    x = keras.layers.Reshape((-1, size * size * x.shape[-1]), name="flatten")(x)
    for number in (6, 7):
        x = keras.layers.Dense(4096, activation="relu", **start(), name=f"fc{number}")(x)
        x = keras.layers.Dropout(0.5, name=f"drop{number}")(x)
    logits = output(x, classes + 1, 0.01, "cls_score")
    deltas = output(x, 4 * (classes + 1), 0.001, "bbox_pred")
    return logits, deltas


def output(x, units, deviation, name):
    weights = keras.initializers.RandomNormal(stddev=deviation)
    return keras.layers.Dense(units, kernel_initializer=weights, dtype="float32", name=name)(x)


# The trunks' sizes are those of a 600x1000 image.


def vgg16_trunk(x):
    """VGG-16 from its image to conv5_3; poolings let their last windows hang over, as Caffe's."""
    for stage, (filters, kernels) in enumerate(zip(FILTERS, CONFIGURATIONS["D"], strict=True), start=1):
        for i, kernel in enumerate(kernels, start=1):
            x = keras.layers.Conv2D(filters, kernel, padding="same", activation="relu", name=f"conv{stage}_{i}")(x)
        if stage < 5:
            x = keras.layers.MaxPooling2D(2, padding="same", name=f"pool{stage}")(x)  # 300, 150, 75, 38 high
    return x


def alexnet_trunk(x):
    """AlexNet from its image to conv5."""

    def conv(x, filters, size, name, layer=keras.layers.Conv2D, bias=0, **kwargs):
        weights = {"kernel_initializer": normal(), "bias_initializer": keras.initializers.Constant(bias)}
        return layer(filters, size, activation="relu", name=name, **weights, **kwargs)(x)

    def normalise_and_pool(x, number):
        x = LocalResponseNormalization(n=5, k=2, alpha=1e-4, beta=0.75, groups=2, name=f"norm{number}")(x)
        x = keras.layers.ZeroPadding2D(1, name=f"pool{number}_pad")(x)
        return keras.layers.MaxPooling2D(3, strides=2, name=f"pool{number}")(x)

    x = keras.layers.ZeroPadding2D(5, name="conv1_pad")(x)
    x = normalise_and_pool(conv(x, 96, 11, "conv1", strides=4), 1)  # 150x250, 75x125
    x = normalise_and_pool(conv(x, 256, 5, "conv2", TowerConv2D, groups=2, bias=1, padding="same"), 2)  # 38x63
    x = conv(x, 384, 3, "conv3", padding="same")
    x = conv(x, 384, 3, "conv4", TowerConv2D, groups=2, bias=1, padding="same")
    return conv(x, 256, 3, "conv5", TowerConv2D, groups=2, bias=1, padding="same")


def alexnet_start():
    return {"kernel_initializer": normal(), "bias_initializer": keras.initializers.Constant(1)}


# How a trunk is built, the side that boxes are pooled to, and how each of its fully connected layers starts.
TRUNKS = {"vgg16": (vgg16_trunk, 7, dict), "alexnet": (alexnet_trunk, 6, alexnet_start)}


def with_deltas(model: keras.Model, means: Sequence[float], deviations: Sequence[float]) -> keras.Model:
    """Return a detector that was trained on normalised deltas with those of `encode_boxes` in their place.

    It has the weights of the other, so that it can be tested while that is trained.

    means, deviations: four numbers each, those of `sample_rois`.
    """
    logits, deltas = model.outputs
    return keras.Model(model.inputs, [logits, unnormalised(deltas, means, deviations)], name=model.name)


def unnormalised(deltas, means, deviations):
    """The deltas of all classes that a network which learned normalised ones means."""
    classes = deltas.shape[-1] // 4
    scale, offset = (list(map(float, each)) * classes for each in (deviations, means))
    return keras.layers.Rescaling(scale, offset, dtype="float32", name="bbox_unnormalised")(deltas)


def truncated_svd(model: keras.Model, ranks: Iterable[tuple[str, int]] = (("fc6", 1024), ("fc7", 256))) -> keras.Model:
    """Return a network with dense layers as two each, of fewer weights, for the test: Fast R-CNN, sections 3.1 and 4.4.

    A kernel of u x v becomes one of u x t without biases and one of t x v, its best approximation of rank t. Both are
    in a layer of the old one's name, NAME/NAME_L and NAME/NAME_U.

    ranks: pairs of the name of a dense layer and its t.

    Raises:
        ValueError: no such dense layer, or a rank that is not between 1 and its shorter side.
    """
    ranks = dict(ranks)
    for name, rank in ranks.items():
        layer = next((layer for layer in model.layers if layer.name == name), None)
        if not isinstance(layer, keras.layers.Dense):
            raise ValueError(f"{model.name} has no dense layer {name!r} to be made of two.")
        if not 1 <= rank <= min(layer.kernel.shape):
            raise ValueError(f"the rank of {name} is {rank}; it must be from 1 to {min(layer.kernel.shape)}.")

    def halved(layer):
        if layer.name not in ranks:
            return type(layer).from_config(layer.get_config())
        kept = {"activation": layer.activation, "use_bias": layer.use_bias, "dtype": layer.dtype_policy}
        first = keras.layers.Dense(ranks[layer.name], use_bias=False, dtype=layer.dtype_policy, name=f"{layer.name}_L")
        second = keras.layers.Dense(layer.units, **kept, name=f"{layer.name}_U")
        return keras.Sequential([first, second], name=layer.name)

    smaller = keras.models.clone_model(model, clone_function=halved)
    for layer in model.layers:
        weights = layer.get_weights()
        if layer.name in ranks:
            kernel, *bias = weights
            # The right singular vectors V_t are the eigenvectors of W'W, which for fc6 takes minutes less than W's SVD;
            # W V_t is U_t S_t.
            kernel, sides = kernel.astype("float64"), kernel.shape[1]
            _, v = scipy.linalg.eigh(kernel.T @ kernel, subset_by_index=(sides - ranks[layer.name], sides - 1))
            weights = [kernel @ v, v.T, *bias]
        smaller.get_layer(layer.name).set_weights(weights)
    return smaller
