"""The convolution of AlexNet's two towers: Krizhevsky et al., NIPS 2012, section 3.5 and Fig. 2."""

from collections.abc import Sequence

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_cnns")
class TowerConv2D(keras.layers.Conv2D):
    """A convolution in which each tower of channels sees only itself: `keras.layers.Conv2D(groups=2)`, weights and all.

    Keras hands a grouped convolution to XLA, which is many times slower on CPU and leaves an invalid ONNX graph, so
    the towers are split, convolved and joined. `(batch, height, width, channels)` in and out.

    Args:
        filters, kernel_size: as in `keras.layers.Conv2D`; the kernel is `(h, w, channels / groups, filters)`.
        groups: number of towers; it must divide the input's channels and the filters.

    Raises:
        ValueError: it does not; the sentence is Keras's.
    """

    def __init__(self, filters: int, kernel_size: int | Sequence[int], groups: int = 2, **kwargs):
        super().__init__(filters, kernel_size, groups=groups, data_format="channels_last", **kwargs)

    def convolution_op(self, inputs, kernel):
        towers = zip(tf.split(inputs, self.groups, axis=-1), tf.split(kernel, self.groups, axis=-1), strict=True)
        outputs = [
            tf.nn.conv2d(x, w, self.strides, self.padding.upper(), dilations=self.dilation_rate) for x, w in towers
        ]
        return tf.concat(outputs, axis=-1)

    def get_config(self):
        config = super().get_config()
        del config["data_format"]
        return config
