"""ResNet and its plain twin: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.

Layer names are those of the authors' Caffe release of ResNet-50, 101 and 152; the networks it lacks are named by the
same scheme, and so is the `fc1000` of other numbers of classes.

Deviations: pool1 is padded by a pixel on every side, while the authors' Caffe model lets its last windows hang over the
bottom and right edge: the maps have the same size, and weights trained elsewhere expect the former. The released
ResNet-50 has biases in conv1, unlike the released 101 and 152; there are none here. The paper leaves open where option
A puts its zero channels; they go half before and half after.
"""

import keras

from keras_cnns.arguments import FreeShape, check_choice, check_classes, check_input_shape
from keras_cnns.classification.blocks import allow_depth, batch_norm, classifier, conv, max_pool, relu
from keras_cnns.layers import PaddedIdentity, Preprocessing

# Table 1: blocks of conv2_x, conv3_x, conv4_x, conv5_x; pairs of 3x3 up to 34 layers, bottlenecks from 50 on.
BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


def resnet18(
    shortcut: str = "B", input_shape: FreeShape = (224, 224, 3), classes: int = 1000, name: str = "resnet18"
) -> keras.Model:
    """Return ResNet-18 of pairs of 3x3 convolutions: logits `(batch, classes)` in float32; 11,689,512 parameters.

    Args:
        shortcut: what leads around a pair of convolutions, section 3.3: "A", the identity, with zero channels where
            the width grows; "B", a 1x1 projection there, else the identity; "C", a projection everywhere.
        input_shape: (height, width, channels), RGB with the training set's mean subtracted; at least 17 pixels a side,
            so that every stride still halves its map; None for any height or width.
        classes: number of classes.

    Raises:
        ValueError: an unknown shortcut, an input too small, or no class.

    Source: Table 1; sections 3.3 (shortcuts), 3.4 (batch normalisation right after each convolution).
    """
    return residual_network(18, input_shape, classes, name, shortcut)


def resnet34(
    shortcut: str = "B", input_shape: FreeShape = (224, 224, 3), classes: int = 1000, name: str = "resnet34"
) -> keras.Model:
    """Return ResNet-34, 21,797,672 parameters; all else as in `resnet18`."""
    return residual_network(34, input_shape, classes, name, shortcut)


def resnet50(
    shortcut: str = "B",
    stride_in: str = "1x1",
    input_shape: FreeShape = (224, 224, 3),
    classes: int = 1000,
    name: str = "resnet50",
) -> keras.Model:
    """Return ResNet-50 of bottlenecks (1x1, 3x3, 1x1): logits `(batch, classes)` in float32; 25,557,032 parameters.

    Args:
        shortcut: what leads around a bottleneck: "B", a 1x1 projection where the width or the map's size changes, else
            the identity (the paper's), or "C", a projection everywhere.
        stride_in: the convolution that halves the maps in a stage's first bottleneck: "1x1", the first (the paper's and
            the Caffe release's), or "3x3" (the Torch release's and torchvision's). Both count the same parameters.
        input_shape, classes: as in `resnet18`.

    Raises:
        ValueError: an unknown shortcut or stride_in, an input too small, or no class.

    Source: Table 1; sections 3.3 (shortcuts), 4.1 (bottlenecks).
    """
    return residual_network(50, input_shape, classes, name, shortcut, stride_in)


def resnet101(
    shortcut: str = "B",
    stride_in: str = "1x1",
    input_shape: FreeShape = (224, 224, 3),
    classes: int = 1000,
    name: str = "resnet101",
) -> keras.Model:
    """Return ResNet-101, 44,549,160 parameters; all else as in `resnet50`."""
    return residual_network(101, input_shape, classes, name, shortcut, stride_in)


def resnet152(
    shortcut: str = "B",
    stride_in: str = "1x1",
    input_shape: FreeShape = (224, 224, 3),
    classes: int = 1000,
    name: str = "resnet152",
) -> keras.Model:
    """Return ResNet-152, 60,192,808 parameters; all else as in `resnet50`."""
    return residual_network(152, input_shape, classes, name, shortcut, stride_in)


def plain18(input_shape: FreeShape = (224, 224, 3), classes: int = 1000, name: str = "plain18") -> keras.Model:
    """Return ResNet-18 without its shortcuts, 11,515,688 parameters; all else as in `resnet18`."""
    return residual_network(18, input_shape, classes, name, residual=False)


def plain34(input_shape: FreeShape = (224, 224, 3), classes: int = 1000, name: str = "plain34") -> keras.Model:
    """Return ResNet-34 without its shortcuts, 21,623,848 parameters; all else as in `resnet18`."""
    return residual_network(34, input_shape, classes, name, residual=False)


def residual_network(depth, input_shape, classes, name, shortcut="B", stride_in="1x1", residual=True):
    """One column of Table 1, or its plain twin."""
    if depth >= 50 and shortcut == "A":
        raise ValueError("shortcut is 'A', which the paper does not define for bottlenecks; it must be 'B' or 'C'.")
    check_choice("shortcut", shortcut, ("B", "C") if depth >= 50 else ("A", "B", "C"))
    check_choice("stride_in", stride_in, ("1x1", "3x3"))
    check_input_shape(input_shape, smallest=17, free=True)
    check_classes(classes)
    allow_depth(depth)

    image = keras.Input(input_shape, name="image")
    x = relu(batch_norm(conv(image, 64, 7, "conv1", strides=2), "bn_conv1"), "conv1_relu")  # 112x112x64
    x = max_pool(x, "pool1")  # 56x56x64
    for stage in (2, 3, 4, 5):  # 56x56, 28x28, 14x14, 7x7
        x = residual_stage(x, stage, depth, shortcut, stride_in, residual)
    x = keras.layers.GlobalAveragePooling2D(name="pool5")(x)
    return keras.Model(image, classifier(x, classes, "fc1000"), name=name)


def preprocessing(mean=(123.68, 116.779, 103.939), size=224):
    """Return a single view for section 3.4: the centre `size` of a shorter side of 256, the mean subtracted.

    The paper's mean is one a pixel of its training set and comes from there; the default is ImageNet's RGB mean.
    Errors: as in `Preprocessing`, such as a `size` above 256.
    """
    return Preprocessing(size, shorter_side=256, mean=mean)


def residual_stage(x, stage, depth, shortcut="B", stride_in="1x1", residual=True):
    """conv2_x, conv3_x, conv4_x or conv5_x of Table 1, by its number; all but conv2_x halve their maps."""
    filters = 64 * 2 ** (stage - 2)
    for index in range(BLOCKS[depth][stage - 2]):
        block = f"{stage}{block_name(index, numbered=depth > 50 and stage in (3, 4))}"
        strides = 2 if stage > 2 and index == 0 else 1
        y = bottleneck(x, filters, strides, stride_in, block) if depth >= 50 else pair(x, filters, strides, block)
        if residual:
            y = keras.layers.Add(name=f"res{block}")([y, around(x, y.shape[-1], strides, shortcut, block)])
        x = relu(y, f"res{block}_relu")
    return x


def block_name(index, numbered):
    """The release's: a, b, c, ..., but a, b1, b2, ... in conv3_x and conv4_x of its two deepest networks."""
    return f"b{index}" if numbered and index else "abcdef"[index]


def pair(x, filters, strides, block):
    """Two 3x3 convolutions: Fig. 5, left."""
    x = relu(conv_bn(x, filters, 3, f"{block}_branch2a", strides), f"res{block}_branch2a_relu")
    return conv_bn(x, filters, 3, f"{block}_branch2b")


def bottleneck(x, filters, strides, stride_in, block):
    """1x1 to fewer maps, 3x3 on those, 1x1 to four times as many: Fig. 5, right."""
    first, second = (strides, 1) if stride_in == "1x1" else (1, strides)
    x = relu(conv_bn(x, filters, 1, f"{block}_branch2a", first), f"res{block}_branch2a_relu")
    x = relu(conv_bn(x, filters, 3, f"{block}_branch2b", second), f"res{block}_branch2b_relu")
    return conv_bn(x, 4 * filters, 1, f"{block}_branch2c")


def around(x, filters, strides, shortcut, block):
    """The way around a block, by option A, B or C: section 3.3."""
    changes = strides > 1 or x.shape[-1] != filters
    if shortcut == "C" or (shortcut == "B" and changes):
        return conv_bn(x, filters, 1, f"{block}_branch1", strides)
    return PaddedIdentity(filters, strides, name=f"res{block}_identity")(x) if changes else x


def conv_bn(x, filters, size, name, strides=1):
    return batch_norm(conv(x, filters, size, f"res{name}", strides), f"bn{name}")
