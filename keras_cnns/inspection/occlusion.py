"""What a network no longer sees behind a grey square: Zeiler & Fergus, ECCV 2014, section 4.2 and Fig. 7."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.inspection.backpropagation import forward
from keras_cnns.inspection.calls import find_call, open_calls

BATCH = 2**19  # pixels of the network's input at a time


class Occlusion(NamedTuple):
    """For every place of the square, rows and columns of places over the image."""

    probabilities: np.ndarray  # (rows, columns, classes)
    activity: np.ndarray  # (rows, columns): the sum of the feature's map
    feature: int  # the feature whose map is strongest in the whole image


def occlusion(
    model: keras.Model,
    layer: keras.layers.Layer | str,
    image: np.ndarray,
    size: int | None = None,
    stride: int | None = None,
    grey: float = 0.0,
) -> Occlusion:
    """Return the `Occlusion` of an image by a square in every place.

    The square's centre moves over the whole image, so that at the edges a part of it lies outside.

    Args:
        model: a built functional or sequential model of one image input and logits; of several outputs the first.
        layer: a layer of maps or its name, whose strongest feature in this image is watched.
        image: (height, width, channels), as the network takes it: preprocessed.
        size: pixels of the square's side; a quarter of the image's shorter side by default.
        stride: pixels between places; 28 along the shorter side by default, or every pixel of a small image.
        grey: the square's value; 0 is the mean colour where the preprocessing subtracts it.

    Raises:
        ValueError: no such layer (the nearest names are told), one without maps, an image of another shape, or a size
            or stride below 1.
    """
    image = np.asarray(image, "float32")
    if image.ndim != 3:
        raise ValueError(f"image has the shape {image.shape}; it must be (height, width, channels).")
    shorter = min(image.shape[:2])
    size = max(shorter // 4, 1) if size is None else size
    stride = max(shorter // 28, 1) if stride is None else stride
    if size < 1 or stride < 1:
        raise ValueError(f"size is {size} and stride is {stride}; both must be at least 1 pixel.")
    calls, outputs = open_calls(model)
    logits, target = outputs[0][0], find_call(calls, model, layer)
    if len(target.tensors[0].shape) != 4:
        raise ValueError(f"layer {target.layer.name!r} gives {target.tensors[0].shape}; its output must be maps.")

    def look(images):
        scores, maps = forward(calls, [logits, target], tf.constant(images))
        return tf.nn.softmax(tf.cast(scores, tf.float32)), tf.reduce_sum(tf.cast(maps, tf.float32), axis=(1, 2))

    feature = int(tf.argmax(look(image[None])[1][0]))
    rows, columns = (np.arange(stride // 2, side, stride) for side in image.shape[:2])
    places = [(row, column) for row in rows for column in columns]
    probabilities, activity = [], []
    at_once = max(BATCH // image[..., 0].size, 1)
    for start in range(0, len(places), at_once):
        covered = np.stack([cover(image, *place, size, grey) for place in places[start : start + at_once]])
        scores, sums = look(covered)
        probabilities.append(scores)
        activity.append(sums[:, feature])
    shape = len(rows), len(columns)
    return Occlusion(
        np.concatenate(probabilities).reshape(*shape, -1), np.concatenate(activity).reshape(shape), feature
    )


def cover(image, row, column, size, grey=0.0):
    """The image with a square of `size` pixels a side, its centre at (row, column), filled with a value."""
    covered = image.copy()
    top, left = (max(centre - size // 2, 0) for centre in (row, column))
    covered[top : row - size // 2 + size, left : column - size // 2 + size] = grey
    return covered
