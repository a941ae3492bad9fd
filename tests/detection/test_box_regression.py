"""The regression of boxes: its ridge against scikit-learn's, its targets by hand, boxes that come to their objects."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from keras_cnns.detection import Features, overlapping, train_box_regressors
from keras_cnns.detection.box_regression import decorrelation, ridge, ridge_of_few
from keras_cnns.evaluation.detection import overlap

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(("rows", "width"), [(50, 7), (5, 9)])
def test_the_ridge_in_blocks_is_scikit_learn_s(rows, width):
    x, y = RANDOM.normal(size=(rows, width)), RANDOM.normal(size=(rows, 4))
    expected = Ridge(alpha=3.0, fit_intercept=False).fit(x, y).coef_.T
    np.testing.assert_allclose(ridge(np.split(x, [2, 4]), y, 3.0), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(ridge_of_few(x, y, 3.0), expected, rtol=1e-4, atol=1e-6)


def test_targets_are_decorrelated_and_brought_back():
    targets = RANDOM.normal(size=(5000, 4)) @ RANDOM.normal(size=(4, 4)) * 10 + [1, 2, 3, 4]
    mean, there, back = decorrelation(targets)
    np.testing.assert_allclose(np.cov(((targets - mean) @ there).T), np.eye(4), atol=0.01)
    np.testing.assert_allclose((targets - mean) @ there @ back + mean, targets, atol=1e-8)


@pytest.fixture
def learning(tmp_path):
    """Photos with an object of class 1 and proposals beside it, whose features are the deltas between them."""
    photos, deltas = [], []
    for _ in range(30):
        x, y = RANDOM.uniform(50, 100, 2)
        objects = np.float32([[x, y, x + 100, y + 60]])
        dx, dy, dw, dh = RANDOM.uniform(-0.1, 0.1, (4, 6))
        width, height = 100 / np.exp(dw), 60 / np.exp(dh)  # dw = log(Gw / Pw)
        middle_x, middle_y = x + 50 - dx * width, y + 30 - dy * height  # dx = (Gx - Px) / Pw
        proposals = np.stack([middle_x - width / 2, middle_y - height / 2, middle_x + width / 2, middle_y + height / 2])
        far = np.float32([[300, 300, 310, 310]])
        photos.append({"boxes": np.concatenate([objects, proposals.T, far]).astype("float32"), "labels": np.array([1])})
        deltas.append(np.stack([dx, dy, dw, dh], axis=1))
    chosen = overlapping(photos, 0.6)
    assert [each.tolist() for each in chosen] == [[0, 1, 2, 3, 4, 5, 6]] * 30
    features = Features(tmp_path / "f", [7] * 30, 5, "net")
    for number, each in enumerate(deltas):
        values = np.column_stack([each, np.ones(6)])
        features.write(number, np.concatenate([np.full((1, 5), 9.0), values]))  # the object's own teach nothing
    return photos, chosen, features


def test_boxes_come_to_their_objects(learning):
    photos, chosen, features = learning
    found = train_box_regressors(features, photos, chosen, 3, strength=1e-3)
    for number, photo in enumerate(photos):
        before = photo["boxes"][1:7]
        after = found.boxes(features.read(number)[1:], before)
        assert after.shape == (6, 3, 4)
        assert overlap(photo["boxes"][0], after[:, 1]).min() > 0.97 > overlap(photo["boxes"][0], before).min()
        np.testing.assert_allclose(after[:, 0], before, atol=1e-3)  # a class with nothing to learn from


def test_a_strong_ridge_leaves_the_mean_alone(learning):
    photos, chosen, features = learning
    found = train_box_regressors(features, photos, chosen, 2, strength=1e12)
    assert np.abs(found.weights[:-1]).max() < 1e-6 and np.abs(found.weights[-1, 1]).max() < 0.05


def test_the_overlap_that_counts(learning):
    """With 0.99 hardly any proposal is left; the regressor of none is zero."""
    photos, chosen, features = learning
    assert not train_box_regressors(features, photos, chosen, 2, lowest=1.1).weights.any()
