"""Encoded images as pixels."""

import tensorflow as tf


def decode_colour(encoded: tf.Tensor) -> tf.Tensor:
    """Return uint8 `(height, width, 3)` of an encoded JPEG, PNG, BMP or GIF file, of the last the first frame.

    TensorFlow takes a BMP's entries of a table of colours for levels of grey; here they are looked up.

    Raises:
        tf.errors.InvalidArgumentError: none of these, one that is cut off, or a BMP whose pixels are packed.
    """
    image = tf.cond(
        has_table(encoded),
        lambda: decode_with_table(encoded),
        lambda: tf.io.decode_image(encoded, 3, expand_animations=False),
    )
    return tf.ensure_shape(image, (None, None, 3))


def has_table(encoded):
    """Whether it is a BMP with a table of colours, which has 8 bits a pixel or fewer."""
    bits = lambda: tf.io.decode_raw(tf.strings.substr(encoded, 28, 2), tf.int16)[0]
    return tf.cond(tf.strings.substr(encoded, 0, 2) == b"BM", lambda: bits() <= 8, lambda: False)


def decode_with_table(encoded):
    """Behind 14 bytes, at 10 where the pixels begin, comes a header, its length first, and behind it the table."""
    number = lambda at: tf.io.decode_raw(tf.strings.substr(encoded, at, 4), tf.int32)[0]
    begin = 14 + number(14)
    table = tf.reshape(tf.io.decode_raw(tf.strings.substr(encoded, begin, number(10) - begin), tf.uint8), (-1, 4))
    packed = tf.debugging.Assert(number(30) == 0, ["a BMP whose pixels are packed"])
    with tf.control_dependencies([packed]):
        entries = tf.io.decode_bmp(tf.identity(encoded))[..., 0]  # refuses fewer than 8 bits a pixel
    return tf.gather(table[:, 2::-1], tf.cast(entries, tf.int32))  # blue, green and red
