"""The windows that a detector's network is fine-tuned on: R-CNN (Girshick et al., CVPR 2014), section 2.3.

A photo is a dict: `path`, its file; `boxes` `(N, 4)` in its pixels, those of its objects first and the proposals behind
them; and `labels` `(M,)`, the objects' classes, numbered from 0.
"""

import numpy as np
import tensorflow as tf

from keras_cnns.data.pipeline import Images
from keras_cnns.data.random import uniform
from keras_cnns.ops import overlap_labels, warp_boxes

BACKGROUNDS = 3  # for each object: 96 and 32 of a batch of 128


def window_labels(photos, background=(0.0, 0.5)):
    """Return what each box of each photo is, a list of `(N,)`, as `overlap_labels`: the objects are their own."""
    labels = []
    for photo in photos:
        objects = photo["boxes"][: len(photo["labels"])]
        labels.append(overlap_labels(photo["boxes"], objects, photo["labels"], background=background).numpy())
    return labels


def one_in_four(labels, seed):
    """Return the order of an epoch, numbers of boxes: each object once, and three of the background behind each.

    Any whole number of batches that divide by 4 has a quarter of objects, as the paper's has, whatever their size.

    labels: of all boxes, `(N,)`. seed: whatever `numpy.random.default_rng` takes.

    Raises:
        ValueError: there is no object or no background.
    """
    objects, others = np.flatnonzero(labels > 0), np.flatnonzero(labels == 0)
    if not len(objects) or not len(others):
        raise ValueError(f"{len(objects)} boxes show objects and {len(others)} background; both are needed.")
    random = np.random.default_rng(seed)
    objects, others = random.permutation(objects), random.permutation(others)
    return np.column_stack([objects, np.resize(others, (len(objects), BACKGROUNDS))]).ravel()


def windows(photos, labels, name, most=None):
    """Return the boxes of photos as labelled `Images`, to be cut out by `warp_window`: a label is a class or 0.

    A mask is `(5,)`: a box, and its label.

    Args:
        photos: a list, as above.
        labels: names of the classes, without the background.
        name: of these images.
        most: how many of an epoch's boxes there are, at most.

    Raises:
        ValueError: there is no object or no background.
    """
    numbers = window_labels(photos)
    rows = np.concatenate([photo["boxes"] for photo in photos]).astype("float32")
    rows = np.column_stack([rows, np.concatenate(numbers)]).astype("float32")
    paths = np.repeat([str(photo["path"]) for photo in photos], [len(each) for each in numbers])
    size = len(one_in_four(rows[:, 4], 0))
    size = min(size, most or size)

    def records(seed):
        order = one_in_four(rows[:, 4], 0 if seed is None else seed)[:size]
        found = tf.data.Dataset.from_tensor_slices((order, paths[order], rows[order]))
        return found.map(lambda index, path, row: (index, path, tf.io.read_file(path), row))

    counts = (
        f"{len(photos):,} photos, {np.sum(rows[:, 4] > 0):,} windows of objects, {np.sum(rows[:, 4] == 0):,} of not"
    )
    return Images(name, f"{name}, {counts}", ["background", *labels], size, records, mask=lambda name, image, row: row)


def warp_window(size, context, mean, flip=False):
    """Cut the window of a box out of its photo: from ((photo, row), key) to the window `(size, size, 3)` and its label.

    size, context: as in `warp_boxes`. mean: RGB, subtracted, and what lies beyond the photo. flip: whether to mirror
    half of them.
    """

    def warp(pair, key):
        photo, row = pair
        window = warp_boxes(tf.cast(photo, tf.float32) - tf.constant(mean, tf.float32), row[None, :4], size, context)[0]
        if flip:
            window = tf.where(uniform(key) < 0.5, tf.reverse(window, [1]), window)
        return tf.ensure_shape(window, (size, size, 3)), tf.cast(row[4], tf.int64)

    return warp
