"""What a network that proposes its own boxes does at test time: Girshick, ICCV 2015, section 3.1."""

import keras
import tensorflow as tf

from keras_cnns.ops import detections
from keras_cnns.ops.nms import share


@keras.saving.register_keras_serializable(package="keras_cnns")
class RoIDetections(keras.layers.Layer):
    """Logits `(batch, proposals, classes + 1)`, deltas `(batch, proposals, 4 * (classes + 1))`, proposals `(batch,
    proposals, 4)` and image sizes `(batch, 2)` to boxes `(batch, most, 4)`, scores `(batch, most)` and labels, int32.

    Boxes are cut off at each image's size, the best first; behind them are zeros. A proposal without area, which stands
    for none, finds nothing. No gradient leads through.

    Args:
        iou_threshold, score_threshold, most: as in `keras_cnns.ops.detections`.

    Raises:
        ValueError: a threshold outside [0, 1].
    """

    def __init__(self, iou_threshold: float = 0.3, score_threshold: float = 0.05, most: int = 100, **kwargs):
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})
        self.iou_threshold, self.score_threshold, self.most = share(iou_threshold), score_threshold, most
        self.supports_jit = False

    def call(self, logits, deltas, proposals, sizes):
        logits = tf.cast(logits, tf.float32)
        there = tf.reduce_all(proposals[..., 2:] > proposals[..., :2], axis=-1, keepdims=True)
        logits = tf.where(there, logits, tf.one_hot(0, logits.shape[-1], 0.0, -1e9))  # certainly background

        def best(image):
            *boxes, size = image
            settings = (self.iou_threshold, self.score_threshold, self.most)
            return detections(*boxes, tf.unstack(size), *settings)[:3]

        spec = [((self.most, 4), tf.float32), ((self.most,), tf.float32), ((self.most,), tf.int32)]
        spec = tuple(tf.TensorSpec(*each) for each in spec)
        return tf.map_fn(best, (logits, tf.cast(deltas, tf.float32), proposals, sizes), fn_output_signature=spec)

    def compute_output_spec(self, logits, deltas, proposals, sizes):
        rows = (logits.shape[0], self.most)
        return (
            keras.KerasTensor((*rows, 4), "float32"),
            keras.KerasTensor(rows, "float32"),
            keras.KerasTensor(rows, "int32"),
        )

    def get_config(self):
        names = ("iou_threshold", "score_threshold", "most")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
