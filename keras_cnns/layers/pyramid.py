"""A pyramid of maps, from fine to coarse: Lin et al., "Feature Pyramid Networks", CVPR 2017, as Mask R-CNN has it.

A map of one level is a pyramid too: `[map]`, with one stride.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from keras_cnns.arguments import check_choice
from keras_cnns.layers.unpooling import pair
from keras_cnns.ops import generate_anchors, grid_anchors, propose_over_levels, pyramid_level, roi_align, roi_pool
from keras_cnns.ops.nms import share

OPERATIONS = {"align": roi_align, "pool": roi_pool}


@keras.saving.register_keras_serializable(package="keras_cnns")
class UpsampleAdd(keras.layers.Layer):
    """A coarse map at twice its size, by repeating its cells, added to a fine one: FPN, section 3.

    Maps `(batch, ceil(height / 2), ceil(width / 2), channels)` and `(batch, height, width, channels)`.
    """

    def call(self, coarse, fine):
        twice = tf.repeat(tf.repeat(coarse, 2, axis=1), 2, axis=2)
        return twice[:, : tf.shape(fine)[1], : tf.shape(fine)[2]] + fine

    def compute_output_spec(self, coarse, fine):
        return keras.KerasTensor(fine.shape, self.compute_dtype)


@keras.saving.register_keras_serializable(package="keras_cnns")
class PyramidProposals(keras.layers.Layer):
    """What region proposal networks over all levels propose: boxes `(batch, after, 4)`, rows of zeros behind.

    `PyramidProposals(strides, sizes)(logits, deltas, image_sizes)`: of each level logits `(batch, rows, columns, k)`
    and deltas `(batch, rows, columns, 4 * k)`, and image sizes `(batch, 2)`. Of each level the best enter the
    suppression, each level's apart, and the best of all are kept. No gradient leads through.

    Args:
        strides: pixels of the image a cell, level by level.
        sizes: the sides of the anchors of each level, in pixels. ratios: of their height to their width.
        before, after, iou_threshold, smallest: as in `keras_cnns.ops.propose`, `before` of a level.

    Raises:
        ValueError: a threshold outside [0, 1]; when it is called, sizes or ratios that are not positive.
    """

    def __init__(
        self,
        strides: Sequence[int],
        sizes: Sequence[Sequence[float]],
        ratios: Sequence[float] = (0.5, 1, 2),
        before: int = 1000,
        after: int = 1000,
        iou_threshold: float = 0.7,
        smallest: int = 0,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})
        self.strides, self.sizes, self.ratios = list(strides), [list(each) for each in sizes], list(ratios)
        self.before, self.after, self.iou_threshold, self.smallest = before, after, share(iou_threshold), smallest
        self.supports_jit = False

    def anchors(self, cells):
        """The anchors `(A, 4)` of each level, from the (rows, columns) of each."""
        levels = zip(self.strides, self.sizes, cells, strict=True)
        return [
            grid_anchors(generate_anchors(stride, self.ratios, [side / stride for side in sides]), size, stride)
            for stride, sides, size in levels
        ]

    def call(self, logits, deltas, image_sizes):
        anchors = self.anchors([tf.unstack(tf.shape(each)[1:3]) for each in logits])
        batch = tf.shape(image_sizes)[0]
        logits = [tf.reshape(tf.cast(each, tf.float32), (batch, -1)) for each in logits]
        deltas = [tf.reshape(tf.cast(each, tf.float32), (batch, -1, 4)) for each in deltas]
        settings = (self.before, self.after, self.iou_threshold, self.smallest)
        return propose_over_levels(logits, deltas, anchors, image_sizes, *settings)

    def compute_output_spec(self, logits, deltas, image_sizes):
        return keras.KerasTensor((image_sizes.shape[0], self.after, 4), "float32")

    def get_config(self):
        names = ("strides", "sizes", "ratios", "before", "after", "iou_threshold", "smallest")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="keras_cnns")
class PyramidRoI(keras.layers.Layer):
    """What lies under each box, on the level of its size: FPN, section 4.2, equation 1.

    `PyramidRoI(7, (4, 8, 16, 32))(maps, boxes)`: maps `(batch, rows, columns, channels)` from fine to coarse, boxes
    `(batch, number, 4)` in the image's pixels, to `(batch, number, h, w, channels)`.

    Args:
        output_size: (h, w), or a number for both.
        strides: pixels of the image a cell, level by level.
        operation: "align" (`keras_cnns.ops.roi_align`) or "pool" (`roi_pool`).

    Raises:
        ValueError: another operation, or an output without a bin.
    """

    def __init__(self, output_size: int | Sequence[int], strides: Sequence[int], operation: str = "align", **kwargs):
        super().__init__(autocast=False, **kwargs)  # bfloat16 has too few digits for a box
        check_choice("operation", operation, tuple(OPERATIONS))
        self.output_size, self.strides, self.operation = pair("output_size", output_size), list(strides), operation

    def call(self, maps, boxes):
        of_boxes = OPERATIONS[self.operation]
        if len(maps) == 1:
            return of_boxes(maps[0], boxes, self.output_size, 1 / self.strides[0])
        level, found = pyramid_level(boxes, self.strides), 0.0
        for number, (features, stride) in enumerate(zip(maps, self.strides, strict=True)):
            own = level == number
            here = of_boxes(features, tf.where(own[..., None], boxes, 0.0), self.output_size, 1 / stride)
            found = tf.where(own[..., None, None, None], here, found)
        return found

    def compute_output_spec(self, maps, boxes):
        return keras.KerasTensor((*boxes.shape[:2], *self.output_size, maps[0].shape[-1]), maps[0].dtype)

    def get_config(self):
        settings = {name: getattr(self, name) for name in ("output_size", "strides", "operation")}
        return {**super().get_config(), **settings}
