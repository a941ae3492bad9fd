"""Local response normalisation: Krizhevsky et al., NIPS 2012, section 3.3."""

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_cnns")
class LocalResponseNormalization(keras.layers.Layer):
    """Divide each activation by a power of the summed squares of its `n` neighbours along the channels.

        b[i] = a[i] / (k + alpha * sum of a[j]^2, j = i - n//2 .. i + n//2) ^ beta

    `alpha` multiplies the plain sum, as the paper prints it; Caffe and the authors' code divide it by `n`
    (their 1e-4 is 2e-5 here).

    Input and output: `(batch, height, width, channels)`. The sums are taken in float32 under any precision.

    Args:
        n: width of the window, odd.
        k, alpha, beta: the paper's constants.
        groups: number of towers the channels fall into; a window never reaches into another tower.

    Raises:
        ValueError: `n` is even or not positive, or the channels do not divide into `groups`.
    """

    def __init__(self, n: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75, groups: int = 1, **kwargs):
        super().__init__(**kwargs)
        if n < 1 or n % 2 != 1:
            raise ValueError(f"n is {n}; the window must be odd, so that it has a middle.")
        self.n, self.k, self.alpha, self.beta, self.groups = n, k, alpha, beta, groups

    def build(self, input_shape):
        self.input_spec = keras.layers.InputSpec(ndim=4)  # another rank would end the process inside the kernel
        channels = input_shape[-1]
        if self.groups < 1 or channels % self.groups:
            raise ValueError(f"groups is {self.groups}; it must divide the {channels} channels of the input.")
        position = np.arange(channels)
        tower = position // (channels // self.groups)
        near = abs(position[:, None] - position) <= self.n // 2
        # The windowed sum is a 1x1 convolution with a band matrix: faster on CPU than TensorFlow's own kernel.
        self.band = np.float32(near & (tower[:, None] == tower))[None, None]

    def call(self, inputs):
        a = tf.cast(inputs, tf.float32)
        d = self.k + self.alpha * tf.nn.conv2d(tf.square(a), self.band, strides=1, padding="VALID")
        if self.beta == 0.75:
            r = tf.math.rsqrt(d)
            b = a * r * tf.sqrt(r)  # d^-0.75, without the slower pow
        else:
            b = a * tf.pow(d, -self.beta)
        return tf.cast(b, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        constants = {"n": self.n, "k": self.k, "alpha": self.alpha, "beta": self.beta, "groups": self.groups}
        return {**super().get_config(), **constants}
