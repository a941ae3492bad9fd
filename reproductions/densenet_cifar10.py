"""DenseNet on CIFAR-10: Huang et al., "Densely Connected Convolutional Networks", CVPR 2017, sections 3 and 4.

    python -m reproductions.densenet_cifar10 --depth 40 --growth-rate 12 --data-dir DIR

Paper: 300 epochs; test error with augmentation 5.24 (depth 40, growth rate 12), 4.10 (100, 12), 3.74 (100, 24); with
`--bottleneck`, DenseNet-BC, 4.51 (100, 12), 3.62 (250, 24), 3.46 % (190, 40). `--no-augment` is the paper's C10: no
augmentation, dropout of 0.2; 7.00 % for (40, 12).
"""

import sys

import numpy as np

from keras_cnns import densenet_cifar
from keras_cnns.classification.densenet import preprocessing
from keras_cnns.data.augmentation import pad_and_crop, random_flip, subtract_mean
from keras_cnns.training import SGD, step_decay
from reproductions.recipe import Claim, Recipe
from reproductions.runner import main

# Table 2: (depth, growth rate, bottleneck): test error, %, on C10 and on C10+.
TABLE_2 = {
    (40, 12, False): (7.00, 5.24),
    (100, 12, False): (5.77, 4.10),
    (100, 24, False): (5.83, 3.74),
    (100, 12, True): (5.92, 4.51),
    (250, 24, True): (5.19, 3.62),
    (190, 40, True): (None, 3.46),
}


def recipe(run, depth=40, growth_rate=12, bottleneck=False, augment=True):
    train, test = run.data("cifar10", side=32)
    mean, covariance = run.statistics(train)
    side = mean.shape[0]
    # "we normalize the data using the channel means and standard deviations"
    mean, deviation = mean.mean(axis=(0, 1)), np.sqrt(np.diag(covariance))
    normalise = subtract_mean(mean, deviation)
    batch_size = run.batch_size(64)
    steps_per_epoch = len(train) // batch_size
    steps = run.steps(300 * steps_per_epoch, steps_per_epoch)
    bc = {"bottleneck": True, "compression": 0.5, "initial_filters": 2 * growth_rate} if bottleneck else {}
    paper = TABLE_2.get((depth, growth_rate, bottleneck), (None, None))[augment]
    name = f"DenseNet{'-BC' if bottleneck else ''} ({depth}, {growth_rate}), C10{'+' if augment else ''} test error, %"
    return Recipe(
        model=densenet_cifar(depth, growth_rate, **bc, dropout=0.0 if augment else 0.2, classes=len(train.labels)),
        train=train.map(normalise, pad_and_crop(4), random_flip) if augment else train.map(normalise),
        test=test.map(normalise),
        batch_size=batch_size,
        steps=steps,
        # "0.1, and is divided by 10 at 50% and 75% of the total number of training epochs"
        optimizer=SGD(step_decay(0.1, at=(steps // 2, steps * 3 // 4)), momentum=0.9, nesterov=True, l2=1e-4),
        preprocessing=preprocessing(mean, deviation, size=side),
        claims=[Claim(name, "top1_error", paper, paper + 0.5, "D1")] if paper else [],
        deviations=["convolutions start from N(0, 2 / fan_in), the paper's reference; its release has fan_out"],
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
