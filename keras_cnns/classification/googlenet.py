"""GoogLeNet: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015.

Deviations: none known. Table 1 prints 2.7K parameters for conv1; its filters hold 9,408. The paper gives no constants
of the response normalisation and no initialisation: both are those of the Caffe release (alpha = 1e-4 divided by n = 5,
k = 1; uniform weights of variance 1 / fan_in, biases of 0.2 and of 0 in the classifiers), and so are the poolings with
stride 2, whose last window may hang over the edge. On inputs other than 224x224 the last pooling averages the whole map
and the auxiliary heads' takes whole windows only, so that their first dense layer grows with the image.
"""

import keras

from keras_cnns.arguments import FreeShape, check_choice, check_classes, check_input_shape
from keras_cnns.layers import LocalResponseNormalization, Preprocessing
from keras_cnns.layers.ceil_pooling import ceil_max_pooling

AUXILIARY_LOSS_WEIGHT = 0.3  # of each auxiliary head's loss while training: section 5

# Table 1:  #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj.
INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def googlenet(
    input_shape: FreeShape = (224, 224, 3), classes: int = 1000, auxiliary_heads: bool = True, name: str = "googlenet"
) -> keras.Model:
    """Return GoogLeNet: logits `(batch, classes)` in float32, in a list with the two auxiliary heads' if it has them.

    Args:
        input_shape: (height, width, channels), RGB with the training set's mean subtracted; at least 79 pixels a side,
            without auxiliary heads at least 31, or None for any size.
        classes: number of classes.
        auxiliary_heads: whether to add the heads after 4a and 4d, for training (13,378,280 parameters); outputs are
            `[logits, loss1 logits, loss2 logits]`, and their losses weigh 1, 0.3 and 0.3 (`AUXILIARY_LOSS_WEIGHT`).
            False is the network to test and export (6,998,552). Its layers have the same names and shapes: give it
            the trained weights with `layer.set_weights(trained.get_layer(layer.name).get_weights())`.

    Raises:
        ValueError: an input too small, no class, or `auxiliary_heads` that are neither True nor False.

    Source: Table 1 (layers), section 5 (auxiliary heads, dropout).
    """
    check_choice("auxiliary_heads", auxiliary_heads, (True, False))
    if auxiliary_heads:
        check_input_shape(input_shape, smallest=79)  # 79, 40, 20, 10, 5: one window of the heads' pooling
    else:
        check_input_shape(input_shape, smallest=31, free=True)  # 31, 16, 8, 4, 2, 1
    check_classes(classes)

    auxiliary = []
    image = x = keras.Input(input_shape, name="image")
    x = conv(x, 64, 7, "conv1_7x7_s2", strides=2)  # 112x112x64
    x = normalise(ceil_max_pooling(x, "pool1_3x3_s2"), "pool1_norm1")  # 56x56x64
    x = conv(x, 64, 1, "conv2_3x3_reduce")
    x = normalise(conv(x, 192, 3, "conv2_3x3"), "conv2_norm2")  # 56x56x192
    x = ceil_max_pooling(x, "pool2_3x3_s2")  # 28x28x192
    for block, row in INCEPTION.items():
        x = inception(x, *row, name=f"inception_{block}")
        if block in ("3b", "4e"):
            x = ceil_max_pooling(x, f"pool{block[0]}_3x3_s2")  # 14x14x480, 7x7x832
        if block in ("4a", "4d") and auxiliary_heads:
            auxiliary.append(auxiliary_head(x, classes, f"loss{len(auxiliary) + 1}"))
    if None in x.shape[1:3]:
        x = keras.layers.GlobalAveragePooling2D(keepdims=True, name="pool5_7x7_s1")(x)
    else:
        x = keras.layers.AveragePooling2D(x.shape[1:3], strides=1, name="pool5_7x7_s1")(x)  # 1x1x1024
    x = keras.layers.Flatten(name="flatten")(keras.layers.Dropout(0.4, name="drop")(x))
    logits = classifier(x, classes, "loss3_classifier")
    return keras.Model(image, [logits, *auxiliary] if auxiliary_heads else logits, name=name)


def preprocessing(mean=(123.68, 116.779, 103.939), size=224):
    """Return section 7's single crop: the shorter side brought to 256, the centre `size` cut out, the training set's
    mean RGB colour subtracted; by default ImageNet's. Errors: as in `Preprocessing`, such as a `size` above 256.
    """
    return Preprocessing(size, shorter_side=256, mean=mean)


def inception(x, conv1, reduce3, conv3, reduce5, conv5, projection, name):
    """An Inception module with dimension reductions, Fig. 2b: four branches, joined along the channels."""
    y1 = conv(x, conv1, 1, f"{name}_1x1")
    y3 = conv(conv(x, reduce3, 1, f"{name}_3x3_reduce"), conv3, 3, f"{name}_3x3")
    y5 = conv(conv(x, reduce5, 1, f"{name}_5x5_reduce"), conv5, 5, f"{name}_5x5")
    pooled = keras.layers.MaxPooling2D(3, strides=1, padding="same", name=f"{name}_pool")(x)
    return keras.layers.Concatenate(name=f"{name}_output")(
        [y1, y3, y5, conv(pooled, projection, 1, f"{name}_pool_proj")]
    )


def auxiliary_head(x, classes, name):
    """The logits of a small network on a middle layer, section 5."""
    x = keras.layers.AveragePooling2D(5, strides=3, name=f"{name}_ave_pool")(x)  # 4x4
    x = keras.layers.Flatten(name=f"{name}_flatten")(conv(x, 128, 1, f"{name}_conv"))
    x = keras.layers.Dense(1024, activation="relu", name=f"{name}_fc", **weights())(x)
    return classifier(keras.layers.Dropout(0.7, name=f"{name}_drop")(x), classes, f"{name}_classifier")


def classifier(x, classes, name):
    return keras.layers.Dense(classes, dtype="float32", name=name, **weights(bias=0))(x)


def conv(x, filters, size, name, strides=1):
    """Convolution, padded by size // 2 on every side, and ReLU."""
    padding = "same"
    if strides > 1:  # Keras's "same" would pad one side more, and shift the map by a pixel
        x = keras.layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
        padding = "valid"
    return keras.layers.Conv2D(filters, size, strides, padding, activation="relu", name=name, **weights())(x)


def normalise(x, name):
    return LocalResponseNormalization(n=5, k=1, alpha=2e-5, beta=0.75, name=name)(x)


def weights(bias=0.2):
    """Caffe's "xavier" filling, uniform of variance 1 / fan_in, and a constant bias."""
    return {
        "kernel_initializer": keras.initializers.VarianceScaling(1.0, "fan_in", "uniform"),
        "bias_initializer": keras.initializers.Constant(bias),
    }
