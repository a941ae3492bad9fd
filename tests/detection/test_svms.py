"""R-CNN's SVMs against the quadratic programme solved by SciPy, and the search for hard negatives."""

import numpy as np
import pytest
from scipy.optimize import minimize

from keras_cnns.detection import Features, svms, train_svms

BOXES = np.float32([[0, 0, 10, 10], [0, 0, 10, 6], *[[20 * i, 30, 20 * i + 10, 40] for i in range(8)]])


@pytest.fixture
def learning(tmp_path):
    """Photos of one object each, of two classes in turn; a proposal with IoU 0.6, to be ignored; 8 of background."""
    random = np.random.default_rng(0)
    photos = [{"boxes": BOXES, "labels": np.array([number % 2])} for number in range(12)]
    features = Features(tmp_path / "f", [len(BOXES)] * len(photos), 6, "net")
    for number in range(len(photos)):
        values = random.normal(size=(len(BOXES), 6)) * 2
        values[0, number % 2] += 12
        values[1] = [0, 0, 0, 0, 40, 40]  # whoever takes it for a negative comes out elsewhere
        features.write(number, values)
    return features, photos


def problem(features, photos, k):
    """All positives and negatives of a class, scaled, with the bias as a last feature; their signs and weights C."""
    values = np.concatenate([features.read(number) for number in range(len(photos))]) * features.scale()
    values = np.pad(values.astype("float64"), [(0, 0), (0, 1)], constant_values=10)
    place, photo = np.tile(np.arange(len(BOXES)), len(photos)), np.repeat(np.arange(len(photos)), len(BOXES))
    own = photo % 2 == k
    used = (place > 1) | (place == 0) | ((place == 1) & ~own)
    positive = (place == 0) & own
    return values[used], np.where(positive, 1.0, -1.0)[used], np.where(positive, 0.002, 0.001)[used]


def objective(w, x, y, c):
    return w @ w / 2 + np.sum(c * np.maximum(0, 1 - y * (x @ w)))


def solved(x, y, c):
    """The optimum from the dual: 0 <= a <= C, w the sum of a y x."""
    z = x * y[:, None]
    dual = minimize(
        lambda a: ((a @ z) @ (a @ z) / 2 - a.sum(), z @ (a @ z) - 1),
        *(np.zeros(len(y)),),
        jac=True,
        bounds=list(zip(np.zeros(len(y)), c, strict=True)),
        method="L-BFGS-B",
        options={"maxiter": 1000, "ftol": 1e-12, "gtol": 1e-8},
    )
    return dual.x @ z


@pytest.mark.parametrize("retrain", [10, 2000])
def test_hard_negatives_alone_come_to_the_optimum_of_all(learning, monkeypatch, retrain):
    features, photos = learning
    monkeypatch.setattr(svms, "RETRAIN", retrain)
    found = train_svms(features, photos, 2)
    for k in range(2):
        x, y, c = problem(features, photos, k)
        ours = np.append(found.weights[:, k], found.biases[k] / 10)
        assert objective(ours, x, y, c) <= 1.02 * objective(solved(x, y, c), x, y, c)


def test_scores_tell_the_classes_apart(learning):
    features, photos = learning
    found = train_svms(features, photos, 2)
    scores = np.stack([found.scores(features.read(number)) for number in range(len(photos))])
    for number in range(len(photos)):
        k = number % 2
        assert scores[number, 0, k] > scores[number, 2:, k].max() and scores[number, 0, k] > scores[number, 0, 1 - k]
    assert scores.dtype == "float32"


def test_a_stopped_training_ends_with_the_same_weights(learning, tmp_path, monkeypatch):
    features, photos = learning
    monkeypatch.setattr(svms, "RETRAIN", 10)
    monkeypatch.setattr(svms, "SAVE", -1)
    expected = train_svms(features, photos, 2)
    read = features.read

    def stops(number):
        if number == 7:
            raise KeyboardInterrupt
        return read(number)

    monkeypatch.setattr(features, "read", stops)
    with pytest.raises(KeyboardInterrupt):
        train_svms(features, photos, 2, tmp_path / "state.npz")
    seen = []
    monkeypatch.setattr(features, "read", lambda number: seen.append(number) or read(number))
    found = train_svms(features, photos, 2, tmp_path / "state.npz")
    assert seen == [7, 8, 9, 10, 11]
    np.testing.assert_array_equal(found.weights, expected.weights)
    np.testing.assert_array_equal(found.biases, expected.biases)


def test_a_class_without_an_object_is_refused(learning):
    features, photos = learning
    with pytest.raises(ValueError, match="class 2 has no object in 12 photos"):
        train_svms(features, photos, 3)
