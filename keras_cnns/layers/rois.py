"""From what a detector says of its boxes to what it has found, with a mask of each."""

import keras
import tensorflow as tf

from keras_cnns.ops import detections


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
class RoIDetections(keras.layers.Layer):
    """What is found in each image, from logits, deltas and boxes, by `keras_cnns.ops.detections`: boxes `(batch, most,
    4)`, scores and labels `(batch, most)`, best first, zeros behind, and their number `(batch,)`.

    `RoIDetections()(logits, deltas, boxes, sizes)`: `(batch, number, classes + 1)`, the background first, `(batch,
    number, 4 * (classes + 1))`, `(batch, number, 4)`, of which those without area count for nothing, and the images'
    (height, width), `(batch, 2)`.

    Args:
        deviations: of the deltas that were learnt, as in `keras_cnns.ops.encode_boxes`.
        iou_threshold, score_threshold, max_outputs: as in `detections`.
    """

    def __init__(
        self,
        deviations=(1.0, 1.0, 1.0, 1.0),
        iou_threshold=0.5,
        score_threshold=0.05,
        max_outputs=100,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})
        self.deviations, self.iou_threshold = list(deviations), iou_threshold
        self.score_threshold, self.max_outputs = score_threshold, max_outputs
        self.supports_jit = False

    def call(self, logits, deltas, boxes, sizes):
        logits, deltas = tf.cast(logits, tf.float32), tf.cast(deltas, tf.float32)
        there = tf.reduce_all(boxes[..., 2:] > boxes[..., :2], axis=-1, keepdims=True)
        nothing = tf.one_hot(0, logits.shape[-1], 0.0, -1e9)  # the background for certain
        logits = tf.where(there, logits, nothing)
        deltas = deltas * tf.tile(tf.constant(self.deviations), [logits.shape[-1]])
        settings = (self.iou_threshold, self.score_threshold, self.max_outputs)
        most = self.max_outputs

        def found(each):
            logits, deltas, boxes, size = each
            return detections(logits, deltas, boxes, tf.unstack(tf.cast(size, tf.float32)), *settings)

        kinds = (
            tf.TensorSpec((most, 4), tf.float32),
            tf.TensorSpec((most,), tf.float32),
            tf.TensorSpec((most,), tf.int32),
            tf.TensorSpec((), tf.int32),
        )
        return tf.map_fn(found, (logits, deltas, boxes, sizes), fn_output_signature=kinds)

    def compute_output_spec(self, logits, deltas, boxes, sizes):
        batch, most = boxes.shape[0], self.max_outputs
        shapes = (batch, most, 4), (batch, most), (batch, most), (batch,)
        kinds = "float32", "float32", "int32", "int32"
        return tuple(keras.KerasTensor(shape, kind) for shape, kind in zip(shapes, kinds, strict=True))

    def get_config(self):
        names = ("deviations", "iou_threshold", "score_threshold", "max_outputs")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="keras_cnns")
class MaskOfClass(keras.layers.Layer):
    """The mask of each box's own class: `(batch, number, h, w)`, float32, from 0 to 1.

    `MaskOfClass()(logits, labels)`: `(batch, number, h, w, classes)` and `(batch, number)`, numbered from 0.

    Args:
        activation: "sigmoid", each class for itself, or "softmax", over the classes and the background, which is then
            the first of `classes + 1`: Mask R-CNN, section 4.1, Table 2b.
    """

    def __init__(self, activation="sigmoid", **kwargs):
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})
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
