"""How good features are: a linear probe, their nearest neighbours, fine-tuning on few labels, and pictures of them.

The encoder is never trained here but in `fine_tune`, which trains a copy. Features are those of inference: batch
normalisation with its moving averages.

Deviations: the probe learns from features of one view of each image, standardised by their means and deviations over
the training set, so that one learning rate serves every encoder; the papers draw a crop of each image at every step,
and choose a learning rate for their network's features (30 in MoCo, 0.1 in SimCLR).
"""

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.arguments import check_count
from keras_cnns.extras import Extra
from keras_cnns.iteration import distributed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

manifold = Extra("sklearn.manifold", "regions")

Labelled = tuple[np.ndarray, np.ndarray]  # features and labels
QUERIES_AT_ONCE = 256


def features_of(
    encoder: keras.Model, batches: tf.data.Dataset, strategy: tf.distribute.Strategy | None = None
) -> Labelled:
    """Return an encoder's features of images, float32 `(number, width)`, and the images' labels, int64 `(number,)`.

    Args:
        encoder: from images to features `(batch, width)`; it is called in inference mode.
        batches: a `tf.data.Dataset` of (images, labels).
        strategy: whose replicas share the work; the encoder's own by default.

    Raises:
        ValueError: there are no images, or a network that gives something else.
    """
    if len(encoder.outputs) != 1 or len(encoder.outputs[0].shape) != 2:
        raise ValueError(f"{encoder.name} gives {[tuple(each.shape) for each in encoder.outputs]}; not (batch, width).")
    strategy = strategy or encoder.distribute_strategy
    step = looking_step(encoder, strategy)
    found = [[each.numpy() for each in step(*batch)] for batch in distributed(batches, strategy)]
    if not found:
        raise ValueError("there are no images to take features of.")
    features, labels = (np.concatenate(each) for each in zip(*found, strict=True))
    return features, labels.astype("int64")


@functools.lru_cache(maxsize=2)  # so that a test after every epoch is traced once
def looking_step(encoder, strategy):
    """A function from one global batch to its features and labels, in the order of the images."""

    def look(images, labels):
        # A replica for which no image is left gets an empty batch, too small for some networks.
        width = encoder.output_shape[-1]
        features = tf.cond(
            tf.size(labels) > 0,
            lambda: tf.cast(encoder(images, training=False), tf.float32),
            lambda: tf.zeros((0, width)),
        )
        return features, labels

    @tf.function
    def step(images, labels):
        return [strategy.gather(each, axis=0) for each in strategy.run(look, args=(images, labels))]

    return step


def linear_probe(
    train: Labelled, test: Labelled, seed: int = 0, epochs: int = 30, batch_size: int = 256, learning_rate: float = 0.1
) -> float:
    """Return the accuracy, in %, of a linear classifier on features that stay as they are.

    Softmax regression by Nesterov's momentum, without decay of the weights, at a rate that falls to 0 along a cosine.

    Args:
        train, test: (features `(number, width)`, labels `(number,)`) each, as `features_of` returns them.
        seed: of the first weights and of the order of the images.

    Raises:
        ValueError: no images, or features and labels that do not fit.

    Source: Chen et al., SimCLR, section 2.2; He et al., MoCo, section 4.1.
    """
    (features, labels), (test_features, test_labels) = checked(train, test)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    deviation[deviation == 0] = 1.0  # a feature that is the same everywhere
    standard = lambda each: (each - mean) / deviation  # of a batch: all of ImageNet's are gigabytes
    batch_size = min(batch_size, len(features))
    steps = len(features) // batch_size
    classifier = keras.layers.Dense(
        int(labels.max()) + 1, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01, seed=seed)
    )
    classifier.build((None, features.shape[1]))
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps * epochs)
    optimizer = keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True)
    optimizer.build(classifier.trainable_variables)
    with tf.device("CPU"):
        features, labels = tf.constant(features), tf.constant(labels)

    @tf.function
    def epoch(order):
        for images in order:
            with tf.GradientTape() as tape:
                logits = classifier(standard(tf.gather(features, images)))
                loss = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(labels, images), logits)
                loss = tf.reduce_mean(loss)
            variables = [variable.value for variable in classifier.trainable_variables]
            optimizer.apply(tape.gradient(loss, variables))

    for number in range(epochs):
        order = np.random.default_rng([seed, number]).permutation(len(features))[: steps * batch_size]
        epoch(tf.constant(order.reshape(steps, batch_size)))
    named = tf.argmax(classifier(standard(test_features)), axis=1).numpy()
    return float(100 * np.mean(named == test_labels))


def knn_accuracy(train: Labelled, test: Labelled, k: int = 200, temperature: float = 0.07) -> float:
    """Return the accuracy, in %, of the classes that the nearest training images vote for.

    Of the k nearest by cosine each votes for its class with the weight exp(cosine / temperature).

    Args:
        train, test: as in `linear_probe`.

    Raises:
        ValueError: fewer than k training images, a temperature not above 0, or as `linear_probe`.

    Source: Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018, section
    3.4.
    """
    (features, labels), (test_features, test_labels) = checked(train, test)
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; it must be above 0.")
    places, cosines = nearest_neighbours(features, test_features, k)
    weights = np.exp((cosines - cosines[:, :1]) / temperature)  # the nearest has 1: no overflow
    votes = np.zeros((len(test_labels), int(labels.max()) + 1))
    np.add.at(votes, (np.arange(len(votes))[:, None], labels[places]), weights)
    return float(100 * np.mean(votes.argmax(axis=1) == test_labels))


def nearest_neighbours(features: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k features nearest to each query by cosine: their numbers and the cosines, `(queries, k)`, the nearest
    first.

    features, queries: `(number, width)` and `(queries, width)`.

    Raises:
        ValueError: a k that is no whole number of at least 1, or fewer than k features.
    """
    check_count("k", k)
    if len(features) < k:
        raise ValueError(f"k is {k}; there are only {len(features)} features to choose from.")
    bank, places, cosines = unit(features), [], []
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        found = tf.math.top_k(unit(queries[start : start + QUERIES_AT_ONCE]) @ bank.T, k)
        places.append(found.indices.numpy())
        cosines.append(found.values.numpy())
    return np.concatenate(places), np.concatenate(cosines)


def unit(vectors):
    """Of length 1; a vector of zeros stays one."""
    vectors = np.asarray(vectors, "float32")
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def checked(*sets):
    """(features, labels) of each set as arrays, or `ValueError`."""
    sets = [(np.asarray(features, "float32"), np.asarray(labels, "int64")) for features, labels in sets]
    for features, labels in sets:
        if features.ndim != 2 or not len(features) or labels.shape != features.shape[:1]:
            raise ValueError(
                f"features have the shape {features.shape} and labels {labels.shape}; they must be (number, width) and "
                "(number,), of at least one image."
            )
        wrong = len(features) - np.isfinite(features).all(axis=1).sum()
        if wrong:
            raise ValueError(f"{wrong} features of {len(features)} are not finite.")
    if len({features.shape[1] for features, _ in sets}) > 1:
        raise ValueError(f"features have the widths {[features.shape[1] for features, _ in sets]}; they must be equal.")
    return sets


def balanced_subset(labels: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """Return the numbers of a share of the images, as many of each class, drawn by the seed, in ascending order.

    labels: of all images, `(number,)`.

    Raises:
        ValueError: a share outside (0, 1], or one that is no image of a class, or more than the smallest class has.

    Source: SimCLR, section 4.2: 1 % or 10 % of the labels, "in a class-balanced way".
    """
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}; it must be above 0 and at most 1.")
    labels = np.asarray(labels)
    classes, counts = np.unique(labels, return_counts=True)
    each = round(share * len(labels) / len(classes))
    if not 1 <= each <= counts.min():
        raise ValueError(f"share is {share}; that is {each} images a class, of which the smallest has {counts.min()}.")
    chosen = [
        np.random.default_rng([seed, number]).permutation(np.flatnonzero(labels == label))[:each]
        for number, label in enumerate(classes)
    ]
    return np.sort(np.concatenate(chosen))


def fine_tune(
    encoder: keras.Model,
    batches: Callable[[int], tf.data.Dataset],
    classes: int,
    epochs: int,
    learning_rate: float,
    seed: int = 0,
) -> keras.Model:
    """Return a classifier of logits `(batch, classes)`: a copy of the encoder and a linear layer, all of it trained.

    Nesterov's momentum without regularisation, at a rate that falls to 0 along a cosine. The encoder stays as it is.

    Args:
        batches: function from an epoch to a `tf.data.Dataset` of (images, labels) whose length is known.
        seed: of the linear layer's first weights.

    Raises:
        ValueError: an epoch without batches.

    Source: SimCLR, section 4.2 and appendix B.5: 60 epochs of 1 % or 30 of 10 % of the labels, at a rate of
    0.05 * batch / 256.
    """
    steps = int(batches(0).cardinality())
    if steps < 1:
        raise ValueError(f"an epoch has {steps} batches; it must have at least 1, of a known number.")
    copy = keras.models.clone_model(encoder)
    copy.set_weights(encoder.get_weights())
    start = keras.initializers.RandomNormal(stddev=0.01, seed=seed)
    logits = keras.layers.Dense(classes, kernel_initializer=start, dtype="float32", name="linear")(copy.output)
    classifier = keras.Model(copy.input, logits, name=f"{encoder.name}_fine_tuned")
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps * epochs)
    classifier.compile(
        keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    for epoch in range(epochs):
        classifier.fit(batches(epoch), shuffle=False, verbose=0)
    return classifier


def tsne(features: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return features `(number, width)` as points of a plane, float32 `(number, 2)`: neighbours stay neighbours.

    Source: van der Maaten & Hinton, JMLR 9, 2008, by scikit-learn; perplexity 30, less for under 91 images.
    """
    perplexity = min(30.0, (len(features) - 1) / 3)
    plane = manifold.TSNE(perplexity=perplexity, init="pca", random_state=seed)
    return plane.fit_transform(np.asarray(features, "float32"))


def draw_points(axes: "Axes", points: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> None:
    """Draw points of a plane, `(number, 2)`, on Matplotlib's axes, a colour a class.

    labels: classes of the points, `(number,)`, from 0. names: of the classes.
    """
    for number, name in enumerate(names):
        axes.scatter(*points[labels == number].T, s=4, color=f"C{number % 10}", label=str(name))
    axes.set_xticks([])
    axes.set_yticks([])


def gallery(queries: np.ndarray, neighbours: np.ndarray, gap: int = 2) -> np.ndarray:
    """Return a picture, uint8 RGB: a row for each query image, the query to the left of its neighbours.

    Args:
        queries: uint8 `(rows, height, width, channels)`, grey or RGB.
        neighbours: uint8 `(rows, number, height, width, channels)`, the nearest first.
        gap: white pixels between images; four times as many after the query.
    """
    rows, number, height, width = neighbours.shape[:4]
    edge = 3 * gap  # after a query
    picture = np.full((rows * (height + gap) - gap, (number + 1) * (width + gap) - gap + edge, 3), 255, "uint8")
    for row in range(rows):
        for column, image in enumerate([queries[row], *neighbours[row]]):
            top, left = row * (height + gap), column * (width + gap) + edge * (column > 0)
            picture[top : top + height, left : left + width] = np.broadcast_to(image, (height, width, 3))
    return picture
