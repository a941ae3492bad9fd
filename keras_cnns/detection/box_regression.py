"""R-CNN's bounding-box regression: Girshick et al., CVPR 2014, appendix C.

The paper prints the targets, the overlap of 0.6 and lambda; that targets are centred and decorrelated first is its
released code's, as is that the bias is regularised like a weight.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.linalg
import tensorflow as tf
from tqdm import tqdm

from keras_cnns.detection.features import Features
from keras_cnns.ops import best_matches, decode_boxes, encode_boxes

STRENGTH = 1000.0  # lambda
BLOCK = 4096  # feature vectors in memory at a time
SMALLEST = 1e-3  # added to the variances of targets, so that one that never changes divides by no zero


class BoxRegressors(NamedTuple):
    """From features to the deltas of each class, linear."""

    weights: np.ndarray  # (width + 1, classes, 4), the last row is the bias
    scale: float  # of the features

    def boxes(self, features, boxes):
        """The boxes of each class, `(N, classes, 4)` float32, that features `(N, width)` make of boxes `(N, 4)`."""
        width, classes, _ = self.weights.shape
        deltas = with_one(features * self.scale) @ self.weights.reshape(width, -1)
        deltas = deltas.reshape(-1, classes, 4)
        return decode_boxes(deltas, np.asarray(boxes, "float32")[:, None]).numpy()


def overlapping(photos: Sequence[dict], lowest: float) -> list[np.ndarray]:
    """Return, for each photo, the numbers of its boxes that overlap one of its objects by `lowest` or more.

    photos: as in `train_svms`. The objects' own boxes are among them.
    """
    objects = (photo["boxes"][: len(photo["labels"])] for photo in photos)
    best = (best_matches(photo["boxes"], own)[0] for photo, own in zip(photos, objects, strict=True))
    return [np.flatnonzero(each >= lowest) for each in best]


def train_box_regressors(
    features: Features,
    photos: Sequence[dict],
    chosen: Sequence[np.ndarray],
    classes: int,
    lowest: float = 0.6,
    strength: float = STRENGTH,
) -> BoxRegressors:
    """Return the `BoxRegressors` of `classes` classes: ridge regression of each one's deltas.

    A proposal is of the object that it overlaps most; the objects' own boxes have nothing to learn and are left out. A
    class without any proposals leaves its boxes as they are.

    Args:
        features: the `Features` of the chosen boxes alone.
        photos: as in `train_svms`.
        chosen: for each photo, the numbers of its boxes that have features, as `overlapping` gives them.
        lowest: overlap from which a proposal counts. SPPNet: 0.5.
        strength: lambda of the ridge.
    """
    labels, targets = [np.zeros(0, "int64")], [np.zeros((0, 4), "float32")]
    for photo, rows in zip(photos, chosen, strict=True):
        objects, proposals = photo["boxes"][: len(photo["labels"])], photo["boxes"][rows]
        best, index = (each.numpy() for each in best_matches(proposals, objects))
        if len(rows):
            good = (best >= lowest) & (rows >= len(objects))
            labels.append(np.where(good, np.asarray(photo["labels"])[index], -1))
            targets.append(encode_boxes(tf.gather(objects, index), proposals).numpy())
    labels, targets = np.concatenate(labels), np.concatenate(targets).astype("float64")
    scale = features.scale()
    weights = np.zeros((features.width + 1, classes, 4), "float32")
    for k in tqdm(range(classes), "box regression", unit="class"):
        rows = np.flatnonzero(labels == k)
        if len(rows):
            mean, there, back = decorrelation(targets[rows])
            wanted = (targets[rows] - mean) @ there
            if len(rows) <= features.width:
                found = ridge_of_few(with_one(features.rows(rows) * scale), wanted, strength)
            else:
                parts = np.split(rows, range(BLOCK, len(rows), BLOCK))
                found = ridge((with_one(features.rows(part) * scale) for part in parts), wanted, strength)
            weights[:, k] = found @ back
            weights[-1, k] += mean
    return BoxRegressors(weights, scale)


def with_one(values):
    """The values with a last column of ones."""
    return np.pad(values, [(0, 0), (0, 1)], constant_values=1.0)


def decorrelation(targets):
    """The mean of targets `(N, 4)`, and the matrices that bring centred ones to unit covariance and back."""
    mean = targets.mean(axis=0)
    variances, axes = np.linalg.eigh((targets - mean).T @ (targets - mean) / len(targets))
    deviations = np.sqrt(variances + SMALLEST)
    return mean, axes / deviations @ axes.T, axes * deviations @ axes.T


def ridge(blocks, targets, strength):
    """The w that makes |X w - y|² + strength |w|² smallest, `(width, outputs)`; X comes in blocks of rows."""
    square, product, first = 0.0, 0.0, 0
    for block in blocks:
        square = square + block.T @ block
        product = product + block.T @ targets[first : first + len(block)].astype("float32")
        first += len(block)
    square[np.diag_indices_from(square)] += strength
    return scipy.linalg.solve(square, product, assume_a="pos", overwrite_a=True)


def ridge_of_few(rows, targets, strength):
    """The same w of fewer rows than columns, by the smaller matrix: X' (X X' + strength)^-1 y."""
    square = rows @ rows.T
    square[np.diag_indices_from(square)] += strength
    return rows.T @ scipy.linalg.solve(square, targets.astype("float32"), assume_a="pos", overwrite_a=True)
