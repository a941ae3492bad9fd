"""What stands between a photograph and a network: size, mean, scale."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

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
        longest_side: of detectors, whose `size` is None: nothing is cut, and a longer side that would have more pixels
            than this has so many, the shorter one less than `shorter_side`. Bilinear, not antialiased, as they are
            trained.
        mean: what is subtracted: a number, one a channel, or one a pixel and channel, (height, width, channels).
        scale: what the difference is multiplied by: a number or one a channel.

    Raises:
        ValueError: a size below one pixel, a `shorter_side` shorter than `size` or longer than `longest_side`, a mean
            of another shape, or images that are no such batch.
    """

    def __init__(
        self,
        size: int | Sequence[int | None] | None,
        shorter_side: int | Sequence[int] | None = None,
        mean: float | Sequence[float] | None = None,
        scale: float | Sequence[float] = 1.0,
        longest_side: int | None = None,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})
        self.size = (size, size) if size is None or isinstance(size, int) else tuple(size)
        self.shorter_side, self.longest_side, self.scale = shorter_side, longest_side, scale
        self.mean = np.asarray(0 if mean is None else mean, "float32")
        whole = longest_side is not None
        if whole and (size is not None or not shorter_side or not 1 <= shorter_side <= longest_side):
            raise ValueError(
                f"longest_side is {longest_side}, shorter_side {shorter_side} and size {size}; longest_side must be at "
                "least shorter_side, and size None."
            )
        free = size is None and (shorter_side is None or whole)
        if not free and (len(self.size) != 2 or any(not isinstance(side, int) or side < 1 for side in self.size)):
            raise ValueError(f"size is {size}; it must be (height, width), both whole numbers of at least 1.")
        if shorter_side is not None and not whole and shorter_side < max(self.size):
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
        if self.longest_side:
            sides = tf.cast(tf.stack([height, width]), tf.float32)
            factor = tf.minimum(self.shorter_side / tf.reduce_min(sides), self.longest_side / tf.reduce_max(sides))
            return tf.image.resize(images, tf.cast(tf.maximum(tf.round(factor * sides), 1.0), tf.int32))
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

    def pixels(self, images):
        """Return what `normalise` gives as uint8 images again, rounded: what a generator makes, to be looked at."""
        values = tf.cast(images, tf.float32) / self.scale + self.mean
        return tf.cast(tf.clip_by_value(tf.round(values), 0.0, 255.0), tf.uint8)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.size, input_shape[-1])

    def get_config(self):
        size = None if self.size[0] is None else self.size
        # Plain numbers: an array would come back from JSON as a dictionary.
        numbers = {"mean": self.mean.tolist(), "scale": np.asarray(self.scale).tolist()}
        sides = {"shorter_side": self.shorter_side, "longest_side": self.longest_side}
        return {**super().get_config(), "size": size, **sides, **numbers}


def reduced(images):
    """Images scaled down to `LARGEST` pixels."""
    sides = tf.cast(tf.shape(images)[1:3], tf.float32)
    size = tf.cast(tf.maximum(sides * tf.sqrt(LARGEST / tf.reduce_prod(sides)), 1.0), tf.int32)
    return tf.image.resize(images, size, antialias=True)


def list_of_images(images):
    """The images, or `ValueError` if it is a single one in place of a list."""
    if isinstance(images, (str, Path, Image.Image)) or (hasattr(images, "ndim") and images.ndim < 4):
        raise ValueError("images is a single image or no list; it must be a list of images.")
    return images


def pixels_of(image, channels):
    """A photograph as uint8 `(height, width, channels)`: a path, a PIL image or an array.

    Raises:
        ValueError: a file that is no whole image, or an array that is not uint8 or of another shape.
    """
    if isinstance(image, (str, Path)):
        image = opened(image)
    if isinstance(image, Image.Image):
        if image.mode.startswith("I"):  # 16 bits, which PIL would cut off at 255
            image = Image.fromarray((np.clip(np.asarray(image), 0, 65_535) // 257).astype("uint8"))
        return np.asarray(image.convert("L" if channels == 1 else "RGB")).reshape(*image.size[::-1], channels)
    image = np.asarray(image)
    image = image[..., None] if image.ndim == 2 else image
    if image.ndim != 3 or image.dtype != np.uint8 or image.shape[-1] not in (1, channels) or not image.size:
        kind = f"{image.dtype} {image.shape}"
        raise ValueError(f"an image is {kind}; it must be uint8, (height, width, {channels}) or grey.")
    return np.repeat(image, channels // image.shape[-1], axis=-1)


def opened(path):
    """The image in a file, as it is to be looked at: cameras may store it turned.

    Raises:
        ValueError: it is no image, or not a whole one.
    """
    try:
        return ImageOps.exif_transpose(Image.open(path))
    except FileNotFoundError:
        raise ValueError(f"there is no image {path}.") from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # SyntaxError: PIL, of a broken PNG
        raise ValueError(f"{path} is no whole image ({error}).") from None
