"""ResNet on CIFAR-10: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.

    python -m reproductions.resnet_cifar10 --depth 20 --data-dir DIR

Paper: 64,000 steps; test error 8.75 (ResNet-20), 7.51 (32), 7.17 (44), 6.97 (56), 6.43 (110), 7.93 % (1202).
"""

import sys

from keras_cnns import resnet_cifar
from keras_cnns.classification.resnet_cifar import preprocessing
from keras_cnns.data.augmentation import pad_and_crop, random_flip, subtract_mean
from keras_cnns.training import SGD, step_decay
from reproductions.recipe import Claim, Recipe
from reproductions.runner import main

TABLE_6 = {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.43, 1202: 7.93}  # test error, %


def recipe(run, depth=20, shortcut="A", residual=True):
    train, test = run.data("cifar10", side=32)
    mean, _ = run.statistics(train)
    batch_size = run.batch_size(128)
    steps = run.steps(64_000, steps_per_epoch=len(train) // batch_size)
    drops = (steps // 2, steps * 3 // 4)  # "divide it by 10 at 32k and 48k iterations"
    # "we use 0.01 to warm up the training until the training error is below 80% (about 400 iterations)": ResNet-110.
    warm_up = (0.01, min(400, drops[0] - 1)) if depth == 110 else None
    paper = TABLE_6.get(depth) if residual and shortcut == "A" else None
    claims = [Claim(f"ResNet-{depth}, CIFAR-10 test error, %", "top1_error", paper, paper + 0.5, "R3")] if paper else []
    return Recipe(
        model=resnet_cifar(depth, shortcut, residual, mean.shape, classes=len(train.labels)),
        train=train.map(pad_and_crop(4), random_flip, subtract_mean(mean)),
        test=test.map(subtract_mean(mean)),  # "the single view of the original 32x32 image"
        batch_size=batch_size,
        steps=steps,
        optimizer=SGD(step_decay(0.1, drops, warm_up=warm_up), momentum=0.9, l2=1e-4),
        preprocessing=preprocessing(mean),
        claims=claims,
        deviations=["trained on all 50,000 training images, as the paper's final networks; no validation split"],
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
