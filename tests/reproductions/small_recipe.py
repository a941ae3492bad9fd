"""A small recipe with everything that must survive a kill: dropout of both kinds, batch norm, momentum, augmentation.

python -m tests.reproductions.small_recipe
"""

import sys

import keras

from keras_cnns.data import digits
from keras_cnns.data.augmentation import pad_and_crop, random_flip, subtract_mean
from keras_cnns.layers import BatchNormalization, OriginalDropout, Preprocessing
from keras_cnns.training import SGD, step_decay
from reproductions.recipe import Claim, Recipe
from reproductions.runner import main


def recipe(run, filters=8):
    train, test = digits("train"), digits("test").take(100)
    steps = run.steps(40, steps_per_epoch=15)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            keras.layers.Conv2D(filters, 5, strides=4, activation="relu"),
            BatchNormalization(),
            keras.layers.Dropout(0.2),
            keras.layers.Flatten(),
            keras.layers.Dense(32, activation="relu"),
            OriginalDropout(0.5),
            keras.layers.Dense(10, dtype="float32"),
        ],
        name="small",
    )
    return Recipe(
        model=model,
        train=train.take(15 * 64).map(pad_and_crop(2), random_flip, subtract_mean(30.0)),
        test=test.map(subtract_mean(30.0)),
        batch_size=run.batch_size(64),
        steps=steps,
        optimizer=SGD(step_decay(0.01, at=(steps // 2,)), l2=1e-4, undecayed=("bias",)),
        preprocessing=Preprocessing(32, mean=30.0),
        claims=[Claim("test error, %", "top1_error", paper=None, at_most=100.0)],
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
