"""R-CNN's linear SVMs, one a class, with hard negatives: Girshick et al., CVPR 2014, section 2.3 and appendix B.

The paper prints the negatives' overlap of 0.3 and a single pass; C, the weight of positives, the bias and the limits of
the hard negatives are its released code's.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from keras_cnns.detection.features import Features
from keras_cnns.extras import Extra
from keras_cnns.files import whole
from keras_cnns.ops import class_overlaps

liblinear = Extra("sklearn.svm", "regions")

C, POSITIVE_WEIGHT, BIAS = 0.001, 2, 10
NEGATIVE = 0.3  # the highest overlap of a negative, with any object of the class
HARD, EASY = -1.0001, -1.2  # negatives that score more are added; that score less are dropped
RETRAIN = 2000  # new hard negatives of a class before its SVM is trained again
SAVE = 60  # seconds from a state to the next


class SVMs(NamedTuple):
    """Linear classifiers of features, one a class."""

    weights: np.ndarray  # (width, classes)
    biases: np.ndarray  # (classes,)
    scale: float  # of the features

    def scores(self, features):
        """The scores `(N, classes)`, float32, of features `(N, width)`: an object's are above -1, most above 1."""
        return (features * self.scale @ self.weights + self.biases).astype("float32")


def train_svms(features: Features, photos: Sequence[dict], classes: int, state: str | Path | None = None) -> SVMs:
    """Return the `SVMs` of `classes` classes from the `Features` of all boxes of photos.

    Positives are the objects alone; negatives all boxes that overlap no object of the class by 0.3 or more; of these
    the hard ones, found in one pass over the photos. The features stay on the disk but for those of one class.

    Args:
        features: a row for each box of each photo.
        photos: dicts of `boxes` `(N, 4)`, those of objects first, and `labels` `(M,)` of these.
        state: a file for what is found so far, once a minute: a training that was stopped goes on from there.

    Raises:
        ValueError: a class that has no object to learn from.
    """
    labels = [np.asarray(photo["labels"]) for photo in photos]
    positives = [
        np.concatenate([start + np.flatnonzero(own == k) for start, own in zip(features.starts, labels, strict=False)])
        for k in range(classes)
    ]
    for k, rows in enumerate(positives):
        if not len(rows):
            raise ValueError(f"class {k} has no object in {len(photos)} photos; each class needs one.")

    mining = Mining(features, positives, state)
    with tqdm(total=len(photos), initial=mining.position, desc="SVMs", unit="image") as bar:
        while mining.position < len(photos):
            number = mining.position
            photo = photos[number]
            objects = photo["boxes"][: len(photo["labels"])]
            overlaps = class_overlaps(photo["boxes"], objects, photo["labels"], classes).numpy()
            scores = mining.svms.scores(features.read(number))
            for k in range(classes):
                hard = (overlaps[:, k] < NEGATIVE) & (~mining.trained[k] | (scores[:, k] > HARD))
                mining.add(k, features.starts[number] + np.flatnonzero(hard))
            mining.position += 1
            mining.save_at_times()
            bar.set_postfix(negatives=sum(map(len, mining.negatives)), refresh=False)
            bar.update()
    for k in range(classes):
        if mining.new[k]:
            mining.train(k)
    return mining.svms


class Mining:
    """The SVMs so far, and the negatives of each class that are kept, as numbers of boxes."""

    def __init__(self, features, positives, state):
        classes = len(positives)
        self.features, self.positives, self.state, self.saved = features, positives, state, time.monotonic()
        self.svms = SVMs(np.zeros((features.width, classes), "float32"), np.zeros(classes, "float32"), features.scale())
        self.negatives = [np.zeros(0, "int64") for _ in range(classes)]
        self.new, self.trained, self.position = np.zeros(classes, "int64"), np.zeros(classes, bool), 0
        if state and Path(state).exists():
            with np.load(state) as saved:
                if str(saved["of"]) == features.of:
                    self.svms = SVMs(saved["weights"], saved["biases"], float(saved["scale"]))
                    self.negatives = np.split(saved["negatives"], np.cumsum(saved["counts"])[:-1])
                    self.new, self.trained, self.position = saved["new"], saved["trained"], int(saved["position"])

    def add(self, k, rows):
        """Add negatives of a class, and train it again if they are many, or the first."""
        self.negatives[k] = np.concatenate([self.negatives[k], rows])
        self.new[k] += len(rows)
        if self.new[k] >= RETRAIN or (self.new[k] and not self.trained[k]):
            self.train(k)

    def train(self, k):
        rows = np.concatenate([self.positives[k], self.negatives[k]])
        values = self.features.rows(rows) * self.svms.scale
        svm = liblinear.LinearSVC(
            C=C,
            loss="hinge",
            class_weight={1: POSITIVE_WEIGHT},
            intercept_scaling=BIAS,
            random_state=0,
            max_iter=10_000,
        )
        svm.fit(values, np.arange(len(rows)) < len(self.positives[k]))
        self.svms.weights[:, k], self.svms.biases[k] = svm.coef_[0], svm.intercept_[0]
        scores = values[len(self.positives[k]) :] @ self.svms.weights[:, k] + self.svms.biases[k]
        self.negatives[k] = self.negatives[k][scores >= EASY]
        self.new[k], self.trained[k] = 0, True

    def save_at_times(self):
        if self.state and time.monotonic() - self.saved > SAVE:
            with whole(self.state) as part:
                np.savez(
                    part,
                    of=self.features.of,
                    **self.svms._asdict(),
                    negatives=np.concatenate(self.negatives),
                    counts=[len(rows) for rows in self.negatives],
                    new=self.new,
                    trained=self.trained,
                    position=self.position,
                )
            self.saved = time.monotonic()
