"""The grid of YOLO: Redmon et al., "You Only Look Once", CVPR 2016, section 2.

A cell of the network's output `(batch, rows, columns, classes + 5 * B)` holds the class scores, then the confidences of
its B boxes, then their x, y, square roots of w, and of h: x and y from the cell's upper left corner in cells, w and h
in shares of the image. (Darknet stores the three parts one after another for all cells; the paper names no order.)
"""

from collections.abc import Sequence

import tensorflow as tf


def split_cells(outputs: tf.Tensor, classes: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the classes `(batch, rows, columns, classes)`, confidences `(..., B)` and boxes `(..., B, 4)` of outputs.

    outputs: `(batch, rows, columns, classes + 5 * B)`; float32 comes out.

    Raises:
        ValueError: no B fits the outputs' depth.
    """
    depth = outputs.shape[-1]
    number, rest = divmod(depth - classes, 5)
    if number < 1 or rest:
        raise ValueError(f"outputs have {depth} numbers a cell; {classes} classes need {classes} + 5 for each box.")
    outputs = tf.cast(outputs, tf.float32)
    boxes = outputs[..., classes + number :]
    boxes = tf.reshape(boxes, (-1, *outputs.shape[1:3], number, 4))
    return outputs[..., :classes], outputs[..., classes : classes + number], boxes


def yolo_boxes(outputs: tf.Tensor, classes: int, size: Sequence[int]) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the boxes `(batch, rows * columns * B, 4)` of outputs and their scores `(..., classes)`, float32.

    A score is P(class) * P(object) * IoU, the class's times the box's confidence: equation 1. Boxes are in pixels of an
    image of `size`, (height, width), and may lie partly outside. Errors: as in `split_cells`.
    """
    names, confidences, boxes = split_cells(outputs, classes)
    rows, columns, number = boxes.shape[1:4]
    height, width = (tf.cast(side, tf.float32) for side in size)
    x, y, w, h = tf.unstack(boxes, axis=-1)
    x = (x + tf.range(float(columns))[:, None]) * width / columns
    y = (y + tf.range(float(rows))[:, None, None]) * height / rows
    w, h = w**2 * width / 2, h**2 * height / 2
    scores = confidences[..., None] * names[..., None, :]
    boxes = tf.reshape(tf.stack([x - w, y - h, x + w, y + h], axis=-1), (-1, rows * columns * number, 4))
    return boxes, tf.reshape(scores, (-1, rows * columns * number, classes))


def cell_objects(
    objects: tf.Tensor, grid: Sequence[int], size: Sequence[int]
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return which cells hold an object's middle `(batch, rows, columns)`, and that object's box and class there.

    Boxes `(batch, rows, columns, 4)` are (x, y, w, h) as a cell of the outputs has them, w and h without the roots;
    classes are int32 `(batch, rows, columns)`. Of several objects in a cell the first counts (Darknet shuffles them);
    difficult ones count nowhere, as in Darknet's preparation of VOC.

    Args:
        objects: `(batch, most, 6)` as `keras_cnns.data.voc_boxes` has them, in pixels.
        grid: (rows, columns).
        size: (height, width) of the images.
    """
    (rows, columns), (height, width) = grid, size
    x1, y1, x2, y2, label, difficult = tf.unstack(tf.cast(objects, tf.float32), axis=-1)
    x, y = (x1 + x2) / 2 * (columns / width), (y1 + y2) / 2 * (rows / height)
    column = tf.clip_by_value(tf.floor(x), 0.0, columns - 1.0)
    row = tf.clip_by_value(tf.floor(y), 0.0, rows - 1.0)
    cell = tf.where((label >= 0) & (difficult == 0), row * columns + column, -1.0)
    here = tf.equal(cell[:, None], tf.range(float(rows * columns))[:, None])  # (batch, cells, most)
    first = tf.argmax(tf.cast(here, tf.int32), axis=-1)
    boxes = tf.stack([x - column, y - row, (x2 - x1) / width, (y2 - y1) / height, label], axis=-1)
    boxes = tf.reshape(tf.gather(boxes, first, batch_dims=1), (-1, rows, columns, 5))
    there = tf.reshape(tf.reduce_any(here, axis=-1), (-1, rows, columns))
    return there, boxes[..., :4], tf.cast(boxes[..., 4], tf.int32)
