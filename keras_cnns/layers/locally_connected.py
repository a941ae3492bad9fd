"""The locally connected layer of the later YOLO: a convolution whose every place has filters of its own."""

from collections.abc import Callable

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_cnns")
class LocallyConnected2D(keras.layers.Layer):
    """A convolution with stride 1 and padding "same" whose filters differ from place to place, as has each its bias.

    `(batch, height, width, channels)` of one fixed size to `(batch, height, width, filters)`. Keras 3 has none.

    Args:
        filters, activation: as in `keras.layers.Conv2D`.
        kernel_size: pixels a side.

    Raises:
        ValueError: height or width are free.
    """

    def __init__(self, filters: int, kernel_size: int, activation: str | Callable | None = None, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.kernel_size = filters, (kernel_size, kernel_size)
        self.strides, self.padding = (1, 1), "same"
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        _, height, width, channels = input_shape
        if None in (height, width):
            raise ValueError(f"{self.name} has filters for every place; height and width are {height} and {width}.")
        inputs = self.kernel_size[0] * self.kernel_size[1] * channels
        start = keras.initializers.RandomNormal(stddev=(2 / inputs) ** 0.5)  # He et al.'s for what one unit sees
        self.kernel = self.add_weight((height, width, inputs, self.filters), start, name="kernel")
        self.bias = self.add_weight((height, width, self.filters), "zeros", name="bias")

    def call(self, images):
        patches = tf.image.extract_patches(images, [1, *self.kernel_size, 1], [1] * 4, [1] * 4, "SAME")
        return self.activation(tf.einsum("bhwi,hwif->bhwf", patches, tf.convert_to_tensor(self.kernel)) + self.bias)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:3], self.filters)

    def get_config(self):
        activation = keras.activations.serialize(self.activation)
        own = {"filters": self.filters, "kernel_size": self.kernel_size[0], "activation": activation}
        return {**super().get_config(), **own}
