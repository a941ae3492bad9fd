"""Scores of label maps, against numbers by hand, NumPy, scikit-learn and SciPy's distances."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import distance_transform_edt
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, jaccard_score

from keras_cnns.evaluation import PixelAccuracy, boundary_f1, confusion_scores, segmentation_scores


def test_the_four_scores_by_hand():
    """10 pixels of class 0, of which 8 right, 2 called 1; 5 of class 1, 4 right, 1 called 0."""
    figures = confusion_scores([[8, 2], [1, 4]], ["road", "sky"])
    assert figures == pytest.approx(
        {
            "pixel_accuracy": 100 * 12 / 15,
            "mean_accuracy": 100 * (8 / 10 + 4 / 5) / 2,
            "mean_iu": 100 * (8 / 11 + 4 / 7) / 2,
            "frequency_weighted_iu": 100 * (10 * 8 / 11 + 5 * 4 / 7) / 15,
            "iu_road": 100 * 8 / 11,
            "iu_sky": 100 * 4 / 7,
        }
    )


def test_classes_that_are_not_there():
    """Class 1 is found and not there, class 2 neither: 1 counts as 0 in the mean IU, 2 in nothing."""
    figures = confusion_scores([[6, 3, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]])
    assert figures["mean_accuracy"] == pytest.approx(100 * (6 / 9 + 1) / 2)
    assert figures["mean_iu"] == pytest.approx(100 * (6 / 9 + 0 + 1) / 3)
    assert figures["frequency_weighted_iu"] == pytest.approx(100 * (9 * 6 / 9 + 1) / 10)
    assert {name for name in figures if name.startswith("iu_")} == {"iu_0", "iu_1", "iu_3"}
    with pytest.raises(ValueError, match="no pixel has a label"):
        confusion_scores(np.zeros((2, 2)))


@pytest.fixture(scope="module")
def tested():
    """Masks, images that are logits, and a model that passes them on."""
    random = np.random.default_rng(0)
    masks = random.integers(0, 5, (5, 9, 7)).astype("uint8")
    logits = random.normal(size=(5, 9, 7, 5)).astype("float32") + 2 * (masks[..., None] == np.arange(5))
    masks[random.random(masks.shape) < 0.2] = 255
    image = keras.Input((None, None, 5))
    return masks, logits, keras.Model(image, keras.layers.Identity()(image))


def batches(masks, logits, size):
    return tf.data.Dataset.from_tensor_slices((logits, masks)).batch(size)


def test_they_are_scikit_learns(tested):
    masks, logits, model = tested
    figures = segmentation_scores(model, batches(masks, logits, 2), list("abcde"))
    true, found = masks[masks != 255], logits.argmax(axis=-1)[masks != 255]
    each = jaccard_score(true, found, average=None)
    weights = confusion_matrix(true, found).sum(axis=1)
    entropy = -tf.nn.log_softmax(logits).numpy()[masks != 255][np.arange(len(true)), true].mean()
    assert figures == pytest.approx(
        {
            "loss": entropy,
            "pixel_accuracy": 100 * accuracy_score(true, found),
            "mean_accuracy": 100 * balanced_accuracy_score(true, found),
            "mean_iu": 100 * each.mean(),
            "frequency_weighted_iu": 100 * np.average(each, weights=weights),
            **{f"iu_{name}": 100 * iu for name, iu in zip("abcde", each, strict=True)},
            "images": 5,
        },
        rel=1e-5,
    )


@pytest.mark.slow
def test_batches_replicas_and_sizes_change_nothing(tested, two_replicas):
    masks, logits, model = tested
    expected = segmentation_scores(model, batches(masks, logits, 5), boundary=True)
    assert segmentation_scores(model, batches(masks, logits, 1), boundary=True) == pytest.approx(expected)
    with two_replicas.scope():
        image = keras.Input((None, None, 5))
        mirrored = keras.Model(image, keras.layers.Identity()(image))
    # Five images on two replicas: at the end one of them gets none.
    assert segmentation_scores(mirrored, batches(masks, logits, 2), boundary=True) == pytest.approx(expected)

    def mixed():
        for mask, image in zip(masks, logits, strict=True):
            yield image[None, :8], mask[None, :8]
            yield image[None, 8:], mask[None, 8:]

    shapes = tf.TensorSpec((1, None, 7, 5), tf.float32), tf.TensorSpec((1, None, 7), tf.uint8)
    parts = tf.data.Dataset.from_generator(mixed, output_signature=shapes)
    figures = segmentation_scores(model, parts)
    assert figures["mean_iu"] == pytest.approx(expected["mean_iu"]) and figures["images"] == 10


def test_no_images_are_told(tested):
    masks, logits, model = tested
    with pytest.raises(ValueError, match="there are no images"):
        segmentation_scores(model, batches(masks[:0], logits[:0], 1))


def by_distances(true, predicted, classes, distance):
    """One image's boundary F1, by SciPy's distance to the nearest boundary pixel."""
    predicted = np.where(true == 255, 255, predicted)

    def edge(mask, label):
        inside = np.pad(mask == label, 1, mode="edge")
        height, width = mask.shape
        windows = [inside[i : i + height, j : j + width] for i in range(3) for j in range(3)]
        return (mask == label) & ~np.all(windows, axis=0)

    def share(edges, others):
        if not edges.any():
            return 0.0
        return np.mean(distance_transform_edt(~others)[edges] <= distance) if others.any() else 0.0

    scores = []
    for label in range(classes):
        ours, theirs = edge(predicted, label), edge(true, label)
        if theirs.any():
            p, r = share(ours, theirs), share(theirs, ours)
            scores.append(2 * p * r / (p + r) if p + r else 0.0)
    return np.mean(scores) if scores else -1.0


@pytest.mark.parametrize("tolerance", [0.0, 0.03, 0.08])
def test_boundaries_by_distances(tolerance):
    random = np.random.default_rng(2)
    coarse = random.integers(0, 3, (4, 5, 4)).astype("uint8")
    true = np.kron(coarse, np.ones((1, 8, 9), "uint8"))  # 40x36
    predicted = np.roll(true, (1, 2), axis=(1, 2))
    predicted[0, 10:20, 5:30] = 2
    true[1, 12:14] = 255
    distance = tolerance * np.hypot(40, 36)
    expected = [by_distances(t, p, 3, distance) for t, p in zip(true, predicted, strict=True)]
    np.testing.assert_allclose(boundary_f1(true, predicted, 3, tolerance=tolerance), expected, rtol=1e-5)


def test_boundaries_by_hand():
    """Two halves of a 20x20 image, and the border between them moved by 3 columns: found within 3 pixels, not 2."""
    true, predicted = (np.zeros((1, 20, 20), "uint8") for _ in range(2))
    true[..., 10:], predicted[..., 13:] = 1, 1
    diagonal = np.hypot(20, 20)
    assert boundary_f1(true, true, 2).numpy().tolist() == [1.0]
    assert boundary_f1(true, predicted, 2, tolerance=3.01 / diagonal).numpy().tolist() == [1.0]
    assert boundary_f1(true, predicted, 2, tolerance=2.99 / diagonal).numpy().tolist() == [0.0]
    assert boundary_f1(np.zeros((1, 9, 9)), predicted[:, :9, :9], 2).numpy().tolist() == [-1.0]


def test_the_training_accuracy_leaves_void_out():
    labels = np.array([[[0, 255], [1, 1]], [[255, 255], [255, 0]]])
    logits = np.array([[[0.0, 1.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])  # found: 1 1, 1 0
    metric = PixelAccuracy()
    metric.update_state(labels, np.stack([logits, logits]))
    assert float(metric.result()) == pytest.approx((1 / 3 + 1) / 2)
    assert metric.name == "accuracy"
