"""GAN on MNIST: Goodfellow et al., "Generative Adversarial Nets", NIPS 2014, section 5.

    python -m reproductions.gan_mnist --data-dir DIR

Paper: log-likelihood by a Parzen window on samples 225 +- 2 nats a test image (Table 1). Without MNIST, `--dataset
digits` has 5,000 of its digits.
"""

import sys

import numpy as np
from keras.optimizers.schedules import ExponentialDecay, PolynomialDecay

from keras_cnns import gan_discriminator, gan_generator
from keras_cnns.data.augmentation import subtract_mean
from keras_cnns.evaluation import parzen_estimate
from keras_cnns.generative import random_latents
from keras_cnns.layers import Preprocessing
from keras_cnns.training import SGD, AdversarialModel
from reproductions.generation import TESTED, fitted, game_test, save_samples
from reproductions.recipe import Claim, Recipe
from reproductions.runner import main

STEPS = 250 * 500  # of the generator: epochs of 50,000 images
SAMPLES, VALIDATION = 10_000, 1_000


def recipe(run, k=1):
    train, test = run.data("mnist", side=28, channels=1)
    if train.channels != 1:
        raise ValueError(f"{train.name} has {train.channels} channels; the networks are of grey images.")
    count = len(train) * 5 // 6  # the first 50,000; of the others come those for the windows' width
    minibatch = run.batch_size(100)
    passes = max(50_000 // count, 1)  # of a smaller set as one epoch, which is tested and drawn after about 500 steps
    steps = run.steps(STEPS, steps_per_epoch=passes * count // (k * minibatch))
    preprocessing = Preprocessing(28, scale=1 / 255)

    def sgd(steps):
        """The release's: the rate falls by 1.000004 a step, the momentum rises from 0.5 to 0.7 over 250 epochs."""
        return SGD(ExponentialDecay(0.1, steps / STEPS, 1 / 1.000004), PolynomialDecay(0.5, steps, 0.7))

    def parzen(model):
        z = random_latents(SAMPLES if not run.smoke else 200, model.generator.input_shape[-1], TESTED)
        samples = np.concatenate([model.generator(part, training=False) for part in np.split(z, 10)])
        validation, tested = (fitted(28)(each, None).numpy() / 255 for each in (others, test.arrays[0]))
        return parzen_estimate(tested, validation, samples)

    others = train.arrays[0][count:][:VALIDATION]
    scaled = fitted(28), subtract_mean(0.0, 255.0)
    return Recipe(
        model=AdversarialModel(gan_generator(), gan_discriminator(), k, seed=run.seed, name="gan"),
        train=train.take(count).repeated(passes).map(*scaled),
        test=test.map(*scaled),
        batch_size=k * minibatch,
        steps=steps,
        optimizer=(sgd(steps), sgd(k * steps)),  # the generator's, the discriminator's
        preprocessing=preprocessing,
        claims=[Claim("MNIST, Parzen log-likelihood, nats", "parzen_log_likelihood", 225, id="N2", at_least=223)],
        deviations=[
            "the paper prints no training; it is the release's, ended after the 250 epochs in which its momentum rises",
            "z is uniform in -1 to 1, in the release Gaussian",
            "the output's bias starts at 0, the release's at the mean image",
            "the discriminator's loss and the turns are the paper's; the release halves it, and moves both at once",
            f"{SAMPLES:,} samples; the width of their windows is chosen on {len(others):,} validation images",
        ],
        final_tests={"parzen": parzen},
        test_figures=game_test(run, preprocessing),
        curve="value",
        examples=save_samples(preprocessing),
        exported=lambda model: model.generator,
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
