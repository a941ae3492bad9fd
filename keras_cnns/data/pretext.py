"""Tasks that need no labels: images to inputs and the labels that were made of them, for `Images.task`.

Functions of (images, keys) on whole batches, as in `augmentation`: `(batch, height, width, channels)` with one key an
image from `data.random`.
"""

import tensorflow as tf

ANGLES = ("0", "90", "180", "270")  # degrees against the clock, RotNet's classes


def rotations(images, keys):
    """The four copies of each image, turned by 0, 90, 180 and 270 degrees, and which is which: RotNet, section 3.1.

    `(batch, side, side, channels)` to `(4 * batch, side, side, channels)`, an image's copies side by side, and the
    labels 0, 1, 2, 3, 0, 1, ... The paper trains best with all four in one batch.

    Raises:
        ValueError: images that are not square.
    """
    height, width = images.shape[1:3]
    if height != width:
        raise ValueError(f"images are {height}x{width}; they must be square to be turned.")
    turned = tf.stack([tf.image.rot90(images, quarter) for quarter in range(4)], axis=1)
    labels = tf.tile(tf.range(4, dtype=tf.int64), [tf.shape(images)[0]])
    return tf.reshape(turned, [-1, *images.shape[1:]]), labels
