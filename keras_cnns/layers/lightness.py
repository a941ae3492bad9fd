"""From photographs to what a network that colours them is given: Zhang et al., ECCV 2016."""

import keras

from keras_cnns.ops.colour import rgb_to_lab


@keras.saving.register_keras_serializable(package="keras_cnns")
class Lightness(keras.layers.Layer):
    """Lab's L - 50 of RGB images from 0 to 255: `(batch, height, width, 3)` to `(batch, height, width, 1)`, float32."""

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})

    def call(self, images):
        return rgb_to_lab(images)[..., :1] - 50

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 1)
