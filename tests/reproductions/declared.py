"""Recipes as they are declared, on digits in the place of their data sets; tiny networks in the place of their own."""

import functools
import importlib

import keras
import numpy as np

import keras_cnns
from keras_cnns.data import Images
from keras_cnns.data import digits as read_digits
from reproductions import runner

digits = functools.cache(read_digits)
IMAGENET, CIFAR = 1_281_167, 50_000  # training images


def module(script):
    return importlib.import_module(f"reproductions.{script}")


def declared(script, flags, images, monkeypatch, tmp_path, train=None, tests=1000):
    """The recipe of a script on a data set of that many images, of which only some digits are there, or `train`."""
    train = train or digits("train", channels=3)

    def data(run, name, side=None, channels=None, labels=True):
        return train, digits("test", channels=3).take(tests)

    def statistics(run, images):
        shape = images.batches(1).element_spec[0].shape[1:]
        return np.full(shape, 100, "float32"), np.eye(3, dtype="float32") * 3600

    monkeypatch.setattr(Images, "__len__", lambda self: images)
    monkeypatch.setattr(runner.Run, "data", data)
    monkeypatch.setattr(runner.Run, "statistics", statistics)
    recipe = module(script).recipe
    options, parameters = runner.parse(recipe, script, ["--out", str(tmp_path), *flags])
    return recipe(runner.Run(script, options, parameters), **parameters)


def stand_in(script, monkeypatch):
    """Put a tiny network in the place of the script's, where only what surrounds it is looked at."""

    def named(name):
        def network(*arguments, **keywords):
            layers = [keras.layers.Conv2D(4, 32, 32), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)]
            return keras.Sequential([keras.Input((224, 224, 3)), *layers])

        network.__name__ = name
        return network

    for name in ("alexnet", "zfnet", "vgg", "googlenet", "resnet_cifar", "densenet_cifar"):
        monkeypatch.setattr(module(script), name, named(name), raising=False)
    for name in (*(f"resnet{n}" for n in (18, 34, 50, 101, 152)), "plain18", "plain34"):
        monkeypatch.setattr(keras_cnns, name, named(name))
    for depth in (121, 161, 169, 201, 264):
        monkeypatch.setattr(keras_cnns, f"densenet{depth}", named(f"densenet{depth}"))
