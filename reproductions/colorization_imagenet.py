"""Colorization of ImageNet: Zhang et al., "Colorful Image Colorization", ECCV 2016.

    python -m reproductions.colorization_imagenet --data-dir DIR

Paper: people took its colours for the true ones 32 % of the time. A non-linear classifier on conv4 of its AlexNet has
40.7 % top-1 accuracy on ImageNet (Gidaris et al., ICLR 2018, Table 4; random weights 27.1, labels 59.7). Neither is
measured here: the record has the raw accuracy of section 3.1, and `test_images/examples.png` shows the colours.
Needs ImageNet prepared by TensorFlow Datasets (imagenet2012), and a GPU. `--no-rebalance` weighs all colours alike. The
run keeps the encoder, from a photograph to 256 features.
"""

import sys

import numpy as np

from keras_cnns import colorization
from keras_cnns.data.augmentation import pca_colour_noise, random_flip, random_scaled_crop, scaled_centre_crop
from keras_cnns.data.pretext import count_colours, lightness_and_colours
from keras_cnns.evaluation import colour_scores
from keras_cnns.layers import Preprocessing
from keras_cnns.losses import ColourCrossEntropy, rebalancing_weights
from keras_cnns.self_supervised.colorization import colorization_encoder, colorization_trunk
from keras_cnns.training import Adam, step_decay
from reproductions.pictures import save_colours
from reproductions.recipe import Recipe
from reproductions.runner import main

SIDE = 176
COUNTED = 10_000  # training images whose colours are counted


def recipe(run, rebalance=True):
    train, test = run.data("imagenet2012", channels=3)
    if run.smoke:  # digits have no colours
        train, test = (each.map(pca_colour_noise(3600 * np.eye(3))) for each in (train, test))
    train = train.each(random_scaled_crop(256, 256, SIDE)).map(random_flip)
    test = test.each(scaled_centre_crop(256, SIDE))
    task = lightness_and_colours(), range(313)
    counts = count_colours(train.task(*task).batches(50).take((64 if run.smoke else COUNTED) // 50))
    batch_size = run.batch_size(40, smoke=2)
    steps = run.steps(500_000, steps_per_epoch=len(train) // batch_size)
    drops = [steps * drop // 500 for drop in (225, 450)]  # the release's
    model = colorization(colorization_trunk((SIDE, SIDE, 1)))
    return Recipe(
        model=model,
        train=train.task(*task),
        test=test.task(*task),
        batch_size=batch_size,
        test_batch_size=20,
        steps=steps,
        optimizer=Adam(step_decay(3e-5, at=drops), beta_2=0.99, l2=1e-3),
        preprocessing=Preprocessing(SIDE, shorter_side=256),
        claims=[],
        deviations=[
            f"the colours of {COUNTED:,} training images are counted for the weights; the paper's of all",
            "weights start from N(0, 2 / fan_in); the release's were scaled by the data",
            "batch size, steps, learning rates and decay are the release's",
        ],
        loss=ColourCrossEntropy(rebalancing_weights(counts) if rebalance else None),
        metrics=[],
        test_figures=colour_scores,
        curve="auc",
        examples=lambda encoder, images, folder: save_colours(model, test, folder),
        exported=colorization_encoder,
        encoder=True,
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
