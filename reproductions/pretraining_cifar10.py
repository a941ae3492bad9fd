"""One encoder, ResNet-20, taught on CIFAR-10 in five ways with as much work each, a proxy for P1, P2 and P3.

    python -m reproductions.pretraining_cifar10 --method simclr --data-dir DIR

Paper: none trains this encoder; He et al. (CVPR 2016, ResNet), Gidaris et al. (ICLR 2018, RotNet), Chen et al. (ICML
2020, SimCLR) and He et al. (CVPR 2020, MoCo) are what the five ways follow. `--method` is "random" (weights as they
start, with batch normalisation's statistics), "rotation", "simclr", "moco" or "supervised". As much work: a million
images go through the encoder forwards and backwards. `representations_cifar10` compares what comes of it.
"""

import sys

import numpy as np

from keras_cnns import moco, resnet_cifar, rotation, simclr
from keras_cnns.arguments import check_choice
from keras_cnns.data.augmentation import pad_and_crop, random_flip, subtract_mean
from keras_cnns.data.pretext import ANGLES, rotations
from keras_cnns.data.views import simclr_views
from keras_cnns.layers import Preprocessing
from keras_cnns.self_supervised import encoder_of
from keras_cnns.training import LARS, SGD, step_decay
from reproductions.recipe import Recipe
from reproductions.representation import cosine, groups_of, kept, knn_test, memory_of
from reproductions.runner import main

DEPTH, WORK = 20, 1_000_000  # layers; images that go through the encoder forwards and backwards
# How many times an image of a batch does so, and images a batch.
METHODS = {"random": (1, 128), "rotation": (4, 64), "simclr": (2, 256), "moco": (1, 256), "supervised": (1, 128)}
MEMORY, TESTS = 10_000, 2_500  # images of the test after each epoch


def recipe(run, method="simclr"):
    check_choice("--method", method, tuple(METHODS))
    train, test = run.data("cifar10", side=32)
    mean, covariance = run.statistics(train)
    mean, deviation = mean.mean(axis=(0, 1)), np.sqrt(np.diag(covariance))
    normalise = subtract_mean(mean, deviation)
    memory, test = memory_of(run, train).map(normalise), test.take(TESTS).map(normalise)
    copies, images = METHODS[method]
    batch_size = run.batch_size(images)
    steps_per_epoch = len(train) // batch_size
    steps = run.steps(steps_per_epoch if method == "random" else WORK // (copies * batch_size), steps_per_epoch)

    classifier = resnet_cifar(DEPTH, input_shape=(32, 32, 3), classes=len(train.labels))
    encoder = encoder_of(classifier)
    views = train.map(simclr_views(32, strength=0.5, blur=False), normalise)
    plain = train.map(normalise, pad_and_crop(4), random_flip)
    fields = kept(encoder)
    if method == "simclr":
        fields |= {"model": simclr(encoder, temperature=0.5), "train": views}
        fields["optimizer"] = LARS(cosine(batch_size / 256, steps, steps // 10), l2=1e-6)
    elif method == "moco":
        settings = {"queue": 4_096, "momentum": 0.99, "temperature": 0.1, "groups": groups_of(batch_size, 64)}
        fields |= {"model": moco(encoder, seed=run.seed, **settings), "train": views}
        fields["optimizer"] = SGD(cosine(0.06 * batch_size / 512, steps), momentum=0.9, l2=5e-4)
    else:
        del fields["loss"], fields["metrics"]  # cross-entropy, with its accuracy
        fields |= {"model": classifier, "train": plain}
        # ResNet's section 4.2, and a rate of 0 for weights that stay; then the release of RotNet.
        fields["optimizer"] = SGD(step_decay(0.1 * (method != "random"), at=(steps // 2, steps * 3 // 4)), l2=1e-4)
        if method == "rotation":
            fields |= {"model": rotation(encoder), "train": plain.task(rotations, ANGLES)}
            drops = [steps * drop // 10 for drop in (3, 6, 8)]
            fields["optimizer"] = SGD(step_decay(0.1, drops, factor=0.2), nesterov=True, l2=5e-4)
    return Recipe(
        test=test,
        batch_size=batch_size,
        steps=steps,
        preprocessing=Preprocessing(32, shorter_side=32, mean=mean, scale=(1 / deviation).tolist()),
        claims=[],
        deviations=[
            f"ResNet-{DEPTH} as encoder; {WORK:,} images forwards and backwards, {copies} for each of a batch",
            f"the neighbours after each epoch are of {MEMORY:,} training images, for {TESTS:,} test images",
        ],
        test_figures=knn_test(memory, MEMORY),
        **fields,
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
