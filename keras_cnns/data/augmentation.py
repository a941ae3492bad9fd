"""The papers' augmentations.

Those for whole batches map `(images, keys)` to images: `(batch, height, width, channels)` with one key an image from
`data.random`. Those for one image map `(image, key)` likewise, and may change its size.
"""

import numpy as np
import tensorflow as tf

from keras_cnns.data.random import integers, normal, uniform

# One image: `Images.each`.


def resize_shorter_side(side):
    """Scale an image so that its shorter side has `side` pixels: AlexNet, section 2. uint8 out."""

    def resize(image, key):
        height, width = tf.shape(image)[0], tf.shape(image)[1]
        scale = side / tf.minimum(height, width)
        size = tf.maximum(tf.cast(tf.round(scale * tf.cast([height, width], tf.float64)), tf.int32), side)
        return to_uint8(tf.image.resize(image, size, antialias=True))

    return resize


def centre_crop(side):
    """Cut the middle `side` x `side` pixels out of an image."""

    def crop(image, key):
        top, left = (tf.shape(image)[0] - side) // 2, (tf.shape(image)[1] - side) // 2
        return tf.ensure_shape(image[top : top + side, left : left + side], (side, side, None))

    return crop


def to_uint8(images):
    return tf.cast(tf.clip_by_value(tf.round(images), 0, 255), tf.uint8)


# Whole batches: `Images.map`.


def random_flip(images, keys):
    """Mirror each image left to right with probability one half."""
    return tf.where((uniform(keys) < 0.5)[:, None, None, None], tf.reverse(images, [2]), images)


def random_crop(side, positions=None):
    """Cut a random `side` x `side` patch out of each image.

    positions: number of offsets on each axis; all that fit by default. AlexNet counts 32 for 224 of 256 pixels, with
    mirrors 2,048 variants of an image, though 33 fit (section 4.1).
    """

    def crop(images, keys):
        fit = tf.shape(images)[1:3] - side + 1
        count = fit if positions is None else tf.minimum(fit, positions)
        return crop_each(images, integers(keys, 0, count=count[0]), integers(keys, 1, count=count[1]), side)

    return crop


def pad_and_crop(padding=4):
    """Zero-pad each image on every side and cut the old size out at random: ResNet on CIFAR-10, section 4.2."""

    def crop(images, keys):
        side = images.shape[1]
        padded = tf.pad(images, [(0, 0), (padding, padding), (padding, padding), (0, 0)])
        return random_crop(side)(padded, keys)

    return crop


def crop_each(images, top, left, side):
    """Cut `side` x `side` at its own (top, left) out of each image."""
    rows = top[:, None] + tf.range(side)
    columns = left[:, None] + tf.range(side)
    return tf.gather(tf.gather(images, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)


def pca_colour_noise(covariance, deviation=0.1):
    """Shift each image's colour along the principal components of RGB: AlexNet, section 4.1.

    Adds [p1 p2 p3][a1 s1, a2 s2, a3 s3] to every pixel of an image, with a ~ N(0, deviation^2) drawn once an image. The
    paper calls the s eigenvalues; the authors' code takes their square roots, the standard deviations, and so do we:
    eigenvalues of 0..255 pixels would drown the picture.

    covariance: (3, 3), of the training set's RGB pixels.
    """
    eigenvalues, components = np.linalg.eigh(covariance)
    basis = np.float32(components * np.sqrt(np.maximum(eigenvalues, 0.0)))  # columns p_i s_i

    def shift(images, keys):
        a = deviation * tf.stack([normal(keys, stream) for stream in range(3)], axis=-1)  # (batch, 3)
        return tf.cast(images, tf.float32) + tf.linalg.matmul(a, basis, transpose_b=True)[:, None, None, :]

    return shift


def subtract_mean(mean):
    """Subtract the training set's mean, one number a pixel and channel or one a channel; float32 out."""
    mean = np.float32(mean)

    def subtract(images, keys):
        return tf.cast(images, tf.float32) - mean

    return subtract


def ten_crop(side):
    """The four corner patches and the centre one of each image, and their mirrors: AlexNet, section 4.1.

    `(batch, height, width, channels)` to `(batch, 10, side, side, channels)`.
    """

    def crop(images, keys):
        bottom, right = images.shape[1] - side, images.shape[2] - side
        corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
        five = tf.stack([images[:, top : top + side, left : left + side] for top, left in corners], axis=1)
        return tf.concat([five, tf.reverse(five, [3])], axis=1)

    return crop
