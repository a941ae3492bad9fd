"""What YOLO does at test time: Redmon et al., CVPR 2016, sections 2 and 2.3."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from keras_cnns.ops import clip_boxes, non_max_suppression_per_class_padded, split_cells, yolo_boxes
from keras_cnns.ops.nms import share


@keras.saving.register_keras_serializable(package="keras_cnns")
class YOLODetections(keras.layers.Layer):
    """Outputs `(batch, rows, columns, depth)` to boxes `(batch, most, 4)`, scores `(batch, most)` and labels, int32.

    Boxes are in pixels of an image of `size`, cut off there, the best first; behind them are zeros. Only boxes of a
    class drop one another. No gradient leads through.

    Args:
        classes, size: as in `keras_cnns.ops.yolo_boxes`.
        iou_threshold, score_threshold, most: as in `keras_cnns.ops.non_max_suppression_per_class`.

    Raises:
        ValueError: outputs of a depth that does not fit the classes, or a threshold outside [0, 1].
    """

    def __init__(
        self,
        classes: int,
        size: Sequence[int],
        iou_threshold: float = 0.5,
        score_threshold: float = 0.001,
        most: int = 100,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})
        self.classes, self.size, self.most = classes, tuple(size), most
        self.iou_threshold, self.score_threshold = share(iou_threshold), score_threshold
        self.supports_jit = False

    def build(self, input_shape):
        split_cells(keras.ops.zeros((1, 1, 1, input_shape[-1])), self.classes)  # refuses a depth that does not fit

    def call(self, outputs):
        def best(image):
            boxes, scores = image
            kept = (self.iou_threshold, self.most, self.score_threshold)
            indices, labels, count = non_max_suppression_per_class_padded(boxes, scores, *kept)
            there = tf.range(self.most) < count
            own = tf.gather_nd(scores, tf.stack([indices, labels], axis=-1))
            return tf.where(there[:, None], tf.gather(boxes, indices), 0.0), tf.where(there, own, 0.0), labels

        boxes, scores = yolo_boxes(outputs, self.classes, self.size)
        most = self.most
        spec = [((most, 4), tf.float32), ((most,), tf.float32), ((most,), tf.int32)]
        spec = tuple(tf.TensorSpec(*each) for each in spec)
        return tf.map_fn(best, (clip_boxes(boxes, self.size), scores), fn_output_signature=spec)

    def compute_output_spec(self, outputs):
        batch = outputs.shape[0]
        return tuple(
            keras.KerasTensor(shape, dtype)
            for shape, dtype in (
                ((batch, self.most, 4), "float32"),
                ((batch, self.most), "float32"),
                ((batch, self.most), "int32"),
            )
        )

    def get_config(self):
        own = {"classes": self.classes, "size": self.size, "most": self.most}
        own |= {"iou_threshold": self.iou_threshold, "score_threshold": self.score_threshold}
        return {**super().get_config(), **own}
