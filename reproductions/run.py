"""The flags of a run, as a person gives them and as a recipe asks for them."""

import argparse
import contextlib
import functools
import inspect
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import tensorflow as tf

from keras_cnns.data import (
    coco_instances,
    digit_boxes,
    digit_instances,
    digit_masks,
    digits,
    folder_images,
    joined,
    mask_folders,
    statistics,
    tfds_boxes,
    tfds_images,
    tfds_instances,
    voc_boxes,
)
from keras_cnns.data.augmentation import centre_crop, resize_shorter_side
from keras_cnns.data.sources import is_jpeg_copy
from keras_cnns.files import whole
from keras_cnns.training import is_chief

SMOKE_STEPS, SMOKE_BATCH, SMOKE_TESTS, SMOKE_FINAL_TESTS, SMOKE_MASKS = 24, 16, 64, 4, 400
COCO_SPLITS = "train", "val"
PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
# What makes a run this run: it must be the same when the run is resumed.
DECISIVE = (
    "dataset",
    "seed",
    "steps",
    "epochs",
    "batch_size",
    "accumulate",
    "precision",
    "replicas",
    "synchronized",
    "smoke",
)


def parse(recipe, script, arguments=None):
    """The shared flags and the recipe's own: the options, and the recipe's parameters as a dict."""
    documentation = inspect.getmodule(recipe).__doc__
    parser = argparse.ArgumentParser(
        f"python -m reproductions.{script}", description=documentation, formatter_class=argparse.RawTextHelpFormatter
    )
    add, length = parser.add_argument, parser.add_mutually_exclusive_group().add_argument
    add("--dataset", help="another: a folder of images by class or with masks, `digits`, or TensorFlow Datasets' name")
    add("--data-dir", help="where TensorFlow Datasets keeps its prepared data, or the folder of other data sets")
    add("--out", type=Path, help="the run's folder (default: runs/ and the script's name)")
    add("--resume", action="store_true", help="go on with the run in that folder")
    add("--seed", type=int, default=0)
    length("--steps", type=int, help="training steps; schedules are scaled to them")
    length("--epochs", type=int, help="the same in epochs")
    add("--batch-size", type=int, help="images a step, over all replicas")
    add("--accumulate", type=int, default=1, help="micro-batches that a replica cuts its part of a batch into")
    add("--recompute", action="store_true", help="compute most activations twice instead of keeping them")
    add("--precision", choices=PRECISIONS, default="float32", help="of the network's arithmetic; weights are float32")
    add("--replicas", type=int, help="devices to use (default: every GPU, or one CPU)")
    add("--synchronized", action="store_true", help="batch statistics of all replicas together (papers: of each)")
    add("--checkpoint-steps", type=int, help="steps between checkpoints (default: an epoch)")
    add("--keep-checkpoints", type=int, default=2, help="checkpoints kept; Fig. 4 of `visualize` is made from them")
    add("--smoke", action="store_true", help="about a minute on real images that need no download; decides nothing")
    add("--strict", action="store_true", help="a corrupt image is an error, not left out")
    own = [each for each in inspect.signature(recipe).parameters.values() if each.default is not each.empty]
    for each in own:
        switch = isinstance(each.default, bool)
        kind = {"action": argparse.BooleanOptionalAction} if switch else {"type": type(each.default)}
        add(f"--{each.name.replace('_', '-')}", default=each.default, help=f"(default: {each.default})", **kind)
    options = parser.parse_args(arguments)
    for name, least in {
        "seed": 0,
        "steps": 1,
        "epochs": 1,
        "batch_size": 1,
        "replicas": 1,
        "checkpoint_steps": 1,
        "keep_checkpoints": 1,
        "accumulate": 1,
    }.items():
        value = getattr(options, name)
        if value is not None and value < least:
            parser.error(f"--{name.replace('_', '-')} is {value}; it must be at least {least}")
    if options.smoke and options.dataset:
        parser.error("--smoke has its own images; --dataset would not be used")
    return options, {each.name: getattr(options, each.name) for each in own}


def folder_of(name, data_dir):
    """The folder of a data set that is no TensorFlow Datasets set: `name` in --data-dir, or --data-dir itself."""
    if data_dir is None:
        raise ValueError(f"--data-dir must name the folder of {name}, or the one that it lies in.")
    inside = Path(data_dir, name)
    return inside if inside.is_dir() else Path(data_dir)


class Run:
    """The flags of one run, as a recipe asks for them. `departures` grows by what they change of the recipe."""

    def __init__(self, script, options, parameters):
        self.script, self.options, self.parameters = script, options, parameters
        self.seed, self.smoke = options.seed, options.smoke
        self.out = options.out or Path("runs", script + ("-smoke" if options.smoke else ""))
        self.departures = []
        self.asked_for_data = False

    def data(self, name, side=None, channels=None, labels=True):
        """The (train, test) images: of `name` in TensorFlow Datasets, or of --dataset, or the digits in a smoke run.

        --dataset may be `digits`, all of those that need no download.

        side: what images that are not all of one size are brought to: this shorter side, and the square in its middle.
        channels: of the images, 1 or 3; by default the data set's.
        labels: whether the images must have classes.
        """
        self.asked_for_data, options = True, self.options
        if self.smoke:
            return digits("train", channels or 3), digits("test", channels or 3).take(SMOKE_TESTS)
        if options.dataset:
            self.departures.append(f"data set {options.dataset} instead of {name}")
            name = options.dataset
        flags = (options.data_dir, options.strict, channels, labels)
        if name == "digits":
            both = [digits(split, channels or 1) for split in ("train", "test")]
        elif options.dataset and Path(name).is_dir():
            both = [folder_images(name, split, options.strict) for split in ("train", "test")]
        else:
            both = [tfds_images(name, split, *flags) for split in ("train", "test")]
            self.departures += [f"a JPEG copy of {name}"] * is_jpeg_copy(name, options.data_dir)
        if side and any(images.arrays is None for images in both):
            return [images.each(resize_shorter_side(side), centre_crop(side)).in_memory() for images in both]
        return both

    def masks(self, name, read):
        """The (train, test) images with masks: of `read(folder, split, strict)`, or digits in a smoke run.

        The folder is `name` in --data-dir, or --data-dir itself; or --dataset, of images and masks (`mask_folders`).
        """
        self.asked_for_data, options = True, self.options
        if self.smoke:
            return digit_masks("train").take(SMOKE_MASKS), digit_masks("test").take(SMOKE_TESTS)
        if options.dataset:
            self.departures.append(f"data set {Path(options.dataset).name} instead of {name}")
            return [mask_folders(options.dataset, split, strict=options.strict) for split in ("train", "test")]
        folder = folder_of(name, options.data_dir)
        return [read(folder, split, options.strict) for split in ("train", "test")]

    def boxes(self, train, test):
        """The (train, test) images with objects: of these sets of Pascal VOC in TensorFlow Datasets, or pages of digits
        in a smoke run.

        train, test: the sets whose train and val images, and whose test images. --data-dir may be a folder in VOC's
            layout, --dataset one too or the name of another set with VOC's splits.
        """
        self.asked_for_data, options = True, self.options
        if self.smoke:
            return digit_boxes("train"), digit_boxes("test").take(SMOKE_TESTS)
        for folder in filter(None, (options.dataset, options.data_dir)):
            if (Path(folder) / "ImageSets/Main").is_dir():
                if Path(folder).name != "VOC2007":
                    self.departures.append(f"data set {Path(folder).name} instead of VOC")
                return [voc_boxes(folder, split, strict=options.strict) for split in ("train", "test")]
        if options.dataset:
            self.departures.append(f"data set {options.dataset} instead of VOC")
            train = test = (options.dataset,)
        train, test = (
            [tfds_boxes(name, split, options.data_dir, options.strict) for name in names]
            for names, split in ((train, "train+validation"), (test, "test"))
        )
        return functools.reduce(joined, train), functools.reduce(joined, test)

    def instances(self, name):
        """The (train, test) images with objects and their masks: of this set of TensorFlow Datasets, or pages of digits
        in a smoke run.

        --data-dir may be COCO's folder, with `annotations/instances_train2017.json`, `train2017` and the like of val,
            or one with `instances_train.json`, `train` and the like; --dataset too, or the name of another set.
        """
        self.asked_for_data, options = True, self.options
        if self.smoke:
            return digit_instances("train"), digit_instances("test").take(SMOKE_TESTS)
        for folder in filter(None, (options.dataset, options.data_dir)):
            for file, part in (("annotations/instances_{}2017.json", "{}2017"), ("instances_{}.json", "{}")):
                if (Path(folder) / file.format("train")).is_file():
                    if "2017" not in part:
                        self.departures.append(f"data set {Path(folder).name} instead of COCO")
                    places = [
                        (Path(folder, file.format(each)), Path(folder, part.format(each))) for each in COCO_SPLITS
                    ]
                    return [coco_instances(*each, options.strict) for each in places]
        if options.dataset:
            self.departures.append(f"data set {options.dataset} instead of COCO")
        name = options.dataset or name
        return [tfds_instances(name, split, options.data_dir, options.strict) for split in ("train", "validation")]

    def statistics(self, images):
        """The mean image and the covariance of a training set's colours, kept in the run's folder."""
        file = self.out / "statistics.npz"
        none_or_damaged = (OSError, ValueError, LookupError, EOFError, BadZipFile)
        with contextlib.suppress(*none_or_damaged), np.load(file) as saved:
            if str(saved["images"]) == images.description:
                return saved["mean"], saved["covariance"]
        mean, covariance = statistics(images)
        if is_chief(tf.distribute.get_strategy()):
            with whole(file) as part:
                np.savez(part, mean=mean, covariance=covariance, images=images.description)
        return mean, covariance

    def final(self, images):
        """The images of a test that takes long, such as many crops of each: a few of them in a smoke run."""
        return images.take(SMOKE_FINAL_TESTS) if self.smoke else images

    def batch_size(self, paper, smoke=SMOKE_BATCH):
        """The global batch: the paper's, unless --batch-size says another."""
        batch_size = self.options.batch_size or (min(paper, smoke) if self.smoke else paper)
        return self._noted("images a batch", paper, batch_size)

    def steps(self, paper, steps_per_epoch):
        """Training steps: the paper's, unless --steps or --epochs says others."""
        steps = (self.options.epochs or 0) * steps_per_epoch or self.options.steps
        return self._noted("steps, schedule scaled,", paper, steps or (SMOKE_STEPS if self.smoke else paper))

    def _noted(self, what, paper, ours):
        if ours != paper:
            self.departures.append(f"{ours:,} {what} instead of {paper:,}")
        return ours

    def arguments(self):
        """The flags that must be the same when the run is resumed; not those that name a folder of this machine."""
        own = {name: value for name, value in self.parameters.items() if not name.endswith("_dir")}
        return {**own, **{name: getattr(self.options, name) for name in DECISIVE}}

    def within(self, path):
        """A file of the data set by its place in --data-dir or --dataset."""
        for folder in filter(None, (self.options.dataset, self.options.data_dir)):
            path = path.removeprefix(f"{folder}/")
        return path
