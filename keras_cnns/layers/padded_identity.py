"""The parameter-free shortcut of residual networks, option A: He et al., CVPR 2016, section 3.3 and 4.2."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_cnns")
class PaddedIdentity(keras.layers.Layer):
    """Take every `strides`-th pixel and add zero channels, half of them before and half after, up to `filters`.

    `(batch, height, width, channels)` to `(batch, ceil(height / strides), ceil(width / strides), filters)`. The paper
    does not say where the zeros go; half before and half after is what most published CIFAR weights were trained with.

    Raises:
        ValueError: the input has more channels than `filters`.
    """

    def __init__(self, filters: int, strides: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.strides = filters, strides

    def build(self, input_shape):
        if input_shape[-1] > self.filters:
            raise ValueError(f"filters is {self.filters}; it must be at least the input's {input_shape[-1]} channels.")

    def call(self, inputs):
        missing = self.filters - inputs.shape[-1]
        pixels = inputs[:, :: self.strides, :: self.strides, :]
        return tf.pad(pixels, [(0, 0), (0, 0), (0, 0), (missing // 2, missing - missing // 2)])

    def compute_output_shape(self, input_shape):
        batch, *sides, _ = input_shape
        return (batch, *(side and -(-side // self.strides) for side in sides), self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "strides": self.strides}
