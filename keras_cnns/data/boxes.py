"""What happens to photographs with objects on their way into a batch: functions of `((image, objects), key)`.

Objects and proposals are rows as in `keras_cnns.data.detection`.
"""

import numpy as np
import tensorflow as tf

from keras_cnns.data.augmentation import to_uint8
from keras_cnns.data.detection import NO_OBJECT, PROPOSAL
from keras_cnns.data.random import fold, uniform
from keras_cnns.ops import clip_boxes, sample_rois


def with_proposals(images, proposals, count):
    """The same images with rows of proposals behind their objects, `(most + count, 6)`.

    proposals: function from an image's name to its boxes, `(R, 4)`, the best first, of which the first `count` are
        taken.
    """

    def rows(name):
        boxes = np.float32(proposals(np.asarray(name).item().decode())).reshape(-1, 4)[:count]
        found = np.full((count, 6), NO_OBJECT, "float32")
        found[: len(boxes)] = np.pad(boxes, [(0, 0), (0, 2)])
        found[: len(boxes), 4] = PROPOSAL
        return found

    def mask(name, image, label):
        behind = tf.ensure_shape(tf.numpy_function(rows, [name], tf.float32), (count, 6))
        return tf.concat([images.mask(name, image, label), behind], axis=0)

    return images.labelled(mask)


def objects_and_proposals(rows):
    """The objects `(n, 6)` and the proposals' boxes `(R, 4)` of an image's rows."""
    return rows[rows[:, 4] >= 0], rows[rows[:, 4] == PROPOSAL][:, :4]


# Functions of ((image, objects), key): `Images.each`.


def draw_rois(**settings):
    """What a step of Fast R-CNN learns from, of an image with rows of objects and proposals, by `sample_rois`.

    Returns ((image, boxes `(count, 4)`), (labels `(count,)`, targets `(count, 5)`, the label before the deltas)).
    settings: of `sample_rois`: count, foreground, overlap, background, means, deviations.
    """

    def draw(pair, key):
        image, rows = pair
        objects, proposals = objects_and_proposals(rows)
        random = uniform(fold(key, tf.range(tf.shape(proposals)[0] + tf.shape(objects)[0])))
        rois, labels, deltas = sample_rois(proposals, objects[:, :4], objects[:, 4], random, **settings)
        return (image, rois), (labels, tf.concat([tf.cast(labels, tf.float32)[:, None], deltas], axis=1))

    return draw


def random_flip_objects(pair, key):
    """Mirror an image and its boxes left to right with probability one half: Fast R-CNN, section 2.3."""
    image, objects = pair
    width = tf.cast(tf.shape(image)[1], tf.float32)
    x1, y1, x2, y2, label, difficult = tf.unstack(objects, axis=-1)
    mirrored = tf.stack([width - x2, y1, width - x1, y2, label, difficult], axis=-1)
    mirrored = tf.where(label[:, None] != NO_OBJECT, mirrored, objects)
    turned = uniform(key) < 0.5
    return tf.where(turned, tf.reverse(image, [1]), image), tf.where(turned, mirrored, objects)


def scale_objects(shorter, longest):
    """Scale an image (bilinear, uint8 out) and its boxes so that the shorter side has `shorter` pixels, or the longer
    one `longest` if it would have more: Fast R-CNN, section 5.2, with 600 and 1,000."""

    def scale(pair, key):
        image, objects = pair
        sides = tf.cast(tf.shape(image)[:2], tf.float32)
        factor = tf.minimum(shorter / tf.reduce_min(sides), longest / tf.reduce_max(sides))
        size = tf.cast(tf.round(factor * sides), tf.int32)
        height, width = tf.unstack(tf.cast(size, tf.float32) / sides)  # of whole pixels, so perhaps not quite `factor`
        stretch = tf.stack([width, height, width, height, 1.0, 1.0])
        objects = tf.where(objects[:, 4:5] != NO_OBJECT, objects * stretch, objects)
        return to_uint8(tf.image.resize(image, size)), objects

    return scale


def size_among_objects(pair, key):
    """Add a last row with no class to an image's objects, the box around the image: what padding would hide."""
    image, objects = pair
    height, width = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float32))
    row = tf.stack([0.0, 0.0, width, height, NO_OBJECT, NO_OBJECT])
    return image, tf.concat([objects, row[None]], axis=0)


def pad_objects(height, width):
    """Bring an image that is at most so large to this size with zeros at the bottom and the right; boxes stay."""

    def pad(pair, key):
        image, objects = pair
        sides = tf.shape(image)[:2]
        image = tf.pad(image, [(0, height - sides[0]), (0, width - sides[1]), (0, 0)])
        return tf.ensure_shape(image, (height, width, None)), objects

    return pad


def jitter_objects(share, height, width):
    """Cut a part out of an image whose four edges each lie up to `share` of the image's side further in or out, and
    scale it to (height, width), antialiased, uint8 out: YOLO, section 2.2, "random scaling and translations of up to
    20 %". Beyond the image there is black. Boxes are cut off at the part's edges; one that lies outside is no more.

    With a share of 0 it is the whole image, stretched.
    """

    def jitter(pair, key):
        image, objects = pair
        sides = tf.tile(tf.cast(tf.shape(image)[:2], tf.float32), [2])
        top, left, bottom, right = tf.unstack(
            tf.constant([0.0, 0.0, 1.0, 1.0]) * sides
            + tf.stack([uniform(key, stream, -share, share) for stream in range(4)]) * sides
        )
        y, x = height / (bottom - top), width / (right - left)  # pixels of the result for one of the image
        cut = tf.raw_ops.ScaleAndTranslate(
            images=image[None],
            size=(height, width),
            scale=tf.stack([y, x]),
            translation=tf.stack([-top * y, -left * x]),
            kernel_type="triangle",
            antialias=True,
        )
        moved = (objects[:, :4] - tf.stack([left, top, left, top])) * tf.stack([x, y, x, y])
        moved = clip_boxes(moved, (height, width))
        there = (objects[:, 4] >= 0) & tf.reduce_all(moved[:, 2:] > moved[:, :2], axis=1)
        objects = tf.where(there[:, None], tf.concat([moved, objects[:, 4:]], axis=1), NO_OBJECT)
        return tf.ensure_shape(to_uint8(cut[0]), (height, width, None)), objects

    return jitter
