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

    def sgd(rate, steps):
        """The release's: the rate falls by 1.000004 a step, the momentum rises from 0.5 to 0.7 over 250 epochs."""
        return SGD(ExponentialDecay(rate, steps / STEPS, 1 / 1.000004), PolynomialDecay(0.5, steps, 0.7))

    def parzen(model):
        z = random_latents(SAMPLES if not run.smoke else 200, model.generator.input_shape[-1], TESTED)
        samples = np.concatenate([model.generator(part, training=False) for part in np.split(z, 10)])
        validation, tested = (fitted(28)(each, None).numpy() / 255 for each in (others, test.arrays[0]))
        return parzen_estimate(tested, validation, samples)

    learnt, others = train.arrays[0][:count], train.arrays[0][count:][:VALIDATION]
    scaled = fitted(28), subtract_mean(0.0, 255.0)
    generator = gan_generator()
    generator.get_layer("y").bias.assign(logits(fitted(28)(learnt, None).numpy().mean(axis=0).ravel() / 255))
    return Recipe(
        model=AdversarialModel(generator, gan_discriminator(), k, seed=run.seed, name="gan"),
        train=train.take(count).repeated(passes).map(*scaled),
        test=test.map(*scaled),
        batch_size=k * minibatch,
        steps=steps,
        # The generator's and the discriminator's, whose rate is half of it: the release halves its loss.
        optimizer=(sgd(0.1, steps), sgd(0.05, k * steps)),
        preprocessing=preprocessing,
        claims=[Claim("MNIST, Parzen log-likelihood, nats", "parzen_log_likelihood", 225, id="N2", at_least=223)],
        deviations=[
            "the paper prints no training; it is the release's, ended after the 250 epochs in which its momentum rises",
            "z is uniform in -1 to 1, in the release Gaussian",
            "the networks take turns, as in the paper's algorithm 1; in the release they move at once",
            f"{SAMPLES:,} samples; the width of their windows is chosen on {len(others):,} validation images",
        ],
        final_tests={"parzen": parzen},
        test_figures=game_test(run, preprocessing),
        curve="value",
        examples=save_samples(preprocessing),
        exported=lambda model: model.generator,
    )


def logits(shares):
    """The biases of a sigmoid that gives these shares, as the release starts its output: at the mean image."""
    shares = np.clip(shares, 1e-7, 1 - 1e-7)
    return np.log(shares / (1 - shares))


if __name__ == "__main__":
    sys.exit(main(recipe))
