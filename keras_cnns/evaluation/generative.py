"""What is measured of generated images: Parzen windows and Fréchet distance."""

from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp

SIGMAS = np.logspace(-1, 0, 10)  # the candidates of the authors' release
AT_ONCE = 1000  # images whose distances are held at a time


def parzen_log_likelihoods(images: np.ndarray, samples: np.ndarray, sigmas: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the log density of images under Gaussian windows on samples: `(sigmas, images)`, in nats, float64.

    Args:
        images, samples: `(number, ...)`, of the same shape each; values from 0 to 1 in the paper.
        sigmas: standard deviations of the windows.

    Raises:
        ValueError: no sample, or images of another size than the samples.

    Source: Goodfellow et al., NIPS 2014, section 5.
    """
    if not len(samples):
        raise ValueError("there are no samples to put windows on.")
    images, samples = (np.asarray(each, "float64").reshape(len(each), -1) for each in (images, samples))
    if images.shape[1] != samples.shape[1]:
        raise ValueError(f"an image has {images.shape[1]:,} values; a sample has {samples.shape[1]:,}.")
    found = np.empty((len(sigmas), len(images)))
    size = samples.shape[1]
    for start in range(0, len(images), AT_ONCE):
        part = images[start : start + AT_ONCE]
        squares = (part**2).sum(1)[:, None] + (samples**2).sum(1) - 2 * part @ samples.T
        for row, sigma in zip(found, sigmas, strict=True):
            window = -squares / (2 * sigma**2) - size * np.log(sigma * np.sqrt(2 * np.pi))
            row[start : start + AT_ONCE] = logsumexp(window, axis=1) - np.log(len(samples))
    return found


def parzen_estimate(
    test: np.ndarray, validation: np.ndarray, samples: np.ndarray, sigmas: Sequence[float] | np.ndarray = SIGMAS
) -> dict[str, float]:
    """Return the mean log-likelihood of test images with its standard error, and the width chosen on validation images.

    A dict of `log_likelihood` and `standard_error`, in nats an image, and `sigma`. The standard error is that of the
    mean over the test images; it does not tell how much another set of samples would change it, and the estimate
    favours samples that repeat the training set.

    Source: Goodfellow et al., NIPS 2014, section 5 and Table 1.
    """
    sigma = sigmas[np.argmax(parzen_log_likelihoods(validation, samples, sigmas).mean(axis=1))]
    found = parzen_log_likelihoods(test, samples, [sigma])[0]
    error = found.std() / np.sqrt(len(found))
    return {"log_likelihood": float(found.mean()), "standard_error": float(error), "sigma": float(sigma)}


def frechet_distance(features: np.ndarray, others: np.ndarray) -> float:
    """Return the squared Fréchet distance of two sets of features, each taken for a Gaussian.

        |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))

    It is biased upwards where there are few images; compare only sets of the same number.

    Args:
        features, others: `(number, dimensions)`, such as a classifier's last features.

    Raises:
        ValueError: fewer than two images in a set, or features that are not finite.

    Source: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", NIPS 2017, equation 6.
    """
    sets = [np.asarray(each, "float64") for each in (features, others)]
    for each in sets:
        if len(each) < 2:
            raise ValueError(f"a set has {len(each)} images; a covariance needs at least 2.")
        if not np.isfinite(each).all():
            raise ValueError("a feature is not finite.")
    (mean, other_mean), (covariance, other) = (
        [f(each) for each in sets] for f in (lambda x: x.mean(axis=0), lambda x: np.atleast_2d(np.cov(x.T)))
    )
    # The root of C1 C2 has the trace of the root of C1^(1/2) C2 C1^(1/2), which is symmetric: no complex numbers.
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    both = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other @ root), 0)).sum()
    return float(((mean - other_mean) ** 2).sum() + np.trace(covariance) + np.trace(other) - 2 * both)
