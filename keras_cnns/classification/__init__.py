"""The classification line, 2012 to 2017: every builder returns logits `(batch, classes)` in float32."""

from keras_cnns.classification.alexnet import alexnet
from keras_cnns.classification.densenet import (
    densenet121,
    densenet161,
    densenet169,
    densenet201,
    densenet264,
    densenet_cifar,
)
from keras_cnns.classification.googlenet import googlenet
from keras_cnns.classification.overfeat import overfeat
from keras_cnns.classification.resnet import plain18, plain34, resnet18, resnet34, resnet50, resnet101, resnet152
from keras_cnns.classification.resnet_cifar import resnet_cifar
from keras_cnns.classification.vgg import vgg, vgg11, vgg13, vgg16, vgg19
from keras_cnns.classification.zfnet import zfnet

__all__ = [
    "alexnet",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "densenet264",
    "densenet_cifar",
    "googlenet",
    "overfeat",
    "plain18",
    "plain34",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet_cifar",
    "vgg",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "zfnet",
]
