"""Depth without and with shortcuts: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.

    python -m reproductions.degradation_cifar10 --data-dir DIR

Paper: Fig. 6, the deeper plain network has the larger training error, the deeper residual one has not; no figure is
printed for plain networks. Fig. 7, the responses of residual networks are smaller than those of plain ones. Here
plain and residual networks of 20 and 56 layers, ten epochs each: a proxy for the paper's 64,000 steps.
"""

import sys

import keras
import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt

from keras_cnns.data import digits, tfds_images
from keras_cnns.export import load_source
from keras_cnns.layers import BatchNormalization
from reproductions.study import Difference, Study, Training, band, main, names, of, save, test_error, training_error

BUDGET = "--epochs 10"
TRAININGS = {
    "plain-20": Training("resnet_cifar10", f"--depth 20 --no-residual {BUDGET}"),
    "plain-56": Training("resnet_cifar10", f"--depth 56 --no-residual {BUDGET}"),
    "ResNet-20": Training("resnet_cifar10", f"--depth 20 {BUDGET}"),
    "ResNet-56": Training("resnet_cifar10", f"--depth 56 {BUDGET}"),
}
COLOURS = {"plain-20": "C0", "plain-56": "C3", "ResNet-20": "C0", "ResNet-56": "C3"}
RESPONSES = 1_000  # test images on which the responses are measured


def mean_response(run):
    """The standard deviation of a layer's response, in the mean over the layers."""
    return float(np.mean(run["measured"]["responses"]))


CLAIMS = [
    Difference(
        "R1",
        "degradation: the deeper plain network has the larger training error, points",
        "plain-56",
        "plain-20",
        training_error,
        margin=1.0,
    ),
    Difference("R1", "the same, test error, points", "plain-56", "plain-20", test_error, margin=1.0),
    Difference(
        "R1",
        "56 layers train better with shortcuts than without, training error, points",
        "plain-56",
        "ResNet-56",
        training_error,
        margin=1.0,
    ),
    Difference(
        "R1",
        "the deeper residual network trains no worse, training error, points",
        "ResNet-20",
        "ResNet-56",
        training_error,
        margin=-1.0,  # it may be worse by less than a plain one must be
    ),
    Difference("R1", "the same, test error, points", "ResNet-20", "ResNet-56", test_error, margin=-1.0),
    Difference("R5", "plain responses are larger, 20 layers", "plain-20", "ResNet-20", mean_response, 0.02, digits=3),
    Difference("R5", "plain responses are larger, 56 layers", "plain-56", "ResNet-56", mean_response, 0.02, digits=3),
    Difference(
        "R5",
        "the shallower residual network has the larger responses",
        "ResNet-20",
        "ResNet-56",
        mean_response,
        margin=0.02,
        digits=3,
    ),
]


def responses(folder, options):
    """The standard deviation of each layer's response, "after BN and before other nonlinearity (ReLU/addition)"."""
    model, preprocessing, _ = load_source(folder)
    images = digits("test", channels=3) if options.smoke else tfds_images("cifar10", "test", options.data_dir)
    photographs, _ = next(iter(images.originals().batches(RESPONSES)))
    outputs = [layer.output for layer in model.layers if isinstance(layer, BatchNormalization)]
    maps = keras.Model(model.inputs, outputs)(preprocessing(photographs), training=False)
    return {"responses": [round(float(tf.math.reduce_std(tf.cast(each, tf.float32))), 4) for each in maps]}


def draw(record, path):
    """Above, the paper's Fig. 6; below, its Fig. 7."""
    runs = record["runs"]
    figure, axes = plt.subplots(2, 2, figsize=(10, 7.5), layout="constrained")
    for column, kind in enumerate(("plain", "ResNet")):
        for name in (each for each in names(runs) if each.startswith(kind)):
            colour = COLOURS[name]
            band(
                axes[0, column],
                of(runs, name),
                "training_error",
                color=colour,
                linestyle="--",
                label=f"{name}, training",
            )
            band(axes[0, column], of(runs, name), "test_error", color=colour, label=f"{name}, test")
        axes[0, column].set(xlabel="steps", ylabel="error, %", ylim=(0, 95))
    for column, order in enumerate((list, lambda each: sorted(each, reverse=True))):
        for name in names(runs):
            curves = [order(run["measured"]["responses"]) for run in of(runs, name)]
            style = "-" if name.startswith("ResNet") else ":"
            label = f"{name}, mean {np.mean(curves):.3f}"
            axes[1, column].plot(np.mean(curves, axis=0), style, color=COLOURS[name], label=label)
        axes[1, column].set(xlabel=("layer", "layer, sorted by magnitude")[column], ylabel="standard deviation")
        axes[1, column].set_yscale("log")  # the first layers of plain-56 are at many times the others
    for each in axes.flat:
        each.grid(alpha=0.3)
        each.legend(fontsize=8)
    figure.suptitle(f"CIFAR-10, ten epochs; mean of {len(of(runs, 'plain-20'))} seeds, bands from least to most")
    save(figure, path)


if __name__ == "__main__":
    study = Study(
        "degradation_cifar10",
        __doc__,
        TRAININGS,
        CLAIMS,
        ["ten epochs of 390 steps, schedule scaled, for 64,000 steps"],
        measure=responses,
    )
    sys.exit(main(study))
