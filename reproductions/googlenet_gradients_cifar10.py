"""Auxiliary heads and gradients: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 5.

    python -m reproductions.googlenet_gradients_cifar10 --data-dir DIR

Paper: classifiers in the middle are to "increase the gradient signal that gets propagated back"; no figure is printed.
Here the small GoogLeNet of `googlenet_cifar10` with and without them: the gradient of every convolution's kernel in the
course of 200 steps.
"""

import sys
from functools import partial

import keras
import numpy as np
from matplotlib import pyplot as plt

from keras_cnns.classification.googlenet import AUXILIARY_LOSS_WEIGHT
from keras_cnns.data import statistics
from keras_cnns.data.augmentation import pad_and_crop, random_flip, subtract_mean
from keras_cnns.training import SGD
from reproductions.googlenet_cifar10 import enlarged, small_googlenet
from reproductions.gradients import decided, geometric_band, gradient_norms, main, norms_of
from reproductions.study import save

SCRIPT = "googlenet_gradients_cifar10"
BATCH, STEPS = 128, 200
MEASURED = range(0, STEPS + 1, 10)
FIRST = ("conv1_7x7_s2", "conv2_3x3_reduce", "conv2_3x3")  # layers
HEADS, NO_HEADS = "with auxiliary heads", "without"


def trained(train, seed, auxiliary_heads):
    """The first steps of one network; of the trunk alone, which both have."""
    keras.utils.set_random_seed(seed)
    model = small_googlenet(len(train.labels), auxiliary_heads)
    batches = list(train.batches(BATCH, shuffle=True, drop_remainder=True, seed=seed, count=STEPS + 1))
    optimizer = SGD(0.01, momentum=0.9, l2=2e-4, undecayed=("bias",))
    found = gradient_norms(model, optimizer, batches, MEASURED, [AUXILIARY_LOSS_WEIGHT] * 2 * auxiliary_heads)
    names = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    trunk = [number for number, name in enumerate(names) if not name.startswith("loss")]
    norms = {step: [each[number] for number in trunk] for step, each in found["norms"].items()}
    return {**found, "norms": norms, "layers": [names[number] for number in trunk]}


def scaled(train):
    mean, _ = statistics(train)
    return train.map(pad_and_crop(4), random_flip, subtract_mean(mean.mean(axis=(0, 1))), enlarged)


def means(runs, name):
    """The geometric mean of the norms over the steps: (seeds, layers)."""
    return np.exp(np.log(norms_of(runs, name) + 1e-30).mean(axis=1))


def claims(runs):
    ratios = means(runs, HEADS) / means(runs, NO_HEADS)
    layers = runs[0]["layers"]
    rule = "mean over the steps, with heads by without, over 1"
    return [
        decided("G2", f"auxiliary heads raise the gradient of {name}", ratios[:, layers.index(name)], rule, above_one)
        for name in FIRST
    ]


def above_one(ratio):
    return ratio > 1


def draw(record, path):
    runs = record["runs"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for number, name in enumerate((HEADS, NO_HEADS)):
        look = {"color": f"C{number}", "label": name}
        geometric_band(left, list(MEASURED), norms_of(runs, name)[:, :, 0], **look)
        depths = np.arange(1, len(runs[0]["layers"]) + 1)
        geometric_band(right, depths, means(runs, name), **look)
    left.set(title=f"first layer, {FIRST[0]}", xlabel="step", ylabel="norm of the kernel's gradient", yscale="log")
    right.set(title=f"every convolution, mean of {STEPS} steps", xlabel="convolution", yscale="log")
    for each in ("4a", "4d"):
        place = 1 + max(i for i, layer in enumerate(runs[0]["layers"]) if each in layer)
        right.axvline(place, color="grey", linestyle=":")
        right.annotate(f"head after {each}", (place, 0.02), xycoords=("data", "axes fraction"), rotation=90, size=8)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.suptitle("small GoogLeNet on CIFAR-10; means of three seeds, bands from least to most")
    save(figure, path)


if __name__ == "__main__":
    variants = {HEADS: partial(trained, auxiliary_heads=True), NO_HEADS: partial(trained, auxiliary_heads=False)}
    deviations = [f"the small GoogLeNet of `googlenet_cifar10`, {STEPS} steps of {BATCH} at a constant rate of 0.01"]
    sys.exit(main(SCRIPT, __doc__, scaled, variants, claims, deviations))
