"""The generator's two losses: Goodfellow et al., "Generative Adversarial Nets", NIPS 2014, section 3.

    python -m reproductions.gan_gradients_digits

Paper: early in learning D rejects generated images with high confidence, so that log(1 - D(G(z))) saturates;
maximising log D(G(z)) "provides much stronger gradients early in learning"; no figure is printed. Here the paper's
networks on real digits (no download): the norm of the generator's gradient by both losses, on the same z, in the first
steps of the game, and in those of a discriminator that is trained alone against the untrained generator.
"""

import sys
import time

import keras
import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt
from tqdm import tqdm

from keras_cnns import gan_discriminator, gan_generator
from keras_cnns.data import digits
from keras_cnns.losses import minimax_generator_loss, non_saturating_generator_loss
from keras_cnns.training import SGD, AdversarialModel
from reproductions.gradients import decided
from reproductions.record import measured, parser_of, publish
from reproductions.study import SEEDS, save

SCRIPT, BATCH, STEPS = "gan_gradients_digits", 100, 400
LOSSES = {"log(1 - D(G(z)))": minimax_generator_loss, "log D(G(z))": non_saturating_generator_loss}
SURE, STRONGER = 0.01, 10.0  # what D(G(z)) is "with high confidence", and what "much stronger" is
KINDS = {"game": "both learn", "alone": "D alone learns"}


def gradients_of_both(model, z):
    """The mean of D(G(z)), and the norms of the generator's gradient by each of the two losses."""
    variables = [variable.value for variable in model.generator.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        logits = model.discriminator(model.generator(z, training=True), training=True)
        losses = [loss(logits) for loss in LOSSES.values()]
    norms = [tf.linalg.global_norm(tape.gradient(loss, variables)) for loss in losses]
    return tf.reduce_mean(tf.sigmoid(logits)), *norms


def first_steps(kind, seed, steps=STEPS):
    """[[mean of D(G(z)), norm by the minimax loss, norm by the other] before each step]."""
    keras.utils.set_random_seed(seed)
    model = AdversarialModel(gan_generator(), gan_discriminator(), seed=seed)
    # The release's rate and its first momentum; a generator that does not learn is one whose rate is 0.
    model.compile(SGD(0.1 if kind == "game" else 0.0, momentum=0.5), SGD(0.1, momentum=0.5))

    @tf.function
    def step(images):
        found = gradients_of_both(model, model.latent(BATCH, model.k))
        model.train_step((images, None))
        return tf.stack(found)

    train, rows = digits("train"), []
    with tqdm(total=steps, desc=f"{KINDS[kind]}, seed {seed}", unit="step") as bar:
        for epoch in range(steps * BATCH // len(train) + 1):
            batches = train.batches(BATCH, shuffle=True, seed=seed, epoch=epoch, drop_remainder=True)
            for images, _ in batches.take(steps - len(rows)):
                rows.append([float(f"{value:.4g}") for value in step(images[:, 2:30, 2:30] / 255)])
                bar.update()
    return rows


def claims(runs):
    """The rule: where D is sure, the one gradient is many times the other."""
    rows = []
    for kind, words in KINDS.items():
        ratios = []
        for run in (each for each in runs if each["kind"] == kind):
            mean, minimax, other = np.array(run["steps"]).T
            ratios.append(float(np.median((other / minimax)[mean < SURE])) if (mean < SURE).any() else np.nan)
        if np.isfinite(ratios).all():
            statement = f"{words}: where D(G(z)) is under {SURE:g}, log D's gradient is much the stronger: times"
            rule = f"median over these steps over {STRONGER:g}"
            rows.append(decided("N1", statement, ratios, rule, lambda ratio: ratio > STRONGER))
    return rows


def draw(record, path):
    """Above, the first steps; below, all of them by the discriminator's confidence."""
    figure, grid = plt.subplots(2, 2, figsize=(11, 7.5), layout="constrained", sharey=True)
    for column, (kind, words) in enumerate(KINDS.items()):
        curves = np.array([run["steps"] for run in record["runs"] if run["kind"] == kind])  # (seeds, steps, 3)
        by_step, by_confidence = grid[:, column]
        for number, name in enumerate(LOSSES, 1):
            steps = np.arange(curves.shape[1])
            colour, norms = f"C{number}", curves[..., number]
            with np.errstate(divide="ignore"):  # where a gradient is 0 the line is left out
                means = np.exp(np.log(norms).mean(axis=0))
            by_step.plot(steps, means, color=colour, label=name)
            by_step.fill_between(steps, norms.min(axis=0), norms.max(axis=0), color=colour, alpha=0.2, linewidth=0)
            by_confidence.plot(curves[..., 0].ravel(), norms.ravel(), ".", color=colour, markersize=3, label=name)
        by_step.set(xlabel="steps", yscale="log", title=words)
        by_confidence.axvline(SURE, color="0.5", linestyle=":", label=f"D(G(z)) = {SURE:g}")
        by_confidence.set(xlabel="mean of D(G(z)) at that step", xscale="log", xlim=(1e-9, 1.5), ylim=(1e-8, 30))
    for axes in grid.flat:
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    for axes in grid[:, 0]:
        axes.set_ylabel("norm of the generator's gradient")
    seeds = len({run["seed"] for run in record["runs"]})
    figure.suptitle(
        f"GAN's two generator losses on digits, same networks and z; {seeds} seeds, bands from least to most"
    )
    save(figure, path)


def main(arguments=None):
    parser = parser_of(SCRIPT, __doc__)
    options = parser.parse_args(arguments)
    runs = []
    for seed in range(SEEDS):
        for kind in KINDS:
            started = time.monotonic()
            steps = first_steps(kind, seed)
            runs.append({"kind": kind, "seed": seed, "seconds": round(time.monotonic() - started), "steps": steps})
    record = measured(
        SCRIPT,
        data=digits("train").description,
        runs=runs,
        claims=claims(runs),
        deviations=[
            f"{STEPS} steps of {BATCH} digits at a constant rate of 0.1 and momentum of 0.5; 4,000 of MNIST's digits",
            "the output's bias starts at 0, the release's at the mean image",
        ],
    )
    publish(record, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
