"""The gradients of networks' kernels in the first steps of a training, beside one another."""

import json
import time

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from keras_cnns.data import tfds_images
from reproductions.record import PREPARED, git_commit, measured, parser_of, publish, write_json
from reproductions.study import SEEDS


def gradient_norms(model, optimizer, batches, kept, head_weights=()):
    """Train on the batches, and return what the first steps were like.

    Args:
        model: gives logits, or a list of them: the classifier's, then auxiliary heads', of the same labels.
        batches: a list of (images, labels).
        kept: the numbers of the steps whose gradients are kept, the first being 0.
        head_weights: of the auxiliary heads' losses.

    Returns: {"losses": the classifier's at every step, "norms": {step: of the gradient of every convolution's kernel
        before that step, in the layers' order}}.
    """
    optimizer.build(model.trainable_variables)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    kernels = [layer.kernel for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    places = [next(i for i, v in enumerate(model.trainable_variables) if v is kernel) for kernel in kernels]

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            first, *others = (cross_entropy(labels, each) for each in tf.nest.flatten(model(images, training=True)))
            loss = first + sum(weight * each for weight, each in zip(head_weights, others, strict=True))
        gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
        optimizer.apply(gradients)
        return first, tf.stack([tf.norm(gradients[place]) for place in places])

    losses, norms = [], {}
    for number, batch in enumerate(tqdm(batches, desc=model.name, unit="step")):
        loss, found = step(*batch)
        losses.append(round(float(loss), 4))
        if number in kept:
            norms[number] = [float(f"{norm:.4g}") for norm in found.numpy()]
    return {"losses": losses, "norms": norms}


def main(script, documentation, data, variants, claims, deviations, arguments=None):
    """Measure every variant with three seeds; write the record, which goes on where it was, and print its claims.

    Args:
        script, documentation: of the script.
        data: function from the training images of CIFAR-10 to those that are trained on.
        variants: {name: function from (training images, seed) to what `gradient_norms` returns}.
        claims: function from the runs, {"name", "seed", "losses", "norms"}, to the claims' rows.
        deviations: from the paper.
    """
    parser = parser_of(script, documentation, "the record; goes on if it is there")
    parser.add_argument("--data-dir", help=PREPARED)
    options = parser.parse_args(arguments)
    train = data(tfds_images("cifar10", "train", options.data_dir))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    runs = json.loads(options.out.read_text())["runs"] if options.out.exists() else []
    done = {(run["name"], run["seed"]) for run in runs}
    for seed in range(SEEDS):
        for name, measure in variants.items():
            if (name, seed) in done:
                continue
            print(f"{name}, seed {seed}")
            started = time.monotonic()
            found = measure(train, seed)
            seconds = round(time.monotonic() - started)
            runs.append({"name": name, "seed": seed, "commit": git_commit(), "seconds": seconds, **found})
            write_json(options.out, {"runs": runs})
    record = measured(script, data=train.description, runs=runs, claims=claims(runs), deviations=deviations)
    publish(record, options.out)
    return 0


def norms_of(runs, name):
    """The norms of one variant: an array (seeds, measured steps, layers)."""
    return np.array([list(run["norms"].values()) for run in runs if run["name"] == name])


def geometric_band(axes, x, curves, **look):
    """One line for the geometric mean over the seeds, in a band from the smallest to the largest."""
    (line,) = axes.plot(x, np.exp(np.log(curves + 1e-30).mean(axis=0)), **look)
    axes.fill_between(x, curves.min(axis=0), curves.max(axis=0), color=line.get_color(), alpha=0.2, linewidth=0)


def decided(id, statement, ratios, rule, holds):
    """The row of a claim that holds if it does in every seed."""
    good = [holds(ratio) for ratio in ratios]
    return {
        "id": id,
        "statement": statement,
        "paper": None,
        "ours": ", ".join(f"{ratio:.2g}" for ratio in ratios),
        "rule": f"{rule}, in each seed",
        "verdict": "holds" if all(good) else "not decided" if any(good) else "does not hold",
    }
