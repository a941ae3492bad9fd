"""The papers' augmentations.

Those for whole batches map `(images, keys)` to images: `(batch, height, width, channels)` with one key an image from
`data.random`. Those for one image map `(image, key)` likewise, and may change its size.
"""

import itertools

import numpy as np
import tensorflow as tf

from keras_cnns.data.random import fold, integers, normal, uniform

# One image: `Images.each`.


def resize_shorter_side(side):
    """Scale an image so that its shorter side has `side` pixels: AlexNet, section 2. uint8 out."""

    def resize(image, key):
        return to_uint8(tf.image.resize(image, scaled_size(tf.shape(image)[:2], side), antialias=True))

    return resize


def one(function):
    """A function for whole batches as one of an image and its key: for images of many sizes, and `Images.each`."""
    return lambda image, key: function(image[None], key[None])[0]


class Cut:
    """A function of (image, key) that needs but a part of the image, so that no more of a JPEG is decoded.

    part: function from (shape, key), the shape being an image's (height, width), to the part's (top, left, height,
        width) and to a function from its pixels to the result.
    """

    def __init__(self, part):
        self.part = part

    def __call__(self, image, key):
        (top, left, height, width), finish = self.part(tf.shape(image)[:2], key)
        return finish(image[top : top + height, left : left + width])


def scaled_centre_crop(shorter_side, side):
    """`resize_shorter_side(shorter_side)` and `centre_crop(side)` at once, the rest neither decoded nor scaled.

    AlexNet, section 2. uint8 out. Scaled by the mean over areas, not by the antialiased triangle that
    `resize_shorter_side` takes.
    """

    def part(shape, key):
        size = scaled_size(shape, shorter_side)
        return part_of_scaled(shape, size, (size - side) // 2, side)

    return Cut(part)


def random_scaled_crop(low, high, side):
    """A random `side` x `side` patch of an image whose shorter side is scaled to a number of pixels drawn from
    low..high, the rest neither decoded nor scaled: VGG, section 3.1; ResNet, section 3.4. uint8 out."""

    def part(shape, key):
        size = scaled_size(shape, low + integers(key, 0, count=high - low + 1))
        room = size - side + 1
        return part_of_scaled(shape, size, [integers(key, 1 + axis, count=room[axis]) for axis in (0, 1)], side)

    return Cut(part)


def random_pixels_crop(low, high, side):
    """A random `side` x `side` patch of an image scaled to a number of pixels drawn from low..high, the rest neither
    decoded nor scaled: Doersch et al., ICCV 2015, section 3.1. uint8 out. No side is scaled to less than `side`."""

    def part(shape, key):
        sides = tf.cast(shape, tf.float32)
        scale = tf.sqrt(uniform(key, 0, float(low), float(high)) / tf.reduce_prod(sides))
        size = tf.maximum(tf.cast(tf.round(tf.maximum(scale, side / tf.reduce_min(sides)) * sides), tf.int32), side)
        room = size - side + 1
        return part_of_scaled(shape, size, [integers(key, 1 + axis, count=room[axis]) for axis in (0, 1)], side)

    return Cut(part)


def scaled_size(shape, side):
    """The (height, width) of an image whose shorter side is scaled to `side` pixels."""
    scale = side / tf.reduce_min(shape)
    return tf.maximum(tf.cast(tf.round(scale * tf.cast(shape, tf.float64)), tf.int32), side)


def part_of_scaled(shape, size, corner, side):
    """What `Cut` needs of an image for the `side` x `side` pixels from `corner` on, once it is scaled to `size`: whole
    pixels of the image, so that the patch's edges lie up to a pixel of the image beside the exact ones."""
    scale = tf.cast(size, tf.float64) / tf.cast(shape, tf.float64)
    extent = tf.clip_by_value(tf.cast(tf.round(side / scale), tf.int32), 1, shape)
    begin = tf.minimum(tf.cast(tf.round(tf.cast(corner, tf.float64) / scale), tf.int32), shape - extent)
    return (*tf.unstack(begin), *tf.unstack(extent)), lambda pixels: scaled(pixels, side)


def scaled(pixels, side):
    """An image scaled to `side` x `side`, uint8: a pixel is the mean over what it covers, or bilinear where
    both sides grow. Tests take `tf.image.resize` with antialiasing, as exports do, which is slower."""
    grows = tf.reduce_all(tf.shape(pixels)[:2] <= side)
    resize = lambda method: lambda: tf.image.resize(pixels, (side, side), method)
    return to_uint8(tf.cond(grows, resize("bilinear"), resize("area")))


def random_area_crop(side, area=(0.08, 1.0), aspect=(3 / 4, 4 / 3), attempts=10):
    """Cut out a patch of random area and shape, and scale it to `side` x `side`: GoogLeNet, section 6. uint8 out.

    area: of the patch, as a share of the image's, drawn evenly. aspect: width to height, drawn evenly. The first of
    `attempts` patches that lies in the image counts; if none does, the largest centre square.
    """

    def part(shape, key):
        height, width = tf.unstack(shape)
        keys = fold(key, tf.range(attempts))
        pixels = uniform(keys, 0, *area) * tf.cast(height * width, tf.float32)
        ratio = uniform(keys, 1, *aspect)
        tall = tf.maximum(tf.cast(tf.round(tf.sqrt(pixels / ratio)), tf.int32), 1)
        wide = tf.maximum(tf.cast(tf.round(tf.sqrt(pixels * ratio)), tf.int32), 1)
        top, left = integers(keys, 2, count=height - tall + 1), integers(keys, 3, count=width - wide + 1)
        square = tf.minimum(height, width)
        centre = [(height - square) // 2, (width - square) // 2, square, square]
        boxes = tf.concat([tf.stack([top, left, tall, wide], axis=1), [centre]], axis=0)
        fits = tf.concat([(tall <= height) & (wide <= width), [True]], axis=0)
        first = tf.unstack(boxes[tf.argmax(fits)])
        return first, lambda pixels: scaled(pixels, side)

    return Cut(part)


def crops_of_squares(side, scales):
    """GoogLeNet's test crops, section 7: `(len(scales) * 36, side, side, channels)` of one image, uint8.

    The shorter side is scaled to each of `scales`; of each image the left, centre and right squares are taken (top,
    centre and bottom of an upright one); of each square the ten crops, and the square itself scaled to `side` with its
    mirror. Four scales make the paper's 144.
    """

    def crops_of(square):
        whole = to_uint8(tf.image.resize(square, (side, side), antialias=True))[None]
        return tf.concat([ten_crop(side)(square[None], None)[0], whole, tf.reverse(whole, [2])], axis=0)

    def crop(image, key):
        crops = []
        for scale in scales:
            scaled = resize_shorter_side(scale)(image, key)
            room = tf.shape(scaled)[:2] - scale  # of (height, width), one of them 0
            for corner in ((0, 0), room // 2, room):
                square = scaled[corner[0] : corner[0] + scale, corner[1] : corner[1] + scale]
                crops.append(crops_of(tf.ensure_shape(square, (scale, scale, None))))
        return tf.concat(crops, axis=0)

    return crop


def centre_crop(side):
    """Cut the middle `side` x `side` pixels out of an image."""

    def crop(image, key):
        top, left = (tf.shape(image)[0] - side) // 2, (tf.shape(image)[1] - side) // 2
        return tf.ensure_shape(image[top : top + side, left : left + side], (side, side, None))

    return crop


def to_uint8(images):
    """Rounded, and cut to 0..255."""
    return tf.cast(tf.clip_by_value(tf.round(images), 0, 255), tf.uint8)


# Whole batches: `Images.map`.


def random_flip(images, keys):
    """Mirror each image left to right with probability one half."""
    # `Select` takes whole images by a vector; `tf.where` would spread it over every number, much slower.
    return tf.raw_ops.Select(condition=uniform(keys) < 0.5, x=mirrored(images), y=images)


def mirrored(images):
    """Images mirrored left to right."""
    shape = tf.shape(images)
    rows = tf.reshape(images, [-1, shape[2], shape[3]])  # TensorFlow has a fast way for rows of three colours only
    return tf.ensure_shape(tf.reshape(tf.reverse(rows, [1]), shape), images.shape)


def random_crop(side, positions=None):
    """Cut a random `side` x `side` patch out of each image.

    positions: number of offsets on each axis; all that fit by default. AlexNet counts 32 for 224 of 256 pixels, with
    mirrors 2,048 variants of an image, though 33 fit (section 4.1).
    """

    def crop(images, keys):
        fit = tf.shape(images)[1:3] - side + 1
        count = fit if positions is None else tf.minimum(fit, positions)
        return crop_each(images, integers(keys, 0, count=count[0]), integers(keys, 1, count=count[1]), side, side)

    return crop


def random_sub_crop(side):
    """Cut one of the corner patches and the centre one out of each image, at random: Zeiler & Fergus, section 3."""

    def crop(images, keys):
        chosen = integers(keys, count=5)
        top, left = (tf.gather(offsets, chosen) for offsets in zip(*five(images, side), strict=True))
        return crop_each(images, top, left, side, side)

    return crop


def pad_and_crop(padding=4):
    """Zero-pad each image on every side and cut the old size out at random: ResNet on CIFAR-10, section 4.2."""

    def crop(images, keys):
        padded = tf.pad(images, [(0, 0), (padding, padding), (padding, padding), (0, 0)])
        top, left = (integers(keys, stream, count=2 * padding + 1) for stream in (0, 1))
        return crop_each(padded, top, left, *images.shape[1:3])

    return crop


def crop_each(images, top, left, height, width):
    """Cut `height` x `width` at its own (top, left) out of each image."""
    cut = lambda each: tf.slice(each[0], [each[1], each[2], 0], [height, width, -1])
    shape = tf.TensorSpec((height, width, images.shape[-1]), images.dtype)
    return tf.map_fn(cut, (images, top, left), fn_output_signature=shape, parallel_iterations=1)


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


def photometric_distortion(low=0.5, high=1.5):
    """Change each image's brightness, contrast and colour, in random order, by factors from `low` to `high`.

    Howard, "Some Improvements on Deep Convolutional Neural Network Based Image Classification", 2013, as used for
    GoogLeNet (section 6): each change blends the image with black, with the mean of its grey picture, or with its grey
    picture. RGB in; float32 out, cut to 0..255.
    """
    orders = np.int32(list(itertools.permutations(range(3))))

    def distort(images, keys):
        images = tf.cast(images, tf.float32)
        order = tf.gather(orders, integers(keys, 0, count=len(orders)))  # (batch, 3)
        for turn in range(3):
            change = order[:, turn, None, None, None]
            grey = tf.image.rgb_to_grayscale(images)
            mean = tf.reduce_mean(grey, axis=(1, 2), keepdims=True)
            other = tf.where(change == 0, 0.0, tf.where(change == 1, mean, grey))
            factor = uniform(keys, 1 + turn, low, high)[:, None, None, None]
            images = tf.clip_by_value(other + factor * (images - other), 0.0, 255.0)
        return images

    return distort


def random_exposure(factor=1.5):
    """Multiply each image's saturation and its value, in HSV, by a factor from 1 to `factor` or by its inverse, one as
    likely as the other: YOLO, section 2.2. RGB from 0 to 255 in; float32 out.
    """

    def expose(images, keys):
        hue, saturation, value = tf.unstack(tf.image.rgb_to_hsv(tf.cast(images, tf.float32) / 255), axis=-1)

        def changed(part, stream):
            scale = uniform(keys, stream, 1.0, factor)
            scale = tf.where(uniform(keys, stream + 1) < 0.5, scale, 1 / scale)
            return tf.clip_by_value(part * scale[:, None, None], 0.0, 1.0)

        return 255 * tf.image.hsv_to_rgb(tf.stack([hue, changed(saturation, 0), changed(value, 2)], axis=-1))

    return expose


def subtract_mean(mean, deviation=1.0):
    """Subtract the training set's mean, one number a pixel and channel or one a channel; float32 out.

    deviation: what the difference is divided by, a number or one a channel.
    """
    mean, scale = np.float32(mean), 1 / np.float32(deviation)

    def subtract(images, keys):
        return (tf.cast(images, tf.float32) - mean) * scale

    return subtract


def with_mirror(images, keys):
    """Each image and its mirror: `(batch, height, width, channels)` to `(batch, 2, height, width, channels)`."""
    return tf.stack([images, mirrored(images)], axis=1)


def ten_crop(side):
    """The four corner patches and the centre one of each image, and their mirrors: AlexNet, section 4.1.

    `(batch, height, width, channels)` to `(batch, 10, side, side, channels)`.
    """

    def crop(images, keys):
        corners = five(images, side)
        crops = tf.stack([images[:, top : top + side, left : left + side] for top, left in corners], axis=1)
        return tf.concat([crops, tf.reverse(crops, [3])], axis=1)

    return crop


def five(images, side):
    """The (top, left) of the four corner patches and the centre one."""
    bottom, right = images.shape[1] - side, images.shape[2] - side
    return [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
