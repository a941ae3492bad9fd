"""Photographs with a label for every pixel: VOC, folders of images and masks such as CamVid, and what is done to both.

The functions of such `Images` are of `((image, mask), key)`: a mask is uint8 `(height, width)`, 255 where it says
nothing.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from keras_cnns.arguments import check_choice
from keras_cnns.data.augmentation import to_uint8
from keras_cnns.data.pipeline import Images
from keras_cnns.data.random import permutation
from keras_cnns.data.sources import SUFFIXES, digits
from keras_cnns.extras import Extra

tfds = Extra("tensorflow_datasets", "data")

VOID = 255
# In the order of their masks' numbers.
CAMVID_LABELS = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "cyclist")
VOC_LABELS = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


def camvid(folder: str | Path, split: str, strict: bool = False) -> Images:
    """Return CamVid with SegNet's 11 classes as `Images` with masks; 11 in its masks is void.

    Arguments and errors: as in `mask_folders`.
    """
    return mask_folders(folder, split, CAMVID_LABELS, void=len(CAMVID_LABELS), strict=strict)


def mask_folders(
    folder: str | Path, split: str, labels: Sequence[str] | None = None, void: int = VOID, strict: bool = False
) -> Images:
    """Return the images of `folder/SPLIT` with the masks of `folder/SPLITannot`, of the same names, as `Images`.

    A mask is a grey or palette PNG whose values are the labels. A mask with another label or of another size than its
    image, and an image or a mask without its mate, are named, counted and left out like a corrupt image.

    split: "train" or "test"; without a folder "test", "val" counts as that.
    labels: names of the classes; by default the lines of `folder/classes.txt`.
    void: the label of pixels that have none; 255 in what is returned.

    Raises:
        ValueError: another split, no such folders, no image with its mask in them, no names or more than 255; with
            `strict` an image or mask that would be left out.
    """
    check_choice("split", split, ("train", "test"))
    folder = Path(folder)
    names = (split,) if split == "train" else ("test", "val")
    name = next((name for name in names if (folder / name).is_dir() and (folder / f"{name}annot").is_dir()), None)
    if name is None:
        raise ValueError(f"{folder} has no folders {names[0]} and {names[0]}annot of images and their masks.")
    if labels is None:
        if not (folder / "classes.txt").is_file():
            raise ValueError(f"{folder} has no classes.txt with the name of a class on each line.")
        labels = (folder / "classes.txt").read_text().split("\n")
        labels = [line.strip() for line in labels if line.strip()]
    (images, twins), (masks, more) = by_stem(folder / name), by_stem(folder / f"{name}annot")
    pairs = [(images[stem], masks[stem]) for stem in sorted(images.keys() & masks.keys())]
    lonely = [*twins, *more]
    lonely += [(images[stem], f"has no mask in {folder / f'{name}annot'}") for stem in sorted(images.keys() - masks)]
    lonely += [(masks[stem], f"has no image in {folder / name}") for stem in sorted(masks.keys() - images)]
    return paired(folder, split, pairs, lonely, labels, void, strict)


def by_stem(folder):
    """A dict from the names without their endings to the paths of a folder's images; of files of one name the first,
    and [(path, what is wrong with it)] of the others."""
    paths, twins = {}, []
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in SUFFIXES and not file.name.startswith("."):
            first = paths.setdefault(file.stem, str(file))
            if first != str(file):
                twins.append((str(file), f"has the same name as {Path(first).name}"))
    return paths, twins


def voc_masks(
    folder: str | Path,
    split: str,
    strict: bool = False,
    train_list: str = "train",
    masks: str = "SegmentationClass",
    test_list: str = "val",
) -> Images:
    """Return Pascal VOC's segmentation images as `Images` with masks: 21 classes, the outlines void.

    folder: VOC2012 itself, or what it lies in; if it does not, TensorFlow Datasets downloads VOC 2012 there (its own
        data set `voc` has the boxes alone).
    split: "train" is the list `ImageSets/Segmentation/{train_list}.txt`, "test" the list "val" unless `test_list` says
        another, since the test set's masks are not published. Files that are left out: as in `mask_folders`.
    train_list, masks: another list and, for the training, another folder of masks, such as those of Hariharan et al. as
        PNG files that are spread as "trainaug" and "SegmentationClassAug".

    Raises:
        ValueError: as `mask_folders`; or VOC is not there and cannot be downloaded.
    """
    check_choice("split", split, ("train", "test"))
    root, list_name = voc_folder(folder), train_list if split == "train" else test_list
    folder = root / (masks if split == "train" else "SegmentationClass")
    pairs, lonely = [], []
    for stem in voc_list(root, list_name):
        image, mask = root / "JPEGImages" / f"{stem}.jpg", folder / f"{stem}.png"
        if image.exists() and mask.exists():
            pairs.append((str(image), str(mask)))
        elif image.exists():
            lonely.append((str(image), f"has no mask in {folder}"))
        else:
            lonely.append((str(mask), f"has no image in {root / 'JPEGImages'}"))
    return paired(root, list_name, pairs, lonely, VOC_LABELS, VOID, strict)


def voc_folder(folder):
    """The folder VOC2012 in or under `folder`; downloaded if it is not there."""
    folder = Path(folder)
    for root in (folder, folder / "VOC2012", folder / "VOCdevkit/VOC2012"):
        if (root / "ImageSets/Segmentation").is_dir():
            return root
    try:
        known = tfds.builder("voc/2012", data_dir=folder).url_infos  # with their checksums
        downloads = tfds.download.DownloadManager(download_dir=folder / "downloads", url_infos=known)
        archive = next(url for url in known if "trainval" in url and "2012" in url)
        return Path(downloads.download_and_extract(archive)) / "VOCdevkit/VOC2012"
    except ImportError:
        raise
    except Exception as error:  # TFDS raises many kinds
        raise ValueError(f"{folder} has no VOC2012, and it could not be downloaded: {error}") from error


def voc_list(root, name):
    """The names in a list of VOC's segmentation images, or `ValueError` if there is no such list."""
    file = root / f"ImageSets/Segmentation/{name}.txt"
    if not file.is_file():
        raise ValueError(f"{file} does not exist; it must list the images, one a line.")
    return file.read_text().split()


def paired(folder, split, pairs, lonely, labels, void, strict):
    """`Images` of pairs of (image path, mask path); `lonely` holds the (path, what is wrong) of files without mates."""
    if not pairs:
        raise ValueError(f"{folder} has no {split} image with its mask.")
    if len(labels) > VOID:
        raise ValueError(f"{folder} has {len(labels)} classes; masks of 8 bits hold at most {VOID}.")
    paths, mates = (np.array(each) for each in zip(*pairs, strict=True))

    def records(seed):
        order = np.arange(len(paths)) if seed is None else permutation(len(paths), seed, 0)
        files = tf.data.Dataset.from_tensor_slices((order, paths[order], mates[order]))
        return files.map(lambda index, path, mate: (index, path, tf.io.read_file(path), mate))

    names = "\n".join(str(Path(path).relative_to(folder)) for path in (*paths, *mates))
    names = hashlib.sha256(names.encode()).hexdigest()[:8]
    kinds = ", ".join(sorted({Path(path).suffix for path in paths}))
    description = f"{Path(folder).name} {split}, {len(paths):,} images ({kinds}) with masks, names {names}"
    reader = MaskReader(len(labels), void)
    images = Images(Path(folder).name, description, labels, len(paths), records, mask=reader, strict=strict)
    for path, fault in lonely:
        images.leave_out(path, fault)
    return images


class MaskReader:
    """A function from (an image's name, the image, the path of its mask) to the mask; `faults` says by name why one
    could not be used."""

    def __init__(self, classes, void=VOID):
        self.classes, self.void, self.faults = classes, void, {}

    def __call__(self, name, image, mask):
        if mask.dtype != tf.string:
            return mask
        mask = tf.numpy_function(self.read, [name, tf.shape(image)[:2], mask], tf.uint8)
        mask = tf.reshape(mask, tf.shape(image)[:2])  # an empty one fails, without Python's traceback in the log
        return tf.ensure_shape(mask, image.shape[:2])

    def read(self, name, size, path):
        """The mask in a file, or an empty one and what is wrong with it in `faults`."""
        name, path = name.decode(), path.decode()
        try:
            return self.checked(path, tuple(size.tolist()))
        except (OSError, SyntaxError, ValueError) as error:  # SyntaxError: PIL, of a broken PNG
            fault = error if type(error) is ValueError else f"{path} cannot be decoded"
            self.faults[name] = f"is left without a mask: {fault}"
            return np.zeros((0, 0), "uint8")

    def checked(self, path, size):
        """The labels in the file, or ValueError if they cannot be those of an image of this size."""
        mask = labels_of(path)
        if mask.shape != size:
            (height, width), (rows, columns) = size, mask.shape
            raise ValueError(f"{path} has {rows}x{columns} pixels, the image {height}x{width}")
        known = np.isin(np.arange(mask.max() + 1), [*range(self.classes), self.void])
        if mask.min() < 0 or not known[mask].all():
            stranger = mask.min() if mask.min() < 0 else mask[~known[mask]].min()
            raise ValueError(f"{path} has the label {stranger}, not of 0..{self.classes - 1} and {self.void} for none")
        return np.where(mask == self.void, VOID, mask).astype("uint8")


def labels_of(path):
    """The whole numbers in a grey or palette image, `(height, width)`."""
    with Image.open(path) as file:
        mask = np.asarray(file)  # of a palette the indices
    if mask.ndim != 2 or mask.dtype.kind not in "bui":
        raise ValueError(f"{path} has colours; a mask must be grey or have a palette")
    return mask.astype("int64")


def digit_masks(split: str) -> Images:
    """Return the digits that need no download as `Images` with masks: the ink is of the digit's class, the paper of
    class 0 and the grey between is void. Errors: as in `digits`."""
    images = digits(split, channels=3)
    pixels, numbers = images.arrays
    ink = pixels[..., 0]
    masks = np.where(ink >= 128, numbers[:, None, None] + 1, np.where(ink == 0, 0, VOID)).astype("uint8")
    labels = ["paper", *images.labels]
    description = f"{images.description}, ink labelled"
    return Images("digits", description, labels, len(masks), arrays=(pixels, masks), mask=MaskReader(len(labels)))


def median_frequency_weights(images: Images) -> np.ndarray:
    """Return what SegNet (section 4.1, after Eigen & Fergus, ICCV 2015) has a pixel count by its class: `(classes,)`.

    The frequency of a class is the number of its pixels divided by that of the labelled pixels of all images that have
    it; its weight is the median of the frequencies divided by its own. A class without pixels weighs 0.

    Raises:
        ValueError: no pixel of any mask has a label.
    """
    pixels = there = np.zeros(len(images.labels))
    for _, mask in tqdm(images.batches(1), "class frequencies", len(images), unit="image", leave=False):
        count = np.bincount(mask.numpy().ravel(), minlength=256)[: len(images.labels)]
        pixels, there = pixels + count, there + count.sum() * (count > 0)
    if not pixels.any():
        raise ValueError(f"{images.name} has no pixel with a label.")
    frequency = pixels / np.maximum(there, 1)
    seen = frequency[frequency > 0]
    return np.where(frequency > 0, np.median(seen) / np.maximum(frequency, seen.min()), 0.0).astype("float32")


# Functions of ((image, mask), key), or of whole batches of them.


def both(function):
    """A function that moves pixels without mixing them, such as a flip or a crop, for an image and its mask: with the
    same key it draws the same."""

    def move(pair, key):
        image, mask = pair
        return function(image, key), function(mask[..., None], key)[..., 0]

    return move


def image_alone(function):
    """A function of images for those of a pair; the masks stay."""
    return lambda pair, key: (function(pair[0], key), pair[1])


def resize_both(height, width):
    """Scale an image (bilinear, antialiased; uint8 out) and its mask (nearest neighbour) to one size."""

    def resize(pair, key):
        image, mask = pair
        image = to_uint8(tf.image.resize(image, (height, width), antialias=True))
        return image, tf.image.resize(mask[..., None], (height, width), "nearest")[..., 0]

    return resize


def fit_both(height, width):
    """Bring an image and its mask to one size without stretching them: scaled down if they are larger, then with zeros,
    and void in the mask, at the bottom and the right."""

    def fit(pair, key):
        image, mask = pair
        sides = tf.cast(tf.shape(mask), tf.float32)
        share = tf.reduce_min(tf.constant([height, width], tf.float32) / sides)
        size = tf.maximum(tf.cast(share * sides, tf.int32), 1)

        def scaled():
            smaller = tf.cast(tf.round(tf.image.resize(image, size, antialias=True)), image.dtype)
            return smaller, tf.image.resize(mask[..., None], size, "nearest")[..., 0]

        image, mask = tf.cond(share < 1, scaled, lambda: (image, mask))
        room = [[0, height - tf.shape(mask)[0]], [0, width - tf.shape(mask)[1]]]
        image, mask = tf.pad(image, [*room, [0, 0]]), tf.pad(mask, room, constant_values=VOID)
        return tf.ensure_shape(image, (height, width, None)), tf.ensure_shape(mask, (height, width))

    return fit
