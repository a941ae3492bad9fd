"""The classification line, 2012 to 2017: every builder returns logits `(batch, classes)` in float32."""

from keras_cnns.classification.alexnet import alexnet
from keras_cnns.classification.resnet_cifar import resnet_cifar

__all__ = ["alexnet", "resnet_cifar"]
