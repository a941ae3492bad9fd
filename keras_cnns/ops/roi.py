"""Regions of interest: the part of a map that lies under a box, brought to one size for all boxes."""

import math
from collections.abc import Sequence

import tensorflow as tf

from keras_cnns.ops.boxes import corners
from keras_cnns.ops.pooling import max_of_bins


def roi_pool(
    features: tf.Tensor, boxes: tf.Tensor, output_size: int | Sequence[int], spatial_scale: float
) -> tf.Tensor:
    """Return the maxima of h x w bins under each box: `(B, N, h, w, C)`; of a bin outside of the map 0.

    As Caffe's layer does, both ends of a box are scaled and rounded, halves away from zero, the cell of the end belongs
    to it, so that it has at least one, and bins share cells where they do not come out even. The gradient goes to the
    first maximum of a bin, and none to the boxes.

    Args:
        features, boxes: `(B, H, W, C)` and `(B, N, 4)`, boxes in the image's pixels.
        output_size: (h, w), or a number for both.
        spatial_scale: cells of the map a pixel of the image: 1/16 behind four poolings.

    Source: Fast R-CNN (Girshick, ICCV 2015), section 2.1, and its code for the rounding.
    """
    height, width = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    x1, y1, x2, y2 = (rounded(each * spatial_scale) for each in corners(boxes))
    cells = tf.shape(features)
    return max_of_bins(features, bins(y1, y2, height, cells[1]), bins(x1, x2, width, cells[2]))


def roi_align(
    features: tf.Tensor,
    boxes: tf.Tensor,
    output_size: int | Sequence[int],
    spatial_scale: float,
    sampling_ratio: int = 2,
    aligned: bool = False,
) -> tf.Tensor:
    """Return the means of samples in h x w bins under each box: `(B, N, h, w, C)`.

    Nothing is rounded. Each sample is interpolated linearly between the four cells around it; up to one cell beyond the
    map it is the border's, and further away 0, within float32's rounding. No gradient leads to the boxes.

    Args:
        features, boxes: `(B, H, W, C)` and `(B, N, 4)`, boxes in the image's pixels.
        output_size: (h, w), or a number for both.
        spatial_scale: cells of the map a pixel of the image: 1/16 behind four poolings.
        sampling_ratio: samples a bin along each side, evenly spaced.
        aligned: a cell's value lies in its middle, half a cell from its corner. Without, as in the authors' first
            code, it lies at the corner, half a cell off, and a box has at least one cell.

    Raises:
        ValueError: a sampling_ratio below 1.

    Source: Mask R-CNN (He et al., ICCV 2017), section 3, and Detectron for what it leaves open.
    """
    if sampling_ratio < 1:
        raise ValueError(f"sampling_ratio is {sampling_ratio}; it must be at least 1.")
    height, width = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    x1, y1, x2, y2 = (tf.stop_gradient(each) * spatial_scale - 0.5 * aligned for each in corners(boxes))
    if not aligned:
        x2, y2 = tf.maximum(x2, x1 + 1), tf.maximum(y2, y1 + 1)
    # The border once more around the map, so that samples up to a cell beyond it are the border's.
    padded = tf.pad(tf.cast(features, tf.float32), [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    batch, rows, columns, channels = tf.unstack(tf.shape(padded))
    number = tf.shape(x1)[1]
    top, bottom = samples(y1, y2, height * sampling_ratio, rows)
    left, right = samples(x1, x2, width * sampling_ratio, columns)
    found = crops(
        padded,
        tf.reshape(tf.stack([top, left, bottom, right], axis=-1), (-1, 4)),
        tf.repeat(tf.range(batch), number),
        (height * sampling_ratio, width * sampling_ratio),
    )
    means = tf.nn.avg_pool2d(found, sampling_ratio, sampling_ratio, "VALID")
    return tf.cast(tf.reshape(means, (batch, number, height, width, channels)), features.dtype)


def pyramid_level(boxes: tf.Tensor, strides: Sequence[int]) -> tf.Tensor:
    """Return the level of a pyramid, int32 from 0, that each box belongs to: `boxes.shape[:-1]`.

    A box of 224 pixels belongs to the level of stride 16, one of twice the size to the next, and what would lie beyond
    the pyramid to its end.

    Args:
        boxes: `(..., 4)`, in the image's pixels.
        strides: pixels a cell, level by level, each twice the one before.

    Source: FPN (Lin et al., CVPR 2017), section 4.2, equation 1, with Detectron's 1e-6 against rounding.
    """
    x1, y1, x2, y2 = corners(boxes)
    side = tf.sqrt(tf.maximum(x2 - x1, 0.0) * tf.maximum(y2 - y1, 0.0))
    level = tf.floor(4 + tf.math.log(side / 224 + 1e-6) / math.log(2.0)) - math.log2(strides[0])
    return tf.cast(tf.clip_by_value(level, 0.0, len(strides) - 1.0), tf.int32)


def warp_boxes(image: tf.Tensor, boxes: tf.Tensor, size: int, context: int = 0) -> tf.Tensor:
    """Return what lies under each box of an image at one size, whatever its shape: `(N, size, size, C)`, float32.

    Height and width are scaled each for itself, bilinearly and without antialiasing. Beyond the image there is 0: the
    mean, of an image that it was subtracted from.

    Args:
        image, boxes: `(H, W, C)` and `(N, 4)`.
        size: pixels of the result's sides.
        context: pixels of the result, on each of its sides, that show what surrounds the box.

    Raises:
        ValueError: a context below 0, or one that leaves nothing of `size` for the box.

    Source: R-CNN (Girshick et al., CVPR 2014), appendix A: size 227, context 16.
    """
    inner = size - 2 * context
    if context < 0 or inner < 1:
        raise ValueError(f"context is {context}; it must be at least 0 and less than half of the size, {size}.")
    padded = tf.pad(tf.cast(image, tf.float32), [[1, 1], [1, 1], [0, 0]], "SYMMETRIC")[None]
    x1, y1, x2, y2 = corners(boxes)
    across, down = (x2 - x1) * context / inner, (y2 - y1) * context / inner
    top, bottom = samples(y1 - down - 0.5, y2 + down - 0.5, size, tf.shape(padded)[1])
    left, right = samples(x1 - across - 0.5, x2 + across - 0.5, size, tf.shape(padded)[2])
    places = tf.stack([top, left, bottom, right], axis=-1)
    return tf.image.crop_and_resize(padded, places, tf.zeros_like(places[:, 0], tf.int32), (size, size))


def crops(maps, places, numbers, size):
    """`tf.image.crop_and_resize` with a gradient that loses nothing.

    TensorFlow's own has threads add to the same cells without a lock, so that on a CPU some of what two boxes bring is
    lost, each time something else (its issues 42033 and 47407). Here interpolation is what it is, a sparse matrix of
    four weights a sample, and its transpose leads back.
    """
    height, width = size

    def corner(first, last, count, cells):
        """The cells before and behind each sample along one axis, and their weights, 0 outside: two of (N, count)."""
        last_cell = tf.cast(cells - 1, tf.float32)
        if count == 1:
            at = 0.5 * (first + last)[:, None] * last_cell
        else:
            at = first[:, None] * last_cell + tf.range(count, dtype=tf.float32) * (
                (last - first)[:, None] * last_cell / (count - 1)
            )
        inside = tf.cast((at >= 0) & (at <= last_cell), tf.float32)
        at = tf.where(inside > 0, at, 0.0)
        before = tf.floor(at)
        cell = tf.cast(before, tf.int64)
        behind = tf.minimum(cell + 1, tf.cast(cells - 1, tf.int64))
        return (cell, inside * (1 - (at - before))), (behind, inside * (at - before))

    @tf.custom_gradient
    def crop(maps):
        def gradient(upstream):
            batch, rows, columns, channels = tf.unstack(tf.shape(maps, tf.int64))
            y1, x1, y2, x2 = tf.unstack(places, axis=-1)
            first = tf.cast(numbers, tf.int64)[:, None, None] * rows * columns
            cells, weights = [], []
            for row, down in corner(y1, y2, height, rows):
                for column, over in corner(x1, x2, width, columns):
                    cells.append(first + row[:, :, None] * columns + column[:, None])
                    weights.append(down[:, :, None] * over[:, None])
            count = tf.size(cells[0], tf.int64)
            index = tf.stack([tf.tile(tf.range(count), [4]), tf.reshape(tf.stack(cells), (-1,))], axis=1)
            matrix = tf.SparseTensor(index, tf.reshape(tf.stack(weights), (-1,)), [count, batch * rows * columns])
            upstream = tf.reshape(upstream, (count, channels))
            return tf.reshape(tf.sparse.sparse_dense_matmul(matrix, upstream, adjoint_a=True), tf.shape(maps))

        return tf.image.crop_and_resize(maps, places, numbers, size), gradient

    return crop(maps)


def samples(start, end, count, cells):
    """The first and the last of `count` samples, each in the middle of its part, as `crop_and_resize` counts: from 0 in
    the first cell's middle, here of the border that was added, to 1 in the last's."""
    half = (end - start) / (2 * count)
    length = tf.cast(cells - 1, tf.float32)
    return (start + half + 1) / length, (end - half + 1) / length


def rounded(x):
    """To the next whole number, halves away from zero, as C does; `tf.round` has them to the even one."""
    whole = x - tf.math.floormod(tf.abs(x), 1.0) * tf.sign(x)
    return whole + tf.sign(x) * tf.cast(tf.abs(x - whole) >= 0.5, x.dtype)


def bins(first, last, count, cells):
    """Where the bins between two cells begin and end, the end exclusive: two of `(B, N, count)`, int32."""
    extent = tf.maximum(last - first + 1, 1.0)[..., None]
    # A float32, like Caffe's, whose rounding errors move some ends by a cell; in float64 first, so that no compiler
    # that multiplies by the reciprocal of `count` makes others.
    size = tf.cast(tf.cast(extent, tf.float64) / count, tf.float32)
    number = tf.range(count, dtype=tf.float32)
    ends = tf.floor(number * size), tf.math.ceil((number + 1) * size)
    return tuple(tf.clip_by_value(tf.cast(first[..., None] + end, tf.int32), 0, cells) for end in ends)
