"""The networks that taught computers to see, 2012 to 2020, each built exactly as its paper prints it, in Keras 3."""

import sys

from keras_cnns.startup import import_tensorflow_quietly

if sys.stderr and sys.argv and (sys.argv[0] == "-m" or sys.argv[0].endswith("keras-cnns")):  # run as a command
    import_tensorflow_quietly()

from keras_cnns.classification import (
    alexnet,
    densenet121,
    densenet161,
    densenet169,
    densenet201,
    densenet264,
    densenet_cifar,
    googlenet,
    overfeat,
    plain18,
    plain34,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnet_cifar,
    vgg,
    vgg11,
    vgg13,
    vgg16,
    vgg19,
    zfnet,
)
from keras_cnns.detection import fast_rcnn, faster_rcnn, mask_rcnn, rcnn, sppnet, sppnet_detector, yolo, yolo_classifier
from keras_cnns.export import export
from keras_cnns.generative import (
    dcgan_discriminator,
    dcgan_generator,
    dissect,
    gan_discriminator,
    gan_generator,
    invert,
)
from keras_cnns.segmentation import deconvnet, fcn8s, fcn16s, fcn32s, segnet, segnet_basic
from keras_cnns.self_supervised import colorization, context_prediction, jigsaw, moco, rotation, simclr
from keras_cnns.version import __version__ as __version__
from keras_cnns.weights import load_keras_applications, load_layers, load_torchvision

__all__ = [
    "alexnet",
    "colorization",
    "context_prediction",
    "dcgan_discriminator",
    "dcgan_generator",
    "deconvnet",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "densenet264",
    "densenet_cifar",
    "dissect",
    "export",
    "fast_rcnn",
    "faster_rcnn",
    "fcn8s",
    "fcn16s",
    "fcn32s",
    "gan_discriminator",
    "gan_generator",
    "googlenet",
    "invert",
    "jigsaw",
    "load_keras_applications",
    "load_layers",
    "load_torchvision",
    "mask_rcnn",
    "moco",
    "overfeat",
    "plain18",
    "plain34",
    "rcnn",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet_cifar",
    "rotation",
    "segnet",
    "segnet_basic",
    "simclr",
    "sppnet",
    "sppnet_detector",
    "vgg",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "yolo",
    "yolo_classifier",
    "zfnet",
]

# Public names that are no networks of their own, or learn something without labels with one that they are given.
FUNCTIONS = ("dissect", "export", "invert", "load_keras_applications", "load_layers", "load_torchvision")
FUNCTIONS += ("colorization", "context_prediction", "jigsaw", "moco", "rotation", "simclr")


def builders() -> list[str]:
    """The names of all builders."""
    return [name for name in __all__ if name not in FUNCTIONS]
