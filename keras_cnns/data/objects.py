"""Single objects of Pascal VOC with what surrounds them: the training examples of DeconvNet (Noh et al., ICCV 2015)."""

import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from keras_cnns.arguments import check_choice
from keras_cnns.data.augmentation import to_uint8
from keras_cnns.data.pipeline import Images
from keras_cnns.data.random import fold, permutation, uniform
from keras_cnns.data.segmentation import VOC_LABELS, VOID, MaskReader, labels_of, voc_folder, voc_list

ATTEMPTS = 20


def voc_objects(folder, split, strict=False):
    """Return the objects of VOC's segmentation images as `Images`: as many of each class, by repeating those of rarer
    ones (section 6.1).

    A mask is `(height, width, 2)`: the labels of the whole image, and 1 where this object is. `split`, `folder`: as in
    `voc_masks`, whose images and masks these are; what cannot be read, or is of another size or with another label than
    it may be, is left out and named.

    Raises:
        ValueError: another split, no such images, or with `strict` anything that would be left out.
    """
    check_choice("split", split, ("train", "test"))
    root = voc_folder(folder)
    list_name = {"train": "train", "test": "val"}[split]
    found, faults = {}, []
    for stem in tqdm(voc_list(root, list_name), "objects", unit="image", leave=False):
        photo = root / "JPEGImages" / f"{stem}.jpg"
        classes, objects = (root / f"Segmentation{kind}" / f"{stem}.png" for kind in ("Class", "Object"))
        try:
            with Image.open(photo) as file:  # its header alone
                size = file.height, file.width
            for number, label in objects_of(classes, objects, size):
                found.setdefault(label, []).append((photo, classes, objects, number))
        except (OSError, SyntaxError, ValueError) as error:
            faults.append((str(photo), f"cannot be used with its masks: {error}"))
    if not found:
        raise ValueError(f"{root} has no {list_name} images with objects in SegmentationObject.")
    most = max(len(each) for each in found.values())
    each_class = (each * (most // len(each)) + each[: most % len(each)] for _, each in sorted(found.items()))
    examples = np.array([[str(part) for part in example] for every in each_class for example in every])

    def records(seed):
        order = np.arange(len(examples)) if seed is None else permutation(len(examples), seed, 0)
        files = tf.data.Dataset.from_tensor_slices((order, examples[order]))
        return files.map(lambda index, row: (index, row[0], tf.io.read_file(row[0]), row[1:]))

    count = sum(len(each) for each in found.values())
    description = f"{root.name} {split}, {count:,} objects, {len(examples):,} with the repeated ones"
    images = Images(root.name, description, VOC_LABELS, len(examples), records, mask=read_object, strict=strict)
    for path, fault in faults:
        images.leave_out(path, fault)
    return images


def objects_of(classes, objects, size):
    """The (number, label) of each object in a pair of masks, those of classes and of objects, of an image's (height,
    width)."""
    labelled = MaskReader(len(VOC_LABELS)).checked(str(classes), size)
    numbers = MaskReader(VOID).checked(str(objects), size)
    for number in np.setdiff1d(numbers, (0, VOID)):
        labels = labelled[(numbers == number) & (labelled > 0) & (labelled != VOID)]
        if labels.size:
            yield int(number), int(np.bincount(labels).argmax())


def read_object(name, image, row):
    """The mask of a record: row holds the paths of the masks of classes and objects, and the object's number."""

    def read(row):
        classes, objects, number = (each.decode() for each in row)
        return np.stack([labels_of(classes), labels_of(objects) == int(number)], axis=-1).astype("uint8")

    if row.dtype != tf.string:
        return row
    mask = tf.numpy_function(read, [row], tf.uint8)
    return tf.reshape(mask, tf.concat([tf.shape(image)[:2], [2]], 0))


def object_crop(side=250, context=1.2, alone=True, overlap=None):
    """Cut an object's box, `context` times as large, out of an image and scale it to `side` x `side`: sections 4.2
    and 6.1 (1.2, 250).

    A function of ((image, mask), key) as `voc_objects` gives them; of the mask `(side, side)` remains. Beyond the image
    there is black, and void in the mask.

    alone: whether everything but the object is background, 0 (the first stage), or keeps its label (the second).
    overlap: in place of the object's box, one drawn at random whose IoU with it is at least this: a proposal.
    """

    def crop(pair, key):
        image, mask = pair
        labels, here = mask[..., 0], mask[..., 1] > 0
        if alone:
            labels = tf.where(here | (labels == VOID), labels, tf.zeros_like(labels))
        box = tf.stack([extent(tf.reduce_any(here, axis=1 - axis)) for axis in (0, 1)], axis=1)  # (from, to) x (y, x)
        if overlap is not None:
            box = proposal(box, key, overlap)
        middle, half = (box[0] + box[1]) / 2, context * (box[1] - box[0]) / 2
        return cut(image, labels, middle - half, middle + half, side)

    return crop


def extent(line):
    """The first true place and that after the last one, float32."""
    places = tf.cast(tf.where(line)[:, 0], tf.float32)
    return tf.stack([places[0], places[-1] + 1])


def proposal(box, key, overlap):
    """A box near another, moved and stretched by up to half its sides: the first drawn whose IoU is `overlap` or more.

    The box itself if none is.
    """
    size = box[1] - box[0]
    keys = fold(key, tf.range(ATTEMPTS))
    draws = tf.stack([uniform(keys, stream, -0.5, 0.5) for stream in range(4)], axis=1)
    moved = box + tf.reshape(draws, (ATTEMPTS, 2, 2)) * size
    moved = tf.concat([moved, box[None]], axis=0)
    common = tf.maximum(tf.minimum(moved[:, 1], box[1]) - tf.maximum(moved[:, 0], box[0]), 0.0)
    common = tf.reduce_prod(common, axis=1)
    together = tf.reduce_prod(moved[:, 1] - moved[:, 0], axis=1) + tf.reduce_prod(size) - common
    return moved[tf.argmax(common / together >= overlap)]


def cut(image, labels, begin, end, side):
    """The part of a pair from `begin` to `end`, both (y, x) and perhaps outside, at `side` x `side`."""
    weights, nearest, inside = [], [], []
    for axis in (0, 1):
        length = tf.shape(labels)[axis]
        places = begin[axis] + (tf.range(side, dtype=tf.float32) + 0.5) * (end - begin)[axis] / side
        inside.append((places >= 0) & (places <= tf.cast(length, tf.float32)))
        places = tf.clip_by_value(places - 0.5, 0.0, tf.cast(length - 1, tf.float32))  # 0: the first pixel's middle
        nearest.append(tf.cast(tf.round(places), tf.int32))
        distance = tf.abs(places[:, None] - tf.range(tf.cast(length, tf.float32)))
        weights.append(tf.maximum(1.0 - distance, 0.0))  # bilinear
    inside = inside[0][:, None] & inside[1]
    part = tf.einsum("ih,hwc,jw->ijc", weights[0], tf.cast(image, tf.float32), weights[1])
    labels = tf.gather(tf.gather(labels, nearest[0]), nearest[1], axis=1)
    return to_uint8(part * tf.cast(inside, tf.float32)[..., None]), tf.where(
        inside, labels, tf.cast(VOID, labels.dtype)
    )
