"""The loss of YOLO: Redmon et al., CVPR 2016, section 2.2, equation 3, with the targets of the authors' release."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from keras_cnns.ops.yolo import cell_objects, split_cells


@keras.saving.register_keras_serializable(package="keras_cnns")
class YOLOLoss(keras.losses.Loss):
    """Squared errors over the grid: objects `(batch, most, 6)` in pixels, outputs `(batch, rows, columns, depth)`.

    In a cell that holds an object's middle, one box is responsible: that of the highest IoU with the object, or, where
    none overlaps it, the one with the smallest root mean squared error of x, y, w and h. It pays

        5   * ((x - x')² + (y - y')² + (√w - √w')² + (√h - √h')²)
        1   * (confidence - IoU)²     the IoU that the box has now, a constant to the gradient

    the cell (class scores - one-hot class)², and every other box of the image 0.5 * confidence². An image's loss is the
    sum, the batch's the mean over its images. Darknet's gradient leaves out the square's factor of 2: its learning
    rates are twice what this loss needs for the same steps. Of the objects of one cell, see `cell_objects`.

    Args:
        classes: number of classes; B and the grid follow from the outputs.
        size: (height, width) of the images, in whose pixels the objects are.
        coord, noobj: the paper's two factors, 5 and 0.5.

    Raises:
        ValueError: outputs of a depth that has no whole number of boxes.
    """

    def __init__(
        self,
        classes: int,
        size: Sequence[int] = (448, 448),
        coord: float = 5.0,
        noobj: float = 0.5,
        name: str = "yolo_loss",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        self.classes, self.size, self.coord, self.noobj = classes, tuple(size), coord, noobj

    def call(self, objects, outputs):
        names, confidences, boxes = split_cells(outputs, self.classes)
        grid = outputs.shape[1], outputs.shape[2]
        there, true, labels = cell_objects(objects, grid, self.size)
        there = tf.cast(there, tf.float32)

        overlaps, errors = compared(boxes, true, grid)
        best = tf.where(tf.reduce_max(overlaps, axis=-1) > 0, tf.argmax(overlaps, axis=-1), tf.argmin(errors, axis=-1))
        responsible = there[..., None] * tf.one_hot(best, confidences.shape[-1])

        target = tf.concat([true[..., :2], tf.sqrt(true[..., 2:])], axis=-1)
        coordinates = tf.reduce_sum((boxes - target[..., None, :]) ** 2, axis=-1)
        losses = self.coord * responsible * coordinates
        losses += responsible * (confidences - tf.stop_gradient(overlaps)) ** 2
        losses += self.noobj * (1 - responsible) * confidences**2
        classes = tf.reduce_sum((names - tf.one_hot(labels, self.classes)) ** 2, axis=-1)
        return tf.reduce_sum(losses, axis=(1, 2, 3)) + tf.reduce_sum(there * classes, axis=(1, 2))

    def get_config(self):
        own = {"classes": self.classes, "size": self.size, "coord": self.coord, "noobj": self.noobj}
        return {**super().get_config(), **own}


def compared(boxes, true, grid):
    """IoU and root mean squared error of cells' boxes `(..., B, 4)` with their object `(..., 4)`: `(..., B)` each."""
    cell = 1 / tf.constant(grid[::-1], tf.float32)  # of the image's width and height
    middles, sides = boxes[..., :2] * cell, boxes[..., 2:] ** 2
    true_middles, true_sides = true[..., None, :2] * cell, true[..., None, 2:]
    common = tf.minimum(middles + sides / 2, true_middles + true_sides / 2)
    common -= tf.maximum(middles - sides / 2, true_middles - true_sides / 2)
    common = tf.reduce_prod(tf.maximum(common, 0.0), axis=-1)
    union = tf.reduce_prod(sides, axis=-1) + tf.reduce_prod(true_sides, axis=-1) - common
    squares = tf.concat([middles - true_middles, sides - true_sides], axis=-1) ** 2
    return tf.math.divide_no_nan(common, union), tf.sqrt(tf.reduce_mean(squares, axis=-1))
