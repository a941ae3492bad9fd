"""A network, and the images it is looked at through."""

import functools
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from keras_cnns.data import Images, digits, tfds_images
from keras_cnns.data.sources import SUFFIXES
from keras_cnns.layers import Preprocessing

NAMED = 10  # files told by name at most
PIXELS_AT_ONCE = 2**19  # of the network's input: 512 images of CIFAR, 10 of ImageNet


class Subject:
    """A network with its preprocessing and labels, and images in a fixed order, brought to its size.

    Args:
        model: a classifier of one image input, grey or RGB, of fixed or free size.
        preprocessing: a `Preprocessing` layer; None resizes to the network's input and leaves values from 0 to 255.
        labels: a name for each class; None for those of the images if they are as many, else numbers.
        images: an `Images`, whose labels count where they have the names of the network's.

    Raises:
        ValueError: a network without a fixed size and without preprocessing, or that takes no grey or RGB images.
    """

    def __init__(self, model, preprocessing, labels, images):
        preprocessing = preprocessing or default_preprocessing(model)
        if None in preprocessing.size:
            raise ValueError(f"{model.name} takes images of any size; its figures need one.")
        self.model, self.preprocessing = model, preprocessing
        classes = model.outputs[0].shape[-1]
        if labels is None:
            labels = images.labels if len(images.labels) == classes else range(classes)
        self.labels = [str(label) for label in labels]
        numbers = {name: number for number, name in enumerate(self.labels)}
        self.numbers = np.array([*(numbers.get(name, -1) for name in images.labels), -1])  # -1: not known
        if images.arrays is None or images.arrays[0].shape[1:3] != preprocessing.size:
            images = images.each(lambda image, key: tf.ensure_shape(preprocessing.resize(image[None])[0], self.shape))
        self.images = images

    @property
    def shape(self):
        return (*self.preprocessing.size, self.model.inputs[0].shape[-1])

    @property
    def count(self):
        """The number of images, less those that could not be decoded so far."""
        return len(self.images) - len(self.images.corrupt)

    @functools.cached_property
    def dataset(self):
        """Of all images, made once: that takes TensorFlow about a second."""
        return self.images.batches(max(PIXELS_AT_ONCE // (self.shape[0] * self.shape[1]), 1))

    def batches(self, what):
        """The (pixels, labels) of batches: float32 from 0 to 255 at the network's size, -1 for a label not known."""
        with tqdm(total=self.count, desc=what, unit="image") as bar:
            for pixels, labels in self.dataset:
                yield np.float32(pixels), self.numbers[labels.numpy()]
                bar.update(len(pixels))

    def inputs(self, pixels):
        """What the network takes, of pixels from 0 to 255."""
        return self.preprocessing.normalise(pixels).numpy()

    def pixels(self, inputs):
        """Pixels from 0 to 255 of what the network takes."""
        return inputs / np.float32(self.preprocessing.scale) + self.preprocessing.mean

    def pick(self, numbers):
        """A dict from numbers of images to (pixels, label). No more is read than that takes."""
        wanted, seen, picked = set(np.ravel(numbers).astype(int).tolist()), 0, {}
        if not wanted:
            return picked
        for pixels, labels in self.batches("the chosen images"):
            here = wanted.intersection(range(seen, seen + len(pixels)))
            picked.update((number, (pixels[number - seen], labels[number - seen])) for number in here)
            seen += len(pixels)
            if len(picked) == len(wanted):
                break
        return picked


def default_preprocessing(model):
    """Resizing to the network's input, values from 0 to 255 left as they are."""
    shape = getattr(model, "inputs", None) and model.inputs[0].shape
    if not shape or len(model.inputs) != 1 or len(shape) != 4 or shape[-1] not in (1, 3):
        raise ValueError(f"{model.name} must be built, with one input of grey or RGB images.")
    if None in shape[1:3]:
        raise ValueError(f"{model.name} takes images of any size; only a run's folder says to which to bring them.")
    return Preprocessing(tuple(shape[1:3]))


def find_images(source, channels, data_dir=None):
    """The `Images` of a folder, of `digits`, or of the test part of a TensorFlow Datasets name.

    A folder is searched to any depth; if it has a `train` folder, only in its `test`, `val` or `validation`. An image's
    label is the name of the folder it lies in. Grey, transparent and 16 bit images are brought to `channels` of 8 bits;
    one that cannot be decoded is named and left out.

    Raises:
        ValueError: no such folder or data set, or a folder without images.
    """
    folder = Path(source)
    if folder.is_dir():
        return images_below(folder, channels)
    if source == "digits":
        return digits("test", channels)
    if folder.exists() or folder.parent != Path(".") or folder.is_absolute():
        raise ValueError(f"{source} is no folder of images.")
    return tfds_images(source, "test", data_dir, channels=channels)


def images_below(folder, channels):
    root = folder
    if (folder / "train").is_dir():
        root = next((folder / name for name in ("test", "val", "validation") if (folder / name).is_dir()), folder)
    files = sorted(file for file in root.rglob("*") if file.is_file() and not file.name.startswith("."))
    paths = [file for file in files if file.suffix.lower() in SUFFIXES]
    if not paths:
        raise ValueError(f"{root} has no images; the endings are {', '.join(SUFFIXES)}.")
    if others := [file for file in files if file.suffix.lower() not in SUFFIXES]:
        shown = [str(file.relative_to(root)) for file in others[:NAMED]]
        more = [f"{len(others) - NAMED:,} more"] if len(others) > NAMED else []
        endings = f"their endings are not {', '.join(SUFFIXES)}"
        tqdm.write(f"left out of {root}: {', '.join([*shown, *more])}; {endings}")
    names = sorted({path.parent.name for path in paths})
    labels = [names.index(path.parent.name) for path in paths]

    def records(seed):
        data = tf.data.Dataset.from_tensor_slices((np.arange(len(paths)), [str(path) for path in paths], labels))
        return data.map(lambda index, path, label: (index, path, tf.io.read_file(path), tf.cast(label, tf.int64)))

    description = f"{len(paths):,} images of {root.name}"
    return Images(folder.name, description, names, len(paths), records, channels=channels)
