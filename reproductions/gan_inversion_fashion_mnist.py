"""Held-out images found again by a DCGAN: GAN inversion (Zhu et al., iGAN, ECCV 2016) on Fashion-MNIST.

    python -m reproductions.gan_inversion_fashion_mnist --data-dir DIR --run RUN

Paper: iGAN finds z by optimisation, by a network, or by both, which is the best of the three; it prints its errors on
shoes, churches and landscapes alone, on which we do not train. Here the DCGAN of `dcgan_fashion_mnist`, and test images
that it has not seen: the mean squared error of a pixel, beside that of a random z; then of the generator adapted to the
images, which must still draw other garments: what random z give must change less than the errors it mends. The
committed record is of `garments-DCGAN`, the run that `dcgan_garments` leaves.
"""

import sys

import keras
import numpy as np
from matplotlib import pyplot as plt

from keras_cnns import dcgan_discriminator
from keras_cnns.generative import (
    dissect,
    interpolate,
    intervene,
    invert,
    latent_encoder,
    random_latents,
    train_encoder,
)
from keras_cnns.generative.concepts import garment_parts
from keras_cnns.generative.dissection_figures import page, pixels
from reproductions.generators import (
    classifier,
    fashion_generator,
    measure_all,
    options_of,
    rounded,
    save_examples,
)
from reproductions.gradients import decided
from reproductions.record import told
from reproductions.study import save

SCRIPT = "gan_inversion_fashion_mnist"
HELD_OUT, STEPS, ADAPT_STEPS, ENCODER_STEPS, BATCH = 64, 300, 150, 1000, 64
SHOWN, LAYER, EDITED = 8, "relu3", 8  # images, and units that an edit takes away
METHODS = ("random z", "encoder", "optimisation", "both", "adapted")
HALF = 0.5


class Inverter:
    """What inverts images, taught for a seed: a classifier whose features are compared, and an encoder."""

    def __init__(self, generator, train, seed, smoke):
        self.generator, self.seed = generator, seed
        self.steps, self.adapt_steps, encoder_steps = (5, 5, 5) if smoke else (STEPS, ADAPT_STEPS, ENCODER_STEPS)
        model = classifier(train, seed, epochs=1)
        self.features = keras.Model(model.inputs[0], model.get_layer("features").output)
        size, channels = generator.output_shape[1], generator.output_shape[-1]
        body = dcgan_discriminator(size=size, base_filters=64, kernel_size=4, channels=channels)
        self.encoder = latent_encoder(body, generator.input_shape[-1])
        batches = train.batches(BATCH, shuffle=True, seed=seed, drop_remainder=True, count=encoder_steps)
        train_encoder(generator, self.encoder, (images for images, _ in batches), encoder_steps)

    def __call__(self, images):
        """The `Inversion` of each method but the random z."""
        how = {"features": self.features, "seed": self.seed}
        find = lambda encoder, steps, adapt=0: invert(self.generator, images, encoder, steps, adapt, **how)
        return {
            "encoder": find(self.encoder, 0),
            "optimisation": find(None, self.steps),
            "both": find(self.encoder, self.steps),
            "adapted": find(self.encoder, self.steps, self.adapt_steps),
        }


def held_out(test, seed, smoke):
    """Test images, others for each seed."""
    count = SHOWN if smoke else HELD_OUT
    return next(iter(test.batches(count, skip=seed, count=1)))[0].numpy()


def squared(images, others):
    return float(np.mean((images - others) ** 2))


def claims(runs):
    """The rules: errors as shares of one another, and how much of the prior the adapted generator keeps."""
    mean = {name: [np.mean(run["errors"][name]) for run in runs] for name in METHODS}

    def row(first, second, most):
        words = f"{first}: mean squared error of a pixel, as a share of that of {second}"
        ratios = np.divide(mean[first], mean[second])
        return decided("N5", words, ratios, f"under {most:g}", lambda ratio: ratio < most)

    rows = [row(name, "random z", HALF) for name in METHODS[1:]]
    rows += [row("both", "encoder", 1.0), row("both", "optimisation", 1.0), row("adapted", "both", HALF)]
    kept = [run["prior_moved"] / run["prior_apart"] for run in runs]
    words = "adapted: how far the images of other z move, as a share of how far two such images are apart"
    return [*rows, decided("N5", words, kept, f"under {HALF:g}", lambda share: share < HALF)]


def draw(record, path):
    """The errors of all images by each method."""
    figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    errors = [[each for run in record["runs"] for each in run["errors"][name]] for name in METHODS]
    axes.boxplot(errors, tick_labels=METHODS, whis=(5, 95), showfliers=False)
    axes.plot(range(1, len(METHODS) + 1), [np.mean(each) for each in errors], "o", label="mean")
    axes.set(ylabel="squared error of a pixel, values -1 to 1", yscale="log")
    axes.set_title(f"{len(errors[0])} held-out images; boxes: quartiles, whiskers: 5 and 95 %")
    axes.grid(axis="y", alpha=0.3)
    axes.legend()
    save(figure, path)


def examples(generator, found, images, smoke):
    """Real images, what each method makes of them, the way from one to another, and an edit by units."""
    images, best = images[:SHOWN], found["adapted"]
    random = generator(random_latents(len(images), generator.input_shape[-1]), training=False).numpy()
    lines = [images, random, *(each.images[:SHOWN] for each in found.values())]
    names = ["real", "random z", *found]
    lines.append(interpolate(best.generator, best.z[0], best.z[1], SHOWN))
    names.append("adapted, from the\nfirst to the second")
    z = random_latents(20 if smoke else 400, generator.input_shape[-1], seed=1)
    dissection = dissect(generator, LAYER, garment_parts, z)
    for place, concept in enumerate(dissection.concepts):
        if concept in ("garment in the left quarter", "bright garment"):
            units = np.argsort(-dissection.iou[:, place], kind="stable")[:EDITED]
            lines.append(intervene(best.generator, LAYER, best.z[:SHOWN], units))
            names.append(f"adapted, without {EDITED} units\nof {concept}")
    lines.append(best.generator(random_latents(SHOWN, generator.input_shape[-1]), training=False).numpy())
    names.append("adapted, random z")
    return page([pixels(line) for line in lines], names)


def study(options):
    generator, (train, test) = fashion_generator(options)
    pictures = []

    def measure(name, seed):
        images, inverter = held_out(test, seed, options.smoke), Inverter(generator, train, seed, options.smoke)
        found = inverter(images)
        errors = {
            "random z": found["optimisation"].random_errors,
            **{name: each.errors for name, each in found.items()},
        }
        z = random_latents(200, generator.input_shape[-1], seed + 1)
        before, after = (each(z, training=False).numpy() for each in (generator, found["adapted"].generator))
        if not pictures:
            pictures.append(examples(generator, found, images, options.smoke))
            save_examples(pictures[0], options)
        return {
            "errors": {name: rounded(errors[name]) for name in METHODS},
            "prior_moved": squared(before, after),
            "prior_apart": squared(before[:100], before[100:]),
        }

    record = measure_all(
        SCRIPT,
        options,
        ("inversion",),
        measure,
        claims,
        f"{test.description}; {generator.name}, trained on {train.description}",
        [
            f"{HELD_OUT} test images a seed; Adam for {STEPS} steps of z, {ADAPT_STEPS} of the generator, on all of a "
            f"seed's images together, and {ENCODER_STEPS} of the encoder; iGAN has L-BFGS",
            "the features are those of a classifier of garments trained here, iGAN's AlexNet's on photographs",
        ],
    )
    draw(record, options.out.with_suffix(".png"))


def main(arguments=None):
    return told(study, options_of(SCRIPT, __doc__, arguments))


if __name__ == "__main__":
    sys.exit(main())
