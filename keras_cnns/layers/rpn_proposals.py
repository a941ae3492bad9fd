"""The proposals of a region proposal network: Ren et al., "Faster R-CNN", NIPS 2015, section 3.3."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.ops import generate_anchors, grid_anchors, propose
from keras_cnns.ops.nms import share


@keras.saving.register_keras_serializable(package="keras_cnns")
class RPNProposals(keras.layers.Layer):
    """Logits `(batch, rows, columns, 2 * k)`, deltas `(..., 4 * k)` and image sizes `(batch, 2)` to boxes
    `(batch, after, 4)`: `keras_cnns.ops.propose` on the anchors of the map. No gradient leads through.

    Args:
        anchors: `(k, 4)`, of the first cell; stride: pixels a cell.
        before, after, iou_threshold, smallest: as in `propose`; by default those of the test.

    Raises:
        ValueError: a threshold outside [0, 1].
    """

    def __init__(
        self,
        anchors: Sequence | np.ndarray | None = None,
        stride: int = 16,
        before: int = 6000,
        after: int = 300,
        iou_threshold: float = 0.7,
        smallest: int = 16,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})
        self.anchors = (generate_anchors() if anchors is None else tf.constant(anchors).numpy()).tolist()
        self.stride, self.before, self.after = stride, before, after
        self.iou_threshold, self.smallest = share(iou_threshold), smallest
        self.supports_jit = False

    def call(self, logits, deltas, sizes):
        anchors = grid_anchors(self.anchors, (tf.shape(logits)[1], tf.shape(logits)[2]), self.stride)
        logits, deltas = by_anchor(tf.cast(logits, tf.float32), 2), by_anchor(tf.cast(deltas, tf.float32), 4)
        scores = logits[..., 1] - logits[..., 0]  # in the order of the softmax
        settings = (self.before, self.after, self.iou_threshold, self.smallest)
        return propose(scores, deltas, anchors, sizes, *settings)

    def compute_output_spec(self, logits, deltas, sizes):
        return keras.KerasTensor((logits.shape[0], self.after, 4), "float32")

    def get_config(self):
        names = ("anchors", "stride", "before", "after", "iou_threshold", "smallest")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def by_anchor(outputs, numbers):
    """`(batch, rows, columns, k * numbers)` as `(batch, rows * columns * k, numbers)`."""
    return tf.reshape(outputs, (tf.shape(outputs)[0], -1, numbers))
