"""GoogLeNet on ImageNet: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, sections 5, 6 and 7.

    python -m reproductions.googlenet_imagenet --data-dir DIR

Paper: top-5 error on the validation images of one network 10.07 % (one crop), 9.15 % (10 crops), 7.89 % (144 crops).
Needs ImageNet prepared by TensorFlow Datasets (imagenet2012), and GPUs: by the paper "a few high-end GPUs" and a week.
"""

import sys

import keras

from keras_cnns import googlenet
from keras_cnns.classification.googlenet import AUXILIARY_LOSS_WEIGHT, preprocessing
from keras_cnns.data.augmentation import (
    centre_crop,
    crops_of_squares,
    photometric_distortion,
    random_area_crop,
    random_flip,
    resize_shorter_side,
    scaled_centre_crop,
    subtract_mean,
    ten_crop,
)
from keras_cnns.evaluation import classification_errors
from keras_cnns.training import SGD
from reproductions.recipe import Claim, Recipe
from reproductions.runner import main


def recipe(run):
    train, test = run.data("imagenet2012", channels=3)
    mean, _ = run.statistics(train.each(scaled_centre_crop(256, 224)))
    mean = mean.mean(axis=(0, 1))  # "RGB color channels with mean subtraction"
    batch_size = run.batch_size(32, smoke=8)
    steps_per_epoch = len(train) // batch_size
    steps = run.steps(250 * steps_per_epoch, steps_per_epoch)
    # "decreasing the learning rate by 4% every 8 epochs"
    rate = keras.optimizers.schedules.ExponentialDecay(0.01, max(steps * 8 // 250, 1), 0.96, staircase=True)
    averaged_steps = min(10_000, max(steps // 4, 1))
    ten = run.final(test).each(resize_shorter_side(256), centre_crop(256)).map(subtract_mean(mean), ten_crop(224))
    many = run.final(test).each(crops_of_squares(224, scales=(256, 288, 320, 352))).map(subtract_mean(mean))

    def claim(crops, metric, paper):
        return Claim(f"one GoogLeNet, {crops}, top-5 error on val, %", metric, paper, at_most=paper + 0.5, id="G1")

    return Recipe(
        model=googlenet(classes=len(train.labels)),
        loss_weights=[1.0, AUXILIARY_LOSS_WEIGHT, AUXILIARY_LOSS_WEIGHT],
        # "patches of the image whose size is distributed evenly between 8% and 100% of the image area", "the
        # photometric distortions by Andrew Howard"
        train=train.each(random_area_crop(224)).map(random_flip, photometric_distortion(), subtract_mean(mean)),
        test=test.each(resize_shorter_side(256), centre_crop(224)).map(subtract_mean(mean)),
        final_tests={
            "10_crops": lambda model: classification_errors(model, ten.batches(32)),
            "144_crops": lambda model: classification_errors(model, many.batches(2)),
        },
        batch_size=batch_size,
        steps=steps,
        # "Polyak averaging was used to create the final model used at inference time": over the last 10,000 steps or so
        optimizer=SGD(
            rate, momentum=0.9, l2=2e-4, undecayed=("bias",), use_ema=True, ema_momentum=1 - 1 / averaged_steps
        ),
        preprocessing=preprocessing(mean),
        claims=[
            claim("1 crop", "top5_error", 10.07),
            claim("10 crops", "10_crops_top5_error", 9.15),
            claim("144 crops", "144_crops_top5_error", 7.89),
        ],
        deviations=[
            "the paper prints no batch size, first learning rate, weight decay or length: 32, 0.01, 2e-4 without "
            "biases and 250 epochs are of Caffe's release",
            "synchronous SGD, not asynchronous",
            "the averaged weights are an exponential moving average; the paper prints no constants",
            "bilinear, antialiased resizing; the paper came to use several methods at random",
        ],
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
