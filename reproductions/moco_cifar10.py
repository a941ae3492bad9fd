"""MoCo on CIFAR-10, by its authors' demonstration: He et al., "Momentum Contrast", CVPR 2020.

    python -m reproductions.moco_cifar10 --data-dir DIR

Paper: none of its figures is of CIFAR-10. The release's demonstration has 82.6 % of 200 neighbours' votes after 200
epochs, ResNet-18, batches of 512, a queue of 4,096 (65,536 would hold the data set, and more). Wants a GPU. Groups of
64 images stand for the replicas of the paper, each with batch statistics of its own.
"""

import sys

from keras_cnns import moco
from keras_cnns.data.augmentation import subtract_mean
from keras_cnns.data.views import simclr_views
from keras_cnns.layers import Preprocessing
from keras_cnns.training import SGD
from reproductions.recipe import Claim, Recipe
from reproductions.representation import cosine, encoder_for_32, groups_of, kept, knn_test, memory_of
from reproductions.runner import main

MEAN, DEVIATION = (125.307, 122.961, 113.8575), (51.5865, 50.847, 51.255)  # of the demonstration, times 255


def recipe(run):
    encoder = encoder_for_32(18)
    train, test = run.data("cifar10", side=32)
    batch_size = run.batch_size(512)
    steps_per_epoch = len(train) // batch_size
    steps = run.steps(200 * steps_per_epoch, steps_per_epoch)
    normalise = subtract_mean(MEAN, DEVIATION)
    memory, test = memory_of(run, train).map(normalise), test.map(normalise)
    return Recipe(
        model=moco(
            encoder,
            queue=4_096,
            momentum=0.99,
            temperature=0.1,
            groups=groups_of(batch_size, 64),
            seed=run.seed,
        ),
        train=train.map(simclr_views(32, strength=0.5, blur=False), normalise),  # the demonstration's, too
        test=test,
        batch_size=batch_size,
        steps=steps,
        optimizer=SGD(cosine(0.06 * batch_size / 512, steps), momentum=0.9, l2=5e-4),
        preprocessing=Preprocessing(32, shorter_side=32, mean=MEAN, scale=[1 / each for each in DEVIATION]),
        claims=[Claim("MoCo, ResNet-18 on CIFAR-10, kNN, %", "knn_accuracy", 82.6, id="P3", at_least=82.1)],
        deviations=[
            "m, temperature, rate, decay and views are those of the authors' demonstration on CIFAR-10",
            "neighbours are found by the encoder's 512 features, in the demonstration by its 128 queries",
        ],
        test_figures=knn_test(memory, temperature=0.1),
        **kept(encoder),
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
