"""GAN on real digits, and its saddle point: Goodfellow et al., "Generative Adversarial Nets", NIPS 2014.

    python -m reproductions.gan_digits

Paper: Parzen log-likelihood of 225 +- 2 nats on MNIST (Table 1); where the generator gives the data's distribution,
D = 1/2 everywhere and the value is -log 4 (Theorem 1), a saddle point. Here the paper's networks and training, 15,000
steps on 3,333 of MNIST's digits (no download), three seeds; the same estimate of a Gaussian with the training digits'
mean and covariance, and of these digits themselves; the value and D of every epoch; and a world of two points, in which
all is arithmetic. About fifty minutes on two CPU cores.
"""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt

from keras_cnns.data import digits
from keras_cnns.evaluation import parzen_estimate
from keras_cnns.export import load_source
from keras_cnns.generative import random_latents, sample
from keras_cnns.inspection.tiles import framed, mosaic, photograph
from keras_cnns.losses import minimax_value
from reproductions.gan_mnist import SAMPLES, VALIDATION
from reproductions.gradients import decided
from reproductions.pictures import write_png
from reproductions.record import A_MINUTE, BESIDE, measured, parser_of, publish
from reproductions.study import SEEDS, Training, finished, save, train

SCRIPT, BUDGET = "gan_digits", "--dataset digits --steps 15000"
NEAR_HALF, NEAR_VALUE = 0.1, 0.2  # how far D may be from 1/2, and the value from -log 4, to be called there
LAST = 0.25  # the share of the epochs that is the end of the training
POINTS = 0.7, 0.3  # the data's distribution in the world of two points


def main(arguments=None):
    parser = parser_of(SCRIPT, __doc__, BESIDE)
    parser.add_argument("--smoke", action="store_true", help=A_MINUTE)
    options = parser.parse_args(arguments)
    options.data_dir = None
    runs = []
    for seed in range(1 if options.smoke else SEEDS):
        folder = options.out.parent / f"GAN-{seed}{'-smoke' if options.smoke else ''}"
        print(f"== seed {seed}", flush=True)
        status = train(Training("gan_mnist", "" if options.smoke else BUDGET), seed, folder.resolve(), options)
        if not finished(folder):
            return status or 2
        runs.append(run_of(folder, seed))
    beside = baselines(options.smoke)
    record = measured(
        SCRIPT,
        data=digits("train").description,
        runs=runs,
        beside=beside,
        claims=claims(runs, beside, options.smoke),
        notes=[
            f"log-likelihood of a Gaussian with the training digits' mean and covariance: "
            f"{beside['gaussian']['log_likelihood']:.1f} +- {beside['gaussian']['standard_error']:.1f} nats; of the "
            f"training digits as samples: {beside['digits']['log_likelihood']:.1f} +- "
            f"{beside['digits']['standard_error']:.1f}",
            "the paper's 225 is of MNIST's 10,000 test images after training on 50,000; it compares with none of these",
        ],
        deviations=runs[0]["deviations"],
        smoke=options.smoke,
    )
    publish(record, options.out)
    draw(record, options.out.with_suffix(".png"))
    draw_examples(options.out.parent / f"GAN-0{'-smoke' if options.smoke else ''}", options.out)
    return 0


def run_of(folder, seed):
    """What is kept of one training."""
    record = json.loads((Path(folder) / "record.json").read_text())
    kept = ("loss", "value", "real", "fake", "test_value", "test_real", "test_fake", "test_variety")
    return {
        "name": "GAN",
        "seed": seed,
        "commit": record["commit"],
        "deviations": record["deviations"],
        "seconds": round(record["training_seconds"]),
        "parzen": record["final_tests"]["parzen"],
        "rows": [{"step": row["step"], **{name: round(row[name], 4) for name in kept}} for row in record["epochs"]],
    }


def split():
    """The training, the validation and the test digits as `gan_mnist` has them: `(number, 784)`, from 0 to 1."""
    both = [digits(part).arrays[0][:, 2:30, 2:30].reshape(-1, 784) / 255 for part in ("train", "test")]
    count = len(both[0]) * 5 // 6
    return both[0][:count], both[0][count:][:VALIDATION], both[1]


def baselines(smoke):
    """The same estimate of what needs no learning: a Gaussian's samples, and the training digits themselves."""
    learnt, validation, tested = split()
    tested = tested[:64] if smoke else tested
    random = np.random.default_rng(0)
    values, vectors = np.linalg.eigh(np.cov(learnt.T))
    drawn = random.normal(size=(200 if smoke else SAMPLES, 784)) * np.sqrt(np.maximum(values, 0))
    found = {"gaussian": learnt.mean(axis=0) + drawn @ vectors.T, "digits": learnt}
    return {name: parzen_estimate(tested, validation, samples) for name, samples in found.items()}


def optimum(p):
    """The value, D at both points, the gradient and the Hessian of V(D1, D2, q) where the generator has the data's p.

    V = p log D1 + (1 - p) log D2 + q log(1 - D1) + (1 - q) log(1 - D2), by the library's loss of logits.
    """
    start = tf.Variable([0.0, 0.0, p], dtype=tf.float32)  # the logits of D1 and D2, and q
    never = tf.constant([1e9])  # a logit whose log D is 0, and -1e9 one whose log(1 - D) is
    with tf.GradientTape() as second:
        with tf.GradientTape() as first:
            log_d = [minimax_value(start[i : i + 1], -never) for i in range(2)]
            log_not_d = [minimax_value(never, start[i : i + 1]) for i in range(2)]
            q = start[2]
            value = p * log_d[0] + (1 - p) * log_d[1] + q * log_not_d[0] + (1 - q) * log_not_d[1]
        gradient = first.gradient(value, start)
    return float(value), tf.sigmoid(start[:2]).numpy(), gradient.numpy(), second.jacobian(gradient, start).numpy()


def ends(run):
    return run["rows"][-max(round(LAST * len(run["rows"])), 1) :]


def claims(runs, beside, smoke):
    """The rules, fixed before the run."""
    rows = []
    value, d, gradient, hessian = optimum(POINTS[0])
    signs = np.sign(np.linalg.eigvalsh(hessian)).astype(int).tolist()
    good = bool(np.allclose(d, 0.5) and abs(value + np.log(4)) < 1e-6 and np.abs(gradient).max() < 1e-6)
    exact = {"id": "N7", "paper": "D = 1/2, -1.386", "ours": f"D = {d[0]:g}, {value:.3f}", "rule": "equal"}
    words = "two points, generator = data: D, the value; no gradient"
    rows.append(exact | {"statement": words, "verdict": "holds" if good else "does not hold"})
    exact |= {"paper": None, "ours": f"eigenvalues {'; '.join('+' if sign > 0 else '-' for sign in signs)}"}
    saddle = exact | {"statement": "the same: the Hessian has both signs, a saddle point", "rule": "of both signs"}
    rows.append(saddle | {"verdict": "holds" if {-1, 1} <= set(signs) else "does not hold"})

    gaussian = beside["gaussian"]
    better = []
    for run in runs:
        error = np.hypot(run["parzen"]["standard_error"], gaussian["standard_error"])
        better.append((run["parzen"]["log_likelihood"] - gaussian["log_likelihood"]) / error)
    words = "digits, Parzen log-likelihood beside a Gaussian's, in standard errors of the difference"
    rows.append(decided("N2", words, better, "more than 2", lambda ratio: ratio > 2))
    for name, target, near, words in (
        ("test_value", -np.log(4), NEAR_VALUE, "digits, value on test images at the end, distance from -log 4"),
        ("test_real", 0.5, NEAR_HALF, "digits, mean D of test images at the end, distance from 1/2"),
        ("test_fake", 0.5, NEAR_HALF, "digits, mean D of samples at the end, distance from 1/2"),
    ):
        far = [abs(np.mean([row[name] for row in ends(run)]) - target) for run in runs]
        rule = f"at most {near:g}, mean of the last quarter of the epochs"
        rows.append(decided("N7", words, far, rule, lambda distance, near=near: distance <= near))
    if smoke:
        rows[2:] = [row | {"verdict": "not decided (smoke run)"} for row in rows[2:]]
    return rows


def draw(record, path):
    """The value and D over the steps, a line a seed; on the right the value around the two points' optimum."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 4.2), layout="constrained")
    for run in record["runs"]:
        steps = [row["step"] for row in run["rows"]]
        of = lambda name, run=run: [row[name] for row in run["rows"]]
        first = run["seed"] == 0
        left.plot(steps, of("value"), "C0--", label="training" if first else None)
        left.plot(steps, of("test_value"), "C0", label="test" if first else None)
        middle.plot(steps, of("test_real"), "C2", label="test images" if first else None)
        middle.plot(steps, of("test_fake"), "C3", label="samples" if first else None)
    left.axhline(-np.log(4), color="black", linestyle=":", label="-log 4")
    middle.axhline(0.5, color="black", linestyle=":", label="1/2")
    left.set(xlabel="steps", ylabel="V(D, G)")
    middle.set(xlabel="steps", ylabel="mean of D", ylim=(0, 1))

    p = POINTS[0]
    d, q = np.meshgrid(np.linspace(0.3, 0.7, 81), np.linspace(0.3, 1.0, 81))  # D at the first point, 1 - D at the other
    value = p * np.log(d) + (1 - p) * np.log(1 - d) + q * np.log(1 - d) + (1 - q) * np.log(d)
    lines = right.contour(d, q, value, 20, cmap="viridis")
    right.clabel(lines, fontsize=7)
    right.plot(0.5, p, "k+", markersize=12, label="D = 1/2, generator = data: -log 4")
    right.set(xlabel="D at the first point, 1 - D at the second", ylabel="generator's share of the first point")
    right.set_title(f"V in a world of two points, data {p:g} and {1 - p:g}", fontsize=10)
    for axes in (left, middle, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.suptitle(f"GAN on {record['data']}; {len(record['runs'])} seeds")
    save(figure, path)


def draw_examples(folder, out):
    """Samples as they come, and beside the last of each row the training digit nearest to it, as the paper's Fig. 2."""
    generator, preprocessing, _ = load_source(folder)
    images = sample(generator, random_latents(40, generator.input_shape[-1]), preprocessing)
    learnt = split()[0]
    tiles = []
    for number, image in enumerate(images):
        tiles.append(photograph(image))
        if number % 8 == 7:
            nearest = np.argmin(((learnt - image.reshape(-1) / 255) ** 2).sum(axis=1))
            tiles.append(framed(photograph(255 * learnt[nearest].reshape(28, 28, 1)), (220, 180, 0), 1))
    picture = mosaic(tiles, 9).repeat(3, axis=0).repeat(3, axis=1)
    write_png(out.with_name(f"{out.stem}-examples.png"), picture)


if __name__ == "__main__":
    sys.exit(main())
