"""DenseNet: Huang et al., "Densely Connected Convolutional Networks", CVPR 2017.

The authors' Torch release names no layers; the names are those of its weights' conversion to Caffe (DenseNet-Caffe, to
which the authors' page points), where `x1` is the bottleneck's 1x1, `x2` the 3x3 and `blk` the transition after a
block. The CIFAR networks have the same scheme, their blocks counted from conv2 too.

Deviations: convolutions start from N(0, 2 / fan_in) as in the paper's reference, the Torch release from
N(0, 2 / fan_out). That release starts every CIFAR network with 2k filters; the paper has 16 unless it is a DenseNet-BC,
and only 16 gives its Table 2's parameters: `initial_filters`. DenseNet-161 is the release's, not in Table 1.
"""

import keras

from keras_cnns.arguments import FreeShape, check_choice, check_classes, check_input_shape, check_rate
from keras_cnns.classification.blocks import allow_depth, batch_norm, classifier, conv, max_pool, relu
from keras_cnns.layers import Preprocessing

# Table 1: layers of the four dense blocks.
LAYERS = {
    121: (6, 12, 24, 16),
    161: (6, 12, 36, 24),
    169: (6, 12, 32, 32),
    201: (6, 12, 48, 32),
    264: (6, 12, 64, 48),
}


def densenet121(input_shape: FreeShape = (224, 224, 3), classes: int = 1000, name: str = "densenet121") -> keras.Model:
    """Return DenseNet-121, growth rate 32: logits `(batch, classes)` in float32; 7,978,856 parameters.

    Args:
        input_shape: (height, width, channels), RGB, normalised by the training set's means and standard deviations; at
            least 29 pixels a side, or the last pooling has no full window; None for any height or width.
        classes: number of classes.

    Raises:
        ValueError: an input too small, or no class.

    Source: Table 1; section 3 (bottlenecks of 4k filters, transitions that halve the maps' number and sides).
    """
    return densenet(121, 32, input_shape, classes, name)


def densenet161(input_shape: FreeShape = (224, 224, 3), classes: int = 1000, name: str = "densenet161") -> keras.Model:
    """Return DenseNet-161, growth rate 48, 28,681,000 parameters; all else as in `densenet121`."""
    return densenet(161, 48, input_shape, classes, name)


def densenet169(input_shape: FreeShape = (224, 224, 3), classes: int = 1000, name: str = "densenet169") -> keras.Model:
    """Return DenseNet-169, growth rate 32, 14,149,480 parameters; all else as in `densenet121`."""
    return densenet(169, 32, input_shape, classes, name)


def densenet201(input_shape: FreeShape = (224, 224, 3), classes: int = 1000, name: str = "densenet201") -> keras.Model:
    """Return DenseNet-201, growth rate 32, 20,013,928 parameters; all else as in `densenet121`."""
    return densenet(201, 32, input_shape, classes, name)


def densenet264(input_shape: FreeShape = (224, 224, 3), classes: int = 1000, name: str = "densenet264") -> keras.Model:
    """Return DenseNet-264, growth rate 32, 33,337,704 parameters; all else as in `densenet121`."""
    return densenet(264, 32, input_shape, classes, name)


def densenet(depth, growth_rate, input_shape, classes, name):
    """One column of Table 1."""
    check_input_shape(input_shape, smallest=29, free=True)
    check_classes(classes)
    allow_depth(depth)

    image = keras.Input(input_shape, name="image")
    x = conv(image, 2 * growth_rate, 7, "conv1", strides=2)  # 112x112
    x = max_pool(relu(batch_norm(x, "conv1_bn"), "relu1"), "pool1")  # 56x56
    x = dense_blocks(x, LAYERS[depth], growth_rate, bottleneck=True, compression=0.5)  # 7x7
    x = keras.layers.GlobalAveragePooling2D(name="pool5")(x)
    return keras.Model(image, classifier(x, classes, "fc6"), name=name)


def densenet_cifar(
    depth: int,
    growth_rate: int,
    bottleneck: bool = False,
    compression: float = 1.0,
    initial_filters: int = 16,
    dropout: float = 0.0,
    input_shape: FreeShape = (32, 32, 3),
    classes: int = 10,
    name: str | None = None,
) -> keras.Model:
    """Return a network of three equal dense blocks on maps of 32, 16 and 8 pixels: float32 logits `(batch, classes)`.

    Args:
        depth: L, the number of convolutions and the classifier: 3n + 4 with n layers a block, 6n + 4 with bottlenecks.
        growth_rate: k, the maps that each layer adds.
        bottleneck: whether a 1x1 convolution of 4k filters stands before each 3x3: DenseNet-B.
        compression: the share of maps that a transition keeps, theta: 0.5 in DenseNet-C and DenseNet-BC.
        initial_filters: of the first convolution: 16, and 2k in the paper's DenseNet-BC.
        dropout: rate after every convolution but the first: 0.2 where the paper trains without augmentation.
        input_shape: (height, width, channels), normalised by the training set's means and standard deviations; at
            least 4 pixels a side; None for any height or width.
        classes: number of classes.

    Raises:
        ValueError: a depth, rate, compression or number of filters that makes no network, a `bottleneck` that is
            neither True nor False, an input too small, or no class.

    Source: section 3 (layers, growth rate, bottlenecks, compression, "implementation details"), 4.2 (dropout).
    """
    check_choice("bottleneck", bottleneck, (True, False))
    step = 6 if bottleneck else 3
    if not isinstance(depth, int) or depth < step + 4 or (depth - 4) % step:
        kind = "with" if bottleneck else "without"
        examples = ", ".join(str(step * n + 4) for n in range(1, 5))
        raise ValueError(
            f"depth is {depth!r}; {kind} bottlenecks it must be {step}n + 4 with n of at least 1: {examples}, ..."
        )
    for argument, value in (("growth_rate", growth_rate), ("initial_filters", initial_filters)):
        if type(value) is not int or value < 1:
            raise ValueError(f"{argument} is {value!r}; it must be a whole number of at least 1.")
    # The first transition is the narrowest; it must keep at least one map.
    first = initial_filters + (depth - 4) // step * growth_rate
    if not isinstance(compression, (int, float)) or not compression <= 1 or int(compression * first) < 1:
        raise ValueError(f"compression is {compression!r}; it must be at most 1 and leave at least 1 of {first} maps.")
    check_rate("dropout", dropout)
    check_input_shape(input_shape, smallest=4, free=True)
    check_classes(classes)
    allow_depth(depth)

    image = keras.Input(input_shape, name="image")
    x = conv(image, initial_filters, 3, "conv1")  # 32x32
    layers = 3 * [(depth - 4) // step]
    x = dense_blocks(x, layers, growth_rate, bottleneck, compression, dropout)  # 8x8
    x = keras.layers.GlobalAveragePooling2D(name="pool4")(x)
    name = name or f"densenet_cifar{depth}_{growth_rate}"
    return keras.Model(image, classifier(x, classes, "fc5"), name=name)


def preprocessing(mean=(123.68, 116.779, 103.939), deviation=(58.393, 57.12, 57.375), size=224):
    """Return section 4.2's preprocessing: centre `size` of a shorter side of 256, normalised by the channels.

    The training set's means and standard deviations come from there; the defaults are ImageNet's. The 32 pixels of
    CIFAR are taken whole. Errors: as in `Preprocessing`, such as a `size` above 256.
    """
    scale = [1 / float(each) for each in deviation]
    return Preprocessing(size, shorter_side=256 if size > 32 else None, mean=mean, scale=scale)


def dense_blocks(x, layers, growth_rate, bottleneck, compression, dropout=0.0):
    """Dense blocks of so many layers each, with a transition between two of them, and the last activation."""
    for stage, number in enumerate(layers, start=2):
        for index in range(1, number + 1):
            y = x
            if bottleneck:
                y = bn_relu_conv(y, 4 * growth_rate, 1, f"{stage}_{index}_x1", dropout)
            y = bn_relu_conv(y, growth_rate, 3, f"{stage}_{index}_x2", dropout)
            x = keras.layers.Concatenate(name=f"concat_{stage}_{index}")([x, y])
        if stage < len(layers) + 1:
            x = bn_relu_conv(x, int(compression * x.shape[-1]), 1, f"{stage}_blk", dropout)
            x = keras.layers.AveragePooling2D(2, name=f"pool{stage}")(x)
    return relu(batch_norm(x, f"conv{stage}_blk_bn"), f"relu{stage}_blk")


def bn_relu_conv(x, filters, size, name, dropout):
    x = relu(batch_norm(x, f"conv{name}_bn"), f"relu{name}")
    x = conv(x, filters, size, f"conv{name}")
    return keras.layers.Dropout(dropout, name=f"drop{name}")(x) if dropout else x
