"""Learned upsampling that starts as bilinear interpolation, and its crop: Long et al., CVPR 2015, section 3.3."""

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_cnns")
class BilinearUpsampling(keras.layers.Conv2DTranspose):
    """A transposed convolution of stride `factor` from every channel to itself, without bias, which starts bilinear.

    Its kernel, `(size, size, channels, channels)`, is the one of all pairs of channels, zero at first but for each
    channel's own: so training may mix them, and the count is the reference network's.

    `(batch, height, width, channels)` to `(batch, height * factor, width * factor, channels)` with "same" padding, to
    `((side - 1) * factor + kernel_size)` pixels a side with "valid", to be cut by `Crop`.

    Args:
        factor: how many times larger, a whole number.
        kernel_size: pixels a side; by default 2 factor - factor mod 2, which interpolates between two pixels.
        padding: "same" or "valid".

    Raises:
        ValueError: a factor below 1, or a kernel smaller than it, which would leave gaps.
    """

    def __init__(self, factor: int, kernel_size: int | None = None, padding: str = "same", **kwargs):
        if type(factor) is not int or factor < 1:
            raise ValueError(f"factor is {factor!r}; it must be a whole number of at least 1.")
        kernel_size = 2 * factor - factor % 2 if kernel_size is None else kernel_size
        if type(kernel_size) is not int or kernel_size < factor:
            raise ValueError(f"kernel_size is {kernel_size!r}; it must be a whole number of at least factor, {factor}.")
        fixed = {"use_bias": False, "kernel_initializer": bilinear, "data_format": "channels_last"}
        super().__init__(None, kernel_size, factor, padding, **fixed, **kwargs)

    def build(self, input_shape):
        self.filters = input_shape[-1]
        super().build(input_shape)

    def get_config(self):
        arguments = {"factor": self.strides[0], "kernel_size": self.kernel_size[0], "padding": self.padding}
        return {**keras.layers.Layer.get_config(self), **arguments}


def bilinear(shape, dtype="float32"):
    """The kernel `(size, size, channels, channels)` that interpolates each channel by itself."""
    size, channels = shape[0], shape[-1]
    factor = (size + 1) // 2
    center = factor - 1 if size % 2 else factor - 0.5
    tent = 1 - abs(np.arange(size) - center) / factor
    return tf.cast(np.multiply.outer(np.outer(tent, tent), np.eye(channels)), dtype)


@keras.saving.register_keras_serializable(package="keras_cnns")
class Crop(keras.layers.Layer):
    """Cut a map to the size of another, from pixel `offset` of either side on: Caffe's crop layer.

    Called as `Crop(offset)(map, like)`, both `(batch, height, width, channels)`, of any channels.

    Raises:
        ValueError: an offset below zero, or a map that ends before `offset` + the size of `like`.
    """

    def __init__(self, offset: int, **kwargs):
        super().__init__(**kwargs)
        if type(offset) is not int or offset < 0:
            raise ValueError(f"offset is {offset!r}; it must be a whole number of at least 0.")
        self.offset = offset

    def call(self, inputs, like):
        shape, size = self.compute_output_shape(inputs.shape, like.shape), tf.shape(like)
        height, width = (size[axis] if shape[axis] is None else shape[axis] for axis in (1, 2))
        return inputs[:, self.offset : self.offset + height, self.offset : self.offset + width]

    def compute_output_shape(self, inputs_shape, like_shape):
        given, wanted = tuple(inputs_shape[1:3]), tuple(like_shape[1:3])
        if any(None not in pair and pair[0] < self.offset + pair[1] for pair in zip(given, wanted, strict=True)):
            raise ValueError(f"a map of {given} pixels has no {wanted} from pixel {self.offset} on.")
        return (inputs_shape[0], *like_shape[1:3], inputs_shape[-1])

    def get_config(self):
        return {**super().get_config(), "offset": self.offset}
