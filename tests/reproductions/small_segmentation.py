"""A small recipe for a network that labels every pixel: void in its masks, unpooling, batch normalisation.

python -m tests.reproductions.small_segmentation
"""

import sys

import keras

from keras_cnns.data import digit_masks, median_frequency_weights
from keras_cnns.data.augmentation import random_flip, subtract_mean
from keras_cnns.data.segmentation import both, image_alone, resize_both
from keras_cnns.layers import BatchNormalization, MaxPoolingWithIndices, MaxUnpooling, Preprocessing
from keras_cnns.losses import PixelCrossEntropy
from keras_cnns.training import SGD
from reproductions.recipe import Recipe
from reproductions.runner import main
from reproductions.segmentation import boundary_test, labelling, score_claims


def recipe(run, filters=8):
    train, test = digit_masks("train").take(8 * 32), digit_masks("test").take(25)
    train, test = (images.each(resize_both(24, 24)).in_memory() for images in (train, test))
    steps = run.steps(12, steps_per_epoch=8)
    image = keras.Input((24, 24, 3))
    before = keras.layers.Conv2D(filters, 5, padding="same")(image)
    x, indices = MaxPoolingWithIndices(2)(keras.layers.ReLU()(BatchNormalization(momentum=0.5)(before)))
    x = keras.layers.Conv2D(filters, 5, padding="same", activation="relu")(x)
    x = MaxUnpooling(2)(x, indices)
    logits = keras.layers.Conv2D(len(train.labels), 3, padding="same", dtype="float32")(x)
    prepare = image_alone(subtract_mean(50.0, 60.0))
    return Recipe(
        model=keras.Model(image, logits, name="small_segmentation"),
        train=train.map(both(random_flip), prepare),
        test=test.map(prepare),
        batch_size=run.batch_size(32),
        steps=steps,
        optimizer=SGD(0.1, l2=1e-4),
        loss=PixelCrossEntropy(median_frequency_weights(train)),
        preprocessing=Preprocessing(24, mean=50.0, scale=1 / 60),
        test_batch_size=8,
        final_tests={"boundary": boundary_test(test.map(prepare))},
        claims=score_claims("small", {"mean_iu": 0.4}, "S0")
        + score_claims("small", {"boundary_f1": 99.0}, "S0", "boundary"),
        **labelling(train.labels),
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
