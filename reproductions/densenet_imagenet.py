"""DenseNet on ImageNet: Huang et al., "Densely Connected Convolutional Networks", CVPR 2017, section 4.2.

    python -m reproductions.densenet_imagenet --depth 121 --data-dir DIR

Paper: 90 epochs; top-1 error with one crop (ten crops) 25.02 (23.61) for DenseNet-121, 23.80 (22.08) for 169, 22.58
(21.46) for 201, 22.15 % (20.80 %) for 264.
Needs ImageNet prepared by TensorFlow Datasets (imagenet2012), and GPUs.
"""

import sys

import numpy as np

import keras_cnns
from keras_cnns.arguments import check_choice
from keras_cnns.classification.densenet import LAYERS, preprocessing
from keras_cnns.data.augmentation import (
    centre_crop,
    pca_colour_noise,
    photometric_distortion,
    random_area_crop,
    random_flip,
    resize_shorter_side,
    scaled_centre_crop,
    subtract_mean,
    ten_crop,
)
from keras_cnns.evaluation import classification_errors
from keras_cnns.training import SGD, step_decay
from reproductions.imagenet import error_claims
from reproductions.recipe import Recipe
from reproductions.runner import main

# Table 3: top-1 and top-5 error, %, with one crop and with ten. DenseNet-161 is the release's, its figure its readme's.
TABLE_3 = {
    121: ((25.02, 7.71), (23.61, 6.66)),
    161: ((22.2,), ()),
    169: ((23.80, 6.85), (22.08, 5.92)),
    201: ((22.58, 6.34), (21.46, 5.54)),
    264: ((22.15, 6.12), (20.80, 5.29)),
}


def recipe(run, depth=121):
    check_choice("--depth", depth, tuple(LAYERS))
    train, test = run.data("imagenet2012", channels=3)
    mean, covariance = run.statistics(train.each(scaled_centre_crop(256, 224)))
    mean, deviation = mean.mean(axis=(0, 1)), np.sqrt(np.diag(covariance))
    normalise = subtract_mean(mean, deviation)
    batch_size = run.batch_size(256, smoke=4)
    steps_per_epoch = len(train) // batch_size
    steps = run.steps(90 * steps_per_epoch, steps_per_epoch)
    ten = run.final(test).each(resize_shorter_side(256), centre_crop(256)).map(normalise, ten_crop(224))
    one_crop, ten_crops = TABLE_3[depth]
    return Recipe(
        model=getattr(keras_cnns, f"densenet{depth}")(classes=len(train.labels)),
        # The paper takes its preparation of images from the Torch release of ResNet, as its own release does:
        # patches of 8 to 100 % of the area, brightness, contrast and saturation by 0.6 to 1.4, AlexNet's colour noise.
        train=train.each(random_area_crop(224)).map(
            photometric_distortion(0.6, 1.4), pca_colour_noise(covariance), normalise, random_flip
        ),
        test=test.each(resize_shorter_side(256), centre_crop(224)).map(normalise),
        final_tests={"ten_crop": lambda model: classification_errors(model, ten.batches(32))},
        batch_size=batch_size,
        steps=steps,
        # "The learning rate is set to 0.1 initially, and is lowered by 10 times at epoch 30 and 60."
        optimizer=SGD(step_decay(0.1, at=(steps // 3, steps * 2 // 3)), momentum=0.9, nesterov=True, l2=1e-4),
        preprocessing=preprocessing(mean, deviation),
        claims=[
            *error_claims(f"DenseNet-{depth}, one crop", "", one_crop, "D1"),
            *error_claims(f"DenseNet-{depth}, ten crops", "ten_crop", ten_crops, "D1"),
        ],
        deviations=["convolutions start from N(0, 2 / fan_in), the paper's reference; its release has fan_out"],
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
