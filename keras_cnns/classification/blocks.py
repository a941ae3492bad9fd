"""The layers that the residual and the dense networks are made of."""

import sys

import keras

from keras_cnns.layers import BatchNormalization


def conv(x, filters, size, name, strides=1):
    """Convolution without bias, padded by size // 2 on every side."""
    padding = "same"
    if strides > 1 and size > 1:  # Keras's "same" would pad one side only, and shift the map by a pixel
        x = keras.layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
        padding = "valid"
    weights = {"use_bias": False, "kernel_initializer": he_normal()}
    return keras.layers.Conv2D(filters, size, strides, padding, name=name, **weights)(x)


def batch_norm(x, name):
    """With the authors' epsilon; the moving averages' 0.9 is the Torch releases' (the papers print neither)."""
    return BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)


def relu(x, name):
    return keras.layers.ReLU(name=name)(x)


def max_pool(x, name):
    """3x3 pooling with stride 2, padded by a pixel on every side; after a ReLU zeros are as good as minus infinity."""
    x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    return keras.layers.MaxPooling2D(3, strides=2, name=name)(x)


def classifier(x, classes, name):
    """The fully connected layer of the logits, in float32 whatever the precision before it."""
    return keras.layers.Dense(classes, kernel_initializer=he_normal(), dtype="float32", name=name)(x)


def he_normal():
    """Weights ~ N(0, 2 / fan_in), not truncated: He et al., ICCV 2015."""
    return keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")


def allow_depth(depth):
    """Raise Python's recursion limit for a network of `depth` convolutions, since Keras walks the graph recursively."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 20 * depth))
