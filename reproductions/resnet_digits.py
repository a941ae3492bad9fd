"""ResNet-20 on 5,000 handwritten digits: the main job of `make reproduce`.

    python -m reproductions.resnet_digits

Paper: none. The network and training of He et al., CVPR 2016, section 4.2, on real images that come with a dependency:
at most 3 % test error on 1,000 digits is asked. About two minutes on two CPU cores.
"""

import sys

from keras_cnns import resnet_cifar
from keras_cnns.classification.resnet_cifar import preprocessing
from keras_cnns.data import digits
from keras_cnns.data.augmentation import pad_and_crop, subtract_mean
from keras_cnns.training import SGD, step_decay
from reproductions.recipe import Claim, Recipe
from reproductions.runner import main


def recipe(run, depth=20):
    train, test = digits("train"), digits("test")
    mean, _ = run.statistics(train)
    batch_size = run.batch_size(128)
    steps_per_epoch = len(train) // batch_size
    steps = run.steps(20 * steps_per_epoch, steps_per_epoch)
    return Recipe(
        model=resnet_cifar(depth, input_shape=(32, 32, 1), classes=len(train.labels)),
        train=train.map(pad_and_crop(2), subtract_mean(mean)),
        test=test.map(subtract_mean(mean)),
        batch_size=batch_size,
        steps=steps,
        optimizer=SGD(step_decay(0.1, at=(steps // 2, steps * 3 // 4)), momentum=0.9, l2=1e-4),
        preprocessing=preprocessing(mean),
        claims=[Claim("test error on 1,000 digits, %", metric="top1_error", paper=None, at_most=3.0)],
        deviations=[
            f"{steps} steps instead of 64,000, the learning rate divided by 10 at the same fractions of them",
            "no mirroring, since a mirrored digit is another sign; shifted by up to 2 pixels instead of 4",
        ],
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
