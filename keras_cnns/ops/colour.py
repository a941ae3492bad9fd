"""Lab colours, and the 313 bins of their ab plane: Zhang et al., "Colorful Image Colorization", ECCV 2016, section 2.

Lab is scikit-image's: sRGB, D65, the observer of 2 degrees.
"""

import numpy as np
import tensorflow as tf

# The release's points, every tenth of a and b: (a, lowest b, highest b). 309 of the 313 are corners of the cells of
# that grid in which some sRGB colour lies; (40, 90), (100, -90), (100, -10) and (100, 0) lie up to 3 units beyond.
ROWS = [(-90, 50, 90), (-80, 20, 90), (-70, 0, 90), (-60, -20, 90), (-50, -30, 100), (-40, -40, 100), (-30, -50, 100)]
ROWS += [(-20, -50, 100), (-10, -60, 100), (0, -70, 100), (10, -80, 90), (20, -80, 90), (30, -90, 90), (40, -100, 90)]
ROWS += [(50, -100, 80), (60, -110, 80), (70, -110, 80), (80, -110, 70), (90, -110, 70), (100, -90, 0)]
AB_BINS = np.float32([(a, b) for a, low, high in ROWS for b in range(low, high + 1, 10)])  # (313, 2)

RGB_TO_XYZ = np.float32(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
WHITE = np.float32([0.95047, 1.0, 1.08883])


def rgb_to_lab(images):
    """`(..., 3)` of red, green and blue from 0 to 255 to L from 0 to 100, a and b; float32."""
    rgb = tf.cast(images, tf.float32) / 255
    linear = tf.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = tf.linalg.matmul(linear, RGB_TO_XYZ / WHITE[:, None], transpose_b=True)
    x, y, z = tf.unstack(tf.where(xyz > 0.008856, tf.maximum(xyz, 1e-6) ** (1 / 3), 7.787 * xyz + 16 / 116), axis=-1)
    return tf.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def lab_to_rgb(lab):
    """The inverse of `rgb_to_lab`, from 0 to 255; what lies outside of sRGB is cut to it."""
    lightness, a, b = tf.unstack(lab, axis=-1)
    y = (lightness + 16) / 116
    xyz = tf.stack([y + a / 500, y, tf.maximum(y - b / 200, 0.0)], axis=-1)
    xyz = tf.where(xyz > 0.2068966, xyz**3, (xyz - 16 / 116) / 7.787) * WHITE
    linear = tf.linalg.matmul(xyz, np.linalg.inv(RGB_TO_XYZ), transpose_b=True)
    rgb = tf.where(linear > 0.0031308, 1.055 * tf.maximum(linear, 1e-6) ** (1 / 2.4) - 0.055, 12.92 * linear)
    return 255 * tf.clip_by_value(rgb, 0.0, 1.0)


def encode_ab(ab, neighbours=5, sigma=5.0):
    """The bins next to each colour and their shares: section 2.2, soft encoding Z of Y.

    `(..., 2)` to int32 `(..., neighbours)`, the nearest first, and float32 of the same shape, whose sum is 1: shares
    fall with the distance as a Gaussian of deviation `sigma`.
    """
    away = -2 * tf.linalg.matmul(ab, AB_BINS, transpose_b=True) + tf.constant((AB_BINS**2).sum(axis=1))
    squared, bins = tf.math.top_k(-away, neighbours)  # but for the colour's own square, the same for all bins
    return bins, tf.nn.softmax(squared / (2 * sigma**2))


def annealed_mean(logits, temperature=0.38):
    """Colours `(..., 2)` of logits `(..., 313)`: the mean of the bins by the softmax at that temperature, eq. 5.

    At 1 it is the mean of the distribution, near 0 its mode.
    """
    return tf.linalg.matmul(tf.nn.softmax(tf.cast(logits, tf.float32) / temperature), AB_BINS)
