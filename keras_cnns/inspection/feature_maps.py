"""The maps of a layer, and what of many images makes its features strongest."""

from collections.abc import Iterable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.inspection.backpropagation import forward
from keras_cnns.inspection.calls import calls_of, find_call
from keras_cnns.inspection.projection import count_features


def feature_maps(model: keras.Model, layer: keras.layers.Layer | str, images: np.ndarray) -> np.ndarray:
    """Return the output of a layer for a batch of images, float32: `(batch, height, width, features)` of a convolution.

    Args:
        model: a built functional or sequential model of one image input; models inside it are opened.
        layer: a layer or its name.
        images: (batch, height, width, channels), as the network takes them: preprocessed.

    Raises:
        ValueError: a model that is not built, no such layer (the nearest names are told), or images of another shape.
    """
    calls = calls_of(model)
    (maps,) = forward(calls, [find_call(calls, model, layer)], tf.constant(images))
    return tf.cast(maps, tf.float32).numpy()


class Strongest(NamedTuple):
    """The strongest activations of every feature, the strongest first."""

    values: np.ndarray  # (features, count)
    images: np.ndarray  # (features, count): the image's number
    places: np.ndarray  # (features, count, 2): row and column in the map; 0 where the layer has no places


def strongest_activations(
    model: keras.Model, layer: keras.layers.Layer | str, batches: Iterable, count: int = 9
) -> Strongest:
    """Return the `Strongest` activations of all features of a layer in one pass over the images, at most one an image.

    Args:
        model, layer: as in `feature_maps`.
        batches: any iterable of batches of images, as the network takes them.
        count: number a feature; fewer if there are fewer images.

    Raises:
        ValueError: as in `feature_maps`, or a layer without features; no images.
    """
    calls = calls_of(model)
    target = find_call(calls, model, layer)
    count_features(target)
    best, seen = None, 0
    for images in batches:
        (maps,) = forward(calls, [target], tf.constant(images))
        sides = maps.shape[1:3] if maps.shape.rank == 4 else (1, 1)
        units = tf.reshape(tf.cast(maps, tf.float32), (len(images), -1, maps.shape[-1]))
        places = np.stack(np.unravel_index(tf.argmax(units, axis=1), sides), axis=-1)  # (batch, features, 2)
        numbers = np.broadcast_to(np.arange(seen, seen + len(images))[:, None], places.shape[:2])
        here = (tf.reduce_max(units, axis=1).numpy(), numbers, places)
        best = here if best is None else [np.concatenate(pair) for pair in zip(best, here, strict=True)]
        order = np.argsort(-best[0], axis=0, kind="stable")[:count]  # of equals the first image
        best = [np.take_along_axis(each, order.reshape(order.shape + (1,) * (each.ndim - 2)), 0) for each in best]
        seen += len(images)
    if best is None:
        raise ValueError("there are no images to look at.")
    return Strongest(*(np.swapaxes(each, 0, 1) for each in best))
