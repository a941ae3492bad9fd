"""Statistics of a whole training set in batch normalisation: Ioffe & Szegedy, ICML 2015, algorithm 2."""

import contextlib
from collections.abc import Iterable, Iterator

import keras
import tensorflow as tf


@contextlib.contextmanager
def population_statistics(model: keras.Model, batches: Iterable) -> Iterator[None]:
    """Inside, a model's batch normalisations have the means, over batches of images, of what they see there.

    Moving averages lag behind weights that still move fast; these are of the weights as they are. Outside, the model
    has its own statistics again, to the bit. Networks that share its layers change with it.

    Args:
        batches: of images, or of pairs that begin with images, `(batch, height, width, channels)`.

    Raises:
        ValueError: there are no images.

    Source: section 3.1 and algorithm 2, steps 8 to 10.
    """
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    own = [(variable, variable.numpy()) for variable in model.non_trainable_variables]  # dropout's seeds among them
    momenta = [layer.momentum for layer in layers]
    seen, count = [[0.0, 0.0] for _ in layers], 0
    try:
        for layer in layers:
            layer.momentum = 0.0  # so that a batch leaves its statistics alone
        look = tf.function(lambda images: model(images, training=True))  # a graph of its own, with this momentum
        for batch in batches:
            look(tf.cast(tf.nest.flatten(batch)[0], tf.float32))
            seen = [
                [total + each.numpy() for total, each in zip(totals, statistics(layer), strict=True)]
                for totals, layer in zip(seen, layers, strict=True)
            ]
            count += 1
        if not count:
            raise ValueError("there are no images to take statistics of.")
        for layer, totals in zip(layers, seen, strict=True):
            for variable, total in zip(statistics(layer), totals, strict=True):
                variable.assign(total / count)
        yield
    finally:
        for variable, value in own:
            variable.assign(value)
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


def statistics(layer):
    return layer.moving_mean, layer.moving_variance
