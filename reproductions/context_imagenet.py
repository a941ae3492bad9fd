"""Context prediction on ImageNet: Doersch et al., "Unsupervised Visual Representation Learning by Context Prediction",
ICCV 2015, section 3.

    python -m reproductions.context_imagenet --data-dir DIR

Paper: four weeks on a GPU, no number of steps. A non-linear classifier on its conv4 has 45.6 % top-1 accuracy on
ImageNet (Gidaris et al., ICLR 2018, Table 4; random weights 27.1, labels 59.7): that is not measured here.
Needs ImageNet prepared by TensorFlow Datasets (imagenet2012), and a GPU. `--colours project` is the paper's other way
with chromatic aberration. The run keeps the encoder of a patch of 96x96, from a photograph to 4,096 features.
"""

import sys

from keras_cnns import context_prediction
from keras_cnns.data.augmentation import random_pixels_crop
from keras_cnns.data.pretext import NEIGHBOURS, patch_pairs
from keras_cnns.layers import Preprocessing
from keras_cnns.self_supervised.encoder import from_pixels
from keras_cnns.training import SGD
from reproductions.recipe import Recipe
from reproductions.runner import main

REGION = 2 * 96 + 48 + 2 * 7  # pixels a side: room for every pair


def recipe(run, colours="drop"):
    train, test = run.data("imagenet2012", channels=3)
    # "resize the images to between 150K and 450K total pixels, preserving the aspect-ratio"
    cut = random_pixels_crop(150_000, 450_000, REGION)
    train, test = (each.each(cut).task(patch_pairs(colours=colours), NEIGHBOURS) for each in (train, test))
    batch_size = run.batch_size(256, smoke=4)
    steps = run.steps(1_000_000, steps_per_epoch=len(train) // batch_size)
    return Recipe(
        model=context_prediction(),
        train=train,
        test=test,
        batch_size=batch_size,
        test_batch_size=50,
        steps=steps,
        optimizer=SGD(0.025, momentum=0.0),
        preprocessing=Preprocessing(96, shorter_side=96),
        claims=[],
        deviations=[
            "batches of 256 pairs, one from each image, where the release pairs all patches of several grids in 512 "
            "patches; its learning rate of 1e-5 on the sum over some 2,500 pairs is 0.025 on their mean",
            "1,000,000 steps, about as many as the release's README says of the paper's network",
            "no momentum, as the release's default solver; the paper names a high one, .999",
        ],
        exported=lambda model: from_pixels(model.get_layer("patch_trunk"), level=50.0),
        encoder=True,
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
