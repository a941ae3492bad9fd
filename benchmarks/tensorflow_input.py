"""Our pipelines, for `benchmarks.input`: images a second, and what a training step waits for them."""

import os
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.serving import serve
from benchmarks.tensorflow_worker import MEAN, our_training
from keras_cnns.data import digits, folder_images
from keras_cnns.data.augmentation import (
    pad_and_crop,
    pca_colour_noise,
    random_area_crop,
    random_crop,
    random_flip,
    random_scaled_crop,
    scaled_centre_crop,
    subtract_mean,
)
from keras_cnns.data.views import simclr_views
from keras_cnns.iteration import distributed

COVARIANCE = np.float32([[4700, 4400, 3900], [4400, 4600, 4400], [3900, 4400, 5200]])  # of ImageNet's colours, about


def build(spec):
    about = {"versions": {"tensorflow": tf.__version__}, "threads": len(os.sched_getaffinity(0))}
    if spec["mode"] == "waiting":
        return training(spec, about)
    batches = iter(pipeline(spec).batches(spec["batch"], shuffle=True, drop_remainder=True, count=10**7))
    return lambda: next(batches), about


def pipeline(spec):
    """The images of one kind of input, in a folder of JPEG files but for CIFAR's."""
    if spec["kind"] == "cifar":
        return digits("train", channels=3).map(pad_and_crop(4), random_flip, subtract_mean(MEAN, 64.0))
    if spec["kind"] == "simclr":
        return digits("train", channels=3).map(simclr_views(32, strength=0.5, blur=False), subtract_mean(MEAN, 64.0))
    images = folder_images(Path(spec["folder"]), "train").jpeg(spec.get("dct", "fast"))
    if spec["kind"] == "inception":
        cut = random_area_crop(224)
        if spec.get("candidate") == "decoded whole":
            cut = lambda image, key: random_area_crop(224)(image, key)
        return images.each(cut).map(random_flip, subtract_mean(MEAN))
    if spec["kind"] == "resnet":
        noise = pca_colour_noise(COVARIANCE)
        return images.each(random_scaled_crop(256, 480, 224)).map(random_flip, subtract_mean(MEAN), noise)
    images = images.each(scaled_centre_crop(256, 256)).map(random_crop(spec["side"]), random_flip, subtract_mean(MEAN))
    return images.map(pca_colour_noise(COVARIANCE)) if spec["mode"] == "waiting" else images


def training(spec, about):
    """The runner's step on batches of the pipeline (and the seconds spent waiting for them), or on one of them."""
    step, _, strategy = our_training(spec)
    batches = pipeline(spec).batches(spec["batch"], shuffle=True, drop_remainder=True, count=10**7)
    batches = iter(distributed(batches, strategy))
    if spec["candidate"] == "repeated":
        batch = next(batches)
        del batches
        return lambda: step(batch), about
    about["waiting"] = 0.0

    def step_on_next():
        start = time.perf_counter()
        batch = next(batches)
        about["waiting"] += time.perf_counter() - start
        step(batch)

    return step_on_next, about


if __name__ == "__main__":
    serve(build)
