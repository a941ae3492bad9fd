"""Anchors: the boxes that a region proposal network starts from. Ren et al., "Faster R-CNN", NIPS 2015, section 3.1."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf


def generate_anchors(
    base: int = 16, ratios: Sequence[float] = (0.5, 1, 2), scales: Sequence[float] = (8, 16, 32)
) -> np.ndarray:
    """Return the anchors of the map's first cell, float32 `(ratios * scales, 4)`: all scales of a ratio, then the next.

    Their common middle is that of a square of `base` pixels at the image's corner. Sides are rounded as in the release,
    before they are scaled, so that the default's 2:1 anchors are 184x96, 368x192 and 736x384 pixels. The release counts
    corners inclusively, (-84, -40, 99, 55); here the ends are exclusive, (-84, -40, 100, 56).

    Args:
        base: pixels of the image that a cell covers.
        ratios: of height to width. scales: of a side to the base.

    Raises:
        ValueError: a base, a ratio or a scale that is not positive, or no ratio or scale.
    """
    for name, values in (("base", (base,)), ("ratios", ratios), ("scales", scales)):
        if not len(values) or not np.min(values) > 0:
            raise ValueError(f"{name} is {values[0] if name == 'base' else values}; it must be positive.")
    ratios = np.asarray(ratios, "float64")
    widths = np.round(np.sqrt(base * base / ratios))
    heights = np.round(widths * ratios)
    half = np.stack([widths, heights], axis=1)[:, None] * np.asarray(scales, "float64")[:, None] / 2
    return np.concatenate([base / 2 - half, base / 2 + half], axis=-1).reshape(-1, 4).astype("float32")


def grid_anchors(anchors: np.ndarray | tf.Tensor, size: Sequence[int], stride: int = 16) -> tf.Tensor:
    """Return the anchors `(rows * columns * k, 4)` of a map of size (rows, columns), row by row, float32.

    anchors: `(k, 4)`, of the first cell. stride: pixels of the image from a cell to the next.
    """
    rows, columns = size
    y, x = tf.meshgrid(tf.range(rows), tf.range(columns), indexing="ij")
    shifts = tf.cast(tf.stack([x, y, x, y], axis=-1), tf.float32) * stride
    return tf.reshape(shifts[:, :, None] + tf.constant(anchors, tf.float32), (-1, 4))
