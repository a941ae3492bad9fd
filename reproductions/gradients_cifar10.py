"""Gradients through 55 layers: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.1.

    python -m reproductions.gradients_cifar10 --data-dir DIR

Paper: the trouble of deep plain networks is "unlikely to be caused by vanishing gradients", since batch normalisation
keeps their norms healthy; no figure is printed. Here plain-56 with and without batch normalisation, its weights drawn
as He et al. (ICCV 2015) do or from N(0, 0.01^2): the gradient of every layer's kernel at the start and in the course of
200 steps.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt
from tqdm import trange

from keras_cnns import resnet_cifar
from keras_cnns.data import statistics, tfds_images
from keras_cnns.data.augmentation import pad_and_crop, random_flip, subtract_mean
from keras_cnns.layers import BatchNormalization
from keras_cnns.training import SGD
from reproductions.record import git_commit, measured, publish, write_json
from reproductions.study import save

SCRIPT = "gradients_cifar10"
BATCH, STEPS, MEASURED, SEEDS = 128, 200, (0, 50, 200), 3
HE, SMALL = "He", "N(0, 0.01²)"
VARIANTS = {f"{normal}, {start}": (normal, start) for normal in ("batch norm", "no norm") for start in (HE, SMALL)}
VANISHED, HEALTHY = 1e-3, 0.1


def plain56(normal, start, classes, seed):
    """plain-56; without normalisation its layers are convolutions, each with a bias, and ReLU."""
    keras.utils.set_random_seed(seed)
    model = resnet_cifar(56, residual=False, classes=classes)

    def changed(layer):
        settings = layer.get_config()
        if isinstance(layer, BatchNormalization) and normal == "no norm":
            return keras.layers.Identity(name=layer.name)
        if isinstance(layer, keras.layers.Conv2D):
            settings["use_bias"] = settings["use_bias"] or normal == "no norm"
            if start == SMALL:
                settings["kernel_initializer"] = keras.initializers.RandomNormal(stddev=0.01)
            elif start == HE:
                settings["kernel_initializer"] = keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")
        return type(layer).from_config(settings)

    return keras.models.clone_model(model, clone_function=changed)


def trained(model, train, seed):
    """Train; {"losses": of every step, "norms": {step: the norm of every kernel's gradient, first layer first}}."""
    # 0.1 as in the paper; without normalisation, which lets rates be that large, a tenth of it.
    normalised = any(isinstance(layer, BatchNormalization) for layer in model.layers)
    optimizer = SGD(0.1 if normalised else 0.01, momentum=0.9, l2=1e-4)
    optimizer.build(model.trainable_variables)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    kernels = [layer.kernel for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    places = [next(i for i, v in enumerate(model.trainable_variables) if v is kernel) for kernel in kernels]

    @tf.function
    def gradients_of(images, labels):
        with tf.GradientTape() as tape:
            loss = cross_entropy(labels, model(images, training=True))
        gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
        return loss, gradients

    @tf.function
    def step(images, labels):
        loss, gradients = gradients_of(images, labels)
        optimizer.apply(gradients)
        return loss

    batches = list(train.batches(BATCH, shuffle=True, drop_remainder=True, seed=seed, count=STEPS + 1))
    losses, norms = [], {}
    for number in trange(STEPS + 1, desc=model.name, unit=" steps"):
        if number in MEASURED:
            _, gradients = gradients_of(*batches[number])
            norms[number] = [float(tf.norm(gradients[place])) for place in places]
        if number < STEPS:
            losses.append(round(float(step(*batches[number])), 4))
    return {"losses": losses, "norms": norms}


def main(arguments=None):
    parser = argparse.ArgumentParser(f"python -m reproductions.{SCRIPT}", description=__doc__)
    parser.formatter_class = argparse.RawTextHelpFormatter
    parser.add_argument("--data-dir", help="where TensorFlow Datasets keeps its prepared data")
    parser.add_argument(
        "--out", type=Path, default=Path("runs", f"{SCRIPT}.json"), help="the record; goes on if it is there"
    )
    options = parser.parse_args(arguments)
    train = tfds_images("cifar10", "train", options.data_dir)
    mean, _ = statistics(train)
    train = train.map(pad_and_crop(4), random_flip, subtract_mean(mean))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    record = json.loads(options.out.read_text()) if options.out.exists() else {"runs": []}
    done = {(run["name"], run["seed"]) for run in record["runs"]}
    for seed in range(SEEDS):
        for name, (normal, start) in VARIANTS.items():
            if (name, seed) in done:
                continue
            print(f"{name}, seed {seed}")
            started = time.monotonic()
            run = trained(plain56(normal, start, len(train.labels), seed), train, seed)
            seconds = round(time.monotonic() - started)
            record["runs"].append({"name": name, "seed": seed, "commit": git_commit(), "seconds": seconds, **run})
            write_json(options.out, record)
    record = measured(
        SCRIPT,
        data=train.description,
        runs=record["runs"],
        claims=claims(record["runs"]),
        deviations=[
            f"{STEPS} steps of {BATCH} at a constant rate: 0.1 with batch normalisation, 0.01 without it",
            "without normalisation the convolutions have biases",
        ],
    )
    publish(record, options.out)
    return 0


def claims(runs):
    """The rule: what the first layer's gradient is beside the last's, in each of the seeds."""
    rows = []
    for name in VARIANTS:
        vanishes = name == f"no norm, {SMALL}"
        for step in MEASURED:
            ratios = [run["norms"][step][0] / run["norms"][step][-1] for run in in_steps(runs) if run["name"] == name]
            good = [ratio < VANISHED if vanishes else ratio > HEALTHY for ratio in ratios]
            rows.append(
                {
                    "id": "R0",
                    "statement": f"{name}: the gradient {'vanishes' if vanishes else 'does not vanish'}, step {step}",
                    "paper": None,
                    "ours": ", ".join(f"{ratio:.2g}" for ratio in ratios),
                    "rule": f"first layer's norm {f'under {VANISHED:g}' if vanishes else f'over {HEALTHY:g}'} of the "
                    "last's, in each seed",
                    "verdict": "holds" if all(good) else "not decided" if any(good) else "does not hold",
                }
            )
    return rows


def in_steps(runs):
    """Runs with steps as numbers again, which JSON has made words."""
    return [{**run, "norms": {int(step): norms for step, norms in run["norms"].items()}} for run in runs]


def draw(record, path):
    figure, grid = plt.subplots(1, len(VARIANTS), figsize=(13, 3.8), sharey=True, layout="constrained")
    for name, axes in zip(VARIANTS, grid, strict=True):
        runs = [run for run in in_steps(record["runs"]) if run["name"] == name]
        for number, step in enumerate(MEASURED):
            curves = np.array([run["norms"][step] for run in runs])
            layers = np.arange(1, curves.shape[1] + 1)
            axes.plot(layers, np.exp(np.log(curves + 1e-30).mean(axis=0)), color=f"C{number}", label=f"step {step}")
            axes.fill_between(
                layers, curves.min(axis=0), curves.max(axis=0), color=f"C{number}", alpha=0.2, linewidth=0
            )
        loss = np.mean([run["losses"][-10:] for run in runs])
        axes.set(title=f"{name}\nloss after {STEPS} steps: {loss:.2f}", xlabel="layer", yscale="log")
        axes.grid(alpha=0.3)
    grid[0].set_ylabel("norm of the kernel's gradient")
    grid[0].legend(fontsize=8)
    save(figure, path)


if __name__ == "__main__":
    sys.exit(main())
