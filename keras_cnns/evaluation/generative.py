"""What is measured of generated images: Parzen windows, Fréchet distance, variety; and of what a discriminator learnt.

Deviation: of DCGAN's feature probe the paper prints no C; it is chosen by the accuracy on validation images, as in the
authors' release on SVHN.
"""

from collections.abc import Iterable, Sequence

import keras
import numpy as np
import tensorflow as tf
from scipy.optimize import minimize
from scipy.special import logsumexp

Labelled = tuple[np.ndarray, np.ndarray]  # features and labels
SIGMAS = np.logspace(-1, 0, 10)  # the candidates of the authors' release
AT_ONCE = 1000  # images whose distances are held at a time
GRID = 4  # pixels a side that a probe's maps are pooled to
PENALTIES = (0.01, 0.1, 1.0, 10.0)  # candidates for C of the SVM, on features whose rows have norms of about 1


def parzen_log_likelihoods(images: np.ndarray, samples: np.ndarray, sigmas: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the log density of images under Gaussian windows on samples: `(sigmas, images)`, in nats, float64.

    Args:
        images, samples: `(number, ...)`, of the same shape each; values from 0 to 1 in the paper.
        sigmas: standard deviations of the windows.

    Raises:
        ValueError: no sample or image, images of another size than the samples, or sigmas that are not above 0.

    Source: Goodfellow et al., NIPS 2014, section 5.
    """
    if not len(samples):
        raise ValueError("there are no samples to put windows on.")
    if not len(images):
        raise ValueError("there are no images to measure.")
    if not len(sigmas) or min(sigmas) <= 0:
        raise ValueError(f"sigmas are {list(sigmas)}; there must be at least one, and all above 0.")
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

    Args:
        test, validation, samples: `(number, ...)`, of the same shape each; values from 0 to 1 in the paper.
        sigmas: widths to choose from.

    Raises:
        ValueError: as `parzen_log_likelihoods`.

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
        ValueError: fewer than two images in a set, sets of other widths, or features that are not finite.

    Source: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", NIPS 2017, equation 6.
    """
    sets = [np.asarray(each, "float64") for each in (features, others)]
    if any(each.ndim != 2 for each in sets) or sets[0].shape[1] != sets[1].shape[1]:
        shapes = " and ".join(str(each.shape) for each in sets)
        raise ValueError(f"the sets are {shapes}; both must be (number, dimensions), of as many dimensions.")
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
    distance = ((mean - other_mean) ** 2).sum() + np.trace(covariance) + np.trace(other) - 2 * both
    return float(max(distance, 0.0))  # of two equal sets the rounding may leave less than 0


def variety(samples: np.ndarray, images: np.ndarray) -> float:
    """Return how far apart samples lie, beside as many real images: about 1 as these, 0 where all are alike.

    The median distance to the nearest other sample, divided by the same of the images: near 0 too where a generator
    gives a few images again and again.

    Args:
        samples, images: `(number, ...)`, of the same shape and number, as a nearest neighbour is nearer among more.

    Raises:
        ValueError: other shapes, fewer than two, or images of which most are there twice.
    """
    samples, images = np.asarray(samples, "float64"), np.asarray(images, "float64")
    if samples.shape != images.shape or len(samples) < 2:
        allowed = "as many of one size are needed, 2 or more"
        raise ValueError(f"samples are {samples.shape}, images {images.shape}; {allowed}.")
    ours, theirs = (np.median(nearest_others(each.reshape(len(each), -1))) for each in (samples, images))
    if not theirs:
        raise ValueError("most images are there twice; there is no variety to compare with.")
    return float(ours / theirs)


def nearest_others(rows):
    """The distance of each row to the nearest other one."""
    squares = (rows**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * rows @ rows.T
    np.fill_diagonal(distances, np.inf)
    return np.sqrt(np.maximum(distances.min(axis=1), 0))


def pooled_features(discriminator: keras.Model, batches: Iterable) -> np.ndarray:
    """Return a discriminator's features of images, for a linear classifier: `(images, 16 * filters)`, float32.

    The maps of every LeakyReLU behind a convolution, max-pooled to 4x4, flattened and joined.

    Args:
        discriminator: functional, as `dcgan_discriminator`; its maps have sides that divide by 4.
        batches: of images, or of pairs that begin with images, as the discriminator takes them.

    Raises:
        ValueError: it has no such maps, or there are no images.

    Source: Radford et al., ICLR 2016, section 5.1.
    """
    rectified = [layer.output for layer in discriminator.layers if isinstance(layer, keras.layers.LeakyReLU)]
    maps = [output for output in rectified if len(output.shape) == 4]
    if not maps or any(side % GRID for output in maps for side in output.shape[1:3]):
        sizes = ", ".join(f"{output.shape[1]}x{output.shape[2]}" for output in maps) or "none"
        raise ValueError(f"the maps of {discriminator.name} are {sizes}; their sides must be divisible by {GRID}.")
    pooled = [keras.layers.MaxPooling2D((each.shape[1] // GRID, each.shape[2] // GRID))(each) for each in maps]
    features = keras.layers.Concatenate()([keras.layers.Flatten()(each) for each in pooled])
    look = tf.function(keras.Model(discriminator.inputs, features), reduce_retracing=True)
    found = [look(tf.nest.flatten(batch)[0], training=False).numpy() for batch in batches]
    if not found:
        raise ValueError("there are no images to take features of.")
    return np.concatenate(found).astype("float32")


def svm_scores(
    train: Labelled, validation: Labelled, test: Labelled, penalties: Sequence[float] = PENALTIES
) -> dict[str, float]:
    """Return the accuracy of a linear L2-SVM: a dict of `accuracy` on the test, `validation_accuracy`, in %, and `C`.

    Args:
        train, validation, test: (features `(number, dimensions)`, labels `(number,)`, whole numbers); features are
            divided by the root of the training rows' mean square norm.
        penalties: the candidates for C; the one with the best accuracy on the validation images counts.

    Source: Radford et al., ICLR 2016, section 5.1 ("a regularized linear L2-SVM classifier").
    """
    scale = np.float32(1 / np.sqrt(np.mean(np.square(train[0]).sum(axis=1))))
    best, weights = {"validation_accuracy": -1.0}, None
    for penalty in sorted(penalties):
        weights = linear_svm(train[0] * scale, train[1], penalty, weights)
        accuracies = [
            100 * np.mean(np.argmax(features @ (scale * weights[:-1]) + weights[-1], axis=1) == labels)
            for features, labels in (test, validation)
        ]
        if accuracies[1] > best["validation_accuracy"]:
            best = {"accuracy": float(accuracies[0]), "validation_accuracy": float(accuracies[1]), "C": penalty}
    return best


def linear_svm(features, labels, penalty, start=None):
    """Return the weights `(dimensions + 1, classes)` of a linear SVM with squared hinge loss, each class against all.

    What scikit-learn's `LinearSVC` minimises, the bias, its last row, as a weight among the others; all classes at
    once by matrix products, as liblinear takes hours for thousands of dense features.

    start: weights to begin with.
    """
    features = np.asarray(features, "float32")
    signs = np.where(labels[:, None] == np.arange(labels.max() + 1), 1.0, -1.0).astype("float32")
    shape = features.shape[1] + 1, signs.shape[1]

    def objective(flat):
        weights = flat.reshape(shape)
        short = np.maximum(1 - signs * (features @ weights[:-1].astype("float32") + weights[-1]), 0)
        pull = (-2 * penalty * signs * short).astype("float32")
        slope = weights + np.concatenate([features.T @ pull, pull.sum(axis=0, keepdims=True)])
        return 0.5 * (flat @ flat) + penalty * np.square(short).sum(), slope.ravel()

    start = np.zeros(shape) if start is None else start
    return minimize(objective, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x.reshape(shape)
