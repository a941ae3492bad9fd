"""What is computed for each box of each image, and the mask of its class: He et al., "Mask R-CNN", ICCV 2017."""

import keras
import tensorflow as tf

from keras_cnns.arguments import check_choice


@keras.saving.register_keras_serializable(package="keras_cnns")
class EachRoI(keras.layers.Layer):
    """The maps of all boxes of all images in one row: `(batch, number, ...)` to `(batch * number, ...)`."""

    def call(self, x):
        return tf.reshape(x, (-1, *x.shape[2:]))

    def compute_output_spec(self, x):
        return keras.KerasTensor((None, *x.shape[2:]), x.dtype)


@keras.saving.register_keras_serializable(package="keras_cnns")
class RoIsOfImages(keras.layers.Layer):
    """The reverse of `EachRoI`: `(batch * number, ...)` and boxes `(batch, number, 4)` to `(batch, number, ...)`."""

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def call(self, x, boxes):
        return tf.reshape(x, (*tf.unstack(tf.shape(boxes)[:2]), *x.shape[1:]))

    def compute_output_spec(self, x, boxes):
        return keras.KerasTensor((*boxes.shape[:2], *x.shape[1:]), x.dtype)


@keras.saving.register_keras_serializable(package="keras_cnns")
class MaskOfClass(keras.layers.Layer):
    """The mask of each box's own class: `(batch, number, h, w)`, float32, from 0 to 1.

    `MaskOfClass()(logits, labels)`: `(batch, number, h, w, classes)` and `(batch, number)`, numbered from 0.

    Args:
        activation: "sigmoid", each class for itself, or "softmax", over the classes and the background, which is then
            the first of `classes + 1`: Mask R-CNN, section 4.1, Table 2b.

    Raises:
        ValueError: another activation.
    """

    def __init__(self, activation: str = "sigmoid", **kwargs):
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})
        check_choice("activation", activation, ("sigmoid", "softmax"))
        self.activation = activation

    def call(self, logits, labels):
        logits = tf.cast(logits, tf.float32)
        masks = tf.nn.softmax(logits)[..., 1:] if self.activation == "softmax" else tf.sigmoid(logits)
        own = tf.one_hot(labels, masks.shape[-1])
        return tf.einsum("bnhwk,bnk->bnhw", masks, own)

    def compute_output_spec(self, logits, labels):
        return keras.KerasTensor(logits.shape[:-1], "float32")

    def get_config(self):
        return {**super().get_config(), "activation": self.activation}
