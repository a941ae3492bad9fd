"""RotNet on CIFAR-10: Gidaris et al., "Unsupervised Representation Learning by Predicting Image Rotations", ICLR 2018.

    python -m reproductions.rotnet_cifar10 --data-dir DIR
    python -m reproductions.rotnet_cifar10 --initial runs/rotnet_cifar10 --out runs/rotnet_classifier --data-dir DIR

Paper: 200 epochs of telling four rotations apart; then three convolutions and a linear layer on the frozen maps of the
second block classify CIFAR-10 with 8.84 % error (91.16 % accuracy; with labels alone 7.20, frozen random maps 27.5 %).
The first command is the training without labels; the second trains the classifier, on the first one's network.
"""

import sys

import numpy as np

from keras_cnns import rotation
from keras_cnns.data.augmentation import pad_and_crop, random_flip, subtract_mean
from keras_cnns.data.pretext import ANGLES, rotations
from keras_cnns.export import load_source
from keras_cnns.self_supervised.rotation import on_second_block, preprocessing
from keras_cnns.training import SGD, step_decay
from reproductions.recipe import Claim, Recipe
from reproductions.runner import main


def recipe(run, initial=""):
    train, test = run.data("cifar10", side=32)
    mean, covariance = run.statistics(train)
    mean, deviation = mean.mean(axis=(0, 1)), np.sqrt(np.diag(covariance))
    normalise = subtract_mean(mean, deviation)
    train, test = train.map(pad_and_crop(4), random_flip, normalise), test.map(normalise)
    batch_size = run.batch_size(128, smoke=4)
    steps_per_epoch = len(train) // batch_size
    # The release's: the learning rate falls to a fifth three times.
    epochs, drops = (100, (35, 70, 85)) if initial else (200, (60, 120, 160))
    steps = run.steps(epochs * steps_per_epoch, steps_per_epoch)
    rate = step_decay(0.1, at=[steps * drop // epochs for drop in drops], factor=0.2)
    if initial:
        model = on_second_block(load_source(initial)[0], classes=len(train.labels))
        claims = [Claim("RotNet's second block, CIFAR-10 test error, %", "top1_error", 8.84, 9.34, "P1")]
    else:
        model, claims = rotation(), []
        train, test = train.task(rotations, ANGLES), test.task(rotations, ANGLES)
    return Recipe(
        model=model,
        train=train,
        test=test,
        batch_size=batch_size,
        steps=steps,
        optimizer=SGD(rate, momentum=0.9, nesterov=True, l2=5e-4),
        preprocessing=preprocessing(mean, deviation),
        claims=claims,
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
