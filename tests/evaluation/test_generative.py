"""Parzen windows, distances, variety and the probe: by hand, by scikit-learn and by scipy's matrix root."""

import keras
import numpy as np
import pytest
from scipy.linalg import sqrtm
from sklearn.datasets import load_digits
from sklearn.neighbors import KernelDensity
from sklearn.svm import LinearSVC

from keras_cnns import dcgan_discriminator
from keras_cnns.evaluation import (
    frechet_distance,
    generative,
    parzen_estimate,
    parzen_log_likelihoods,
    pooled_features,
    svm_scores,
    variety,
)
from keras_cnns.evaluation.generative import linear_svm


def test_one_window_by_hand():
    """Of a normal distribution in two dimensions with deviation 2 around (1, 1), at (1, 3): -1/2 - log(8 pi)."""
    found = parzen_log_likelihoods(np.array([[1.0, 3.0]]), np.array([[1.0, 1.0]]), [2.0])
    assert found == pytest.approx(np.array([[-0.5 - np.log(8 * np.pi)]]))


def test_the_density_is_scikit_learns(monkeypatch):
    monkeypatch.setattr(generative, "AT_ONCE", 7)
    random = np.random.default_rng(0)
    images, samples = random.uniform(size=(20, 4, 3, 1)), random.uniform(size=(30, 4, 3, 1))
    sigmas = [0.1, 0.5]
    expected = [
        KernelDensity(bandwidth=sigma).fit(samples.reshape(30, -1)).score_samples(images.reshape(20, -1))
        for sigma in sigmas
    ]
    np.testing.assert_allclose(parzen_log_likelihoods(images, samples, sigmas), expected, rtol=1e-6)


def test_the_width_is_chosen_on_the_validation_images():
    """Windows on a standard normal's own draws; the best width for others of it is far from both ends."""
    random = np.random.default_rng(0)
    test, validation, samples = random.normal(size=(3, 400, 1))
    found = parzen_estimate(test, validation, samples, sigmas=[0.001, 0.3, 30.0])
    logs = parzen_log_likelihoods(test, samples, [0.3])[0]
    assert found["sigma"] == 0.3
    assert found["log_likelihood"] == pytest.approx(logs.mean())
    assert found["standard_error"] == pytest.approx(logs.std() / 20)
    assert found["log_likelihood"] == pytest.approx(-0.5 * np.log(2 * np.pi * np.e), abs=0.15)  # minus the entropy


def test_the_frechet_distance_of_two_gaussians():
    """One dimension: (m1 - m2)^2 + (s1 - s2)^2. The sets have mean 0 and variance 2, mean 3 and variance 8."""
    assert frechet_distance([[-1.0], [1.0]], [[1.0], [5.0]]) == pytest.approx(9 + 2)


def test_the_frechet_distance_with_scipys_root():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(50, 6)), random.normal(size=(40, 6)) @ random.normal(size=(6, 6)) + 1
    covariances = np.cov(a.T), np.cov(b.T)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum()
    expected += np.trace(covariances[0] + covariances[1] - 2 * sqrtm(covariances[0] @ covariances[1]).real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    few = a[:3]  # a covariance without an inverse
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-6) and frechet_distance(few, b) > 0
    assert all(frechet_distance(scale * b, scale * b) >= 0 for scale in (1, 30, 1000, 1e5))  # rounding is not negative


def test_what_cannot_be_measured_is_told():
    with pytest.raises(ValueError, match="there are no samples"):
        parzen_log_likelihoods(np.zeros((3, 4)), np.zeros((0, 4)), [1.0])
    with pytest.raises(ValueError, match="there are no images to measure"):
        parzen_estimate(np.zeros((3, 4)), np.zeros((0, 4)), np.zeros((3, 4)))
    for sigmas in ([], [0.5, 0.0]):
        with pytest.raises(ValueError, match="there must be at least one, and all above 0"):
            parzen_log_likelihoods(np.zeros((3, 4)), np.zeros((2, 4)), sigmas)
    with pytest.raises(ValueError, match=r"the sets are \(3, 4\) and \(3, 5\); both must be"):
        frechet_distance(np.zeros((3, 4)), np.zeros((3, 5)))
    with pytest.raises(ValueError, match="there are no images to take features of"):
        pooled_features(dcgan_discriminator(32, 2, 4, 1), [])
    with pytest.raises(ValueError, match="an image has 4 values; a sample has 5"):
        parzen_log_likelihoods(np.zeros((3, 4)), np.zeros((2, 5)), [1.0])
    with pytest.raises(ValueError, match="a set has 1 images; a covariance needs at least 2"):
        frechet_distance(np.zeros((1, 4)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="a feature is not finite"):
        frechet_distance(np.full((3, 4), np.nan), np.zeros((2, 4)))


def test_variety_by_hand():
    """On a line the nearest others of 0, 1, 3, 7 are 1, 1, 2, 4 away; median 1.5. Of 0, 0, 6, 6 none is."""
    images = np.float64([0, 1, 3, 7])[:, None]
    assert variety(images * 2 + 5, images) == pytest.approx(2.0)
    assert variety(np.float64([0, 0, 6, 6])[:, None], images) == 0
    assert variety(np.full((4, 1), 0.3), images) == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match=r"samples are \(3, 1\), images \(4, 1\); as many of one size are needed"):
        variety(images[:3], images)
    with pytest.raises(ValueError, match="most images are there twice"):
        variety(images, np.ones((4, 1)))


def test_features_are_the_largest_of_each_sixteenth_of_every_layers_map():
    discriminator = dcgan_discriminator(32, 2, 4, 1)
    images = np.random.default_rng(0).normal(size=(3, 32, 32, 1)).astype("float32")
    outputs = [discriminator.get_layer(f"lrelu{number}").output for number in (1, 2, 3)]
    maps = [each.numpy() for each in keras.Model(discriminator.input, outputs)(images)]
    expected = [
        each.reshape(3, 4, len(each[0]) // 4, 4, len(each[0]) // 4, -1).max(axis=(2, 4)).reshape(3, -1) for each in maps
    ]
    found = pooled_features(discriminator, [(images[:2], None), (images[2:], None)])
    assert found.shape == (3, 16 * (2 + 4 + 8))  # the paper's count: 16 for each map
    np.testing.assert_allclose(found, np.concatenate(expected, axis=1), rtol=1e-4, atol=1e-6)
    image = keras.Input((6, 6, 1))
    odd = keras.Model(image, keras.layers.LeakyReLU()(image), name="odd")
    with pytest.raises(ValueError, match="the maps of odd are 6x6; their sides must be divisible by 4"):
        pooled_features(odd, [images])


def test_the_svm_is_scikit_learns():
    features, labels = load_digits(return_X_y=True)
    features, labels = (features[:500] / 60).astype("float32"), labels[:500]
    weights = linear_svm(features, labels, penalty=0.1)
    theirs = LinearSVC(C=0.1, tol=1e-6, max_iter=10_000).fit(features, labels)
    np.testing.assert_allclose(weights[:-1].T, theirs.coef_, atol=2e-3)  # of weights up to 1.07
    np.testing.assert_allclose(weights[-1], theirs.intercept_, atol=2e-3)


def test_c_is_chosen_on_the_validation_images():
    features, labels = load_digits(return_X_y=True)
    parts = [(features[i : i + 400], labels[i : i + 400]) for i in (0, 400, 800)]
    found = svm_scores(*parts, penalties=(1.0, 1e-6))
    assert found["C"] == 1.0 and found["accuracy"] > 80 and found["validation_accuracy"] > 80
    least = svm_scores(*parts, penalties=(1e-6,))
    assert least["validation_accuracy"] < found["validation_accuracy"]
