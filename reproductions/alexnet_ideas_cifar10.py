"""AlexNet's smaller ideas, one by one: Krizhevsky et al., NIPS 2012, sections 3.3, 3.4 and 4.2.

    python -m reproductions.alexnet_ideas_cifar10 --data-dir DIR

Paper: on ImageNet local response normalisation lowers the top-1 error by 1.4 points and overlapping pooling by 0.4; on
CIFAR-10 normalisation brings a four-layer network from 13 % to 11 %; without dropout the network "exhibits substantial
overfitting". Here each on the four-layer network alone.
"""

import sys

from matplotlib import pyplot as plt

from reproductions.study import Difference, Study, Training, band, main, names, of, save, test_error, training_error

FLAGS = {
    "plain-network": "",
    "normalised": "--normalised",
    "dropout": "--dropout",
    "2x2-pooling": "--pooling plain",
    "average-pooling": "--pooling average",
}
TRAININGS = {name: Training("four_layer_cifar10", f"--epochs 30 {flags}") for name, flags in FLAGS.items()}


def gap(run):
    return test_error(run) - training_error(run)


CLAIMS = [
    Difference(
        "A3",
        "response normalisation lowers the test error, points",
        "plain-network",
        "normalised",
        test_error,
        0.0,
        2.0,
    ),
    Difference("A5", "dropout narrows the gap between test and training", "plain-network", "dropout", gap, 2.0),
    Difference("A5", "dropout lowers the test error, points", "plain-network", "dropout", test_error, 0.0),
    Difference(
        "C7", "overlapping pooling lowers the test error, points", "2x2-pooling", "plain-network", test_error, 0.0, 0.4
    ),
    Difference(
        "C7", "max pooling has the smaller test error than average", "average-pooling", "plain-network", test_error, 0.0
    ),
]


def draw(record, path):
    figure, axes = plt.subplots(figsize=(8, 4.8), layout="constrained")
    for number, name in enumerate(names(record["runs"])):
        runs = of(record["runs"], name)
        band(axes, runs, "test_error", color=f"C{number}", label=f"{name.replace('-', ' ')}, test")
        band(axes, runs, "training_error", color=f"C{number}", linestyle="--", label="training")
    axes.set(
        xlabel="steps",
        ylabel="error, %",
        ylim=(0, 70),
        title="CIFAR-10, four layers; plain network: overlapping 3x3/2 max",
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, ncols=2)
    save(figure, path)


if __name__ == "__main__":
    deviations = ["30 epochs without augmentation, constant rate of 0.01; the paper does not print the network"]
    sys.exit(main(Study("alexnet_ideas_cifar10", __doc__, TRAININGS, CLAIMS, deviations)))
