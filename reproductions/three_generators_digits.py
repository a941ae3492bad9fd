"""Three kinds of generators: seed to image; seed and label to image; seed to image and label.

    python -m reproductions.three_generators_digits

Paper: Mirza & Osindero, "Conditional Generative Adversarial Nets", 2014, for the second kind; no figure of theirs is
about this. Here small DCGANs of each kind on real digits (no download), 2,000 steps each, and a classifier trained on
real digits that names their samples: those of the conditional one must be what was asked for, those of the joint one
what it says they are, and those of the unconditional one all ten digits.
"""

import sys

import keras
import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt

from keras_cnns import dcgan_discriminator, dcgan_generator
from keras_cnns.data import digits
from keras_cnns.generative import conditional_generator, joint_generator, pair_discriminator, random_latents
from keras_cnns.generative.dissection_figures import page, pixels
from keras_cnns.training import AdversarialModel, Checkpoints, train
from reproductions.dcgan import scaled
from reproductions.generators import classifier, measure_all, named, options_of, save_examples
from reproductions.gradients import decided
from reproductions.record import told
from reproductions.study import save

SCRIPT, CLASSES = "three_generators_digits", 10
KINDS = ("unconditional", "conditional", "joint")
FILTERS, BATCH, STEPS, SAMPLES = 32, 64, 2000, 1000
RIGHT, SHARE = 0.8, 0.01  # of samples named right; of samples that a digit must have


def game(kind, seed, filters=FILTERS):
    """The `AdversarialModel` of a kind, compiled: DCGAN's networks with more channels, and its training."""
    keras.utils.set_random_seed(seed)
    how = {"size": 32, "base_filters": filters, "kernel_size": 4}
    more = 0 if kind == "unconditional" else CLASSES  # channels of the discriminator for labels
    generator = dcgan_generator(channels=1, **how)
    discriminator = dcgan_discriminator(channels=1 + more, **how)
    if kind != "unconditional":
        generator = (conditional_generator if kind == "conditional" else joint_generator)(generator, CLASSES)
        discriminator = pair_discriminator(discriminator, CLASSES)
    model = AdversarialModel(generator, discriminator, seed=seed, name=kind)
    model.compile(*(keras.optimizers.Adam(2e-4, beta_1=0.5) for _ in range(2)))
    return model


def trained(kind, seed, images, folder, steps):
    """The generator of a kind after its training, which goes on where it was stopped."""
    model = game(kind, seed)

    def batches(epoch, skip, count):
        return images.batches(BATCH, seed, epoch, shuffle=True, drop_remainder=True, skip=skip, count=count)

    train(model, batches, steps, len(images) // BATCH, Checkpoints(folder, model))
    return model.generator


def samples(generator, kind, count, seed):
    """Images, and the labels that they were asked for or came with; None of an unconditional generator."""
    z = random_latents(count, generator.inputs[0].shape[-1], seed)
    labels = np.arange(count) % CLASSES
    inputs = [z, np.eye(CLASSES, dtype="float32")[labels]] if kind == "conditional" else [z]
    parts = []
    for start in range(0, count, 250):
        part = [tf.constant(each[start : start + 250]) for each in inputs]
        parts.append(tf.nest.flatten(generator(part if len(part) > 1 else part[0], training=False)))
    images, *own = (np.concatenate(part) for part in zip(*parts, strict=True))
    if own:  # a joint one's
        labels = own[0].argmax(axis=1)
    return images, None if kind == "unconditional" else labels


def claims(runs):
    """The rules."""
    right = {kind: [run["right"] for run in runs if run["name"] == kind] for kind in KINDS[1:]}
    rarest = {kind: [min(run["named"]) for run in runs if run["name"] == kind] for kind in KINDS}
    words = {"conditional": "the digits that were asked for", "joint": "the digits that it says they are"}
    rows = [
        decided("N6", f"{kind}: samples that are {words[kind]}, share", shares, f"over {RIGHT:g}", lambda x: x > RIGHT)
        for kind, shares in right.items()
    ]
    for kind, shares in rarest.items():
        statement = f"{kind}: all ten digits are among the samples: share of the rarest"
        rows.append(decided("N6", statement, shares, f"at least {SHARE:g}", lambda share: share >= SHARE))
    return rows


def draw(record, path):
    """How often each digit is among the samples of each kind, and how many are named right."""
    figure, grid = plt.subplots(1, len(KINDS), figsize=(11, 3.6), layout="constrained", sharey=True)
    for kind, axes in zip(KINDS, grid, strict=True):
        runs = [run for run in record["runs"] if run["name"] == kind]
        for number, run in enumerate(runs):
            places = np.arange(CLASSES) + 0.27 * (number - (len(runs) - 1) / 2)
            axes.bar(places, np.multiply(100, run["named"]), 0.25, label=f"seed {run['seed']}")
        right = ", ".join(f"{run['right']:.1%}" for run in runs if run["right"] is not None)
        axes.set(xlabel="digit, as the classifier names it", title=f"{kind}{f': {right} right' if right else ''}")
        axes.set_xticks(range(CLASSES))
        axes.grid(axis="y", alpha=0.3)
    grid[0].set_ylabel("of the samples, %")
    grid[0].margins(y=0.45)  # for the legend
    grid[0].legend()
    save(figure, path)


def examples(generators):
    """A row of samples for each label, and rows of the unconditional generator's."""
    lines, names = [], []
    for kind, generator in generators.items():
        images, labels = samples(generator, kind, 300, seed=0)
        for label in range(3 if labels is None else CLASSES):
            chosen = images[10 * label :] if labels is None else images[labels == label]
            if len(chosen):
                lines.append(pixels(chosen[:10]))
                names.append(kind if labels is None else f"{kind}: {label}")
    width = max(map(len, lines))
    blank = lambda line: np.ones((width - len(line), *line.shape[1:]))
    return page([np.concatenate([line, blank(line)]) for line in lines], names)


def study(options):
    images, steps, count = digits("train").map(scaled), STEPS, SAMPLES
    if options.smoke:
        images, steps, count = images.take(512), 16, 100
    judge = classifier(images, seed=0, epochs=1 if options.smoke else 10)
    test = np.concatenate([part.numpy() for part, _ in digits("test").map(scaled).batches(250)])
    error = 100 * np.mean(named(judge, test) != digits("test").arrays[1])
    print(f"the classifier's error on 1,000 other digits: {error:.1f} %")

    def generator_of(kind, seed):
        folder = options.out.with_suffix("") / f"{kind}-{seed}"  # beside the record: the checkpoints
        return trained(kind, seed, images, folder, steps)

    def measure(kind, seed):
        made, labels = samples(generator_of(kind, seed), kind, count, seed + 1)
        names = named(judge, made)
        right = None if labels is None else round(float(np.mean(names == labels)), 4)
        return {"right": right, "named": (np.bincount(names, minlength=CLASSES) / count).round(4).tolist()}

    record = measure_all(
        SCRIPT,
        options,
        KINDS,
        measure,
        claims,
        images.description,
        [
            f"DCGAN's networks with {FILTERS} filters, {STEPS:,} steps of {BATCH} digits, 4,000 of MNIST's",
            "the joint generator's label is a linear layer of z; where it was the brightest of ten more maps, the game "
            "was lost: 0.8, 33 and 15 % right (commit 41706c6)",
            f"the classifier was trained on the same 4,000 digits; its error on 1,000 others is {error:.1f} %",
        ],
    )
    draw(record, options.out.with_suffix(".png"))
    save_examples(examples({kind: generator_of(kind, 0) for kind in KINDS}), options)


def main(arguments=None):
    return told(study, options_of(SCRIPT, __doc__, arguments, data=False))


if __name__ == "__main__":
    sys.exit(main())
