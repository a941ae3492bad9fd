"""How much of what is there the proposals cover: Uijlings et al., IJCV 2013, section 5."""

from collections.abc import Sequence

import numpy as np

from keras_cnns.ops import iou


def proposal_scores(
    proposals: Sequence[np.ndarray],
    boxes: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    counts: Sequence[int] = (500, 1000, 2000),
    thresholds: Sequence[float] = (0.5, 0.7),
) -> list[dict[str, float]]:
    """Return how the first `count` proposals of each image cover what is there, for each of `counts`: a list of dicts.

    A dict has `count`, `proposals` (how many of them an image has on average) and what `coverage` returns.

    proposals: a list with `(R, 4)` of each image, the best first. boxes, labels: lists with `(N, 4)` and `(N,)`.

    Raises:
        ValueError: the lists differ in length, a count is less than 1, no image has a box, or a box is empty.
    """
    best = best_overlaps(proposals, boxes, counts)
    names = [name for each in labels for name in each]
    return [
        {
            "count": count,
            "proposals": float(np.mean([min(len(each), count) for each in proposals])),
            **coverage(row, names, thresholds),
        }
        for count, row in zip(counts, best, strict=True)
    ]


def coverage(best: np.ndarray, labels: np.ndarray, thresholds: Sequence[float] = (0.5, 0.7)) -> dict[str, float]:
    """Return how well N boxes are covered, from the best overlap and the label of each: a dict, all between 0 and 1.

    `recall_50` and so on are the shares of the boxes that overlap by an IoU of at least each threshold; `mabo` is the
    mean over the classes of the average best overlap of their boxes.

    Raises:
        ValueError: there are no boxes, or not as many labels.
    """
    best, labels = np.asarray(best), np.asarray(labels)
    if len(labels) != len(best):
        raise ValueError(f"there are {len(labels)} labels for {len(best)} boxes; each box needs one.")
    if not len(labels):
        raise ValueError("there are no boxes to be found.")
    recalls = {f"recall_{round(100 * each)}": float(np.mean(best >= each)) for each in thresholds}
    return {**recalls, "mabo": float(np.mean([best[labels == label].mean() for label in np.unique(labels)]))}


def best_overlaps(proposals: Sequence[np.ndarray], boxes: Sequence[np.ndarray], counts: Sequence[int]) -> np.ndarray:
    """The IoU of every box of all images with the best of its image's first `count` proposals: float32 `(counts, N)`.

    proposals, boxes: lists with `(R, 4)`, the best first, and `(N, 4)` of each image; without a proposal the IoU is 0.

    Raises:
        ValueError: the lists differ in length, a count is less than 1, or a box is empty.
    """
    if len(proposals) != len(boxes):
        raise ValueError(f"there are proposals of {len(proposals)} images and boxes of {len(boxes)}; each needs both.")
    if min(counts) < 1:
        raise ValueError(f"counts is {counts}; each must be at least 1.")
    best = [np.zeros((len(counts), 0), "float32")]
    for number, (proposed, there) in enumerate(zip(proposals, boxes, strict=True)):
        there = np.asarray(there, "float32").reshape(-1, 4)
        proposed = np.asarray(proposed, "float32").reshape(-1, 4)[: max(counts)]
        if not (there[:, 2:] > there[:, :2]).all():
            raise ValueError(f"a box of image {number} is empty; it must have x2 > x1 and y2 > y1.")
        # Row k: the best of the first k; row 0: of none.
        overlaps = np.concatenate([np.zeros((1, len(there)), "float32"), np.asarray(iou(proposed, there))])
        best_so_far = np.maximum.accumulate(overlaps, axis=0)
        best.append(best_so_far[np.minimum(counts, len(proposed))])
    return np.concatenate(best, axis=1)
