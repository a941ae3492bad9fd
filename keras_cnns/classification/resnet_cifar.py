"""ResNet for CIFAR-10: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.

Deviations: none. The paper leaves open where option A puts its zero channels; they go half before and half after.
"""

import keras

from keras_cnns.arguments import FreeShape, check_choice, check_classes, check_input_shape
from keras_cnns.classification.blocks import allow_depth, batch_norm, classifier, conv, relu
from keras_cnns.layers import PaddedIdentity, Preprocessing


def resnet_cifar(
    depth: int,
    shortcut: str = "A",
    residual: bool = True,
    input_shape: FreeShape = (32, 32, 3),
    classes: int = 10,
    name: str | None = None,
) -> keras.Model:
    """Return the network of 6n + 2 weighted layers: logits `(batch, classes)` in float32.

    Three stages of 2n 3x3 convolutions with 16, 32 and 64 filters on maps of 32, 16 and 8 pixels, then global average
    pooling and one fully connected layer.

    Args:
        depth: 20, 32, 44, 56, 110, 1202 in the paper; any 6n + 2 from 8 on.
        shortcut: "A", the identity with zero channels where the width grows (the paper's), or "B", a 1x1 projection
            there.
        residual: False gives the plain network of the same layers.
        input_shape: (height, width, channels) with the training set's mean subtracted; at least 4 pixels a side; None
            for any height or width.
        classes: number of classes.

    Raises:
        ValueError: a depth that is not 6n + 2, an unknown shortcut, a `residual` that is neither True nor False, an
            input below 4 pixels, or no class.

    Source: sections 4.2 (layers, option A), 3.3 (option B), 3.4 (batch normalisation right after each convolution).
    """
    if not isinstance(depth, int) or depth < 8 or (depth - 2) % 6:
        raise ValueError(f"depth is {depth!r}; it must be 6n + 2 with n of at least 1: 8, 14, 20, 26, 32, ...")
    check_choice("shortcut", shortcut, ("A", "B"))
    check_choice("residual", residual, (True, False))
    check_input_shape(input_shape, smallest=4, free=True)
    check_classes(classes)
    n = (depth - 2) // 6
    allow_depth(depth)

    image = keras.Input(input_shape, name="image")
    x = relu(conv_bn(image, 16, "conv0"), "conv0_relu")  # 32x32x16
    for stage, filters in enumerate((16, 32, 64), start=1):  # 32x32x16, 16x16x32, 8x8x64
        for block in range(1, n + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            prefix = f"s{stage}_b{block}"
            y = relu(conv_bn(x, filters, f"{prefix}_a", strides=strides), f"{prefix}_a_relu")
            y = conv_bn(y, filters, f"{prefix}_b")
            if residual:
                if strides == 2 and shortcut == "A":
                    x = PaddedIdentity(filters, strides, name=f"{prefix}_identity")(x)
                elif strides == 2:
                    x = conv_bn(x, filters, f"{prefix}_proj", size=1, strides=strides)
                y = keras.layers.Add(name=f"{prefix}_add")([y, x])
            x = relu(y, f"{prefix}_relu")
    x = keras.layers.GlobalAveragePooling2D(name="avgpool")(x)
    logits = classifier(x, classes, "fc")
    return keras.Model(image, logits, name=name or f"{'resnet' if residual else 'plain'}_cifar{depth}")


def preprocessing(mean):
    """Return section 4.2's preprocessing: the training set's mean image subtracted, one number a pixel and channel.

    mean: `(height, width, channels)`. Images of another size are scaled to its, which the middle is cut from.
    Errors: as in `Preprocessing`.
    """
    return Preprocessing(mean.shape[:2], shorter_side=max(mean.shape[:2]), mean=mean)


def conv_bn(x, filters, name, size=3, strides=1):
    """Batch normalisation right after each convolution, before the activation: section 3.4."""
    return batch_norm(conv(x, filters, size, name, strides), f"{name}_bn")
