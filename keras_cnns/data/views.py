"""Two views of an image for contrastive learning: Chen et al., "SimCLR", ICML 2020, appendix A.

Functions of (images, keys) on whole batches of images of one size, as in `augmentation`: RGB from 0 to 255 in, float32
out.

Deviations: crops are scaled bilinearly and without antialiasing, the paper's bicubically. Brightness, contrast and
saturation blend as in Pillow and torchvision, and the hue turns with them in one random order.
"""

import itertools

import numpy as np
import tensorflow as tf

from keras_cnns.data.augmentation import random_flip
from keras_cnns.data.random import fold, integers, uniform


def two_views(*functions):
    """Two results of the functions for each image, drawn independently: `(batch, 2, height, width, channels)`."""

    def views(images, keys):
        both = []
        for number in range(2):
            view, key = images, fold(keys, number)
            for place, function in enumerate(functions):
                view = function(view, fold(key, place))  # or two functions would draw the same numbers
            both.append(view)
        return tf.stack(both, axis=1)

    return views


def random_resized_crop(side, area=(0.08, 1.0), aspect=(3 / 4, 4 / 3), attempts=10):
    """Cut out a patch of random area and shape and scale it to `side` x `side`, bilinear; float32 out.

    area: of the patch, as a share of the image's, drawn evenly. aspect: width to height, its logarithm drawn evenly.
    The first of `attempts` patches that lies in the image counts; if none does, the largest centre square.
    """

    def crop(images, keys):
        height, width = (tf.cast(each, tf.float32) for each in tf.unstack(tf.shape(images)[1:3]))
        keys = fold(keys[:, None], tf.range(attempts))  # (batch, attempts)
        pixels = uniform(keys, 0, *area) * height * width
        ratio = tf.exp(uniform(keys, 1, *np.log(aspect).astype("float32")))
        tall, wide = tf.sqrt(pixels / ratio), tf.sqrt(pixels * ratio)
        top, left = uniform(keys, 2) * (height - tall), uniform(keys, 3) * (width - wide)
        square = tf.minimum(height, width)
        centre = tf.stack([(height - square) / 2, (width - square) / 2, square, square])
        boxes = tf.stack([top, left, tall, wide], axis=-1)
        boxes = tf.concat([boxes, tf.broadcast_to(centre, (tf.shape(boxes)[0], 1, 4))], axis=1)
        fits = tf.pad((tall <= height) & (wide <= width), [[0, 0], [0, 1]], constant_values=True)
        top, left, tall, wide = tf.unstack(tf.gather(boxes, tf.argmax(fits, axis=1), batch_dims=1), axis=1)

        # The border once more around the images, so that half a pixel beyond it is the border's.
        padded = tf.pad(tf.cast(images, tf.float32), [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")

        def ends(start, length, size):
            """The first and the last sample, as `crop_and_resize` counts: 0 in the first pixel's middle, 1 in the
            last's."""
            half = length / (2 * side)
            return (start + half + 0.5) / (size + 1), (start + length - half + 0.5) / (size + 1)

        (y1, y2), (x1, x2) = ends(top, tall, height), ends(left, wide, width)
        numbers = tf.range(tf.shape(images)[0])
        return tf.image.crop_and_resize(padded, tf.stack([y1, x1, y2, x2], axis=1), numbers, (side, side))

    return crop


def with_probability(probability, function):
    """The function's result for that share of the images, drawn for each, and the others as they are, in float32."""

    def sometimes(images, keys):
        images = tf.cast(images, tf.float32)
        chosen = uniform(fold(keys, 0)) < probability
        return tf.raw_ops.Select(condition=chosen, x=function(images, fold(keys, 1)), y=images)

    return sometimes


def colour_jitter(blend, hue):
    """Change brightness, contrast, saturation and hue in random order, cut to 0..255 after each.

    blend: the factors of the first three are drawn from 1 - blend, at least 0, to 1 + blend. hue: its shift is drawn
    from -hue to hue, in shares of the circle.
    """
    orders = np.int32(list(itertools.permutations(range(4))))
    low, high = max(1.0 - blend, 0.0), 1.0 + blend

    def jitter(images, keys):
        images = tf.cast(images, tf.float32)
        order = tf.gather(orders, integers(keys, 0, count=len(orders)))
        factor = uniform(keys, 1, low, high), uniform(keys, 2, low, high), uniform(keys, 3, low, high)
        factor = tf.stack([*factor, tf.ones_like(factor[0])], axis=1)
        shift = uniform(keys, 4, -hue, hue)
        for turn in range(4):
            change = order[:, turn, None, None, None]
            grey = tf.image.rgb_to_grayscale(images)
            mean = tf.reduce_mean(grey, axis=(1, 2), keepdims=True)
            other = tf.where(change == 0, 0.0, tf.where(change == 1, mean, grey))
            blended = other + tf.gather(factor, order[:, turn], batch_dims=1)[:, None, None, None] * (images - other)
            chosen = tf.where(order[:, turn] == 3)  # an image's hue is turned once, which is slow
            turned = hue_shifted(tf.gather_nd(images, chosen), tf.gather_nd(shift, chosen))
            images = tf.clip_by_value(tf.tensor_scatter_nd_update(blended, chosen, turned), 0.0, 255.0)
        return images

    return jitter


def hue_shifted(images, shift):
    """Images whose hue is turned by a share of the circle, `(batch,)`."""
    hue, saturation, value = tf.unstack(tf.image.rgb_to_hsv(images / 255), axis=-1)
    hue = tf.math.floormod(hue + shift[:, None, None], 1.0)
    return 255 * tf.image.hsv_to_rgb(tf.stack([hue, saturation, value], axis=-1))


def grey(images, keys):
    """Each image without its colours, in as many channels."""
    return tf.repeat(tf.image.rgb_to_grayscale(tf.cast(images, tf.float32)), 3, axis=-1)


def gaussian_blur(sigma=(0.1, 2.0), share=0.1):
    """Blur by a Gaussian whose deviation, in pixels, is drawn evenly; the kernel is `share` of the height, and odd.

    The border is repeated outwards.
    """

    def blur(images, keys):
        images = tf.cast(images, tf.float32)
        radius = int(images.shape[1] * share) // 2
        places = np.arange(-radius, radius + 1, dtype="float32")
        weights = tf.exp(-(places**2) / (2 * uniform(keys, 0, *sigma)[:, None] ** 2))
        weights /= tf.reduce_sum(weights, axis=1, keepdims=True)
        for axis in (1, 2):
            size = images.shape[axis]
            padded = tf.gather(images, np.clip(np.arange(-radius, size + radius), 0, size - 1), axis=axis)
            images = tf.add_n(
                [
                    weights[:, place, None, None, None] * tf.gather(padded, np.arange(size) + place, axis=axis)
                    for place in range(2 * radius + 1)
                ]
            )
        return images

    return blur


def simclr_views(side, strength=1.0, blur=True):
    """The paper's two views: crop, flip, colour jitter (0.8 of them), grey (0.2) and, on ImageNet, blur (0.5).

    side: of the views. strength: of the colours, 1 on ImageNet and 0.5 on CIFAR-10. blur: left out on CIFAR-10.
    """
    steps = [random_resized_crop(side), random_flip]
    steps += [with_probability(0.8, colour_jitter(0.8 * strength, 0.2 * strength)), with_probability(0.2, grey)]
    steps += [with_probability(0.5, gaussian_blur())] if blur else []
    return two_views(*steps)


def moco_views(side):
    """MoCo's two views, section 3.3 and its release: crop of at least 0.2, grey (0.2), colour jitter of 0.4, flip."""
    steps = [random_resized_crop(side, (0.2, 1.0)), with_probability(0.2, grey), colour_jitter(0.4, 0.4), random_flip]
    return two_views(*steps)
