"""What stands between a photograph and a network: size, mean, scale."""

import keras
import numpy as np
import tensorflow as tf

LARGEST = 2**20  # pixels of an image for a network that takes any size


@keras.saving.register_keras_serializable(package="keras_cnns")
class Preprocessing(keras.layers.Layer):
    """Bring images to a network's size, subtract the mean and scale: no weights, TensorFlow operations alone.

    `(batch, h, w, channels)` of any h and w, uint8 or floating with values from 0 to 255, to float32
    `(batch, height, width, channels)` under any precision. Images that have the size already keep every pixel.

    Args:
        size: (height, width) of the output, or one number for both; None keeps each image's own, except that one of
            more than 2^20 pixels is scaled down to that, as the memory of a network grows with them.
        shorter_side: pixels of the shorter side after resizing with the aspect ratio kept; the centre `size` is cut
            from that. None resizes to `size` itself. Both are bilinear, antialiased.
        mean: what is subtracted: a number, one a channel, or one a pixel and channel, (height, width, channels).
        scale: what the difference is multiplied by: a number or one a channel.

    Raises:
        ValueError: a size below one pixel, a `shorter_side` shorter than `size`, a mean of another shape, or images
            that are no such batch.
    """

    def __init__(self, size, shorter_side=None, mean=None, scale=1.0, **kwargs):
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})
        self.size = (size, size) if size is None or isinstance(size, int) else tuple(size)
        self.shorter_side, self.scale = shorter_side, scale
        self.mean = np.asarray(0 if mean is None else mean, "float32")
        free = size is None and shorter_side is None
        if not free and (len(self.size) != 2 or any(not isinstance(side, int) or side < 1 for side in self.size)):
            raise ValueError(f"size is {size}; it must be (height, width), both whole numbers of at least 1.")
        if shorter_side is not None and shorter_side < max(self.size):
            raise ValueError(f"shorter_side is {shorter_side}; {self.size} can be cut from {max(self.size)} or more.")
        if self.mean.ndim not in (0, 1, 3) or (self.mean.ndim == 3 and self.mean.shape[:2] != self.size):
            allowed = f"it must be a number, one a channel, or {self.size} of them"
            raise ValueError(f"mean has the shape {self.mean.shape}; {allowed}.")

    def call(self, images):
        return self.normalise(self.resize(images))

    def resize(self, images):
        """Return the images at `size`, values still from 0 to 255, float32."""
        images = tf.convert_to_tensor(images)
        if images.shape.rank != 4 or (self.mean.ndim and self.mean.shape[-1] != images.shape[-1]):
            channels = self.mean.shape[-1] if self.mean.ndim else "channels"
            raise ValueError(f"images have the shape {images.shape}; it must be (batch, height, width, {channels}).")
        if images.dtype != tf.uint8:
            images = tf.cast(images, tf.float32)
        if None not in self.size and images.shape[1:3] == self.size and self.shorter_side in (None, min(self.size)):
            return tf.cast(images, tf.float32)
        height, width = tf.shape(images)[1], tf.shape(images)[2]
        if self.size[0] is None:
            return tf.cond(height * width <= LARGEST, lambda: tf.cast(images, tf.float32), lambda: reduced(images))
        if self.shorter_side is None:
            resized = self.size
        else:
            shorter = tf.minimum(height, width)
            resized = [(side * self.shorter_side + shorter // 2) // shorter for side in (height, width)]
        # Resized and cut in one step, so that a very long image is never held at its resized length.
        return tf.raw_ops.ScaleAndTranslate(
            images=images,
            size=self.size,
            scale=tf.cast(tf.stack(resized) / tf.stack([height, width]), tf.float32),
            translation=tf.cast(-((tf.stack(resized) - tf.stack(self.size)) // 2), tf.float32),
            kernel_type="triangle",
            antialias=True,
        )

    def normalise(self, images):
        """Return float32 images at `size` with the mean subtracted, multiplied by the scale."""
        return (tf.cast(images, tf.float32) - self.mean) * self.scale

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.size, input_shape[-1])

    def get_config(self):
        size = None if self.size[0] is None else self.size
        arguments = {"size": size, "shorter_side": self.shorter_side, "mean": self.mean.tolist()}
        return {**super().get_config(), **arguments, "scale": self.scale}


def reduced(images):
    """Images scaled down to `LARGEST` pixels."""
    sides = tf.cast(tf.shape(images)[1:3], tf.float32)
    size = tf.cast(tf.maximum(sides * tf.sqrt(LARGEST / tf.reduce_prod(sides)), 1.0), tf.int32)
    return tf.image.resize(images, size, antialias=True)
