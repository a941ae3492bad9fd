"""Jigsaw puzzles on ImageNet: Noroozi & Favaro, "Unsupervised Learning of Visual Representations by Solving Jigsaw
Puzzles", ECCV 2016, section 3.

    python -m reproductions.jigsaw_imagenet --data-dir DIR

Paper: 350,000 steps of 256 puzzles of nine tiles. A non-linear classifier on its conv4 has 45.3 % top-1 accuracy on
ImageNet (Gidaris et al., ICLR 2018, Table 4; random weights 27.1, labels 59.7): that is not measured here.
Needs ImageNet prepared by TensorFlow Datasets (imagenet2012), and a GPU: the paper took 2.5 days on one. The run keeps
the encoder of a tile of 64x64, from a photograph to 1,024 features.
"""

import sys

from keras_cnns import jigsaw
from keras_cnns.data.augmentation import random_scaled_crop, scaled_centre_crop
from keras_cnns.data.pretext import jigsaw_puzzles, permutation_set
from keras_cnns.data.views import grey, with_probability
from keras_cnns.layers import Preprocessing
from keras_cnns.self_supervised.encoder import from_pixels
from keras_cnns.training import SGD, step_decay
from reproductions.recipe import Recipe
from reproductions.runner import main


def recipe(run, permutations=1000):
    train, test = run.data("imagenet2012", channels=3)
    task = jigsaw_puzzles(permutation_set(permutations)), range(permutations)
    batch_size = run.batch_size(256, smoke=2)
    steps = run.steps(350_000, steps_per_epoch=len(train) // batch_size)
    drops = [steps * drop // 350 for drop in (100, 200, 300)]  # the release's: a tenth every 100,000 steps
    model = jigsaw(permutations=permutations)
    return Recipe(
        model=model,
        # "a random 225x225 crop" of images whose shorter side is 256; 30 % of them grey, against chromatic aberration
        train=train.each(random_scaled_crop(256, 256, 225)).map(with_probability(0.3, grey)).task(*task),
        test=test.each(scaled_centre_crop(256, 225)).task(*task),
        batch_size=batch_size,
        test_batch_size=50,
        steps=steps,
        optimizer=SGD(step_decay(0.01, at=drops), momentum=0.9, l2=5e-4, undecayed=("bias",), doubled=("bias",)),
        preprocessing=Preprocessing(64, shorter_side=64),
        claims=[],
        deviations=[
            "batch size, learning rates and decay are the release's; its tiles keep their deviation and their colours' "
            "places, are cut from cells of 85 pixels and have 100 permutations",
        ],
        exported=lambda model: from_pixels(model.get_layer("context_free_trunk")),
        encoder=True,
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
