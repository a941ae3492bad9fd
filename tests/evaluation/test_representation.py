"""Probes, neighbours and fine-tuning against hand cases and scikit-learn; the encoder stays as it is."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from keras_cnns.evaluation import (
    balanced_subset,
    classification_errors,
    draw_points,
    features_of,
    fine_tune,
    gallery,
    knn_accuracy,
    linear_probe,
    nearest_neighbours,
    tsne,
)
from keras_cnns.training import mirrored


def digits():
    pixels, labels = load_digits(return_X_y=True)
    return (pixels[:1200].astype("float32"), labels[:1200]), (pixels[1200:].astype("float32"), labels[1200:])


def images():
    """The same, as images."""
    return [(pixels.reshape(-1, 8, 8, 1), labels) for pixels, labels in digits()]


def batches(images, labels, size=50):
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(size)


def small_encoder():
    keras.utils.set_random_seed(3)
    image = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(8, 3, strides=2)(image)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dropout(0.5)(keras.layers.Flatten()(keras.layers.ReLU()(x)))
    return keras.Model(image, x, name="small")


@pytest.mark.slow
def test_features_are_those_of_inference_and_the_encoder_stays_as_it_is():
    encoder, (train, test) = small_encoder(), images()
    before = [weight.numpy() for weight in encoder.weights]
    features, labels = features_of(encoder, batches(*train))
    np.testing.assert_array_equal(labels, train[1])
    assert features.shape == (1200, 72) and features.dtype == "float32"
    alone, _ = features_of(encoder, batches(train[0][:3], train[1][:3], 1))  # no statistics of a batch, no dropout
    np.testing.assert_allclose(features[:3], alone, rtol=1e-4, atol=1e-5)
    linear_probe((features, labels), features_of(encoder, batches(*test)), epochs=1)
    knn_accuracy((features, labels), (features[:5], labels[:5]))
    fine_tune(encoder, lambda epoch: batches(train[0][:50], train[1][:50]), 10, 1, 0.1)
    assert len(before) == 6
    for weight, value in zip(encoder.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.slow
def test_replicas_share_the_work_and_keep_the_order():
    with mirrored(2).scope():
        encoder = small_encoder()
    (pixels, labels), _ = images()
    alone = small_encoder()
    features, found = features_of(encoder, batches(pixels[:21], np.arange(21), 10))  # one replica has no last image
    np.testing.assert_array_equal(found, np.arange(21))
    expected, _ = features_of(alone, batches(pixels[:21], labels[:21]))
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)


def test_a_linear_probe_is_scikit_learns_softmax_regression():
    train, test = digits()
    mean, deviation = train[0].mean(axis=0), np.where(train[0].std(axis=0) > 0, train[0].std(axis=0), 1)
    theirs = LogisticRegression(C=np.inf, max_iter=60).fit((train[0] - mean) / deviation, train[1])
    expected = 100 * theirs.score((test[0] - mean) / deviation, test[1])
    ours = [linear_probe(train, test, seed) for seed in (0, 0, 1)]
    assert ours[0] == ours[1] and abs(ours[0] - expected) < 2 and abs(ours[2] - expected) < 2
    scaled = linear_probe((train[0] * 1e-3 + 7, train[1]), (test[0] * 1e-3 + 7, test[1]))
    assert abs(scaled - ours[0]) < 0.5  # the rate serves features of any size


def test_a_probe_of_nothing_is_at_chance():
    labels = np.arange(400) % 4
    assert linear_probe((np.ones((400, 3)), labels), (np.ones((40, 3)), labels[:40]), epochs=2) == 25.0


def test_neighbours_vote_by_hand():
    """At the angles 0, 50, 60 and 180 degrees, a query at 10: cosines 0.985, 0.766, 0.643, of 180 -0.985. Two of class
    1 outvote one of class 0 at a high temperature: 2.07 + 1.84 against 2.55 at 1.05; at 0.1 they do not."""
    angles, labels = np.radians([0, 50, 60, 180]), [0, 1, 1, 2]
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * [[3], [1], [2], [1]]  # of any length
    query = (np.array([[np.cos(np.radians(10)), np.sin(np.radians(10))]]), [0])
    assert knn_accuracy((points, labels), query, k=3, temperature=0.1) == 100
    assert knn_accuracy((points, labels), query, k=3, temperature=1.05) == 0
    assert knn_accuracy((points, labels), query, k=1, temperature=1.05) == 100
    other = (points, [1, 0, 0, 2]), (query[0], [1])  # infinite votes would all go to class 0
    assert knn_accuracy(*other, k=3, temperature=0.001) == 100  # exp(985) is no float
    places, cosines = nearest_neighbours(points, query[0], 3)
    np.testing.assert_array_equal(places, [[0, 1, 2]])
    np.testing.assert_allclose(cosines[0], np.cos(np.radians([10, 40, 50])), rtol=1e-5)


def test_knn_is_scikit_learns_with_these_weights():
    train, test = digits()
    theirs = KNeighborsClassifier(200, metric="cosine", algorithm="brute", weights=lambda far: np.exp((1 - far) / 0.07))
    expected = 100 * theirs.fit(*train).score(*test)
    assert knn_accuracy(train, test) == pytest.approx(expected, abs=0.2)  # but for ties in float32


def test_a_subset_has_as_many_of_each_class():
    labels = np.repeat(np.arange(10), 100)[np.random.default_rng(0).permutation(1000)]
    for share, each in ((0.01, 1), (0.1, 10), (1, 100)):
        chosen = balanced_subset(labels, share)
        assert (np.bincount(labels[chosen]) == each).all() and len(set(chosen)) == 10 * each
    np.testing.assert_array_equal(balanced_subset(labels, 0.1), balanced_subset(labels, 0.1))
    assert len(np.intersect1d(balanced_subset(labels, 0.1), balanced_subset(labels, 0.1, seed=1))) < 30


@pytest.mark.slow
def test_fine_tuning_learns_from_a_copy():
    (train, labels), test = images()
    encoder = small_encoder()
    classifier = fine_tune(encoder, lambda epoch: batches(train[:500] / 16, labels[:500]), 10, 6, 0.1)
    assert classification_errors(classifier, batches(test[0] / 16, test[1]))["top1_error"] < 30
    assert classifier.output_shape == (None, 10)


@pytest.mark.slow  # t-SNE's threads
def test_pictures_of_features():
    train, _ = digits()
    points = tsne(train[0][:60])
    assert points.shape == (60, 2) and np.isfinite(points).all()
    near, _ = nearest_neighbours(points - points.mean(axis=0), points - points.mean(axis=0), 2)
    assert np.mean(train[1][near[:, 1]] == train[1][:60]) > 0.5  # by chance a tenth
    axes = Figure().subplots()
    draw_points(axes, points, train[1][:60], "0123456789")
    assert len(axes.collections) == 10 and sum(len(each.get_offsets()) for each in axes.collections) == 60
    queries = np.full((2, 4, 5, 1), 10, "uint8")
    neighbours = np.full((2, 3, 4, 5, 1), 20, "uint8")
    neighbours[1, 2] = 30
    picture = gallery(queries, neighbours, gap=1)
    assert picture.shape == (9, 4 * 6 - 1 + 3, 3)
    assert (picture[:4, :5] == 10).all() and (picture[:4, 5:9] == 255).all() and (picture[:4, 9:14] == 20).all()
    assert (picture[4] == 255).all() and (picture[5:, 21:] == 30).all()


def test_what_cannot_be_measured_is_told():
    good = (np.ones((4, 2)), np.zeros(4))
    for call, sentence in (
        (lambda: linear_probe((np.ones((4, 2)), np.zeros(3)), good), r"labels \(3,\); they must be"),
        (lambda: linear_probe(good, (np.ones((0, 2)), [])), "of at least one image"),
        (lambda: knn_accuracy(good, (np.ones((4, 3)), np.zeros(4)), k=2), r"the widths \[2, 3\]; they must be equal"),
        (lambda: knn_accuracy(good, good), "k is 200; there are only 4 features"),
        (lambda: knn_accuracy(good, good, k=2, temperature=0), "temperature is 0; it must be above 0"),
        (lambda: knn_accuracy((good[0] * np.nan, good[1]), good, k=1), "4 features of 4 are not finite"),
        (lambda: linear_probe(good, (good[0] / 0.0, good[1])), "4 features of 4 are not finite"),
        (lambda: balanced_subset([0, 1], 0), "share is 0; it must be above 0 and at most 1"),
        (lambda: balanced_subset([0, 1, 1, 1], 1), "that is 2 images a class, of which the smallest has 1"),
        (lambda: features_of(small_encoder(), batches(np.ones((0, 8, 8, 1)), [])), "there are no images"),
        (lambda: fine_tune(small_encoder(), lambda epoch: batches(np.ones((0, 8, 8, 1)), []), 2, 1, 0.1), "0 batches"),
    ):
        with pytest.raises(ValueError, match=sentence):
            call()
