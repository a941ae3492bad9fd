"""How much a layer changes when the image moves: Zeiler & Fergus, ECCV 2014, section 3 and Fig. 5."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_cnns.arguments import check_choice
from keras_cnns.inspection.backpropagation import forward
from keras_cnns.inspection.calls import find_call, open_calls


def moved(images, kind, amount):
    """Images shifted down, enlarged or turned; what comes in from outside is 0, the mean colour.

    Args:
        images: (batch, height, width, channels), preprocessed.
        kind: "translation" in pixels, "scale" as a factor about the centre, or "rotation" in degrees, counterclockwise.

    Raises:
        ValueError: another kind.
    """
    check_choice("kind", kind, ("translation", "scale", "rotation"))
    height, width = images.shape[1:3]
    y, x = (height - 1) / 2, (width - 1) / 2
    if kind == "translation":
        return warp(images, [1, 0, 0, 0, 1, -amount])
    if kind == "scale":
        near = 1 / amount
        return warp(images, [near, 0, x * (1 - near), 0, near, y * (1 - near)])
    cosine, sine = np.cos(np.deg2rad(amount)), np.sin(np.deg2rad(amount))
    return warp(images, [cosine, -sine, x - cosine * x + sine * y, sine, cosine, y - sine * x - cosine * y])


def warp(images, matrix):
    """Output pixel (x, y) is the image at (a x + b y + c, d x + e y + f), bilinear."""
    transform = tf.constant([[*matrix, 0, 0]] * len(images), tf.float32)
    return ops.image.affine_transform(tf.constant(images), transform, "bilinear", "constant", 0.0)


def invariance(
    model: keras.Model,
    layers: Sequence[keras.layers.Layer | str],
    images: np.ndarray,
    kind: str,
    amounts: Sequence[float],
) -> tuple[np.ndarray, np.ndarray]:
    """Return (distances, probabilities) of images that are moved by each of some amounts.

    Args:
        model: a built functional or sequential model of one image input and logits; of several outputs the first.
        layers: layers or their names.
        images: (batch, height, width, channels), as the network takes them: preprocessed.
        kind, amounts: as in `moved`.

    Returns: the Euclidean distance of each layer's features to those of the unmoved image, `(layers, batch, amounts)`,
        in units of the mean distance between two of the images, and the class probabilities `(batch, amounts,
        classes)`.

    Raises:
        ValueError: another kind, no such layer (the nearest names are told), or images of another shape.
    """
    calls, outputs = open_calls(model)
    targets = [find_call(calls, model, layer) for layer in layers]
    logits = outputs[0][0]

    def look(images):
        *features, scores = forward(calls, [*targets, logits], images)
        flat = [tf.reshape(tf.cast(each, tf.float32), (len(images), -1)).numpy() for each in features]
        return flat, tf.nn.softmax(tf.cast(scores, tf.float32)).numpy()

    still, _ = look(tf.constant(images))
    units = [mean_distance(features) for features in still]
    distances, probabilities = [], []
    for amount in amounts:
        features, scores = look(moved(images, kind, amount))
        pairs = zip(features, still, units, strict=True)
        distances.append([np.linalg.norm(here - there, axis=1) / unit for here, there, unit in pairs])
        probabilities.append(scores)
    return np.moveaxis(distances, 0, -1), np.moveaxis(probabilities, 0, 1)


def mean_distance(features):
    """The mean Euclidean distance between two rows; 1 where there is but one, or all are equal."""
    pairs = [np.linalg.norm(a - b) for i, a in enumerate(features) for b in features[:i]]
    return (np.mean(pairs) if pairs else 0) or 1.0
