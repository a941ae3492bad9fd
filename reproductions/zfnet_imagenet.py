"""ZFNet on ImageNet: Zeiler & Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 3.

    python -m reproductions.zfnet_imagenet --data-dir DIR

Paper: 70 epochs; top-1 error 38.4 %, top-5 16.5 % on the validation images of ILSVRC-2012 (one network, Table 2).
Needs ImageNet prepared by TensorFlow Datasets (imagenet2012), and a GPU: the paper took twelve days on one.
"""

import sys

from keras_cnns import zfnet
from keras_cnns.classification.zfnet import preprocessing
from keras_cnns.data.augmentation import (
    centre_crop,
    random_flip,
    random_sub_crop,
    resize_shorter_side,
    scaled_centre_crop,
    subtract_mean,
    ten_crop,
)
from keras_cnns.training import SGD, limit_filters, plateaus, step_decay
from reproductions.recipe import Claim, Recipe
from reproductions.runner import main


def recipe(run):
    train, test = run.data("imagenet2012", channels=3)
    # "resizing the smallest dimension to 256, cropping the center 256x256 region, subtracting the per-pixel mean"
    train, test = train.each(scaled_centre_crop(256, 256)), test.each(resize_shorter_side(256), centre_crop(256))
    mean, _ = run.statistics(train)
    batch_size = run.batch_size(128)
    steps_per_epoch = len(train) // batch_size
    steps = run.steps(70 * steps_per_epoch, steps_per_epoch)
    model = zfnet(classes=len(train.labels))
    # "we renormalize each filter in the convolutional layers whose RMS value exceeds a fixed radius of 10^-1"
    limit_filters(model, 0.1)
    return Recipe(
        model=model,
        # "10 different sub-crops of size 224x224 (corners + center with(out) horizontal flips)"
        train=train.map(subtract_mean(mean), random_sub_crop(224), random_flip),
        test=test.map(subtract_mean(mean), ten_crop(224)),
        batch_size=batch_size,
        test_batch_size=32,
        steps=steps,
        optimizer=SGD(step_decay(0.01, at=plateaus(steps)), momentum=0.9),
        preprocessing=preprocessing(centre_crop(224)(mean, None)),
        claims=[
            Claim("one ZFNet, top-1 error on ILSVRC-2012 val, %", "top1_error", 38.4, at_most=38.9, id="Z1"),
            Claim("one ZFNet, top-5 error on ILSVRC-2012 val, %", "top5_error", 16.5, at_most=17.0, id="Z1"),
        ],
        deviations=[
            "the learning rate, in the paper annealed by hand, drops at the same shares of the training as AlexNet's",
            "tested on AlexNet's ten crops; the paper does not say on what",
        ],
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
