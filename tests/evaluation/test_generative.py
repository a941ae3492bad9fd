"""Parzen windows and the Fréchet distance by hand, by scikit-learn's density and by scipy's matrix root."""

import numpy as np
import pytest
from scipy.linalg import sqrtm
from sklearn.neighbors import KernelDensity

from keras_cnns.evaluation import frechet_distance, generative, parzen_estimate, parzen_log_likelihoods


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


def test_what_cannot_be_measured_is_told():
    with pytest.raises(ValueError, match="there are no samples"):
        parzen_log_likelihoods(np.zeros((3, 4)), np.zeros((0, 4)), [1.0])
    with pytest.raises(ValueError, match="an image has 4 values; a sample has 5"):
        parzen_log_likelihoods(np.zeros((3, 4)), np.zeros((2, 5)), [1.0])
    with pytest.raises(ValueError, match="a set has 1 images; a covariance needs at least 2"):
        frechet_distance(np.zeros((1, 4)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="a feature is not finite"):
        frechet_distance(np.full((3, 4), np.nan), np.zeros((2, 4)))
