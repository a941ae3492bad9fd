"""What the DCGAN scripts share: networks and training of Radford et al., ICLR 2016, section 4."""

import keras

from keras_cnns import dcgan_discriminator, dcgan_generator
from keras_cnns.data.augmentation import subtract_mean
from keras_cnns.layers import Preprocessing
from keras_cnns.training import AdversarialModel
from reproductions.generation import game_test, save_samples
from reproductions.recipe import Recipe

MIDDLE = 127.5  # "scaling to the range of the tanh activation function [-1, 1]"
scaled = subtract_mean(MIDDLE, MIDDLE)


def dcgan_recipe(run, train, test, epochs, size, base_filters, kernel_size, features=None, **more):
    """The `Recipe` of a DCGAN on (train, test) images of `size`, values from 0 to 255.

    features: as in `game_test`; more: of the recipe.
    """
    batch_size = run.batch_size(128)  # "a mini-batch size of 128"
    steps_per_epoch = len(train) // batch_size
    how = {"size": size, "base_filters": base_filters, "kernel_size": kernel_size, "channels": train.channels}
    preprocessing = Preprocessing(size, mean=MIDDLE, scale=1 / MIDDLE)
    # "we found the suggested learning rate of 0.001, to be too high, using 0.0002 instead", beta_1 of 0.5.
    adam = lambda: keras.optimizers.Adam(2e-4, beta_1=0.5)
    return Recipe(
        model=AdversarialModel(dcgan_generator(**how), dcgan_discriminator(**how), seed=run.seed, name="dcgan"),
        train=train.map(scaled),  # "No pre-processing was applied [...] besides"
        test=test.map(scaled),
        batch_size=batch_size,
        steps=run.steps(epochs * steps_per_epoch, steps_per_epoch),
        optimizer=(adam(), adam()),
        preprocessing=preprocessing,
        test_figures=game_test(run, preprocessing, features),
        curve="value",
        examples=save_samples(preprocessing),
        exported=lambda model: model.generator,
        **{"claims": [], **more},
    )
