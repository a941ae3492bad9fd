"""DCGAN on Fashion-MNIST at 32 pixels, by the training of Radford et al., ICLR 2016, section 4.

    python -m reproductions.dcgan_fashion_mnist --data-dir DIR

Paper: none has this data set. The networks of the authors' Torch release (64 filters, 4x4), one layer less than at 64
pixels. `--classifier` is a run on the same images, as that of `resnet_cifar10 --dataset fashion_mnist`, or Keras's
InceptionV3 weights: the Fréchet distance in its last features is then told after each epoch.
"""

import sys

from reproductions.dcgan import dcgan_recipe
from reproductions.generation import features_of, fitted
from reproductions.runner import main

EPOCHS = 25


def recipe(run, base_filters=64, kernel_size=4, classifier=""):
    train, test = (each.map(fitted(32)) for each in run.data("fashion_mnist", side=32))
    features = features_of(classifier, crop=28)  # without the black around the images
    deviations = ["28x28 pixels with black around them, grey", f"{EPOCHS} epochs; the paper trained for 5 of 3 million"]
    return dcgan_recipe(run, train, test, EPOCHS, 32, base_filters, kernel_size, features, deviations=deviations)


if __name__ == "__main__":
    sys.exit(main(recipe))
