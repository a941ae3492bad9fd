"""GoogLeNet in small on CIFAR-10: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, sections 4 to 6.

    python -m reproductions.googlenet_cifar10 --data-dir DIR --no-auxiliary-heads

Paper: auxiliary heads in the middle, whose losses weigh 0.3, "combat the vanishing gradient problem while providing
regularization"; no figure without them is printed. Here on images scaled to 64x64 pixels, with a quarter of the
filters and a stem with one pooling less, so that 3a has 16x16 pixels. `--without 5x5` leaves that branch out of all
nine modules.
"""

import sys

import keras
import tensorflow as tf

from keras_cnns.arguments import check_choice
from keras_cnns.classification.googlenet import (
    AUXILIARY_LOSS_WEIGHT,
    INCEPTION,
    auxiliary_head,
    classifier,
    conv,
    normalise,
)
from keras_cnns.data.augmentation import pad_and_crop, random_flip, subtract_mean
from keras_cnns.layers import Preprocessing
from keras_cnns.layers.ceil_pooling import ceil_max_pooling
from keras_cnns.training import SGD, step_decay
from reproductions.recipe import Recipe
from reproductions.runner import main

SIDE, NARROWER = 64, 4
BRANCHES = ("1x1", "3x3", "5x5", "pool")


def small_googlenet(classes, auxiliary_heads=True, without="", channels=3):
    """Return the network: logits `(batch, classes)` in float32, in a list with the auxiliary heads' if it has them."""
    auxiliary = []
    image = x = keras.Input((SIDE, SIDE, channels), name="image")
    x = conv(x, 64 // NARROWER, 7, "conv1_7x7_s2", strides=2)  # 32x32x16
    x = normalise(ceil_max_pooling(x, "pool1_3x3_s2"), "pool1_norm1")  # 16x16x16
    x = conv(x, 64 // NARROWER, 1, "conv2_3x3_reduce")
    x = normalise(conv(x, 192 // NARROWER, 3, "conv2_3x3"), "conv2_norm2")  # 16x16x48; the paper pools once more
    for block, row in INCEPTION.items():
        x = inception(x, *(filters // NARROWER for filters in row), f"inception_{block}", without)
        if block in ("3b", "4e"):
            x = ceil_max_pooling(x, f"pool{block[0]}_3x3_s2")  # 8x8x120, 4x4x208
        if block in ("4a", "4d") and auxiliary_heads:
            auxiliary.append(auxiliary_head(x, classes, f"loss{len(auxiliary) + 1}"))
    x = keras.layers.GlobalAveragePooling2D(name="pool5")(x)
    logits = classifier(keras.layers.Dropout(0.4, name="drop")(x), classes, "loss3_classifier")
    return keras.Model(image, [logits, *auxiliary] if auxiliary_heads else logits, name="small_googlenet")


def inception(x, conv1, reduce3, conv3, reduce5, conv5, projection, name, without):
    """The module of Fig. 2b, or what is left of it without one of its branches."""
    branches = {
        "1x1": lambda: conv(x, conv1, 1, f"{name}_1x1"),
        "3x3": lambda: conv(conv(x, reduce3, 1, f"{name}_3x3_reduce"), conv3, 3, f"{name}_3x3"),
        "5x5": lambda: conv(conv(x, reduce5, 1, f"{name}_5x5_reduce"), conv5, 5, f"{name}_5x5"),
        "pool": lambda: conv(
            keras.layers.MaxPooling2D(3, 1, "same", name=f"{name}_pool")(x), projection, 1, f"{name}_pool_proj"
        ),
    }
    return keras.layers.Concatenate(name=f"{name}_output")(
        [make() for each, make in branches.items() if each != without]
    )


def enlarged(images, keys):
    return tf.image.resize(images, (SIDE, SIDE))


def recipe(run, auxiliary_heads=True, without=""):
    check_choice("--without", without, ("", *BRANCHES))
    train, test = run.data("cifar10", side=32)
    mean, _ = run.statistics(train)
    mean = mean.mean(axis=(0, 1))  # of each colour, as in the paper
    batch_size = run.batch_size(32)
    steps_per_epoch = len(train) // batch_size
    steps = run.steps(30 * steps_per_epoch, steps_per_epoch)
    heads = [AUXILIARY_LOSS_WEIGHT] * 2
    return Recipe(
        model=small_googlenet(len(train.labels), auxiliary_heads, without, len(mean)),
        loss_weights=[1.0, *heads] if auxiliary_heads else None,
        train=train.map(pad_and_crop(4), random_flip, subtract_mean(mean), enlarged),
        test=test.map(subtract_mean(mean), enlarged),
        batch_size=batch_size,
        steps=steps,
        optimizer=SGD(step_decay(0.01, at=(steps // 2, steps * 3 // 4)), momentum=0.9, l2=2e-4, undecayed=("bias",)),
        preprocessing=Preprocessing(SIDE, mean=mean),
        claims=[],
        deviations=[
            f"a {NARROWER}th of the filters but for the auxiliary heads', a pooling less in the stem",
            f"images of CIFAR-10, scaled to {SIDE}x{SIDE} pixels and augmented as CIFAR-10's are",
            "a rate that drops twice by 10 in place of 4 % every 8 epochs",
        ],
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
